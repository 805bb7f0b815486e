/* checkpoint.h - which snapshot of the data file is whole on disk: two alternating slots in a file of their own. */
// SPDX-License-Identifier: Apache-2.0
//
// The slot of the newer number counts. A slot that was being written as the machine stopped is not whole and the other
// one counts: its snapshot is still pinned at that moment. docs/formats/checkpoint.md has the slots byte by byte.
#pragma once

#include <stdint.h>

#include "statestore/format.h"
#include "statestore/kv/kv.h"

#define CHECKPOINT_FORMAT_VERSION 1u

enum { BOOT_ID_BYTES = 16, CHECKPOINT_SLOT_BYTES = 4096 };

/* Which run of the operating system this is: page cache that was written in the same run is still there. */
struct boot_id {
    uint8_t bytes[BOOT_ID_BYTES]; /* all zero: none, which equals no run */
};

struct checkpoint {
    uint32_t number; /* 1, 2, ...; its slot is the number's lowest bit */
    bool clean; /* the store was closed: the data file as it is holds exactly this */
    struct store_id id;
    struct boot_id boot;
    uint64_t seq; /* last commit in the snapshot */
    uint64_t wall_ms;
    uint8_t meta[KV_META_BYTES]; /* of the snapshot */
};

void checkpoint_encode(uint8_t slot[CHECKPOINT_SLOT_BYTES], const struct checkpoint *checkpoint);
enum slot_state { SLOT_OK, SLOT_EMPTY, SLOT_DAMAGED, SLOT_NEWER };
enum slot_state checkpoint_decode(const uint8_t slot[CHECKPOINT_SLOT_BYTES], struct checkpoint *checkpoint);

/* Makes the file with `first` in it, durable with its name. Returns its descriptor in `fd`. STORE_FULL, STORE_IO. */
MUST_CHECK enum status checkpoint_file_create(const char *dir, const struct checkpoint *first, int *fd,
                                              struct err *err);
/* The newest whole checkpoint. NOT_FOUND: no such file. STORE_CORRUPT: neither slot is whole. STORE_FORMAT, STORE_IO. */
MUST_CHECK enum status checkpoint_file_open(const char *dir, struct checkpoint *newest, int *fd,
                                            struct err *err);
/* Writes the slot of its number and makes it durable. STORE_IO. */
MUST_CHECK enum status checkpoint_file_write(int fd, const struct checkpoint *checkpoint, struct err *err);

/* The kernel's; none when it cannot be read. */
struct boot_id boot_id_current(void);
/* A made-up one, for tests; never none. */
struct boot_id boot_id_from_text(const char *text);
/* True when both are the same run, for sure. */
bool boot_id_same(const struct boot_id *a, const struct boot_id *b);
