/* manifest.c - the schema of stead.yaml, its limits and defaults, and what a schema cannot check. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/manifest.h"

#include <stdio.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/map.h"
#include "runtime/catalog/manifest_channels.h"
#include "runtime/catalog/yaml_doc.h"
#include "runtime/sandbox/broker.h"

enum {
    TIMEOUT_MS_DEFAULT = 10000,
    MEMORY_MB_DEFAULT = 64,
    MEMORY_MB_MIN = 8, /* less does not load the SDK and a C library */
    CONCURRENCY_DEFAULT = 64,
    QUEUE_DEFAULT = 1000,
    POOL_MAX_DEFAULT = 8,
    POOL_IDLE_MS_DEFAULT = 60000,
    METHODS_MAX = 16,
    PIECES_MAX = 16, /* of a path; as routes.h */
    PARAMS_MAX = 8,
    FIELD_TEXT_MAX = 64,
};

static const char *const methods_known[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", NULL};
/* The node answers these itself. */
static const char *const paths_reserved[] = {"healthz", "readyz", "metrics", "v1", NULL};

/* ---- schema ---- */

static const cyaml_strval_t durability_words[] = {{"durable", DURABILITY_DURABLE},
                                                  {"relaxed", DURABILITY_RELAXED}};

static const cyaml_schema_value_t method_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, BOUND_NAME_BYTES_MAX),
};

static const cyaml_schema_field_t pool_fields[] = {
    CYAML_FIELD_UINT("min", CYAML_FLAG_OPTIONAL, struct manifest_pool, min),
    CYAML_FIELD_UINT("max", CYAML_FLAG_OPTIONAL, struct manifest_pool, max),
    CYAML_FIELD_UINT("idle_ms", CYAML_FLAG_OPTIONAL, struct manifest_pool, idle_ms),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t rate_fields[] = {
    CYAML_FIELD_UINT("per_second", CYAML_FLAG_DEFAULT, struct manifest_rate, per_second),
    CYAML_FIELD_UINT("burst", CYAML_FLAG_OPTIONAL, struct manifest_rate, burst),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t function_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct manifest_function, name, 1, CYAML_UNLIMITED),
    CYAML_FIELD_UINT("timeout_ms", CYAML_FLAG_OPTIONAL, struct manifest_function, timeout_ms),
    CYAML_FIELD_UINT("memory_mb", CYAML_FLAG_OPTIONAL, struct manifest_function, memory_mb),
    CYAML_FIELD_ENUM("durability", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct manifest_function,
                     durability, durability_words, 2),
    CYAML_FIELD_SEQUENCE_COUNT("methods", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest_function,
                               methods, method_count, &method_schema, 1, METHODS_MAX),
    CYAML_FIELD_UINT("concurrency", CYAML_FLAG_OPTIONAL, struct manifest_function, concurrency),
    CYAML_FIELD_UINT("cpu_percent", CYAML_FLAG_OPTIONAL, struct manifest_function, cpu_percent),
    CYAML_FIELD_UINT("queue", CYAML_FLAG_OPTIONAL, struct manifest_function, queue),
    CYAML_FIELD_MAPPING("rate", CYAML_FLAG_OPTIONAL, struct manifest_function, rate, rate_fields),
    CYAML_FIELD_UINT("body_bytes_max", CYAML_FLAG_OPTIONAL, struct manifest_function, body_bytes_max),
    CYAML_FIELD_UINT("reply_bytes_max", CYAML_FLAG_OPTIONAL, struct manifest_function, reply_bytes_max),
    CYAML_FIELD_MAPPING("pool", CYAML_FLAG_OPTIONAL, struct manifest_function, pool, pool_fields),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t function_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct manifest_function, function_fields),
};

static const cyaml_schema_value_t origin_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, BOUND_ENV_VALUE_BYTES_MAX),
};

static const cyaml_schema_field_t route_fields[] = {
    CYAML_FIELD_STRING_PTR("method", CYAML_FLAG_POINTER, struct manifest_route, method, 1,
                           BOUND_NAME_BYTES_MAX),
    CYAML_FIELD_STRING_PTR("path", CYAML_FLAG_POINTER, struct manifest_route, path, 1, BOUND_PATH_BYTES_MAX),
    CYAML_FIELD_STRING_PTR("function", CYAML_FLAG_POINTER, struct manifest_route, function, 1,
                           CYAML_UNLIMITED),
    CYAML_FIELD_BOOL("socket", CYAML_FLAG_OPTIONAL, struct manifest_route, socket),
    CYAML_FIELD_SEQUENCE_COUNT("origins", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest_route,
                               origins, origin_count, &origin_schema, 1, BOUND_SOCKET_ORIGINS_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t route_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct manifest_route, route_fields),
};

static const cyaml_strval_t sandbox_words[] = {
    {"strict", SANDBOX_STRICT},
    {"network", SANDBOX_NETWORK},
    {"none", SANDBOX_NONE},
};

static const cyaml_schema_value_t allow_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, BOUND_HOST_BYTES_MAX + sizeof "[]:65535"),
};

static const cyaml_schema_field_t network_fields[] = {
    CYAML_FIELD_SEQUENCE_COUNT("allow", CYAML_FLAG_POINTER, struct manifest_network, allow, allow_count,
                               &allow_schema, 1, BOUND_ALLOW_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t mount_fields[] = {
    CYAML_FIELD_STRING_PTR("from", CYAML_FLAG_POINTER, struct manifest_mount, from, 1, BOUND_PATH_BYTES_MAX),
    CYAML_FIELD_STRING_PTR("to", CYAML_FLAG_POINTER, struct manifest_mount, to, 1, BOUND_PATH_BYTES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t mount_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct manifest_mount, mount_fields),
};

static const cyaml_schema_field_t env_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct manifest_env, name, 1, BOUND_NAME_BYTES_MAX),
    CYAML_FIELD_STRING_PTR("value", CYAML_FLAG_POINTER, struct manifest_env, value, 0,
                           BOUND_ENV_VALUE_BYTES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t env_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct manifest_env, env_fields),
};

static const cyaml_schema_field_t app_limit_fields[] = {
    CYAML_FIELD_UINT("memory_mb", CYAML_FLAG_OPTIONAL, struct manifest_limits, memory_mb),
    CYAML_FIELD_UINT("concurrency", CYAML_FLAG_OPTIONAL, struct manifest_limits, concurrency),
    CYAML_FIELD_UINT("state_bytes_max", CYAML_FLAG_OPTIONAL, struct manifest_limits, state_bytes_max),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t manifest_fields[] = {
    CYAML_FIELD_STRING_PTR("app", CYAML_FLAG_POINTER, struct manifest, app, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("code", CYAML_FLAG_POINTER, struct manifest, code, 1, BOUND_PATH_BYTES_MAX),
    CYAML_FIELD_STRING_PTR("build", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest, build, 1,
                           BOUND_BUILD_COMMAND_BYTES_MAX),
    CYAML_FIELD_UINT("partitions", CYAML_FLAG_OPTIONAL, struct manifest, partitions),
    CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct manifest, limits, app_limit_fields),
    CYAML_FIELD_ENUM("sandbox", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct manifest, sandbox,
                     sandbox_words, 3),
    CYAML_FIELD_MAPPING("network", CYAML_FLAG_OPTIONAL, struct manifest, network, network_fields),
    CYAML_FIELD_SEQUENCE_COUNT("mounts", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest, mounts,
                               mount_count, &mount_schema, 0, BOUND_MOUNTS_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("env", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest, env,
                               env_count, &env_schema, 0, BOUND_ENV_COUNT_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("functions", CYAML_FLAG_POINTER, struct manifest, functions, function_count,
                               &function_schema, 1, BOUND_FUNCTIONS_PER_APP_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("routes", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest, routes,
                               route_count, &route_schema, 0, BOUND_ROUTES_PER_APP_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("channels", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest,
                               channels, channel_count, &manifest_channel_schema, 0,
                               BOUND_CHANNELS_PER_APP_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("subscriptions", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest,
                               subscriptions, subscription_count, &manifest_subscription_schema, 0,
                               BOUND_SUBSCRIPTIONS_PER_APP_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t manifest_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct manifest, manifest_fields),
};

/* 0 tells a field that was left out; where 0 may be said too, the field is a pointer, or 0 is its default. */
static const struct yaml_limit limits[] = {
    {"partitions", 1, BOUND_PARTITIONS_MAX},
    {"limits.memory_mb", MEMORY_MB_MIN, BOUND_MEMORY_MB_MAX},
    {"limits.concurrency", 1, BOUND_CONCURRENCY_MAX},
    {"limits.state_bytes_max", BOUND_STATE_BYTES_LIMIT_MIN, BOUND_STATE_BYTES_LIMIT_MAX},
    {"functions[].timeout_ms", 1, BOUND_TIMEOUT_MS_MAX},
    {"functions[].memory_mb", MEMORY_MB_MIN, BOUND_MEMORY_MB_MAX},
    {"functions[].concurrency", 1, BOUND_CONCURRENCY_MAX},
    {"functions[].cpu_percent", 1, BOUND_CPU_PERCENT_MAX},
    {"functions[].queue", 1, BOUND_QUEUE_PER_FUNCTION_MAX},
    {"functions[].rate.per_second", 1, BOUND_RATE_PER_SECOND_MAX},
    {"functions[].rate.burst", 1, BOUND_RATE_PER_SECOND_MAX},
    {"functions[].body_bytes_max", 1, BOUND_HTTP_BODY_BYTES_ALLOWED},
    {"functions[].reply_bytes_max", 1, BOUND_REPLY_BODY_BYTES_MAX},
    {"functions[].pool.min", 0, BOUND_POOL_WORKERS_MAX},
    {"functions[].pool.max", 1, BOUND_POOL_WORKERS_MAX},
    {"functions[].pool.idle_ms", 1, BOUND_TIMEOUT_MS_MAX},
    {"channels[].keep_hours", 0, BOUND_CHANNEL_KEEP_HOURS_MAX},
    {"channels[].keep_mb", 1, BOUND_CHANNEL_KEEP_MB_MAX},
    {"subscriptions[].batch", 1, BOUND_BATCH_MESSAGES_MAX},
    {"subscriptions[].retries", 0, BOUND_CHANNEL_RETRIES_MAX},
    {NULL, 0, 0},
};

static void fill(uint32_t *field, uint32_t fallback)
{
    if (*field == 0) *field = fallback;
}

static void function_defaults(struct manifest_function *function)
{
    fill(&function->timeout_ms, TIMEOUT_MS_DEFAULT);
    fill(&function->memory_mb, MEMORY_MB_DEFAULT);
    fill(&function->concurrency, CONCURRENCY_DEFAULT);
    fill(&function->queue, QUEUE_DEFAULT);
    fill(&function->rate.burst, function->rate.per_second);
    uint32_t min = function->pool.min;
    fill(&function->pool.max, min > POOL_MAX_DEFAULT ? min : POOL_MAX_DEFAULT);
    fill(&function->pool.idle_ms, POOL_IDLE_MS_DEFAULT);
}

/* ---- names ---- */

static bool name_valid(struct slice name, bool dash)
{
    const char *text = name.data;
    if (name.size == 0 || name.size > BOUND_NAME_BYTES_MAX || text[0] < 'a' || text[0] > 'z') return false;
    for (size_t i = 0; i < name.size; i++)
    {
        bool letter = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9');
        if (!letter && text[i] != '_' && !(dash && text[i] == '-')) return false;
    }
    return true;
}

static bool word_in(const char *const *words, struct slice word)
{
    for (; *words; words++)
        if (slice_is(word, *words)) return true;
    return false;
}

bool manifest_app_name_valid(struct slice name)
{
    return name_valid(name, true) && !word_in(paths_reserved, name);
}

bool manifest_function_name_valid(struct slice name)
{
    return name_valid(name, false);
}

bool manifest_channel_name_valid(struct slice name)
{
    return name_valid(name, true);
}

/* ---- checks ---- */

static enum status check_app(const struct yaml_doc *doc, const struct manifest *manifest, struct err *err)
{
    if (word_in(paths_reserved, slice_cstr(manifest->app)))
        return yaml_doc_complain(doc, err, "app", "`%s` is a path of the node itself; choose another name",
                                 manifest->app);
    if (!manifest_app_name_valid(slice_cstr(manifest->app)))
        return yaml_doc_complain(doc, err, "app",
                                 "`%.80s` is not a name: 1 to %d of a-z, 0-9, - and _, a letter first",
                                 manifest->app, BOUND_NAME_BYTES_MAX);
    struct slice code = slice_cstr(manifest->code);
    if (slice_starts_with(code, SLICE("/")))
        return yaml_doc_complain(doc, err, "code", "must be relative to the manifest, found `%.80s`",
                                 manifest->code);
    return STATUS_OK;
}

/* What the loader and the node read themselves is not the app's to set. */
static bool env_name_reserved(struct slice name)
{
    return slice_starts_with(name, SLICE("LD_")) || slice_starts_with(name, SLICE("STEAD_"));
}

static bool env_name_valid(struct slice name)
{
    const char *text = name.data;
    for (size_t i = 0; i < name.size; i++)
    {
        bool digit = text[i] >= '0' && text[i] <= '9';
        bool letter =
            (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') || text[i] == '_';
        if (!letter && !(digit && i > 0)) return false;
    }
    return name.size > 0;
}

static enum status check_env(const struct yaml_doc *doc, const struct manifest *manifest, struct err *err)
{
    char field[FIELD_TEXT_MAX];
    for (size_t i = 0; i < manifest->env_count; i++)
    {
        const char *name = manifest->env[i].name;
        snprintf(field, sizeof field, "env[%zu].name", i);
        if (!env_name_valid(slice_cstr(name)))
            return yaml_doc_complain(doc, err, field,
                                     "`%s` is not a name: letters, digits and _, no digit first", name);
        if (env_name_reserved(slice_cstr(name)))
            return yaml_doc_complain(doc, err, field, "`%s` is not for apps: LD_ and STEAD_ are reserved",
                                     name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(manifest->env[j].name, name) == 0)
                return yaml_doc_complain(doc, err, field, "`%s` is set before, by env[%zu]", name, j);
    }
    return STATUS_OK;
}

/* Absolute, in its shortest form. */
static bool path_plain(const char *path)
{
    size_t size = strlen(path);
    return path[0] == '/' && path[1] && path[size - 1] != '/' && !strstr(path, "//") &&
           !strstr(path, "/../") && !strstr(path, "/./") &&
           !(size >= 3 && strcmp(path + size - 3, "/..") == 0) && strcmp(path + size - 2, "/.") != 0;
}

static bool path_within(const char *path, const char *other)
{
    size_t size = strlen(other);
    return strncmp(path, other, size) == 0 && (path[size] == '/' || path[size] == 0);
}

/* What the sandbox itself puts there, and what programs trust to be the system's. */
static bool path_of_system(const char *path)
{
    static const char *const places[] = {"/usr", "/lib", "/lib64", "/bin", "/sbin",
                                         "/etc", "/dev", "/proc",  "/sys", SANDBOX_ARTIFACT};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (path_within(path, places[i])) return true;
    return false;
}

static enum status check_mount(const struct yaml_doc *doc, const struct manifest *manifest, size_t index,
                               struct err *err)
{
    struct manifest_mount *mount = &manifest->mounts[index];
    char field[FIELD_TEXT_MAX];
    snprintf(field, sizeof field, "mounts[%zu].from", index);
    mount->line = (uint32_t)yaml_doc_line(doc, field);
    if (!path_plain(mount->from))
        return yaml_doc_complain(doc, err, field, "expected an absolute path without `..`, found `%.200s`",
                                 mount->from);
    snprintf(field, sizeof field, "mounts[%zu].to", index);
    if (!path_plain(mount->to))
        return yaml_doc_complain(doc, err, field, "expected an absolute path without `..`, found `%.200s`",
                                 mount->to);
    if (path_of_system(mount->to))
        return yaml_doc_complain(doc, err, field, "`%.200s` is a place of the system; take another, as /data",
                                 mount->to);
    for (size_t i = 0; i < index; i++)
        if (path_within(mount->to, manifest->mounts[i].to) || path_within(manifest->mounts[i].to, mount->to))
            return yaml_doc_complain(doc, err, field, "`%.200s` and mounts[%zu].to lie in each other",
                                     mount->to, i);
    return STATUS_OK;
}

static enum status check_sandbox(const struct yaml_doc *doc, const struct manifest *manifest, struct err *err)
{
    const struct manifest_network *network = &manifest->network;
    bool wants = manifest->sandbox == SANDBOX_NETWORK;
    if (wants && network->allow_count == 0)
        return yaml_doc_complain(
            doc, err, "sandbox",
            "`network` needs the hosts that may be reached: network: { allow: [\"host:port\"] }");
    if (!wants && network->allow_count > 0)
        return yaml_doc_complain(doc, err, "network", "is for `sandbox: network`, but sandbox is `%s`",
                                 sandbox_profile_name(manifest->sandbox));
    if (manifest->sandbox == SANDBOX_NONE && manifest->mount_count > 0)
        return yaml_doc_complain(
            doc, err, "mounts",
            "is for sandboxes; with `sandbox: none` code reads the machine's files as they are");
    for (size_t i = 0; i < network->allow_count; i++)
    {
        char field[FIELD_TEXT_MAX], host[BOUND_HOST_BYTES_MAX + 1];
        uint16_t port;
        snprintf(field, sizeof field, "network.allow[%zu]", i);
        if (!broker_place_parse(network->allow[i], host, &port))
            return yaml_doc_complain(
                doc, err, field, "expected host:port, as db.example.com:5432 or [::1]:6379, found `%.200s`",
                network->allow[i]);
    }
    for (size_t i = 0; i < manifest->mount_count; i++) TRY(check_mount(doc, manifest, i, err));
    return STATUS_OK;
}

static enum status check_method(const struct yaml_doc *doc, const char *field, const char *method,
                                struct err *err)
{
    if (word_in(methods_known, slice_cstr(method))) return STATUS_OK;
    return yaml_doc_complain(doc, err, field,
                             "expected GET, HEAD, POST, PUT, DELETE, OPTIONS or PATCH, found `%s`", method);
}

static enum status check_function(const struct yaml_doc *doc, const struct manifest_function *function,
                                  size_t index, struct map *names, struct err *err)
{
    char field[FIELD_TEXT_MAX];
    snprintf(field, sizeof field, "functions[%zu].name", index);
    if (!manifest_function_name_valid(slice_cstr(function->name)))
        return yaml_doc_complain(doc, err, field,
                                 "`%.80s` is not a name: 1 to %d of a-z, 0-9 and _, a letter first",
                                 function->name, BOUND_NAME_BYTES_MAX);
    if (map_put(names, slice_cstr(function->name), (void *)function))
        return yaml_doc_complain(doc, err, field, "another function is named `%s`", function->name);
    for (size_t i = 0; i < function->method_count; i++)
    {
        snprintf(field, sizeof field, "functions[%zu].methods[%zu]", index, i);
        TRY(check_method(doc, field, function->methods[i], err));
    }
    snprintf(field, sizeof field, "functions[%zu].pool.min", index);
    if (function->pool.min > function->pool.max)
        return yaml_doc_complain(doc, err, field, "%u exceeds pool.max, which is %u", function->pool.min,
                                 function->pool.max);
    if (function->pool.min > function->concurrency)
        return yaml_doc_complain(doc, err, field, "%u exceeds concurrency, which is %u", function->pool.min,
                                 function->concurrency);
    return STATUS_OK;
}

/* What is wrong with one piece of a path; NULL when nothing is. */
static const char *piece_fault(struct slice piece, bool last, size_t *params)
{
    const char *text = piece.data;
    if (piece.size == 0) return "has an empty piece";
    if (slice_is(piece, ".") || slice_is(piece, "..")) return "must not have . or .. as a piece";
    if (text[0] != '{')
    {
        for (size_t i = 0; i < piece.size; i++)
            if (text[i] <= ' ' || text[i] >= 0x7f || strchr("?#%\"<>\\^`|{}", text[i]))
                return "has a character that must not stand in a path";
        return NULL;
    }
    struct slice name = slice_make(text + 1, piece.size - 1);
    if (name.size == 0 || text[piece.size - 1] != '}') return "has a `{` without its `}`";
    name.size--;
    bool rest = name.size > 3 && memcmp(text + piece.size - 4, "...", 3) == 0;
    if (rest && !last) return "may have {name...} only as its last piece";
    if (rest) name.size -= 3;
    if (!name_valid(name, false)) return "has braces around what is no name";
    if (!slice_is(name, "entity") && ++*params > PARAMS_MAX) return "has more than 8 names in braces";
    return NULL;
}

/* What is wrong with a path; NULL when nothing is. */
static const char *path_fault(const char *path)
{
    size_t pieces = 0, params = 0;
    if (path[0] != '/') return "must begin with /";
    if (path[1] == 0) return NULL;
    for (const char *slash = path; *slash;)
    {
        struct slice piece = slice_make(slash + 1, strcspn(slash + 1, "/"));
        slash += 1 + piece.size;
        if (++pieces > PIECES_MAX) return "has more than 16 pieces";
        const char *fault = piece_fault(piece, *slash == 0, &params);
        if (fault) return fault;
    }
    return NULL;
}

/* The first piece of a path, without its slash. */
static struct slice path_first(const char *path)
{
    return slice_make(path + 1, strcspn(path + 1, "/"));
}

/* The path without the names in its braces: "/carts/{}/{...}". */
static void path_shape(struct buf *shape, const char *path)
{
    for (; *path; path++)
    {
        buf_append_byte(shape, (uint8_t)*path);
        if (*path != '{') continue;
        path += strcspn(path, ".}");
        path--;
    }
}

/* Routes that match the same requests have the same key. */
static void route_key(struct buf *key, const struct manifest_route *route)
{
    buf_printf(key, "%s ", route->method);
    path_shape(key, route->path);
}

/* What browsers send in `Origin`: scheme and host, and nothing behind. */
static bool origin_valid(const char *origin)
{
    if (strcmp(origin, "*") == 0) return true;
    const char *host = strstr(origin, "://");
    if (!host || host == origin || !host[3]) return false;
    for (const char *at = origin; *at; at++)
        if (*at <= ' ' || *at >= 0x7f) return false;
    return !strchr(host + 3, '/');
}

static enum status check_socket(const struct yaml_doc *doc, const struct manifest_route *route, size_t index,
                                struct err *err)
{
    char field[FIELD_TEXT_MAX];
    snprintf(field, sizeof field, "routes[%zu].method", index);
    if (route->socket && strcmp(route->method, "GET") != 0)
        return yaml_doc_complain(doc, err, field,
                                 "a route with `socket: true` has the method GET, found `%s`", route->method);
    snprintf(field, sizeof field, "routes[%zu].origins", index);
    if (route->origin_count && !route->socket)
        return yaml_doc_complain(doc, err, field, "only routes with `socket: true` have origins");
    for (size_t i = 0; i < route->origin_count; i++)
    {
        snprintf(field, sizeof field, "routes[%zu].origins[%zu]", index, i);
        if (!origin_valid(route->origins[i]))
            return yaml_doc_complain(doc, err, field,
                                     "expected `https://HOST`, `http://HOST:PORT` or `*`, found `%.80s`",
                                     route->origins[i]);
    }
    return STATUS_OK;
}

static enum status check_route(const struct yaml_doc *doc, const struct manifest_route *route, size_t index,
                               const struct map *names, struct map *seen, struct err *err)
{
    char field[FIELD_TEXT_MAX];
    snprintf(field, sizeof field, "routes[%zu].method", index);
    if (strcmp(route->method, "*") != 0) TRY(check_method(doc, field, route->method, err));
    snprintf(field, sizeof field, "routes[%zu].path", index);
    const char *fault = path_fault(route->path);
    if (fault) return yaml_doc_complain(doc, err, field, "`%.200s` %s", route->path, fault);
    if (word_in(paths_reserved, path_first(route->path)))
        return yaml_doc_complain(doc, err, field, "`/%.*s` belongs to the node itself",
                                 SLICE_FMT(path_first(route->path)));
    snprintf(field, sizeof field, "routes[%zu].function", index);
    if (!map_get(names, slice_cstr(route->function)))
        return yaml_doc_complain(doc, err, field, "there is no function named `%.80s` in this manifest",
                                 route->function);
    TRY(check_socket(doc, route, index, err));
    snprintf(field, sizeof field, "routes[%zu]", index);
    struct buf key = BUF_INIT;
    route_key(&key, route);
    enum status status = STATUS_OK;
    if (map_put(seen, buf_view(&key), (void *)route))
        status = yaml_doc_complain(doc, err, field, "another route matches `%s %s` too", route->method,
                                   route->path);
    buf_fini(&key);
    return status;
}

/* Each partition must get at least the workers that are kept ready, and one. */
static enum status check_limits(const struct yaml_doc *doc, const struct manifest *manifest, struct err *err)
{
    const struct manifest_limits *app = &manifest->limits;
    for (size_t i = 0; i < manifest->function_count; i++)
    {
        const struct manifest_function *function = &manifest->functions[i];
        uint64_t workers = (uint64_t)manifest->partitions * (function->pool.min ? function->pool.min : 1);
        if (app->concurrency && workers > app->concurrency)
            return yaml_doc_complain(
                doc, err, "limits.concurrency",
                "%u is less than the %llu workers that function `%s` needs in %u partitions",
                app->concurrency, (unsigned long long)workers, function->name, manifest->partitions);
        uint64_t memory_mb = workers * function->memory_mb;
        if (app->memory_mb && memory_mb > app->memory_mb)
            return yaml_doc_complain(doc, err, "limits.memory_mb",
                                     "%u is less than the %llu that function `%s` needs: %llu workers with a "
                                     "memory_mb of %u",
                                     app->memory_mb, (unsigned long long)memory_mb, function->name,
                                     (unsigned long long)workers, function->memory_mb);
    }
    return STATUS_OK;
}

static enum status manifest_check(const struct yaml_doc *doc, struct manifest *manifest, struct err *err)
{
    struct map names = MAP_INIT, routes = MAP_INIT;
    enum status status = check_app(doc, manifest, err);
    fill(&manifest->partitions, 1);
    if (status == STATUS_OK) status = check_sandbox(doc, manifest, err);
    if (status == STATUS_OK) status = check_env(doc, manifest, err);
    for (size_t i = 0; i < manifest->function_count && status == STATUS_OK; i++)
    {
        char field[FIELD_TEXT_MAX];
        snprintf(field, sizeof field, "functions[%zu].name", i);
        manifest->functions[i].line = (uint32_t)yaml_doc_line(doc, field);
        function_defaults(&manifest->functions[i]);
        status = check_function(doc, &manifest->functions[i], i, &names, err);
    }
    if (status == STATUS_OK) status = check_limits(doc, manifest, err);
    for (size_t i = 0; i < manifest->route_count && status == STATUS_OK; i++)
        status = check_route(doc, &manifest->routes[i], i, &names, &routes, err);
    if (status == STATUS_OK) status = manifest_channels_check(doc, manifest, err);
    map_fini(&names);
    map_fini(&routes);
    return status;
}

enum status manifest_parse(struct slice text, const char *file, struct manifest **manifest, struct err *err)
{
    if (text.size > BOUND_MANIFEST_BYTES_MAX)
        return err_set(err, STATUS_MANIFEST_INVALID, "%s: has %zu bytes, at most %llu are allowed", file,
                       text.size, BOUND_MANIFEST_BYTES_MAX);
    const struct yaml_source source = {.file = file,
                                       .text = text,
                                       .schema = &manifest_schema,
                                       .limits = limits,
                                       .failure = STATUS_MANIFEST_INVALID};
    struct yaml_doc *doc;
    void *value;
    TRY(yaml_doc_load(&source, &doc, &value, err));
    struct manifest *fresh = value;
    fresh->code_line = yaml_doc_line(doc, "code");
    enum status status = manifest_check(doc, fresh, err);
    yaml_doc_free(doc);
    if (status == STATUS_OK)
        *manifest = fresh;
    else
        manifest_destroy(fresh);
    return status;
}

void manifest_destroy(struct manifest *manifest)
{
    if (manifest) yaml_value_free(&manifest_schema, manifest);
}

const struct manifest_function *manifest_function_find(const struct manifest *manifest, struct slice name)
{
    for (size_t i = 0; i < manifest->function_count; i++)
        if (slice_is(name, manifest->functions[i].name)) return &manifest->functions[i];
    return NULL;
}

bool manifest_route_same(const struct manifest_route *a, const struct manifest_route *b)
{
    struct buf key_a = BUF_INIT, key_b = BUF_INIT;
    route_key(&key_a, a);
    route_key(&key_b, b);
    bool same = slice_equal(buf_view(&key_a), buf_view(&key_b));
    buf_fini(&key_a);
    buf_fini(&key_b);
    return same;
}
