/* kv_mem.c - the key-value port in memory: immutable versions that share their rows. */
// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "statestore/kv/kv.h"

struct row {
    unsigned refs; /* versions that hold it */
    struct slice key;
    struct slice value;
    uint8_t bytes[]; /* of both */
};

/* Rows ordered by key. */
struct version {
    unsigned refs;
    uint64_t txn;
    size_t count;
    size_t capacity;
    struct row **rows;
};

/* One lock for all counts: snapshots are closed on other threads than the writer's. */
struct kv_mem {
    struct kv kv;
    pthread_mutex_t lock;
    struct version *current;
    struct version *next; /* the open transaction's, or NULL */
};

struct snapshot_mem {
    struct kv_snapshot base;
    struct version *version;
};

static struct kv_mem *of(struct kv *kv)
{
    return (struct kv_mem *)kv;
}

static void row_unref(struct row *row)
{
    if (--row->refs == 0) free(row);
}

static void version_unref(struct version *version)
{
    if (--version->refs > 0) return;
    for (size_t i = 0; i < version->count; i++) row_unref(version->rows[i]);
    free(version->rows);
    free(version);
}

/* Index of the first row whose key is not below `key`. */
static size_t lower_bound(const struct version *version, struct slice key)
{
    size_t low = 0, high = version->count;
    while (low < high)
    {
        size_t middle = low + (high - low) / 2;
        if (slice_compare(version->rows[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool holds(const struct version *version, size_t place, struct slice key)
{
    return place < version->count && slice_equal(version->rows[place]->key, key);
}

static struct row *row_make(struct slice key, struct slice value)
{
    struct row *row = mem_alloc(sizeof *row + key.size + value.size);
    row->refs = 1;
    if (key.size > 0) memcpy(row->bytes, key.data, key.size);
    if (value.size > 0) memcpy(row->bytes + key.size, value.data, value.size);
    row->key = slice_make(row->bytes, key.size);
    row->value = slice_make(row->bytes + key.size, value.size);
    return row;
}

static enum status mem_begin(struct kv *kv, struct err *err)
{
    struct kv_mem *mem = of(kv);
    CHECK(!mem->next);
    struct version *next = mem_alloc(sizeof *next);
    pthread_mutex_lock(&mem->lock);
    const struct version *current = mem->current;
    *next = (struct version){.refs = 1, .txn = current->txn + 1, .count = current->count};
    next->capacity = current->count + 16;
    next->rows = mem_alloc(next->capacity * sizeof *next->rows);
    for (size_t i = 0; i < current->count; i++)
    {
        next->rows[i] = current->rows[i];
        next->rows[i]->refs++;
    }
    pthread_mutex_unlock(&mem->lock);
    mem->next = next;
    return STATUS_OK;
}

static enum status mem_remove(struct kv *kv, struct slice key, struct err *err)
{
    struct kv_mem *mem = of(kv);
    struct version *next = mem->next;
    size_t place = lower_bound(next, key);
    if (!holds(next, place, key)) return STATUS_OK;
    pthread_mutex_lock(&mem->lock);
    row_unref(next->rows[place]);
    pthread_mutex_unlock(&mem->lock);
    next->count--;
    memmove(next->rows + place, next->rows + place + 1, (next->count - place) * sizeof *next->rows);
    return STATUS_OK;
}

static enum status mem_put(struct kv *kv, struct slice key, struct slice value, struct err *err)
{
    struct version *next = of(kv)->next;
    TRY(mem_remove(kv, key, err));
    if (next->count == next->capacity)
    {
        next->capacity *= 2;
        next->rows = mem_realloc(next->rows, next->capacity * sizeof *next->rows);
    }
    size_t place = lower_bound(next, key);
    memmove(next->rows + place + 1, next->rows + place, (next->count - place) * sizeof *next->rows);
    next->rows[place] = row_make(key, value);
    next->count++;
    return STATUS_OK;
}

static enum status mem_commit(struct kv *kv, struct err *err)
{
    struct kv_mem *mem = of(kv);
    pthread_mutex_lock(&mem->lock);
    version_unref(mem->current);
    mem->current = mem->next;
    mem->next = NULL;
    pthread_mutex_unlock(&mem->lock);
    return STATUS_OK;
}

static void mem_abort(struct kv *kv)
{
    struct kv_mem *mem = of(kv);
    pthread_mutex_lock(&mem->lock);
    version_unref(mem->next);
    mem->next = NULL;
    pthread_mutex_unlock(&mem->lock);
}

static enum status mem_sync(struct kv *kv, struct err *err)
{
    return STATUS_OK;
}

static enum status mem_snapshot_open(struct kv *kv, struct kv_snapshot **snapshot, struct err *err)
{
    struct kv_mem *mem = of(kv);
    struct snapshot_mem *made = mem_zalloc(sizeof *made);
    pthread_mutex_lock(&mem->lock);
    made->version = mem->current;
    made->version->refs++;
    pthread_mutex_unlock(&mem->lock);
    made->base.kv = kv;
    made->base.txn = made->version->txn;
    *snapshot = &made->base;
    return STATUS_OK;
}

static void mem_snapshot_close(struct kv_snapshot *snapshot)
{
    struct snapshot_mem *made = (struct snapshot_mem *)snapshot;
    struct kv_mem *mem = of(snapshot->kv);
    pthread_mutex_lock(&mem->lock);
    version_unref(made->version);
    pthread_mutex_unlock(&mem->lock);
    free(made);
}

static enum status mem_get(struct kv_snapshot *snapshot, struct slice key, struct slice *value,
                           struct err *err)
{
    const struct version *version = ((struct snapshot_mem *)snapshot)->version;
    size_t place = lower_bound(version, key);
    if (!holds(version, place, key)) return err_set(err, STATUS_NOT_FOUND, "no such row");
    *value = version->rows[place]->value;
    return STATUS_OK;
}

static enum status mem_scan(struct kv_snapshot *snapshot, struct slice low, struct slice high, kv_row_fn row,
                            void *ctx, struct err *err)
{
    const struct version *version = ((struct snapshot_mem *)snapshot)->version;
    for (size_t i = lower_bound(version, low); i < version->count; i++)
    {
        const struct row *at = version->rows[i];
        if (high.size > 0 && slice_compare(at->key, high) >= 0) break;
        if (!row(ctx, at->key, at->value)) break;
    }
    return STATUS_OK;
}

static void mem_stats(struct kv *kv, struct kv_stats *stats)
{
    struct kv_mem *mem = of(kv);
    pthread_mutex_lock(&mem->lock);
    *stats = (struct kv_stats){.rows = mem->current->count};
    pthread_mutex_unlock(&mem->lock);
}

static int mem_data_fd(struct kv *kv)
{
    return -1;
}

static enum status mem_copy(struct kv_snapshot *snapshot, int fd, struct err *err)
{
    return err_set(err, STATUS_UNSUPPORTED, "a store in memory has no file to copy");
}

static void mem_close(struct kv *kv)
{
    struct kv_mem *mem = of(kv);
    CHECK(!mem->next && mem->current->refs == 1);
    version_unref(mem->current);
    pthread_mutex_destroy(&mem->lock);
    free(mem);
}

static const struct kv_ops mem_ops = {
    .begin = mem_begin,
    .put = mem_put,
    .remove = mem_remove,
    .commit = mem_commit,
    .abort = mem_abort,
    .sync = mem_sync,
    .snapshot_open = mem_snapshot_open,
    .snapshot_close = mem_snapshot_close,
    .get = mem_get,
    .scan = mem_scan,
    .stats = mem_stats,
    .data_fd = mem_data_fd,
    .copy = mem_copy,
    .close = mem_close,
};

struct kv *kv_mem_open(void)
{
    struct kv_mem *mem = mem_zalloc(sizeof *mem);
    mem->kv.ops = &mem_ops;
    pthread_mutex_init(&mem->lock, NULL);
    mem->current = mem_zalloc(sizeof *mem->current);
    mem->current->refs = 1;
    return &mem->kv;
}
