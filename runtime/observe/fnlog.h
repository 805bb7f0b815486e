/* fnlog.h - what functions log: the newest lines of each app kept in memory, and live readers. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. Each app has a ring of its own, so that a flood of one app cannot push out the lines of another.
#pragma once

#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/base/list.h"
#include "runtime/base/log.h"
#include "runtime/base/slice.h"

struct fnlog;

/* One line; the slices are borrowed for the call. */
struct fnlog_line {
    uint64_t time_ms; /* wall clock */
    struct slice app;
    struct slice function; /* empty: of the worker, outside of an invocation */
    struct slice invocation; /* id as users see it; empty likewise */
    enum log_level level;
    struct slice text;
};

typedef void (*fnlog_line_fn)(void *ctx, const struct fnlog_line *line);

/* A live reader, embedded by its owner; empty filters match all. */
struct fnlog_reader {
    struct list link;
    struct slice app;
    struct slice function;
    fnlog_line_fn on_line; /* must not unsubscribe other readers */
    void *ctx;
};

/* `bytes_per_app` bounds each ring. */
struct fnlog *fnlog_create(struct clock *clock, size_t bytes_per_app);
void fnlog_destroy(struct fnlog *log);
/* Keeps the line, stamped now, and hands it to the readers. */
void fnlog_append(struct fnlog *log, const struct fnlog_line *line);
/* The newest `count` kept lines that match, oldest first. */
void fnlog_tail(const struct fnlog *log, struct slice app, struct slice function, size_t count,
                fnlog_line_fn on_line, void *ctx);
void fnlog_subscribe(struct fnlog *log, struct fnlog_reader *reader);
/* Harmless when not subscribed, provided that the link was initialised. */
void fnlog_unsubscribe(struct fnlog_reader *reader);
