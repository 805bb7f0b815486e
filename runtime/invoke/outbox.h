/* outbox.h - sends as rows: written with the commit of the sender, deleted with the commit of the receiver. Pure. */
// SPDX-License-Identifier: Apache-2.0
//
// Key:   o | due ms, u64 big endian | number, u64 big endian          (d instead of o: given up, a dead letter)
// Value: attempts u32 | error size u16 | error text | EFFECT frame    (integers little endian)
// So the order of keys is the order in which they are due, and among equals the order in which they were sent.
#pragma once

#include "messaging/wire/wire.h"
#include "runtime/base/err.h"

enum { OUTBOX_KEY_BYTES = 17 };

struct outbox_key {
    uint64_t due_ms;
    uint64_t number;
};

struct outbox_row {
    uint32_t attempts; /* that have failed */
    struct slice error; /* of the last one */
    struct wire_effect send;
};

/* `space`: SPACE_OUTBOX or SPACE_DEAD. Appends. */
void outbox_key_encode(struct buf *out, uint8_t space, const struct outbox_key *key);
bool outbox_key_decode(struct slice bytes, struct outbox_key *key);
void outbox_row_encode(struct buf *out, const struct outbox_row *row);
/* Slices point into `bytes`. STORE_CORRUPT. */
MUST_CHECK enum status outbox_row_decode(struct slice bytes, struct outbox_row *row, struct err *err);

/* Appends the rows of all sends among checked effects as a write set; numbers them from *number on. How many. */
size_t outbox_write_set(struct slice effects, uint64_t now_ms, uint64_t *number, struct buf *set);
