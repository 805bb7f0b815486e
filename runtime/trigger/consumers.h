/* consumers.h - messages of durable channels start functions: each exactly once, in order of its key, in every group. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. A group (messaging/channel/group.h) decides what may be delivered; here its messages are read and become
// invocations whose commits settle them, so that what a function did and that its messages are done is one change.
// What fails comes again with growing delays and then becomes a dead letter. Retention deletes the oldest messages,
// whoever has not read them: that a group lost some is counted and logged.
#pragma once

#include "messaging/channel/durable.h"
#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct consumers;
struct consumers_part;
struct invoke_partition;
struct loop;
struct manifest;
struct router;

struct consumers_config {
    struct loop *loop;
    struct clock *clock;
    struct router *router;
    uint64_t seed; /* of the delays */
};

struct consumers *consumers_create(const struct consumers_config *config);
/* All parts must have been closed. */
void consumers_destroy(struct consumers *consumers);

/* Those of a partition; delivers nothing before consumers_configure(). `app` is copied; the partition knows its part by
 * invoke_partition_place(). */
struct consumers_part *consumers_open(struct consumers *consumers, const char *app,
                                      struct invoke_partition *partition);
/* The manifest of the version that runs from now on, kept until the next; NULL: none does, and nothing is delivered. */
void consumers_configure(struct consumers_part *part, const struct manifest *manifest);
/* Nothing is begun any more; before the partition's store is closed, when no invocation is in flight. */
void consumers_stop(struct consumers_part *part);
/* After it is closed. NULL is fine. */
void consumers_close(struct consumers_part *part);
/* Something is to be delivered or noted. */
bool consumers_busy(const struct consumers_part *part);
/* Messages were committed. */
void consumers_wake(struct consumers_part *part);

/* ---- figures ---- */

struct consumers_stats {
    uint64_t delivered, failed, dead, lost; /* messages, since the start */
    uint64_t trimmed; /* messages that retention has deleted */
    uint32_t in_flight;
};
void consumers_stats(const struct consumers *consumers, struct consumers_stats *stats);

struct consumers_group {
    const char *channel, *group, *function;
    uint64_t cursor, next; /* offsets: everything before is done; everything before has been looked at */
    uint64_t lag; /* messages that are not done; refused appends count until they are known */
    uint64_t delivered, failed, dead, lost;
    uint32_t in_flight, waiting;
};
/* Calls `group` for each group of the current version. */
typedef void (*consumers_group_fn)(void *ctx, const struct consumers_group *group);
void consumers_groups(const struct consumers_part *part, consumers_group_fn group, void *ctx);

/* ---- what operators do ---- */

/* Told once, later, when it is durable or has failed. `count`: messages concerned. */
typedef void (*consumers_done_fn)(void *ctx, enum status status, uint64_t count, const struct err *err);

/* The group goes on at `cursor`; what it has under way ends first. NOT_FOUND, BUSY. */
void consumers_replay(struct consumers_part *part, struct slice channel, struct slice group, uint64_t cursor,
                      consumers_done_fn done, void *ctx);
/* Drops dead letters: one, or with `offset` UINT64_MAX all of the group. NOT_FOUND. */
void consumers_dead_drop(struct consumers_part *part, struct slice channel, struct slice group,
                         uint64_t offset, consumers_done_fn done, void *ctx);
/* Delivers dead letters once more, in their order; those that fail stay. Told when all have been tried. NOT_FOUND, BUSY. */
void consumers_dead_retry(struct consumers_part *part, struct slice channel, struct slice group,
                          uint64_t offset, consumers_done_fn done, void *ctx);
