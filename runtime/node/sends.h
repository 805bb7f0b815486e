/* sends.h - what was sent, over all partitions of an app: for the admin API. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct apps;

/* Appends a JSON object for each, separated by commas; at most `limit`. */
MUST_CHECK enum status sends_json(struct apps *apps, struct slice app, bool dead, size_t limit,
                                  struct buf *json, struct err *err);
/* Dead letters of all partitions go back (retry) or away; an empty ident means all. `done` comes later, once. */
typedef void (*sends_on_moved_fn)(void *ctx, enum status status, size_t count, const struct err *err);
void sends_move(struct apps *apps, struct slice app, struct slice ident, bool retry, sends_on_moved_fn done,
                void *ctx);
