/* write_set.c - write and read sets as bytes: append, walk, and prove that foreign bytes are well formed. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/kv/write_set.h"

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "statestore/kv/keyspace.h"

enum { KEY_BYTES_MAX = BOUND_KEY_BYTES_MAX + 2 }; /* with the space byte and the zero byte */

static void put_le(uint8_t *at, uint32_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_le(const uint8_t *at, size_t bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; i++) value |= (uint32_t)at[i] << (8 * i);
    return value;
}

static void copy(uint8_t *to, struct slice from)
{
    if (from.size > 0) memcpy(to, from.data, from.size);
}

void write_set_append(struct buf *set, const struct write_entry *entry)
{
    struct slice value = entry->op == WRITE_PUT ? entry->value : SLICE_EMPTY;
    CHECK(entry->key.size <= UINT16_MAX && value.size <= UINT32_MAX);
    size_t size = WRITE_ENTRY_HEAD_BYTES + entry->key.size + value.size;
    uint8_t *at = buf_reserve(set, size);
    at[0] = (uint8_t)entry->op;
    put_le(at + 1, (uint32_t)entry->key.size, 2);
    put_le(at + 3, (uint32_t)value.size, 4);
    copy(at + WRITE_ENTRY_HEAD_BYTES, entry->key);
    copy(at + WRITE_ENTRY_HEAD_BYTES + entry->key.size, value);
    set->size += size;
}

void read_set_append(struct buf *set, const struct read_entry *entry)
{
    struct slice high = entry->kind == READ_RANGE ? entry->high : SLICE_EMPTY;
    CHECK(entry->low.size <= UINT16_MAX && high.size <= UINT16_MAX);
    size_t size = READ_ENTRY_HEAD_BYTES + entry->low.size + high.size;
    uint8_t *at = buf_reserve(set, size);
    at[0] = (uint8_t)entry->kind;
    put_le(at + 1, (uint32_t)entry->low.size, 2);
    put_le(at + 3, (uint32_t)high.size, 2);
    copy(at + READ_ENTRY_HEAD_BYTES, entry->low);
    copy(at + READ_ENTRY_HEAD_BYTES + entry->low.size, high);
    set->size += size;
}

bool write_set_next(struct slice set, size_t *offset, struct write_entry *entry)
{
    if (*offset >= set.size) return false;
    const uint8_t *at = (const uint8_t *)set.data + *offset;
    entry->op = at[0];
    entry->key = slice_make(at + WRITE_ENTRY_HEAD_BYTES, get_le(at + 1, 2));
    entry->value = slice_make(at + WRITE_ENTRY_HEAD_BYTES + entry->key.size, get_le(at + 3, 4));
    *offset += WRITE_ENTRY_HEAD_BYTES + entry->key.size + entry->value.size;
    return true;
}

bool read_set_next(struct slice set, size_t *offset, struct read_entry *entry)
{
    if (*offset >= set.size) return false;
    const uint8_t *at = (const uint8_t *)set.data + *offset;
    entry->kind = at[0];
    entry->low = slice_make(at + READ_ENTRY_HEAD_BYTES, get_le(at + 1, 2));
    entry->high = slice_make(at + READ_ENTRY_HEAD_BYTES + entry->low.size, get_le(at + 3, 2));
    *offset += READ_ENTRY_HEAD_BYTES + entry->low.size + entry->high.size;
    return true;
}

static enum status malformed(struct err *err, const char *set, size_t offset, const char *why)
{
    return err_set(err, STATUS_FUNCTION_PROTOCOL, "%s set, byte %zu: %s", set, offset, why);
}

/* Is `key` a key of the space? Rows must also have their zero byte, so that whoever lists rows can take them apart. */
static bool key_in_space(struct slice key, uint8_t space)
{
    struct slice entity, name;
    if (key.size == 0 || *(const uint8_t *)key.data != space) return false;
    return space != SPACE_ROWS || keyspace_row_split(key, &entity, &name);
}

/* Checks one entry whose sizes fit the set. */
static enum status write_entry_check(const struct write_entry *entry, struct slice before, uint8_t space,
                                     size_t at, struct err *err)
{
    if (entry->op != WRITE_PUT && entry->op != WRITE_DELETE)
        return malformed(err, "write", at, "unknown operation");
    if (entry->op == WRITE_DELETE && entry->value.size > 0)
        return malformed(err, "write", at, "a delete with a value");
    if (entry->key.size > KEY_BYTES_MAX)
        return err_set(err, STATUS_KEY_TOO_LONG, "write set, byte %zu: a key of %zu bytes", at,
                       entry->key.size);
    if (!key_in_space(entry->key, space))
        return malformed(err, "write", at, "a key outside of the space that may be written");
    if (entry->value.size > BOUND_VALUE_BYTES_MAX)
        return err_set(err, STATUS_VALUE_TOO_LARGE, "a value of %zu bytes, at most %llu are allowed",
                       entry->value.size, BOUND_VALUE_BYTES_MAX);
    if (before.size > 0 && slice_compare(before, entry->key) >= 0)
        return malformed(err, "write", at, "keys are not in order or repeat");
    return STATUS_OK;
}

enum status write_set_check(struct slice set, uint8_t space, struct err *err)
{
    if (set.size > BOUND_WRITE_SET_BYTES_MAX)
        return err_set(err, STATUS_WRITE_SET_TOO_LARGE, "a write set of %zu bytes, at most %llu are allowed",
                       set.size, BOUND_WRITE_SET_BYTES_MAX);
    struct slice before = SLICE_EMPTY;
    size_t offset = 0;
    while (offset < set.size)
    {
        const uint8_t *at = (const uint8_t *)set.data + offset;
        size_t left = set.size - offset;
        if (left < WRITE_ENTRY_HEAD_BYTES) return malformed(err, "write", offset, "cut off");
        uint64_t body = (uint64_t)get_le(at + 1, 2) + get_le(at + 3, 4);
        if (body > left - WRITE_ENTRY_HEAD_BYTES) return malformed(err, "write", offset, "cut off");
        struct write_entry entry;
        size_t next = offset;
        write_set_next(set, &next, &entry);
        TRY(write_entry_check(&entry, before, space, offset, err));
        before = entry.key;
        offset = next;
    }
    return STATUS_OK;
}

/* The ends of a range need not be keys, but what lies between them must belong to the space. */
static bool range_in_space(const struct read_entry *entry, uint8_t space)
{
    if (entry->low.size == 0 || *(const uint8_t *)entry->low.data != space) return false;
    const uint8_t *high = entry->high.data;
    if (entry->high.size == 0) return true;
    return high[0] == space || (high[0] == space + 1 && entry->high.size == 1);
}

static enum status read_entry_check(const struct read_entry *entry, uint8_t space, size_t at, struct err *err)
{
    if (entry->kind != READ_KEY && entry->kind != READ_RANGE)
        return malformed(err, "read", at, "unknown kind");
    if (entry->kind == READ_KEY && entry->high.size > 0)
        return malformed(err, "read", at, "a key with an upper end");
    if (entry->low.size > KEY_BYTES_MAX || entry->high.size > KEY_BYTES_MAX)
        return err_set(err, STATUS_KEY_TOO_LONG, "read set, byte %zu: a key of more than %d bytes", at,
                       KEY_BYTES_MAX);
    bool inside = entry->kind == READ_KEY ? key_in_space(entry->low, space) : range_in_space(entry, space);
    if (!inside) return malformed(err, "read", at, "a key outside of the space that may be read");
    if (entry->high.size > 0 && slice_compare(entry->low, entry->high) > 0)
        return malformed(err, "read", at, "a range that ends before it begins");
    return STATUS_OK;
}

enum status read_set_check(struct slice set, uint8_t space, struct err *err)
{
    size_t keys = 0, ranges = 0;
    size_t offset = 0;
    while (offset < set.size)
    {
        const uint8_t *at = (const uint8_t *)set.data + offset;
        size_t left = set.size - offset;
        if (left < READ_ENTRY_HEAD_BYTES) return malformed(err, "read", offset, "cut off");
        size_t body = (size_t)get_le(at + 1, 2) + get_le(at + 3, 2);
        if (body > left - READ_ENTRY_HEAD_BYTES) return malformed(err, "read", offset, "cut off");
        struct read_entry entry;
        size_t next = offset;
        read_set_next(set, &next, &entry);
        TRY(read_entry_check(&entry, space, offset, err));
        if (entry.kind == READ_KEY)
            keys++;
        else
            ranges++;
        offset = next;
    }
    if (keys > BOUND_READ_SET_KEYS_MAX)
        return err_set(err, STATUS_READ_SET_TOO_LARGE,
                       "%zu separate rows were read, at most %d can be checked", keys,
                       BOUND_READ_SET_KEYS_MAX);
    if (ranges > BOUND_READ_SET_RANGES_MAX)
        return err_set(err, STATUS_READ_SET_TOO_LARGE, "%zu ranges were scanned, at most %d can be checked",
                       ranges, BOUND_READ_SET_RANGES_MAX);
    return STATUS_OK;
}
