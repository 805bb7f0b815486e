/* store.c - opening, closing and the loop's side of a store. */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "statestore/recover.h"
#include "statestore/store_internal.h"

static_assert((int)STORE_META_BYTES == (int)KV_META_BYTES, "a snapshot's meta is the kv's");

/* ---- the directory ---- */

static enum status status_of_errno(int code)
{
    switch (code)
    {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT: /* of the parent */
    case ENOTDIR:
        return STATUS_STORE_UNWRITABLE;
    case ENOSPC:
    case EDQUOT:
        return STATUS_STORE_FULL;
    default:
        return STATUS_STORE_IO;
    }
}

/* One node at a time: an advisory lock on a file of its own, which goes away with the process. */
static enum status dir_lock(const char *dir, int *fd, struct err *err)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_errno(err, status_of_errno(errno), errno, "%s", dir);
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/store.lock", dir);
    int lock = open(buf_cstr(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    enum status status = STATUS_OK;
    if (lock < 0)
        status = err_errno(err, status_of_errno(errno), errno, "%s", buf_cstr(&path));
    else if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        status = errno == EWOULDBLOCK
                     ? err_set(err, STATUS_STORE_IN_USE, "%s is locked by another process", buf_cstr(&path))
                     : err_errno(err, STATUS_STORE_IO, errno, "lock %s", buf_cstr(&path));
    buf_fini(&path);
    if (status != STATUS_OK)
    {
        if (lock >= 0) close(lock);
        return status;
    }
    *fd = lock;
    return STATUS_OK;
}

/* ---- open, close ---- */

static enum status identity_make(struct kv *kv, struct store_identity *identity, struct err *err)
{
    *identity = (struct store_identity){.version = STORE_FORMAT_VERSION, .id = store_id_make()};
    TRY(kv->ops->begin(kv, err));
    enum status status = format_write(kv, identity, err);
    if (status != STATUS_OK)
    {
        kv->ops->abort(kv);
        return status;
    }
    return kv->ops->commit(kv, err);
}

/* Reads who this store is; a fresh one becomes somebody. `first` is the newest snapshot. */
static enum status identity_read(struct kv *kv, struct store_identity *identity, struct kv_snapshot **first,
                                 struct err *err)
{
    struct kv_snapshot *snapshot;
    TRY(kv->ops->snapshot_open(kv, &snapshot, err));
    enum status status = format_read(snapshot, identity, err);
    if (status == STATUS_NOT_FOUND)
    {
        snapshot->kv->ops->snapshot_close(snapshot);
        TRY(identity_make(kv, identity, err));
        TRY(kv->ops->snapshot_open(kv, &snapshot, err));
        status = STATUS_OK;
    }
    if (status != STATUS_OK)
    {
        snapshot->kv->ops->snapshot_close(snapshot);
        return status;
    }
    *first = snapshot;
    return STATUS_OK;
}

/* Memory that the index of recent writes may take, see validate.h. */
#define VALIDATE_BYTES_MAX (128 * MIB)

/* Condition variables here wait for times of the monotonic clock. */
static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

static struct store *store_make(const struct store_config *config, const struct store_identity *identity,
                                struct kv *kv, struct log *log, struct kv_snapshot *first)
{
    struct store *made = mem_zalloc(sizeof *made);
    made->config = *config;
    made->config.dir = made->config.boot_id = NULL; /* borrowed for the call */
    made->boot = config->boot_id ? boot_id_from_text(config->boot_id) : boot_id_current();
    made->dir_lock = -1;
    made->checkpointer.fd = -1;
    made->identity = *identity;
    made->kv = kv;
    made->log = log;
    pins_init(&made->pins, first, identity->seq);
    validate_init(&made->committer.validate, identity->seq, VALIDATE_BYTES_MAX);
    pthread_mutex_init(&made->lock, NULL);
    pthread_mutex_init(&made->checkpoint_lock, NULL);
    cond_init(&made->work);
    cond_init(&made->synced);
    cond_init(&made->chores);
    commit_queue_init(&made->queue);
    list_init(&made->published);
    list_init(&made->awaiting);
    list_init(&made->waiters);
    list_init(&made->corked);
    list_init(&made->feeds);
    made->applied_seq = made->durable_seq = made->log_durable = identity->seq;
    return made;
}

/* Frees what has no thread any more. */
static void store_free(struct store *store)
{
    checkpointer_close(store);
    commit_queue_fini(&store->queue);
    validate_fini(&store->committer.validate);
    buf_fini(&store->committer.record);
    pins_fini(&store->pins);
    if (store->log) store->log->ops->close(store->log);
    store->kv->ops->close(store->kv);
    pthread_cond_destroy(&store->work);
    pthread_cond_destroy(&store->synced);
    pthread_cond_destroy(&store->chores);
    pthread_mutex_destroy(&store->checkpoint_lock);
    pthread_mutex_destroy(&store->lock);
    if (store->dir_lock >= 0) close(store->dir_lock);
    free(store);
}

enum status store_open_ports(struct store **store, const struct store_config *config, struct kv *kv,
                             struct log *log, struct err *err)
{
    struct store_identity identity;
    struct kv_snapshot *first;
    enum status status = identity_read(kv, &identity, &first, err);
    if (status != STATUS_OK)
    {
        if (log) log->ops->close(log);
        kv->ops->close(kv);
        return status;
    }
    *store = store_make(config, &identity, kv, log, first);
    committer_start(*store);
    return STATUS_OK;
}

/* The data file alone, each batch synced in it. */
static enum status open_sync(struct store **store, const struct store_config *config, struct err *err)
{
    struct kv_config kv_config = {
        .dir = config->dir,
        .map_bytes = config->map_bytes ? config->map_bytes : BOUND_MAP_BYTES,
        .sync = true,
    };
    struct kv *kv;
    TRY(kv_lmdb_open(&kv, &kv_config, err));
    if (config->fault) kv = kv_fault_open(kv, config->fault);
    return store_open_ports(store, config, kv, NULL, err);
}

static enum status open_log(struct store **store, const struct store_config *config, struct err *err)
{
    struct recovered recovered;
    TRY(recover(config, &recovered, err));
    struct kv_snapshot *first;
    enum status status = recovered.kv->ops->snapshot_open(recovered.kv, &first, err);
    if (status != STATUS_OK)
    {
        recovered_close(&recovered);
        return status;
    }
    struct store *made = store_make(config, &recovered.identity, recovered.kv, recovered.log, first);
    made->stats.replayed = recovered.replayed;
    status = checkpointer_open(made, &recovered.checkpoint, recovered.checkpoint_fd, err);
    if (status != STATUS_OK)
    {
        store_free(made);
        return status;
    }
    committer_start(made);
    checkpointer_start(made);
    *store = made;
    return STATUS_OK;
}

enum status store_open(struct store **store, const struct store_config *config, struct err *err)
{
    int lock = -1;
    enum status status = dir_lock(config->dir, &lock, err);
    if (status == STATUS_OK)
    {
        status =
            config->mode == STORE_MODE_SYNC ? open_sync(store, config, err) : open_log(store, config, err);
        if (status == STATUS_OK)
            (*store)->dir_lock = lock;
        else
            close(lock);
    }
    return status == STATUS_OK ? status : err_wrap(err, status, "open store %s", config->dir);
}

void store_close(struct store *store)
{
    if (!store) return;
    store_push(store);
    committer_stop(store);
    store_reap(store);
    CHECK(list_empty(&store->awaiting) && list_empty(&store->waiters) && list_empty(&store->feeds));
    checkpointer_stop(store);
    store_free(store);
}

/* ---- submissions and their callbacks ---- */

void store_submit(struct store *store, struct store_commit *commit)
{
    commit->status = STATUS_OK;
    commit->err = ERR_INIT;
    commit->told = store->reaped_batch;
    list_init(&commit->link);
    list_push_back(&store->corked, &commit->link);
    if (!store->config.corked) store_push(store);
}

void store_push(struct store *store)
{
    if (list_empty(&store->corked)) return;
    pthread_mutex_lock(&store->lock);
    CHECK(!store->stopping);
    commit_queue_push(&store->queue, &store->corked);
    pthread_mutex_unlock(&store->lock);
    pthread_cond_signal(&store->work); /* without the lock, which the woken thread wants at once */
}

/* What the committer has published since the last time. */
struct news {
    struct list batches;
    uint64_t durable_seq;
    enum status health;
};

static void news_take(struct store *store, struct news *news)
{
    list_init(&news->batches);
    pthread_mutex_lock(&store->lock);
    list_splice_back(&news->batches, &store->published);
    news->durable_seq = store->durable_seq;
    news->health = store->health;
    pthread_mutex_unlock(&store->lock);
}

/* `applied` for each; who failed is done with. */
static void tell_applied(struct store *store, struct batch *batch)
{
    LIST_FOREACH(link, &batch->commits)
    {
        struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        if (commit->status != STATUS_OK) list_remove(&commit->link);
        commit->applied(commit);
    }
    store->reaped_batch = batch->number;
}

static void tell_durable(struct batch *batch, enum status status, const struct err *why)
{
    struct list *link;
    while ((link = list_pop_front(&batch->commits)))
    {
        struct store_commit *commit = CONTAINER_OF(link, struct store_commit, link);
        commit->status = status;
        if (status != STATUS_OK) (void)err_set(&commit->err, status, "%s", err_text(why));
        commit->durable(commit);
    }
}

/* Batches become durable in order, and all the later ones are lost with the first that is. */
static void tell_all_durable(struct store *store, const struct news *news)
{
    while (!list_empty(&store->awaiting))
    {
        struct batch *batch = CONTAINER_OF(store->awaiting.next, struct batch, link);
        bool durable = batch->last_seq <= news->durable_seq;
        if (!durable && news->health == STATUS_OK) return;
        tell_durable(batch, durable ? STATUS_OK : news->health, &store->health_err);
        list_remove(&batch->link);
        pthread_mutex_lock(&store->lock);
        commit_queue_recycle(&store->queue, batch);
        pthread_mutex_unlock(&store->lock);
    }
}

static void tell_waiters(struct store *store, const struct news *news)
{
    while (!list_empty(&store->waiters))
    {
        struct store_waiter *waiter = CONTAINER_OF(store->waiters.next, struct store_waiter, link);
        bool durable = waiter->seq <= news->durable_seq;
        if (!durable && news->health == STATUS_OK) return;
        list_remove(&waiter->link);
        waiter->status = durable ? STATUS_OK : news->health;
        waiter->durable(waiter);
    }
}

void store_reap(struct store *store)
{
    CHECK(!store->reaping); /* callbacks must not come back here */
    store->reaping = true;
    struct news news;
    news_take(store, &news);
    struct list *link;
    while ((link = list_pop_front(&news.batches)))
    {
        tell_applied(store, CONTAINER_OF(link, struct batch, link));
        list_push_back(&store->awaiting, link);
    }
    tell_all_durable(store, &news);
    tell_waiters(store, &news);
    feeds_tell(store, news.durable_seq);
    store->reaping = false;
}

uint64_t store_applied_seq(const struct store *store)
{
    struct store *locked = (struct store *)store;
    pthread_mutex_lock(&locked->lock);
    uint64_t seq = store->applied_seq;
    pthread_mutex_unlock(&locked->lock);
    return seq;
}

uint64_t store_durable_seq(const struct store *store)
{
    struct store *locked = (struct store *)store;
    pthread_mutex_lock(&locked->lock);
    uint64_t seq = store->durable_seq;
    pthread_mutex_unlock(&locked->lock);
    return seq;
}

/* Somebody waits for what was relaxed: its time is up. */
static void hurry_locked(struct store *store)
{
    if (store->relaxed_since_ns == 0) return;
    store->relaxed_since_ns = 1;
    pthread_cond_broadcast(&store->work);
}

bool store_wait_durable(struct store *store, struct store_waiter *waiter)
{
    waiter->status = STATUS_OK;
    pthread_mutex_lock(&store->lock);
    bool durable = waiter->seq <= store->durable_seq;
    bool ill = store->health != STATUS_OK;
    if (!durable && !ill) hurry_locked(store);
    pthread_mutex_unlock(&store->lock);
    if (durable) return true;
    if (ill && store->config.wake) store->config.wake(store->config.wake_ctx); /* nothing else will */
    struct list *after = store->waiters.prev;
    while (after != &store->waiters && CONTAINER_OF(after, struct store_waiter, link)->seq > waiter->seq)
        after = after->prev;
    list_init(&waiter->link);
    list_push_front(after, &waiter->link);
    return false;
}

/* ---- snapshots ---- */

struct store_snapshot *store_snapshot_take(struct store *store)
{
    return pins_take_newest(&store->pins);
}

struct store_snapshot *store_snapshot_ref(struct store_snapshot *snapshot)
{
    return pins_ref(snapshot->pins, snapshot);
}

void store_snapshot_release(struct store *store, struct store_snapshot *snapshot)
{
    pins_unref(&store->pins, snapshot);
}

uint64_t store_snapshot_seq(const struct store_snapshot *snapshot)
{
    return snapshot->seq;
}

uint64_t store_snapshot_txn(const struct store_snapshot *snapshot)
{
    return snapshot->kv->txn;
}

struct slice store_snapshot_meta(const struct store_snapshot *snapshot)
{
    return slice_make(snapshot->kv->meta, STORE_META_BYTES);
}

int store_data_fd(const struct store *store)
{
    return store->kv->ops->data_fd(store->kv);
}

enum status store_get(struct store_snapshot *snapshot, struct slice key, struct slice *value, struct err *err)
{
    return snapshot->kv->kv->ops->get(snapshot->kv, key, value, err);
}

enum status store_scan(struct store_snapshot *snapshot, struct slice low, struct slice high, store_row_fn row,
                       void *ctx, struct err *err)
{
    return snapshot->kv->kv->ops->scan(snapshot->kv, low, high, row, ctx, err);
}

/* ---- figures ---- */

void store_stats(const struct store *store, struct store_stats *stats)
{
    struct store *locked = (struct store *)store;
    pthread_mutex_lock(&locked->lock);
    *stats = store->stats;
    pthread_mutex_unlock(&locked->lock);
    struct kv_stats kv;
    store->kv->ops->stats(store->kv, &kv);
    stats->rows = kv.rows;
    stats->data_bytes = kv.data_bytes;
    if (!store->log) return;
    struct log_stats log;
    store->log->ops->stats(store->log, &log);
    stats->log_bytes = log.bytes;
    stats->log_first = log.first_lsn;
}

uint64_t store_used_bytes(const struct store *store)
{
    struct kv_stats kv;
    store->kv->ops->stats(store->kv, &kv);
    return kv.used_bytes;
}

enum status store_health(const struct store *store, struct err *err)
{
    struct store *locked = (struct store *)store;
    pthread_mutex_lock(&locked->lock);
    enum status status = store->health == STATUS_OK ? STATUS_OK : STATUS_READ_ONLY;
    if (status != STATUS_OK)
        (void)err_set(err, status, "the store takes no writes since: %s", err_text(&store->health_err));
    pthread_mutex_unlock(&locked->lock);
    return status;
}
