/* fx_store.h - fixture: a store in a directory of its own, and commits that remember how they ended. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "runtime/base/buf.h"
#include "statestore/kv/kv.h"
#include "statestore/statestore.h"

struct fx_store {
    char dir[64]; /* removed at the end */
    struct store_config config; /* of the next open; dir and wake are set */
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    unsigned wakes;
};

/* A temporary directory, nothing open yet. */
void fx_store_init(struct fx_store *fx);
/* Closes the store and removes the directory. */
void fx_store_fini(struct fx_store *fx);
/* Opens the store in `dir`, or over a fresh kv in memory. Fails the test when that fails. */
void fx_store_open(struct fx_store *fx);
void fx_store_open_mem(struct fx_store *fx);
void fx_store_close(struct fx_store *fx);

/* One submission; owns its bytes. */
struct fx_commit {
    struct store_commit commit;
    struct buf reads;
    struct buf writes;
    bool applied; /* which callbacks have run */
    bool durable;
    enum status applied_status;
    enum status durable_status;
};

void fx_commit_init(struct fx_commit *fx, uint64_t snapshot);
void fx_commit_fini(struct fx_commit *fx);
/* Row names as text; entity empty. Puts in ascending order. */
void fx_commit_put(struct fx_commit *fx, const char *name, const char *value);
void fx_commit_delete(struct fx_commit *fx, const char *name);
void fx_commit_read(struct fx_commit *fx, const char *name);
void fx_commit_scan(struct fx_commit *fx, const char *prefix);
void fx_submit(struct fx_store *fx, struct fx_commit *commit);
/* Runs the loop's side until the commit has had its last callback. */
void fx_finish(struct fx_store *fx, struct fx_commit *commit);
void fx_finish_applied(struct fx_store *fx, struct fx_commit *commit);
/* Waits for a wake, at most 10 s, then reaps. */
void fx_turn(struct fx_store *fx);

/* One put of one row, finished; returns the status at `applied`, or at `durable` when that failed. */
enum status fx_put(struct fx_store *fx, const char *name, const char *value);
/* The value as text, "" when there is none; static storage. */
const char *fx_get(struct store_snapshot *snapshot, const char *name);
/* The same in the newest snapshot. */
const char *fx_get_newest(struct fx_store *fx, const char *name);
/* Copies the first `bytes` bytes of a file, SIZE_MAX for all of it. */
void fx_copy_file(const char *from, const char *to, size_t bytes);
/* Removes a directory and all in it. */
void fx_remove_tree(const char *dir);
