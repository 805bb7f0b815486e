/* stream_mem.c - one task moves the bytes of a stream, a step in each turn, as the faults allow. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop/stream_mem.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/stream_port.h"

struct stream_mem {
    struct stream stream;
    struct loop *loop;
    struct loop_task pump;
    struct stream_mem_fault fault;
    struct buf inbox; /* sent by the test, not yet read */
    bool end_sent;
    enum status end_status;
    bool reading;
    struct buf outbox; /* written, for the test */
    struct slice parts[STREAM_PARTS_MAX]; /* of the write under way */
    size_t part_count;
    bool writing;
    bool finished;
    bool closed;
};

static struct stream_mem *mem_of(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct stream_mem, stream);
}

static void pump_again(struct stream_mem *mem)
{
    loop_post(mem->loop, &mem->pump);
}

/* ---- out of the stream ---- */

/* Takes what the faults allow; true when nothing is left. */
static bool take(struct stream_mem *mem)
{
    size_t room = mem->fault.write_stalled ? 0 : mem->fault.write_max ? mem->fault.write_max : SIZE_MAX;
    size_t left = 0;
    for (size_t i = 0; i < mem->part_count; i++)
    {
        struct slice *part = &mem->parts[i];
        size_t size = part->size < room ? part->size : room;
        buf_append(&mem->outbox, slice_make(part->data, size));
        *part = slice_make((const char *)part->data + size, part->size - size);
        room -= size;
        left += part->size;
    }
    return left == 0;
}

static bool mem_write(struct stream *stream, const struct slice *parts, size_t count)
{
    struct stream_mem *mem = mem_of(stream);
    CHECK(!mem->writing && !mem->finished);
    for (size_t i = 0; i < count; i++) mem->parts[i] = parts[i];
    mem->part_count = count;
    if (!mem->fault.write_broken && take(mem)) return true;
    mem->writing = true;
    pump_again(mem);
    return false;
}

static size_t mem_unsent(const struct stream *stream)
{
    const struct stream_mem *mem = mem_of(stream);
    size_t left = 0;
    for (size_t i = 0; mem->writing && i < mem->part_count; i++) left += mem->parts[i].size;
    return left;
}

static void pump_write(struct stream_mem *mem)
{
    if (!mem->writing) return;
    bool done = !mem->fault.write_broken && take(mem);
    if (!done && !mem->fault.write_broken)
    {
        if (!mem->fault.write_stalled) pump_again(mem);
        return;
    }
    mem->writing = false;
    mem->stream.handler->on_written(mem->stream.ctx, done ? STATUS_OK : STATUS_IO);
}

/* ---- into the stream ---- */

static void pump_read(struct stream_mem *mem)
{
    if (!mem->reading || mem->stream.closing) return;
    if (mem->inbox.size)
    {
        void *room;
        size_t size;
        mem->stream.handler->on_room(mem->stream.ctx, &room, &size);
        if (mem->fault.read_max && size > mem->fault.read_max) size = mem->fault.read_max;
        if (size > mem->inbox.size) size = mem->inbox.size;
        memcpy(room, mem->inbox.data, size);
        buf_consume(&mem->inbox, size);
        pump_again(mem);
        mem->stream.handler->on_bytes(mem->stream.ctx, size);
    }
    else if (mem->end_sent)
    {
        mem->reading = mem->end_sent = false;
        mem->stream.handler->on_end(mem->stream.ctx, mem->end_status);
    }
}

static void mem_read_start(struct stream *stream)
{
    mem_of(stream)->reading = true;
    pump_again(mem_of(stream));
}

static void mem_read_stop(struct stream *stream)
{
    mem_of(stream)->reading = false;
}

/* ---- the end ---- */

static void mem_finish(struct stream *stream)
{
    mem_of(stream)->finished = true;
}

static void mem_close(struct stream *stream)
{
    pump_again(mem_of(stream));
}

static void mem_peer(const struct stream *stream, char text[STREAM_ADDRESS_BYTES])
{
    (void)stream;
    snprintf(text, STREAM_ADDRESS_BYTES, "memory");
}

static void on_pump(struct loop_task *task, void *ctx)
{
    (void)task;
    struct stream_mem *mem = ctx;
    if (mem->stream.closing)
    {
        if (!mem->closed && mem->stream.handler) mem->stream.handler->on_closed(mem->stream.ctx);
        mem->closed = true;
        return;
    }
    pump_write(mem);
    pump_read(mem);
}

struct stream *stream_mem_open(struct loop *loop, struct stream_mem **peer)
{
    static const struct stream_ops ops = {
        .read_start = mem_read_start,
        .read_stop = mem_read_stop,
        .write = mem_write,
        .unsent = mem_unsent,
        .finish = mem_finish,
        .close = mem_close,
        .peer = mem_peer,
    };
    struct stream_mem *mem = mem_zalloc(sizeof *mem);
    mem->stream.ops = &ops;
    mem->loop = loop;
    loop_task_init(&mem->pump, on_pump, mem);
    *peer = mem;
    return &mem->stream;
}

void stream_mem_destroy(struct stream_mem *peer)
{
    if (!peer) return;
    CHECK(peer->closed && !peer->pump.queued);
    buf_fini(&peer->inbox);
    buf_fini(&peer->outbox);
    free(peer);
}

struct stream_mem_fault *stream_mem_fault(struct stream_mem *peer)
{
    if (!peer->closed) pump_again(peer); /* what a fault held up may go on */
    return &peer->fault;
}

void stream_mem_send(struct stream_mem *peer, struct slice bytes)
{
    buf_append(&peer->inbox, bytes);
    if (!peer->closed) pump_again(peer);
}

void stream_mem_send_end(struct stream_mem *peer, enum status status)
{
    peer->end_sent = true;
    peer->end_status = status;
    if (!peer->closed) pump_again(peer);
}

struct buf *stream_mem_received(struct stream_mem *peer)
{
    return &peer->outbox;
}

bool stream_mem_is_finished(const struct stream_mem *peer)
{
    return peer->finished;
}

bool stream_mem_is_closed(const struct stream_mem *peer)
{
    return peer->closed;
}
