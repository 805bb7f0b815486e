/* store_internal.h - the parts of an open store; for the files of this folder only. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include "statestore/checkpoint.h"
#include "statestore/commit_queue.h"
#include "statestore/format.h"
#include "statestore/log.h"
#include "statestore/pin.h"
#include "statestore/statestore.h"
#include "statestore/validate.h"

/* Two threads take turns: while one waits for the disk the other applies the next batch. */
enum { COMMITTER_THREADS_MAX = 2 };

/* Belongs to the thread that holds `committing`. */
struct committer {
    struct validate validate;
    uint64_t seq; /* last sequence number given to a commit of the batch at work */
    struct buf record; /* of the log */
    struct kv_snapshot *applied; /* of the batch at work, until it is published; NULL: it changed nothing */
};

/* Belongs to whoever holds `checkpoint_lock`. */
struct checkpointer {
    int fd; /* -1: a store without a log has no checkpoints */
    struct checkpoint last; /* complete */
    bool untouched; /* it is of a clean stop, and nothing was written since; the committer's */
    struct store_snapshot *pin; /* of it: its pages stay as they are until the next one is complete */
    /* When it was made, for the thread that decides about the next one. */
    _Atomic uint64_t appended_bytes; /* of the log */
    _Atomic uint64_t data_bytes;
    _Atomic uint64_t at_ns;
};

struct store {
    struct store_config config; /* without the borrowed texts */
    struct store_identity identity; /* seq: as it was at open */
    struct boot_id boot;
    int dir_lock; /* descriptor that holds the directory's lock, -1 without a directory */
    struct kv *kv;
    struct log *log; /* NULL in sync mode */
    struct pins pins;
    struct committer committer;
    pthread_t threads[COMMITTER_THREADS_MAX];
    unsigned thread_count;
    pthread_t checkpoint_thread;
    pthread_mutex_t checkpoint_lock;
    struct checkpointer checkpointer;

    pthread_mutex_t lock; /* guards all up to the next comment */
    pthread_cond_t work; /* something was submitted, or there is room for the next batch, or `stopping` */
    pthread_cond_t synced; /* `syncing` has ended */
    pthread_cond_t chores; /* the checkpointer has something to do, or `chores_stopping` */
    bool stopping;
    bool chores_stopping;
    bool committing; /* a thread is between taking a batch and publishing it */
    bool syncing; /* a thread is in a sync of the log, or keeps others out of it */
    struct commit_queue queue;
    struct list published; /* batches on their way to the loop, struct batch.link */
    uint64_t applied_seq;
    uint64_t durable_seq; /* never above applied_seq */
    uint64_t log_durable; /* may be ahead of applied_seq */
    uint64_t relaxed_since_ns; /* when the oldest batch was applied that nobody syncs; 0: none */
    enum status health; /* OK, or why nothing is written any more */
    struct err health_err;
    struct store_stats stats; /* without rows and sizes */

    /* The loop's alone. */
    struct list awaiting; /* batches whose `applied` ran, struct batch.link */
    struct list corked; /* submitted and not pushed yet, struct store_commit.link */
    struct list waiters; /* struct store_waiter.link, by seq */
    struct list feeds; /* struct store_feed.link */
    uint64_t reaped_batch; /* number of the last batch whose `applied` ran */
    bool reaping;
};

/* Starts and stops the threads that commit. The latter after all submissions have been committed and synced. */
void committer_start(struct store *store);
void committer_stop(struct store *store);
/* Waits until `seq`, which is applied, is durable. The status of the store's health when it never will be. */
enum status committer_sync_to(struct store *store, uint64_t seq);

/* Starts and stops the thread that makes checkpoints and prepares log segments; the latter leaves the clean mark. */
void checkpointer_start(struct store *store);
void checkpointer_stop(struct store *store);
/* Makes the checkpoint that every open begins with. */
MUST_CHECK enum status checkpointer_open(struct store *store, const struct checkpoint *last, int fd,
                                         struct err *err);
/* Comes before the first write to the data file, which must not look like one of a clean stop then. */
MUST_CHECK enum status checkpointer_touch(struct store *store, struct err *err);
void checkpointer_close(struct store *store);
/* True when the thread should look: asked after each batch. Call with the lock held. */
bool checkpointer_wanted(struct store *store);

/* Tells the feeds that have not seen everything up to `durable_seq`. */
void feeds_tell(struct store *store, uint64_t durable_seq);

/* After this nothing is written any more. A full disk is no reason. */
void store_health_lose(struct store *store, enum status status, const struct err *err);

/* Opens a store over ports of the caller's, which it takes also on failure; `log` may be NULL; config->dir is not
 * used. For tests. */
MUST_CHECK enum status store_open_ports(struct store **store, const struct store_config *config,
                                        struct kv *kv, struct log *log, struct err *err);
