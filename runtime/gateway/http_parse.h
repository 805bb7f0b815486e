/* http_parse.h - bytes to requests: pure, no I/O, no time; the result does not depend on how the bytes are split. */
// SPDX-License-Identifier: Apache-2.0
//
// Two parsers read every head: our strict rules (http_head.h) and llhttp. Both must accept it and agree on what it
// means, else the request is refused. The file behind this header is the only one that sees llhttp.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/gateway/http_chunk.h"
#include "runtime/gateway/http_head.h"
#include "runtime/gateway/http_request.h"

struct http_parse_limits {
    uint32_t header_bytes_max; /* request line, headers and their line ends */
    uint32_t header_count_max;
    uint32_t target_bytes_max;
    uint64_t body_bytes_max;
};

enum http_parse_result {
    HTTP_PARSE_MORE, /* all bytes are taken, the request goes on */
    HTTP_PARSE_HEAD, /* told once, when a body follows: request and framing are set but for the body */
    HTTP_PARSE_DONE, /* the request is whole; the bytes left belong to the next */
    HTTP_PARSE_FAILED, /* refused: nothing of the connection can be trusted any more */
};

/* One request while it arrives, and the parser's place in it. Reused for many requests without allocating. */
struct http_parse {
    struct buf head; /* request line and headers, names in lower case */
    struct buf body;
    struct http_header *headers;
    size_t header_capacity;
    size_t line_start; /* in `head`: the line that is not complete yet */
    bool blank_skipped; /* an empty line before the request, as some clients send after a body */
    bool head_done;
    struct http_chunk chunk;
    struct http_framing framing;
    struct http_request request; /* points into the members above */
};

void http_parse_init(struct http_parse *parse);
void http_parse_fini(struct http_parse *parse);
/* Ready for the next request; keeps memory up to `keep_bytes`. */
void http_parse_reset(struct http_parse *parse, size_t keep_bytes);
/* True while no byte of a request has been seen. */
bool http_parse_is_fresh(const struct http_parse *parse);

/* Takes bytes off *input. After DONE or FAILED it must be reset before it is used again. Statuses with FAILED, in *err:
 * MALFORMED_REQUEST, METHOD_UNKNOWN, VERSION_UNSUPPORTED, TARGET_TOO_LONG, HEADERS_TOO_LARGE, BODY_TOO_LARGE,
 * TRANSFER_CODING_UNSUPPORTED, EXPECTATION_FAILED. */
enum http_parse_result http_parse(struct http_parse *parse, const struct http_parse_limits *limits,
                                  struct slice *input, struct err *err);
