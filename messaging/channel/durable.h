/* durable.h - durable channels as rows: messages, heads, cursors of groups, dead letters. Pure. */
// SPDX-License-Identifier: Apache-2.0
//
//     q channel 00 offset               -> bytes before u64 · time ms u64 · key size u16 · type size u8 · key · type · body
//     g channel 00                      -> first u64 · next u64 · bytes u64 · time ms u64           the head
//     g channel 00 group 00             -> u64: every smaller offset is done                        a cursor
//     g channel 00 group 00 offset      -> nothing: this one is done too, though it is not smaller
//     x channel 00 group 00 offset      -> attempts u32 · time ms u64 · error size u16 · error · the message's value
//
// Offsets in keys are u64 big endian, so that the order of keys is the order of offsets; integers in values are little
// endian. Offsets grow and are never used twice, but some are missing: those of commits that were refused. "Bytes
// before" is the sum of keys and bodies of all earlier messages of the channel, so the difference of two messages is
// the size of what lies between them. The head is written when the oldest messages go.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct durable_message {
    uint64_t offset; /* of its key */
    uint64_t bytes_before;
    uint64_t time_ms; /* wall clock; never goes down in a channel */
    struct slice key; /* may be empty */
    struct slice type; /* content type; may be empty */
    struct slice body;
};

/* What it counts for in the size of its channel. */
static inline uint64_t durable_message_bytes(const struct durable_message *message)
{
    return message->key.size + message->body.size;
}

/* Where a channel begins and goes on when no message tells. */
struct durable_head {
    uint64_t first; /* smaller offsets are gone */
    uint64_t next; /* greater or equal offsets have not been given */
    uint64_t bytes; /* of all messages that there ever were */
    uint64_t time_ms;
};

struct durable_dead {
    uint32_t attempts;
    uint64_t time_ms; /* of the last attempt */
    struct slice error;
    struct slice row; /* value of the message */
};

/* Keys; all append. */
void durable_message_key(struct buf *out, struct slice channel, uint64_t offset);
void durable_head_key(struct buf *out, struct slice channel);
void durable_cursor_key(struct buf *out, struct slice channel, struct slice group);
void durable_done_key(struct buf *out, struct slice channel, struct slice group, uint64_t offset);
void durable_dead_key(struct buf *out, struct slice channel, struct slice group, uint64_t offset);
/* Takes the key of a cursor or of a dead letter apart; false for all others. Slices point into `key`. */
bool durable_cursor_split(struct slice key, struct slice *channel, struct slice *group);
bool durable_dead_split(struct slice key, struct slice *channel, struct slice *group, uint64_t *offset);
bool durable_message_split(struct slice key, struct slice *channel, uint64_t *offset);
/* The offset at the end of a message's, a done or a dead letter's key. STORE_CORRUPT for all other bytes: a scan gives
 * whatever lies in its range, also what no channel ever wrote. */
MUST_CHECK enum status durable_key_offset(struct slice key, uint64_t *offset, struct err *err);

/* Values; encoding appends, what is decoded points into the bytes. STORE_CORRUPT. */
void durable_message_encode(struct buf *out, const struct durable_message *message);
MUST_CHECK enum status durable_message_decode(struct slice bytes, struct durable_message *message,
                                              struct err *err);
void durable_head_encode(struct buf *out, const struct durable_head *head);
MUST_CHECK enum status durable_head_decode(struct slice bytes, struct durable_head *head, struct err *err);
void durable_cursor_encode(struct buf *out, uint64_t cursor);
MUST_CHECK enum status durable_cursor_decode(struct slice bytes, uint64_t *cursor, struct err *err);
void durable_dead_encode(struct buf *out, const struct durable_dead *dead);
MUST_CHECK enum status durable_dead_decode(struct slice bytes, struct durable_dead *dead, struct err *err);
