/* routes.c - own routes as a tree of segments; apps and functions as maps. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/routes.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/base/map.h"
#include "runtime/gateway/http_head.h"

/* One segment of a pattern. */
enum segment_kind { SEGMENT_LITERAL, SEGMENT_PARAM, SEGMENT_REST };

struct segment {
    enum segment_kind kind;
    struct slice text; /* the literal, or the name of the parameter */
};

struct pattern {
    struct segment segments[ROUTE_SEGMENTS_MAX];
    size_t count; /* 0: "/" */
};

/* An own route, owned by the table. */
struct route {
    struct list link; /* in routes.all */
    struct list node_link; /* in its node's */
    char *app;
    char *function;
    char *method;
    char *pattern;
    char *origins; /* NULL: none */
    bool socket;
    struct pattern parsed; /* borrows from `pattern` */
};

/* What the segments so far lead to. A tree: each node is visited at most once in a match. */
struct node {
    struct map literals; /* text -> node */
    struct node *param;
    struct list here; /* routes that end here */
    struct list rest; /* routes whose {name...} begins here */
};

struct app {
    char *name;
    struct map functions; /* name -> its own text */
};

struct routes {
    struct map apps; /* name -> app */
    struct list all;
    struct node root;
};

/* ---- life ---- */

static void node_init(struct node *node)
{
    *node = (struct node){.literals = MAP_INIT};
    list_init(&node->here);
    list_init(&node->rest);
}

/* Depth is at most ROUTE_SEGMENTS_MAX. */
static void node_fini(struct node *node)
{
    struct map_entry entry;
    for (size_t place = 0; map_next(&node->literals, &place, &entry);)
    {
        node_fini(entry.value);
        free(entry.value);
    }
    map_fini(&node->literals);
    if (node->param) node_fini(node->param);
    free(node->param);
}

struct routes *routes_create(void)
{
    struct routes *routes = mem_zalloc(sizeof *routes);
    list_init(&routes->all);
    node_init(&routes->root);
    return routes;
}

static void route_free(struct route *route)
{
    free(route->app);
    free(route->function);
    free(route->method);
    free(route->pattern);
    free(route->origins);
    free(route);
}

void routes_destroy(struct routes *routes)
{
    if (!routes) return;
    node_fini(&routes->root);
    struct list *link;
    while ((link = list_pop_front(&routes->all))) route_free(CONTAINER_OF(link, struct route, link));
    struct map_entry entry;
    for (size_t place = 0; map_next(&routes->apps, &place, &entry);)
    {
        struct app *app = entry.value;
        struct map_entry function;
        for (size_t at = 0; map_next(&app->functions, &at, &function);) free(function.value);
        map_fini(&app->functions);
        free(app->name);
        free(app);
    }
    map_fini(&routes->apps);
    free(routes);
}

static struct app *app_take(struct routes *routes, const char *name)
{
    struct app *app = map_get(&routes->apps, slice_cstr(name));
    if (app) return app;
    app = mem_zalloc(sizeof *app);
    app->name = mem_strdup(name);
    map_put(&routes->apps, slice_cstr(name), app);
    return app;
}

void routes_add_app(struct routes *routes, const char *app)
{
    (void)app_take(routes, app);
}

void routes_add_function(struct routes *routes, const char *app, const char *function)
{
    struct app *owner = app_take(routes, app);
    free(map_put(&owner->functions, slice_cstr(function), mem_strdup(function)));
}

/* ---- patterns ---- */

static enum status invalid(struct err *err, const char *pattern, const char *what)
{
    return err_set(err, STATUS_MANIFEST_INVALID, "route \"%s\": %s", pattern, what);
}

static bool is_param_name(struct slice name)
{
    const char *bytes = name.data;
    for (size_t i = 0; i < name.size; i++)
    {
        bool fine =
            (bytes[i] >= 'a' && bytes[i] <= 'z') || (bytes[i] >= '0' && bytes[i] <= '9') || bytes[i] == '_';
        if (!fine) return false;
    }
    return name.size > 0 && name.size <= BOUND_NAME_BYTES_MAX;
}

static enum status segment_parse(const char *pattern, struct slice text, struct segment *segment,
                                 struct err *err)
{
    const char *bytes = text.data;
    *segment = (struct segment){SEGMENT_LITERAL, text};
    if (text.size == 0) return invalid(err, pattern, "it has an empty segment");
    if (*bytes == '{')
    {
        if (bytes[text.size - 1] != '}')
            return invalid(err, pattern, "a '{' begins a segment that does not end with '}'");
        segment->kind = SEGMENT_PARAM;
        segment->text = slice_make(bytes + 1, text.size - 2);
        if (segment->text.size >= 3 && memcmp(bytes + text.size - 4, "...", 3) == 0)
        {
            segment->kind = SEGMENT_REST;
            segment->text.size -= 3;
        }
        if (!is_param_name(segment->text))
            return invalid(err, pattern, "a parameter's name is of a-z, 0-9 and '_', at most 63 bytes");
        return STATUS_OK;
    }
    for (size_t i = 0; i < text.size; i++)
    {
        if ((unsigned char)bytes[i] <= ' ' || bytes[i] == 0x7f || strchr("{}%?#\\", bytes[i]))
            return invalid(err, pattern, "a literal segment has a blank, a control byte or one of {}%?#\\");
    }
    return STATUS_OK;
}

static enum status pattern_check(const char *pattern, const struct pattern *parsed, struct err *err)
{
    size_t params = 0;
    for (size_t i = 0; i < parsed->count; i++)
    {
        const struct segment *segment = &parsed->segments[i];
        if (segment->kind == SEGMENT_LITERAL) continue;
        if (++params > ROUTE_PARAMS_MAX) return invalid(err, pattern, "it has more than 8 parameters");
        if (segment->kind == SEGMENT_REST && i + 1 < parsed->count)
            return invalid(err, pattern, "{name...} takes the rest of the path and must come last");
        for (size_t j = 0; j < i; j++)
        {
            if (parsed->segments[j].kind != SEGMENT_LITERAL &&
                slice_equal(parsed->segments[j].text, segment->text))
                return invalid(err, pattern, "two parameters have the same name");
        }
    }
    bool one_param = parsed->count == 1 && parsed->segments[0].kind == SEGMENT_PARAM;
    if (parsed->count > 0 && parsed->segments[0].kind != SEGMENT_LITERAL && !one_param)
        return invalid(err, pattern, "a route of more than one segment must begin with a literal one");
    return STATUS_OK;
}

static enum status pattern_parse(const char *pattern, struct pattern *parsed, struct err *err)
{
    parsed->count = 0;
    if (*pattern != '/') return invalid(err, pattern, "it does not begin with '/'");
    if (strlen(pattern) > BOUND_HTTP_TARGET_BYTES_MAX)
        return invalid(err, "(long)", "it is longer than any path");
    for (const char *at = pattern + 1; *at;)
    {
        size_t size = strcspn(at, "/");
        if (parsed->count == ROUTE_SEGMENTS_MAX) return invalid(err, pattern, "it has more than 16 segments");
        TRY(segment_parse(pattern, slice_make(at, size), &parsed->segments[parsed->count++], err));
        at += size;
        if (*at == '/' && *++at == 0) return invalid(err, pattern, "it ends with '/'");
    }
    return pattern_check(pattern, parsed, err);
}

static bool is_method(const char *method)
{
    for (const char *at = method; *at; at++)
    {
        if ((*at < 'A' || *at > 'Z') && *at != '-') return false;
    }
    return *method != 0 && strlen(method) <= 32;
}

/* ---- adding ---- */

static struct node *node_create(void)
{
    struct node *node = mem_alloc(sizeof *node);
    node_init(node);
    return node;
}

/* The node of the pattern, made where it is missing; *list is where its routes are. */
static struct list *node_reach(struct routes *routes, const struct pattern *pattern)
{
    struct node *node = &routes->root;
    for (size_t i = 0; i < pattern->count; i++)
    {
        const struct segment *segment = &pattern->segments[i];
        if (segment->kind == SEGMENT_REST) return &node->rest;
        if (segment->kind == SEGMENT_PARAM)
        {
            if (!node->param) node->param = node_create();
            node = node->param;
            continue;
        }
        struct node *next = map_get(&node->literals, segment->text);
        if (!next)
        {
            next = node_create();
            map_put(&node->literals, segment->text, next);
        }
        node = next;
    }
    return &node->here;
}

/* Of one app the method that is named wins over "*"; between apps even that would be a takeover. */
static bool is_same_request(const struct route *a, const struct route_spec *b)
{
    if (strcmp(a->method, b->method) == 0) return true;
    return strcmp(a->app, b->app) != 0 && (strcmp(a->method, "*") == 0 || strcmp(b->method, "*") == 0);
}

static enum status takeover_check(const struct routes *routes, const struct route_spec *spec,
                                  const struct pattern *parsed, struct err *err)
{
    if (parsed->count < 2) return STATUS_OK;
    struct slice first = parsed->segments[0].text;
    if (slice_is(first, spec->app) || !map_get(&routes->apps, first)) return STATUS_OK;
    return err_set(err, STATUS_ALREADY_EXISTS, "route %s %s of app %s begins with the name of app %.*s",
                   spec->method, spec->pattern, spec->app, SLICE_FMT(first));
}

enum status routes_add(struct routes *routes, const struct route_spec *spec, struct err *err)
{
    struct pattern parsed;
    TRY(pattern_parse(spec->pattern, &parsed, err));
    if (strcmp(spec->method, "*") != 0 && !is_method(spec->method))
        return err_set(err, STATUS_MANIFEST_INVALID,
                       "route \"%s\": \"%s\" is not a method (GET, POST, ... or *)", spec->pattern,
                       spec->method);
    TRY(takeover_check(routes, spec, &parsed, err));
    struct list *list = node_reach(routes, &parsed);
    LIST_FOREACH(link, list)
    {
        const struct route *other = CONTAINER_OF(link, struct route, node_link);
        if (is_same_request(other, spec))
            return err_set(err, STATUS_ALREADY_EXISTS, "route %s %s of app %s is taken: app %s has %s %s",
                           spec->method, spec->pattern, spec->app, other->app, other->method, other->pattern);
    }
    struct route *route = mem_zalloc(sizeof *route);
    route->app = mem_strdup(spec->app);
    route->function = mem_strdup(spec->function);
    route->method = mem_strdup(spec->method);
    route->pattern = mem_strdup(spec->pattern);
    route->origins = spec->origins ? mem_strdup(spec->origins) : NULL;
    route->socket = spec->socket;
    CHECK(pattern_parse(route->pattern, &route->parsed, NULL) == STATUS_OK);
    list_push_back(&routes->all, &route->link);
    list_push_back(list, &route->node_link);
    return STATUS_OK;
}

/* A table as it would be after the deployment. */
static enum status conflict_build(const struct routes *routes, struct routes *next, const char *app,
                                  const struct route_spec *specs, size_t count, struct err *err)
{
    struct map_entry entry;
    for (size_t place = 0; map_next(&routes->apps, &place, &entry);)
        routes_add_app(next, ((struct app *)entry.value)->name);
    routes_add_app(next, app);
    LIST_FOREACH(link, &routes->all)
    {
        const struct route *route = CONTAINER_OF(link, struct route, link);
        if (strcmp(route->app, app) == 0) continue;
        TRY(routes_add(next,
                       &(struct route_spec){.app = route->app,
                                            .function = route->function,
                                            .method = route->method,
                                            .pattern = route->pattern},
                       err));
    }
    for (size_t i = 0; i < count; i++) TRY(routes_add(next, &specs[i], err));
    return STATUS_OK;
}

enum status routes_conflict(const struct routes *routes, const char *app, const struct route_spec *specs,
                            size_t count, struct err *err)
{
    struct routes *next = routes_create();
    enum status status = conflict_build(routes, next, app, specs, count, err);
    routes_destroy(next);
    return status;
}

/* ---- matching ---- */

/* A path cut at '/' and decoded; segments beyond the table's reach are counted, they still belong to a rest. */
struct path {
    struct slice segments[ROUTE_SEGMENTS_MAX];
    size_t count;
    const char *end;
};

static enum status path_split(struct slice raw, struct route_match *match, struct path *path, struct err *err)
{
    char *out = match->bytes;
    const char *at = raw.data, *end = at + raw.size;
    *path = (struct path){.count = 0};
    if (raw.size == 0 || *at != '/' || raw.size > sizeof match->bytes)
        return err_set(err, STATUS_ROUTE_NOT_FOUND, "no route matches this path");
    while (at < end && raw.size > 1) /* "/" has no segment */
    {
        at++; /* the '/' */
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t size = (size_t)((slash ? slash : end) - at), decoded;
        if (path->count) *out++ = '/';
        if (!http_percent_decode(slice_make(at, size), out, &decoded))
            return err_set(err, STATUS_MALFORMED_REQUEST,
                           "the path has a '%%' without two hex digits behind it");
        if (path->count < ROUTE_SEGMENTS_MAX) path->segments[path->count] = slice_make(out, decoded);
        path->count++;
        out += decoded;
        at += size;
    }
    path->end = out;
    return STATUS_OK;
}

static struct slice path_rest(const struct path *path, size_t from)
{
    const char *start = path->segments[from].data;
    return slice_make(start, (size_t)(path->end - start));
}

/* Collects methods for the Allow header; what does not fit is left out. */
static void allow_add(struct route_match *match, const char *method)
{
    size_t used = strlen(match->allow);
    char *known = strstr(match->allow, method);
    size_t size = strlen(method);
    if (known && (known[size] == 0 || known[size] == ',') && (known == match->allow || known[-1] == ' '))
        return;
    if (used + size + 3 > sizeof match->allow) return;
    snprintf(match->allow + used, sizeof match->allow - used, "%s%s", used ? ", " : "", method);
}

static const struct route *route_of_method(const struct list *list, struct slice method)
{
    const struct route *any = NULL;
    LIST_FOREACH(link, list)
    {
        const struct route *route = CONTAINER_OF(link, struct route, node_link);
        if (slice_is(method, route->method)) return route;
        if (strcmp(route->method, "*") == 0) any = route;
    }
    return any;
}

static const struct route *route_here(const struct list *list, struct slice method, struct route_match *match)
{
    const struct route *route = route_of_method(list, method);
    if (!route && slice_is(method, "HEAD")) route = route_of_method(list, SLICE("GET"));
    if (route) return route;
    LIST_FOREACH(link, list)
    {
        const char *other = CONTAINER_OF(link, struct route, node_link)->method;
        allow_add(match, other);
        if (strcmp(other, "GET") == 0) allow_add(match, "HEAD");
    }
    return NULL;
}

/* Literal before parameter before rest, at each segment. */
static const struct route *node_match(const struct node *node, const struct path *path, size_t depth,
                                      struct slice method, struct route_match *match)
{
    if (depth == path->count) return route_here(&node->here, method, match);
    if (depth == ROUTE_SEGMENTS_MAX) return NULL;
    struct slice segment = path->segments[depth];
    const struct node *literal = map_get(&node->literals, segment);
    const struct route *route = literal ? node_match(literal, path, depth + 1, method, match) : NULL;
    if (!route && node->param && segment.size)
        route = node_match(node->param, path, depth + 1, method, match);
    if (!route && path_rest(path, depth).size) route = route_here(&node->rest, method, match);
    return route;
}

static enum status entity_set(struct route_match *match, struct slice entity, struct err *err)
{
    if (entity.size == 0)
        return err_set(err, STATUS_ENTITY_INVALID,
                       "the entity key is empty; leave out the last '/' for none");
    if (entity.size > BOUND_ENTITY_BYTES_MAX)
        return err_set(err, STATUS_ENTITY_INVALID, "the entity key has %zu bytes, at most %d are allowed",
                       entity.size, BOUND_ENTITY_BYTES_MAX);
    if (memchr(entity.data, 0, entity.size))
        return err_set(err, STATUS_ENTITY_INVALID, "the entity key has a zero byte");
    match->entity = entity;
    return STATUS_OK;
}

static enum status own_match(const struct route *route, const struct path *path, struct route_match *match,
                             struct err *err)
{
    for (size_t i = 0; i < route->parsed.count; i++)
    {
        const struct segment *segment = &route->parsed.segments[i];
        if (segment->kind == SEGMENT_LITERAL) continue;
        struct slice value = segment->kind == SEGMENT_REST ? path_rest(path, i) : path->segments[i];
        if (slice_is(segment->text, "entity"))
            TRY(entity_set(match, value, err));
        else
            match->params[match->param_count++] = (struct route_param){segment->text, value};
    }
    match->own = true;
    match->socket = route->socket;
    match->origins = route->origins;
    match->app = route->app;
    match->function = route->function;
    return STATUS_OK;
}

/* /{app}/{function}[/{entity...}] */
static enum status default_match(const struct routes *routes, const struct path *path,
                                 struct route_match *match, struct err *err)
{
    struct slice name = path->count > 0 ? path->segments[0] : SLICE_EMPTY;
    struct slice function_name = path->count > 1 ? path->segments[1] : SLICE_EMPTY;
    const struct app *app = map_get(&routes->apps, name);
    if (app && function_name.size == 0)
        return err_set(err, STATUS_ROUTE_NOT_FOUND, "the path names app %s but none of its functions",
                       app->name);
    if (name.size == 0 || function_name.size == 0)
        return err_set(err, STATUS_ROUTE_NOT_FOUND, "no route matches this path");
    if (!app) return err_set(err, STATUS_APP_NOT_FOUND, "no app named %.*s is deployed", SLICE_FMT(name));
    const char *function = map_get(&app->functions, function_name);
    if (!function)
        return err_set(err, STATUS_FUNCTION_NOT_FOUND, "app %s has no function named %.*s", app->name,
                       SLICE_FMT(function_name));
    if (path->count > 2) TRY(entity_set(match, path_rest(path, 2), err));
    match->app = app->name;
    match->function = function;
    return STATUS_OK;
}

enum status routes_match(const struct routes *routes, struct slice method, struct slice raw,
                         struct route_match *match, struct err *err)
{
    match->own = match->socket = false;
    match->origins = NULL;
    match->app = match->function = NULL;
    match->entity = SLICE_EMPTY;
    match->param_count = 0;
    match->allow[0] = 0;
    struct path path;
    TRY(path_split(raw, match, &path, err));
    const struct route *route = node_match(&routes->root, &path, 0, method, match);
    if (route)
    {
        match->allow[0] = 0;
        return own_match(route, &path, match, err);
    }
    enum status status = default_match(routes, &path, match, err);
    if (status == STATUS_OK || !match->allow[0])
    {
        match->allow[0] = 0;
        return status;
    }
    return err_set(err, STATUS_METHOD_NOT_ALLOWED, "this path takes %s, not %.*s", match->allow,
                   method.size > 32 ? 32 : (int)method.size, (const char *)method.data);
}
