/* sends.h - what was sent, over all partitions of an app: for the admin API. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/gateway/admin.h"

struct apps;

/* Calls `row` for each that waits, or was given up (`dead`). */
MUST_CHECK enum status sends_list(struct apps *apps, struct slice app, bool dead, admin_send_fn row,
                                  void *ctx, struct err *err);
/* Dead letters of all partitions go back (retry) or away; an empty ident means all. `done` comes later, once. */
typedef void (*sends_on_moved_fn)(void *ctx, enum status status, size_t count, const struct err *err);
void sends_move(struct apps *apps, struct slice app, struct slice ident, bool retry, sends_on_moved_fn done,
                void *ctx);
