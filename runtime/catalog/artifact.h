/* artifact.h - compiled code as files named by their content: written whole or not at all, never changed. */
// SPDX-License-Identifier: Apache-2.0
//
// <dir>/<BLAKE2b-256 in hex>.so, mode 0444. All functions that touch files block: call them off the loop.
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* The content's name; the text is zero-terminated. */
struct artifact_id {
    char hex[65];
};

/* Of the bytes alone. Pure. */
struct artifact_id artifact_id_of(struct slice code);
/* Of several parts, as if they stood behind one another. Pure. */
struct artifact_id artifact_id_of_parts(const struct slice *parts, size_t count);
/* Proves that the bytes begin like a shared library that this machine can load: ELF header and its tables within the
 * file. Pure; reads nothing beyond `code`. ARTIFACT_INVALID, with words that name the architecture found. */
MUST_CHECK enum status artifact_check(struct slice code, struct err *err);

/* Memory that the loaded code takes for its own variables, before any of it runs. Of code that artifact_check() took. */
uint64_t artifact_data_bytes(struct slice code);

/* Writes the file and syncs it and its directory, which is made when missing; nothing to do when it is there already.
 * STORE_UNWRITABLE, STORE_FULL, STORE_IO. */
MUST_CHECK enum status artifact_put(const char *dir, struct slice code, const struct artifact_id *id,
                                    struct err *err);
/* Appends the path of the file. */
void artifact_path(struct buf *path, const char *dir, const struct artifact_id *id);
/* Removes every file of the directory that `keep` does not claim, left-over temporary ones included. Returns how many
 * went; files that cannot be removed are left for the next time. */
typedef bool (*artifact_keep_fn)(void *ctx, const struct artifact_id *id);
size_t artifact_sweep(const char *dir, artifact_keep_fn keep, void *ctx);
