/* commit_queue.h - which submissions go together into one group commit. Pure: no thread, no lock, no I/O. */
// SPDX-License-Identifier: Apache-2.0
//
// A batch is whatever waits when the committer becomes free, in the order of submission, up to a bound that keeps one
// log record and one transaction in memory. Batches are recycled: in the steady state nothing is allocated.
#pragma once

#include <stdint.h>

#include "statestore/statestore.h"

enum { BATCH_COMMITS_MAX = 4096 };
#define BATCH_BYTES_MAX (64ULL << 20) /* unless a single submission is larger */

/* One group commit on its way. It belongs to the committer until it is published, then to the loop. */
struct batch {
    struct list link;
    struct list commits; /* struct store_commit.link, in order */
    uint64_t number; /* 1, 2, ... */
    uint64_t first_seq; /* of its writing commits; 0 when there is none */
    uint64_t last_seq; /* the last sequence number up to and with this batch */
    bool urgent; /* somebody waits for its sync: not all of it is relaxed */
};

struct commit_queue {
    struct list waiting; /* struct store_commit.link */
    struct list spare; /* batches to be used again */
    uint64_t batches; /* made so far */
};

void commit_queue_init(struct commit_queue *queue);
void commit_queue_fini(struct commit_queue *queue);
/* Takes all of `commits`, struct store_commit.link. */
void commit_queue_push(struct commit_queue *queue, struct list *commits);
static inline bool commit_queue_empty(const struct commit_queue *queue)
{
    return list_empty(&queue->waiting);
}
/* The next batch; NULL when nothing waits. */
struct batch *commit_queue_take(struct commit_queue *queue);
/* Gives a batch without commits back. */
void commit_queue_recycle(struct commit_queue *queue, struct batch *batch);

/* Bytes of all write sets of one submission; 0 when it only reads. */
size_t commit_write_bytes(const struct store_commit *commit);
