/* fuzz_sets.c - write sets and read sets from workers: what passes the check can be walked, and is what it claims. */
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "runtime/base/check.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_writes(struct slice set)
{
    struct err err = ERR_INIT;
    if (write_set_check(set, SPACE_ROWS, &err) != STATUS_OK) return;
    struct buf again = BUF_INIT;
    struct write_entry entry;
    struct slice before = SLICE_EMPTY, entity, name;
    size_t offset = 0;
    while (write_set_next(set, &offset, &entry))
    {
        CHECK(keyspace_row_split(entry.key, &entity, &name));
        CHECK(before.size == 0 || slice_compare(before, entry.key) < 0);
        before = entry.key;
        write_set_append(&again, &entry);
    }
    CHECK(slice_equal(buf_view(&again), set)); /* there is one way to write a set */
    buf_fini(&again);
}

static void check_reads(struct slice set)
{
    struct err err = ERR_INIT;
    if (read_set_check(set, SPACE_ROWS, &err) != STATUS_OK) return;
    struct buf again = BUF_INIT;
    struct read_entry entry;
    size_t offset = 0;
    while (read_set_next(set, &offset, &entry)) read_set_append(&again, &entry);
    CHECK(slice_equal(buf_view(&again), set));
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_writes(slice_make(data, size));
    check_reads(slice_make(data, size));
    return 0;
}
