/* http_parse.c - collects a head line by line, has it read by our rules and by llhttp, then collects the body. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/http_parse.h"

#include <llhttp/llhttp.h>
#include <stdlib.h>
#include <strings.h>

#include "runtime/base/check.h"

/* A request line is its target and less than this: a method, two blanks, the version, the line's end. */
enum { REQUEST_LINE_REST = 64 };

void http_parse_init(struct http_parse *parse)
{
    *parse = (struct http_parse){.chunk = HTTP_CHUNK_INIT};
}

void http_parse_fini(struct http_parse *parse)
{
    buf_fini(&parse->head);
    buf_fini(&parse->body);
    free(parse->headers);
}

static void buf_keep(struct buf *buf, size_t keep_bytes)
{
    if (buf->capacity > keep_bytes)
        buf_fini(buf);
    else
        buf_reset(buf);
}

void http_parse_reset(struct http_parse *parse, size_t keep_bytes)
{
    buf_keep(&parse->head, keep_bytes);
    buf_keep(&parse->body, keep_bytes);
    parse->line_start = 0;
    parse->blank_skipped = false;
    parse->head_done = false;
    parse->chunk = HTTP_CHUNK_INIT;
    parse->request = (struct http_request){0};
}

bool http_parse_is_fresh(const struct http_parse *parse)
{
    return parse->head.size == 0 && !parse->blank_skipped;
}

/* ---- the second opinion ---- */

struct opinion {
    struct slice target;
    size_t header_count;
};

static int on_url(llhttp_t *parser, const char *at, size_t size)
{
    ((struct opinion *)parser->data)->target = slice_make(at, size);
    return 0;
}

static int on_header(llhttp_t *parser)
{
    ((struct opinion *)parser->data)->header_count++;
    return 0;
}

static int on_head_end(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED; /* the body is ours */
}

static const llhttp_settings_t second_settings = {
    .on_url = on_url,
    .on_header_value_complete = on_header,
    .on_headers_complete = on_head_end,
};

/* True when llhttp read the same as we did. */
static bool agrees(const struct http_parse *parse, const llhttp_t *parser, const struct opinion *opinion)
{
    const struct http_request *request = &parse->request;
    bool chunked = parser->flags & F_CHUNKED;
    uint64_t length = parser->flags & F_CONTENT_LENGTH ? parser->content_length : 0;
    return parser->http_major == 1 && parser->http_minor == (request->http_1_0 ? 0 : 1) &&
           slice_equal(opinion->target, request->target) && opinion->header_count == request->header_count &&
           slice_is(request->method, llhttp_method_name(parser->method)) &&
           chunked == parse->framing.chunked && length == parse->framing.length;
}

static enum status second_opinion(const struct http_parse *parse, struct err *err)
{
    struct opinion opinion = {0};
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &second_settings);
    parser.data = &opinion;
    llhttp_errno_t rc = llhttp_execute(&parser, (const char *)parse->head.data, parse->head.size);
    if (rc == HPE_INVALID_METHOD)
        return err_set(err, STATUS_METHOD_UNKNOWN, "%.*s is not a method that Stead knows",
                       parse->request.method.size > 32 ? 32 : (int)parse->request.method.size,
                       (const char *)parse->request.method.data);
    if (rc != HPE_PAUSED)
        return err_set(err, STATUS_MALFORMED_REQUEST, "%s",
                       parser.reason ? parser.reason : llhttp_errno_name(rc));
    if (!agrees(parse, &parser, &opinion))
        return err_set(err, STATUS_MALFORMED_REQUEST, "the headers can be read in two ways");
    return STATUS_OK;
}

/* ---- the head ---- */

static struct http_header *header_add(struct http_parse *parse)
{
    if (parse->request.header_count == parse->header_capacity)
    {
        parse->header_capacity = parse->header_capacity ? parse->header_capacity * 2 : 16;
        parse->headers = mem_realloc(parse->headers, parse->header_capacity * sizeof *parse->headers);
    }
    return &parse->headers[parse->request.header_count++];
}

/* Size of the line at `start` of the finished head, without its CRLF; *next is where the following one begins. */
static size_t line_at(const struct buf *head, size_t start, size_t *next)
{
    const uint8_t *end = memchr(head->data + start, '\n', head->size - start);
    CHECK(end && end > head->data + start);
    *next = (size_t)(end - head->data) + 1;
    return *next - start - 2;
}

/* Every line has been checked to end with CRLF; nothing has been looked at but the request line. */
static enum status head_finish(struct http_parse *parse, const struct http_parse_limits *limits,
                               struct err *err)
{
    struct http_request *request = &parse->request;
    char *bytes = (char *)parse->head.data;
    size_t start = 0, next;
    size_t size = line_at(&parse->head, start, &next);
    TRY(http_head_request_line(slice_make(bytes, size), limits->target_bytes_max, request, err));
    for (start = next; (size = line_at(&parse->head, start, &next)) > 0; start = next)
        TRY(http_head_field(bytes + start, size, header_add(parse), err));
    request->headers = parse->headers;
    TRY(http_head_framing(request, limits->body_bytes_max, &parse->framing, err));
    return second_opinion(parse, err);
}

/* A line has been added to the head, with its LF. *end: it was the empty line at the end. */
static enum status line_check(struct http_parse *parse, const struct http_parse_limits *limits, bool *end,
                              struct err *err)
{
    size_t size = parse->head.size - parse->line_start;
    const char *line = (const char *)parse->head.data + parse->line_start;
    if (size < 2 || line[size - 2] != '\r')
        return err_set(err, STATUS_MALFORMED_REQUEST, "a line ends with LF alone, not with CR LF");
    bool first = parse->line_start == 0;
    parse->line_start = parse->head.size;
    if (size > 2)
    {
        struct http_request line_only;
        if (first)
            return http_head_request_line(slice_make(line, size - 2), limits->target_bytes_max, &line_only,
                                          err);
        if (++parse->request.header_count > limits->header_count_max)
            return err_set(err, STATUS_HEADERS_TOO_LARGE, "more than %u headers", limits->header_count_max);
        return STATUS_OK;
    }
    *end = !first;
    if (first)
    {
        if (parse->blank_skipped)
            return err_set(err, STATUS_MALFORMED_REQUEST, "more than one empty line before the request");
        parse->blank_skipped = true;
        buf_reset(&parse->head);
        parse->line_start = 0;
    }
    return STATUS_OK;
}

/* The bytes so far, whether the line is complete or not, so that a split of the input changes nothing. */
static enum status head_limit(const struct http_parse *parse, const struct http_parse_limits *limits,
                              size_t size, struct err *err)
{
    size_t line_max = (size_t)limits->target_bytes_max + REQUEST_LINE_REST;
    if (parse->line_start == 0 && size > line_max)
        return err_set(err, STATUS_TARGET_TOO_LONG, "the request line exceeds %zu bytes", line_max);
    if (parse->line_start > 0 && size > limits->header_bytes_max)
        return err_set(err, STATUS_HEADERS_TOO_LARGE, "the headers exceed %u bytes",
                       limits->header_bytes_max);
    return STATUS_OK;
}

/* Who speaks TLS or another protocol to us learns it at once, not after a timeout. */
static enum status first_byte_check(const struct http_parse *parse, struct slice input, struct err *err)
{
    const char *first = input.data;
    if (parse->head.size > 0 || *first == '\r' || http_is_token(slice_make(first, 1))) return STATUS_OK;
    if (*first == 0x16)
        return err_set(err, STATUS_MALFORMED_REQUEST, "this looks like TLS; the address speaks plain HTTP");
    return err_set(err, STATUS_MALFORMED_REQUEST, "the request does not begin with a method");
}

static void slice_skip(struct slice *input, size_t count)
{
    *input = slice_make((const char *)input->data + count, input->size - count);
}

static enum status head_collect(struct http_parse *parse, const struct http_parse_limits *limits,
                                struct slice *input, struct err *err)
{
    bool end = false;
    while (input->size && !end)
    {
        TRY(first_byte_check(parse, *input, err));
        const char *lf = memchr(input->data, '\n', input->size);
        size_t size = lf ? (size_t)(lf - (const char *)input->data) + 1 : input->size;
        TRY(head_limit(parse, limits, parse->head.size + size, err));
        buf_append(&parse->head, slice_make(input->data, size));
        slice_skip(input, size);
        if (lf) TRY(line_check(parse, limits, &end, err));
    }
    if (!end) return STATUS_OK;
    parse->head_done = true;
    parse->request.header_count = 0; /* counted so far, now read */
    return head_finish(parse, limits, err);
}

/* ---- the body ---- */

static enum status body_collect(struct http_parse *parse, const struct http_parse_limits *limits,
                                struct slice *input, bool *done, struct err *err)
{
    if (parse->framing.chunked)
    {
        TRY(http_chunk_decode(&parse->chunk, input, &parse->body, limits->body_bytes_max,
                              limits->header_bytes_max, err));
        *done = parse->chunk.state == CHUNK_DONE;
        return STATUS_OK;
    }
    uint64_t left = parse->framing.length - parse->body.size;
    size_t size = left < input->size ? (size_t)left : input->size;
    buf_append(&parse->body, slice_make(input->data, size));
    slice_skip(input, size);
    *done = size == left;
    return STATUS_OK;
}

enum http_parse_result http_parse(struct http_parse *parse, const struct http_parse_limits *limits,
                                  struct slice *input, struct err *err)
{
    if (!parse->head_done)
    {
        if (head_collect(parse, limits, input, err) != STATUS_OK) return HTTP_PARSE_FAILED;
        if (!parse->head_done) return HTTP_PARSE_MORE;
        if (!parse->framing.chunked && parse->framing.length == 0) return HTTP_PARSE_DONE;
        return HTTP_PARSE_HEAD;
    }
    bool done = false;
    if (body_collect(parse, limits, input, &done, err) != STATUS_OK) return HTTP_PARSE_FAILED;
    if (!done) return HTTP_PARSE_MORE;
    parse->request.body = buf_view(&parse->body);
    return HTTP_PARSE_DONE;
}
