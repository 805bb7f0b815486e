/* http_request.c - looking things up in a request: headers, percent-encoding, query parameters. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/http_request.h"

#include <stdint.h>

struct slice http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
    {
        if (slice_is(request->headers[i].name, name)) return request->headers[i].value;
    }
    return SLICE_EMPTY;
}

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    uint8_t lower = digit | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool http_percent_decode(struct slice encoded, char *out, size_t *size)
{
    const uint8_t *bytes = encoded.data;
    size_t used = 0;
    for (size_t i = 0; i < encoded.size; i++)
    {
        if (bytes[i] != '%')
        {
            out[used++] = (char)bytes[i];
            continue;
        }
        if (encoded.size - i < 3) return false;
        int high = hex_value(bytes[i + 1]), low = hex_value(bytes[i + 2]);
        if (high < 0 || low < 0) return false;
        out[used++] = (char)(high << 4 | low);
        i += 2;
    }
    *size = used;
    return true;
}

/* As a form encodes: '+' is a blank, %XX as ever. */
static bool form_decode(struct slice encoded, char *out, size_t *size)
{
    memmove(out, encoded.size ? encoded.data : "", encoded.size);
    for (size_t i = 0; i < encoded.size; i++)
    {
        if (out[i] == '+') out[i] = ' ';
    }
    return http_percent_decode(slice_make(out, encoded.size), out, size);
}

/* Cuts off what is before the first `mark`, and the mark; the rest stays in *rest. */
static struct slice cut(struct slice *rest, char mark)
{
    const char *at = rest->size ? memchr(rest->data, mark, rest->size) : NULL;
    struct slice before = *rest;
    *rest = SLICE_EMPTY;
    if (!at) return before;
    size_t size = (size_t)(at - (const char *)before.data);
    *rest = slice_make(at + 1, before.size - size - 1);
    return slice_make(before.data, size);
}

bool http_query_get(struct slice query, const char *name, char *out, struct slice *value)
{
    while (query.size)
    {
        struct slice right = cut(&query, '&');
        struct slice left = cut(&right, '=');
        size_t size;
        if (!form_decode(left, out, &size) || !slice_is(slice_make(out, size), name)) continue;
        if (!form_decode(right, out, &size)) return false;
        *value = slice_make(out, size);
        return true;
    }
    return false;
}
