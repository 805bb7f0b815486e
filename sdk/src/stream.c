/* stream.c - a reply in pieces, and as server-sent events. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/base/bounds.h"
#include "sdk/src/ctx.h"

/* Status and headers as the first piece carries them. */
static void write_head(struct stead_ctx *ctx, struct buf *lines)
{
    stead__reply_finish(ctx);
    buf_reset(lines);
    const struct wire_headers *headers = &ctx->reply.headers;
    for (size_t i = 0; i < headers->count; i++)
        buf_printf(lines, "%.*s: %.*s\n", SLICE_FMT(headers->items[i].name),
                   SLICE_FMT(headers->items[i].value));
}

/* Sends one piece and waits until there is room for the next. */
static enum stead_status send_piece(struct stead_ctx *ctx, struct slice piece)
{
    struct wire_ask ask = {.kind = WIRE_ASK_STREAM, .body = piece};
    if (ctx->stream == STEAD__STREAM_NONE)
    {
        write_head(ctx, &ctx->key);
        ask.key = buf_view(&ctx->key);
        ask.number = ctx->reply.http_status;
    }
    (void)ctx->ask(ctx->owner, &ask);
    struct wire_answer answer;
    ctx->answer(ctx->owner, &answer);
    if (answer.status == STATUS_OK)
    {
        ctx->stream = STEAD__STREAM_ON;
        return STEAD_OK;
    }
    if (answer.status == STATUS_UNSUPPORTED && ctx->stream == STEAD__STREAM_NONE)
    {
        ctx->stream = STEAD__STREAM_GATHERED;
        return STEAD_OK;
    }
    return stead__fail_text(ctx, "stead_stream", answer.status, "%.*s", SLICE_FMT(answer.failure));
}

/* What has been replied so far, as pieces. */
static enum stead_status send_body(struct stead_ctx *ctx)
{
    struct buf *body = &ctx->reply.body;
    size_t sent = 0;
    while (sent < body->size || ctx->stream == STEAD__STREAM_NONE)
    {
        size_t size = body->size - sent;
        if (size > BOUND_STREAM_PIECE_BYTES_MAX) size = BOUND_STREAM_PIECE_BYTES_MAX;
        enum stead_status status = send_piece(ctx, slice_make(body->data + sent, size));
        if (status != STEAD_OK || ctx->stream == STEAD__STREAM_GATHERED) return status;
        sent += size;
    }
    buf_reset(body);
    return STEAD_OK;
}

enum stead_status stead_stream(struct stead_ctx *ctx, const void *data, size_t size)
{
    enum stead_status status = stead_reply_bytes(ctx, data, size);
    if (status != STEAD_OK) return status;
    if (!ctx->ask) ctx->stream = STEAD__STREAM_GATHERED;
    return ctx->stream == STEAD__STREAM_GATHERED ? STEAD_OK : send_body(ctx);
}

enum stead_status stead_stream_text(struct stead_ctx *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum stead_status status = stead_vreply(ctx, format, args);
    va_end(args);
    return status == STEAD_OK ? stead_stream(ctx, NULL, 0) : status;
}

/* ---- server-sent events ---- */

static bool is_one_line(const char *text)
{
    return !text || !strpbrk(text, "\r\n");
}

/* Each line of the data is a field of its own; \n, \r\n and \r end lines. */
static void put_data(struct buf *out, const char *data)
{
    for (const char *at = data;;)
    {
        size_t size = strcspn(at, "\r\n");
        buf_append_cstr(out, "data: ");
        buf_append(out, slice_make(at, size));
        buf_append_byte(out, '\n');
        at += size;
        if (!*at) return;
        at += at[0] == '\r' && at[1] == '\n' ? 2 : 1;
    }
}

enum stead_status stead_event(struct stead_ctx *ctx, const char *event, const char *id, const char *data)
{
    if (!is_one_line(event) || !is_one_line(id))
        return stead__fail_text(ctx, "stead_event", STATUS_INVALID_ARGUMENT,
                                "the name and the id of an event are one line each");
    if (ctx->stream == STEAD__STREAM_NONE && !ctx->reply.has_content_type)
    {
        (void)stead_reply_header(ctx, "content-type", "text/event-stream");
        (void)stead_reply_header(ctx, "cache-control", "no-cache");
    }
    struct buf *out = &ctx->scratch;
    buf_reset(out);
    if (event && *event) buf_printf(out, "event: %s\n", event);
    if (id && *id) buf_printf(out, "id: %s\n", id);
    if (data) put_data(out, data);
    buf_append_byte(out, '\n');
    return stead_stream(ctx, out->data, out->size);
}
