/* kv.h - the ordered key-value port under a store: one writer, exact snapshots, one sync. */
// SPDX-License-Identifier: Apache-2.0
//
// Versions: LMDB (kv_lmdb.c, the data file), memory (kv_mem.c) and a decorator that fails on demand (kv_fault.c).
// One write transaction at a time, begun and ended by the same thread; whoever writes is the only one. Snapshots are
// opened by the writer's thread outside of a transaction and may be read and closed on another thread, one at a time.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

enum { KV_META_BYTES = 136 }; /* LMDB's record of one committed transaction: roots, page count, number */

struct kv {
    const struct kv_ops *ops;
};

struct kv_snapshot {
    struct kv *kv;
    uint64_t txn; /* the kv's own number of the transaction that it shows */
    uint8_t meta[KV_META_BYTES]; /* of exactly this snapshot */
};

struct kv_stats {
    uint64_t rows;
    uint64_t data_bytes; /* size of the file */
    uint64_t used_bytes; /* of its pages that hold rows now */
};

/* Called for each row in order until it returns false. */
typedef bool (*kv_row_fn)(void *ctx, struct slice key, struct slice value);

struct kv_ops {
    /* May fail with STORE_IO only. May block for memory, never for another writer. */
    enum status (*begin)(struct kv *kv, struct err *err);
    /* STORE_FULL, STORE_CORRUPT, STORE_IO: the transaction must be aborted. Removing what is absent is fine. */
    enum status (*put)(struct kv *kv, struct slice key, struct slice value, struct err *err);
    enum status (*remove)(struct kv *kv, struct slice key, struct err *err);
    /* Ends the transaction whatever comes. A failure means that nothing of it is visible; after STORE_FULL the next may
     * succeed, after STORE_IO nothing may be written any more. Durable at once only when opened with `sync`. */
    enum status (*commit)(struct kv *kv, struct err *err);
    void (*abort)(struct kv *kv);
    /* Makes every transaction that was committed before the call durable. Any thread; blocks for the disk. */
    enum status (*sync)(struct kv *kv, struct err *err);
    /* The newest committed state. STORE_IO, NO_RESOURCES when too many are open. */
    enum status (*snapshot_open)(struct kv *kv, struct kv_snapshot **snapshot, struct err *err);
    void (*snapshot_close)(struct kv_snapshot *snapshot);
    /* The value is borrowed until the snapshot is closed. NOT_FOUND, STORE_CORRUPT. */
    enum status (*get)(struct kv_snapshot *snapshot, struct slice key, struct slice *value, struct err *err);
    /* Rows in [low, high); `high` empty: to the end. */
    enum status (*scan)(struct kv_snapshot *snapshot, struct slice low, struct slice high, kv_row_fn row,
                        void *ctx, struct err *err);
    void (*stats)(struct kv *kv, struct kv_stats *stats);
    /* Read-only descriptor of the data file, -1 when there is none; owned by the kv. */
    int (*data_fd)(struct kv *kv);
    /* Writes a compact copy of the snapshot to `fd`. Blocks. UNSUPPORTED, STORE_FULL, STORE_IO. */
    enum status (*copy)(struct kv_snapshot *snapshot, int fd, struct err *err);
    /* Every snapshot must be closed. */
    void (*close)(struct kv *kv);
};

struct kv_config {
    const char *dir; /* holds data.mdb and lock.mdb */
    uint64_t map_bytes; /* address space: the size that the file may reach */
    bool sync; /* every commit is durable when it returns */
};

/* STORE_UNWRITABLE, STORE_CORRUPT, STORE_FORMAT, STORE_FULL, STORE_IO; the words name the file. */
MUST_CHECK enum status kv_lmdb_open(struct kv **kv, const struct kv_config *config, struct err *err);
/* Nothing on disk; copies all row pointers for each transaction: for tests. */
struct kv *kv_mem_open(void);

/* ---- the data file while nobody has it open: for recovery ---- */

struct kv_file_state {
    bool exists; /* false: no data file, or one without any transaction yet; the rest is unset */
    uint64_t newest_txn; /* of the two meta pages */
    uint64_t file_bytes;
    uint8_t meta[KV_META_BYTES]; /* of the newest transaction */
};
/* STORE_CORRUPT, STORE_IO. */
MUST_CHECK enum status kv_lmdb_file_state(const char *dir, struct kv_file_state *state, struct err *err);
/* Proves that every page that the snapshot of `meta` reaches is what it should be, values aside: reads all of them.
 * STORE_CORRUPT names page and offset. STORE_IO. */
MUST_CHECK enum status kv_lmdb_file_check(const char *dir, const uint8_t meta[KV_META_BYTES],
                                          struct err *err);
/* Makes the file show exactly the snapshot of `meta`, whose pages must be intact, and syncs that. */
MUST_CHECK enum status kv_lmdb_file_rewind(const char *dir, const uint8_t meta[KV_META_BYTES],
                                           struct err *err);
uint64_t kv_meta_txn(const uint8_t meta[KV_META_BYTES]);

/* ---- faults, for tests ---- */

enum store_fault_point {
    STORE_FAULT_COMMIT = 1, /* of the data file */
    STORE_FAULT_SYNC = 2, /* of the data file */
    STORE_FAULT_LOG_WRITE = 4,
    STORE_FAULT_LOG_SYNC = 8,
    STORE_FAULT_LOG_SPACE = 16, /* making room for a new segment */
};

/* Lets the first `skip` operations in `mask` pass, fails the next `count`, passes the others. May be changed while the
 * store runs: set `mask` last. */
struct store_fault {
    _Atomic unsigned mask;
    _Atomic unsigned skip;
    _Atomic unsigned count;
    _Atomic unsigned hits; /* how many have failed */
    enum status status; /* STORE_FULL, STORE_IO */
    bool after; /* the operation is done, and then said to have failed */
};

/* True when this operation has to fail. Any thread. NULL is no fault. */
bool store_fault_hits(struct store_fault *fault, enum store_fault_point point);
/* `inner` with faults in front of it; closes it when closed. */
struct kv *kv_fault_open(struct kv *inner, struct store_fault *fault);
