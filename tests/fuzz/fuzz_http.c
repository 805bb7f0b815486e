/* fuzz_http.c - HTTP bytes of strangers: no split changes what they mean, nothing refused has an effect. */
// SPDX-License-Identifier: Apache-2.0
//
// The first byte of an input chooses where the rest is cut into pieces.
#include <stdint.h>
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/gateway/http_parse.h"

enum { PIECES_SEED_BYTES = 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_parse_limits limits = {
    .header_bytes_max = 512, .header_count_max = 12, .target_bytes_max = 128, .body_bytes_max = 1024};

/* What every accepted request promises. */
static void check_request(const struct http_parse *parse)
{
    const struct http_request *request = &parse->request;
    CHECK(http_is_token(request->method));
    CHECK(request->target.size > 0 && request->target.size <= limits.target_bytes_max);
    CHECK(request->path.size > 0 && request->header_count <= limits.header_count_max);
    CHECK(request->body.size <= limits.body_bytes_max);
    CHECK(parse->framing.chunked || request->body.size == parse->framing.length);
    for (size_t i = 0; i < request->header_count; i++)
    {
        CHECK(http_is_token(request->headers[i].name));
        CHECK(http_is_field_value(request->headers[i].value));
    }
}

/* The requests in the bytes, and how it ended, as text; `step` bytes at a time, 0: all at once. */
static void outcome_print(struct slice bytes, size_t step, struct buf *out)
{
    struct http_parse parse;
    struct err err = ERR_INIT;
    http_parse_init(&parse);
    bool failed = false;
    while (bytes.size && !failed)
    {
        size_t piece_size = step && step < bytes.size ? step : bytes.size;
        struct slice piece = slice_make(bytes.data, piece_size);
        bytes = slice_make((const char *)bytes.data + piece_size, bytes.size - piece_size);
        while (piece.size && !failed)
        {
            switch (http_parse(&parse, &limits, &piece, &err))
            {
            case HTTP_PARSE_MORE:
                CHECK(piece.size == 0);
                break;
            case HTTP_PARSE_HEAD:
                break;
            case HTTP_PARSE_DONE:
                check_request(&parse);
                buf_append(out, parse.request.method);
                buf_append(out, parse.request.path);
                buf_append(out, parse.request.query);
                buf_append(out, parse.request.body);
                http_parse_reset(&parse, 0);
                break;
            case HTTP_PARSE_FAILED:
                CHECK(err.status != STATUS_OK && err.text[0]);
                buf_append_cstr(out, err.text);
                failed = true;
                break;
            }
        }
    }
    http_parse_fini(&parse);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PIECES_SEED_BYTES) return 0;
    struct slice bytes = slice_make(data + PIECES_SEED_BYTES, size - PIECES_SEED_BYTES);
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    outcome_print(bytes, 0, &whole);
    outcome_print(bytes, 1 + data[0] % 64, &pieces);
    CHECK(slice_equal(buf_view(&whole), buf_view(&pieces)));
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
