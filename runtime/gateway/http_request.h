/* http_request.h - one HTTP request as the rest of the code sees it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "runtime/base/slice.h"

struct http_header {
    struct slice name; /* in requests lower case */
    struct slice value; /* without blanks around it */
};

struct http_request {
    struct slice method; /* "POST"; one that HTTP knows */
    struct slice target; /* as received: "/bank/transfer?dry=1" */
    struct slice path; /* of the target, still percent-encoded: "/bank/transfer"; "*" for OPTIONS * */
    struct slice query; /* behind the '?', still encoded; empty when there is none */
    const struct http_header *headers; /* in the order received */
    size_t header_count;
    struct slice body;
    bool http_1_0;
};

/* Value of the first header of this lower-case name; NULL data when there is none. */
struct slice http_request_header(const struct http_request *request, const char *name);

/* Decodes %XX (and nothing else: '+' stays). Writes at most encoded.size bytes to `out`, which may be encoded.data, and
 * sets *size. False when a '%' is not followed by two hex digits. A decoded zero byte or '/' is passed through. */
bool http_percent_decode(struct slice encoded, char *out, size_t *size);

/* Value of `name` in a query ("a=1&b=2", names and values percent-encoded, '+' is a blank), decoded into `out`, which
 * has room for query.size bytes. False when it is not there or not decodable. */
bool http_query_get(struct slice query, const char *name, char *out, struct slice *value);
