/* chain.c - ten functions, each hands 1 KiB to the next: nested calls, calls in sequence, with a row each or without. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <stead/stead.h>

enum { STEPS = 10, STATE_BYTES = 1024 };

/* What came; the first of a chain gets nothing, and begins with 1 KiB of `a`. */
static struct stead_bytes state_of(struct stead_ctx *ctx)
{
    static char first[STATE_BYTES];
    struct stead_bytes body = stead_body(ctx);
    if (body.size > 0) return body;
    memset(first, 'a', sizeof first);
    return (struct stead_bytes){first, sizeof first};
}

/* What every step does: the next letter. The work itself shall cost nothing. */
static struct stead_bytes work_on(struct stead_ctx *ctx)
{
    struct stead_bytes state = state_of(ctx);
    char *done = stead_alloc(ctx, state.size);
    for (size_t i = 0; i < state.size; i++) done[i] = (char)(((const char *)state.data)[i] + 1);
    return (struct stead_bytes){done, state.size};
}

/* One step of a sequence. */
static enum stead_status step(struct stead_ctx *ctx, bool writes)
{
    struct stead_bytes state = work_on(ctx);
    if (writes) stead_put(ctx, "state", state.data, state.size);
    return stead_reply_bytes(ctx, state.data, state.size);
}

/* One step that calls the next one; the answer of the last comes back through all. The entity says how many are left. */
static enum stead_status nested(struct stead_ctx *ctx, const char *self, bool writes)
{
    long left = strtol(stead_entity(ctx), NULL, 10);
    struct stead_bytes state = work_on(ctx);
    struct stead_answer answer = {.body = state};
    if (left < 1 || left > STEPS) return stead_reject(ctx, 400, "say how many steps: 1 to %d", STEPS);
    if (writes) stead_put(ctx, "state", state.data, state.size);
    const char *next = stead_format(ctx, "%ld", left - 1);
    if (left > 1 && stead_call(ctx, self, next, state.data, state.size, &answer) != STEAD_OK)
        return STEAD_FAILED;
    return stead_reply_bytes(ctx, answer.body.data, answer.body.size);
}

STEAD_FUNCTION(step_reads)
{
    return step(ctx, false);
}
STEAD_FUNCTION(step_writes)
{
    return step(ctx, true);
}
STEAD_FUNCTION(nested_reads)
{
    return nested(ctx, "nested_reads", false);
}
STEAD_FUNCTION(nested_writes)
{
    return nested(ctx, "nested_writes", true);
}

static enum stead_status sequence(struct stead_ctx *ctx, const char *function)
{
    struct stead_answer answer = {.body = state_of(ctx)};
    for (int i = 1; i <= STEPS; i++)
    {
        const char *entity = stead_format(ctx, "%d", i);
        if (stead_call(ctx, function, entity, answer.body.data, answer.body.size, &answer) != STEAD_OK)
            return STEAD_FAILED;
    }
    return stead_reply_bytes(ctx, answer.body.data, answer.body.size);
}

STEAD_FUNCTION(sequence_reads)
{
    return sequence(ctx, "step_reads");
}
STEAD_FUNCTION(sequence_writes)
{
    return sequence(ctx, "step_writes");
}
