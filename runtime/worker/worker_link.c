/* worker_link.c - the stream socket pair to one worker. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker/worker_link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/loop/loop.h"

enum {
    READ_BYTES = 64 * 1024,
    READS_A_TURN = 4,
    LINES_READ_BYTES =
        8 * 1024, /* after a read with lines in it: each takes microseconds, and there is no end to them */
    KEEP_BYTES = 256 * 1024, /* larger buffers are given back when they are empty */
};

struct worker_link {
    struct loop *loop;
    struct loop_watch *watch;
    struct loop_timer rest; /* started: it rests */
    uint64_t rest_us; /* for so long it is to rest after this turn's reads */
    int socket;
    const struct worker_link_handler *handler;
    void *ctx;
    struct buf in; /* from `taken` on not yet handled */
    size_t taken;
    struct buf out; /* from `written` on not yet written */
    size_t written;
    size_t frame_bytes_max; /* of what it sends */
    bool lines; /* in what was read last, and it does not rest: whoever writes them does not wait for us */
    bool draining; /* no rest any more */
    bool muted;
    bool ended; /* on_end was called or is not wanted any more */
};

static void end(struct worker_link *link, enum status status, const struct err *err)
{
    if (link->ended) return;
    link->ended = true;
    loop_watch_set(link->watch, 0);
    link->handler->on_end(link->ctx, status, err);
}

static bool rests(const struct worker_link *link)
{
    return loop_timer_started(&link->rest);
}

static void watch(struct worker_link *link)
{
    unsigned events = 0;
    if (!link->ended && !link->muted)
        events = (rests(link) ? 0 : (unsigned)LOOP_READABLE) |
                 (link->written < link->out.size ? (unsigned)LOOP_WRITABLE : 0);
    loop_watch_set(link->watch, events);
}

/* ---- in ---- */

static enum status handle(struct worker_link *link, struct slice payload, struct err *err)
{
    enum wire_type type;
    TRY(wire_type_of(payload, &type, err));
    switch (type)
    {
    case WIRE_READY: {
        struct wire_ready ready;
        TRY(wire_ready_decode(payload, &ready, err));
        link->handler->on_ready(link->ctx, &ready);
        return STATUS_OK;
    }
    case WIRE_RESULT: {
        struct wire_result result;
        TRY(wire_result_decode(payload, &result, err));
        link->handler->on_result(link->ctx, &result);
        return STATUS_OK;
    }
    case WIRE_LOG: {
        struct wire_log log;
        TRY(wire_log_decode(payload, &log, err));
        link->lines = link->rest_us == 0;
        link->handler->on_log(link->ctx, &log);
        return STATUS_OK;
    }
    case WIRE_ASK: {
        struct wire_ask ask;
        TRY(wire_ask_decode(payload, &ask, err));
        link->handler->on_ask(link->ctx, &ask);
        return STATUS_OK;
    }
    case WIRE_INVOKE:
    case WIRE_ANSWER:
    case WIRE_EFFECT:
    case WIRE_MESSAGE:
        break;
    }
    return err_set(err, STATUS_FUNCTION_PROTOCOL, "the worker sent a message of type %d", (int)type);
}

/* Gives room back and moves what remains to the front, but only when that is cheap or needed. */
static void tidy(struct buf *buf, size_t *done)
{
    if (*done == buf->size)
    {
        if (buf->capacity > KEEP_BYTES)
            buf_fini(buf);
        else
            buf_reset(buf);
        *done = 0;
    }
    else if (*done >= READ_BYTES && *done >= buf->size / 2)
    {
        buf_consume(buf, *done);
        *done = 0;
    }
}

/* Handles the whole frames that are there. */
static void handle_frames(struct worker_link *link)
{
    while (!link->ended && !link->muted && link->taken < link->in.size)
    {
        struct err err = ERR_INIT;
        struct slice rest = slice_make(link->in.data + link->taken, link->in.size - link->taken), payload;
        size_t need;
        bool whole;
        enum status status = wire_frame_next(rest, &payload, &need, &whole, &err);
        if (status == STATUS_OK && need > link->frame_bytes_max)
            status = err_set(&err, STATUS_FUNCTION_PROTOCOL,
                             "a frame of %zu bytes is announced; at most %zu fit the worker's memory", need,
                             link->frame_bytes_max);
        if (status == STATUS_OK && !whole) break;
        if (status == STATUS_OK)
        {
            link->taken += need;
            status = handle(link, payload, &err);
        }
        if (status != STATUS_OK)
        {
            end(link, STATUS_FUNCTION_PROTOCOL, &err);
            return;
        }
    }
    tidy(&link->in, &link->taken);
}

/* One read; false when there is hardly more for now, or for ever. */
static bool read_some(struct worker_link *link)
{
    size_t most = link->lines && !link->draining ? LINES_READ_BYTES : READ_BYTES;
    void *room = buf_reserve(&link->in, most);
    ssize_t size = recv(link->socket, room, most, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (size <= 0)
    {
        end(link, STATUS_OK, NULL);
        return false;
    }
    link->in.size += (size_t)size;
    link->lines = false;
    handle_frames(link);
    return (size_t)size == most && !link->ended && !link->muted;
}

void worker_link_rest(struct worker_link *link, uint32_t us)
{
    if (link->draining) return;
    link->lines = false;
    link->rest_us += us;
}

static void rest_if_due(struct worker_link *link)
{
    if (!link->rest_us || link->ended || link->muted) return;
    loop_timer_start_at(link->loop, &link->rest, loop_now_ns(link->loop) + link->rest_us * NS_PER_US);
    link->rest_us = 0;
    watch(link);
}

static void on_rested(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one of its kind */
    watch(ctx);
}

void worker_link_drain(struct worker_link *link)
{
    link->draining = true;
    link->rest_us = 0;
    loop_timer_stop(&link->rest);
    while (!link->ended && !link->muted)
        if (!read_some(link)) break;
}

/* ---- out ---- */

void worker_link_send(struct worker_link *link, const struct wire_invoke *message)
{
    wire_invoke_encode(&link->out, message);
}

void worker_link_answer(struct worker_link *link, const struct wire_answer *message)
{
    wire_answer_encode(&link->out, message);
}

void worker_link_flush(struct worker_link *link)
{
    if (link->ended || link->muted) return;
    while (link->written < link->out.size)
    {
        ssize_t size = send(link->socket, link->out.data + link->written, link->out.size - link->written,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) break; /* full; or broken, which reading tells too, with what came before */
        link->written += (size_t)size;
    }
    tidy(&link->out, &link->written);
    watch(link);
}

size_t worker_link_backlog(const struct worker_link *link)
{
    return link->out.size - link->written;
}

/* ---- life ---- */

static void on_ready(void *ctx, unsigned events)
{
    struct worker_link *link = ctx;
    /* A few reads a turn and not more, with lines in it only one: the others wait, too. */
    for (int i = 0; i < READS_A_TURN && events & (LOOP_READABLE | LOOP_HANGUP); i++)
        if (!read_some(link) || link->lines) break;
    rest_if_due(link);
    if (events & LOOP_WRITABLE) worker_link_flush(link);
}

enum status worker_link_open(struct loop *loop, const struct worker_link_handler *handler, void *ctx,
                             struct worker_link **out, int *peer, struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return err_errno(err, STATUS_NO_RESOURCES, errno, "make a socket pair");
    struct worker_link *link = mem_zalloc(sizeof *link);
    link->loop = loop;
    loop_timer_init(&link->rest, on_rested, link);
    link->socket = ends[0];
    link->frame_bytes_max = SIZE_MAX; /* the protocol's own limit holds */
    link->handler = handler;
    link->ctx = ctx;
    enum status status = loop_watch_open(loop, ends[0], on_ready, link, &link->watch, err);
    if (status != STATUS_OK)
    {
        close(ends[0]);
        close(ends[1]);
        free(link);
        return status;
    }
    watch(link);
    *peer = ends[1];
    *out = link;
    return STATUS_OK;
}

void worker_link_limit(struct worker_link *link, size_t frame_bytes_max)
{
    link->frame_bytes_max = frame_bytes_max;
}

void worker_link_mute(struct worker_link *link)
{
    link->muted = true;
    loop_timer_stop(&link->rest);
    loop_watch_set(link->watch, 0);
}

void worker_link_close(struct worker_link *link)
{
    if (!link) return;
    loop_timer_stop(&link->rest);
    loop_watch_close(link->watch);
    close(link->socket);
    buf_fini(&link->in);
    buf_fini(&link->out);
    free(link);
}
