/* backup.h - copies of a store while it works; restore to any point that the copied log reaches; export and import. */
// SPDX-License-Identifier: Apache-2.0
//
// A backup is a directory: a compact copy of the data file at one commit, and the log behind it. Running it again into
// the same directory adds the log since then, which is quick; a restore can stop at any commit or time in it. These
// functions block for the disk: call them on a thread of their own while the store's thread goes on.
#pragma once

#include <stdatomic.h>

#include "statestore/statestore.h"

/* Written by the running function, read by whoever shows it. Zero it first. */
struct store_progress {
    _Atomic uint64_t done_bytes;
    _Atomic uint64_t total_bytes; /* 0 while it is not known */
    _Atomic bool cancel; /* set by the caller: ends with CANCELED */
};

struct store_backup_info {
    uint64_t base_seq; /* the data file's commit: nothing earlier can be restored */
    uint64_t last_seq; /* the last commit in the log */
    uint64_t last_wall_ms;
    uint64_t bytes; /* written by this call */
    bool added; /* to a backup that was there */
};

/* Makes a backup in `dir`, which is made, or is empty, or has an earlier backup of this store. On failure a new
 * backup is removed and an old one is as it was. NOT_FOUND: the log does not reach back to the earlier backup, make
 * a new one. ALREADY_EXISTS: `dir` has something else. STORE_FULL: no space there. UNSUPPORTED: a store without a log. */
MUST_CHECK enum status store_backup(struct store *store, const char *dir, struct store_progress *progress,
                                    struct store_backup_info *info, struct err *err);
/* Reads what a backup has, without its rows. */
MUST_CHECK enum status store_backup_read_info(const char *dir, struct store_backup_info *info,
                                              struct err *err);

struct store_restore_to {
    uint64_t seq; /* the last commit wanted; 0: all */
    uint64_t wall_ms; /* only commits up to this time; 0: all */
};

/* Makes a store in `dir`, which must be absent or empty, from the backup in `backup`. It is a new store: it has an id
 * of its own and counts on from the last commit restored, which is in info->last_seq. On failure `dir` is as it was.
 * ALREADY_EXISTS: `dir` has something. STORE_CORRUPT names the file and place in the backup. INVALID_ARGUMENT: the
 * point lies before the backup or behind its log. */
MUST_CHECK enum status store_restore(const char *backup, const char *dir, const struct store_restore_to *to,
                                     struct store_progress *progress, struct store_backup_info *info,
                                     struct err *err);

/* ---- rows as a file ---- */

struct store_export_info {
    uint64_t rows;
    uint64_t bytes; /* of keys and values */
    uint64_t seq; /* of the snapshot that was exported */
};

/* Writes the rows in [low, high) of the snapshot to `fd`, from its present place on. The caller keeps the snapshot and
 * its thread does not read from it meanwhile. STORE_FULL, IO, CANCELED. */
MUST_CHECK enum status store_export(struct store_snapshot *snapshot, struct slice low, struct slice high,
                                    int fd, struct store_progress *progress, struct store_export_info *info,
                                    struct err *err);

/* Called with checked write sets of at most a few MiB, in key order; a failure ends the import. */
typedef enum status (*store_import_fn)(void *ctx, struct slice writes, struct err *err);

/* Reads an exported file twice: first proves that all of it is whole and every key belongs to `space`, then hands the
 * rows over. Nothing is handed over of a damaged file. `fd` can seek. STORE_CORRUPT names the place, STORE_FORMAT. */
MUST_CHECK enum status store_import(int fd, uint8_t space, store_import_fn rows, void *ctx,
                                    struct store_progress *progress, struct store_export_info *info,
                                    struct err *err);
