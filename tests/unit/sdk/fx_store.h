/* fx_store.h - a store in a directory of its own, written synchronously, for tests of what reads it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <semaphore.h>

#include "runtime/base/buf.h"
#include "statestore/statestore.h"

struct fx_store {
    char dir[64];
    sem_t wake;
    struct store *store;
    struct store_snapshot *snapshot; /* the one taken last; kept until the next one */
};

void fx_store_open(struct fx_store *fx);
void fx_store_close(struct fx_store *fx);
/* Commits an encoded write set and takes a new snapshot. Returns when it is durable. */
void fx_store_commit(struct fx_store *fx, struct slice writes);
/* The same for one row; value NULL deletes it. */
void fx_store_put(struct fx_store *fx, const char *entity, const char *name, const char *value);
