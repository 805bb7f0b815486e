/* view.h - the rows as one invocation sees them: its own writes over its chain's over a snapshot; and what it read. */
// SPDX-License-Identifier: Apache-2.0
//
// Three layers, the upper one wins: the write set of this run; the writes of earlier successful runs of
// the same chain, which the store may not have applied yet; the snapshot. The lower two do not change
// during a run.
#pragma once

#include "runtime/base/err.h"
#include "sdk/src/arena.h"
#include "sdk/src/chains.h"
#include "sdk/src/changes.h"
#include "sdk/src/read_set.h"
#include "sdk/src/snapshot_lmdb.h"

struct stead__walk;

struct stead__view {
    struct stead__arena *arena; /* of the run */
    struct stead__snapshot *snapshot; /* borrowed; NULL: the lowest layer is empty */
    struct stead__chains chains;
    struct stead__chain *chain; /* that the run belongs to; NULL: none */
    struct stead__changes writes;
    struct stead__read_set reads;
    struct stead__walk *walks; /* of this run, the newest first */
    bool validate; /* reads count even without writes */
};

void stead__view_init(struct stead__view *view, struct stead__arena *arena, struct stead__snapshot *snapshot);
void stead__view_fini(struct stead__view *view);

/* A run begins; the snapshot is installed. `chain_id` 0: it belongs to no chain. One that follows
 * in its chain: CONFLICT when the writes of those before it are not here any more. */
MUST_CHECK enum status stead__view_begin(struct stead__view *view, uint64_t chain_id, bool follows,
                                         bool validate, struct err *err);
/* It ends; `keep` adds its writes to its chain. Everything lent ends; the arena is reset by its owner
 * afterwards. */
void stead__view_end(struct stead__view *view, bool keep);

/* The value lasts until the end of the run. NOT_FOUND; READ_SET_TOO_LARGE when it could not be validated
 * any more; STORE_IO, STORE_CORRUPT. */
MUST_CHECK enum status stead__view_get(struct stead__view *view, struct slice key, struct slice *value,
                                       struct err *err);
/* VALUE_TOO_LARGE, WRITE_SET_TOO_LARGE, READ_SET_TOO_LARGE: nothing was changed. */
MUST_CHECK enum status stead__view_put(struct stead__view *view, struct slice key, struct slice value,
                                       struct err *err);
MUST_CHECK enum status stead__view_delete(struct stead__view *view, struct slice key, struct err *err);

/* Walks over the rows in [low, high), or from the end of it backwards; the ends are copied. Lasts until
 * the end of the run. What it walked over is recorded as read. */
struct stead__walk *stead__view_walk(struct stead__view *view, struct slice low, struct slice high,
                                     bool reverse);
/* NOT_FOUND at the end. The key is borrowed until the next step, the value until the end of the run. */
MUST_CHECK enum status stead__walk_next(struct stead__walk *walk, struct slice *key, struct slice *value,
                                        struct err *err);

/* Appends the encoded sets. */
void stead__view_encode_reads(struct stead__view *view, struct buf *out);
void stead__view_encode_writes(struct stead__view *view, struct buf *out);
