/* http_head.c - request lines, header lines, and how the body is delimited. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/http_head.h"

#include <strings.h>

enum {
    TOKEN = 1, /* RFC 9110 tchar */
    VALUE = 2, /* visible, blank, tab, and bytes above ASCII */
    TARGET = 4, /* visible ASCII but '#' and '\': no client sends them, some servers rewrite them */
    HOST = 8, /* nothing that could be read as userinfo, path or a second host */
};

#define SEEN (VALUE | TARGET)
#define ALL (TOKEN | VALUE | TARGET | HOST)

// clang-format off
static const uint8_t kinds[256] = {
    ['\t'] = VALUE, [' '] = VALUE,
    ['!'] = ALL, ['"'] = SEEN, ['#'] = TOKEN | VALUE, ['$'] = ALL, ['%'] = ALL, ['&'] = ALL, ['\''] = ALL,
    ['('] = SEEN, [')'] = SEEN, ['*'] = ALL, ['+'] = ALL, [','] = SEEN, ['-'] = ALL, ['.'] = ALL, ['/'] = SEEN,
    ['0' ... '9'] = ALL,
    [':'] = SEEN | HOST, [';'] = SEEN, ['<'] = SEEN, ['='] = SEEN, ['>'] = SEEN, ['?'] = SEEN, ['@'] = SEEN,
    ['A' ... 'Z'] = ALL,
    ['['] = SEEN | HOST, ['\\'] = VALUE, [']'] = SEEN | HOST, ['^'] = ALL, ['_'] = ALL, ['`'] = ALL,
    ['a' ... 'z'] = ALL,
    ['{'] = SEEN, ['|'] = ALL, ['}'] = SEEN, ['~'] = ALL,
    [0x80 ... 0xff] = VALUE,
};
// clang-format on

/* Length of the longest beginning whose bytes are all of `kind`. */
static size_t span(const char *bytes, size_t size, unsigned kind)
{
    size_t i = 0;
    while (i < size && (kinds[(uint8_t)bytes[i]] & kind)) i++;
    return i;
}

bool http_is_token(struct slice text)
{
    return text.size > 0 && span(text.data, text.size, TOKEN) == text.size;
}

bool http_is_field_value(struct slice text)
{
    return span(text.data, text.size, VALUE) == text.size;
}

static bool is_nocase(struct slice text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

static struct slice trim(struct slice text)
{
    const char *bytes = text.data;
    while (text.size && (bytes[text.size - 1] == ' ' || bytes[text.size - 1] == '\t')) text.size--;
    while (text.size && (*bytes == ' ' || *bytes == '\t')) bytes++, text.size--;
    return slice_make(bytes, text.size);
}

/* ---- the request line ---- */

static enum status version_check(struct slice version, struct http_request *request, struct err *err)
{
    if (slice_is(version, "HTTP/1.1"))
        request->http_1_0 = false;
    else if (slice_is(version, "HTTP/1.0"))
        request->http_1_0 = true;
    else if (version.size == 8 && slice_starts_with(version, SLICE("HTTP/")))
        return err_set(err, STATUS_VERSION_UNSUPPORTED, "the version is neither HTTP/1.1 nor HTTP/1.0");
    else
        return err_set(err, STATUS_MALFORMED_REQUEST, "the request line does not end with an HTTP version");
    return STATUS_OK;
}

enum status http_head_request_line(struct slice line, size_t target_bytes_max, struct http_request *request,
                                   struct err *err)
{
    const char *bytes = line.data;
    size_t method = span(bytes, line.size, TOKEN);
    if (method == 0 || method == line.size || bytes[method] != ' ')
        return err_set(err, STATUS_MALFORMED_REQUEST,
                       "the request line does not begin with a method and a blank");
    const char *target = bytes + method + 1;
    size_t rest = line.size - method - 1;
    size_t target_size = span(target, rest, TARGET);
    if (target_size == rest || target[target_size] != ' ')
        return err_set(err, STATUS_MALFORMED_REQUEST,
                       "the request line has a byte that must be percent-encoded, or no HTTP version");
    if (target_size == 0)
        return err_set(err, STATUS_MALFORMED_REQUEST, "the request line has no target, or two blanks");
    if (target_size > target_bytes_max)
        return err_set(err, STATUS_TARGET_TOO_LONG, "the target has %zu bytes, the limit is %zu", target_size,
                       target_bytes_max);
    TRY(version_check(slice_make(target + target_size + 1, rest - target_size - 1), request, err));
    request->method = slice_make(bytes, method);
    request->target = slice_make(target, target_size);
    return STATUS_OK;
}

/* ---- header lines ---- */

enum status http_head_field(char *line, size_t size, struct http_header *header, struct err *err)
{
    if (size && (*line == ' ' || *line == '\t'))
        return err_set(err, STATUS_MALFORMED_REQUEST, "a header line begins with a blank (line folding)");
    size_t name = 0;
    for (; name < size && (kinds[(uint8_t)line[name]] & TOKEN); name++)
    {
        if (line[name] >= 'A' && line[name] <= 'Z') line[name] |= 0x20;
    }
    if (name == 0 || name == size || line[name] != ':')
        return err_set(err, STATUS_MALFORMED_REQUEST, "a header line does not begin with a name and a colon");
    struct slice value = slice_make(line + name + 1, size - name - 1);
    if (!http_is_field_value(value))
        return err_set(err, STATUS_MALFORMED_REQUEST, "header %.*s has a control byte in its value",
                       name > 64 ? 64 : (int)name, line);
    header->name = slice_make(line, name);
    header->value = trim(value);
    return STATUS_OK;
}

/* ---- the target ---- */

/* A name or an address, with an optional port. */
static bool is_host(struct slice host)
{
    return host.size > 0 && span(host.data, host.size, HOST) == host.size;
}

static void path_split(struct http_request *request, struct slice path)
{
    const char *mark = memchr(path.data, '?', path.size);
    size_t size = mark ? (size_t)(mark - (const char *)path.data) : path.size;
    request->path = slice_make(path.data, size);
    request->query = mark ? slice_make(mark + 1, path.size - size - 1) : SLICE_EMPTY;
}

/* "http://host/path", which proxies send: taken when its host is that of the Host header. */
static enum status absolute_split(struct http_request *request, struct slice host, struct err *err)
{
    const char *bytes = (const char *)request->target.data + 7;
    size_t size = request->target.size - 7;
    size_t authority = 0;
    while (authority < size && bytes[authority] != '/' && bytes[authority] != '?') authority++;
    if (authority == size || bytes[authority] != '/')
        return err_set(err, STATUS_MALFORMED_REQUEST, "the absolute target has no path");
    if (!host.data || authority != host.size || strncasecmp(bytes, host.data, authority) != 0)
        return err_set(err, STATUS_MALFORMED_REQUEST,
                       "the absolute target names another host than the Host header");
    path_split(request, slice_make(bytes + authority, size - authority));
    return STATUS_OK;
}

static enum status target_split(struct http_request *request, struct slice host, struct err *err)
{
    struct slice target = request->target;
    if (*(const char *)target.data == '/')
    {
        path_split(request, target);
        return STATUS_OK;
    }
    if (target.size >= 7 && strncasecmp(target.data, "http://", 7) == 0)
        return absolute_split(request, host, err);
    if (slice_is(target, "*") && slice_is(request->method, "OPTIONS"))
    {
        request->path = target;
        request->query = SLICE_EMPTY;
        return STATUS_OK;
    }
    return err_set(err, STATUS_MALFORMED_REQUEST, "the target does not begin with '/'");
}

/* ---- framing ---- */

/* What the headers that matter for the connection say; NULL data: absent. */
struct connection_fields {
    struct slice host, length, coding, expect;
    bool close, keep_alive;
};

static enum status once(struct slice *field, const struct http_header *header, struct err *err)
{
    if (field->data)
        return err_set(err, STATUS_MALFORMED_REQUEST, "header %.*s appears twice", SLICE_FMT(header->name));
    *field = header->value;
    return STATUS_OK;
}

static void connection_options(struct connection_fields *fields, struct slice value)
{
    const char *bytes = value.data;
    size_t from = 0;
    for (size_t i = 0; i <= value.size; i++)
    {
        if (i < value.size && bytes[i] != ',') continue;
        struct slice option = trim(slice_make(bytes + from, i - from));
        if (is_nocase(option, "close")) fields->close = true;
        if (is_nocase(option, "keep-alive")) fields->keep_alive = true;
        from = i + 1;
    }
}

static enum status fields_collect(const struct http_request *request, struct connection_fields *fields,
                                  struct err *err)
{
    for (size_t i = 0; i < request->header_count; i++)
    {
        const struct http_header *header = &request->headers[i];
        /* Lengths first: nearly all headers end here. */
        switch (header->name.size)
        {
        case 4:
            if (slice_is(header->name, "host")) TRY(once(&fields->host, header, err));
            break;
        case 6:
            if (slice_is(header->name, "expect")) TRY(once(&fields->expect, header, err));
            break;
        case 10:
            if (slice_is(header->name, "connection")) connection_options(fields, header->value);
            break;
        case 14:
            if (slice_is(header->name, "content-length")) TRY(once(&fields->length, header, err));
            break;
        case 17:
            if (slice_is(header->name, "transfer-encoding")) TRY(once(&fields->coding, header, err));
            break;
        default:
            break;
        }
    }
    return STATUS_OK;
}

static enum status length_parse(struct slice text, uint64_t body_bytes_max, uint64_t *length, struct err *err)
{
    const char *digits = text.data;
    for (size_t i = 0; i < text.size; i++)
    {
        if (digits[i] < '0' || digits[i] > '9')
            return err_set(err, STATUS_MALFORMED_REQUEST, "Content-Length is not a plain number");
    }
    if (text.size == 0) return err_set(err, STATUS_MALFORMED_REQUEST, "Content-Length is empty");
    if (text.size > 1 && digits[0] == '0')
        return err_set(err, STATUS_MALFORMED_REQUEST, "Content-Length has leading zeros");
    if (text.size > 19) /* 19 digits always fit 64 bits; more is no length but an attempt to wrap one */
        return err_set(err, STATUS_MALFORMED_REQUEST, "Content-Length has more than 19 digits");
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) value = value * 10 + (uint64_t)(digits[i] - '0');
    if (value > body_bytes_max)
        return err_set(err, STATUS_BODY_TOO_LARGE, "the body has %llu bytes, the limit is %llu",
                       (unsigned long long)value, (unsigned long long)body_bytes_max);
    *length = value;
    return STATUS_OK;
}

static enum status body_framing(const struct http_request *request, const struct connection_fields *fields,
                                uint64_t body_bytes_max, struct http_framing *framing, struct err *err)
{
    framing->length = 0;
    framing->chunked = false;
    if (fields->coding.data)
    {
        if (fields->length.data)
            return err_set(err, STATUS_MALFORMED_REQUEST,
                           "Content-Length and Transfer-Encoding contradict each other");
        if (request->http_1_0)
            return err_set(err, STATUS_MALFORMED_REQUEST, "HTTP/1.0 has no Transfer-Encoding");
        if (!is_nocase(fields->coding, "chunked"))
            return err_set(err, STATUS_TRANSFER_CODING_UNSUPPORTED,
                           "Transfer-Encoding is not exactly `chunked`");
        framing->chunked = true;
    }
    else if (fields->length.data)
        return length_parse(fields->length, body_bytes_max, &framing->length, err);
    return STATUS_OK;
}

enum status http_head_framing(struct http_request *request, uint64_t body_bytes_max,
                              struct http_framing *framing, struct err *err)
{
    struct connection_fields fields = {0};
    TRY(fields_collect(request, &fields, err));
    if (!fields.host.data && !request->http_1_0)
        return err_set(err, STATUS_MALFORMED_REQUEST, "HTTP/1.1 needs a Host header");
    if (fields.host.data && !is_host(fields.host))
        return err_set(err, STATUS_MALFORMED_REQUEST, "the Host header is not a host");
    if (slice_is(request->method, "CONNECT"))
        return err_set(err, STATUS_METHOD_UNKNOWN, "CONNECT is for proxies, Stead is not one");
    TRY(target_split(request, fields.host, err));
    TRY(body_framing(request, &fields, body_bytes_max, framing, err));
    framing->expect_continue = false;
    if (fields.expect.data && !request->http_1_0)
    {
        if (!is_nocase(fields.expect, "100-continue"))
            return err_set(err, STATUS_EXPECTATION_FAILED, "Expect is not `100-continue`");
        framing->expect_continue = true;
    }
    framing->keep_alive = request->http_1_0 ? fields.keep_alive && !fields.close : !fields.close;
    return STATUS_OK;
}
