/* reply.c - status, headers and body of the reply; escaping for HTML and JSON. */
// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>

#include "runtime/base/bounds.h"
#include "sdk/src/ctx.h"

_Static_assert(BOUND_REPLY_HEADER_COUNT_MAX < WIRE_HEADERS_MAX,
               "room for the content type that the SDK adds");

void stead__reply_init(struct stead__reply *reply)
{
    reply->body = BUF_INIT;
    stead__reply_reset(reply);
}

void stead__reply_reset(struct stead__reply *reply)
{
    reply->headers.count = 0;
    reply->header_bytes = 0;
    reply->http_status = 200;
    reply->has_content_type = false;
}

void stead__reply_finish(struct stead_ctx *ctx)
{
    struct stead__reply *reply = &ctx->reply;
    if (reply->has_content_type || reply->body.size == 0) return;
    reply->has_content_type = true;
    reply->headers.items[reply->headers.count++] =
        (struct wire_header){SLICE("content-type"), SLICE("text/plain; charset=utf-8")};
}

/* ---- body ---- */

static enum stead_status check_body(struct stead_ctx *ctx, size_t more)
{
    if (more <= BOUND_REPLY_BODY_BYTES_MAX && ctx->reply.body.size + more <= BOUND_REPLY_BODY_BYTES_MAX)
        return STEAD_OK;
    return stead__fail_text(ctx, "stead_reply", STATUS_REPLY_TOO_LARGE, "a body has at most %llu MiB",
                            BOUND_REPLY_BODY_BYTES_MAX / MIB);
}

enum stead_status stead_vreply(struct stead_ctx *ctx, const char *format, va_list args)
{
    struct buf *body = &ctx->reply.body;
    size_t size = body->size;
    buf_vprintf(body, format, args);
    size_t more = body->size - size;
    body->size = size;
    enum stead_status status = check_body(ctx, more);
    if (status == STEAD_OK) body->size = size + more;
    return status;
}

enum stead_status stead_reply(struct stead_ctx *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum stead_status status = stead_vreply(ctx, format, args);
    va_end(args);
    return status;
}

enum stead_status stead_reply_bytes(struct stead_ctx *ctx, const void *data, size_t size)
{
    enum stead_status status = check_body(ctx, size);
    if (status == STEAD_OK) buf_append(&ctx->reply.body, slice_make(data, size));
    return status;
}

static const char *html_escape(char c)
{
    switch (c)
    {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

enum stead_status stead_reply_html(struct stead_ctx *ctx, const char *text)
{
    struct buf *out = &ctx->scratch;
    buf_reset(out);
    for (const char *at = text ? text : ""; *at; at++)
    {
        const char *escaped = html_escape(*at);
        if (escaped)
            buf_append_cstr(out, escaped);
        else
            buf_append_byte(out, (uint8_t)*at);
    }
    return stead_reply_bytes(ctx, out->data, out->size);
}

/* Bytes of the well-formed UTF-8 sequence at `at`, 0 when it is none; no overlong forms, no surrogates. */
static size_t utf8_size(const unsigned char *at)
{
    if (at[0] < 0x80) return 1;
    size_t size = at[0] >= 0xc2 && at[0] <= 0xdf   ? 2
                  : at[0] >= 0xe0 && at[0] <= 0xef ? 3
                  : at[0] >= 0xf0 && at[0] <= 0xf4 ? 4
                                                   : 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80) return 0; /* also the zero at the end */
    bool wrong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
                 (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return wrong ? 0 : size;
}

/* Appends one character; returns the bytes of it. What is not UTF-8 becomes U+FFFD, since JSON must be
 * UTF-8. */
static size_t json_character(struct buf *out, const unsigned char *at)
{
    static const char short_names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    size_t size = utf8_size(at);
    if (size == 0)
        buf_append_cstr(out, "\\ufffd");
    else if (*at == '"' || *at == '\\')
        buf_printf(out, "\\%c", *at);
    else if (*at < sizeof short_names && short_names[*at])
        buf_printf(out, "\\%c", short_names[*at]);
    else if (*at < 0x20 || *at == 0x7f)
        buf_printf(out, "\\u%04x", *at);
    else
        buf_append(out, slice_make(at, size));
    return size > 0 ? size : 1;
}

enum stead_status stead_reply_json(struct stead_ctx *ctx, const char *text)
{
    struct buf *out = &ctx->scratch;
    buf_reset(out);
    buf_append_byte(out, '"');
    for (const unsigned char *at = (const unsigned char *)(text ? text : ""); *at;)
        at += json_character(out, at);
    buf_append_byte(out, '"');
    return stead_reply_bytes(ctx, out->data, out->size);
}

/* ---- status and headers ---- */

enum stead_status stead_reply_status(struct stead_ctx *ctx, int http_status)
{
    if (ctx->stream == STEAD__STREAM_ON)
        return stead__fail_text(ctx, "stead_reply_status", STATUS_INVALID_ARGUMENT,
                                "the status has left with the first piece of the reply");
    if (http_status < 200 || http_status > 599)
        return stead__fail_text(ctx, "stead_reply_status", STATUS_INVALID_ARGUMENT,
                                "%d is not from 200 to 599", http_status);
    ctx->reply.http_status = (uint32_t)http_status;
    return STEAD_OK;
}

/* A token of RFC 9110. */
static bool is_header_name(const char *name)
{
    if (!*name) return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("!#$%&'*+-.^_`|~", *name)) return false;
    return true;
}

/* No control characters: a line break would begin another header, or another reply. */
static bool is_header_value(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f) return false;
    return true;
}

/* Headers that say how the reply travels; wrong ones would break the connection. */
static bool is_node_header(const char *name)
{
    static const char *const names[] = {
        "connection", "content-length", "keep-alive",        "proxy-connection",
        "te",         "trailer",        "transfer-encoding", "upgrade"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return strncmp(name, "stead-", 6) == 0;
}

/* The place of the header of this name, or a new one at the end; NULL when there is no room. */
static struct wire_header *header_place(struct stead__reply *reply, struct slice name)
{
    struct wire_headers *headers = &reply->headers;
    bool repeats = slice_is(name, "set-cookie");
    for (size_t i = 0; !repeats && i < headers->count; i++)
        if (slice_equal(headers->items[i].name, name)) return &headers->items[i];
    if (headers->count == BOUND_REPLY_HEADER_COUNT_MAX) return NULL;
    headers->items[headers->count] = (struct wire_header){SLICE_EMPTY, SLICE_EMPTY};
    return &headers->items[headers->count++];
}

enum stead_status stead_reply_header(struct stead_ctx *ctx, const char *name, const char *value)
{
    static const char call[] = "stead_reply_header";
    if (ctx->stream == STEAD__STREAM_ON)
        return stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT,
                                "the headers have left with the first piece of the reply");
    if (!name || !value || !is_header_name(name))
        return stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT, "`%s` is no header name",
                                name ? name : "NULL");
    if (!is_header_value(value))
        return stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT,
                                "the value of `%s` has a control character", name);
    char *lower = stead__arena_text(&ctx->arena, slice_cstr(name));
    for (char *at = lower; *at; at++) *at = (char)tolower((unsigned char)*at);
    if (is_node_header(lower))
        return stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT, "`%s` is the node's own", name);

    struct stead__reply *reply = &ctx->reply;
    size_t bytes = reply->header_bytes + strlen(lower) + strlen(value);
    struct wire_header *place =
        bytes <= BOUND_REPLY_HEADER_BYTES_MAX ? header_place(reply, slice_cstr(lower)) : NULL;
    if (!place)
        return stead__fail_text(ctx, call, STATUS_REPLY_TOO_LARGE,
                                "a reply has at most %d headers and %llu KiB of them",
                                BOUND_REPLY_HEADER_COUNT_MAX, BOUND_REPLY_HEADER_BYTES_MAX / KIB);
    reply->header_bytes = bytes - place->name.size - place->value.size;
    *place = (struct wire_header){slice_cstr(lower),
                                  slice_cstr(stead__arena_text(&ctx->arena, slice_cstr(value)))};
    if (strcmp(lower, "content-type") == 0) reply->has_content_type = true;
    return STEAD_OK;
}
