/* state_dir.h - where the state of an app is on disk: one directory for each partition. */
// SPDX-License-Identifier: Apache-2.0
//
//     <data>/apps/bank/p0, p1, ...
//
// Blocking. Without memory of its own: `apps` is <data>/apps, `app` a name.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* Appends the path of one partition's directory. */
void state_dir_path(struct buf *path, const char *apps, const char *app, uint32_t partition);
/* Whether a state of `have` partitions (0: there is none yet) can be that of an app with `want`. MANIFEST_INVALID. */
MUST_CHECK enum status state_dir_check(const char *app, uint32_t have, uint32_t want, struct err *err);
/* Makes the directory of an app unless it is there, for the stores of so many partitions. STORE_FULL, STORE_UNWRITABLE;
 * MANIFEST_INVALID when it has another number of them. */
MUST_CHECK enum status state_dir_make(const char *apps, const char *app, uint32_t partitions,
                                      struct err *err);
/* Deletes all that is in it, and it; OK when there is none. IO: the first failure, the rest is still tried. */
enum status state_dir_delete(const char *apps, const char *app, struct err *err);
