/* metering.c - running sums per function, and the rows that keep them. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/metering.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/base/map.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

/* One function's day. */
struct running {
    struct slice function; /* owned */
    uint32_t day;
    struct meter_sums sums;
    bool dirty;
    bool told; /* by the scan under way */
    struct buf key; /* of the row; made anew each day */
};

struct metering {
    struct loop *loop;
    struct store *store;
    struct map by_function; /* struct running */
    struct loop_timer timer;
    struct store_commit commit;
    struct buf commit_set;
    bool committing;
};

static void on_flush(struct loop_timer *timer, void *ctx)
{
    metering_flush(ctx);
}

struct metering *metering_open(struct loop *loop, struct store *store)
{
    struct metering *metering = mem_zalloc(sizeof *metering);
    metering->loop = loop;
    metering->store = store;
    loop_timer_init(&metering->timer, on_flush, metering);
    return metering;
}

bool metering_busy(const struct metering *metering)
{
    return metering->committing;
}

void metering_close(struct metering *metering)
{
    CHECK(!metering->committing);
    loop_timer_stop(&metering->timer);
    struct map_entry entry;
    for (size_t place = 0; map_next(&metering->by_function, &place, &entry);)
    {
        struct running *running = entry.value;
        free((void *)running->function.data);
        buf_fini(&running->key);
        free(running);
    }
    map_fini(&metering->by_function);
    buf_fini(&metering->commit_set);
    free(metering);
}

/* The day's sums begin with what the disk has of it. */
static void running_begin(struct metering *metering, struct running *running, uint32_t day)
{
    running->day = day;
    running->sums = (struct meter_sums){{0}};
    buf_reset(&running->key);
    meter_key(&running->key, SPACE_METERS, running->function, day);
    struct store_snapshot *snapshot = store_snapshot_take(metering->store);
    struct slice value;
    if (store_get(snapshot, buf_view(&running->key), &value, NULL) == STATUS_OK &&
        !meter_decode(value, &running->sums))
        log_warn("metering.row", "function=%.*s day=%u unreadable, counting from zero",
                 SLICE_FMT(running->function), day);
    store_snapshot_release(metering->store, snapshot);
}

static struct running *running_of(struct metering *metering, struct slice function)
{
    uint32_t day = meter_day(clock_wall_ms(loop_clock(metering->loop)));
    struct running *running = map_get(&metering->by_function, function);
    if (!running)
    {
        running = mem_zalloc(sizeof *running);
        running->function = slice_make(mem_dup(function), function.size);
        map_put(&metering->by_function, function, running);
        running_begin(metering, running, day);
    }
    else if (running->day != day && !running->dirty)
    {
        running_begin(metering, running, day); /* what is dirty still belongs to the day before */
    }
    return running;
}

static void touched(struct metering *metering, struct running *running)
{
    running->dirty = true;
    if (!loop_timer_started(&metering->timer))
        loop_timer_start(metering->loop, &metering->timer, METERING_FLUSH_MS, 0);
}

void metering_add(struct metering *metering, struct slice function, const struct meter_sums *usage)
{
    struct running *running = running_of(metering, function);
    meter_add(&running->sums, usage);
    touched(metering, running);
}

void metering_subtract(struct metering *metering, struct slice function, const struct meter_sums *usage)
{
    struct running *running = running_of(metering, function);
    meter_subtract(&running->sums, usage);
    touched(metering, running);
}

static void row_append(struct running *running, struct buf *set)
{
    struct buf value = BUF_INIT;
    meter_encode(&value, &running->sums);
    write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&running->key), buf_view(&value)});
    buf_fini(&value);
    running->dirty = false;
}

void metering_write_set(struct metering *metering, struct slice function, struct buf *set)
{
    row_append(running_of(metering, function), set);
}

/* ---- rows that nothing took along ---- */

static void on_flushed(struct store_commit *commit)
{
    struct metering *metering = CONTAINER_OF(commit, struct metering, commit);
    metering->committing = false;
}

static void on_flush_applied(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_flushed(commit); /* the sums go on: the next row has them */
}

static int by_key(const void *a, const void *b)
{
    return slice_compare(buf_view(&(*(struct running *const *)a)->key),
                         buf_view(&(*(struct running *const *)b)->key));
}

void metering_flush(struct metering *metering)
{
    if (metering->committing) return;
    struct buf dirty = BUF_INIT; /* of struct running * */
    struct map_entry entry;
    for (size_t place = 0; map_next(&metering->by_function, &place, &entry);)
    {
        struct running *running = entry.value;
        if (running->dirty) buf_append(&dirty, slice_make(&running, sizeof running));
    }
    struct running **rows = (struct running **)dirty.data;
    size_t count = dirty.size / sizeof *rows;
    if (count > 0)
    {
        qsort(rows, count, sizeof *rows, by_key); /* a write set is sorted */
        buf_reset(&metering->commit_set);
        for (size_t i = 0; i < count; i++) row_append(rows[i], &metering->commit_set);
        metering->committing = true;
        metering->commit = (struct store_commit){
            .writes = {buf_view(&metering->commit_set)},
            .relaxed = true,
            .applied = on_flush_applied,
            .durable = on_flushed,
        };
        store_submit(metering->store, &metering->commit);
        store_push(metering->store);
    }
    buf_fini(&dirty);
}

/* ---- reading ---- */

struct scan {
    struct metering *metering;
    metering_row_fn row;
    void *ctx;
};

static bool on_row(void *ctx, struct slice key, struct slice value)
{
    struct scan *scan = ctx;
    struct slice function;
    uint32_t day;
    struct meter_sums sums;
    if (!meter_key_split(key, &function, &day) || !meter_decode(value, &sums)) return true;
    struct running *running = map_get(&scan->metering->by_function, function);
    bool runs = running && running->day == day;
    if (runs) running->told = true;
    scan->row(scan->ctx, function, day, runs ? &running->sums : &sums);
    return true;
}

enum status metering_scan(struct metering *metering, metering_row_fn row, void *ctx, struct err *err)
{
    struct scan scan = {metering, row, ctx};
    struct map_entry entry;
    for (size_t place = 0; map_next(&metering->by_function, &place, &entry);)
        ((struct running *)entry.value)->told = false;
    const uint8_t low = SPACE_METERS, high = SPACE_METERS + 1;
    struct store_snapshot *snapshot = store_snapshot_take(metering->store);
    enum status status = store_scan(snapshot, slice_make(&low, 1), slice_make(&high, 1), on_row, &scan, err);
    store_snapshot_release(metering->store, snapshot);
    if (status != STATUS_OK) return status;
    /* What only read has no row before the next flush. */
    for (size_t place = 0; map_next(&metering->by_function, &place, &entry);)
    {
        const struct running *running = entry.value;
        if (!running->told) row(ctx, running->function, running->day, &running->sums);
    }
    return STATUS_OK;
}
