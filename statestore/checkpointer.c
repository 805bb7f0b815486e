/* checkpointer.c - the thread that makes checkpoints, gives log back, and prepares the next segment. */
// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint: pin the newest snapshot, wait until its log is durable, sync the data file, write the slot. From then on
// recovery begins there; the snapshot before it loses its pin, so its pages may be used again, and the log before it is
// history. A fresh pin costs nothing to take, but until the next checkpoint the data file grows by what is rewritten:
// so one is also made when the file has grown much.
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "statestore/store_internal.h"

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_real());
}

/* ---- one checkpoint ---- */

static void count_from_here(struct store *store)
{
    struct checkpointer *checkpointer = &store->checkpointer;
    struct log_stats log;
    struct kv_stats kv;
    store->log->ops->stats(store->log, &log);
    store->kv->ops->stats(store->kv, &kv);
    checkpointer->appended_bytes = log.appended_bytes;
    checkpointer->data_bytes = kv.data_bytes;
    checkpointer->at_ns = now_ns();
}

static void remember(struct store *store, const struct checkpoint *made, struct store_snapshot *pin)
{
    struct checkpointer *checkpointer = &store->checkpointer;
    if (checkpointer->pin) pins_unhold(&store->pins, checkpointer->pin);
    checkpointer->pin = pin;
    checkpointer->last = *made;
    count_from_here(store);
    pthread_mutex_lock(&store->lock);
    store->stats.checkpoints++;
    store->stats.checkpoint_seq = made->seq;
    pthread_mutex_unlock(&store->lock);
}

/* The slot for `pin`, whose pages and log are durable. Takes the reference on success. */
static enum status write_checkpoint(struct store *store, struct store_snapshot *pin, bool clean,
                                    struct err *err)
{
    struct checkpointer *checkpointer = &store->checkpointer;
    struct checkpoint next = {
        .number = checkpointer->last.number + 1,
        .clean = clean,
        .id = store->identity.id,
        .boot = store->boot,
        .seq = pin->seq,
        .wall_ms = clock_wall_ms(store->config.clock),
    };
    memcpy(next.meta, pin->kv->meta, KV_META_BYTES);
    TRY(checkpoint_file_write(checkpointer->fd, &next, err));
    store->log->ops->trim(store->log, next.seq, next.number);
    if (store->config.sabotage & STORE_SABOTAGE_PIN)
    {
        pins_unhold(&store->pins, pin);
        pin = NULL;
    }
    remember(store, &next, pin);
    return STATUS_OK;
}

static enum status checkpoint_with(struct store *store, struct store_snapshot *pin, struct err *err)
{
    enum status status = committer_sync_to(store, pin->seq);
    if (status != STATUS_OK) return store_health(store, err);
    TRY(store->kv->ops->sync(store->kv, err));
    return write_checkpoint(store, pin, false, err);
}

static enum status checkpoint_locked(struct store *store, struct err *err)
{
    TRY(store_health(store, err));
    struct store_snapshot *pin = pins_hold_newest(&store->pins);
    enum status status = STATUS_OK;
    bool news = pin->seq > store->checkpointer.last.seq;
    if (news) status = checkpoint_with(store, pin, err);
    if (!news || status != STATUS_OK) pins_unhold(&store->pins, pin);
    return status;
}

enum status store_checkpoint(struct store *store, struct err *err)
{
    if (!store->log || store->checkpointer.fd < 0) return STATUS_OK;
    pthread_mutex_lock(&store->checkpoint_lock);
    struct err local = ERR_INIT;
    enum status status = checkpoint_locked(store, &local);
    pthread_mutex_unlock(&store->checkpoint_lock);
    if (status == STATUS_OK) return status;
    store_health_lose(store, status, &local);
    return err_set(err, status, "%s", err_text(&local));
}

/* ---- the first and the last ---- */

enum status checkpointer_open(struct store *store, const struct checkpoint *last, int fd, struct err *err)
{
    store->checkpointer.fd = fd;
    store->checkpointer.last = *last;
    struct store_snapshot *pin = pins_hold_newest(&store->pins);
    if (last->clean && last->seq == pin->seq)
    {
        store->checkpointer.untouched = true;
        store->checkpointer.pin = pin;
        count_from_here(store);
        return STATUS_OK;
    }
    enum status status = write_checkpoint(store, pin, false, err);
    if (status != STATUS_OK) pins_unhold(&store->pins, pin);
    return status;
}

enum status checkpointer_touch(struct store *store, struct err *err)
{
    if (!store->checkpointer.untouched) return STATUS_OK;
    pthread_mutex_lock(&store->checkpoint_lock);
    struct store_snapshot *pin = pins_hold_newest(&store->pins);
    enum status status = write_checkpoint(store, pin, false, err);
    if (status == STATUS_OK)
        store->checkpointer.untouched = false;
    else
        pins_unhold(&store->pins, pin);
    pthread_mutex_unlock(&store->checkpoint_lock);
    return status;
}

/* A sync has failed: what the page cache shows may not be on disk, also for the next process of this boot. A slot
 * without a boot sends it back to the last good snapshot, from where the log is applied and written anew. */
static void mark_untrusted(struct store *store)
{
    struct checkpoint distrust = store->checkpointer.last;
    distrust.number++;
    distrust.boot = (struct boot_id){{0}};
    enum status status = checkpoint_file_write(store->checkpointer.fd, &distrust, NULL);
    if (status == STATUS_OK)
        store->checkpointer.last = distrust; /* else the disk fails: this was the best to do */
}

/* Everything is applied and, when the store is well, durable in the log. */
static void leave_clean_mark(struct store *store)
{
    struct err err = ERR_INIT;
    enum status status = store_health(store, &err);
    bool well = status == STATUS_OK;
    if (well && store->checkpointer.untouched) return; /* it is there from last time */
    struct store_snapshot *pin = pins_hold_newest(&store->pins);
    if (well) status = store->kv->ops->sync(store->kv, &err);
    if (status == STATUS_OK) status = write_checkpoint(store, pin, true, &err);
    if (status == STATUS_OK) return;
    pins_unhold(&store->pins, pin);
    if (well) mark_untrusted(store); /* otherwise it has been marked when it fell ill */
}

void checkpointer_close(struct store *store)
{
    struct checkpointer *checkpointer = &store->checkpointer;
    if (checkpointer->pin) pins_unhold(&store->pins, checkpointer->pin);
    checkpointer->pin = NULL;
    if (checkpointer->fd >= 0) close(checkpointer->fd);
    checkpointer->fd = -1;
}

/* ---- when ---- */

static uint64_t due_ns(const struct store *store)
{
    uint64_t ms = store->config.checkpoint_ms ? store->config.checkpoint_ms : BOUND_CHECKPOINT_MS;
    return store->checkpointer.at_ns + ms * NS_PER_MS;
}

static bool due_by_bytes(const struct store *store)
{
    uint64_t limit = store->config.checkpoint_bytes ? store->config.checkpoint_bytes : BOUND_CHECKPOINT_BYTES;
    struct log_stats log;
    struct kv_stats kv;
    store->log->ops->stats(store->log, &log);
    store->kv->ops->stats(store->kv, &kv);
    return log.appended_bytes - store->checkpointer.appended_bytes >= limit ||
           (kv.data_bytes > store->checkpointer.data_bytes &&
            kv.data_bytes - store->checkpointer.data_bytes >= limit);
}

bool checkpointer_wanted(struct store *store)
{
    enum { BATCHES_BETWEEN_LOOKS = 4 }; /* looking costs a system call */
    if (store->checkpointer.fd < 0 || store->stats.batches % BATCHES_BETWEEN_LOOKS != 0) return false;
    return store->log->ops->wants_prepare(store->log) || due_by_bytes(store);
}

static void wait_locked(struct store *store)
{
    uint64_t deadline = due_ns(store);
    struct timespec until = {.tv_sec = (time_t)(deadline / NS_PER_S), .tv_nsec = (long)(deadline % NS_PER_S)};
    pthread_cond_timedwait(&store->chores, &store->lock, &until);
}

static bool is_ill(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    bool ill = store->health != STATUS_OK;
    pthread_mutex_unlock(&store->lock);
    return ill;
}

static void do_chores(struct store *store)
{
    struct err err = ERR_INIT;
    enum status status = STATUS_OK;
    if (store->log->ops->wants_prepare(store->log)) status = store->log->ops->prepare(store->log, &err);
    (void)status; /* no room ahead is no fault yet: the writer will say so when it gets there */
    bool by_time = now_ns() >= due_ns(store);
    if (!by_time && !due_by_bytes(store)) return;
    status = store_checkpoint(store, &err);
    (void)status; /* a failure is kept in the store's health */
    if (by_time) store->checkpointer.at_ns = now_ns(); /* also when there was nothing to do */
}

static void *checkpointer_run(void *argument)
{
    struct store *store = argument;
    pthread_mutex_lock(&store->lock);
    while (!store->chores_stopping && store->health == STATUS_OK)
    {
        wait_locked(store);
        if (store->chores_stopping) break;
        pthread_mutex_unlock(&store->lock);
        do_chores(store);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    if (is_ill(store)) mark_untrusted(store);
    return NULL;
}

void checkpointer_start(struct store *store)
{
    if (store->checkpointer.fd < 0) return;
    int rc = pthread_create(&store->checkpoint_thread, NULL, checkpointer_run, store);
    CHECK(rc == 0);
    pthread_setname_np(store->checkpoint_thread, "stead-chkpt"); /* for those who look at threads */
}

void checkpointer_stop(struct store *store)
{
    if (store->checkpointer.fd < 0) return;
    pthread_mutex_lock(&store->lock);
    store->chores_stopping = true;
    pthread_cond_signal(&store->chores);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->checkpoint_thread, NULL);
    leave_clean_mark(store);
}
