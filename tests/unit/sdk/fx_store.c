/* fx_store.c - the store with its callbacks waited for. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/sdk/fx_store.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/check.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

static void wake(void *ctx)
{
    struct fx_store *fx = ctx;
    CHECK(sem_post(&fx->wake) == 0);
}

void fx_store_open(struct fx_store *fx)
{
    const char *tmp = getenv("TMPDIR");
    memset(fx, 0, sizeof *fx);
    snprintf(fx->dir, sizeof fx->dir, "%s/stead-sdk-XXXXXX", tmp ? tmp : "/tmp");
    CHECK(mkdtemp(fx->dir) != NULL);
    CHECK(sem_init(&fx->wake, 0, 0) == 0);
    struct store_config config = {.dir = fx->dir, .clock = clock_real(), .wake = wake, .wake_ctx = fx};
    CHECK(store_open(&fx->store, &config, NULL) == STATUS_OK);
    fx->snapshot = store_snapshot_take(fx->store);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    return remove(path);
}

void fx_store_close(struct fx_store *fx)
{
    store_snapshot_release(fx->store, fx->snapshot);
    store_close(fx->store);
    CHECK(sem_destroy(&fx->wake) == 0);
    CHECK(nftw(fx->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0);
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

void fx_store_commit(struct fx_store *fx, struct slice writes)
{
    struct waiting waiting = {.commit = {.snapshot = store_snapshot_seq(fx->snapshot),
                                         .writes = {writes},
                                         .applied = on_applied,
                                         .durable = on_durable}};
    store_submit(fx->store, &waiting.commit);
    while (!waiting.done)
    {
        CHECK(sem_wait(&fx->wake) == 0);
        store_reap(fx->store);
    }
    store_snapshot_release(fx->store, fx->snapshot);
    fx->snapshot = store_snapshot_take(fx->store);
}

void fx_store_put(struct fx_store *fx, const char *entity, const char *name, const char *value)
{
    struct buf key = BUF_INIT, set = BUF_INIT;
    CHECK(keyspace_row(&key, slice_cstr(entity), slice_cstr(name), NULL) == STATUS_OK);
    struct write_entry entry = {.op = value ? WRITE_PUT : WRITE_DELETE, .key = buf_view(&key)};
    if (value) entry.value = slice_cstr(value);
    write_set_append(&set, &entry);
    fx_store_commit(fx, buf_view(&set));
    buf_fini(&key);
    buf_fini(&set);
}
