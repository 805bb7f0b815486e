/* router.h - which version of which app, on which partition, takes an invocation. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The only place which knows where an invocation runs; callers name app, function and entity. Today each
// app has one partition, on this node.
#pragma once

#include "runtime/invoke/invoke.h"

struct router;

struct router *router_create(struct invoke *engine);
/* Drops its references to the versions: no app takes invocations any more. */
void router_clear(struct router *router);
void router_destroy(struct router *router);

/* From now on new invocations of `app` go to `version`, whose reference is taken over; the reference to the version
 * before is dropped, so that it ends with its last invocation. NULL: the app takes no more invocations. */
void router_switch(struct router *router, struct slice app, struct invoke_version *version);

/* The version that takes invocations of `app` now; NULL when there is none. */
struct invoke_version *router_version(const struct router *router, struct slice app);

/* Stops taking invocations: they are answered with DRAINING. Those in flight go on. */
void router_drain(struct router *router);

/* Starts an invocation. A refusal (APP_NOT_FOUND, FUNCTION_NOT_FOUND, DRAINING) is returned at once, and `done` is not
 * called; with OK it will be, exactly once and later. */
MUST_CHECK enum status router_invoke(struct router *router, struct slice app, struct slice function,
                                     const struct invoke_request *request, invoke_done_fn done, void *ctx,
                                     struct err *err);
