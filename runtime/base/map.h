/* map.h - hash map from bytes to a pointer; keys are copied, values are borrowed. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "runtime/base/slice.h"

struct map_entry {
    uint64_t hash;
    struct slice key; /* owned by the map */
    void *value; /* NULL marks a free place */
};

struct map {
    struct map_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

#define MAP_INIT ((struct map){NULL, 0, 0})

void map_fini(struct map *map);
/* The value under `key`; NULL when there is none. */
void *map_get(const struct map *map, struct slice key);
/* Sets the value, which is not NULL, and returns the one it replaces, or NULL. */
void *map_put(struct map *map, struct slice key, void *value);
/* Removes and returns the value; NULL when there was none. */
void *map_remove(struct map *map, struct slice key);
/* The entries in no order: start with *place = 0; false at the end. Do not change the map meanwhile. */
bool map_next(const struct map *map, size_t *place, struct map_entry *entry);

/* The same for 64-bit keys. */
static inline struct slice map_key_u64(const uint64_t *key)
{
    return slice_make(key, sizeof *key);
}
