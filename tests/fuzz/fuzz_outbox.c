/* fuzz_outbox.c - rows of sends: refused with words, or a send that is the same when it is written again. */
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "runtime/base/check.h"
#include "runtime/invoke/outbox.h"
#include "statestore/kv/write_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(struct slice bytes)
{
    struct outbox_key key;
    if (!outbox_key_decode(bytes, &key)) return;
    struct buf again = BUF_INIT;
    outbox_key_encode(&again, *(const uint8_t *)bytes.data, &key);
    CHECK(slice_equal(buf_view(&again), bytes));
    buf_fini(&again);
}

static void check_row(struct slice bytes)
{
    struct outbox_row row, same;
    struct err err = ERR_INIT;
    enum status status = outbox_row_decode(bytes, &row, &err);
    if (status != STATUS_OK)
    {
        CHECK(err.status == STATUS_STORE_CORRUPT && err.text[0]);
        return;
    }
    struct buf again = BUF_INIT, twice = BUF_INIT;
    outbox_row_encode(&again, &row);
    CHECK(outbox_row_decode(buf_view(&again), &same, NULL) == STATUS_OK);
    CHECK(same.attempts == row.attempts && slice_equal(same.send.name, row.send.name));
    CHECK(slice_equal(same.send.key, row.send.key) && slice_equal(same.send.body, row.send.body));
    outbox_row_encode(&twice, &same);
    CHECK(slice_equal(buf_view(&twice), buf_view(&again)));
    buf_fini(&again);
    buf_fini(&twice);
}

/* Whatever effects a worker sends: what becomes of its sends can be read. */
static void check_effects(struct slice bytes)
{
    struct buf set = BUF_INIT;
    struct write_entry entry;
    struct outbox_key key;
    struct outbox_row row;
    uint64_t number = 1, count = 0;
    size_t sends = outbox_write_set(bytes, 1000, &number, &set);
    for (size_t at = 0; write_set_next(buf_view(&set), &at, &entry); count++)
    {
        CHECK(outbox_key_decode(entry.key, &key) && key.due_ms >= 1000);
        CHECK(outbox_row_decode(entry.value, &row, NULL) == STATUS_OK && row.attempts == 0);
    }
    CHECK(count == sends && number == 1 + sends);
    buf_fini(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    check_key(bytes);
    check_row(bytes);
    check_effects(bytes);
    return 0;
}
