/* app_part.h - one partition of an app: its open store, and what the engine, the outbox and the consumers have of it. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. Embedded in its app and zeroed there:
//
//     app_part_open -> app_part_stop -> what the committer has posted comes -> app_part_close
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/loop/loop.h"

struct apps_config;
struct consumers_part;
struct invoke_partition;
struct outbox_part;
struct store;

struct app_part {
    const struct apps_config *config;
    const char *app;
    uint32_t index;
    struct store *store; /* of `partition`, once that is open */
    struct loop_task reap; /* posted by the committer */
    struct invoke_partition *partition; /* NULL: it is not open */
    struct outbox_part *outbox;
    bool failure_said; /* in the log, that its store takes no writes */
    struct consumers_part *consumers;
};

/* Number `index` of `count`; recovers its store. `config` and `app` are borrowed until app_part_close(). Those of
 * store_open(). */
MUST_CHECK enum status app_part_open(struct app_part *part, const struct apps_config *config, const char *app,
                                     uint32_t index, uint32_t count, struct err *err);
/* Closes the store; the committer's last words may still come. One that was not opened is fine, here and below. */
void app_part_stop(struct app_part *part);
void app_part_close(struct app_part *part);

/* Something was sent or appended and is still to be done. */
bool app_part_busy(const struct app_part *part);
/* Nothing that closing would end, and nothing for which it would keep the loop from its work. */
bool app_part_quiet(const struct app_part *part);

/* Appends a JSON object with its figures. */
void app_part_stats(const struct app_part *part, struct buf *json);
/* Appends a struct metrics_store; the app's name is borrowed. */
void app_part_metrics(const struct app_part *part, struct buf *stores);
