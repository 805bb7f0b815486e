/* stream_mem.h - streams in memory, with faults on demand: the other side is the test. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/loop/stream.h"

struct stream_mem;

/* May be changed at any time. */
struct stream_mem_fault {
    size_t read_max; /* bytes that one on_bytes gets; 0: as many as fit */
    size_t write_max; /* bytes that one turn takes from the stream; 0: all */
    bool write_stalled; /* takes nothing */
    bool write_broken; /* the next write that cannot go out at once, and all after, fail */
};

/* A connected stream for the code under test; *peer is the test's end. Everything moves during loop turns. */
struct stream *stream_mem_open(struct loop *loop, struct stream_mem **peer);
/* After the stream has been closed by its owner. */
void stream_mem_destroy(struct stream_mem *peer);

struct stream_mem_fault *stream_mem_fault(struct stream_mem *peer);
/* Queues bytes for the stream. */
void stream_mem_send(struct stream_mem *peer, struct slice bytes);
/* After what is queued the stream sees the end, or a broken connection. */
void stream_mem_send_end(struct stream_mem *peer, enum status status);
/* What the stream has written so far; the test may consume it. */
struct buf *stream_mem_received(struct stream_mem *peer);
/* The stream has said that it writes no more. */
bool stream_mem_is_finished(const struct stream_mem *peer);
/* The owner has closed the stream and heard of it. */
bool stream_mem_is_closed(const struct stream_mem *peer);
