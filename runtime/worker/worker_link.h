/* worker_link.h - frames to and from one worker: batched writes, many frames a read, everything checked. */
// SPDX-License-Identifier: Apache-2.0
//
// A port: this is the version with a stream socket pair. The kernel copies what a worker sends, so nothing changes
// between our check and our use. Loop thread; callbacks come from the loop, or from worker_link_drain().
#pragma once

#include <stddef.h>

#include "messaging/wire/wire.h"

struct loop;
struct worker_link;

struct worker_link_handler {
    /* Slices are borrowed for the call. The link must not be closed inside of these. */
    void (*on_ready)(void *ctx, const struct wire_ready *ready);
    void (*on_result)(void *ctx, const struct wire_result *result);
    void (*on_log)(void *ctx, const struct wire_log *log);
    void (*on_ask)(void *ctx, const struct wire_ask *ask);
    /* The last callback. OK: the worker closed its end; FUNCTION_PROTOCOL: it sent what is no frame. */
    void (*on_end)(void *ctx, enum status status, const struct err *err);
};

/* `peer` is the worker's end, blocking; the caller closes it. NO_RESOURCES. */
MUST_CHECK enum status worker_link_open(struct loop *loop, const struct worker_link_handler *handler,
                                        void *ctx, struct worker_link **link, int *peer, struct err *err);
/* Encodes; goes out with the next flush. */
void worker_link_send(struct worker_link *link, const struct wire_invoke *message);
void worker_link_answer(struct worker_link *link, const struct wire_answer *message);
/* One write for all that was sent since; what the socket does not take follows when it can. */
void worker_link_flush(struct worker_link *link);
/* Bytes that the worker has not taken from us yet. */
size_t worker_link_backlog(const struct worker_link *link);
/* Larger frames of the worker are a breach of the protocol, told as soon as they are announced: nobody can make us hold
 * more than its own memory could. */
void worker_link_limit(struct worker_link *link, size_t frame_bytes_max);
/* After what this turn reads nothing is read for so long, all calls of the turn together; what is full blocks the worker
 * meanwhile: for one that sends so much that others would have to wait. */
void worker_link_rest(struct worker_link *link, uint32_t us);
/* Nothing is read any more: the worker is condemned. */
void worker_link_mute(struct worker_link *link);
/* Reads what a dead worker has left behind, without a rest. */
void worker_link_drain(struct worker_link *link);
void worker_link_close(struct worker_link *link);
