/* changefeed.h - committed changes in order, from any sequence number that the log still has, and then live. */
// SPDX-License-Identifier: Apache-2.0
//
// Only durable commits are shown. A feed does not hold the log back: who reads more slowly than history is recycled
// (log_keep_bytes) is told that the log does not reach back any more, and begins again from a snapshot.
//
// All functions on the store's thread; a read looks into files that were just written, which is memory in practice.
#pragma once

#include "statestore/statestore.h"

struct store_feed;

struct store_change {
    uint64_t seq;
    uint64_t wall_ms; /* when it was committed */
    struct slice entries; /* in the order of application, for write_set_next; borrowed for the call */
};

/* Called for each commit; false: enough for now, this one counts as read. */
typedef bool (*store_change_fn)(void *ctx, const struct store_change *change);

/* `from` is the first sequence number wanted; 0: whatever is committed from now on. `ready` is called inside
 * store_reap() when there is something new; it may read, not close. NOT_FOUND: the log does not reach back to `from`.
 * INVALID_ARGUMENT: `from` is far in the future. UNSUPPORTED: the store has no log. */
MUST_CHECK enum status store_feed_open(struct store *store, uint64_t from, void (*ready)(void *ctx),
                                       void *ctx, struct store_feed **feed, struct err *err);
void store_feed_close(struct store_feed *feed);
/* Shows what is there and was not shown yet. NOT_FOUND: overtaken by recycling. STORE_CORRUPT, STORE_IO. */
MUST_CHECK enum status store_feed_read(struct store_feed *feed, store_change_fn change, void *ctx,
                                       struct err *err);
/* The sequence number that comes next. */
uint64_t store_feed_next(const struct store_feed *feed);
