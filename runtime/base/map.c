/* map.c - open addressing with linear probing and backward-shift deletion. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/map.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"

void map_fini(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
    {
        if (map->entries[i].value) free((void *)map->entries[i].key.data);
    }
    free(map->entries);
    *map = MAP_INIT;
}

/* The place of `key`, or the free place where it belongs. */
static size_t map_place(const struct map *map, uint64_t hash, struct slice key)
{
    size_t mask = map->capacity - 1;
    size_t i = hash & mask;
    while (map->entries[i].value && (map->entries[i].hash != hash || !slice_equal(map->entries[i].key, key)))
        i = (i + 1) & mask;
    return i;
}

static void map_grow(struct map *map)
{
    struct map old = *map;
    map->capacity = old.capacity ? old.capacity * 2 : 16;
    map->entries = mem_zalloc(map->capacity * sizeof *map->entries);
    for (size_t i = 0; i < old.capacity; i++)
    {
        struct map_entry *entry = &old.entries[i];
        if (entry->value) map->entries[map_place(map, entry->hash, entry->key)] = *entry;
    }
    free(old.entries);
}

void *map_get(const struct map *map, struct slice key)
{
    if (map->count == 0) return NULL;
    return map->entries[map_place(map, hash_bytes(key), key)].value;
}

void *map_put(struct map *map, struct slice key, void *value)
{
    CHECK(value != NULL);
    if ((map->count + 1) * 4 > map->capacity * 3) map_grow(map);
    uint64_t hash = hash_bytes(key);
    struct map_entry *entry = &map->entries[map_place(map, hash, key)];
    void *old = entry->value;
    if (!old)
    {
        entry->key = slice_make(mem_dup(key), key.size);
        entry->hash = hash;
        map->count++;
    }
    entry->value = value;
    return old;
}

void *map_remove(struct map *map, struct slice key)
{
    if (map->count == 0) return NULL;
    size_t mask = map->capacity - 1;
    size_t hole = map_place(map, hash_bytes(key), key);
    void *value = map->entries[hole].value;
    if (!value) return NULL;
    free((void *)map->entries[hole].key.data);
    map->count--;
    /* Shift back those that probed past the hole, so that no tombstones are needed. */
    for (size_t i = (hole + 1) & mask; map->entries[i].value; i = (i + 1) & mask)
    {
        size_t home = map->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask))
        {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (struct map_entry){0};
    return value;
}

bool map_next(const struct map *map, size_t *place, struct map_entry *entry)
{
    for (; *place < map->capacity; ++*place)
    {
        if (map->entries[*place].value)
        {
            *entry = map->entries[(*place)++];
            return true;
        }
    }
    return false;
}
