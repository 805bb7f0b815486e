/* kv_fault.c - a key-value port that fails when a test tells it to. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "statestore/kv/kv.h"

/* Takes one from the counter unless it is used up. */
static bool take_one(_Atomic unsigned *counter)
{
    unsigned left = atomic_load(counter);
    while (left > 0)
        if (atomic_compare_exchange_weak(counter, &left, left - 1)) return true;
    return false;
}

bool store_fault_hits(struct store_fault *fault, enum store_fault_point point)
{
    if (!fault || !(atomic_load(&fault->mask) & point)) return false;
    if (take_one(&fault->skip) || !take_one(&fault->count)) return false;
    atomic_fetch_add(&fault->hits, 1);
    return true;
}

/* Snapshots are the inner kv's own: they lead to its functions by themselves. */
struct kv_fault {
    struct kv kv;
    struct kv *inner;
    struct store_fault *fault;
};

static struct kv_fault *of(struct kv *kv)
{
    return (struct kv_fault *)kv;
}

static enum status injected(struct kv_fault *fault, const char *what, struct err *err)
{
    return err_set(err, fault->fault->status, "%s: injected fault", what);
}

static enum status fault_begin(struct kv *kv, struct err *err)
{
    return of(kv)->inner->ops->begin(of(kv)->inner, err);
}

static enum status fault_put(struct kv *kv, struct slice key, struct slice value, struct err *err)
{
    return of(kv)->inner->ops->put(of(kv)->inner, key, value, err);
}

static enum status fault_remove(struct kv *kv, struct slice key, struct err *err)
{
    return of(kv)->inner->ops->remove(of(kv)->inner, key, err);
}

/* A commit that fails is not visible, in whatever way it fails: there is no `after` for it. */
static enum status fault_commit(struct kv *kv, struct err *err)
{
    struct kv_fault *self = of(kv);
    if (!store_fault_hits(self->fault, STORE_FAULT_COMMIT)) return self->inner->ops->commit(self->inner, err);
    self->inner->ops->abort(self->inner);
    return injected(self, "commit", err);
}

static void fault_abort(struct kv *kv)
{
    of(kv)->inner->ops->abort(of(kv)->inner);
}

static enum status fault_sync(struct kv *kv, struct err *err)
{
    struct kv_fault *self = of(kv);
    bool hit = store_fault_hits(self->fault, STORE_FAULT_SYNC);
    if (!hit || self->fault->after) TRY(self->inner->ops->sync(self->inner, err));
    return hit ? injected(self, "sync", err) : STATUS_OK;
}

static enum status fault_snapshot_open(struct kv *kv, struct kv_snapshot **snapshot, struct err *err)
{
    return of(kv)->inner->ops->snapshot_open(of(kv)->inner, snapshot, err);
}

static void fault_stats(struct kv *kv, struct kv_stats *stats)
{
    of(kv)->inner->ops->stats(of(kv)->inner, stats);
}

static int fault_data_fd(struct kv *kv)
{
    return of(kv)->inner->ops->data_fd(of(kv)->inner);
}

static void fault_close(struct kv *kv)
{
    of(kv)->inner->ops->close(of(kv)->inner);
    free(kv);
}

static const struct kv_ops fault_ops = {
    .begin = fault_begin,
    .put = fault_put,
    .remove = fault_remove,
    .commit = fault_commit,
    .abort = fault_abort,
    .sync = fault_sync,
    .snapshot_open = fault_snapshot_open,
    .stats = fault_stats,
    .data_fd = fault_data_fd,
    .close = fault_close,
};

struct kv *kv_fault_open(struct kv *inner, struct store_fault *fault)
{
    struct kv_fault *made = mem_alloc(sizeof *made);
    *made = (struct kv_fault){.kv = {&fault_ops}, .inner = inner, .fault = fault};
    return &made->kv;
}
