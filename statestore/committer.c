/* committer.c - the threads that turn submissions into group commits: validate, log, apply, publish, sync. */
// SPDX-License-Identifier: Apache-2.0
//
// One batch after the other is decided, logged and applied by the thread that holds `committing`. It then publishes the
// batch, lets the other thread go on with the next one, and waits for the disk itself. So nobody is woken between
// applying and syncing, and the next batch is applied while the one before syncs. One sync serves all that was logged
// before it began.
#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "statestore/apply.h"
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
static void decide_all(struct store *store, struct batch *batch, uint64_t applied_seq)
{
    struct committer *committer = &store->committer;
    validate_prune(&committer->validate, pins_oldest(&store->pins));
    committer->seq = applied_seq;
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

static enum status put_all(struct store *store, const struct batch *batch, struct err *err)
{
    LIST_FOREACH(link, &batch->commits)
    {
        const struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        if (commit->status != STATUS_OK) continue;
        for (int part = 0; part < STORE_COMMIT_PARTS_MAX; part++)
            TRY(apply_entries(store->kv, commit->writes[part], err));
    }
    return format_write_seq(store->kv, batch->last_seq, err);
}

static enum status append_record(struct store *store, const struct batch *batch, struct err *err)
{
    if (!store->log) return STATUS_OK;
    struct buf *record = &store->committer.record;
    log_record_begin(record);
    LIST_FOREACH(link, &batch->commits)
    {
        const struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        if (commit->status == STATUS_OK && has_writes(commit))
            log_record_add(record, commit->writes, STORE_COMMIT_PARTS_MAX);
    }
    struct log_entry entry = {
        .first_lsn = batch->first_seq,
        .count = (uint32_t)(batch->last_seq - batch->first_seq + 1),
        .wall_ms = clock_wall_ms(store->config.clock),
    };
    return store->log->ops->append(store->log, record, &entry, err);
}

/* The record is in the log but its rows could not be applied, so it must not come back at a restart. No sync may run
 * meanwhile: it would call durable what is being taken away. */
static enum status take_back_record(struct store *store, struct err *err)
{
    if (!store->log) return STATUS_OK;
    pthread_mutex_lock(&store->lock);
    while (store->syncing) pthread_cond_wait(&store->synced, &store->lock);
    store->syncing = true;
    pthread_mutex_unlock(&store->lock);
    enum status status = store->log->ops->take_back(store->log, err);
    pthread_mutex_lock(&store->lock);
    store->syncing = false;
    if (store->log_durable > store->applied_seq) store->log_durable = store->applied_seq;
    pthread_cond_broadcast(&store->synced);
    pthread_mutex_unlock(&store->lock);
    return status;
}

/* Rows first, uncommitted: most of what can fail fails before anything is logged. Then the record, then the commit of
 * the rows: the data file never shows what the log does not have. */
static enum status write_batch(struct store *store, const struct batch *batch, struct err *err)
{
    struct kv *kv = store->kv;
    TRY(checkpointer_touch(store, err));
    TRY(kv->ops->begin(kv, err));
    enum status status = put_all(store, batch, err);
    if (status == STATUS_OK) status = append_record(store, batch, err);
    if (status != STATUS_OK)
    {
        kv->ops->abort(kv);
        return status;
    }
    status = kv->ops->commit(kv, err);
    if (status == STATUS_OK) return status;
    struct err lost = ERR_INIT;
    enum status back = take_back_record(store, &lost);
    return back == STATUS_OK ? status : err_set(err, back, "%s", err_text(&lost));
}

/* Nothing of the batch was written: everybody in it is told why, and what was built on it fails too. */
static void fail_batch(struct store *store, struct batch *batch, uint64_t applied_seq, enum status status,
                       const struct err *err)
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
    batch->last_seq = applied_seq;
    validate_undo(&store->committer.validate, applied_seq);
}

static void wake_loop(struct store *store)
{
    if (store->config.wake) store->config.wake(store->config.wake_ctx);
}

void store_health_lose(struct store *store, enum status status, const struct err *err)
{
    if (status == STATUS_STORE_FULL || status == STATUS_READ_ONLY) return;
    pthread_mutex_lock(&store->lock);
    bool news = store->health == STATUS_OK;
    if (news)
    {
        store->health = status;
        (void)err_set(&store->health_err, status, "%s", err_text(err));
        pins_fall_back(&store->pins);
        pthread_cond_signal(&store->chores); /* the checkpointer marks the data file */
    }
    pthread_mutex_unlock(&store->lock);
    if (news) wake_loop(store); /* its owner asks for the store's health */
}

/* ---- one batch ---- */

/* Whoever writes to a store that takes no writes is told that, not a conflict with what was lost. */
static bool is_refused(struct batch *batch)
{
    bool any = false;
    LIST_FOREACH(link, &batch->commits)
    {
        struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        if (!has_writes(commit)) continue;
        commit->status = STATUS_OK; /* until the whole batch fails */
        any = true;
    }
    return any;
}

static void commit_batch(struct store *store, struct batch *batch, uint64_t applied_seq)
{
    decide_all(store, batch, applied_seq);
    struct err err = ERR_INIT;
    enum status status = store_health(store, &err);
    if (status == STATUS_OK ? batch->first_seq == 0 : !is_refused(batch)) return;
    if (status == STATUS_OK)
    {
        status = write_batch(store, batch, &err);
        if (status != STATUS_OK) store_health_lose(store, status, &err);
    }
    if (status != STATUS_OK)
    {
        fail_batch(store, batch, applied_seq, status, &err);
        return;
    }
    status = store->kv->ops->snapshot_open(store->kv, &store->committer.applied, &err);
    if (status != STATUS_OK)
        store_health_lose(store, status, &err); /* committed, yet nobody can read it: take no more on top */
}

static void count(struct store_stats *stats, const struct batch *batch)
{
    LIST_FOREACH(link, &batch->commits)
    {
        const struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        stats->commits += commit->status == STATUS_OK;
        stats->conflicts += commit->status == STATUS_CONFLICT;
        if (commit->status == STATUS_OK) stats->bytes_written += commit_write_bytes(commit);
    }
    stats->batches += batch->first_seq > 0;
}

/* Raises the durable horizon: what the log has synced, as far as it is applied. Without a log commits are durable at
 * once. */
static void raise_durable_locked(struct store *store)
{
    bool at_once = !store->log || (store->config.sabotage & STORE_SABOTAGE_GATE);
    uint64_t limit = at_once ? store->applied_seq : store->log_durable;
    uint64_t durable = limit < store->applied_seq ? limit : store->applied_seq;
    if (durable > store->durable_seq)
    {
        store->durable_seq = durable;
        pins_durable(&store->pins, durable);
    }
    if (store->durable_seq == store->applied_seq) store->relaxed_since_ns = 0;
}

static void publish_locked(struct store *store, struct batch *batch)
{
    count(&store->stats, batch);
    if (store->committer.applied) pins_advance(&store->pins, store->committer.applied, batch->last_seq);
    store->committer.applied = NULL;
    store->applied_seq = batch->last_seq;
    if (!store->log && batch->first_seq > 0) store->stats.syncs++;
    list_push_back(&store->published, &batch->link);
    raise_durable_locked(store);
    bool unsynced = store->durable_seq < store->applied_seq;
    if (unsynced && store->relaxed_since_ns == 0) store->relaxed_since_ns = clock_monotonic_ns(clock_real());
    if (checkpointer_wanted(store)) pthread_cond_signal(&store->chores);
}

/* ---- syncing ---- */

/* One sync of the log; the caller holds the lock and nobody else is syncing. */
static void sync_locked(struct store *store)
{
    store->syncing = true;
    pins_sync_begin(&store->pins);
    pthread_mutex_unlock(&store->lock);
    struct err err = ERR_INIT;
    uint64_t durable = 0;
    enum status status = store->log->ops->sync(store->log, &durable, &err);
    if (status != STATUS_OK) store_health_lose(store, status, &err);
    pthread_mutex_lock(&store->lock);
    store->syncing = false;
    store->stats.syncs++;
    if (status == STATUS_OK && durable > store->log_durable) store->log_durable = durable;
    raise_durable_locked(store);
    pins_sync_end(&store->pins);
    pthread_cond_broadcast(&store->synced);
    pthread_mutex_unlock(&store->lock);
    wake_loop(store);
    pthread_mutex_lock(&store->lock);
}

/* A sync that failed is never repeated: the kernel may have dropped what it could not write. */
static void sync_to_locked(struct store *store, uint64_t seq)
{
    while (store->durable_seq < seq && store->health == STATUS_OK)
    {
        if (store->syncing)
            pthread_cond_wait(&store->synced, &store->lock);
        else
            sync_locked(store);
    }
}

enum status committer_sync_to(struct store *store, uint64_t seq)
{
    pthread_mutex_lock(&store->lock);
    if (store->log) sync_to_locked(store, seq);
    enum status status = store->durable_seq >= seq ? STATUS_OK : store->health;
    pthread_mutex_unlock(&store->lock);
    return status;
}

/* ---- the threads ---- */

/* One commit alone, which succeeded and whose owner waits for the disk anyway. */
static bool is_lone(const struct batch *batch)
{
    const struct list *first = batch->commits.next;
    if (first == &batch->commits || first->next != &batch->commits) return false;
    const struct store_commit *commit = CONTAINER_OF(first, struct store_commit, link);
    return commit->status == STATUS_OK && !commit->relaxed;
}

/* The loop is told at once that a batch is applied, because others may wait for that. Only a lone commit that is synced
 * right now is told both at once: on a quiet machine the loop would wake up in the way of the sync. */
static void tell_applied_locked(struct store *store, bool with_sync)
{
    if (with_sync && !store->syncing && store->health == STATUS_OK) return;
    pthread_mutex_unlock(&store->lock);
    wake_loop(store);
    pthread_mutex_lock(&store->lock);
}

/* Takes, commits and publishes one batch, then waits for its sync when somebody wants it. */
static void turn_locked(struct store *store)
{
    store->committing = true;
    struct batch *batch = commit_queue_take(&store->queue);
    uint64_t applied_seq = store->applied_seq;
    pthread_mutex_unlock(&store->lock);
    commit_batch(store, batch, applied_seq);
    pthread_mutex_lock(&store->lock);
    bool urgent = batch->urgent;
    uint64_t seq = batch->last_seq;
    bool lone = is_lone(batch);
    publish_locked(store, batch); /* the loop's from here on */
    store->committing = false;
    if (!commit_queue_empty(&store->queue)) pthread_cond_signal(&store->work);
    tell_applied_locked(store, lone && store->durable_seq < seq);
    if (urgent) sync_to_locked(store, seq);
}

/* When the commits that nobody waits for have to be synced after all. */
static uint64_t relaxed_deadline(const struct store *store)
{
    return store->relaxed_since_ns + BOUND_RELAXED_SYNC_MS * NS_PER_MS;
}

static void wait_for_work_locked(struct store *store)
{
    if (store->relaxed_since_ns == 0 || store->syncing || store->health != STATUS_OK)
    {
        pthread_cond_wait(&store->work, &store->lock);
        return;
    }
    uint64_t deadline = relaxed_deadline(store);
    struct timespec until = {.tv_sec = (time_t)(deadline / NS_PER_S), .tv_nsec = (long)(deadline % NS_PER_S)};
    pthread_cond_timedwait(&store->work, &store->lock, &until);
}

static bool relaxed_sync_due(const struct store *store)
{
    return store->relaxed_since_ns != 0 && !store->syncing && store->health == STATUS_OK &&
           clock_monotonic_ns(clock_real()) >= relaxed_deadline(store);
}

static void *committer_run(void *argument)
{
    struct store *store = argument;
    pthread_mutex_lock(&store->lock);
    for (;;)
    {
        bool waiting = !commit_queue_empty(&store->queue);
        if (waiting && !store->committing)
            turn_locked(store);
        else if (relaxed_sync_due(store))
            sync_locked(store);
        else if (store->stopping && !waiting && !store->committing)
            break;
        else
            wait_for_work_locked(store);
    }
    if (store->log) sync_to_locked(store, store->applied_seq);
    pthread_cond_broadcast(&store->work); /* the other thread may wait for `committing` to end */
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

void committer_start(struct store *store)
{
    store->thread_count = store->log ? COMMITTER_THREADS_MAX : 1;
    for (unsigned i = 0; i < store->thread_count; i++)
    {
        int rc = pthread_create(&store->threads[i], NULL, committer_run, store);
        CHECK(rc == 0);
        pthread_setname_np(store->threads[i], "stead-commit"); /* for those who look at threads */
    }
}

void committer_stop(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->stopping = true;
    pthread_cond_broadcast(&store->work);
    pthread_mutex_unlock(&store->lock);
    for (unsigned i = 0; i < store->thread_count; i++) pthread_join(store->threads[i], NULL);
}
