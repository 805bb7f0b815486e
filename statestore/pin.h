/* pin.h - snapshots in use: each holds one read transaction, so that none of its pages is reused; counted. */
// SPDX-License-Identifier: Apache-2.0
//
// One pin per snapshot, shared by all invocations that read it. The newest belongs to the table as well, until a newer
// one takes its place. So does the newest that is durable, for the day when the disk fails: then it is what everybody
// reads, since what was applied after it may be lost. Every function takes the table's lock: the committer adds, the loop
// takes and releases.
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "runtime/base/list.h"
#include "statestore/kv/kv.h"

struct store_snapshot {
    struct list link; /* in the table, oldest first */
    struct pins *pins; /* the table that it is in */
    struct kv_snapshot *kv;
    uint64_t seq;
    unsigned refs;
    unsigned holds; /* refs of those who read nothing: they only keep the pages */
};

struct pins {
    pthread_mutex_t lock;
    struct list all;
    struct store_snapshot *newest; /* applied */
    struct store_snapshot *durable; /* the newest whose commits are all durable */
    /* What a sync under way may make durable: the newest when it began, and the one that came next, whose record may have
     * been in the log by then. NULL: none. */
    struct store_snapshot *syncing[2];
    bool sync_open;
    bool fallen; /* `durable` is what is read from now on */
    size_t count;
};

/* The table owns `first`, which shows `seq`. */
void pins_init(struct pins *pins, struct kv_snapshot *first, uint64_t seq);
/* Every reference must be given back. */
void pins_fini(struct pins *pins);
/* Makes `snapshot` the newest; a former newest that nobody uses is closed. */
void pins_advance(struct pins *pins, struct kv_snapshot *snapshot, uint64_t seq);
/* Around each sync of the log. */
void pins_sync_begin(struct pins *pins);
void pins_sync_end(struct pins *pins);
/* Commits up to `seq` are durable. Before pins_sync_end when a sync has made them so. */
void pins_durable(struct pins *pins, uint64_t seq);
/* What is not durable may never be: from now on nobody is given a snapshot that shows it. */
void pins_fall_back(struct pins *pins);
struct store_snapshot *pins_take_newest(struct pins *pins);
struct store_snapshot *pins_ref(struct pins *pins, struct store_snapshot *snapshot);
void pins_unref(struct pins *pins, struct store_snapshot *snapshot);
/* The newest, kept for the sake of its pages: no commit will be checked against it. */
struct store_snapshot *pins_hold_newest(struct pins *pins);
void pins_unhold(struct pins *pins, struct store_snapshot *snapshot);
/* Sequence number of the oldest snapshot that somebody reads. */
uint64_t pins_oldest(struct pins *pins);
