/* streams.c - the first piece waits for what was seen; the others go straight to who takes the reply. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/streams.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/invoke/invocation.h"

/* A first piece that waits: for those before it in its chain, then for the disk. */
struct held_piece {
    struct invocation *invocation; /* NULL: its run is over */
    struct wire_ask ask; /* its slices are below */
    bool waits_for_disk;
    struct store_waiter waiter;
    char bytes[];
};

static void answer(struct invocation *invocation, const struct wire_ask *ask, enum status status,
                   const char *words)
{
    invocation_answer(invocation, &(struct wire_answer){
                                      .ask = ask->ask,
                                      .status = status,
                                      .failure = slice_cstr(words),
                                  });
}

static void piece_go(struct invocation *invocation, const struct wire_ask *ask)
{
    struct invoke_stream *stream = invocation->request.stream;
    invocation->streamed = true;
    stream->piece(stream, invocation, ask);
}

/* ---- the first piece ---- */

static struct held_piece *hold(struct invocation *invocation, const struct wire_ask *ask)
{
    struct held_piece *held = mem_alloc(sizeof *held + ask->key.size + ask->body.size);
    *held = (struct held_piece){.invocation = invocation, .ask = *ask};
    held->ask.name = held->ask.type = SLICE_EMPTY;
    if (ask->key.size) memcpy(held->bytes, ask->key.data, ask->key.size);
    if (ask->body.size) memcpy(held->bytes + ask->key.size, ask->body.data, ask->body.size);
    held->ask.key = slice_make(held->bytes, ask->key.size);
    held->ask.body = slice_make(held->bytes + ask->key.size, ask->body.size);
    invocation->held_piece = held;
    return held;
}

/* Is all that it has seen committed? */
static bool nothing_before(const struct invocation *invocation)
{
    return invocation->first || !invocation->lane ||
           (invocation->lane->sent == 1 && !invocation->lane->broken);
}

static void held_go(struct held_piece *held)
{
    struct invocation *invocation = held->invocation;
    invocation->held_piece = NULL;
    piece_go(invocation, &held->ask);
    free(held);
}

static void on_durable(struct store_waiter *waiter)
{
    struct held_piece *held = CONTAINER_OF(waiter, struct held_piece, waiter);
    struct invocation *invocation = held->invocation;
    if (invocation && waiter->status == STATUS_OK)
    {
        held_go(held);
        return;
    }
    if (invocation)
    {
        invocation->held_piece = NULL;
        answer(invocation, &held->ask, waiter->status, "what it read could not be made durable");
    }
    free(held);
}

/* Nothing before it is under way any more: its writes are in the newest applied version, if not in its snapshot. */
static void held_wait(struct held_piece *held)
{
    struct invocation *invocation = held->invocation;
    struct store *store = invocation->partition->store;
    uint64_t seq = invocation->first ? store_snapshot_seq(invocation->snapshot) : store_applied_seq(store);
    held->waits_for_disk = true;
    held->waiter = (struct store_waiter){.seq = seq, .durable = on_durable};
    if (invocation->function->relaxed || store_wait_durable(store, &held->waiter)) held_go(held);
}

void streams_pump(struct lane *lane)
{
    struct entity_chain *chain = lane->owner;
    struct invocation *invocation = chain ? chain->asking : NULL;
    struct held_piece *held = invocation ? invocation->held_piece : NULL;
    if (!held || held->waits_for_disk) return;
    if (lane->broken)
    {
        /* What it saw has never been: it will run again. */
        invocation->held_piece = NULL;
        answer(invocation, &held->ask, STATUS_CONFLICT,
               "an earlier invocation of the entity was not committed");
        free(held);
    }
    else if (nothing_before(invocation))
        held_wait(held);
}

/* ---- all pieces ---- */

void streams_ask(struct invocation *invocation, const struct wire_ask *ask)
{
    const struct invoke_request *request = &invocation->request;
    if (!request->stream || request->has_idempotency_key)
    {
        answer(invocation, ask, STATUS_UNSUPPORTED, "who gets the reply takes it whole");
        return;
    }
    if (ask->body.size > BOUND_STREAM_PIECE_BYTES_MAX || ask->key.size > 2 * BOUND_REPLY_HEADER_BYTES_MAX ||
        invocation->held_piece)
    {
        answer(invocation, ask, STATUS_REPLY_TOO_LARGE, "a piece of a streamed reply is too large");
        return;
    }
    if (invocation->streamed)
    {
        piece_go(invocation, ask);
        return;
    }
    struct held_piece *held = hold(invocation, ask);
    struct lane *lane = invocation->lane;
    if (lane) ((struct entity_chain *)lane->owner)->asking = invocation;
    if (nothing_before(invocation))
        held_wait(held);
    else
        streams_pump(lane);
}

void streams_over(struct invocation *invocation)
{
    struct held_piece *held = invocation->held_piece;
    invocation->held_piece = NULL;
    if (held && held->waits_for_disk)
        held->invocation = NULL; /* the disk will free it */
    else
        free(held);
    struct invoke_stream *stream = invocation->request.stream;
    if (invocation->streamed && stream->over) stream->over(stream);
}
