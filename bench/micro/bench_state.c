/* bench_state.c - what rows cost inside of a function: the real SDK over the data file of a real store, 1 M rows. */
// SPDX-License-Identifier: Apache-2.0
#include <ftw.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "runtime/base/check.h"
#include "runtime/base/prng.h"
#include "sdk/src/ctx.h"
#include "sdk/src/snapshot_lmdb.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "statestore/statestore.h"

enum {
    ENTITIES = 1000,
    ROWS_PER_ENTITY = 1000,
    ROWS = ENTITIES * ROWS_PER_ENTITY,
    ROWS_PER_COMMIT = 100000,
    VALUE_BYTES = 100,
    HOT_ROWS = 100,
    OPERATIONS = 100, /* of one invocation, so that its own cost does not count */
    SCAN_ROWS = 1000,
};

struct bench {
    char dir[64];
    sem_t wake;
    struct store *store;
    struct store_snapshot *snapshot;
    struct stead__snapshot *rows;
    struct stead_ctx ctx;
    struct wire_invoke invoke;
    struct wire_result result;
    struct prng prng;
    uint64_t took_ns; /* by the operations of the last run */
    stead__handler_fn handler;
};

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_real());
}

static struct bench *bench_of(struct stead_ctx *ctx)
{
    return ctx->owner;
}

/* ---- the store ---- */

static void wake(void *ctx)
{
    CHECK(sem_post(&((struct bench *)ctx)->wake) == 0);
}

struct waiting {
    struct store_commit commit;
    bool done;
};

static void on_applied(struct store_commit *commit)
{
    CHECK(commit->status == STATUS_OK);
}

static void on_durable(struct store_commit *commit)
{
    CHECK(commit->status == STATUS_OK);
    CONTAINER_OF(commit, struct waiting, commit)->done = true;
}

static void commit(struct bench *bench, struct slice writes)
{
    struct waiting waiting = {.commit = {.writes = {writes}, .applied = on_applied, .durable = on_durable}};
    store_submit(bench->store, &waiting.commit);
    while (!waiting.done)
    {
        CHECK(sem_wait(&bench->wake) == 0);
        store_reap(bench->store);
    }
}

static void row_name(char name[16], int entity_row)
{
    snprintf(name, 16, "row/%06d", entity_row);
}

static void fill_store(struct bench *bench)
{
    static const char value[VALUE_BYTES];
    struct buf set = BUF_INIT, key = BUF_INIT;
    for (int row = 0; row < ROWS; row++)
    {
        char entity[16], name[16];
        snprintf(entity, sizeof entity, "e/%06d", row / ROWS_PER_ENTITY);
        row_name(name, row % ROWS_PER_ENTITY);
        buf_reset(&key);
        CHECK(keyspace_row(&key, slice_cstr(entity), slice_cstr(name), NULL) == STATUS_OK);
        write_set_append(&set,
                         &(struct write_entry){WRITE_PUT, buf_view(&key), slice_make(value, sizeof value)});
        if ((row + 1) % ROWS_PER_COMMIT != 0) continue;
        commit(bench, buf_view(&set));
        buf_reset(&set);
    }
    buf_fini(&set);
    buf_fini(&key);
}

static void open_store(struct bench *bench)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(bench->dir, sizeof bench->dir, "%s/stead-bench-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(bench->dir) != NULL);
    CHECK(sem_init(&bench->wake, 0, 0) == 0);
    struct store_config config = {.dir = bench->dir, .clock = clock_real(), .wake = wake, .wake_ctx = bench};
    CHECK(store_open(&bench->store, &config, NULL) == STATUS_OK);
    fill_store(bench);
    bench->snapshot = store_snapshot_take(bench->store);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    return remove(path);
}

static void close_store(struct bench *bench)
{
    store_snapshot_release(bench->store, bench->snapshot);
    store_close(bench->store);
    CHECK(nftw(bench->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

/* ---- functions ---- */

STEAD_FUNCTION(nothing)
{
    return STEAD_OK;
}

/* Rows that stay in the processor's caches; each is read once, as a function would. */
STEAD_FUNCTION(get_hot)
{
    char names[HOT_ROWS][16];
    struct stead_bytes value;
    for (int i = 0; i < HOT_ROWS; i++) row_name(names[i], i);
    uint64_t begin = now_ns();
    for (int i = 0; i < OPERATIONS; i++) CHECK(stead_get(ctx, names[i], &value) == STEAD_OK);
    bench_of(ctx)->took_ns = now_ns() - begin;
    return STEAD_OK;
}

STEAD_FUNCTION(get_again)
{
    struct stead_bytes value;
    CHECK(stead_get(ctx, "row/000007", &value) == STEAD_OK);
    uint64_t begin = now_ns();
    for (int i = 0; i < OPERATIONS; i++) CHECK(stead_get(ctx, "row/000007", &value) == STEAD_OK);
    bench_of(ctx)->took_ns = now_ns() - begin;
    return STEAD_OK;
}

STEAD_FUNCTION(get_random)
{
    char entities[OPERATIONS][16], names[OPERATIONS][16];
    struct stead_bytes value;
    for (int i = 0; i < OPERATIONS; i++)
    {
        uint64_t row = prng_below(&bench_of(ctx)->prng, ROWS);
        snprintf(entities[i], sizeof entities[i], "e/%06d", (int)(row / ROWS_PER_ENTITY));
        row_name(names[i], (int)(row % ROWS_PER_ENTITY));
    }
    uint64_t begin = now_ns();
    for (int i = 0; i < OPERATIONS; i++) CHECK(stead_get_of(ctx, entities[i], names[i], &value) == STEAD_OK);
    bench_of(ctx)->took_ns = now_ns() - begin;
    return STEAD_OK;
}

STEAD_FUNCTION(put)
{
    static const char value[VALUE_BYTES];
    char names[OPERATIONS][16];
    for (int i = 0; i < OPERATIONS; i++)
        row_name(names[i], (int)prng_below(&bench_of(ctx)->prng, ROWS_PER_ENTITY));
    uint64_t begin = now_ns();
    for (int i = 0; i < OPERATIONS; i++) CHECK(stead_put(ctx, names[i], value, sizeof value) == STEAD_OK);
    bench_of(ctx)->took_ns = now_ns() - begin;
    return STEAD_OK;
}

STEAD_FUNCTION(add)
{
    char names[OPERATIONS][16];
    for (int i = 0; i < OPERATIONS; i++) snprintf(names[i], sizeof names[i], "count/%04d", i);
    uint64_t begin = now_ns();
    for (int i = 0; i < OPERATIONS; i++) CHECK(stead_add(ctx, names[i], 1) == 1);
    bench_of(ctx)->took_ns = now_ns() - begin;
    return STEAD_OK;
}

STEAD_FUNCTION(scan)
{
    uint64_t begin = now_ns();
    struct stead_scan *scan = stead_scan(ctx, "");
    struct stead_row row;
    int rows = 0;
    while (stead_scan_next(scan, &row)) rows++;
    bench_of(ctx)->took_ns = now_ns() - begin;
    CHECK(rows == SCAN_ROWS);
    return STEAD_OK;
}

/* ---- one invocation of it ---- */

static void run(struct bench *bench)
{
    CHECK(stead__snapshot_install(bench->rows, bench->invoke.meta, bench->invoke.txn, NULL) == STATUS_OK);
    stead__ctx_run(&bench->ctx, &bench->invoke, bench->handler, &bench->result);
    CHECK(bench->result.outcome == WIRE_OUTCOME_OK);
    stead__ctx_reset(&bench->ctx);
}

static uint64_t sample_operations(void *ctx)
{
    struct bench *bench = ctx;
    run(bench);
    return bench->took_ns;
}

/* The whole run, with the snapshot that is installed for it. */
static uint64_t sample_run(void *ctx)
{
    uint64_t begin = now_ns();
    for (int i = 0; i < OPERATIONS; i++) run(ctx);
    return now_ns() - begin;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct micro micro;
    micro_init(&micro, "state", argc, argv);
    open_store(&bench);
    CHECK(stead__snapshot_open(&bench.rows, store_data_fd(bench.store), "/proc", NULL) == STATUS_OK);
    stead__ctx_init(&bench.ctx, bench.rows);
    bench.ctx.owner = &bench;
    prng_init(&bench.prng, 1);
    bench.invoke = (struct wire_invoke){.entity = SLICE("e/000500"), .timeout_ms = 1000, .attempt = 1};
    bench.invoke.meta = store_snapshot_meta(bench.snapshot);
    bench.invoke.txn = store_snapshot_txn(bench.snapshot);

    static const struct {
        const char *name;
        uint64_t keys;
        uint32_t operations;
        stead__handler_fn handler;
    } cases[] = {
        {"get hot", HOT_ROWS, OPERATIONS, stead_fn_get_hot},
        {"get again", 1, OPERATIONS, stead_fn_get_again},
        {"get random", ROWS, OPERATIONS, stead_fn_get_random},
        {"put", ROWS_PER_ENTITY, OPERATIONS, stead_fn_put},
        {"add", OPERATIONS, OPERATIONS, stead_fn_add},
        {"scan, per row", SCAN_ROWS, SCAN_ROWS, stead_fn_scan},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
        bench.handler = cases[i].handler;
        micro_case(&micro, cases[i].name, cases[i].keys, cases[i].operations, sample_operations, &bench);
    }
    bench.handler = stead_fn_nothing;
    micro_case(&micro, "run without a row", 0, OPERATIONS, sample_run, &bench);

    stead__ctx_fini(&bench.ctx);
    stead__snapshot_close(bench.rows);
    close_store(&bench);
    return 0;
}
