/* read_set.c - a hash table that is emptied by counting up a generation, and ranges that are merged at the end. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/read_set.h"

#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"
#include "statestore/kv/write_set.h"

enum {
    CAPACITY_FIRST = 64,
    CAPACITY_KEPT = 4096, /* a larger table is given back after the invocation */
};

void stead__read_set_init(struct stead__read_set *set, struct stead__arena *arena)
{
    *set = (struct stead__read_set){.arena = arena, .generation = 1};
}

void stead__read_set_fini(struct stead__read_set *set)
{
    free(set->places);
    set->places = NULL;
    set->capacity = 0;
}

void stead__read_set_clear(struct stead__read_set *set)
{
    set->generation++;
    /* Generation 0 marks places that were never used; after 2^32 invocations begin afresh. */
    if (set->capacity > CAPACITY_KEPT || set->generation == 0)
    {
        stead__read_set_fini(set);
        set->generation = 1;
    }
    set->count = set->range_count = set->scan_count = 0;
    set->ranges = NULL;
    set->overflowed = false;
}

/* The place of the key, or the free one where it belongs. */
static struct stead__read *place_of(struct stead__read_set *set, struct slice key, uint32_t hash)
{
    uint32_t mask = set->capacity - 1;
    for (uint32_t i = hash & mask;; i = (i + 1) & mask)
    {
        struct stead__read *place = &set->places[i];
        if (place->generation != set->generation) return place;
        if (place->hash == hash && slice_equal(place->key, key)) return place;
    }
}

static void grow(struct stead__read_set *set)
{
    struct stead__read *old = set->places;
    uint32_t old_capacity = set->capacity;
    set->capacity = old_capacity ? old_capacity * 2 : CAPACITY_FIRST;
    set->places = mem_zalloc(set->capacity * sizeof *set->places);
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i].generation == set->generation) *place_of(set, old[i].key, old[i].hash) = old[i];
    free(old);
}

struct stead__read *stead__read_set_find(struct stead__read_set *set, struct slice key)
{
    if (set->count == 0) return NULL;
    struct stead__read *place = place_of(set, key, (uint32_t)hash_bytes(key));
    return place->generation == set->generation ? place : NULL;
}

void stead__read_set_add(struct stead__read_set *set, struct slice key, bool found, struct slice value)
{
    if (set->count == BOUND_READ_SET_KEYS_MAX)
    {
        set->overflowed = true;
        return;
    }
    if (2 * (set->count + 1) > set->capacity) grow(set);
    uint32_t hash = (uint32_t)hash_bytes(key);
    struct stead__read *place = place_of(set, key, hash);
    CHECK(place->generation != set->generation);
    char *key_copy = stead__arena_alloc(set->arena, key.size);
    memcpy(key_copy, key.data, key.size);
    *place = (struct stead__read){set->generation, hash, slice_make(key_copy, key.size), value, found};
    set->count++;
}

void stead__read_set_count_range(struct stead__read_set *set)
{
    if (set->scan_count == BOUND_READ_SET_RANGES_MAX)
        set->overflowed = true;
    else
        set->scan_count++;
}

void stead__read_set_add_range(struct stead__read_set *set, struct slice low, struct slice high)
{
    struct stead__range *range = stead__arena_alloc(set->arena, sizeof *range);
    *range = (struct stead__range){set->ranges, low, high};
    set->ranges = range;
    set->range_count++;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct stead__range *const *first = a, *const *second = b;
    return slice_compare((*first)->low, (*second)->low);
}

/* Whether `high`, the end of a range, lies at or behind `key`. */
static bool reaches(struct slice high, struct slice key)
{
    return high.size == 0 || slice_compare(high, key) >= 0;
}

static void encode_ranges(struct stead__read_set *set, struct buf *out)
{
    struct stead__range **sorted = stead__arena_alloc(set->arena, set->range_count * sizeof *sorted);
    uint32_t count = 0;
    for (struct stead__range *range = set->ranges; range; range = range->older) sorted[count++] = range;
    qsort(sorted, count, sizeof *sorted, compare_ranges);
    for (uint32_t i = 0; i < count;)
    {
        struct read_entry merged = {READ_RANGE, sorted[i]->low, sorted[i]->high};
        for (i++; i < count && reaches(merged.high, sorted[i]->low); i++)
            if (merged.high.size > 0 && reaches(sorted[i]->high, merged.high)) merged.high = sorted[i]->high;
        read_set_append(out, &merged);
    }
}

void stead__read_set_encode(struct stead__read_set *set, struct buf *out)
{
    for (uint32_t i = 0, left = set->count; left > 0; i++)
    {
        if (set->places[i].generation != set->generation) continue;
        read_set_append(out, &(struct read_entry){READ_KEY, set->places[i].key, SLICE_EMPTY});
        left--;
    }
    if (set->range_count > 0) encode_ranges(set, out);
}
