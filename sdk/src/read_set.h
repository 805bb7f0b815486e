/* read_set.h - which rows and ranges an invocation read: each once, for validation at commit. */
// SPDX-License-Identifier: Apache-2.0
//
// Also remembers what a row's value was: rows below the write set do not change during an invocation, so
// the second read of a row is answered from here.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/slice.h"
#include "sdk/src/arena.h"

/* A row that was read. */
struct stead__read {
    uint32_t generation; /* of the set in which this place is taken */
    uint32_t hash;
    struct slice key;
    struct slice value;
    bool found;
};

/* A range [low, high) that was walked over; high empty: no upper end. */
struct stead__range {
    struct stead__range *older;
    struct slice low;
    struct slice high;
};

struct stead__read_set {
    struct stead__arena *arena;
    struct stead__read *places; /* open addressing; owned */
    uint32_t capacity; /* a power of two */
    uint32_t count;
    uint32_t generation;
    struct stead__range *ranges; /* the newest first */
    uint32_t range_count;
    uint32_t scan_count;
    bool overflowed; /* more was read than can be validated */
};

void stead__read_set_init(struct stead__read_set *set, struct stead__arena *arena);
void stead__read_set_fini(struct stead__read_set *set);
/* Empty again; for after a reset of the arena. */
void stead__read_set_clear(struct stead__read_set *set);

/* The row's entry when it was read before, else NULL. */
struct stead__read *stead__read_set_find(struct stead__read_set *set, struct slice key);
/* Records a row that was not read before; the key is copied, the value has to last as long as the arena.
 * At the bound it only sets `overflowed`. */
void stead__read_set_add(struct stead__read_set *set, struct slice key, bool found, struct slice value);
/* A scan begins: counted now, while its handler can be told; at the bound it sets `overflowed`. */
void stead__read_set_count_range(struct stead__read_set *set);
/* A scan covered this; both ends have to last as long as the arena. */
void stead__read_set_add_range(struct stead__read_set *set, struct slice low, struct slice high);

/* Appends all of it as an encoded read set; overlapping ranges become one. Only for a set that did not
 * overflow. */
void stead__read_set_encode(struct stead__read_set *set, struct buf *out);
