/* durable.c - keys and values of durable channels. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/channel/durable.h"

#include "runtime/base/check.h"
#include "statestore/kv/keyspace.h"

enum {
    OFFSET_BYTES = 8,
    MESSAGE_HEAD_BYTES = 19,
    HEAD_BYTES = 32,
    CURSOR_BYTES = 8,
    DEAD_HEAD_BYTES = 14,
    ERROR_BYTES_MAX = 1024,
};

static void put_le(struct buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) buf_append_byte(out, (uint8_t)(value >> (8 * i)));
}

static uint64_t get_le(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void put_offset(struct buf *out, uint64_t offset)
{
    for (int i = OFFSET_BYTES - 1; i >= 0; i--) buf_append_byte(out, (uint8_t)(offset >> (8 * i)));
}

static void put_name(struct buf *out, struct slice name)
{
    buf_append(out, name);
    buf_append_byte(out, 0);
}

/* ---- keys ---- */

void durable_message_key(struct buf *out, struct slice channel, uint64_t offset)
{
    buf_append_byte(out, SPACE_MESSAGES);
    put_name(out, channel);
    put_offset(out, offset);
}

void durable_head_key(struct buf *out, struct slice channel)
{
    buf_append_byte(out, SPACE_CURSORS);
    put_name(out, channel);
}

void durable_cursor_key(struct buf *out, struct slice channel, struct slice group)
{
    durable_head_key(out, channel);
    put_name(out, group);
}

void durable_done_key(struct buf *out, struct slice channel, struct slice group, uint64_t offset)
{
    durable_cursor_key(out, channel, group);
    put_offset(out, offset);
}

void durable_dead_key(struct buf *out, struct slice channel, struct slice group, uint64_t offset)
{
    buf_append_byte(out, SPACE_DEAD_MESSAGES);
    put_name(out, channel);
    put_name(out, group);
    put_offset(out, offset);
}

/* The bytes up to the next zero, which is left behind too. */
static bool take_name(struct slice *rest, struct slice *name)
{
    const uint8_t *bytes = rest->data;
    const uint8_t *zero = rest->size ? memchr(bytes, 0, rest->size) : NULL;
    if (!zero || zero == bytes) return false;
    *name = slice_make(bytes, (size_t)(zero - bytes));
    *rest = slice_make(zero + 1, rest->size - name->size - 1);
    return true;
}

/* What is left of a key behind its names is an offset, or it is no key with an offset. */
static bool take_offset(struct slice rest, uint64_t *offset)
{
    if (rest.size != OFFSET_BYTES) return false;
    const uint8_t *at = rest.data;
    *offset = 0;
    for (int i = 0; i < OFFSET_BYTES; i++) *offset = *offset << 8 | at[i];
    return true;
}

static bool take_space(struct slice key, uint8_t space, struct slice *rest)
{
    if (key.size < 2 || *(const uint8_t *)key.data != space) return false;
    *rest = slice_make((const uint8_t *)key.data + 1, key.size - 1);
    return true;
}

bool durable_message_split(struct slice key, struct slice *channel, uint64_t *offset)
{
    struct slice rest;
    return take_space(key, SPACE_MESSAGES, &rest) && take_name(&rest, channel) && take_offset(rest, offset);
}

bool durable_cursor_split(struct slice key, struct slice *channel, struct slice *group)
{
    struct slice rest;
    return take_space(key, SPACE_CURSORS, &rest) && take_name(&rest, channel) && take_name(&rest, group) &&
           rest.size == 0;
}

/* The keys of done offsets and of dead letters differ in their space only. */
static bool group_offset_split(struct slice key, uint8_t space, struct slice *channel, struct slice *group,
                               uint64_t *offset)
{
    struct slice rest;
    return take_space(key, space, &rest) && take_name(&rest, channel) && take_name(&rest, group) &&
           take_offset(rest, offset);
}

bool durable_dead_split(struct slice key, struct slice *channel, struct slice *group, uint64_t *offset)
{
    return group_offset_split(key, SPACE_DEAD_MESSAGES, channel, group, offset);
}

enum status durable_key_offset(struct slice key, uint64_t *offset, struct err *err)
{
    struct slice channel, group;
    if (durable_message_split(key, &channel, offset) ||
        group_offset_split(key, SPACE_CURSORS, &channel, &group, offset) ||
        durable_dead_split(key, &channel, &group, offset))
        return STATUS_OK;
    return err_set(err, STATUS_STORE_CORRUPT, "key of a channel's row: %zu bytes that are none", key.size);
}

/* ---- values ---- */

void durable_message_encode(struct buf *out, const struct durable_message *message)
{
    CHECK(message->key.size <= UINT16_MAX && message->type.size <= UINT8_MAX);
    put_le(out, message->bytes_before, 8);
    put_le(out, message->time_ms, 8);
    put_le(out, message->key.size, 2);
    put_le(out, message->type.size, 1);
    buf_append(out, message->key);
    buf_append(out, message->type);
    buf_append(out, message->body);
}

enum status durable_message_decode(struct slice bytes, struct durable_message *message, struct err *err)
{
    const uint8_t *data = bytes.data;
    size_t key_size = bytes.size < MESSAGE_HEAD_BYTES ? 0 : get_le(data + 16, 2);
    size_t type_size = bytes.size < MESSAGE_HEAD_BYTES ? 0 : data[18];
    if (bytes.size < MESSAGE_HEAD_BYTES || key_size + type_size > bytes.size - MESSAGE_HEAD_BYTES)
        return err_set(err, STATUS_STORE_CORRUPT, "message of a channel: it is cut off");
    message->bytes_before = get_le(data, 8);
    message->time_ms = get_le(data + 8, 8);
    const uint8_t *at = data + MESSAGE_HEAD_BYTES;
    message->key = slice_make(at, key_size);
    message->type = slice_make(at + key_size, type_size);
    message->body =
        slice_make(at + key_size + type_size, bytes.size - MESSAGE_HEAD_BYTES - key_size - type_size);
    return STATUS_OK;
}

void durable_head_encode(struct buf *out, const struct durable_head *head)
{
    put_le(out, head->first, 8);
    put_le(out, head->next, 8);
    put_le(out, head->bytes, 8);
    put_le(out, head->time_ms, 8);
}

enum status durable_head_decode(struct slice bytes, struct durable_head *head, struct err *err)
{
    if (bytes.size != HEAD_BYTES)
        return err_set(err, STATUS_STORE_CORRUPT, "head of a channel: %zu bytes", bytes.size);
    const uint8_t *data = bytes.data;
    head->first = get_le(data, 8);
    head->next = get_le(data + 8, 8);
    head->bytes = get_le(data + 16, 8);
    head->time_ms = get_le(data + 24, 8);
    return STATUS_OK;
}

void durable_cursor_encode(struct buf *out, uint64_t cursor)
{
    put_le(out, cursor, CURSOR_BYTES);
}

enum status durable_cursor_decode(struct slice bytes, uint64_t *cursor, struct err *err)
{
    if (bytes.size != CURSOR_BYTES)
        return err_set(err, STATUS_STORE_CORRUPT, "cursor of a group: %zu bytes", bytes.size);
    *cursor = get_le(bytes.data, CURSOR_BYTES);
    return STATUS_OK;
}

void durable_dead_encode(struct buf *out, const struct durable_dead *dead)
{
    size_t error_size = dead->error.size < ERROR_BYTES_MAX ? dead->error.size : ERROR_BYTES_MAX;
    put_le(out, dead->attempts, 4);
    put_le(out, dead->time_ms, 8);
    put_le(out, error_size, 2);
    buf_append(out, slice_make(dead->error.data, error_size));
    buf_append(out, dead->row);
}

enum status durable_dead_decode(struct slice bytes, struct durable_dead *dead, struct err *err)
{
    const uint8_t *data = bytes.data;
    size_t error_size = bytes.size < DEAD_HEAD_BYTES ? 0 : get_le(data + 12, 2);
    if (bytes.size < DEAD_HEAD_BYTES || error_size > bytes.size - DEAD_HEAD_BYTES)
        return err_set(err, STATUS_STORE_CORRUPT, "dead letter of a channel: it is cut off");
    dead->attempts = (uint32_t)get_le(data, 4);
    dead->time_ms = get_le(data + 4, 8);
    dead->error = slice_make(data + DEAD_HEAD_BYTES, error_size);
    dead->row = slice_make(data + DEAD_HEAD_BYTES + error_size, bytes.size - DEAD_HEAD_BYTES - error_size);
    return STATUS_OK;
}
