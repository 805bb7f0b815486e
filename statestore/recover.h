/* recover.h - opening a store with a log: makes it when it is new, and whole again after any kind of stop. */
// SPDX-License-Identifier: Apache-2.0
//
//     closed            the data file is whole and holds everything
//     process died      the page cache has everything that was written: replay the log behind the data file's last commit
//     machine stopped   the data file may be torn anywhere, except in the pages of the last checkpoint's snapshot:
//                       go back to that snapshot and replay the log from there
#pragma once

#include "statestore/checkpoint.h"
#include "statestore/log.h"
#include "statestore/statestore.h"

enum recovery {
    RECOVERY_NONE, /* closed */
    RECOVERY_REPLAY, /* process died */
    RECOVERY_REWIND, /* machine stopped */
};

/* Pure: what has to be done, from what is on disk. STORE_CORRUPT: the parts do not fit together. */
MUST_CHECK enum status recovery_decide(const struct checkpoint *checkpoint, const struct kv_file_state *data,
                                       const struct boot_id *boot, enum recovery *recovery, struct err *err);

struct recovered {
    struct kv *kv;
    struct log *log;
    struct store_identity identity; /* seq: the last commit, in the data file and in the log, both durable */
    int checkpoint_fd;
    struct checkpoint checkpoint; /* the last one written: of an earlier run, or the first */
    enum recovery recovery;
    uint64_t replayed; /* commits */
};

/* `config->dir` is locked by the caller. On success everything in `recovered` is the caller's. */
MUST_CHECK enum status recover(const struct store_config *config, struct recovered *recovered,
                               struct err *err);
void recovered_close(struct recovered *recovered);

/* What a new store begins with, instead of nothing. */
struct recover_seed {
    /* Puts data.mdb into the directory. */
    enum status (*files)(void *ctx, struct err *err);
    /* Brings its rows up to date; `seq` is the last commit in them. */
    enum status (*rows)(void *ctx, struct kv *kv, uint64_t *seq, struct err *err);
    void *ctx;
};

/* Makes a store in the empty directory `config->dir` and leaves it closed. */
MUST_CHECK enum status recover_make(const struct store_config *config, const struct recover_seed *seed,
                                    struct err *err);
/* Removes what recover_make left in the directory when it failed. */
void recover_unmake(const char *dir);
