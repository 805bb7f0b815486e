/* output.c - a pipe into lines, with a token bucket. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/zygote/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/loop/loop.h"

#define TELL_EVERY_NS NS_PER_S

enum {
    READ_BYTES = 64 * 1024, /* a pipe's whole capacity with one call */
    DRAIN_READS_MAX = 64, /* somebody else may hold the writing end and go on */
    DROP_BYTES = 256 * 1024, /* then whoever writes it has to wait */
    REST_MS = 2, /* for so long */
};

void output_budget_init(struct output_budget *budget, uint64_t now_ns)
{
    *budget = (struct output_budget){.bytes = OUTPUT_BURST_BYTES, .filled_ns = now_ns};
}

size_t output_budget_take(struct output_budget *budget, uint64_t now_ns, size_t wanted)
{
    uint64_t added = (now_ns - budget->filled_ns) / NS_PER_US * OUTPUT_BYTES_PER_S / 1000000;
    if (added) /* else the fraction is kept for the next time */
    {
        budget->filled_ns = now_ns;
        budget->bytes += added;
        if (budget->bytes > OUTPUT_BURST_BYTES) budget->bytes = OUTPUT_BURST_BYTES;
    }
    size_t taken = wanted < budget->bytes ? wanted : (size_t)budget->bytes;
    budget->bytes -= taken;
    return taken;
}

void output_loss_add(struct output_loss *loss, uint64_t count)
{
    loss->dropped += count;
}

bool output_loss_due(struct output_loss *loss, uint64_t now_ns)
{
    if (loss->told && now_ns - loss->told_ns < TELL_EVERY_NS) return false;
    loss->told_ns = now_ns;
    return output_loss_left(loss);
}

bool output_loss_left(struct output_loss *loss)
{
    if (loss->told == loss->dropped) return false;
    loss->told = loss->dropped;
    return true;
}

struct output {
    struct loop *loop;
    struct loop_watch *watch;
    struct loop_timer rest; /* started: it is not read now */
    int reader;
    output_on_line_fn on_line;
    void *ctx;
    struct buf line; /* unfinished */
    struct output_budget budget;
    struct output_loss loss; /* in bytes */
    uint64_t rested_at; /* what loss.dropped was */
};

static void hand_out(struct output *output)
{
    struct slice line = buf_view(&output->line);
    output->on_line(output->ctx, line);
    buf_reset(&output->line);
}

static void tell_loss(struct output *output)
{
    char words[128];
    int size = snprintf(words, sizeof words,
                        "(too much output: what exceeds %d KiB per second is dropped, %llu bytes so far)",
                        (int)(OUTPUT_BYTES_PER_S / KIB), (unsigned long long)output->loss.dropped);
    output->on_line(output->ctx, slice_make(words, (size_t)size));
}

static void take(struct output *output, struct slice bytes)
{
    const char *at = bytes.data;
    const char *end = at + bytes.size;
    while (at < end)
    {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((stop ? stop : end) - at);
        size_t room = BOUND_LOG_LINE_BYTES_MAX - output->line.size;
        if (size > room)
        {
            size = room;
            stop = NULL;
        }
        buf_append(&output->line, slice_make(at, size));
        at += size + (stop != NULL);
        if (stop || output->line.size == BOUND_LOG_LINE_BYTES_MAX) hand_out(output);
    }
}

/* False when there is nothing more for now, or for ever. */
static bool read_some(struct output *output)
{
    char bytes[READ_BYTES];
    ssize_t size = read(output->reader, bytes, sizeof bytes);
    if (size < 0) return errno == EINTR;
    if (size == 0)
    {
        loop_watch_set(output->watch, 0); /* all writers have gone */
        return false;
    }
    uint64_t now = loop_now_ns(output->loop);
    size_t kept = output_budget_take(&output->budget, now, (size_t)size);
    take(output, slice_make(bytes, kept));
    output_loss_add(&output->loss, (size_t)size - kept);
    if (kept < (size_t)size && output_loss_due(&output->loss, now)) tell_loss(output);
    return true;
}

static void on_ready(void *ctx, unsigned events)
{
    (void)events; /* reading tells more */
    struct output *output = ctx;
    bool goes_on = read_some(output); /* once a turn: a flood gets no more of the loop than that */
    if (!goes_on || output->loss.dropped - output->rested_at < DROP_BYTES) return;
    output->rested_at = output->loss.dropped;
    loop_watch_set(output->watch, 0);
    loop_timer_start_at(output->loop, &output->rest, loop_now_ns(output->loop) + REST_MS * NS_PER_MS);
}

static void on_rested(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one of its kind */
    loop_watch_set(((struct output *)ctx)->watch, LOOP_READABLE);
}

enum status output_open(struct loop *loop, output_on_line_fn on_line, void *ctx, struct output **out,
                        int *writer, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return err_errno(err, STATUS_NO_RESOURCES, errno, "make a pipe");
    struct output *output = mem_zalloc(sizeof *output);
    *output = (struct output){
        .loop = loop,
        .reader = ends[0],
        .on_line = on_line,
        .ctx = ctx,
    };
    output_budget_init(&output->budget, loop_now_ns(loop));
    loop_timer_init(&output->rest, on_rested, output);
    enum status status = loop_watch_open(loop, ends[0], on_ready, output, &output->watch, err);
    if (status != STATUS_OK)
    {
        close(ends[0]);
        close(ends[1]);
        free(output);
        return status;
    }
    loop_watch_set(output->watch, LOOP_READABLE);
    *writer = ends[1];
    *out = output;
    return STATUS_OK;
}

void output_listen(struct output *output, bool listen)
{
    loop_timer_stop(&output->rest);
    loop_watch_set(output->watch, listen ? LOOP_READABLE : 0);
}

void output_drain(struct output *output)
{
    for (int i = 0; i < DRAIN_READS_MAX; i++)
        if (!read_some(output)) break;
    if (output->line.size) hand_out(output);
    if (output_loss_left(&output->loss)) tell_loss(output);
}

struct output_budget output_budget_left(const struct output *output)
{
    return output->budget;
}

void output_set_budget(struct output *output, const struct output_budget *budget)
{
    output->budget = *budget;
}

uint64_t output_dropped_bytes(const struct output *output)
{
    return output->loss.dropped;
}

void output_close(struct output *output)
{
    if (!output) return;
    loop_timer_stop(&output->rest);
    loop_watch_close(output->watch);
    close(output->reader);
    buf_fini(&output->line);
    free(output);
}
