/* changes.c - the skip list: towers of random height, four times fewer on each level. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/changes.h"

#include "statestore/kv/write_set.h"

void stead__changes_init(struct stead__changes *changes, struct stead__arena *arena)
{
    *changes = (struct stead__changes){.arena = arena, .chance = 0x9e3779b97f4a7c15ULL};
}

void stead__changes_clear(struct stead__changes *changes)
{
    if (changes->count == 0) return;
    memset(changes->first, 0, sizeof changes->first);
    changes->last = NULL;
    changes->count = changes->bytes = 0;
}

/* Walks down to the place of `key`: above[i] becomes the link on level i that leads to the first change
 * >= key. Returns the last change < key, or NULL. */
static struct stead__change *descend(const struct stead__changes *changes, struct slice key,
                                     struct stead__change **above[])
{
    struct stead__change *before = NULL;
    for (int level = STEAD__CHANGE_LEVELS_MAX - 1; level >= 0; level--)
    {
        struct stead__change *const *link = before ? &before->next[level] : &changes->first[level];
        while (*link && slice_compare((*link)->key, key) < 0)
        {
            before = *link;
            link = &before->next[level];
        }
        if (above) above[level] = (struct stead__change **)link;
    }
    return before;
}

struct stead__change *stead__changes_seek(const struct stead__changes *changes, struct slice key)
{
    if (changes->count == 0) return NULL;
    struct stead__change *before = descend(changes, key, NULL);
    return before ? before->next[0] : changes->first[0];
}

struct stead__change *stead__changes_seek_before(const struct stead__changes *changes, struct slice key)
{
    return changes->count == 0 ? NULL : descend(changes, key, NULL);
}

struct stead__change *stead__changes_find(const struct stead__changes *changes, struct slice key)
{
    struct stead__change *change = stead__changes_seek(changes, key);
    return change && slice_equal(change->key, key) ? change : NULL;
}

static size_t entry_bytes(struct slice key, size_t value_size)
{
    return WRITE_ENTRY_HEAD_BYTES + key.size + value_size;
}

size_t stead__changes_bytes_with(const struct stead__changes *changes, struct slice key, size_t value_size)
{
    const struct stead__change *old = stead__changes_find(changes, key);
    return changes->bytes + entry_bytes(key, value_size) - (old ? entry_bytes(key, old->value.size) : 0);
}

static int random_levels(struct stead__changes *changes)
{
    changes->chance ^= changes->chance << 13;
    changes->chance ^= changes->chance >> 7;
    changes->chance ^= changes->chance << 17;
    int levels = 1;
    for (uint64_t bits = changes->chance; levels < STEAD__CHANGE_LEVELS_MAX && (bits & 3) == 0; bits >>= 2)
        levels++;
    return levels;
}

static struct stead__change *insert(struct stead__changes *changes, struct slice key)
{
    struct stead__change **above[STEAD__CHANGE_LEVELS_MAX];
    struct stead__change *before = descend(changes, key, above);
    int levels = random_levels(changes);
    size_t links = (size_t)levels * sizeof(struct stead__change *);
    struct stead__change *change = stead__arena_alloc(changes->arena, sizeof *change + links + key.size);
    char *key_copy = (char *)(change->next + levels);
    memcpy(key_copy, key.data, key.size);
    *change = (struct stead__change){.key = slice_make(key_copy, key.size), .before = before};
    for (int level = 0; level < levels; level++)
    {
        change->next[level] = *above[level];
        *above[level] = change;
    }
    if (change->next[0])
        change->next[0]->before = change;
    else
        changes->last = change;
    changes->count++;
    changes->bytes += entry_bytes(key, 0);
    return change;
}

void stead__changes_set(struct stead__changes *changes, enum write_op op, struct slice key,
                        struct slice value)
{
    struct stead__change *change = stead__changes_find(changes, key);
    if (!change) change = insert(changes, key);
    changes->bytes += value.size - change->value.size;
    if (change->lent || value.size > change->capacity)
    {
        /* A value that grows again and again, in one run or over a chain, must not use memory for each
         * of its sizes. */
        size_t capacity = change->capacity > 0 ? value.size + value.size / 4 : value.size;
        change->value.data = stead__arena_alloc(changes->arena, capacity);
        change->capacity = capacity;
        change->lent = false;
    }
    /* The new value may be a part of the old one. */
    if (value.size > 0) memmove((void *)change->value.data, value.data, value.size);
    change->value.size = value.size;
    change->op = op;
}

void stead__changes_encode(const struct stead__changes *changes, struct buf *out)
{
    for (const struct stead__change *change = changes->first[0]; change; change = change->next[0])
        write_set_append(out, &(struct write_entry){change->op, change->key, change->value});
}

void stead__changes_merge(struct stead__changes *to, const struct stead__changes *from)
{
    for (const struct stead__change *change = from->first[0]; change; change = change->next[0])
        stead__changes_set(to, change->op, change->key, change->value);
}
