/* validate.c - skip list of recent writes; point and range checks; failed chains. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/validate.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "statestore/kv/write_set.h"

/* One key and its last write. The bytes of the key follow the links. */
struct validate_key {
    struct list age;
    uint64_t seq;
    uint64_t chain;
    uint16_t key_size;
    uint8_t levels;
    struct validate_key *next[];
};

struct failed_chain {
    struct list link;
    uint64_t chain;
    uint64_t batch;
};

static struct slice key_of(const struct validate_key *key)
{
    return slice_make(&key->next[key->levels], key->key_size);
}

static size_t bytes_of(const struct validate_key *key)
{
    return sizeof *key + key->levels * sizeof key->next[0] + key->key_size;
}

void validate_init(struct validate *validate, uint64_t seq, size_t bytes_max)
{
    *validate = (struct validate){.forgotten = seq, .bytes_max = bytes_max, .failed_chains = MAP_INIT};
    list_init(&validate->ages);
    list_init(&validate->failed_order);
    prng_init(&validate->prng, prng_entropy()); /* so that nobody can choose keys that make the list deep */
}

void validate_fini(struct validate *validate)
{
    LIST_FOREACH(link, &validate->ages) free(CONTAINER_OF(link, struct validate_key, age));
    LIST_FOREACH(link, &validate->failed_order) free(CONTAINER_OF(link, struct failed_chain, link));
    map_fini(&validate->failed_chains);
}

/* ---- the skip list ---- */

/* The first key not below `key`; `before[level]` becomes the place that leads to it on each level. */
static struct validate_key *seek(struct validate *validate, struct slice key,
                                 struct validate_key **before[VALIDATE_LEVELS])
{
    struct validate_key **places = validate->heads;
    for (int level = VALIDATE_LEVELS - 1; level >= 0; level--)
    {
        while (places[level] && slice_compare(key_of(places[level]), key) < 0) places = places[level]->next;
        before[level] = &places[level];
    }
    return *before[0];
}

/* The same for looking only. */
static const struct validate_key *find(const struct validate *validate, struct slice key)
{
    struct validate_key *const *places = validate->heads;
    for (int level = VALIDATE_LEVELS - 1; level >= 0; level--)
        while (places[level] && slice_compare(key_of(places[level]), key) < 0) places = places[level]->next;
    return places[0];
}

/* One level with probability 3/4, two with 3/16 and so on: few links, logarithmic search. */
static uint8_t levels_draw(struct validate *validate)
{
    uint64_t bits = prng_next(&validate->prng);
    uint8_t levels = 1;
    while (levels < VALIDATE_LEVELS && (bits & 3) == 0)
    {
        levels++;
        bits >>= 2;
    }
    return levels;
}

static struct validate_key *insert(struct validate *validate, struct slice key,
                                   struct validate_key **before[VALIDATE_LEVELS])
{
    uint8_t levels = levels_draw(validate);
    struct validate_key *made = mem_alloc(sizeof *made + levels * sizeof made->next[0] + key.size);
    made->levels = levels;
    made->key_size = (uint16_t)key.size;
    memcpy(&made->next[levels], key.data, key.size);
    list_init(&made->age);
    for (int level = 0; level < levels; level++)
    {
        made->next[level] = *before[level];
        *before[level] = made;
    }
    validate->keys++;
    validate->bytes += bytes_of(made);
    return made;
}

static void drop(struct validate *validate, struct validate_key *key)
{
    struct validate_key **before[VALIDATE_LEVELS];
    struct validate_key *found = seek(validate, key_of(key), before);
    CHECK(found == key);
    for (int level = 0; level < key->levels; level++) *before[level] = key->next[level];
    list_remove(&key->age);
    validate->keys--;
    validate->bytes -= bytes_of(key);
    free(key);
}

/* ---- checks ---- */

static bool changed(const struct validate_key *key, uint64_t snapshot, uint64_t chain)
{
    return key->seq > snapshot && (chain == 0 || key->chain != chain);
}

static bool key_is_current(const struct validate *validate, struct slice key, uint64_t snapshot,
                           uint64_t chain)
{
    const struct validate_key *found = find(validate, key);
    return !found || !slice_equal(key_of(found), key) || !changed(found, snapshot, chain);
}

static bool range_is_current(const struct validate *validate, const struct read_entry *range,
                             uint64_t snapshot, uint64_t chain)
{
    for (const struct validate_key *key = find(validate, range->low); key; key = key->next[0])
    {
        if (range->high.size > 0 && slice_compare(key_of(key), range->high) >= 0) return true;
        if (changed(key, snapshot, chain)) return false;
    }
    return true;
}

/* True when nothing at all was written after `snapshot`: the usual case of a quiet store, at no cost. */
static bool nothing_newer(const struct validate *validate, uint64_t snapshot)
{
    if (list_empty(&validate->ages)) return true;
    return CONTAINER_OF(validate->ages.prev, struct validate_key, age)->seq <= snapshot;
}

bool validate_reads(const struct validate *validate, struct slice reads, uint64_t snapshot, uint64_t chain)
{
    if (reads.size == 0) return true;
    if (snapshot < validate->forgotten) return false;
    if (nothing_newer(validate, snapshot)) return true;
    struct read_entry entry;
    size_t offset = 0;
    while (read_set_next(reads, &offset, &entry))
    {
        bool current = entry.kind == READ_KEY ? key_is_current(validate, entry.low, snapshot, chain)
                                              : range_is_current(validate, &entry, snapshot, chain);
        if (!current) return false;
    }
    return true;
}

/* ---- what changes the index ---- */

static struct validate_key *oldest_key(struct validate *validate)
{
    return CONTAINER_OF(validate->ages.next, struct validate_key, age);
}

void validate_note(struct validate *validate, struct slice writes, uint64_t seq, uint64_t chain)
{
    struct write_entry entry;
    size_t offset = 0;
    while (write_set_next(writes, &offset, &entry))
    {
        struct validate_key **before[VALIDATE_LEVELS];
        struct validate_key *key = seek(validate, entry.key, before);
        if (!key || !slice_equal(key_of(key), entry.key)) key = insert(validate, entry.key, before);
        key->seq = seq;
        key->chain = chain;
        list_remove(&key->age);
        list_push_back(&validate->ages, &key->age);
    }
    while (validate->bytes > validate->bytes_max)
    {
        struct validate_key *oldest = oldest_key(validate);
        if (oldest->seq > validate->forgotten) validate->forgotten = oldest->seq;
        drop(validate, oldest);
    }
}

void validate_undo(struct validate *validate, uint64_t seq)
{
    for (struct list *link = validate->ages.prev; link != &validate->ages; link = link->prev)
    {
        struct validate_key *key = CONTAINER_OF(link, struct validate_key, age);
        if (key->seq <= seq) return;
        key->seq = seq;
        key->chain = 0;
    }
}

void validate_prune(struct validate *validate, uint64_t oldest)
{
    if (oldest <= validate->forgotten) return;
    validate->forgotten = oldest;
    while (!list_empty(&validate->ages) && oldest_key(validate)->seq <= oldest)
        drop(validate, oldest_key(validate));
}

/* ---- failed chains ---- */

void validate_chain_fail(struct validate *validate, uint64_t chain, uint64_t batch)
{
    if (chain == 0 || validate_chain_failed(validate, chain)) return;
    struct failed_chain *failed = mem_alloc(sizeof *failed);
    *failed = (struct failed_chain){.chain = chain, .batch = batch};
    list_push_back(&validate->failed_order, &failed->link);
    map_put(&validate->failed_chains, map_key_u64(&chain), failed);
}

bool validate_chain_failed(const struct validate *validate, uint64_t chain)
{
    return chain != 0 && validate->failed_chains.count > 0 &&
           map_get(&validate->failed_chains, map_key_u64(&chain));
}

void validate_chain_forget(struct validate *validate, uint64_t batch)
{
    while (!list_empty(&validate->failed_order))
    {
        struct failed_chain *first = CONTAINER_OF(validate->failed_order.next, struct failed_chain, link);
        if (first->batch > batch) return;
        list_remove(&first->link);
        map_remove(&validate->failed_chains, map_key_u64(&first->chain));
        free(first);
    }
}
