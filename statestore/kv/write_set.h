/* write_set.h - what an invocation read and wants to write, as bytes: the same in result frames, in the log and at apply. */
// SPDX-License-Identifier: Apache-2.0
//
// Write set: entries sorted by key without repeats; integers little endian:
//     op u8 (1 put, 2 delete) · key size u16 · value size u32 (0 for delete) · key · value
// Read set: entries in any order:
//     kind u8 (1 key, 2 range) · low size u16 · high size u16 (0 for key; a range with high size 0 has no upper end) · low · high
// A range is half open, [low, high). Both are built in the worker and come from outside when the daemon sees them:
// check with write_set_check / read_set_check before use.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum write_op { WRITE_PUT = 1, WRITE_DELETE = 2 };

struct write_entry {
    enum write_op op;
    struct slice key;
    struct slice value;
};

enum {
    WRITE_ENTRY_HEAD_BYTES = 7, /* op, key size, value size */
    READ_ENTRY_HEAD_BYTES = 5, /* kind, low size, high size */
};

enum read_kind { READ_KEY = 1, READ_RANGE = 2 };

struct read_entry {
    enum read_kind kind;
    struct slice low; /* the key, or the low end */
    struct slice high; /* empty: no upper end */
};

/* Appends one entry; the caller keeps the order. */
void write_set_append(struct buf *set, const struct write_entry *entry);
void read_set_append(struct buf *set, const struct read_entry *entry);

/* Iterates over checked bytes: start with *offset = 0; false at the end. Slices point into `set`. */
bool write_set_next(struct slice set, size_t *offset, struct write_entry *entry);
bool read_set_next(struct slice set, size_t *offset, struct read_entry *entry);

/* Proves that untrusted bytes are a well-formed set: sizes in bounds, keys within their limit and in `space` only (row
 * keys with their zero byte), write entries sorted and unique. FUNCTION_PROTOCOL, KEY_TOO_LONG, VALUE_TOO_LARGE,
 * WRITE_SET_TOO_LARGE, READ_SET_TOO_LARGE. */
MUST_CHECK enum status write_set_check(struct slice set, uint8_t space, struct err *err);
MUST_CHECK enum status read_set_check(struct slice set, uint8_t space, struct err *err);
