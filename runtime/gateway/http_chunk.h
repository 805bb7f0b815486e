/* http_chunk.h - the chunked coding of request bodies, decoded strictly: pure, any split of the input. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum http_chunk_state {
    CHUNK_SIZE_FIRST, /* a hex digit must come */
    CHUNK_SIZE, /* more digits, ';' or CR */
    CHUNK_EXTENSION, /* skipped up to CR */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_FIRST, /* a trailer's name, or the CR of the last line */
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
    CHUNK_DONE,
};

struct http_chunk {
    enum http_chunk_state state;
    uint64_t left; /* of the current chunk */
    uint32_t digits;
    uint32_t overhead; /* bytes of extensions and trailers so far: they are thrown away, but not for ever */
};

#define HTTP_CHUNK_INIT ((struct http_chunk){0})

/* Takes bytes off *input and appends the body's to `body`, until the input is used up or the state is CHUNK_DONE.
 * MALFORMED_REQUEST, BODY_TOO_LARGE, HEADERS_TOO_LARGE (extensions and trailers beyond `overhead_max`). */
MUST_CHECK enum status http_chunk_decode(struct http_chunk *chunk, struct slice *input, struct buf *body,
                                         uint64_t body_bytes_max, uint32_t overhead_max, struct err *err);
