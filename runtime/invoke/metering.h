/* metering.h - counts what invocations use and puts the sums into their commits. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The sums of a function run on for the day; the commit of an invocation writes the row with itself counted
// in. What commits nothing (reads, failures) makes the row dirty: the next commit takes it along, or a commit of its own
// after METERING_FLUSH_MS.
#pragma once

#include "runtime/loop/loop.h"
#include "runtime/observe/meter.h"
#include "statestore/statestore.h"

enum { METERING_FLUSH_MS = 1000 };

struct metering;

struct metering *metering_open(struct loop *loop, struct store *store);
/* True while its own commit is under way: close later. */
bool metering_busy(const struct metering *metering);
/* Writes nothing any more: call metering_flush() before and wait. */
void metering_close(struct metering *metering);

void metering_add(struct metering *metering, struct slice function, const struct meter_sums *usage);
/* Takes back what metering_add() added: the invocation runs again. */
void metering_subtract(struct metering *metering, struct slice function, const struct meter_sums *usage);
/* Appends a write set of the function's row: goes into the commit that is about to be submitted. */
void metering_write_set(struct metering *metering, struct slice function, struct buf *set);
/* Commits the rows that nothing took along. */
void metering_flush(struct metering *metering);

/* Calls `row` for each function and day on disk or in memory, in order, newest sums. */
typedef void (*metering_row_fn)(void *ctx, struct slice function, uint32_t day,
                                const struct meter_sums *sums);
MUST_CHECK enum status metering_scan(struct metering *metering, metering_row_fn row, void *ctx,
                                     struct err *err);
