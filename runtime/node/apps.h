/* apps.h - the running side of the catalog: each app's partitions with their open stores, and the versions that run on it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/catalog/catalog.h"
#include "runtime/catalog/deploy.h"

struct apps;
struct invoke;
struct invoke_partition;
struct loop;
struct metering;
struct consumers;
struct consumers_part;
struct outbox;
struct outbox_part;
struct pool;
struct router;
struct store;

struct apps_config {
    struct loop *loop;
    struct clock *clock;
    struct invoke *engine;
    struct router *router;
    struct outbox *outbox;
    struct consumers *consumers;
    struct pool *pool;
    const char *dir; /* <data>/apps; copied */
    const char *artifacts; /* <data>/artifacts; copied */
    uint64_t map_bytes;
    bool unchecked;
};

struct apps *apps_create(const struct apps_config *config);

/* Opens the state of an app of the catalog, which recovers it, and makes its current version run when it is asked for, or
 * at once when it wants workers at all times; for the start of the node. One whose state
 * cannot be opened is logged and answers with that failure: it must not keep the others from running. */
void apps_start(struct apps *apps, const char *app, struct catalog_version *version);

/* The ports of deploy.h. */
void apps_probe(void *ctx, struct catalog_version *version, const char *path, deploy_on_probed_fn done,
                void *done_ctx);
void apps_on_switch(void *ctx, const char *app, struct catalog_version *version);
void apps_erase_state(void *ctx, const char *app, deploy_on_erased_fn done, void *done_ctx);

/* An app without processes that nobody asks for goes to sleep: its stores are closed. Asking the router or one of these
 * for it wakes it. 0 when no app of this name is there. */
uint32_t apps_partitions(struct apps *apps, struct slice app);
/* NULL when there is none. */
struct store *apps_store(struct apps *apps, struct slice app, uint32_t partition);
struct metering *apps_metering(struct apps *apps, struct slice app, uint32_t partition);
struct invoke_partition *apps_partition(struct apps *apps, struct slice app, uint32_t partition);
/* Of each partition that is awake. */
typedef void (*apps_consumers_fn)(void *ctx, const char *app, uint32_t partition,
                                  const struct consumers_part *part);
void apps_each_consumers(const struct apps *apps, apps_consumers_fn tell, void *ctx);
struct consumers_part *apps_consumers(struct apps *apps, struct slice app, uint32_t partition);
struct outbox_part *apps_outbox(struct apps *apps, struct slice app, uint32_t partition);
/* Appends a JSON array with the figures of each partition that is awake. */
void apps_stats(const struct apps *apps, struct buf *json);
/* The same for /metrics: appends a struct metrics_store for each partition that is awake. Names are borrowed. */
void apps_metrics(const struct apps *apps, struct buf *stores);
/* How many have no figures because they sleep. */
size_t apps_asleep(const struct apps *apps);

/* Closes every store; all versions must have ended. Frees. */
void apps_destroy(struct apps *apps);
