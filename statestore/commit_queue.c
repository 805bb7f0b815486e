/* commit_queue.c - first come, first in the batch. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/commit_queue.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"

void commit_queue_init(struct commit_queue *queue)
{
    list_init(&queue->waiting);
    list_init(&queue->spare);
    queue->batches = 0;
}

void commit_queue_fini(struct commit_queue *queue)
{
    CHECK(list_empty(&queue->waiting));
    LIST_FOREACH(link, &queue->spare) free(CONTAINER_OF(link, struct batch, link));
}

void commit_queue_push(struct commit_queue *queue, struct list *commits)
{
    list_splice_back(&queue->waiting, commits);
}

size_t commit_write_bytes(const struct store_commit *commit)
{
    size_t bytes = 0;
    for (int part = 0; part < STORE_COMMIT_PARTS_MAX; part++) bytes += commit->writes[part].size;
    return bytes;
}

static struct batch *batch_make(struct commit_queue *queue)
{
    struct list *spare = list_pop_front(&queue->spare);
    struct batch *batch = spare ? CONTAINER_OF(spare, struct batch, link) : mem_alloc(sizeof *batch);
    *batch = (struct batch){.number = ++queue->batches};
    list_init(&batch->link);
    list_init(&batch->commits);
    return batch;
}

struct batch *commit_queue_take(struct commit_queue *queue)
{
    if (commit_queue_empty(queue)) return NULL;
    struct batch *batch = batch_make(queue);
    size_t count = 0, bytes = 0;
    while (!list_empty(&queue->waiting) && count < BATCH_COMMITS_MAX)
    {
        struct store_commit *commit = CONTAINER_OF(queue->waiting.next, struct store_commit, link);
        size_t more = commit_write_bytes(commit);
        if (count > 0 && bytes + more > BATCH_BYTES_MAX) break;
        list_remove(&commit->link);
        list_push_back(&batch->commits, &commit->link);
        count++;
        bytes += more;
    }
    return batch;
}

void commit_queue_recycle(struct commit_queue *queue, struct batch *batch)
{
    CHECK(list_empty(&batch->commits));
    list_push_back(&queue->spare, &batch->link);
}
