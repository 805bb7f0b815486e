/* output.h - what a process writes to stdout and stderr, as lines, within a budget: it is always read, never trusted. */
// SPDX-License-Identifier: Apache-2.0
//
// The pipe is emptied as fast as it fills, so that no writer blocks; what exceeds the budget is dropped and counted, and
// said at once, then once a second while it goes on: logs keep only their newest lines. Who writes what is dropped waits
// for a moment now and then, so that dropping does not take the loop from others. Loop thread.
#pragma once

#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct loop;
struct output;

enum {
    OUTPUT_BURST_BYTES = 1024 * 1024, /* that come at once are kept */
    OUTPUT_BYTES_PER_S = 256 * 1024, /* are kept in the long run */
};

/* How much is still kept of what somebody writes: full at first, refilled with time. */
struct output_budget {
    uint64_t bytes;
    uint64_t filled_ns; /* when bytes were last added */
};

void output_budget_init(struct output_budget *budget, uint64_t now_ns);
/* Takes up to `wanted` bytes; returns how many were left to take. */
size_t output_budget_take(struct output_budget *budget, uint64_t now_ns, size_t wanted);

/* What was dropped, and when its reader has last been told. All zero at first. */
struct output_loss {
    uint64_t dropped; /* in the owner's unit */
    uint64_t told; /* of these */
    uint64_t told_ns;
};

void output_loss_add(struct output_loss *loss, uint64_t count);
/* Whether the reader is to be told `dropped` now; true counts as told. */
bool output_loss_due(struct output_loss *loss, uint64_t now_ns);
/* At the end: whether something was dropped that nobody was told. */
bool output_loss_left(struct output_loss *loss);

/* A line without its end; longer ones than BOUND_LOG_LINE_BYTES_MAX come in pieces. Borrowed for the call. */
typedef void (*output_on_line_fn)(void *ctx, struct slice line);

/* Makes the pipe; `writer` is the end for the process, the caller closes it. NO_RESOURCES. */
MUST_CHECK enum status output_open(struct loop *loop, output_on_line_fn on_line, void *ctx,
                                   struct output **output, int *writer, struct err *err);
/* Whether it is read now: at first it is. */
void output_listen(struct output *output, bool listen);
/* Hands out what the pipe holds now, an unfinished line, too: when its process is dead. */
void output_drain(struct output *output);
/* Its budget, and another one in its place: for whoever writes in the place of somebody who has gone. */
struct output_budget output_budget_left(const struct output *output);
void output_set_budget(struct output *output, const struct output_budget *budget);
uint64_t output_dropped_bytes(const struct output *output);
/* No callback after this. NULL is fine. */
void output_close(struct output *output);
