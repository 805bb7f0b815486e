/* log.h - the log port: the truth of a partition, one record per group commit, durable by one sync. */
// SPDX-License-Identifier: Apache-2.0
//
// Versions: files (log_file.c), memory (log_mem.c) and a decorator that fails on demand (log_fault.c). A log that is
// replicated takes the same place. Log sequence numbers (LSN) count commits, from 1; a record holds those of one batch.
//
// Threads: append and take_back by whoever commits, one at a time; sync, trim and prepare each by one thread at a time,
// in parallel to everything else; read from any thread.
#pragma once

#include <stdint.h>

#include "statestore/format.h"
#include "statestore/kv/kv.h"
#include "statestore/log_format.h"

struct log {
    const struct log_ops *ops;
};

/* A place to read from: set `lsn`, the rest is the log's, zero at first. */
struct log_cursor {
    uint64_t lsn; /* the next to be read */
    uint64_t segment;
    uint64_t offset;
};

struct log_stats {
    uint64_t first_lsn; /* the oldest that can still be read; last_lsn + 1 when there is none */
    uint64_t last_lsn;
    uint64_t bytes; /* of all files */
    uint64_t appended_bytes; /* since open */
    uint64_t syncs; /* since open */
};

/* A failure ends the reading and is its result. The entry's bytes are borrowed for the call. */
typedef enum status (*log_entry_fn)(void *ctx, const struct log_entry *entry, struct err *err);

struct log_ops {
    /* Writes the record behind the last one; its first LSN is last_lsn + 1. `record` was begun with log_record_begin
     * and is sealed here. Not durable before a sync. STORE_FULL: nothing was written, a later one may succeed.
     * STORE_IO: nothing may be appended any more. */
    enum status (*append)(struct log *log, struct buf *record, const struct log_entry *entry,
                          struct err *err);
    /* Removes the last record, which has not been told to anybody, durably. At most one; else as append. */
    enum status (*take_back)(struct log *log, struct err *err);
    /* All that was appended before the call survives power loss when it returns; `durable` is the last LSN of that.
     * STORE_IO: nobody knows what is durable; must not be called again. */
    enum status (*sync)(struct log *log, uint64_t *durable, struct err *err);
    /* Every record with an LSN from cursor->lsn to `to`, which was appended already, in order; the first may begin
     * earlier. Moves the cursor behind them. NOT_FOUND: the log does not reach back that far any more. */
    enum status (*read)(struct log *log, struct log_cursor *cursor, uint64_t to, log_entry_fn entry,
                        void *ctx, struct err *err);
    /* Checkpoint number `checkpoint` holds everything up to `lsn`: older records are kept only as history. */
    void (*trim)(struct log *log, uint64_t lsn, uint32_t checkpoint);
    /* Makes room ahead of the writer, when there is need. May block for the disk. STORE_FULL, STORE_IO. */
    enum status (*prepare)(struct log *log, struct err *err);
    /* True when prepare has something to do. Never blocks. */
    bool (*wants_prepare)(struct log *log);
    void (*stats)(struct log *log, struct log_stats *stats);
    void (*close)(struct log *log);
};

struct log_file_config {
    bool create; /* there is none yet; otherwise there must be one */
    const char *dir; /* of the store; the segments are in <dir>/log, which is made when missing */
    struct store_id id;
    uint64_t segment_bytes; /* of a new segment */
    uint64_t keep_bytes; /* of history behind the last checkpoint */
    uint64_t from; /* the first LSN that is needed */
    uint64_t proven; /* commits up to here were durable: when they are not in the log, it is damaged */
    bool ignore_checksums; /* tests only */
};

/* Reads the log from `from` on, calling `entry` for each record, and opens it for appending behind the last. A tail
 * that was written but never synced is cut off. STORE_CORRUPT names file and offset; STORE_IO, STORE_FULL. */
MUST_CHECK enum status log_file_open(struct log **log, const struct log_file_config *config,
                                     log_entry_fn entry, void *ctx, struct err *err);
/* Keeps everything in memory. */
struct log *log_mem_open(void);
/* `inner` with faults in front of it; closes it when closed. */
struct log *log_fault_open(struct log *inner, struct store_fault *fault);
