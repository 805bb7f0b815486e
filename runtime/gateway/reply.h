/* reply.h - answers as bytes: status line, headers, error bodies, chunks; pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/status.h"
#include "runtime/gateway/http_request.h"

enum reply_body {
    REPLY_BODY, /* `body` follows, Content-Length tells its size */
    REPLY_HEAD_ONLY, /* Content-Length as for `body`, which does not follow (HEAD) */
    REPLY_EMPTY, /* neither (204, 304) */
    REPLY_CHUNKED, /* chunks follow */
    REPLY_UNTIL_CLOSE, /* bytes follow until the connection ends (HTTP/1.0) */
};

enum reply_connection {
    REPLY_KEEP, /* HTTP/1.1, nothing to say */
    REPLY_KEEP_1_0, /* HTTP/1.0 must be told */
    REPLY_CLOSE,
    REPLY_UPGRADE, /* `more` says to what */
};

struct reply {
    int status;
    const struct http_header *headers;
    size_t header_count;
    struct slice more; /* headers as whole lines, written by us */
    struct slice body;
    enum reply_body body_kind;
    enum reply_connection connection;
};

/* Appends the whole answer; of streams only its head. Headers that the gateway owns (see gateway.h) or that are not
 * valid are left out. `common` is reply_common_print()'s. */
void reply_append(struct buf *out, const struct reply *reply, struct slice common);

enum { REPLY_COMMON_BYTES = 80 };
/* The lines that all answers share: Server and Date of this second. */
struct slice reply_common_print(char text[REPLY_COMMON_BYTES], uint64_t wall_ms);

/* One chunk; empty bytes append nothing (an empty chunk would be the end). */
void reply_chunk_append(struct buf *out, struct slice bytes);
void reply_last_chunk_append(struct buf *out);

/* {"error":{"code":...,"message":...,"hint":...,"invocation":...}} and a line feed. `message` and `invocation` may be
 * NULL. Bytes that are not UTF-8 are replaced. */
void reply_error_body_append(struct buf *out, enum status status, const char *message,
                             const char *invocation);
