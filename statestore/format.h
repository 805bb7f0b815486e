/* format.h - the store's own rows in the data file: format version, identity, last sequence number. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "statestore/kv/kv.h"

/* Raised when a byte on disk changes its meaning. docs/formats/ says what each version has. */
#define STORE_FORMAT_VERSION 1u

enum { STORE_ID_BYTES = 16 };

/* What tells this store from every other: log segments and checkpoints carry it too. */
struct store_id {
    uint8_t bytes[STORE_ID_BYTES];
};

struct store_identity {
    uint32_t version;
    struct store_id id;
    uint64_t seq; /* the last commit that the data file holds */
};

/* Reads the rows. NOT_FOUND: a fresh file. STORE_FORMAT: a newer program wrote it. STORE_CORRUPT. */
MUST_CHECK enum status format_read(struct kv_snapshot *snapshot, struct store_identity *identity,
                                   struct err *err);
/* Writes all of them, inside a transaction. */
MUST_CHECK enum status format_write(struct kv *kv, const struct store_identity *identity, struct err *err);
/* Writes the sequence number only: part of every group commit. */
MUST_CHECK enum status format_write_seq(struct kv *kv, uint64_t seq, struct err *err);
struct store_id store_id_make(void);
