/* outbox.c - keys and values of sends. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/outbox.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum { HEAD_BYTES = 6, ERROR_BYTES_MAX = 1024 };

static void put_be(struct buf *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--) buf_append_byte(out, (uint8_t)(value >> (8 * i)));
}

static uint64_t get_be(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

void outbox_key_encode(struct buf *out, uint8_t space, const struct outbox_key *key)
{
    buf_append_byte(out, space);
    put_be(out, key->due_ms);
    put_be(out, key->number);
}

bool outbox_key_decode(struct slice bytes, struct outbox_key *key)
{
    const uint8_t *data = bytes.data;
    if (bytes.size != OUTBOX_KEY_BYTES || (data[0] != SPACE_OUTBOX && data[0] != SPACE_DEAD)) return false;
    key->due_ms = get_be(data + 1);
    key->number = get_be(data + 9);
    return true;
}

void outbox_row_encode(struct buf *out, const struct outbox_row *row)
{
    size_t error_size = row->error.size < ERROR_BYTES_MAX ? row->error.size : ERROR_BYTES_MAX;
    for (int i = 0; i < 4; i++) buf_append_byte(out, (uint8_t)(row->attempts >> (8 * i)));
    for (int i = 0; i < 2; i++) buf_append_byte(out, (uint8_t)(error_size >> (8 * i)));
    buf_append(out, slice_make(row->error.data, error_size));
    wire_effect_encode(out, &row->send);
}

enum status outbox_row_decode(struct slice bytes, struct outbox_row *row, struct err *err)
{
    const uint8_t *data = bytes.data;
    size_t error_size = bytes.size < HEAD_BYTES ? 0 : data[4] | (size_t)data[5] << 8;
    if (bytes.size < HEAD_BYTES || error_size > bytes.size - HEAD_BYTES)
        return err_set(err, STATUS_STORE_CORRUPT, "outbox row: it is cut off");
    row->attempts = 0;
    for (int i = 0; i < 4; i++) row->attempts |= (uint32_t)data[i] << (8 * i);
    row->error = slice_make(data + HEAD_BYTES, error_size);
    struct slice frame = slice_make(data + HEAD_BYTES + error_size, bytes.size - HEAD_BYTES - error_size);
    size_t offset = 0;
    bool found;
    enum status status = wire_effect_next(frame, &offset, &row->send, &found, err);
    if (status != STATUS_OK || !found || row->send.kind != WIRE_EFFECT_SEND)
        return err_set(err, STATUS_STORE_CORRUPT, "outbox row: it is no send");
    return STATUS_OK;
}

/* ---- the rows of one invocation ---- */

struct entry {
    struct outbox_key key;
    struct wire_effect send;
};

static int by_key(const void *a, const void *b)
{
    const struct outbox_key *left = &((const struct entry *)a)->key, *right = &((const struct entry *)b)->key;
    if (left->due_ms != right->due_ms) return left->due_ms < right->due_ms ? -1 : 1;
    return left->number < right->number ? -1 : 1;
}

size_t outbox_write_set(struct slice effects, uint64_t now_ms, uint64_t *number, struct buf *set)
{
    struct buf entries = BUF_INIT;
    size_t offset = 0;
    bool found;
    struct entry entry = {.send = {0}};
    while (wire_effect_next(effects, &offset, &entry.send, &found, NULL) == STATUS_OK && found)
    {
        if (entry.send.kind != WIRE_EFFECT_SEND) continue;
        bool later = entry.send.number > now_ms;
        entry.key = (struct outbox_key){.due_ms = later ? entry.send.number : now_ms, .number = (*number)++};
        buf_append(&entries, slice_make(&entry, sizeof entry));
    }
    struct entry *list = (struct entry *)entries.data;
    size_t count = entries.size / sizeof *list;
    if (count > 1) qsort(list, count, sizeof *list, by_key);
    struct buf key = BUF_INIT, value = BUF_INIT;
    for (size_t i = 0; i < count; i++)
    {
        buf_reset(&key);
        buf_reset(&value);
        outbox_key_encode(&key, SPACE_OUTBOX, &list[i].key);
        outbox_row_encode(&value, &(struct outbox_row){.send = list[i].send});
        write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    }
    buf_fini(&key);
    buf_fini(&value);
    buf_fini(&entries);
    return count;
}
