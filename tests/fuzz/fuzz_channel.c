/* fuzz_channel.c - keys and values of durable channels: what is read is what would be written, and a group can live with it. */
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "messaging/channel/group.h"
#include "runtime/base/check.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum { ERROR_BYTES_MAX = 1024 /* of a dead letter; a longer one is cut when it is written */ };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_and_free(struct buf *again, struct slice bytes)
{
    CHECK(slice_equal(buf_view(again), bytes));
    buf_fini(again);
}

static void check_keys(struct slice bytes)
{
    struct buf message = BUF_INIT, cursor = BUF_INIT, dead = BUF_INIT;
    struct slice channel, group;
    uint64_t offset;
    bool known = false;
    if (durable_message_split(bytes, &channel, &offset))
    {
        durable_message_key(&message, channel, offset);
        same_and_free(&message, bytes);
        known = true;
    }
    if (durable_cursor_split(bytes, &channel, &group))
    {
        CHECK(!known);
        durable_cursor_key(&cursor, channel, group);
        same_and_free(&cursor, bytes);
        known = true;
    }
    if (durable_dead_split(bytes, &channel, &group, &offset))
    {
        CHECK(!known);
        durable_dead_key(&dead, channel, group, offset);
        same_and_free(&dead, bytes);
        known = true;
    }
    uint64_t at_end;
    if (durable_key_offset(bytes, &at_end, NULL) == STATUS_OK)
        CHECK(!known || at_end == offset); /* else it is the key of a done offset */
}

static void check_values(struct slice bytes)
{
    struct buf again = BUF_INIT;
    struct durable_message message;
    struct durable_head head;
    struct durable_dead dead;
    uint64_t cursor;
    struct err err = ERR_INIT;
    if (durable_message_decode(bytes, &message, &err) == STATUS_OK)
    {
        durable_message_encode(&again, &message);
        same_and_free(&again, bytes);
        CHECK(durable_message_bytes(&message) <= bytes.size);
    }
    else
        CHECK(err.status == STATUS_STORE_CORRUPT && err.text[0]);
    if (durable_head_decode(bytes, &head, NULL) == STATUS_OK)
    {
        durable_head_encode(&again, &head);
        same_and_free(&again, bytes);
    }
    if (durable_cursor_decode(bytes, &cursor, NULL) == STATUS_OK)
    {
        durable_cursor_encode(&again, cursor);
        same_and_free(&again, bytes);
    }
    if (durable_dead_decode(bytes, &dead, NULL) == STATUS_OK && dead.error.size <= ERROR_BYTES_MAX)
    {
        durable_dead_encode(&again, &dead);
        same_and_free(&again, bytes);
    }
}

/* The dead letter of a run has its message as it was. */
static void check_buried(const struct group_run *run, struct slice row)
{
    struct buf set = BUF_INIT;
    struct write_entry entry;
    struct durable_dead dead;
    bool seen = false;
    group_bury_set(run, SLICE("no"), 7, &set);
    for (size_t at = 0; write_set_next(buf_view(&set), &at, &entry);)
    {
        if (*(const uint8_t *)entry.key.data != SPACE_DEAD_MESSAGES) continue;
        CHECK(durable_dead_decode(entry.value, &dead, NULL) == STATUS_OK);
        seen |= slice_equal(dead.row, row);
    }
    CHECK(seen);
    buf_fini(&set);
}

/* The bytes as a row between two others: the group takes it or says why not, and goes on. */
static void check_group(struct slice bytes)
{
    struct group group;
    struct buf plain = BUF_INIT;
    struct group_run *run;
    uint64_t count = 0;
    durable_message_encode(&plain, &(struct durable_message){.key = SLICE("k"), .body = SLICE("b")});
    group_init(&group, SLICE("orders"), SLICE("billing"), 3);
    group_configure(&group, "", 1);
    CHECK(group_offer(&group, 3, buf_view(&plain), NULL) == STATUS_OK);
    bool taken = group_offer(&group, 5, bytes, NULL) == STATUS_OK;
    if (!taken) group_pass(&group, 6);
    CHECK(group_offer(&group, 9, buf_view(&plain), NULL) == STATUS_OK);
    while ((run = group_next(&group, 0)))
    {
        const struct group_message *first = CONTAINER_OF(run->messages.next, struct group_message, in_lane);
        if (first->message.offset == 5) check_buried(run, bytes);
        group_done(run);
        count++;
    }
    CHECK(count == (taken ? 3 : 2) && group_cursor(&group) == 10 && group.bytes == 0);
    group_fini(&group);
    buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    check_keys(bytes);
    check_values(bytes);
    check_group(bytes);
    return 0;
}
