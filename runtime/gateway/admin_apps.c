/* admin_apps.c - apps by the admin API: list, show, deploy, roll back, remove. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/catalog/bundle.h"
#include "runtime/catalog/catalog.h"
#include "runtime/catalog/deploy.h"
#include "runtime/gateway/admin_call.h"
#include "runtime/gateway/admin_job.h"

/* ---- list and show ---- */

static json_t *function_names(const struct manifest *manifest)
{
    json_t *names = json_array();
    for (size_t i = 0; i < manifest->function_count; i++)
        json_array_append_new(names, json_string(manifest->functions[i].name));
    return names;
}

void admin_apps_list(struct admin_call *call)
{
    const struct catalog *catalog = call->admin->config.catalog;
    json_t *apps = json_array();
    for (size_t i = 0; i < catalog_app_count(catalog); i++)
    {
        const struct catalog_app *app = catalog_app_at(catalog, i);
        const struct catalog_version *current = catalog_app_current(app);
        json_array_append_new(apps, json_pack("{s:s, s:s, s:I, s:o, s:I}", "app", app->name, "version",
                                              current->id, "deployed_ms", (json_int_t)current->deployed_ms,
                                              "functions", function_names(current->manifest), "versions",
                                              (json_int_t)app->version_count));
    }
    admin_reply_json(call->exchange, 200, json_pack("{s:o}", "apps", apps));
}

static json_t *show_function(const struct manifest_function *function)
{
    json_t *methods = json_array();
    for (size_t i = 0; i < function->method_count; i++)
        json_array_append_new(methods, json_string(function->methods[i]));
    return json_pack(
        "{s:s, s:i, s:i, s:s, s:o, s:i, s:i, s:{s:i, s:i}, s:i, s:i, s:{s:i, s:i, s:i}}", "name",
        function->name, "timeout_ms", (int)function->timeout_ms, "memory_mb", (int)function->memory_mb,
        "durability", function->durability == DURABILITY_RELAXED ? "relaxed" : "durable", "methods", methods,
        "concurrency", (int)function->concurrency, "queue", (int)function->queue, "rate", "per_second",
        (int)function->rate.per_second, "burst", (int)function->rate.burst, "body_bytes_max",
        (int)function->body_bytes_max, "reply_bytes_max", (int)function->reply_bytes_max, "pool", "min",
        (int)function->pool.min, "max", (int)function->pool.max, "idle_ms", (int)function->pool.idle_ms);
}

/* With the functions that its messages start. */
static json_t *show_channel(const struct manifest *manifest, const struct manifest_channel *channel)
{
    json_t *functions = json_array();
    for (size_t i = 0; i < manifest->subscription_count; i++)
        if (strcmp(manifest->subscriptions[i].channel, channel->name) == 0)
            json_array_append_new(functions, json_string(manifest->subscriptions[i].function));
    bool durable = channel->kind == CHANNEL_DURABLE;
    json_t *json = json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", channel->name, "kind",
                             durable ? "durable" : "live", "from_outside", channel->from_outside, "http",
                             manifest_channel_http_word(channel->http), "functions", functions);
    if (!durable) return json;
    json_object_set_new(json, "keep_hours", json_integer(channel->keep_hours));
    json_object_set_new(json, "keep_mb", json_integer(channel->keep_mb));
    return json;
}

void admin_apps_show(struct admin_call *call)
{
    const struct catalog_app *app = catalog_app_find(call->admin->config.catalog, call->app);
    const struct manifest *manifest = catalog_app_current(app)->manifest;
    json_t *functions = json_array(), *routes = json_array(), *versions = json_array();
    json_t *channels = json_array();
    for (size_t i = 0; i < manifest->function_count; i++)
        json_array_append_new(functions, show_function(&manifest->functions[i]));
    for (size_t i = 0; i < manifest->route_count; i++)
        json_array_append_new(routes,
                              json_pack("{s:s, s:s, s:s}", "method", manifest->routes[i].method, "path",
                                        manifest->routes[i].path, "function", manifest->routes[i].function));
    for (size_t i = 0; i < manifest->channel_count; i++)
        json_array_append_new(channels, show_channel(manifest, &manifest->channels[i]));
    for (size_t i = app->version_count; i-- > 0;) /* newest first */
        json_array_append_new(versions, json_pack("{s:s, s:I, s:b}", "version", app->versions[i]->id,
                                                  "deployed_ms", (json_int_t)app->versions[i]->deployed_ms,
                                                  "current", i == app->current));
    admin_reply_json(call->exchange, 200,
                     json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "app", app->name, "version",
                               catalog_app_current(app)->id, "functions", functions, "routes", routes,
                               "channels", channels, "versions", versions));
}

/* ---- changes ---- */

/* A deployment under way: holds the exchange, whose body holds the code. */
struct change {
    struct deploy_request request;
    struct admin *admin;
    struct http_exchange *exchange;
    char *app;
    char *version;
};

static void change_end(struct change *change)
{
    change->admin->removals -= change->request.kind == DEPLOY_REMOVE;
    free(change->app);
    free(change->version);
    free(change);
}

static json_t *text_or_null(const char *text)
{
    return *text ? json_string(text) : json_null();
}

static void on_done(struct deploy_request *request)
{
    struct change *change = CONTAINER_OF(request, struct change, request);
    if (request->status != STATUS_OK)
        admin_fail_err(change->exchange, request->status, &request->err);
    else if (request->kind == DEPLOY_REMOVE)
        admin_reply_json(
            change->exchange, 200,
            json_pack("{s:s, s:s}", "app", change->app, "state", request->erase_state ? "deleted" : "kept"));
    else
        admin_reply_json(change->exchange, 200,
                         json_pack("{s:s, s:s, s:o, s:b, s:o}", "app", change->app, "version",
                                   request->current->id, "previous", text_or_null(request->previous),
                                   "unchanged", request->unchanged, "functions",
                                   function_names(request->current->manifest)));
    change_end(change);
}

static struct change *change_create(struct admin_call *call, enum deploy_kind kind)
{
    struct change *change = mem_zalloc(sizeof *change);
    change->admin = call->admin;
    change->exchange = call->exchange;
    change->app = mem_cstr(call->app);
    change->request.kind = kind;
    change->request.app = slice_cstr(change->app);
    change->request.done = on_done;
    return change;
}

/* Manifest and code out of the upload; they stay in the exchange's body. */
static enum status upload_read(struct slice body, struct slice *manifest_text, struct slice *code,
                               struct err *err)
{
    struct bundle bundle;
    struct manifest *manifest;
    TRY(bundle_decode(body, &bundle, err));
    TRY(manifest_parse(bundle.manifest, "stead.yaml", &manifest, err));
    const struct bundle_file *file = bundle_find(&bundle, slice_cstr(manifest->code));
    enum status status = STATUS_OK;
    if (!file)
        status =
            err_set(err, STATUS_MANIFEST_INVALID, "stead.yaml:%zu: code: there is no file `%s` in the upload",
                    manifest->code_line, manifest->code);
    manifest_destroy(manifest);
    if (status != STATUS_OK) return status;
    *manifest_text = bundle.manifest;
    *code = file->content;
    return STATUS_OK;
}

/* While a backup copies the catalog and the code, neither may change. Answers when that is so. */
static bool is_held(struct admin_call *call)
{
    const struct admin_job *job = call->admin->job;
    bool held = job && atomic_load(&job->holds_catalog);
    if (held) admin_fail(call->exchange, STATUS_BUSY, "%s is under way", job->what);
    return held;
}

void admin_apps_deploy(struct admin_call *call)
{
    struct slice manifest_text, code;
    struct err err = ERR_INIT;
    if (is_held(call)) return;
    enum status status = upload_read(call->request->body, &manifest_text, &code, &err);
    if (status != STATUS_OK)
    {
        admin_fail_err(call->exchange, status, &err);
        return;
    }
    struct change *change = change_create(call, DEPLOY_NEW);
    change->request.manifest_text = manifest_text;
    change->request.code = code;
    deployer_submit(call->admin->config.deployer, &change->request);
}

void admin_apps_rollback(struct admin_call *call)
{
    if (is_held(call)) return;
    struct change *change = change_create(call, DEPLOY_ROLLBACK);
    struct slice version;
    if (admin_query(call, "version", &version))
    {
        change->version = mem_cstr(version);
        change->request.version = slice_cstr(change->version);
    }
    deployer_submit(call->admin->config.deployer, &change->request);
}

void admin_apps_remove(struct admin_call *call)
{
    struct slice state;
    bool erase = admin_query(call, "state", &state);
    if (erase && !slice_is(state, "delete"))
    {
        admin_fail(call->exchange, STATUS_INVALID_ARGUMENT, "`state` can only be `delete`");
        return;
    }
    if (call->admin->job)
    {
        admin_fail(call->exchange, STATUS_BUSY, "%s is under way", call->admin->job->what);
        return;
    }
    struct change *change = change_create(call, DEPLOY_REMOVE);
    call->admin->removals++;
    admin_changes_end(call->admin, call->app);
    change->request.erase_state = erase;
    deployer_submit(call->admin->config.deployer, &change->request);
}
