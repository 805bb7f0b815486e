/* statestore.h - the state of one partition: exact snapshots to read, atomic commits, and when they are durable. */
// SPDX-License-Identifier: Apache-2.0
//
// A store has one committer thread of its own; every function here is called on the thread that opened it (the loop),
// and every callback runs there, inside store_reap(). Happy path of an invocation:
//
//     snapshot = store_snapshot_take(store)           newest applied state; pinned until released
//     ... a worker reads it through store_data_fd() and store_snapshot_meta(), results come back ...
//     store_submit(store, &commit)                    validated against `snapshot`, batched, applied, synced
//     commit.applied(...)                             later invocations may read it now
//     commit.durable(...)                             it survives power loss: answer the caller now
//     store_snapshot_release(store, snapshot)
//
// Sequence numbers (LSN): every committed submission that writes gets the next one, from 1. A snapshot with sequence
// number S holds exactly the commits 1..S.
#pragma once

#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/list.h"
#include "runtime/base/slice.h"

struct store;
struct store_snapshot;

enum store_mode {
    STORE_MODE_LOG = 0, /* the log is the truth, the data file its view: one flush per batch */
    STORE_MODE_SYNC, /* the data file alone, each batch synced in it: simple, slower, no history; oracle in tests */
};

/* Tests only: what a store must not do, to prove that the tests see it. */
enum store_sabotage {
    STORE_SABOTAGE_PIN = 1, /* the checkpoint's snapshot is not pinned */
    STORE_SABOTAGE_CHECKSUM = 2, /* recovery does not look at checksums */
    STORE_SABOTAGE_GATE = 4, /* `durable` before the sync */
};

struct store_config {
    const char *dir; /* the partition's directory; made when missing (its parent must exist) */
    uint64_t map_bytes; /* address space of the data file; 0 means BOUND_MAP_BYTES */
    enum store_mode mode;
    struct clock *clock;
    /* The log; 0 means the bound of the same name. */
    uint64_t log_segment_bytes;
    uint64_t log_keep_bytes; /* history behind the last checkpoint: how far back feeds and restores reach */
    uint64_t checkpoint_bytes; /* of log, or of growth of the data file, between two checkpoints */
    uint32_t checkpoint_ms; /* at most so long between two, when something was committed */
    /* Called from the committer thread, also many times: completions wait, call store_reap() on the loop. */
    void (*wake)(void *ctx);
    void *wake_ctx;
    bool corked; /* submissions wait for store_push(): its owner hands over those of a turn as one batch */
    bool unchecked; /* tests only: validation off, to prove that the checkers see it */
    struct store_fault *fault; /* tests only, NULL otherwise: see statestore/kv/kv.h */
    unsigned sabotage; /* tests only */
    const char *boot_id; /* tests only: a made-up run of the operating system; NULL: the kernel's */
};

/* Opens or creates. STORE_UNWRITABLE, STORE_IN_USE, STORE_FORMAT, STORE_CORRUPT, STORE_IO, STORE_FULL. */
MUST_CHECK enum status store_open(struct store **store, const struct store_config *config, struct err *err);
/* Commits what was submitted, runs its callbacks, stops the thread, frees. All snapshots must be released. */
void store_close(struct store *store);
/* Runs the callbacks of what has happened since. Never blocks. */
void store_reap(struct store *store);

/* ---- snapshots ---- */

enum { STORE_META_BYTES = 136 }; /* LMDB's meta record: what a worker installs to see exactly this snapshot */

/* The newest applied state; counted, cheap. Never fails. */
struct store_snapshot *store_snapshot_take(struct store *store);
struct store_snapshot *store_snapshot_ref(struct store_snapshot *snapshot);
void store_snapshot_release(struct store *store, struct store_snapshot *snapshot);
uint64_t store_snapshot_seq(const struct store_snapshot *snapshot);
uint64_t store_snapshot_txn(const struct store_snapshot *snapshot); /* LMDB's number of the same snapshot */
struct slice store_snapshot_meta(const struct store_snapshot *snapshot);

/* Read-only descriptor of the data file for zygotes; owned by the store. */
int store_data_fd(const struct store *store);

/* Reads in the daemon itself. The value is borrowed until the snapshot is released. NOT_FOUND. */
MUST_CHECK enum status store_get(struct store_snapshot *snapshot, struct slice key, struct slice *value,
                                 struct err *err);
/* Calls `row` for each key in [low, high) in order (high empty: to the end of the store) until it returns false. */
typedef bool (*store_row_fn)(void *ctx, struct slice key, struct slice value);
MUST_CHECK enum status store_scan(struct store_snapshot *snapshot, struct slice low, struct slice high,
                                  store_row_fn row, void *ctx, struct err *err);

/* ---- commits ---- */

enum { STORE_COMMIT_PARTS_MAX = 6 };

/* Embedded by the caller, who keeps it and the bytes it points to until its last callback:
 * `applied` with a failure status, else `durable`. */
struct store_commit {
    struct list link; /* the store's, from submit to the last callback */
    uint64_t snapshot; /* sequence number of the snapshot that was read */
    uint64_t chain; /* not 0: also saw the writes of earlier submissions with the same chain; see below */
    bool relaxed; /* nobody waits for `durable`: it may come up to 10 ms later than it could */
    struct slice reads; /* checked read set; empty when nothing has to be validated */
    struct slice writes[STORE_COMMIT_PARTS_MAX]; /* checked write sets; together one atomic change */
    /* OK; CONFLICT: something read has changed, nothing was written; or a STORE_ status: nothing was written. */
    void (*applied)(struct store_commit *commit);
    /* OK, or STORE_IO/STORE_FULL: applied but it may be lost; the store is read-only from then on. */
    void (*durable)(struct store_commit *commit);
    enum status status; /* the result at each callback */
    struct err err;
    /* Set at `applied` when it wrote; for a commit without writes the snapshot that it must wait for. */
    uint64_t seq;
    uint64_t told; /* the store's: which failures its owner had heard of when it was submitted */
};

/* Chains: invocations of one hot entity run back to back, each seeing the not yet applied writes of the ones before,
 * all on one snapshot. A key that was written after `snapshot` is still unchanged for a submission when its last writer
 * has the same chain. When one of a chain fails, its owner must not count on the later ones: those already submitted
 * with this chain fail with CONFLICT too. */
void store_submit(struct store *store, struct store_commit *commit);
/* Makes a checkpoint now: recovery begins here, older log may go. Blocks for the disk; any thread, one at a time. STORE_IO. */
MUST_CHECK enum status store_checkpoint(struct store *store, struct err *err);
/* Hands what was submitted to a corked store to the committer, all at once. */
void store_push(struct store *store);
/* The last committed sequence number that invocations may read, and the one that survives power loss. */
uint64_t store_applied_seq(const struct store *store);
uint64_t store_durable_seq(const struct store *store);

/* Waits until `seq` is durable: for replies that saw a snapshot but wrote nothing. Embedded like a commit. */
struct store_waiter {
    struct list link;
    uint64_t seq;
    void (*durable)(struct store_waiter *waiter);
    enum status status;
};
/* True when it is durable already: the callback is not called then. */
bool store_wait_durable(struct store *store, struct store_waiter *waiter);

/* ---- figures ---- */

struct store_stats {
    uint64_t commits; /* submissions committed */
    uint64_t conflicts; /* submissions refused by validation */
    uint64_t batches; /* group commits */
    uint64_t syncs; /* flushes of the disk */
    uint64_t bytes_written; /* of write sets */
    uint64_t rows; /* keys in the store */
    uint64_t data_bytes; /* size of the data file */
    uint64_t log_bytes; /* size of all log segments */
    uint64_t log_first; /* the oldest sequence number in the log */
    uint64_t checkpoints; /* since open */
    uint64_t checkpoint_seq; /* of the last one */
    uint64_t replayed; /* commits that recovery took from the log at open */
};
void store_stats(const struct store *store, struct store_stats *stats);
/* What the rows take in the data file, as of what is applied. Cheap. */
uint64_t store_used_bytes(const struct store *store);
/* OK, or why the store takes no writes (READ_ONLY and words). */
enum status store_health(const struct store *store, struct err *err);
