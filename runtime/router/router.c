/* router.c - the table of running apps. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/router/router.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/map.h"

struct router {
    struct invoke *engine;
    struct map versions; /* app -> struct invoke_version, referenced */
    bool draining;
};

struct router *router_create(struct invoke *engine)
{
    struct router *router = mem_zalloc(sizeof *router);
    router->engine = engine;
    return router;
}

void router_clear(struct router *router)
{
    struct map_entry entry;
    for (size_t place = 0; map_next(&router->versions, &place, &entry);) invoke_version_unref(entry.value);
    map_fini(&router->versions);
}

void router_destroy(struct router *router)
{
    if (!router) return;
    router_clear(router);
    free(router);
}

void router_switch(struct router *router, struct slice app, struct invoke_version *version)
{
    struct invoke_version *before =
        version ? map_put(&router->versions, app, version) : map_remove(&router->versions, app);
    if (before) invoke_version_unref(before);
}

struct invoke_version *router_version(const struct router *router, struct slice app)
{
    return map_get(&router->versions, app);
}

void router_drain(struct router *router)
{
    router->draining = true;
}

enum status router_invoke(struct router *router, struct slice app, struct slice function,
                          const struct invoke_request *request, invoke_done_fn done, void *ctx,
                          struct err *err)
{
    if (router->draining) return err_set(err, STATUS_DRAINING, "the node is stopping");
    struct invoke_version *version = router_version(router, app);
    if (!version) return err_set(err, STATUS_APP_NOT_FOUND, "no app '%.*s' is deployed", SLICE_FMT(app));
    struct invoke_function *found = invoke_version_function(version, function);
    if (!found)
        return err_set(err, STATUS_FUNCTION_NOT_FOUND, "app '%.*s' has no function '%.*s'", SLICE_FMT(app),
                       SLICE_FMT(function));
    invoke_start(router->engine, version, found, request, done, ctx);
    return STATUS_OK;
}
