/* router.c - the table of running apps, and the decision asked for each invocation. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/router/router.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/map.h"
#include "runtime/invoke/appends.h"
#include "runtime/worker/pool.h"
#include "statestore/kv/keyspace.h"

struct router {
    struct invoke *engine;
    uint32_t in_flight_max;
    struct map apps; /* struct router_app */
    router_wake_fn wake; /* NULL: nobody sleeps */
    void *wake_ctx;
    bool draining;
};

struct router_app {
    struct err failure; /* when there are no partitions: why */
    uint32_t partitions;
    struct invoke_version *versions[]; /* of each partition, referenced */
};

/* All partitions belong to the only node, which is number 0. */
static const uint32_t owners[BOUND_PARTITIONS_MAX];

struct router *router_create(struct invoke *engine, uint32_t in_flight_max)
{
    struct router *router = mem_zalloc(sizeof *router);
    router->engine = engine;
    router->in_flight_max = in_flight_max;
    return router;
}

void router_set_waker(struct router *router, router_wake_fn wake, void *ctx)
{
    router->wake = wake;
    router->wake_ctx = ctx;
}

static void app_free(struct router_app *app)
{
    if (!app) return;
    for (uint32_t i = 0; i < app->partitions; i++) invoke_version_unref(app->versions[i]);
    free(app);
}

void router_clear(struct router *router)
{
    struct map_entry entry;
    for (size_t place = 0; map_next(&router->apps, &place, &entry);) app_free(entry.value);
    map_fini(&router->apps);
}

void router_destroy(struct router *router)
{
    if (!router) return;
    router_clear(router);
    free(router);
}

void router_switch(struct router *router, struct slice name, struct invoke_version *const *versions,
                   uint32_t count)
{
    CHECK(count <= BOUND_PARTITIONS_MAX);
    struct router_app *before;
    if (count > 0)
    {
        struct router_app *app = mem_alloc(sizeof *app + count * sizeof app->versions[0]);
        app->failure = ERR_INIT;
        app->partitions = count;
        memcpy(app->versions, versions, count * sizeof app->versions[0]);
        before = map_put(&router->apps, name, app);
    }
    else
    {
        before = map_remove(&router->apps, name);
    }
    app_free(before);
}

void router_fail(struct router *router, struct slice name, const struct err *failure)
{
    struct router_app *app = mem_zalloc(sizeof *app);
    app->failure = *failure;
    app_free(map_put(&router->apps, name, app));
}

void router_drain(struct router *router)
{
    router->draining = true;
}

static enum status app_find(struct router *router, struct slice name, struct router_app **app,
                            struct err *err)
{
    if (router->draining) return err_set(err, STATUS_DRAINING, "the node is stopping");
    *app = map_get(&router->apps, name);
    if (!*app && router->wake)
    {
        TRY(router->wake(router->wake_ctx, name, err));
        *app = map_get(&router->apps, name);
    }
    if (!*app) return err_set(err, STATUS_APP_NOT_FOUND, "no app '%.*s' is deployed", SLICE_FMT(name));
    if ((*app)->partitions == 0)
        return err_set(err, (*app)->failure.status, "%s", err_text(&(*app)->failure));
    return STATUS_OK;
}

/* Of all versions, and in all partitions. */
static uint32_t app_in_flight(const struct router_app *app)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < app->partitions; i++)
        sum += invoke_partition_in_flight(app->versions[i]->partition);
    return sum;
}

static enum status decide(struct router *router, const struct router_app *app, struct slice name,
                          struct slice entity, struct route_decision *decision, struct err *err)
{
    char name_text[BOUND_NAME_BYTES_MAX + 1];
    snprintf(name_text, sizeof name_text, "%.*s", SLICE_FMT(name));
    struct invoke_stats stats;
    invoke_stats(router->engine, &stats);
    struct route_node self = {
        .name = "this node",
        .alive = true,
        .in_flight = stats.in_flight,
        .in_flight_max = router->in_flight_max,
        .app_in_flight = app_in_flight(app),
    };
    struct route_query query = {
        .app = name_text,
        .entity = entity,
        .partitions = app->partitions,
        .owners = owners,
        .nodes = &self,
        .nodes_count = 1,
    };
    return route_decide(&query, decision, err);
}

static enum status function_find(const struct router_app *app, uint32_t partition, struct slice app_name,
                                 struct slice function, struct invoke_function **found, struct err *err)
{
    *found = invoke_version_function(app->versions[partition], function);
    if (!*found)
        return err_set(err, STATUS_FUNCTION_NOT_FOUND, "app '%.*s' has no function '%.*s'",
                       SLICE_FMT(app_name), SLICE_FMT(function));
    return STATUS_OK;
}

const struct invoke_function *router_function(struct router *router, struct slice app, struct slice function)
{
    struct router_app *found;
    if (app_find(router, app, &found, NULL) != STATUS_OK) return NULL;
    return invoke_version_function(found->versions[0], function);
}

enum status router_invoke(struct router *router, struct slice name, struct slice function,
                          const struct invoke_request *request, invoke_done_fn done, void *ctx,
                          struct err *err)
{
    struct router_app *app;
    struct route_decision decision;
    struct invoke_function *found;
    TRY(app_find(router, name, &app, err));
    TRY(decide(router, app, name, request->entity, &decision, err));
    TRY(function_find(app, decision.partition, name, function, &found, err));
    invoke_start(router->engine, app->versions[decision.partition], found, request, done, ctx);
    return STATUS_OK;
}

enum status router_invoke_in(struct router *router, struct slice name, uint32_t partition,
                             struct slice function, const struct invoke_request *request, invoke_done_fn done,
                             void *ctx, struct err *err)
{
    struct router_app *app;
    struct route_decision decision;
    struct invoke_function *found;
    TRY(app_find(router, name, &app, err));
    TRY(decide(router, app, name, request->entity, &decision, err));
    CHECK(partition < app->partitions);
    TRY(function_find(app, partition, name, function, &found, err));
    invoke_start(router->engine, app->versions[partition], found, request, done, ctx);
    return STATUS_OK;
}

enum status router_append(struct router *router, struct slice name, struct invoke_append *append,
                          struct err *err)
{
    struct router_app *app;
    struct route_decision decision;
    TRY(app_find(router, name, &app, err));
    TRY(decide(router, app, name, append->key, &decision, err));
    struct invoke_version *version = app->versions[decision.partition];
    TRY(invoke_version_channel(version, append->channel, true, err));
    invoke_append(version, append);
    return STATUS_OK;
}

enum status router_version(struct router *router, struct slice name, uint32_t partition,
                           struct invoke_version **version, struct err *err)
{
    struct router_app *app;
    TRY(app_find(router, name, &app, err));
    if (partition >= app->partitions)
        return err_set(err, STATUS_NOT_FOUND, "app '%.*s' has %u partitions, counted from 0", SLICE_FMT(name),
                       app->partitions);
    *version = app->versions[partition];
    return STATUS_OK;
}

enum status router_explain(struct router *router, struct slice name, struct slice function,
                           struct slice entity, struct router_explanation *explanation, struct err *err)
{
    struct router_app *app;
    struct route_decision decision;
    struct invoke_function *found;
    TRY(app_find(router, name, &app, err));
    TRY(decide(router, app, name, entity, &decision, err));
    TRY(function_find(app, decision.partition, name, function, &found, err));
    struct invoke_version *version = app->versions[decision.partition];
    struct pool_stats pool;
    pool_deployment_stats(version->deployment, &pool);
    decision.warm = pool.workers > 0;
    *explanation = (struct router_explanation){
        .decision = decision,
        .partitions = app->partitions,
        .hash_tag = keyspace_hash_tag(entity),
        .node = "this node",
        .in_flight = invoke_partition_in_flight(version->partition),
    };
    return STATUS_OK;
}
