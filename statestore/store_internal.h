/* store_internal.h - the parts of an open store; for the files of this folder only. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include "statestore/commit_queue.h"
#include "statestore/format.h"
#include "statestore/pin.h"
#include "statestore/statestore.h"
#include "statestore/validate.h"

/* What the committer needs and nobody else touches, except while no committer thread runs. */
struct committer {
    struct validate validate;
    uint64_t seq; /* last sequence number given to a commit of the batch at work */
};

struct store {
    struct store_config config;
    struct store_identity identity; /* seq: as it was at open */
    int dir_lock; /* descriptor that holds the directory's lock, -1 without a directory */
    struct kv *kv;
    struct pins pins;
    struct committer committer;
    pthread_t thread;

    pthread_mutex_t lock; /* guards all up to the next comment */
    pthread_cond_t work; /* signalled when something was submitted, or `stopping` */
    bool stopping;
    struct commit_queue queue;
    struct list published; /* batches on their way to the loop, struct batch.link */
    uint64_t applied_seq;
    uint64_t durable_seq;
    enum status health; /* OK, or why nothing is written any more */
    struct err health_err;
    struct store_stats stats; /* without rows and sizes */

    /* The loop's alone. */
    struct list awaiting; /* batches whose `applied` ran, struct batch.link */
    struct list waiters; /* struct store_waiter.link, by seq */
    uint64_t reaped_batch; /* number of the last batch whose `applied` ran */
    bool reaping;
};

/* Starts and stops the thread that commits. The latter after all submissions have been committed. */
void committer_start(struct store *store);
void committer_stop(struct store *store);

/* Opens a store over a key-value port of the caller's, which it takes; config->dir is not used. For tests. */
MUST_CHECK enum status store_open_kv(struct store **store, const struct store_config *config, struct kv *kv,
                                     struct err *err);
