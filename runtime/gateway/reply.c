/* reply.c - writes answers into a buffer, reserving once for the whole head. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/reply.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "runtime/base/check.h"
#include "runtime/gateway/http_head.h"

/* What a head needs besides its headers: status line, common lines, length, connection. */
enum { HEAD_REST_BYTES = 512, DECIMAL_BYTES = 20 };

static const char *reason(int status)
{
    switch (status)
    {
#define REASON(code, text) \
    case code:             \
        return text;
        REASON(101, "Switching Protocols")
        REASON(200, "OK")
        REASON(201, "Created")
        REASON(202, "Accepted")
        REASON(204, "No Content")
        REASON(206, "Partial Content")
        REASON(301, "Moved Permanently")
        REASON(302, "Found")
        REASON(303, "See Other")
        REASON(304, "Not Modified")
        REASON(307, "Temporary Redirect")
        REASON(308, "Permanent Redirect")
        REASON(400, "Bad Request")
        REASON(401, "Unauthorized")
        REASON(402, "Payment Required")
        REASON(403, "Forbidden")
        REASON(404, "Not Found")
        REASON(405, "Method Not Allowed")
        REASON(406, "Not Acceptable")
        REASON(408, "Request Timeout")
        REASON(409, "Conflict")
        REASON(410, "Gone")
        REASON(412, "Precondition Failed")
        REASON(413, "Content Too Large")
        REASON(414, "URI Too Long")
        REASON(415, "Unsupported Media Type")
        REASON(417, "Expectation Failed")
        REASON(426, "Upgrade Required")
        REASON(422, "Unprocessable Content")
        REASON(429, "Too Many Requests")
        REASON(431, "Request Header Fields Too Large")
        REASON(500, "Internal Server Error")
        REASON(501, "Not Implemented")
        REASON(502, "Bad Gateway")
        REASON(503, "Service Unavailable")
        REASON(504, "Gateway Timeout")
        REASON(505, "HTTP Version Not Supported")
        REASON(507, "Insufficient Storage")
#undef REASON
    default:
        return "Other"; /* clients read the number */
    }
}

/* Writes at `at`, where there is room, and returns the place behind. */
static char *put(char *at, struct slice bytes)
{
    if (bytes.size) memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static char *put_decimal(char *at, uint64_t value)
{
    char digits[DECIMAL_BYTES];
    size_t first = sizeof digits;
    do
    {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return put(at, slice_make(digits + first, sizeof digits - first));
}

static bool is_name(struct slice name, const char *word)
{
    return name.size == strlen(word) && strncasecmp(name.data, word, name.size) == 0;
}

/* Headers that decide about the connection or the framing are the gateway's alone. */
static bool is_owned(struct slice name)
{
    switch (name.size)
    {
    case 4:
        return is_name(name, "date");
    case 6:
        return is_name(name, "server");
    case 7:
        return is_name(name, "upgrade") || is_name(name, "trailer");
    case 10:
        return is_name(name, "connection") || is_name(name, "keep-alive");
    case 14:
        return is_name(name, "content-length");
    case 17:
        return is_name(name, "transfer-encoding");
    default:
        return false;
    }
}

static char *put_headers(char *at, const struct reply *reply)
{
    for (size_t i = 0; i < reply->header_count; i++)
    {
        const struct http_header *header = &reply->headers[i];
        if (is_owned(header->name) || !http_is_token(header->name) || !http_is_field_value(header->value))
            continue;
        at = put(at, header->name);
        at = put(at, SLICE(": "));
        at = put(at, header->value);
        at = put(at, SLICE("\r\n"));
    }
    return at;
}

static char *put_framing(char *at, const struct reply *reply)
{
    if (reply->body_kind == REPLY_CHUNKED) at = put(at, SLICE("Transfer-Encoding: chunked\r\n"));
    if (reply->body_kind == REPLY_BODY || reply->body_kind == REPLY_HEAD_ONLY)
    {
        at = put(at, SLICE("Content-Length: "));
        at = put_decimal(at, reply->body.size);
        at = put(at, SLICE("\r\n"));
    }
    if (reply->connection == REPLY_CLOSE) at = put(at, SLICE("Connection: close\r\n"));
    if (reply->connection == REPLY_UPGRADE) at = put(at, SLICE("Connection: Upgrade\r\n"));
    if (reply->connection == REPLY_KEEP_1_0) at = put(at, SLICE("Connection: keep-alive\r\n"));
    return at;
}

void reply_append(struct buf *out, const struct reply *reply, struct slice common)
{
    size_t room = HEAD_REST_BYTES + common.size + reply->more.size;
    for (size_t i = 0; i < reply->header_count; i++)
        room += reply->headers[i].name.size + reply->headers[i].value.size + 4;
    if (reply->body_kind == REPLY_BODY) room += reply->body.size;

    char *start = buf_reserve(out, room);
    char *at = put(start, SLICE("HTTP/1.1 "));
    at = put_decimal(at, (uint64_t)reply->status);
    *at++ = ' ';
    at = put(at, slice_cstr(reason(reply->status)));
    at = put(at, SLICE("\r\n"));
    at = put(at, common);
    at = put_headers(at, reply);
    at = put(at, reply->more);
    at = put_framing(at, reply);
    at = put(at, SLICE("\r\n"));
    if (reply->body_kind == REPLY_BODY) at = put(at, reply->body);
    CHECK((size_t)(at - start) <= room);
    out->size += (size_t)(at - start);
}

struct slice reply_common_print(char text[REPLY_COMMON_BYTES], uint64_t wall_ms)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    int size =
        snprintf(text, REPLY_COMMON_BYTES, "Server: stead\r\nDate: %s, %02d %s %d %02d:%02d:%02d GMT\r\n",
                 days[utc.tm_wday], utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour,
                 utc.tm_min, utc.tm_sec);
    CHECK(size > 0 && size < REPLY_COMMON_BYTES);
    return slice_make(text, (size_t)size);
}

void reply_chunk_append(struct buf *out, struct slice bytes)
{
    if (bytes.size == 0) return;
    buf_printf(out, "%zx\r\n", bytes.size);
    buf_append(out, bytes);
    buf_append_cstr(out, "\r\n");
}

void reply_last_chunk_append(struct buf *out)
{
    buf_append_cstr(out, "0\r\n\r\n");
}

/* ---- error bodies ---- */

/* Size of the UTF-8 character at the beginning; 0 when it is none (overlong and surrogates included). */
static size_t utf8_size(const uint8_t *text, size_t left)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = text[0] < 0x80       ? 1
                  : text[0] >> 5 == 6  ? 2
                  : text[0] >> 4 == 14 ? 3
                  : text[0] >> 3 == 30 ? 4
                                       : 0;
    if (size < 2) return size;
    if (size > left) return 0;
    uint32_t rune = text[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
    {
        if (text[i] >> 6 != 2) return 0;
        rune = rune << 6 | (text[i] & 0x3f);
    }
    bool surrogate = rune >= 0xd800 && rune < 0xe000;
    return rune < least[size] || rune > 0x10ffff || surrogate ? 0 : size;
}

static void json_string_append(struct buf *out, const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t left = strlen(text);
    buf_append_byte(out, '"');
    while (left)
    {
        size_t size = utf8_size(bytes, left);
        if (*bytes == '"' || *bytes == '\\')
            buf_printf(out, "\\%c", *bytes);
        else if (*bytes < 0x20)
            buf_printf(out, "\\u%04x", *bytes);
        else if (size == 0)
            buf_append_cstr(out, "\\ufffd");
        else
            buf_append(out, slice_make(bytes, size));
        if (size == 0) size = 1;
        bytes += size;
        left -= size;
    }
    buf_append_byte(out, '"');
}

void reply_error_body_append(struct buf *out, enum status status, const char *message, const char *invocation)
{
    buf_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":", status_code(status));
    json_string_append(out, message && *message ? message : status_text(status));
    buf_append_cstr(out, ",\"hint\":");
    json_string_append(out, status_hint(status));
    buf_append_cstr(out, ",\"invocation\":");
    if (invocation)
        json_string_append(out, invocation);
    else
        buf_append_cstr(out, "null");
    buf_append_cstr(out, "}}\n");
}
