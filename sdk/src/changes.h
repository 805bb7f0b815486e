/* changes.h - an ordered map of row changes: the write set of an invocation, and the writes of a chain before it. */
// SPDX-License-Identifier: Apache-2.0
//
// A skip list in an arena: changes are only added or replaced, never taken out, so that a scan may stand
// on one while the handler writes. A value that was lent to the handler is not overwritten, because it
// is promised to it until the end.
#pragma once

#include <stdint.h>

#include "runtime/base/slice.h"
#include "sdk/src/arena.h"
#include "statestore/kv/write_set.h"

enum { STEAD__CHANGE_LEVELS_MAX = 16 };

struct stead__change {
    struct slice key;
    struct slice value; /* empty for a delete */
    size_t capacity; /* bytes at value.data that may be used again */
    enum write_op op;
    bool lent; /* the handler holds a pointer to the value */
    struct stead__change *before; /* NULL: the first */
    struct stead__change *next[]; /* one for each of its levels */
};

struct stead__changes {
    struct stead__arena *arena;
    struct stead__change *first[STEAD__CHANGE_LEVELS_MAX];
    struct stead__change *last;
    size_t count;
    size_t bytes; /* as an encoded write set */
    uint64_t chance;
};

void stead__changes_init(struct stead__changes *changes, struct stead__arena *arena);
/* Empty again; for after a reset of the arena. */
void stead__changes_clear(struct stead__changes *changes);
/* NULL when the key has no change. */
struct stead__change *stead__changes_find(const struct stead__changes *changes, struct slice key);
/* The first change with a key >= `key`; the last one with a key < `key`. NULL when there is none. */
struct stead__change *stead__changes_seek(const struct stead__changes *changes, struct slice key);
struct stead__change *stead__changes_seek_before(const struct stead__changes *changes, struct slice key);
/* Size that the encoded set would have with this change. */
size_t stead__changes_bytes_with(const struct stead__changes *changes, struct slice key, size_t value_size);
/* Adds or replaces; key and value are copied. */
void stead__changes_set(struct stead__changes *changes, enum write_op op, struct slice key,
                        struct slice value);
/* Appends all of it as an encoded write set. */
void stead__changes_encode(const struct stead__changes *changes, struct buf *out);
/* Sets each change of `from` in `to`. */
void stead__changes_merge(struct stead__changes *to, const struct stead__changes *from);
