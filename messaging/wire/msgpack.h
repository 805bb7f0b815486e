/* msgpack.h - flat msgpack arrays, written field by field and read through a cursor that cannot leave the bytes. */
// SPDX-License-Identifier: Apache-2.0
//
// Internal to messaging/wire; msgpack.c is the only file that sees msgpack-c. A message is one array of
// numbers, booleans, texts and bytes, and of arrays of texts one level below. Reading never allocates:
// slices point into the payload, and a payload with more parts than a message can have is refused before
// anything is made of them.
#pragma once

#include <stdint.h>

#include "messaging/wire/wire.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* ---- write ---- */

/* Between begin and end nothing else may append to `out`. */
struct mp_writer {
    struct buf *out;
    size_t start; /* of the frame in `out` */
};

/* Begins a frame: its length is filled in by mp_end. `fields` does not count the type. */
void mp_begin(struct mp_writer *writer, struct buf *out, enum wire_type type, uint32_t fields);
void mp_put_uint(struct mp_writer *writer, uint64_t value);
void mp_put_bool(struct mp_writer *writer, bool value);
void mp_put_text(struct mp_writer *writer, struct slice text);
void mp_put_bytes(struct mp_writer *writer, struct slice bytes);
void mp_put_headers(struct mp_writer *writer, const struct wire_headers *headers);
void mp_end(struct mp_writer *writer);

/* ---- read ---- */

enum { MP_TOKENS_MAX = 32 + 2 * WIRE_HEADERS_MAX };

enum mp_kind { MP_UINT, MP_BOOL, MP_TEXT, MP_BYTES, MP_ARRAY };

struct mp_token {
    enum mp_kind kind;
    union {
        uint64_t number; /* value, 0 or 1, or count of an array */
        struct slice bytes;
    };
};

/* The first misfit is remembered and everything after it reads as empty, so that decoding reads like the
 * schema and is judged once, at the end. */
struct mp_reader {
    size_t count; /* tokens */
    size_t next;
    const char *misfit; /* what was wrong, or NULL */
    size_t misfit_at; /* the token */
    struct mp_token tokens[MP_TOKENS_MAX];
};

/* Reads the whole payload, which has to be one message of this type with exactly these fields. */
MUST_CHECK enum status mp_open(struct mp_reader *reader, struct slice payload, enum wire_type type,
                               uint32_t fields, struct err *err);
uint64_t mp_uint(struct mp_reader *reader, uint64_t max);
bool mp_bool(struct mp_reader *reader);
struct slice mp_text(struct mp_reader *reader);
struct slice mp_bytes(struct mp_reader *reader);
void mp_headers(struct mp_reader *reader, struct wire_headers *headers);
/* FUNCTION_PROTOCOL with the first misfit, or when something is left. */
MUST_CHECK enum status mp_close(struct mp_reader *reader, const char *message, struct err *err);

/* The type at the beginning of a payload, which need not be whole; 0 when there is none. */
uint64_t mp_peek_type(struct slice payload);
