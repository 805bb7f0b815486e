/* committer.c - the thread that turns submissions into group commits: validate, write, publish. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/check.h"
#include "statestore/kv/write_set.h"
#include "statestore/store_internal.h"

/* ---- deciding: which submissions of the batch commit, and as what ---- */

static bool has_writes(const struct store_commit *commit)
{
    return commit_write_bytes(commit) > 0;
}

static enum status decide(struct store *store, const struct batch *batch, struct store_commit *commit)
{
    struct committer *committer = &store->committer;
    validate_chain_forget(&committer->validate, commit->told);
    if (store->config.unchecked) return STATUS_OK;
    if (validate_chain_failed(&committer->validate, commit->chain)) return STATUS_CONFLICT;
    if (validate_reads(&committer->validate, commit->reads, commit->snapshot, commit->chain))
        return STATUS_OK;
    validate_chain_fail(&committer->validate, commit->chain, batch->number);
    return STATUS_CONFLICT;
}

/* Gives every submission its status and every writing one its number; later ones are checked against earlier ones of
 * the same batch. */
static void decide_all(struct store *store, struct batch *batch)
{
    struct committer *committer = &store->committer;
    validate_prune(&committer->validate, pins_oldest(&store->pins));
    committer->seq = store->applied_seq;
    LIST_FOREACH(link, &batch->commits)
    {
        struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        commit->status = decide(store, batch, commit);
        if (commit->status != STATUS_OK)
        {
            (void)err_set(&commit->err, STATUS_CONFLICT, "something that was read has changed since");
            continue;
        }
        if (!commit->relaxed) batch->urgent = true;
        if (has_writes(commit))
        {
            committer->seq++;
            if (batch->first_seq == 0) batch->first_seq = committer->seq;
            for (int part = 0; part < STORE_COMMIT_PARTS_MAX; part++)
                validate_note(&committer->validate, commit->writes[part], committer->seq, commit->chain);
        }
        commit->seq = committer->seq;
    }
    batch->last_seq = committer->seq;
}

/* ---- writing ---- */

static enum status put_set(struct kv *kv, struct slice writes, struct err *err)
{
    struct write_entry entry;
    size_t offset = 0;
    while (write_set_next(writes, &offset, &entry))
    {
        if (entry.op == WRITE_PUT)
            TRY(kv->ops->put(kv, entry.key, entry.value, err));
        else
            TRY(kv->ops->remove(kv, entry.key, err));
    }
    return STATUS_OK;
}

static enum status put_all(struct store *store, const struct batch *batch, struct err *err)
{
    LIST_FOREACH(link, &batch->commits)
    {
        const struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        if (commit->status != STATUS_OK) continue;
        for (int part = 0; part < STORE_COMMIT_PARTS_MAX; part++)
            TRY(put_set(store->kv, commit->writes[part], err));
    }
    return format_write_seq(store->kv, batch->last_seq, err);
}

/* One transaction for the batch, durable when it returns. */
static enum status write_batch(struct store *store, const struct batch *batch, struct err *err)
{
    TRY(store->kv->ops->begin(store->kv, err));
    enum status status = put_all(store, batch, err);
    if (status != STATUS_OK)
    {
        store->kv->ops->abort(store->kv);
        return status;
    }
    return store->kv->ops->commit(store->kv, err);
}

/* Nothing of the batch was written: everybody in it is told why, and what was built on it fails too. */
static void fail_batch(struct store *store, struct batch *batch, enum status status, const struct err *err)
{
    LIST_FOREACH(link, &batch->commits)
    {
        struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        if (commit->status != STATUS_OK) continue;
        commit->status = status;
        (void)err_set(&commit->err, status, "%s", err_text(err));
        validate_chain_fail(&store->committer.validate, commit->chain, batch->number);
    }
    batch->first_seq = 0;
    batch->last_seq = store->applied_seq;
    validate_undo(&store->committer.validate, store->applied_seq);
}

/* After any failure but a full disk nothing more is written: what the disk holds is not certain any more. */
static void health_lose(struct store *store, enum status status, const struct err *err)
{
    if (status == STATUS_STORE_FULL) return;
    pthread_mutex_lock(&store->lock);
    if (store->health == STATUS_OK)
    {
        store->health = status;
        (void)err_set(&store->health_err, status, "%s", err_text(err));
    }
    pthread_mutex_unlock(&store->lock);
}

/* ---- the thread ---- */

static enum status refuse_when_ill(struct store *store, struct err *err)
{
    pthread_mutex_lock(&store->lock);
    enum status status = store->health == STATUS_OK ? STATUS_OK : STATUS_READ_ONLY;
    if (status != STATUS_OK)
        (void)err_set(err, status, "the store takes no writes since: %s", err_text(&store->health_err));
    pthread_mutex_unlock(&store->lock);
    return status;
}

static void commit_batch(struct store *store, struct batch *batch)
{
    decide_all(store, batch);
    if (batch->first_seq == 0) return;
    struct err err = ERR_INIT;
    enum status status = refuse_when_ill(store, &err);
    if (status == STATUS_OK)
    {
        status = write_batch(store, batch, &err);
        if (status != STATUS_OK) health_lose(store, status, &err);
    }
    if (status != STATUS_OK)
    {
        fail_batch(store, batch, status, &err);
        return;
    }
    struct kv_snapshot *snapshot;
    status = store->kv->ops->snapshot_open(store->kv, &snapshot, &err);
    if (status == STATUS_OK)
        pins_advance(&store->pins, snapshot, batch->last_seq);
    else
        health_lose(store, status, &err); /* committed, yet nobody can read it: take no more on top */
}

static void count(struct store *store, const struct batch *batch)
{
    struct store_stats *stats = &store->stats;
    LIST_FOREACH(link, &batch->commits)
    {
        const struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        stats->commits += commit->status == STATUS_OK;
        stats->conflicts += commit->status == STATUS_CONFLICT;
        if (commit->status == STATUS_OK) stats->bytes_written += commit_write_bytes(commit);
    }
    if (batch->first_seq == 0) return;
    stats->batches++;
    stats->syncs++;
}

static void *committer_run(void *argument)
{
    struct store *store = argument;
    pthread_mutex_lock(&store->lock);
    for (;;)
    {
        struct batch *batch = commit_queue_take(&store->queue);
        if (!batch)
        {
            if (store->stopping) break;
            pthread_cond_wait(&store->work, &store->lock);
            continue;
        }
        pthread_mutex_unlock(&store->lock);
        commit_batch(store, batch);
        pthread_mutex_lock(&store->lock);
        count(store, batch);
        store->applied_seq = store->durable_seq = batch->last_seq;
        list_push_back(&store->published, &batch->link);
        pthread_mutex_unlock(&store->lock);
        if (store->config.wake) store->config.wake(store->config.wake_ctx);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

void committer_start(struct store *store)
{
    int rc = pthread_create(&store->thread, NULL, committer_run, store);
    CHECK(rc == 0);
}

void committer_stop(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->stopping = true;
    pthread_cond_broadcast(&store->work);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
}
