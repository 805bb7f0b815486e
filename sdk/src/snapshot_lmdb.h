/* snapshot_lmdb.h - exact, read-only snapshots of a partition's rows in a worker, by an overlay of LMDB's meta pages. */
// SPDX-License-Identifier: Apache-2.0
//
// Opened once in the zygote, before it gives up /proc and before it forks; used in each worker for
// itself:
//
//     stead__snapshot_open(&snapshot, fd, "/proc", &err)         zygote; fd is store_data_fd()
//     fork
//     stead__snapshot_install(snapshot, meta, txn, &err)         worker, for each invocation that names another snapshot
//     stead__snapshot_get(...), stead__cursor_...                zero copy: values point into the shared mapping
//
// LMDB runs with RDONLY and NOLOCK: no lock file, no reader slot, nothing writable. That is safe because
// the daemon pins what an invocation reads until its result has come or its worker is dead, and exact
// because the two meta pages of the mapping are replaced by private memory: a worker sees the snapshot
// that the daemon names, whatever is committed meanwhile.
#pragma once

#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

enum { STEAD__META_BYTES = 136 };

struct stead__snapshot;
struct stead__cursor;

/* `fd` is the data file, opened for reading; it stays the caller's and may be closed afterwards.
 * STORE_IO, STORE_CORRUPT, UNSUPPORTED. */
MUST_CHECK enum status stead__snapshot_open(struct stead__snapshot **snapshot, int fd, const char *proc,
                                            struct err *err);
void stead__snapshot_close(struct stead__snapshot *snapshot);

/* All reads from now on see the snapshot of this meta, whose transaction number is `txn`. Cursors and
 * values of the one before are invalid. FUNCTION_PROTOCOL when the meta is not of this file or not of
 * `txn`. */
MUST_CHECK enum status stead__snapshot_install(struct stead__snapshot *snapshot, struct slice meta,
                                               uint64_t txn, struct err *err);

/* NOT_FOUND, STORE_IO. */
MUST_CHECK enum status stead__snapshot_get(struct stead__snapshot *snapshot, struct slice key,
                                           struct slice *value, struct err *err);

/* A cursor of the installed snapshot; given back with release, which keeps it for the next use. */
MUST_CHECK enum status stead__cursor_take(struct stead__snapshot *snapshot, struct stead__cursor **cursor,
                                          struct err *err);
void stead__cursor_release(struct stead__cursor *cursor);
/* To the first key >= `key` / the last key < `key`; to the next one / the one before. NOT_FOUND at the
 * end. */
MUST_CHECK enum status stead__cursor_seek(struct stead__cursor *cursor, struct slice key, bool reverse,
                                          struct slice *found, struct slice *value, struct err *err);
MUST_CHECK enum status stead__cursor_step(struct stead__cursor *cursor, bool reverse, struct slice *found,
                                          struct slice *value, struct err *err);
