/* admin.c - the table of admin requests, and how they are answered. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/admin.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/catalog/catalog.h"
#include "runtime/gateway/admin_call.h"
#include "runtime/gateway/admin_job.h"
#include "statestore/statestore.h"

/* ---- answers ---- */

static int append(const char *data, size_t size, void *ctx)
{
    buf_append(ctx, slice_make(data, size));
    return 0;
}

static const struct http_header json_header = {{"content-type", 12}, {"application/json", 16}};

const struct http_header admin_ndjson_header = {{"content-type", 12}, {"application/x-ndjson", 20}};

void admin_append_line(struct buf *out, json_t *object)
{
    CHECK(json_dump_callback(object, append, out, JSON_COMPACT) == 0);
    json_decref(object);
    buf_append_byte(out, '\n');
}

void admin_reply_json(struct http_exchange *exchange, int http_status, json_t *object)
{
    struct buf body = BUF_INIT;
    admin_append_line(&body, object);
    http_reply(exchange, http_status, &json_header, 1, buf_view(&body));
    buf_fini(&body);
}

void admin_fail(struct http_exchange *exchange, enum status status, const char *format, ...)
{
    char words[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    http_fail(exchange, &(struct http_failure){.status = status, .message = words});
}

void admin_fail_err(struct http_exchange *exchange, enum status status, const struct err *err)
{
    http_fail(exchange, &(struct http_failure){.status = status, .message = err->text});
}

json_t *admin_error_json(enum status status, const struct err *err)
{
    return json_pack("{s:{s:s, s:s, s:s, s:n}}", "error", "code", status_code(status), "message",
                     err->text[0] ? err->text : status_text(status), "hint", status_hint(status),
                     "invocation");
}

json_t *admin_text(struct slice text)
{
    /* Many readers of JSON, our own among them, stop at a zero byte. */
    if (text.size == 0) return json_string("");
    if (memchr(text.data, 0, text.size)) return NULL;
    return json_stringn(text.data, text.size); /* refuses what is not UTF-8 */
}

/* ---- queries ---- */

bool admin_query(struct admin_call *call, const char *name, struct slice *value)
{
    return http_query_get(call->request->query, name, call->query_bytes, value);
}

bool admin_query_number(struct admin_call *call, const char *name, uint64_t fallback, uint64_t max,
                        uint64_t *number)
{
    struct slice text;
    *number = fallback;
    if (!admin_query(call, name, &text)) return true;
    uint64_t sum = 0;
    bool valid = text.size > 0 && text.size <= 18;
    for (size_t i = 0; i < text.size && valid; i++)
    {
        char digit = ((const char *)text.data)[i];
        valid = digit >= '0' && digit <= '9';
        sum = sum * 10 + (uint64_t)(digit - '0');
    }
    if (valid && sum <= max)
    {
        *number = sum;
        return true;
    }
    admin_fail(call->exchange, STATUS_INVALID_ARGUMENT, "`%s` must be a number from 0 to %llu", name,
               (unsigned long long)max);
    return false;
}

/* ---- requests without a file of their own ---- */

/* Adds one store; false when it takes no writes. */
static bool health_add(json_t *stores, const char *name, const struct store *store)
{
    struct err err = ERR_INIT;
    enum status status = store_health(store, &err);
    json_t *shown = json_pack("{s:s, s:b}", "store", name, "ok", status == STATUS_OK);
    if (status != STATUS_OK) json_object_set_new(shown, "error", json_string(err_text(&err)));
    json_array_append_new(stores, shown);
    return status == STATUS_OK;
}

static void on_health(struct admin_call *call)
{
    const struct admin_config *config = &call->admin->config;
    json_t *stores = json_array();
    bool ok = health_add(stores, "system", config->system);
    for (size_t i = 0; i < catalog_app_count(config->catalog); i++)
    {
        const char *app = catalog_app_at(config->catalog, i)->name;
        uint32_t partitions = config->ports.partitions(config->ports.ctx, slice_cstr(app));
        for (uint32_t p = 0; p < partitions; p++)
        {
            struct buf name = BUF_INIT;
            buf_printf(&name, "apps/%s/p%u", app, p);
            struct store *store = config->ports.store(config->ports.ctx, slice_cstr(app), p);
            ok &= health_add(stores, buf_cstr(&name), store);
            buf_fini(&name);
        }
    }
    admin_reply_json(call->exchange, 200,
                     json_pack("{s:b, s:s, s:s?, s:o}", "ok", ok, "version", STEAD_VERSION, "listen",
                               call->admin->listen, "stores", stores));
}

static void on_stats(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct buf body = BUF_INIT;
    ports->stats(ports->ctx, &body);
    http_reply(call->exchange, 200, &json_header, 1, buf_view(&body));
    buf_fini(&body);
}

/* Answers with the JSON that a port wrote, or with its error. */
static void reply_written(struct admin_call *call, enum status status, struct buf *body,
                          const struct err *err)
{
    if (status == STATUS_OK)
        http_reply(call->exchange, 200, &json_header, 1, buf_view(body));
    else
        admin_fail_err(call->exchange, status, err);
    buf_fini(body);
}

static void on_usage(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct buf body = BUF_INIT;
    struct err err = ERR_INIT;
    struct slice app = SLICE_EMPTY;
    (void)admin_query(call, "app", &app); /* without one: all */
    enum status status = ports->usage(ports->ctx, app, &body, &err);
    reply_written(call, status, &body, &err);
}

static void on_explain(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct slice entity = call->segment_count > 4 ? call->segments[4] : SLICE_EMPTY;
    struct buf body = BUF_INIT;
    struct err err = ERR_INIT;
    enum status status = ports->explain(ports->ctx, call->app, call->segments[3], entity, &body, &err);
    reply_written(call, status, &body, &err);
}

static void on_invoke(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct slice entity = call->segment_count > 4 ? call->segments[4] : SLICE_EMPTY;
    ports->invoke(ports->ctx, call->exchange, call->app, call->segments[3], entity);
}

/* ---- the table ---- */

/* In paths `*` stands for any one segment, `**` for all that are left, which may be none; as a method for any. */
static const struct {
    const char *method;
    const char *path;
    admin_handler_fn handler;
    bool deployed; /* the app must exist */
} table[] = {
    {"GET", "health", on_health, false},
    {"GET", "stats", on_stats, false},
    {"GET", "usage", on_usage, false},
    {"GET", "logs", admin_logs, false},
    {"GET", "apps", admin_apps_list, false},
    {"GET", "apps/*", admin_apps_show, true},
    {"POST", "apps/*", admin_apps_deploy, false},
    {"DELETE", "apps/*", admin_apps_remove, true},
    {"POST", "apps/*/rollback", admin_apps_rollback, true},
    {"*", "apps/*/invoke/*/**", on_invoke, true},
    {"GET", "apps/*/explain/*/**", on_explain, true},
    {"GET", "apps/*/state", admin_state_get, true},
    {"PUT", "apps/*/state", admin_state_put, true},
    {"DELETE", "apps/*/state", admin_state_delete, true},
    {"GET", "apps/*/state/rows", admin_state_rows, true},
    {"GET", "apps/*/state/changes", admin_changes, true},
    {"POST", "apps/*/state/export", admin_export, true},
    {"POST", "apps/*/state/import", admin_import, true},
    {"GET", "apps/*/channels", admin_channels_list, true},
    {"*", "apps/*/channels/*", admin_channel, true},
    {"POST", "apps/*/channels/*/groups/*/cursor", admin_channel_replay, true},
    {"GET", "apps/*/channels/*/groups/*/dead", admin_dead_list, true},
    {"POST", "apps/*/channels/*/groups/*/dead", admin_dead_retry, true},
    {"DELETE", "apps/*/channels/*/groups/*/dead", admin_dead_drop, true},
    {"GET", "apps/*/sends", admin_sends_list, true},
    {"POST", "apps/*/sends/retry", admin_sends_retry, true},
    {"DELETE", "apps/*/sends", admin_sends_drop, true},
    {"POST", "backup", admin_backup, false},
};

enum { TABLE_SIZE = sizeof table / sizeof table[0] };

static struct slice cut(struct slice *rest, char separator)
{
    const char *text = rest->data;
    const char *end = rest->size ? memchr(text, separator, rest->size) : NULL;
    struct slice piece = {text, end ? (size_t)(end - text) : rest->size};
    size_t skip = piece.size + (end != NULL);
    *rest = slice_make(rest->size ? text + skip : NULL, rest->size - skip);
    return piece;
}

/* Matches the encoded path behind /v1/ and notes its segments, still encoded. */
static bool path_matches(const char *pattern, struct slice path, struct admin_call *call)
{
    struct slice want = slice_cstr(pattern);
    call->segment_count = 0;
    while (want.size > 0)
    {
        struct slice expected = cut(&want, '/');
        bool rest = slice_is(expected, "**");
        if (rest && path.size == 0) return true;
        if (path.size == 0) return false;
        struct slice piece = rest ? path : cut(&path, '/');
        if (rest) path = SLICE_EMPTY;
        bool wild = ((const char *)expected.data)[0] == '*';
        if (piece.size == 0 || (!wild && !slice_equal(piece, expected))) return false;
        CHECK(call->segment_count < ADMIN_SEGMENTS_MAX); /* by the table */
        call->segments[call->segment_count++] = piece;
    }
    return path.size == 0;
}

/* In the caller's copy of the path. */
static bool segments_decode(struct admin_call *call)
{
    for (size_t i = 0; i < call->segment_count; i++)
    {
        struct slice *segment = &call->segments[i];
        if (!http_percent_decode(*segment, (char *)segment->data, &segment->size)) return false;
    }
    return true;
}

static void call_handler(struct admin_call *call, size_t place)
{
    if (!segments_decode(call))
    {
        admin_fail(call->exchange, STATUS_MALFORMED_REQUEST, "the path has a damaged %%-escape");
        return;
    }
    if (call->segment_count > 1) call->app = call->segments[1];
    if (table[place].deployed && !catalog_app_find(call->admin->config.catalog, call->app))
    {
        admin_fail(call->exchange, STATUS_APP_NOT_FOUND, "there is no app named `%.*s`",
                   (int)(call->app.size < 80 ? call->app.size : 80), (const char *)call->app.data);
        return;
    }
    table[place].handler(call);
}

static void dispatch(struct admin_call *call, struct slice path)
{
    struct buf allow = BUF_INIT;
    for (size_t i = 0; i < TABLE_SIZE; i++)
    {
        if (!path_matches(table[i].path, path, call)) continue;
        if (table[i].method[0] == '*' || slice_is(call->request->method, table[i].method))
        {
            buf_fini(&allow);
            call_handler(call, i);
            return;
        }
        buf_printf(&allow, "%s%s", allow.size ? ", " : "", table[i].method);
    }
    struct http_failure failure = {.status = STATUS_ROUTE_NOT_FOUND,
                                   .message = "the admin API has no such path"};
    if (allow.size)
        failure = (struct http_failure){.status = STATUS_METHOD_NOT_ALLOWED, .allow = buf_cstr(&allow)};
    http_fail(call->exchange, &failure);
    buf_fini(&allow);
}

void admin_on_request(void *admin, struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    struct admin_call call = {.admin = admin, .exchange = exchange, .request = request};
    struct slice path = request->path;
    if (!slice_starts_with(path, SLICE("/v1/")))
    {
        admin_fail(exchange, STATUS_ROUTE_NOT_FOUND, "this is the admin API: every path begins with /v1/");
        return;
    }
    char *copy = mem_alloc(path.size + request->query.size + 1);
    memcpy(copy, path.data, path.size);
    call.query_bytes = copy + path.size;
    dispatch(&call, slice_make(copy + 4, path.size - 4));
    free(copy);
}

/* ---- life ---- */

struct admin *admin_create(const struct admin_config *config)
{
    struct admin *admin = mem_zalloc(sizeof *admin);
    admin->config = *config;
    list_init(&admin->followers);
    list_init(&admin->watchers);
    return admin;
}

void admin_listening(struct admin *admin, const char *address)
{
    free(admin->listen);
    admin->listen = mem_strdup(address);
}

void admin_drain(struct admin *admin)
{
    admin->draining = true;
    admin_logs_drain(admin);
    admin_changes_end(admin, SLICE_EMPTY);
    if (admin->job) admin_job_cancel(admin->job);
}

void admin_destroy(struct admin *admin)
{
    if (!admin) return;
    CHECK(list_empty(&admin->followers) && list_empty(&admin->watchers) && !admin->job);
    free(admin->listen);
    free(admin);
}
