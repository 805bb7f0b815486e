/* http_head.h - the strict rules for request lines and headers: pure, line by line, no memory of its own. */
// SPDX-License-Identifier: Apache-2.0
//
// These rules are narrower than the RFCs where another server might read the same bytes differently: that difference
// is what request smuggling lives on. Refused are line folding, blanks around names, control bytes, repeated or
// decorated lengths, Content-Length together with Transfer-Encoding, every coding but `chunked`, a missing or repeated
// Host, and an absolute target that contradicts it.
#pragma once

#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/gateway/http_request.h"

/* How the body is delimited, and what happens to the connection. */
struct http_framing {
    uint64_t length; /* bytes of the body when it is not chunked */
    bool chunked;
    bool keep_alive; /* the client would like to go on */
    bool expect_continue; /* it waits for a 100 before it sends the body */
};

/* `line` is without its CRLF. Sets method, target and http_1_0 (borrowed from the line).
 * MALFORMED_REQUEST, TARGET_TOO_LONG, VERSION_UNSUPPORTED. */
MUST_CHECK enum status http_head_request_line(struct slice line, size_t target_bytes_max,
                                              struct http_request *request, struct err *err);
/* `line` is without its CRLF; the name is turned to lower case in place. MALFORMED_REQUEST. */
MUST_CHECK enum status http_head_field(char *line, size_t size, struct http_header *header, struct err *err);
/* With method, target and headers set: sets path and query and decides the framing.
 * MALFORMED_REQUEST, METHOD_UNKNOWN, TRANSFER_CODING_UNSUPPORTED, EXPECTATION_FAILED, BODY_TOO_LARGE. */
MUST_CHECK enum status http_head_framing(struct http_request *request, uint64_t body_bytes_max,
                                         struct http_framing *framing, struct err *err);

/* A token of RFC 9110: names of headers and methods. */
bool http_is_token(struct slice text);
/* No control bytes but tabs. */
bool http_is_field_value(struct slice text);
