/* outbox.h - delivers what functions have sent: each send runs its function once, however often things go wrong. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The rows of a partition (runtime/invoke/outbox.h) are the queue; nothing is kept beside them but which are
// under way. A send to an entity of its own partition is deleted by the commit of the invocation that it starts, so both
// happen or neither. One to another partition carries an Idempotency-Key and is deleted after its outcome is durable there: repeated
// after a crash, it gets the remembered outcome. What fails is tried again with growing delays, kept in the row, and then becomes a
// dead letter, which stays until somebody looks at it.
#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct invoke_partition;
struct loop;
struct outbox;
struct outbox_part;
struct router;

struct outbox_config {
    struct loop *loop;
    struct clock *clock;
    struct router *router;
    uint64_t seed; /* of the delays */
};

struct outbox *outbox_create(const struct outbox_config *config);
/* All parts must have been closed. */
void outbox_destroy(struct outbox *outbox);

/* Begins with what the partition holds from before; `app` is copied. The partition knows its part by invoke_partition_place(). */
struct outbox_part *outbox_open(struct outbox *outbox, const char *app, struct invoke_partition *partition);
/* Nothing is begun any more; before the partition's store is closed. */
void outbox_stop(struct outbox_part *part);
/* After it is closed. NULL is fine. */
void outbox_close(struct outbox_part *part);
/* There is something to deliver, now or later. */
bool outbox_busy(const struct outbox_part *part);
/* Rows were committed. */
void outbox_wake(struct outbox_part *part);

struct outbox_stats {
    uint64_t delivered, failed, dead; /* since the start */
    uint32_t in_flight;
};
void outbox_stats(const struct outbox *outbox, struct outbox_stats *stats);

/* ---- dead letters ---- */

struct outbox_letter {
    const char *ident; /* 32 hexadecimal digits: names it; "?" when its key is damaged */
    uint64_t due_ms; /* when it should have been done; 0: its key is damaged */
    struct slice function, entity, error, body;
    uint32_t attempts;
    bool dead; /* else it waits */
    bool damaged; /* it stays as it is until it is dropped; `error` says why, the rest is empty */
};
/* Calls `row` for what waits (dead: false) or was given up, in order, until it returns false; slices are borrowed.
 * Damaged rows are among them, and end nothing. */
typedef bool (*outbox_letter_fn)(void *ctx, const struct outbox_letter *letter);
MUST_CHECK enum status outbox_list(struct outbox_part *part, bool dead, outbox_letter_fn row, void *ctx,
                                   struct err *err);
/* Puts a dead letter back (retry: it is due at once, with all its attempts ahead) or drops it; an empty ident means all of them.
 * A damaged one can only be dropped: a retry leaves it, and is STORE_CORRUPT when there is no other.
 * Durable when `done` is called, never inside of this call; `count` tells how many. NOT_FOUND, INVALID_ARGUMENT come through done, too. */
typedef void (*outbox_on_moved_fn)(void *ctx, enum status status, size_t count, const struct err *err);
void outbox_move(struct outbox_part *part, struct slice ident, bool retry, outbox_on_moved_fn done,
                 void *ctx);
