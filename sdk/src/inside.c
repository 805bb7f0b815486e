/* inside.c - runs inside of runs. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

enum {
    HABITS_MAX = 64, /* functions that one worker remembers; others are called through the node */
    CALLED_MAX = 16, /* functions that are told apart in the meters of one run */
    IDENT_BYTES_MAX = 128, /* a number for each depth behind that of the outermost; longer ones are cut */
    WORTH_NS = 200 * 1000, /* what a fan-out may take here: about two ways through the node */
};

/* What is known of a function from earlier runs inside. */
struct stead__habit {
    stead__handler_fn handler;
    bool acts; /* it does more than reading */
    bool known;
    uint64_t mean_ns; /* moving, and a run that was interrupted counts little */
    /* In the present run of the outermost. */
    char name[BOUND_NAME_BYTES_MAX + 1];
    uint64_t runs, runs_us;
};

/* A context whose runs are inside of another's. */
struct stead__inner {
    struct stead_ctx ctx; /* first */
    struct stead_ctx *outermost;
    uint32_t depth;
    bool acts; /* the present run wanted something that only the node can do */
    uint32_t asks, answers;
    char ident[IDENT_BYTES_MAX]; /* not from the caller's arena: it may call a million times */
    struct wire_invoke invoke;
    struct wire_result result;
};

static struct stead_ctx *outermost_of(struct stead_ctx *ctx)
{
    return ctx->inside_state.self ? ctx->inside_state.self->outermost : ctx;
}

/* ---- what an inner run may not do ---- */

static struct stead__inner *inner_of(void *owner)
{
    return owner;
}

static uint32_t refuse_ask(void *owner, struct wire_ask *ask)
{
    inner_of(owner)->acts = true;
    (void)ask; /* whatever it is */
    return ++inner_of(owner)->asks;
}

static void refuse_answer(void *owner, struct wire_answer *answer)
{
    *answer = (struct wire_answer){
        .ask = ++inner_of(owner)->answers,
        .status = STATUS_UNSUPPORTED,
        .failure = SLICE("this run is repeated elsewhere"),
    };
}

static stead__handler_fn pass_inside(void *owner, struct slice function, uint32_t left_ms)
{
    struct stead_ctx *outermost = inner_of(owner)->outermost;
    return outermost->inside(outermost->owner, function, left_ms);
}

static void pass_log(void *owner, uint64_t invocation, enum stead_log_level level, struct slice text)
{
    struct stead_ctx *outermost = inner_of(owner)->outermost;
    if (outermost->log) outermost->log(outermost->owner, invocation, level, text);
}

/* ---- contexts and habits ---- */

static struct stead__inner *inner_make(struct stead_ctx *ctx)
{
    if (ctx->inside_state.inner) return ctx->inside_state.inner->inside_state.self;
    struct stead__inner *inner = mem_zalloc(sizeof *inner);
    stead__ctx_init(&inner->ctx, ctx->view.snapshot);
    inner->ctx.clock = ctx->clock;
    inner->ctx.log = pass_log;
    inner->ctx.ask = refuse_ask;
    inner->ctx.answer = refuse_answer;
    inner->ctx.inside = pass_inside;
    inner->ctx.owner = inner;
    inner->ctx.inside_state.self = inner;
    inner->outermost = outermost_of(ctx);
    inner->depth = ctx->inside_state.self ? ctx->inside_state.self->depth + 1 : 1;
    ctx->inside_state.inner = &inner->ctx;
    return inner;
}

static struct stead__habit *habit_of(struct stead_ctx *ctx, stead__handler_fn handler)
{
    struct stead__inside *state = &outermost_of(ctx)->inside_state;
    for (size_t i = 0; i < state->habits_count; i++)
        if (state->habits[i].handler == handler) return &state->habits[i];
    if (state->habits_count == HABITS_MAX) return NULL;
    if (!state->habits) state->habits = mem_zalloc(HABITS_MAX * sizeof *state->habits);
    struct stead__habit *habit = &state->habits[state->habits_count++];
    habit->handler = handler;
    return habit;
}

/* The habit of a function that may be tried; NULL: it has to be called through the node. */
static struct stead__habit *may_run(struct stead_ctx *ctx, const char *function)
{
    struct stead__inner *self = ctx->inside_state.self;
    if (!ctx->inside || (self && (self->acts || self->depth >= BOUND_CALL_DEPTH_MAX))) return NULL;
    stead__handler_fn handler = ctx->inside(ctx->owner, slice_cstr(function), stead_time_left_ms(ctx));
    struct stead__habit *habit = handler ? habit_of(ctx, handler) : NULL;
    return habit && !habit->acts ? habit : NULL;
}

bool stead__inside_worth(struct stead_ctx *ctx, const struct stead_call *calls, size_t count)
{
    uint64_t together_ns = 0;
    for (size_t i = 0; i < count; i++)
    {
        const struct stead__habit *habit = may_run(ctx, calls[i].function);
        if (!habit || (count > 1 && !habit->known)) return false;
        together_ns += habit->mean_ns;
    }
    return count == 1 || together_ns < WORTH_NS;
}

/* One run that lost its processor must not send the next hundred through the node. */
static void habit_time(struct stead__habit *habit, uint64_t ns)
{
    if (!habit->known || ns < habit->mean_ns)
        habit->mean_ns = ns;
    else
        habit->mean_ns += ((ns < 4 * habit->mean_ns ? ns : 4 * habit->mean_ns) - habit->mean_ns) / 8 + 1;
    habit->known = true;
}

/* ---- a run ---- */

static void frame_fill(struct stead_ctx *ctx, struct stead__inner *inner, const struct stead_call *call)
{
    uint32_t number = outermost_of(ctx)->inside_state.runs++ + 1;
    inner->invoke.id = ctx->invoke->id;
    snprintf(inner->ident, sizeof inner->ident, "%s.%u", stead_invocation_id(ctx), number);
    inner->invoke.ident = slice_cstr(inner->ident);
    inner->invoke.function = slice_cstr(call->function);
    inner->invoke.entity = slice_cstr(call->entity ? call->entity : "");
    inner->invoke.timeout_ms = stead_time_left_ms(ctx);
    inner->invoke.snapshot = ctx->invoke->snapshot;
    inner->invoke.txn = ctx->invoke->txn;
    inner->invoke.attempt = 1;
    inner->invoke.origin = WIRE_ORIGIN_CALL;
    inner->invoke.headers.count = 0;
    inner->invoke.body = slice_make(call->data, call->size);
}

static bool only_read(const struct stead__inner *inner)
{
    return !inner->acts && inner->result.writes.size == 0 && inner->result.effects.size == 0;
}

bool stead__inside_run(struct stead_ctx *ctx, const struct stead_call *call,
                       const struct wire_result **result)
{
    struct stead__habit *habit = may_run(ctx, call->function);
    if (!habit) return false;
    struct stead__inner *inner = inner_make(ctx);
    stead__ctx_reset(&inner->ctx); /* what it lent to the caller before was copied */
    inner->acts = false;
    inner->asks = inner->answers = 0;
    frame_fill(ctx, inner, call);
    uint64_t began_ns = clock_monotonic_ns(ctx->clock);
    const char *outer = outermost_of(ctx)->inside_state.running;
    outermost_of(ctx)->inside_state.running = call->function;
    stead__ctx_run(&inner->ctx, &inner->invoke, habit->handler, &inner->result);
    outermost_of(ctx)->inside_state.running = outer;
    if (!only_read(inner))
    {
        habit->acts = true;
        return false;
    }
    habit_time(habit, clock_monotonic_ns(ctx->clock) - began_ns);
    habit->runs++;
    habit->runs_us += inner->result.run_us;
    size_t size = strlen(call->function);
    memcpy(habit->name, call->function, size < sizeof habit->name ? size + 1 : sizeof habit->name);
    ctx->rows_read += inner->result.rows_read;
    ctx->bytes_read += inner->result.bytes_read;
    *result = &inner->result;
    return true;
}

bool stead__inside_leave(struct stead_ctx *ctx)
{
    if (!ctx->inside_state.self) return false;
    ctx->inside_state.self->acts = true;
    return true;
}

/* ---- ends ---- */

struct slice stead__inside_called(struct stead_ctx *ctx)
{
    struct stead__inside *state = &ctx->inside_state;
    buf_reset(&state->called);
    for (size_t i = 0, told = 0; i < state->habits_count; i++)
    {
        struct stead__habit *habit = &state->habits[i];
        if (habit->runs == 0) continue;
        uint8_t us[8];
        for (int byte = 0; byte < 8; byte++) us[byte] = (uint8_t)(habit->runs_us >> (8 * byte));
        if (told++ < CALLED_MAX)
            wire_effect_encode(&state->called, &(struct wire_effect){
                                                   .kind = WIRE_EFFECT_CALLED,
                                                   .name = slice_cstr(habit->name),
                                                   .key = slice_make(us, sizeof us),
                                                   .number = habit->runs,
                                               });
        habit->runs = habit->runs_us = 0;
    }
    return buf_view(&state->called);
}

void stead__inside_reset(struct stead_ctx *ctx)
{
    ctx->inside_state.runs = 0;
}

void stead__inside_fini(struct stead_ctx *ctx)
{
    struct stead__inside *state = &ctx->inside_state;
    buf_fini(&state->called);
    free(state->habits);
    if (!state->inner) return;
    struct stead__inner *inner = state->inner->inside_state.self;
    stead__ctx_fini(&inner->ctx);
    free(inner);
}
