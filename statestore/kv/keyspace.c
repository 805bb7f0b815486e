/* keyspace.c - row keys and their ranges; bytes only. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/kv/keyspace.h"

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"

static enum status entity_check(struct slice entity, struct err *err)
{
    if (entity.size > BOUND_ENTITY_BYTES_MAX)
        return err_set(err, STATUS_ENTITY_INVALID, "the entity key has %zu bytes, at most %d are allowed",
                       entity.size, BOUND_ENTITY_BYTES_MAX);
    if (entity.size > 0 && memchr(entity.data, 0, entity.size))
        return err_set(err, STATUS_ENTITY_INVALID, "the entity key has a zero byte");
    return STATUS_OK;
}

enum status keyspace_row(struct buf *key, struct slice entity, struct slice name, struct err *err)
{
    TRY(entity_check(entity, err));
    if (entity.size + name.size > BOUND_KEY_BYTES_MAX)
        return err_set(err, STATUS_KEY_TOO_LONG,
                       "entity key (%zu bytes) and row name (%zu bytes) exceed %d bytes", entity.size,
                       name.size, BOUND_KEY_BYTES_MAX);
    buf_append_byte(key, SPACE_ROWS);
    buf_append(key, entity);
    buf_append_byte(key, 0);
    buf_append(key, name);
    return STATUS_OK;
}

bool keyspace_row_split(struct slice key, struct slice *entity, struct slice *name)
{
    const uint8_t *bytes = key.data;
    if (key.size < 2 || key.size > BOUND_KEY_BYTES_MAX + 2 || bytes[0] != SPACE_ROWS) return false;
    const uint8_t *zero = memchr(bytes + 1, 0, key.size - 1);
    if (!zero || zero - bytes - 1 > BOUND_ENTITY_BYTES_MAX) return false;
    *entity = slice_make(bytes + 1, (size_t)(zero - bytes - 1));
    *name = slice_make(zero + 1, key.size - 2 - entity->size);
    return true;
}

/* Appends the end of the range of all keys that begin with the bytes of `low` from `begin` on. The space byte is
 * below 0xff, so there is always one. */
static void append_end(struct buf *high, const struct buf *low, size_t begin)
{
    bool found = keyspace_successor(high, slice_make(low->data + begin, low->size - begin));
    (void)found;
}

enum status keyspace_row_range(struct buf *low, struct buf *high, struct slice entity, struct slice prefix,
                               struct err *err)
{
    size_t begin = low->size;
    TRY(keyspace_row(low, entity, prefix, err));
    append_end(high, low, begin);
    return STATUS_OK;
}

enum status keyspace_entity_range(struct buf *low, struct buf *high, struct slice entity_prefix,
                                  struct err *err)
{
    TRY(entity_check(entity_prefix, err));
    size_t begin = low->size;
    buf_append_byte(low, SPACE_ROWS);
    buf_append(low, entity_prefix);
    append_end(high, low, begin);
    return STATUS_OK;
}

bool keyspace_successor(struct buf *out, struct slice prefix)
{
    const uint8_t *bytes = prefix.data;
    size_t size = prefix.size;
    while (size > 0 && bytes[size - 1] == 0xff) size--;
    if (size == 0) return false;
    buf_append(out, slice_make(bytes, size));
    out->data[out->size - 1]++;
    return true;
}

/* ---- partitions ---- */

struct slice keyspace_hash_tag(struct slice entity)
{
    const char *open = entity.size ? memchr(entity.data, '{', entity.size) : NULL;
    if (!open) return entity;
    const char *begin = open + 1;
    size_t left = entity.size - (size_t)(begin - (const char *)entity.data);
    const char *close = left ? memchr(begin, '}', left) : NULL;
    if (!close || close == begin) return entity;
    return slice_make(begin, (size_t)(close - begin));
}

uint32_t keyspace_partition(struct slice entity, uint32_t partitions)
{
    CHECK(partitions > 0);
    if (partitions == 1 || entity.size == 0) return 0;
    return (uint32_t)(hash_stable(keyspace_hash_tag(entity)) % partitions);
}
