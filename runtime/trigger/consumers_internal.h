/* consumers_internal.h - the structs that the files of consumers share. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "messaging/channel/group.h"
#include "runtime/base/prng.h"
#include "runtime/loop/loop.h"
#include "runtime/trigger/consumers.h"
#include "statestore/statestore.h"

struct consumers {
    struct consumers_config config;
    struct prng prng;
    struct consumers_stats stats;
};

/* How long a channel keeps its messages. */
struct retention {
    char *channel;
    uint32_t keep_hours, keep_mb;
};

struct consumers_part {
    struct consumers *consumers;
    char *app;
    struct invoke_partition *partition;
    struct store *store;
    struct list all; /* struct consumer */
    struct loop_task look; /* messages have come */
    struct loop_timer tick; /* runs while there is something to note or to look at again */
    bool stopped;
    /* Notes of cursors and retention, one commit at a time. */
    struct loop_timer trim;
    struct retention *retention;
    size_t retention_count;
    bool tidying;
    struct buf tidy_set;
    struct store_commit tidy_commit;
};

/* Dead letters that somebody wants to be tried or dropped. */
struct dead_task {
    struct consumers_part *part;
    consumers_done_fn done;
    void *ctx;
    bool drop;
    struct buf offsets; /* u64 */
    uint64_t started, count;
    uint64_t unfit; /* of those started: damaged, or dropped meanwhile */
    struct buf set;
    struct store_commit commit;
    struct err err;
};

/* A cursor that somebody moves. */
struct move_task {
    uint64_t cursor;
    consumers_done_fn done;
    void *ctx;
    bool submitted;
    struct buf set;
    struct store_commit commit;
    struct consumer *consumer;
};

/* A group of a partition, and the function that it starts. */
struct consumer {
    struct list link;
    struct consumers_part *part;
    struct group group;
    struct map done; /* offsets that were done before the start, behind the cursor */
    char *function;
    uint32_t retries;
    bool subscribed; /* by the version that runs */
    bool unreadable; /* what comes next, and that was said */
    bool unkept; /* it is new: its cursor is not in the store yet */
    bool pumping, pump_wanted;
    struct loop_timer due; /* when the first that failed may come again */
    uint64_t known_next; /* of the channel, when it was last looked at */
    uint32_t in_flight;
    struct dead_task *redrive;
    struct move_task *moving;
    /* Under way in the tidying commit. */
    uint64_t tidy_cursor;
    uint32_t tidy_rows;
    bool tidy_noted;
    uint64_t delivered, failed, dead, lost;
};

struct group_message *consumer_message(struct list *link);
void consumer_pump(struct consumer *consumer);
void consumer_on_due(struct loop_timer *timer, void *ctx);
void consumer_free(struct consumer *consumer);
/* Its cursor or its done rows are to be noted or tidied up. */
bool consumer_unnoted(const struct consumer *consumer);

/* consumers_tidy.c */
void consumers_tidy_init(struct consumers_part *part);
void consumers_tidy_stop(struct consumers_part *part);
void consumers_tidy_fini(struct consumers_part *part);
/* Notes cursors and deletes done rows that are of no use any more. */
void consumers_tidy(struct consumers_part *part);

/* How long the channels of the version keep their messages. */
void consumers_keep(struct consumers_part *part, const struct manifest *manifest);

/* consumers_setup.c: of a subscription of the version that runs; NULL and words when there is none. */
struct consumer *consumers_find(struct consumers_part *part, struct slice channel, struct slice group,
                                struct err *err);

/* consumers_tasks.c: commits a move when nothing of the group is under way. */
void consumers_move_step(struct consumer *consumer);
