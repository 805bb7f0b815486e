/* apps.c - opening, switching and closing of running apps. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/apps.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/base/map.h"
#include "runtime/catalog/artifact.h"
#include "runtime/invoke/invoke.h"
#include "runtime/loop/loop.h"
#include "runtime/router/router.h"
#include "runtime/worker/pool.h"
#include "statestore/statestore.h"

struct apps {
    struct apps_config config;
    char *dir;
    char *artifacts;
    struct map by_name; /* struct app */
    struct version
        *tried; /* probed and not switched to yet; at most one, deployments run one after another */
};

struct app {
    struct apps *apps;
    char *name;
    struct store *store;
    struct loop_task reap; /* posted by the committer */
    struct invoke_partition *partition;
    uint32_t versions; /* that have not ended yet */
    /* A removal which waits for the last version to end. */
    deploy_on_erased_fn erased;
    void *erased_ctx;
    struct loop_task erase;
};

/* A catalog version that runs. */
struct version {
    struct invoke_version running;
    struct app *app;
    struct catalog_version *catalog;
    deploy_on_probed_fn probed;
    void *probed_ctx;
};

struct apps *apps_create(const struct apps_config *config)
{
    struct apps *apps = mem_zalloc(sizeof *apps);
    apps->config = *config;
    apps->dir = mem_strdup(config->dir);
    apps->artifacts = mem_strdup(config->artifacts);
    return apps;
}

/* ---- state ---- */

static void on_reap(struct loop_task *task, void *ctx)
{
    struct app *app = ctx;
    store_reap(app->store);
}

static void on_store_wake(void *ctx)
{
    struct app *app = ctx;
    loop_post(app->apps->config.loop, &app->reap);
}

static void app_path(const struct apps *apps, const char *name, const char *below, struct buf *path)
{
    buf_printf(path, "%s/%s%s", apps->dir, name, below);
}

static enum status make_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_errno(err, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_STORE_UNWRITABLE, errno, "make %s",
                         path);
    return STATUS_OK;
}

static void app_free(struct app *app)
{
    free(app->name);
    free(app);
}

/* The app of this name with its store open; opened when it is not. */
static enum status app_open(struct apps *apps, const char *name, struct app **out, struct err *err)
{
    struct app *app = map_get(&apps->by_name, slice_cstr(name));
    if (app)
    {
        *out = app;
        return STATUS_OK;
    }
    app = mem_zalloc(sizeof *app);
    app->apps = apps;
    app->name = mem_strdup(name);
    loop_task_init(&app->reap, on_reap, app);

    struct buf path = BUF_INIT;
    app_path(apps, name, "", &path);
    enum status status = make_dir(apps->dir, err);
    if (status == STATUS_OK) status = make_dir(buf_cstr(&path), err);
    if (status == STATUS_OK)
    {
        buf_append_cstr(&path, "/p0");
        struct store_config config = {
            .dir = buf_cstr(&path),
            .map_bytes = apps->config.map_bytes,
            .clock = apps->config.clock,
            .wake = on_store_wake,
            .wake_ctx = app,
            .unchecked = apps->config.unchecked,
        };
        status = store_open(&app->store, &config, err);
    }
    buf_fini(&path);
    if (status != STATUS_OK)
    {
        app_free(app);
        return err_wrap(err, status, "state of app '%s'", name);
    }
    app->partition = invoke_partition_open(apps->config.engine, app->store);
    map_put(&apps->by_name, slice_cstr(name), app);
    *out = app;
    return STATUS_OK;
}

static void app_close(struct app *app)
{
    CHECK(app->versions == 0);
    (void)map_remove(&app->apps->by_name, slice_cstr(app->name));
    invoke_partition_close(app->partition); /* and the store */
    app_free(app);
}

struct store *apps_store(struct apps *apps, struct slice app)
{
    struct app *found = map_get(&apps->by_name, app);
    return found ? found->store : NULL;
}

/* ---- versions ---- */

static void on_erase(struct loop_task *task, void *ctx);

static void on_deployment_closed(void *ctx)
{
    struct version *version = ctx;
    struct app *app = version->app;
    catalog_version_unref(version->catalog);
    free(version->running.functions);
    free(version);
    app->versions--;
    if (app->versions == 0 && app->erased) loop_post(app->apps->config.loop, &app->erase);
}

static void on_version_unused(struct invoke_version *running)
{
    struct version *version = CONTAINER_OF(running, struct version, running);
    pool_deployment_close(running->deployment, on_deployment_closed, version);
}

static uint32_t sum_u32(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* What the pool must know of the functions: their workers are shared by the app, so the widest limits count. */
static enum status deployment_open(struct apps *apps, struct app *app, struct version *version,
                                   struct err *err)
{
    const struct manifest *manifest = version->catalog->manifest;
    struct buf path = BUF_INIT;
    artifact_path(&path, apps->artifacts, &version->catalog->artifact);
    struct pool_function *functions = mem_zalloc(manifest->function_count * sizeof *functions);
    struct pool_spec spec = {
        .app = app->name,
        .version = version->catalog->id,
        .artifact = buf_cstr(&path),
        .data_fd = store_data_fd(app->store),
        .functions = functions,
        .function_count = manifest->function_count,
    };
    for (size_t i = 0; i < manifest->function_count; i++)
    {
        const struct manifest_function *from = &manifest->functions[i];
        functions[i] = (struct pool_function){.name = from->name, .memory_mb = from->memory_mb};
        if (from->pool.min > spec.workers_min) spec.workers_min = from->pool.min;
        if (from->pool.max > spec.workers_max) spec.workers_max = from->pool.max;
        if (from->pool.idle_ms > spec.idle_ms) spec.idle_ms = from->pool.idle_ms;
        spec.queue_max = sum_u32(spec.queue_max, sum_u32(from->queue, from->concurrency));
    }
    enum status status = pool_deployment_open(apps->config.pool, &spec, &version->running.deployment, err);
    free(functions);
    buf_fini(&path);
    return status;
}

static enum status version_open(struct apps *apps, struct app *app, struct catalog_version *catalog,
                                struct version **out, struct err *err)
{
    const struct manifest *manifest = catalog->manifest;
    struct version *version = mem_zalloc(sizeof *version);
    version->app = app;
    version->catalog = catalog;
    enum status status = deployment_open(apps, app, version, err);
    if (status != STATUS_OK)
    {
        free(version);
        return status;
    }
    catalog_version_ref(catalog);
    app->versions++;
    struct invoke_version *running = &version->running;
    running->partition = app->partition;
    running->refs = 1;
    running->on_unused = on_version_unused;
    running->functions_count = manifest->function_count;
    running->functions = mem_zalloc(manifest->function_count * sizeof *running->functions);
    for (size_t i = 0; i < manifest->function_count; i++)
    {
        const struct manifest_function *from = &manifest->functions[i];
        struct invoke_function *to = &running->functions[i];
        snprintf(to->name, sizeof to->name, "%s", from->name);
        to->timeout_ms = from->timeout_ms;
        to->memory_mb = from->memory_mb;
        to->relaxed = from->durability == DURABILITY_RELAXED;
        to->queue_max = sum_u32(from->queue, from->concurrency);
    }
    *out = version;
    return STATUS_OK;
}

/* ---- deployments ---- */

/* A failure that is told later, as the ports promise. */
struct late_failure {
    struct loop_task task;
    void (*done)(void *ctx, enum status status, const struct err *err);
    void *ctx;
    struct err err;
};

static void on_late_failure(struct loop_task *task, void *ctx)
{
    struct late_failure *late = ctx;
    late->done(late->ctx, late->err.status, &late->err);
    free(late);
}

static void fail_later(struct apps *apps, void (*done)(void *, enum status, const struct err *), void *ctx,
                       const struct err *err)
{
    struct late_failure *late = mem_alloc(sizeof *late);
    *late = (struct late_failure){.done = done, .ctx = ctx, .err = *err};
    loop_task_init(&late->task, on_late_failure, late);
    loop_post(apps->config.loop, &late->task);
}

static void tried_drop(struct apps *apps)
{
    if (!apps->tried) return;
    struct version *version = apps->tried;
    apps->tried = NULL;
    invoke_version_unref(&version->running);
}

static void on_probed(void *ctx, enum status status, const struct err *err)
{
    struct version *version = ctx;
    struct apps *apps = version->app->apps;
    deploy_on_probed_fn done = version->probed;
    void *done_ctx = version->probed_ctx;
    if (status != STATUS_OK) tried_drop(apps);
    done(done_ctx, status, err);
}

void apps_probe(void *ctx, struct catalog_version *catalog, const char *path, deploy_on_probed_fn done,
                void *done_ctx)
{
    struct apps *apps = ctx;
    struct app *app;
    struct err err = ERR_INIT;
    tried_drop(apps); /* of a deployment whose commit failed */
    enum status status = app_open(apps, catalog->manifest->app, &app, &err);
    if (status == STATUS_OK) status = version_open(apps, app, catalog, &apps->tried, &err);
    if (status != STATUS_OK)
    {
        fail_later(apps, done, done_ctx, &err);
        return;
    }
    apps->tried->probed = done;
    apps->tried->probed_ctx = done_ctx;
    pool_deployment_probe(apps->tried->running.deployment, on_probed, apps->tried);
}

void apps_on_switch(void *ctx, const char *name, struct catalog_version *catalog)
{
    struct apps *apps = ctx;
    struct version *version = NULL;
    if (catalog && apps->tried && apps->tried->catalog == catalog)
    {
        version = apps->tried;
        apps->tried = NULL;
    }
    else if (catalog)
    {
        struct app *app;
        struct err err = ERR_INIT;
        enum status status = app_open(apps, name, &app, &err);
        if (status == STATUS_OK) status = version_open(apps, app, catalog, &version, &err);
        /* Its state was open and its code is kept: what is left to fail here are defects and the memory. */
        if (status != STATUS_OK)
            log_error("apps.switch", "app=%s version=%s code=%s %s", name, catalog->id, status_code(status),
                      err_text(&err));
    }
    router_switch(apps->config.router, slice_cstr(name), version ? &version->running : NULL);
    log_info("apps.switched", "app=%s version=%s", name, catalog ? catalog->id : "none");
}

enum status apps_start(struct apps *apps, const char *name, struct catalog_version *catalog, struct err *err)
{
    struct app *app;
    TRY(app_open(apps, name, &app, err));
    apps_on_switch(apps, name, catalog);
    return STATUS_OK;
}

/* ---- removal ---- */

/* Deletes a directory of plain files and directories; the first failure is reported, the rest is still tried. */
static enum status delete_tree(const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir) return errno == ENOENT ? STATUS_OK : err_errno(err, STATUS_IO, errno, "open %s", path);
    enum status status = STATUS_OK;
    struct dirent *entry;
    while ((entry = readdir(dir)))
    {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        struct buf child = BUF_INIT;
        buf_printf(&child, "%s/%s", path, entry->d_name);
        const char *child_path = buf_cstr(&child);
        if (unlink(child_path) != 0)
        {
            enum status below = errno == EISDIR || errno == EPERM
                                    ? delete_tree(child_path, err)
                                    : err_errno(err, STATUS_IO, errno, "delete %s", child_path);
            if (status == STATUS_OK) status = below;
        }
        buf_fini(&child);
    }
    closedir(dir);
    if (rmdir(path) != 0 && status == STATUS_OK) status = err_errno(err, STATUS_IO, errno, "delete %s", path);
    return status;
}

static void on_erase(struct loop_task *task, void *ctx)
{
    struct app *app = ctx;
    struct apps *apps = app->apps;
    deploy_on_erased_fn erased = app->erased;
    void *erased_ctx = app->erased_ctx;
    struct err err = ERR_INIT;
    struct buf path = BUF_INIT;
    app_path(apps, app->name, "", &path);
    app_close(app);
    enum status status = delete_tree(buf_cstr(&path), &err);
    buf_fini(&path);
    erased(erased_ctx, status, &err);
}

void apps_erase_state(void *ctx, const char *name, deploy_on_erased_fn done, void *done_ctx)
{
    struct apps *apps = ctx;
    struct app *app;
    struct err err = ERR_INIT;
    enum status status = app_open(apps, name, &app, &err);
    if (status != STATUS_OK)
    {
        fail_later(apps, done, done_ctx, &err);
        return;
    }
    app->erased = done;
    app->erased_ctx = done_ctx;
    loop_task_init(&app->erase, on_erase, app);
    if (app->versions == 0) loop_post(apps->config.loop, &app->erase);
}

/* ---- figures and the end ---- */

void apps_stats(const struct apps *apps, struct buf *json)
{
    struct map_entry entry;
    const char *comma = "";
    buf_append_byte(json, '[');
    for (size_t place = 0; map_next(&apps->by_name, &place, &entry); comma = ",")
    {
        const struct app *app = entry.value;
        struct store_stats stats;
        store_stats(app->store, &stats);
        buf_printf(
            json,
            "%s{\"app\":\"%s\",\"in_flight\":%u,\"commits\":%llu,\"conflicts\":%llu,\"batches\":%llu,"
            "\"syncs\":%llu,\"bytes_written\":%llu,\"rows\":%llu,\"data_bytes\":%llu,\"durable_seq\":%llu}",
            comma, app->name, invoke_partition_in_flight(app->partition), (unsigned long long)stats.commits,
            (unsigned long long)stats.conflicts, (unsigned long long)stats.batches,
            (unsigned long long)stats.syncs, (unsigned long long)stats.bytes_written,
            (unsigned long long)stats.rows, (unsigned long long)stats.data_bytes,
            (unsigned long long)store_durable_seq(app->store));
    }
    buf_append_byte(json, ']');
}

void apps_destroy(struct apps *apps)
{
    if (!apps) return;
    struct map_entry entry;
    size_t place = 0;
    while (map_next(&apps->by_name, &place, &entry))
    {
        app_close(entry.value);
        place = 0; /* the map has changed */
    }
    map_fini(&apps->by_name);
    free(apps->dir);
    free(apps->artifacts);
    free(apps);
}
