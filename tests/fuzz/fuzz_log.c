/* fuzz_log.c - heads, records and checkpoints from a disk that may hold anything: decoding stays inside of the bytes. */
// SPDX-License-Identifier: Apache-2.0
//
// The first byte chooses; records are decoded without looking at their checksum, or nothing would ever pass.
#include <stdint.h>
#include <stdlib.h>

#include "runtime/base/check.h"
#include "statestore/checkpoint.h"
#include "statestore/kv/write_set.h"
#include "statestore/log_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(struct slice bytes)
{
    struct log_record record;
    if (!log_record_decode(bytes, 0, true, &record)) return;
    CHECK(record.size <= bytes.size && record.entry.count > 0);
    struct slice entries;
    size_t offset = 0;
    while (log_commit_next(record.entry.body, &offset, &entries))
    {
        struct write_entry entry;
        size_t at = 0;
        while (write_set_next(entries, &at, &entry)) CHECK(at <= entries.size);
        CHECK(offset <= record.entry.body.size);
    }
}

/* Puts what there is into a block of the size that is decoded. */
static uint8_t *block_of(struct slice bytes, size_t size)
{
    uint8_t *block = mem_zalloc(size);
    if (bytes.size > 0) memcpy(block, bytes.data, bytes.size < size ? bytes.size : size);
    return block;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct slice rest = slice_make(data + 1, size - 1);
    if (data[0] % 3 == 0)
    {
        check_record(rest);
        (void)segment_end_decode(rest, 0); /* any result is fine, a fault is not */
    }
    else if (data[0] % 3 == 1)
    {
        struct segment_head head;
        uint8_t *block = block_of(rest, SEGMENT_HEAD_BYTES);
        (void)segment_head_decode(block, &head); /* any result is fine, a fault is not */
        free(block);
    }
    else
    {
        struct checkpoint checkpoint;
        uint8_t *block = block_of(rest, CHECKPOINT_SLOT_BYTES);
        (void)checkpoint_decode(block, &checkpoint); /* any result is fine, a fault is not */
        free(block);
    }
    return 0;
}
