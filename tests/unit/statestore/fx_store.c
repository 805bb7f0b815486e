/* fx_store.c - fixture for stores. */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "statestore/store_internal.h"
#include "tests/unit/statestore/fx_store.h"

static void wake(void *ctx)
{
    struct fx_store *fx = ctx;
    pthread_mutex_lock(&fx->lock);
    fx->wakes++;
    pthread_cond_signal(&fx->woken);
    pthread_mutex_unlock(&fx->lock);
}

void fx_store_init(struct fx_store *fx)
{
    *fx = (struct fx_store){0};
    const char *base = getenv("TMPDIR");
    snprintf(fx->dir, sizeof fx->dir, "%s/stead-store-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(fx->dir));
    pthread_mutex_init(&fx->lock, NULL);
    pthread_cond_init(&fx->woken, NULL);
    fx->config = (struct store_config){.dir = fx->dir, .map_bytes = 1ULL << 30, .clock = clock_real()};
    fx->config.wake = wake;
    fx->config.wake_ctx = fx;
}

void fx_store_open(struct fx_store *fx)
{
    struct err err = ERR_INIT;
    if (store_open(&fx->store, &fx->config, &err) != STATUS_OK) fail_msg("%s", err_text(&err));
}

void fx_store_open_mem(struct fx_store *fx)
{
    struct err err = ERR_INIT;
    struct kv *kv = kv_mem_open();
    if (fx->config.fault) kv = kv_fault_open(kv, fx->config.fault);
    struct log *log = fx->config.mode == STORE_MODE_LOG ? log_mem_open() : NULL;
    if (log && fx->config.fault) log = log_fault_open(log, fx->config.fault);
    if (store_open_ports(&fx->store, &fx->config, kv, log, &err) != STATUS_OK) fail_msg("%s", err_text(&err));
}

void fx_store_close(struct fx_store *fx)
{
    store_close(fx->store);
    fx->store = NULL;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    return remove(path);
}

void fx_copy_file(const char *from, const char *to, size_t bytes)
{
    static char block[65536];
    int source = open(from, O_RDONLY), target = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(source >= 0 && target >= 0);
    while (bytes > 0)
    {
        ssize_t got = read(source, block, bytes < sizeof block ? bytes : sizeof block);
        assert_true(got >= 0);
        if (got == 0) break;
        assert_int_equal(write(target, block, (size_t)got), got);
        bytes -= (size_t)got;
    }
    close(source);
    close(target);
}

void fx_remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fx_store_fini(struct fx_store *fx)
{
    fx_store_close(fx);
    fx_remove_tree(fx->dir);
    pthread_mutex_destroy(&fx->lock);
    pthread_cond_destroy(&fx->woken);
}

/* ---- commits ---- */

static void on_applied(struct store_commit *commit)
{
    struct fx_commit *fx = CONTAINER_OF(commit, struct fx_commit, commit);
    assert_false(fx->applied);
    fx->applied = true;
    fx->applied_status = commit->status;
}

static void on_durable(struct store_commit *commit)
{
    struct fx_commit *fx = CONTAINER_OF(commit, struct fx_commit, commit);
    assert_true(fx->applied);
    assert_false(fx->durable);
    fx->durable = true;
    fx->durable_status = commit->status;
}

void fx_commit_init(struct fx_commit *fx, uint64_t snapshot)
{
    *fx = (struct fx_commit){.commit = {.snapshot = snapshot, .applied = on_applied, .durable = on_durable}};
}

void fx_commit_fini(struct fx_commit *fx)
{
    buf_fini(&fx->reads);
    buf_fini(&fx->writes);
}

static struct buf row_key(const char *name)
{
    struct buf key = BUF_INIT;
    assert_int_equal(keyspace_row(&key, SLICE_EMPTY, slice_cstr(name), NULL), STATUS_OK);
    return key;
}

static void write_row(struct fx_commit *fx, enum write_op op, const char *name, const char *value)
{
    struct buf key = row_key(name);
    write_set_append(&fx->writes, &(struct write_entry){op, buf_view(&key), slice_cstr(value)});
    buf_fini(&key);
}

void fx_commit_put(struct fx_commit *fx, const char *name, const char *value)
{
    write_row(fx, WRITE_PUT, name, value);
}

void fx_commit_delete(struct fx_commit *fx, const char *name)
{
    write_row(fx, WRITE_DELETE, name, "");
}

void fx_commit_read(struct fx_commit *fx, const char *name)
{
    struct buf key = row_key(name);
    read_set_append(&fx->reads, &(struct read_entry){READ_KEY, buf_view(&key), SLICE_EMPTY});
    buf_fini(&key);
}

void fx_commit_scan(struct fx_commit *fx, const char *prefix)
{
    struct buf low = BUF_INIT, high = BUF_INIT;
    assert_int_equal(keyspace_row_range(&low, &high, SLICE_EMPTY, slice_cstr(prefix), NULL), STATUS_OK);
    read_set_append(&fx->reads, &(struct read_entry){READ_RANGE, buf_view(&low), buf_view(&high)});
    buf_fini(&low);
    buf_fini(&high);
}

void fx_submit(struct fx_store *fx, struct fx_commit *commit)
{
    commit->commit.reads = buf_view(&commit->reads);
    commit->commit.writes[0] = buf_view(&commit->writes);
    store_submit(fx->store, &commit->commit);
}

void fx_turn(struct fx_store *fx)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&fx->lock);
    int rc = 0;
    while (fx->wakes == 0 && rc == 0) rc = pthread_cond_timedwait(&fx->woken, &fx->lock, &until);
    fx->wakes = 0;
    pthread_mutex_unlock(&fx->lock);
    if (rc != 0) fail_msg("the store did not wake the loop within 10 s");
    store_reap(fx->store);
}

void fx_finish_applied(struct fx_store *fx, struct fx_commit *commit)
{
    while (!commit->applied) fx_turn(fx);
}

void fx_finish(struct fx_store *fx, struct fx_commit *commit)
{
    fx_finish_applied(fx, commit);
    while (commit->applied_status == STATUS_OK && !commit->durable) fx_turn(fx);
}

enum status fx_put(struct fx_store *fx, const char *name, const char *value)
{
    struct fx_commit commit;
    fx_commit_init(&commit, 0);
    fx_commit_put(&commit, name, value);
    fx_submit(fx, &commit);
    fx_finish(fx, &commit);
    fx_commit_fini(&commit);
    return commit.applied_status != STATUS_OK ? commit.applied_status : commit.durable_status;
}

const char *fx_get(struct store_snapshot *snapshot, const char *name)
{
    static char text[1024];
    struct buf key = row_key(name);
    struct slice value;
    enum status status = store_get(snapshot, buf_view(&key), &value, NULL);
    buf_fini(&key);
    if (status == STATUS_NOT_FOUND) return "";
    assert_int_equal(status, STATUS_OK);
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(value));
    return text;
}

const char *fx_get_newest(struct fx_store *fx, const char *name)
{
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    const char *text = fx_get(snapshot, name);
    store_snapshot_release(fx->store, snapshot);
    return text;
}
