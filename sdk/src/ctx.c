/* ctx.c - an invocation from its frame to its result: run, failures, identity, memory. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/ctx.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "sdk/src/inside.h"

enum { BUFFER_BYTES_KEPT = 1 * MIB }; /* a larger buffer is given back after the invocation */

void stead__ctx_init(struct stead_ctx *ctx, struct stead__snapshot *snapshot)
{
    memset(ctx, 0, sizeof *ctx);
    ctx->clock = clock_real();
    ctx->arena = STEAD__ARENA_INIT;
    stead__view_init(&ctx->view, &ctx->arena, snapshot);
    stead__reply_init(&ctx->reply);
}

void stead__ctx_fini(struct stead_ctx *ctx)
{
    stead__channels_reset(&ctx->channels);
    stead__channels_fini(&ctx->channels);
    stead__view_fini(&ctx->view);
    stead__arena_fini(&ctx->arena);
    buf_fini(&ctx->reply.body);
    buf_fini(&ctx->reads);
    buf_fini(&ctx->writes);
    buf_fini(&ctx->effects);
    stead__inside_fini(ctx);
    buf_fini(&ctx->key);
    buf_fini(&ctx->scratch);
}

/* ---- run ---- */

static void begin(struct stead_ctx *ctx, const struct wire_invoke *invoke)
{
    ctx->invoke = invoke;
    ctx->texts = (struct stead__texts){0};
    ctx->failure.status = STEAD_OK;
    ctx->has_id_chance = false;
    ctx->rows_read = 0;
    ctx->bytes_read = 0;
    ctx->effects_count = 0;
    stead__channels_begin(ctx);
    ctx->stream = STEAD__STREAM_NONE;
    ctx->started_ns = clock_monotonic_ns(ctx->clock);
    ctx->now_ms = clock_wall_ms(ctx->clock);
}

static const char *const status_names[] = {
    [STEAD_OK] = "STEAD_OK",
    [STEAD_NOT_FOUND] = "STEAD_NOT_FOUND",
    [STEAD_FAILED] = "STEAD_FAILED",
    [STEAD_INVALID_ARGUMENT] = "STEAD_INVALID_ARGUMENT",
    [STEAD_KEY_TOO_LONG] = "STEAD_KEY_TOO_LONG",
    [STEAD_VALUE_TOO_LARGE] = "STEAD_VALUE_TOO_LARGE",
    [STEAD_WRITE_SET_TOO_LARGE] = "STEAD_WRITE_SET_TOO_LARGE",
    [STEAD_READ_SET_TOO_LARGE] = "STEAD_READ_SET_TOO_LARGE",
    [STEAD_NOT_A_NUMBER] = "STEAD_NOT_A_NUMBER",
    [STEAD_REPLY_TOO_LARGE] = "STEAD_REPLY_TOO_LARGE",
    [STEAD_STORE_FAILED] = "STEAD_STORE_FAILED",
    [STEAD_CALL_FAILED] = "STEAD_CALL_FAILED",
    [STEAD_EFFECTS_TOO_LARGE] = "STEAD_EFFECTS_TOO_LARGE",
    [STEAD_TIMED_OUT] = "STEAD_TIMED_OUT",
    [STEAD_NOT_ALLOWED] = "STEAD_NOT_ALLOWED",
    [STEAD_UNREACHABLE] = "STEAD_UNREACHABLE",
    [STEAD_CLIENT_GONE] = "STEAD_CLIENT_GONE",
};

/* A handler that returns an error without having said why: its number is all that is known. */
static void fail_by_return(struct stead_ctx *ctx, enum stead_status returned)
{
    unsigned number = (unsigned)returned;
    if (number < sizeof status_names / sizeof status_names[0])
        (void)stead_fail(ctx, "the handler returned %s", status_names[number]);
    else
        (void)stead_fail(ctx, "the handler returned %u", number);
}

static void run(struct stead_ctx *ctx, stead__handler_fn handler)
{
    struct err err;
    const struct wire_invoke *invoke = ctx->invoke;
    if (stead__view_begin(&ctx->view, invoke->chain, invoke->follows, invoke->validate, &err) != STATUS_OK)
    {
        (void)stead__fail(ctx, NULL, err.status, &err);
        return;
    }
    if (!handler)
    {
        (void)stead__fail_text(ctx, NULL, STATUS_FUNCTION_NOT_FOUND, "the code has no function `%.*s`",
                               SLICE_FMT(ctx->invoke->function));
        return;
    }
    enum stead_status returned = handler(ctx);
    if (returned != STEAD_OK && ctx->failure.status == STEAD_OK) fail_by_return(ctx, returned);
}

static void fill_failure(const struct stead_ctx *ctx, struct wire_result *result)
{
    const struct stead__failure *failure = &ctx->failure;
    bool gave_up = failure->cause == STATUS_FUNCTION_ERROR;
    result->outcome = gave_up ? WIRE_OUTCOME_ERROR : WIRE_OUTCOME_STATUS;
    result->status = gave_up ? STATUS_OK : failure->cause;
    result->failure = slice_make(failure->text, strnlen(failure->text, BOUND_FAILURE_TEXT_BYTES_MAX));
    result->http_status = failure->http_status;
}

static void fill_reply(struct stead_ctx *ctx, struct wire_result *result)
{
    stead__reply_finish(ctx);
    result->outcome = WIRE_OUTCOME_OK;
    result->http_status = ctx->reply.http_status;
    result->body = buf_view(&ctx->reply.body);
    result->headers.count = ctx->reply.headers.count;
    memcpy(result->headers.items, ctx->reply.headers.items,
           ctx->reply.headers.count * sizeof ctx->reply.headers.items[0]);
    stead__view_encode_writes(&ctx->view, &ctx->writes);
    result->writes = buf_view(&ctx->writes);
    result->effects = buf_view(&ctx->effects);
}

static uint32_t saturated_us(uint64_t ns)
{
    uint64_t us = ns / NS_PER_US;
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void stead__ctx_run(struct stead_ctx *ctx, const struct wire_invoke *invoke, stead__handler_fn handler,
                    struct wire_result *result)
{
    begin(ctx, invoke);
    run(ctx, handler);
    result->run_us = saturated_us(clock_monotonic_ns(ctx->clock) - ctx->started_ns);

    bool ok = ctx->failure.status == STEAD_OK;
    result->id = invoke->id;
    result->status = STATUS_OK;
    result->failure = result->body = result->reads = result->writes = result->effects = SLICE_EMPTY;
    result->called = stead__inside_called(ctx);
    result->headers.count = 0;
    result->cpu_us = result->peak_kib = 0;
    result->rows_read = ctx->rows_read;
    result->bytes_read = ctx->bytes_read;
    if (ok)
        fill_reply(ctx, result);
    else
        fill_failure(ctx, result);
    if (invoke->validate || result->writes.size > 0 || result->effects.size > 0)
    {
        stead__view_encode_reads(&ctx->view, &ctx->reads);
        result->reads = buf_view(&ctx->reads);
    }
    stead__view_end(&ctx->view, ok);
}

static void reset_buffer(struct buf *buf)
{
    if (buf->capacity > BUFFER_BYTES_KEPT)
        buf_fini(buf);
    else
        buf_reset(buf);
}

void stead__ctx_reset(struct stead_ctx *ctx)
{
    stead__channels_reset(&ctx->channels);
    stead__arena_reset(&ctx->arena);
    stead__reply_reset(&ctx->reply);
    reset_buffer(&ctx->reply.body);
    reset_buffer(&ctx->reads);
    reset_buffer(&ctx->writes);
    reset_buffer(&ctx->effects);
    stead__inside_reset(ctx);
    reset_buffer(&ctx->scratch);
    ctx->invoke = NULL;
}

/* ---- failures ---- */

static enum stead_status public_status(enum status cause)
{
    switch (cause)
    {
    case STATUS_OK:
        return STEAD_OK;
    case STATUS_NOT_FOUND:
        return STEAD_NOT_FOUND;
    case STATUS_ENTITY_INVALID:
    case STATUS_INVALID_ARGUMENT:
    case STATUS_CHANNEL_NOT_FOUND:
    case STATUS_CHANNEL_KIND:
        return STEAD_INVALID_ARGUMENT;
    case STATUS_KEY_TOO_LONG:
        return STEAD_KEY_TOO_LONG;
    case STATUS_VALUE_TOO_LARGE:
        return STEAD_VALUE_TOO_LARGE;
    case STATUS_WRITE_SET_TOO_LARGE:
        return STEAD_WRITE_SET_TOO_LARGE;
    case STATUS_READ_SET_TOO_LARGE:
        return STEAD_READ_SET_TOO_LARGE;
    case STATUS_NOT_A_NUMBER:
        return STEAD_NOT_A_NUMBER;
    case STATUS_REPLY_TOO_LARGE:
        return STEAD_REPLY_TOO_LARGE;
    case STATUS_STORE_IO:
    case STATUS_STORE_CORRUPT:
        return STEAD_STORE_FAILED;
    case STATUS_CALL_FAILED:
    case STATUS_CALL_CYCLE:
    case STATUS_CALL_TOO_DEEP:
        return STEAD_CALL_FAILED;
    case STATUS_EFFECTS_TOO_LARGE:
    case STATUS_MESSAGE_TOO_LARGE:
        return STEAD_EFFECTS_TOO_LARGE;
    case STATUS_DEADLINE_EXCEEDED:
        return STEAD_TIMED_OUT;
    case STATUS_PERMISSION_DENIED:
        return STEAD_NOT_ALLOWED;
    case STATUS_CANCELED:
        return STEAD_CLIENT_GONE;
    default:
        return STEAD_FAILED;
    }
}

enum stead_status stead__fail_text(struct stead_ctx *ctx, const char *call, enum status cause,
                                   const char *format, ...)
{
    enum stead_status status = public_status(cause);
    struct stead__failure *failure = &ctx->failure;
    if (failure->status != STEAD_OK) return status; /* the first one is the reason for what follows */
    failure->status = status;
    failure->cause = cause;
    failure->http_status = 200;
    int used = call ? snprintf(failure->text, sizeof failure->text, "%s: ", call) : 0;
    va_list args;
    va_start(args, format);
    vsnprintf(failure->text + used, sizeof failure->text - (size_t)used, format, args);
    va_end(args);
    return status;
}

enum stead_status stead__fail(struct stead_ctx *ctx, const char *call, enum status cause,
                              const struct err *err)
{
    return stead__fail_text(ctx, call, cause, "%s", err_text(err));
}

/* The handler's own words replace what a call of it may have said before. */
static enum stead_status give_up(struct stead_ctx *ctx, uint32_t http_status, const char *format,
                                 va_list args)
{
    struct stead__failure *failure = &ctx->failure;
    failure->status = STEAD_FAILED;
    failure->cause = STATUS_FUNCTION_ERROR;
    failure->http_status = http_status;
    vsnprintf(failure->text, sizeof failure->text, format, args);
    return STEAD_FAILED;
}

enum stead_status stead_fail(struct stead_ctx *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum stead_status status = give_up(ctx, 200, format, args);
    va_end(args);
    return status;
}

enum stead_status stead_reject(struct stead_ctx *ctx, int http_status, const char *format, ...)
{
    bool is_error = http_status >= 400 && http_status <= 599;
    va_list args;
    va_start(args, format);
    enum stead_status status = give_up(ctx, is_error ? (uint32_t)http_status : 500, format, args);
    va_end(args);
    return status;
}

enum stead_status stead_failure(struct stead_ctx *ctx)
{
    return ctx->failure.status;
}

void stead_failure_clear(struct stead_ctx *ctx)
{
    ctx->failure.status = STEAD_OK;
}

/* ---- the invocation itself ---- */

const char *stead_invocation_id(struct stead_ctx *ctx)
{
    if (!ctx->texts.ident) ctx->texts.ident = stead__arena_text(&ctx->arena, ctx->invoke->ident);
    return ctx->texts.ident;
}

const char *stead_function_name(struct stead_ctx *ctx)
{
    if (!ctx->texts.function) ctx->texts.function = stead__arena_text(&ctx->arena, ctx->invoke->function);
    return ctx->texts.function;
}

uint32_t stead_attempt(struct stead_ctx *ctx)
{
    return ctx->invoke->attempt;
}

uint32_t stead_time_left_ms(struct stead_ctx *ctx)
{
    uint64_t ran_ms = (clock_monotonic_ns(ctx->clock) - ctx->started_ns) / NS_PER_MS;
    return ran_ms < ctx->invoke->timeout_ms ? (uint32_t)(ctx->invoke->timeout_ms - ran_ms) : 0;
}

int64_t stead_now_ms(struct stead_ctx *ctx)
{
    return (int64_t)ctx->now_ms;
}

/* ---- ids ---- */

/* Without the letters that are taken for digits or for one another; in the order of their bytes. */
static const char id_letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void next_id_chance(struct stead_ctx *ctx)
{
    if (!ctx->has_id_chance)
    {
        CHECK(getrandom(ctx->id_chance, sizeof ctx->id_chance, 0) == sizeof ctx->id_chance);
        ctx->id_chance[0] &= 0x7f; /* room to count up without an overflow */
        ctx->has_id_chance = true;
        return;
    }
    for (int i = STEAD__ID_CHANCE_BYTES - 1; i >= 0 && ++ctx->id_chance[i] == 0;) i--;
}

/* 48 bits of time and 80 bits of chance, 5 bits a letter from the front, two zero bits ahead of them:
 * 130 bits. */
const char *stead_new_id(struct stead_ctx *ctx)
{
    next_id_chance(ctx);
    uint8_t bytes[6 + STEAD__ID_CHANCE_BYTES];
    for (int i = 0; i < 6; i++) bytes[i] = (uint8_t)(ctx->now_ms >> (40 - 8 * i));
    memcpy(bytes + 6, ctx->id_chance, sizeof ctx->id_chance);
    char *id = stead__arena_alloc(&ctx->arena, STEAD__ID_CHARS + 1);
    for (int letter = 0; letter < STEAD__ID_CHARS; letter++)
    {
        unsigned value = 0;
        for (int bit = letter * 5 - 2; bit < letter * 5 + 3; bit++)
            value = value << 1 | (bit < 0 ? 0 : (bytes[bit / 8] >> (7 - bit % 8) & 1));
        id[letter] = id_letters[value];
    }
    id[STEAD__ID_CHARS] = 0;
    return id;
}

/* ---- memory and log ---- */

void *stead_alloc(struct stead_ctx *ctx, size_t size)
{
    return memset(stead__arena_alloc(&ctx->arena, size), 0, size);
}

char *stead_format(struct stead_ctx *ctx, const char *format, ...)
{
    buf_reset(&ctx->scratch);
    va_list args;
    va_start(args, format);
    buf_vprintf(&ctx->scratch, format, args);
    va_end(args);
    return stead__arena_text(&ctx->arena, buf_view(&ctx->scratch));
}

void stead_log(struct stead_ctx *ctx, enum stead_log_level level, const char *format, ...)
{
    char line[BOUND_LOG_LINE_BYTES_MAX + 1];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (size < 0) return; /* a format that printf refuses */
    if ((size_t)size >= sizeof line) size = sizeof line - 1;
    if ((int)level < STEAD_DEBUG) level = STEAD_DEBUG;
    if (level > STEAD_ERROR) level = STEAD_ERROR;
    if (ctx->log) ctx->log(ctx->owner, ctx->invoke->id, level, slice_make(line, (size_t)size));
}
