/* pin.c - the table of pinned snapshots. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/pin.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"

static struct store_snapshot *add_locked(struct pins *pins, struct kv_snapshot *kv, uint64_t seq)
{
    struct store_snapshot *made = mem_alloc(sizeof *made);
    *made = (struct store_snapshot){.pins = pins, .kv = kv, .seq = seq, .refs = 1};
    list_init(&made->link);
    list_push_back(&pins->all, &made->link);
    pins->count++;
    return made;
}

/* Gives one reference back; returns the snapshot when it was the last, to be closed outside of the lock. */
static struct store_snapshot *drop_locked(struct pins *pins, struct store_snapshot *snapshot)
{
    CHECK(snapshot->refs > 0);
    if (--snapshot->refs > 0) return NULL;
    list_remove(&snapshot->link);
    pins->count--;
    return snapshot;
}

static struct store_snapshot *hold_locked(struct store_snapshot *snapshot)
{
    snapshot->refs++;
    snapshot->holds++;
    return snapshot;
}

static struct store_snapshot *unhold_locked(struct pins *pins, struct store_snapshot *snapshot)
{
    CHECK(snapshot->holds > 0);
    snapshot->holds--;
    return drop_locked(pins, snapshot);
}

static void close_unused(struct store_snapshot *snapshot)
{
    if (!snapshot) return;
    snapshot->kv->kv->ops->snapshot_close(snapshot->kv);
    free(snapshot);
}

void pins_init(struct pins *pins, struct kv_snapshot *first, uint64_t seq)
{
    *pins = (struct pins){.count = 0};
    pthread_mutex_init(&pins->lock, NULL);
    list_init(&pins->all);
    pins->newest = add_locked(pins, first, seq);
    pins->durable = hold_locked(pins->newest);
}

void pins_fini(struct pins *pins)
{
    CHECK(!pins->sync_open);
    close_unused(unhold_locked(pins, pins->durable));
    struct store_snapshot *last = drop_locked(pins, pins->newest);
    CHECK(last && list_empty(&pins->all)); /* somebody still holds a snapshot */
    close_unused(last);
    pthread_mutex_destroy(&pins->lock);
}

void pins_advance(struct pins *pins, struct kv_snapshot *snapshot, uint64_t seq)
{
    pthread_mutex_lock(&pins->lock);
    CHECK(seq >= pins->newest->seq);
    struct store_snapshot *unused = drop_locked(pins, pins->newest);
    pins->newest = add_locked(pins, snapshot, seq);
    if (pins->sync_open && !pins->syncing[1]) pins->syncing[1] = hold_locked(pins->newest);
    pthread_mutex_unlock(&pins->lock);
    close_unused(unused);
}

/* ---- what is durable ---- */

void pins_sync_begin(struct pins *pins)
{
    pthread_mutex_lock(&pins->lock);
    CHECK(!pins->sync_open);
    pins->sync_open = true;
    pins->syncing[0] = hold_locked(pins->newest);
    pthread_mutex_unlock(&pins->lock);
}

void pins_sync_end(struct pins *pins)
{
    struct store_snapshot *unused[2] = {NULL, NULL};
    pthread_mutex_lock(&pins->lock);
    pins->sync_open = false;
    for (int i = 0; i < 2; i++)
    {
        if (pins->syncing[i]) unused[i] = unhold_locked(pins, pins->syncing[i]);
        pins->syncing[i] = NULL;
    }
    pthread_mutex_unlock(&pins->lock);
    for (int i = 0; i < 2; i++) close_unused(unused[i]);
}

void pins_durable(struct pins *pins, uint64_t seq)
{
    struct store_snapshot *unused = NULL;
    pthread_mutex_lock(&pins->lock);
    struct store_snapshot *known[3] = {pins->newest, pins->syncing[1], pins->syncing[0]}; /* newest first */
    for (int i = 0; i < 3; i++)
    {
        if (!known[i] || known[i]->seq > seq || known[i]->seq <= pins->durable->seq) continue;
        unused = unhold_locked(pins, pins->durable);
        pins->durable = hold_locked(known[i]);
        break;
    }
    pthread_mutex_unlock(&pins->lock);
    close_unused(unused);
}

void pins_fall_back(struct pins *pins)
{
    pthread_mutex_lock(&pins->lock);
    pins->fallen = true;
    pthread_mutex_unlock(&pins->lock);
}

/* ---- references ---- */

struct store_snapshot *pins_take_newest(struct pins *pins)
{
    pthread_mutex_lock(&pins->lock);
    struct store_snapshot *newest = pins->fallen ? pins->durable : pins->newest;
    newest->refs++;
    pthread_mutex_unlock(&pins->lock);
    return newest;
}

struct store_snapshot *pins_ref(struct pins *pins, struct store_snapshot *snapshot)
{
    pthread_mutex_lock(&pins->lock);
    CHECK(snapshot->refs > 0);
    snapshot->refs++;
    pthread_mutex_unlock(&pins->lock);
    return snapshot;
}

void pins_unref(struct pins *pins, struct store_snapshot *snapshot)
{
    pthread_mutex_lock(&pins->lock);
    struct store_snapshot *unused = drop_locked(pins, snapshot);
    pthread_mutex_unlock(&pins->lock);
    close_unused(unused);
}

struct store_snapshot *pins_hold_newest(struct pins *pins)
{
    pthread_mutex_lock(&pins->lock);
    struct store_snapshot *newest = hold_locked(pins->newest);
    pthread_mutex_unlock(&pins->lock);
    return newest;
}

void pins_unhold(struct pins *pins, struct store_snapshot *snapshot)
{
    pthread_mutex_lock(&pins->lock);
    struct store_snapshot *unused = unhold_locked(pins, snapshot);
    pthread_mutex_unlock(&pins->lock);
    close_unused(unused);
}

uint64_t pins_oldest(struct pins *pins)
{
    pthread_mutex_lock(&pins->lock);
    uint64_t seq = pins->newest->seq;
    LIST_FOREACH(link, &pins->all)
    {
        const struct store_snapshot *snapshot = CONTAINER_OF(link, struct store_snapshot, link);
        if (snapshot->refs == snapshot->holds) continue;
        seq = snapshot->seq;
        break;
    }
    pthread_mutex_unlock(&pins->lock);
    return seq;
}
