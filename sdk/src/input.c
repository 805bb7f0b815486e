/* input.c - what the caller sent, as zero-terminated texts made when they are asked for. */
// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <strings.h>

#include "sdk/src/ctx.h"
#include "sdk/src/number.h"

static const char *text_once(struct stead_ctx *ctx, const char **text, struct slice bytes)
{
    if (!*text) *text = stead__arena_text(&ctx->arena, bytes);
    return *text;
}

const char *stead_entity(struct stead_ctx *ctx)
{
    return text_once(ctx, &ctx->texts.entity, ctx->invoke->entity);
}

struct stead_bytes stead_body(struct stead_ctx *ctx)
{
    return (struct stead_bytes){ctx->invoke->body.data, ctx->invoke->body.size};
}

const char *stead_body_text(struct stead_ctx *ctx)
{
    return text_once(ctx, &ctx->texts.body, ctx->invoke->body);
}

const char *stead_method(struct stead_ctx *ctx)
{
    return text_once(ctx, &ctx->texts.method, ctx->invoke->method);
}

const char *stead_path(struct stead_ctx *ctx)
{
    return text_once(ctx, &ctx->texts.path, ctx->invoke->path);
}

const char *stead_query_string(struct stead_ctx *ctx)
{
    return text_once(ctx, &ctx->texts.query, ctx->invoke->query);
}

/* ---- headers ---- */

bool stead_header_at(struct stead_ctx *ctx, size_t index, const char **name, const char **value)
{
    const struct wire_headers *headers = &ctx->invoke->headers;
    if (index >= headers->count) return false;
    *name = stead__arena_text(&ctx->arena, headers->items[index].name);
    *value = stead__arena_text(&ctx->arena, headers->items[index].value);
    return true;
}

const char *stead_header(struct stead_ctx *ctx, const char *name)
{
    const struct wire_headers *headers = &ctx->invoke->headers;
    size_t size = name ? strlen(name) : 0;
    for (size_t i = 0; i < headers->count; i++)
    {
        struct slice candidate = headers->items[i].name;
        if (candidate.size == size && size > 0 && strncasecmp(candidate.data, name, size) == 0)
            return stead__arena_text(&ctx->arena, headers->items[i].value);
    }
    return NULL;
}

/* ---- query ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at *at of the encoded text, moving *at behind it. An escape that is none, and that of the
 * zero byte, which would cut a text short, stand for themselves. */
static char decode_next(struct slice encoded, size_t *at)
{
    const char *text = encoded.data;
    char c = text[(*at)++];
    if (c == '+') return ' ';
    if (c != '%' || encoded.size - *at < 2) return c;
    int high = hex_digit(text[*at]), low = hex_digit(text[*at + 1]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return c;
    *at += 2;
    return (char)(high * 16 + low);
}

static bool decodes_to(struct slice encoded, const char *name)
{
    size_t at = 0;
    for (; at < encoded.size && *name; name++)
        if (decode_next(encoded, &at) != *name) return false;
    return at == encoded.size && !*name;
}

static const char *decode(struct stead_ctx *ctx, struct slice encoded)
{
    char *text = stead__arena_alloc(&ctx->arena, encoded.size + 1);
    size_t size = 0;
    for (size_t at = 0; at < encoded.size;) text[size++] = decode_next(encoded, &at);
    text[size] = 0;
    return text;
}

/* Splits `from` at the first `separator`: what is before it is returned, *from becomes what is behind
 * it. */
static struct slice cut(struct slice *from, char separator)
{
    const char *begin = from->data;
    const char *end = from->size ? memchr(begin, separator, from->size) : NULL;
    struct slice part = end ? slice_make(begin, (size_t)(end - begin)) : *from;
    *from = end ? slice_make(end + 1, from->size - part.size - 1) : SLICE_EMPTY;
    return part;
}

const char *stead_query(struct stead_ctx *ctx, const char *name)
{
    struct slice rest = ctx->invoke->query;
    while (name && rest.size > 0)
    {
        struct slice value = cut(&rest, '&');
        struct slice candidate = cut(&value, '=');
        if (candidate.size > 0 && decodes_to(candidate, name)) return decode(ctx, value);
    }
    return NULL;
}

int64_t stead_query_i64(struct stead_ctx *ctx, const char *name, int64_t fallback)
{
    const char *text = stead_query(ctx, name);
    int64_t number;
    return text && stead__number_parse(slice_cstr(text), &number) ? number : fallback;
}
