/* routes.h - which app and function a method and a path mean: pure, built anew for each change of the catalog. */
// SPDX-License-Identifier: Apache-2.0
//
// Own routes of the manifests come first, then /{app}/{function}[/{entity...}] with any method. Where several own
// routes fit, the one that is literal earlier in the path wins. A route answers HEAD where it answers GET. Segments are
// compared decoded, so /caf%C3%A9 and its raw pattern are the same; %2F never separates segments.
// A table does not change once it is in use: the owner builds the next one and swaps the pointer; what a match returned
// that must outlive the table is copied by the caller.
#pragma once

#include <stddef.h>

#include "runtime/base/bounds.h"
#include "runtime/base/err.h"
#include "runtime/gateway/http_request.h"

struct routes;

enum { ROUTE_PARAMS_MAX = 8, ROUTE_SEGMENTS_MAX = 16 };

/* `pattern` is "/carts/{entity}/items/{item}": segments are literal or one {name}, which takes one segment that is not
 * empty; a last segment {name...} takes the rest of the path; {entity} addresses the invocation. A pattern of more than
 * one segment begins with a literal that is not the name of another app: nobody can take over /{app}/{function}. */
struct route_spec {
    const char *app;
    const char *function;
    const char *method; /* "GET", or "*" for any */
    const char *pattern;
    bool socket; /* it takes WebSocket connections */
    const char *origins; /* of pages that may connect, with blanks between; NULL: their own only */
};

struct routes *routes_create(void);
void routes_destroy(struct routes *routes);
/* Makes /{app} and /{app}/{function} known; an app may have no function. */
void routes_add_app(struct routes *routes, const char *app);
void routes_add_function(struct routes *routes, const char *app, const char *function);
/* Apps first, then routes. MANIFEST_INVALID: the pattern is not one; ALREADY_EXISTS: a route of an app (named) means the
 * same requests, or the path of another app. */
MUST_CHECK enum status routes_add(struct routes *routes, const struct route_spec *spec, struct err *err);
/* The deploy check: would the routes of a new version of `app` conflict with those of the other apps or among
 * themselves? Looks through routes of `app` in the table: they are about to be replaced. Same statuses. */
MUST_CHECK enum status routes_conflict(const struct routes *routes, const char *app,
                                       const struct route_spec *specs, size_t count, struct err *err);

struct route_param {
    struct slice name;
    struct slice value; /* decoded, in route_match.bytes */
};

struct route_match {
    const char *app; /* both borrowed from the table */
    const char *function;
    struct slice entity; /* decoded; empty: unaddressed */
    bool socket;
    const char *origins; /* borrowed likewise */
    bool own; /* by a route of a manifest, not by /{app}/{function} */
    struct route_param params[ROUTE_PARAMS_MAX]; /* of own routes, without {entity} */
    size_t param_count;
    char allow[128]; /* with METHOD_NOT_ALLOWED: the methods of this path, "GET, POST" */
    char bytes[BOUND_HTTP_TARGET_BYTES_MAX]; /* where decoded values live */
};

/* OK, ROUTE_NOT_FOUND, APP_NOT_FOUND, FUNCTION_NOT_FOUND, METHOD_NOT_ALLOWED, ENTITY_INVALID (too long, empty, zero
 * byte), MALFORMED_REQUEST (a wrong percent-encoding). The words say which app, function or path. */
MUST_CHECK enum status routes_match(const struct routes *routes, struct slice method, struct slice path,
                                    struct route_match *match, struct err *err);
