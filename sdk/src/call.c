/* call.c - calls and sends: other functions of the app. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/base/bounds.h"
#include "sdk/src/ctx.h"
#include "sdk/src/inside.h"

/* ---- effects ---- */

enum stead_status stead__entity_check(struct stead_ctx *ctx, const char *call, const char *entity)
{
    size_t size = entity ? strlen(entity) : 0;
    if (size <= BOUND_ENTITY_BYTES_MAX) return STEAD_OK;
    return stead__fail_text(ctx, call, STATUS_ENTITY_INVALID,
                            "the entity key has %zu bytes, at most %d are allowed", size,
                            BOUND_ENTITY_BYTES_MAX);
}

enum stead_status stead__effect(struct stead_ctx *ctx, const char *call, const struct wire_effect *effect)
{
    if (ctx->effects_count == BOUND_EFFECTS_COUNT_MAX ||
        ctx->effects.size + effect->body.size > BOUND_EFFECTS_BYTES_MAX)
        return stead__fail_text(ctx, call, STATUS_EFFECTS_TOO_LARGE,
                                "at most %d sends and messages with %llu MiB may leave with one invocation",
                                BOUND_EFFECTS_COUNT_MAX, BOUND_EFFECTS_BYTES_MAX / MIB);
    wire_effect_encode(&ctx->effects, effect);
    ctx->effects_count++;
    return STEAD_OK;
}

/* ---- calls ---- */

static enum stead_status call_check(struct stead_ctx *ctx, const char *call, const char *function,
                                    const char *entity, size_t size)
{
    size_t name_size = function ? strlen(function) : 0;
    if (name_size == 0 || name_size > BOUND_NAME_BYTES_MAX)
        return stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT,
                                "a function name has 1 to %d bytes, this one %zu", BOUND_NAME_BYTES_MAX,
                                name_size);
    if (size > BOUND_HTTP_BODY_BYTES_MAX)
        return stead__fail_text(ctx, call, STATUS_BODY_TOO_LARGE,
                                "the payload for %s has %zu bytes, at most %llu are allowed", function, size,
                                BOUND_HTTP_BODY_BYTES_MAX);
    return stead__entity_check(ctx, call, entity);
}

static uint32_t ask(struct stead_ctx *ctx, const struct stead_call *call)
{
    return ctx->ask(ctx->owner, &(struct wire_ask){
                                    .kind = WIRE_ASK_CALL,
                                    .name = slice_cstr(call->function),
                                    .key = slice_cstr(call->entity ? call->entity : ""),
                                    .number = stead_time_left_ms(ctx),
                                    .body = slice_make(call->data, call->size),
                                });
}

/* What nobody wants is not kept: it would stay until the handler returns, and there may be a million calls. */
static void take_answer(struct stead_ctx *ctx, const struct wire_answer *from, bool wanted,
                        struct stead_answer *to)
{
    to->status = from->status == STATUS_OK ? STEAD_OK : STEAD_CALL_FAILED;
    to->http_status = (int)from->http_status;
    to->error = from->status == STATUS_OK ? NULL : stead__arena_text(&ctx->arena, from->failure);
    if (!wanted) return;
    to->content_type = stead__arena_text(&ctx->arena, from->type);
    to->body = (struct stead_bytes){.data = "", .size = from->body.size};
    if (from->body.size) to->body.data = stead__arena_text(&ctx->arena, from->body);
}

/* The result of a run inside of this one, as the node would tell it. */
static void answer_from(const struct wire_result *result, struct wire_answer *answer)
{
    *answer = (struct wire_answer){.http_status = result->http_status, .body = result->body};
    for (size_t i = 0; i < result->headers.count; i++)
        if (slice_is(result->headers.items[i].name, "content-type"))
            answer->type = result->headers.items[i].value;
    if (result->outcome == WIRE_OUTCOME_OK) return;
    answer->status = result->outcome == WIRE_OUTCOME_STATUS ? result->status : STATUS_FUNCTION_ERROR;
    answer->failure = result->failure;
    if (result->http_status < 400) answer->http_status = (uint32_t)status_http(answer->status);
}

/* What becomes of all answers, and the first call that failed, for the words of the caller's own failure. */
struct verdict {
    bool wanted;
    const struct stead_call *failed;
    enum status cause;
};

static void settle(struct stead_ctx *ctx, struct stead_call *call, const struct wire_answer *answer,
                   struct verdict *verdict)
{
    take_answer(ctx, answer, verdict->wanted, &call->answer);
    if (answer->status == STATUS_OK || verdict->failed) return;
    verdict->failed = call;
    verdict->cause = answer->status;
}

/* How many of them, from the first on, were done in this worker. */
static size_t call_inside(struct stead_ctx *ctx, struct stead_call *calls, size_t count,
                          struct verdict *verdict)
{
    if (!stead__inside_worth(ctx, calls, count)) return 0;
    for (size_t i = 0; i < count; i++)
    {
        const struct wire_result *result;
        struct wire_answer answer;
        if (!stead__inside_run(ctx, &calls[i], &result)) return i;
        answer_from(result, &answer);
        settle(ctx, &calls[i], &answer, verdict);
    }
    return count;
}

static void call_outside(struct stead_ctx *ctx, struct stead_call *calls, size_t count,
                         struct verdict *verdict)
{
    uint32_t first = 0;
    for (size_t i = 0; i < count; i++)
    {
        uint32_t number = ask(ctx, &calls[i]);
        if (i == 0) first = number;
    }
    for (size_t i = 0; i < count; i++)
    {
        struct wire_answer answer;
        ctx->answer(ctx->owner, &answer);
        settle(ctx, &calls[answer.ask - first], &answer, verdict);
    }
}

static enum stead_status call_all(struct stead_ctx *ctx, const char *name, struct stead_call *calls,
                                  size_t count, bool wanted)
{
    if (count > BOUND_ASKS_AT_ONCE_MAX)
        return stead__fail_text(ctx, name, STATUS_INVALID_ARGUMENT,
                                "%zu calls at once; at most %d are allowed", count, BOUND_ASKS_AT_ONCE_MAX);
    for (size_t i = 0; i < count; i++)
    {
        enum stead_status status = call_check(ctx, name, calls[i].function, calls[i].entity, calls[i].size);
        if (status != STEAD_OK) return status;
    }
    struct verdict verdict = {.wanted = wanted};
    size_t done = call_inside(ctx, calls, count, &verdict);
    if (done < count && !ctx->ask)
        return stead__fail_text(ctx, name, STATUS_UNSUPPORTED, "there are no other functions here");
    if (done < count) call_outside(ctx, calls + done, count - done, &verdict);
    const struct stead_call *failed = verdict.failed;
    enum status cause = verdict.cause;
    if (!failed) return STEAD_OK;
    bool refused = cause == STATUS_CALL_CYCLE || cause == STATUS_CALL_TOO_DEEP;
    (void)stead__fail_text(ctx, NULL, refused ? cause : STATUS_CALL_FAILED, "%s%s%s: %s: %s",
                           failed->function, failed->entity && failed->entity[0] ? "/" : "",
                           failed->entity ? failed->entity : "", status_code(cause), failed->answer.error);
    return STEAD_CALL_FAILED;
}

enum stead_status stead_call_all(struct stead_ctx *ctx, struct stead_call *calls, size_t count)
{
    return call_all(ctx, "stead_call_all", calls, count, true);
}

enum stead_status stead_call(struct stead_ctx *ctx, const char *function, const char *entity,
                             const void *data, size_t size, struct stead_answer *answer)
{
    struct stead_call call = {.function = function, .entity = entity, .data = data, .size = size};
    enum stead_status status = call_all(ctx, "stead_call", &call, 1, answer != NULL);
    if (answer) *answer = call.answer;
    return status;
}

/* ---- sends ---- */

enum stead_status stead_send_at(struct stead_ctx *ctx, int64_t at_ms, const char *function,
                                const char *entity, const void *data, size_t size)
{
    enum stead_status status = call_check(ctx, "stead_send", function, entity, size);
    if (status != STEAD_OK) return status;
    return stead__effect(ctx, "stead_send",
                         &(struct wire_effect){
                             .kind = WIRE_EFFECT_SEND,
                             .name = slice_cstr(function),
                             .key = slice_cstr(entity ? entity : ""),
                             .number = at_ms > 0 ? (uint64_t)at_ms : 0,
                             .body = slice_make(data, size),
                         });
}

enum stead_status stead_send(struct stead_ctx *ctx, const char *function, const char *entity,
                             const void *data, size_t size)
{
    return stead_send_at(ctx, 0, function, entity, data, size);
}

const char *stead_origin(struct stead_ctx *ctx)
{
    static const char *const names[] = {"http", "call", "send", "channel", "socket"};
    _Static_assert(sizeof names / sizeof names[0] == WIRE_ORIGIN_MAX + 1, "each origin has a name");
    return names[ctx->invoke->origin];
}
