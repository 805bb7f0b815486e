/* router.h - which version of which app, on which partition, takes an invocation. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The only place which knows where an invocation runs; callers name app, function and entity. An app has one
// running version for each of its partitions; today all partitions are on this node.
#pragma once

#include "runtime/invoke/invoke.h"
#include "runtime/router/route.h"

struct router;

struct router *router_create(struct invoke *engine, uint32_t in_flight_max);
/* Asked for an app that is not in the table, before that is said: it may call router_switch() for it. Its failure is the
 * caller's answer. */
typedef enum status (*router_wake_fn)(void *ctx, struct slice app, struct err *err);
void router_set_waker(struct router *router, router_wake_fn wake, void *ctx);
/* Drops its references to the versions: no app takes invocations any more. */
void router_clear(struct router *router);
void router_destroy(struct router *router);

/* From now on new invocations of `app` go to `versions`, one for each partition, whose references are taken over; the
 * references to those before are dropped, so that they end with their last invocations. count 0: the app takes no more
 * invocations. */
void router_switch(struct router *router, struct slice app, struct invoke_version *const *versions,
                   uint32_t count);

/* The app is there but its state is not: its invocations are answered with this failure, until a router_switch(). */
void router_fail(struct router *router, struct slice app, const struct err *failure);

/* Stops taking invocations: they are answered with DRAINING. Those in flight go on. */
void router_drain(struct router *router);

/* Starts an invocation. A refusal (APP_NOT_FOUND, FUNCTION_NOT_FOUND, DRAINING, OVERLOADED, that of router_fail()) is
 * returned at once, and `done` is not called; with OK it will be, exactly once and later. */
MUST_CHECK enum status router_invoke(struct router *router, struct slice app, struct slice function,
                                     const struct invoke_request *request, invoke_done_fn done, void *ctx,
                                     struct err *err);

/* The same in a partition that is named: for what is kept there. */
MUST_CHECK enum status router_invoke_in(struct router *router, struct slice app, uint32_t partition,
                                        struct slice function, const struct invoke_request *request,
                                        invoke_done_fn done, void *ctx, struct err *err);
/* Puts a message into a durable channel, in the partition of its key. As above: with OK `append->done` will be called. CHANNEL_NOT_FOUND, CHANNEL_KIND too. */
struct invoke_append;
MUST_CHECK enum status router_append(struct router *router, struct slice app, struct invoke_append *append,
                                     struct err *err);

/* What runs in a partition; borrowed for the call of the caller's. Refusals as above; NOT_FOUND: there is no such partition. */
MUST_CHECK enum status router_version(struct router *router, struct slice app, uint32_t partition,
                                      struct invoke_version **version, struct err *err);

/* NULL when there is none. Borrowed until the next router_switch(). */
const struct invoke_function *router_function(struct router *router, struct slice app, struct slice function);

/* Where an invocation would run now, and why: the same decision without the invocation. */
struct router_explanation {
    struct route_decision decision;
    uint32_t partitions;
    struct slice hash_tag; /* of the entity; points into it */
    const char *node;
    uint32_t in_flight; /* of the partition */
};
MUST_CHECK enum status router_explain(struct router *router, struct slice app, struct slice function,
                                      struct slice entity, struct router_explanation *explanation,
                                      struct err *err);
