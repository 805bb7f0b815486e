/* log_format.c - encode and decode of the log's bytes; integers little endian. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/log_format.h"

#include "runtime/base/check.h"
#include "runtime/base/hash.h"
#include "statestore/kv/write_set.h"
#include "statestore/le.h"

/* Where the fields are. */
enum { HEAD_MAGIC = 0, HEAD_VERSION = 4, HEAD_ID = 8, HEAD_NUMBER = 24, HEAD_SALT = 32, HEAD_CHECKSUM = 40 };
enum {
    RECORD_MAGIC = 0,
    RECORD_BODY_BYTES = 4,
    RECORD_CHECKSUM = 8,
    RECORD_SALT = 16,
    RECORD_PREVIOUS = 24,
    RECORD_FIRST = 32,
    RECORD_COUNT = 40,
    RECORD_CHECKPOINT = 44,
    RECORD_DURABLE = 48,
    RECORD_WALL = 56,
};
enum { END_MAGIC = 0, END_CHECKSUM = 8, END_SALT = 16, END_NEXT = 24 };
#define SEGMENT_MAGIC 0x47455353u /* "SSEG" */
#define LOG_RECORD_MAGIC 0x43455253u /* "SREC" */
#define SEGMENT_END_MAGIC 0x444e4553u /* "SEND" */

/* ---- segment heads ---- */

static uint64_t head_checksum(const uint8_t *bytes)
{
    return hash_stable(slice_make(bytes, HEAD_CHECKSUM));
}

void segment_head_encode(uint8_t bytes[SEGMENT_HEAD_BYTES], const struct segment_head *head)
{
    memset(bytes, 0, SEGMENT_HEAD_BYTES);
    le_put(bytes + HEAD_MAGIC, SEGMENT_MAGIC, 4);
    le_put(bytes + HEAD_VERSION, head->version, 4);
    memcpy(bytes + HEAD_ID, head->id.bytes, STORE_ID_BYTES);
    le_put(bytes + HEAD_NUMBER, head->number, 8);
    le_put(bytes + HEAD_SALT, head->salt, 8);
    le_put(bytes + HEAD_CHECKSUM, head_checksum(bytes), 8);
}

enum head_state segment_head_decode(const uint8_t bytes[SEGMENT_HEAD_BYTES], struct segment_head *head)
{
    if (le_get(bytes + HEAD_MAGIC, 4) != SEGMENT_MAGIC) return HEAD_NONE;
    bool whole = le_get(bytes + HEAD_CHECKSUM, 8) == head_checksum(bytes);
    head->version = (uint32_t)le_get(bytes + HEAD_VERSION, 4);
    if (head->version > LOG_FORMAT_VERSION) return HEAD_NEWER;
    if (!whole || head->version != LOG_FORMAT_VERSION) return HEAD_DAMAGED;
    memcpy(head->id.bytes, bytes + HEAD_ID, STORE_ID_BYTES);
    head->number = le_get(bytes + HEAD_NUMBER, 8);
    head->salt = le_get(bytes + HEAD_SALT, 8);
    return HEAD_OK;
}

/* ---- the marks behind the last records ---- */

static uint64_t end_checksum(const uint8_t *bytes)
{
    return hash_stable(slice_make(bytes + END_SALT, SEGMENT_END_BYTES - END_SALT));
}

void segment_end_encode(uint8_t bytes[SEGMENT_END_BYTES], uint64_t salt, uint64_t next_number)
{
    memset(bytes, 0, SEGMENT_END_BYTES);
    le_put(bytes + END_MAGIC, SEGMENT_END_MAGIC, 4);
    le_put(bytes + END_SALT, salt, 8);
    le_put(bytes + END_NEXT, next_number, 8);
    le_put(bytes + END_CHECKSUM, end_checksum(bytes), 8);
}

uint64_t segment_end_decode(struct slice bytes, uint64_t salt)
{
    const uint8_t *at = bytes.data;
    if (bytes.size < SEGMENT_END_BYTES || le_get(at + END_MAGIC, 4) != SEGMENT_END_MAGIC) return 0;
    if (le_get(at + END_SALT, 8) != salt || le_get(at + END_CHECKSUM, 8) != end_checksum(at)) return 0;
    return le_get(at + END_NEXT, 8);
}

/* ---- records ---- */

void log_record_begin(struct buf *record)
{
    buf_reset(record);
    memset(buf_reserve(record, RECORD_HEAD_BYTES), 0, RECORD_HEAD_BYTES);
    record->size = RECORD_HEAD_BYTES;
}

void log_record_add(struct buf *record, const struct slice *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += parts[i].size;
    CHECK(size <= UINT32_MAX);
    le_put(buf_reserve(record, 4), size, 4);
    record->size += 4;
    for (size_t i = 0; i < count; i++) buf_append(record, parts[i]);
}

static size_t padded(size_t size)
{
    return (size + RECORD_ALIGNMENT - 1) & ~(size_t)(RECORD_ALIGNMENT - 1);
}

/* Of everything behind the checksum itself. */
static uint64_t record_checksum(const uint8_t *bytes, size_t size)
{
    return hash_stable(slice_make(bytes + RECORD_SALT, size - RECORD_SALT));
}

uint64_t log_record_seal(struct buf *record, const struct log_entry *entry, uint64_t salt, uint64_t previous)
{
    size_t body = record->size - RECORD_HEAD_BYTES;
    CHECK(body <= UINT32_MAX && entry->count > 0);
    uint8_t *at = record->data;
    le_put(at + RECORD_MAGIC, LOG_RECORD_MAGIC, 4);
    le_put(at + RECORD_BODY_BYTES, body, 4);
    le_put(at + RECORD_SALT, salt, 8);
    le_put(at + RECORD_PREVIOUS, previous, 8);
    le_put(at + RECORD_FIRST, entry->first_lsn, 8);
    le_put(at + RECORD_COUNT, entry->count, 4);
    le_put(at + RECORD_CHECKPOINT, entry->checkpoint, 4);
    le_put(at + RECORD_DURABLE, entry->durable, 8);
    le_put(at + RECORD_WALL, entry->wall_ms, 8);
    uint64_t checksum = record_checksum(at, record->size);
    le_put(at + RECORD_CHECKSUM, checksum, 8);
    size_t padding = padded(record->size) - record->size;
    if (padding > 0) memset(buf_reserve(record, padding), 0, padding);
    record->size += padding;
    return checksum;
}

size_t log_record_size(const uint8_t head[RECORD_HEAD_BYTES], uint64_t salt)
{
    if (le_get(head + RECORD_MAGIC, 4) != LOG_RECORD_MAGIC || le_get(head + RECORD_SALT, 8) != salt) return 0;
    return padded(RECORD_HEAD_BYTES + le_get(head + RECORD_BODY_BYTES, 4));
}

bool log_record_decode(struct slice bytes, uint64_t salt, bool ignore_checksum, struct log_record *record)
{
    const uint8_t *at = bytes.data;
    if (bytes.size < RECORD_HEAD_BYTES) return false;
    size_t size = log_record_size(at, salt);
    if (size == 0 || size > bytes.size) return false;
    size_t body = le_get(at + RECORD_BODY_BYTES, 4);
    uint64_t checksum = le_get(at + RECORD_CHECKSUM, 8);
    if (!ignore_checksum && checksum != record_checksum(at, RECORD_HEAD_BYTES + body)) return false;
    for (size_t i = RECORD_HEAD_BYTES + body; i < size; i++)
        if (at[i] != 0) return false;
    *record = (struct log_record){
        .entry =
            {
                .first_lsn = le_get(at + RECORD_FIRST, 8),
                .count = (uint32_t)le_get(at + RECORD_COUNT, 4),
                .checkpoint = (uint32_t)le_get(at + RECORD_CHECKPOINT, 4),
                .durable = le_get(at + RECORD_DURABLE, 8),
                .wall_ms = le_get(at + RECORD_WALL, 8),
                .body = slice_make(at + RECORD_HEAD_BYTES, body),
            },
        .checksum = checksum,
        .previous = le_get(at + RECORD_PREVIOUS, 8),
        .size = size,
    };
    return record->entry.count > 0;
}

/* True when the bytes are a sequence of whole write entries. */
static bool entries_are_whole(struct slice entries)
{
    size_t offset = 0;
    while (offset < entries.size)
    {
        const uint8_t *at = (const uint8_t *)entries.data + offset;
        if (entries.size - offset < WRITE_ENTRY_HEAD_BYTES) return false;
        uint64_t size = WRITE_ENTRY_HEAD_BYTES + le_get(at + 1, 2) + le_get(at + 3, 4);
        if (size > entries.size - offset) return false;
        offset += size;
    }
    return true;
}

bool log_commit_next(struct slice body, size_t *offset, struct slice *entries)
{
    if (*offset > body.size || body.size - *offset < 4) return false;
    const uint8_t *at = (const uint8_t *)body.data + *offset;
    size_t size = le_get(at, 4);
    if (size > body.size - *offset - 4) return false;
    *entries = slice_make(at + 4, size);
    *offset += 4 + size;
    return entries_are_whole(*entries);
}
