/* apps.c - opening, switching and closing of running apps. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/apps.h"

#include <malloc.h>
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/base/map.h"
#include "runtime/invoke/invoke.h"
#include "runtime/loop/loop.h"
#include "runtime/node/app_part.h"
#include "runtime/node/app_spec.h"
#include "runtime/node/app_version.h"
#include "runtime/node/state_dir.h"
#include "runtime/router/router.h"
#include "runtime/trigger/consumers.h"
#include "runtime/worker/pool.h"
#include "statestore/statestore.h"

enum {
    REST_LOOK_MS = 1000, /* between two looks for apps that may sleep */
    REST_LOOKS = 2, /* for so many nothing must have happened */
    REST_NEXT_MS = 25, /* from one that goes to sleep to the next: closing waits for the disk */
};

struct apps {
    struct apps_config config;
    char *dir, *artifacts; /* the config's */
    struct map by_name; /* struct app: those that are awake */
    struct map asleep; /* the struct catalog_version, referenced, that an app runs when it is asked for */
    struct loop_timer rest; /* runs while an app is awake */
    bool untrimmed; /* stores were closed since memory was given back */
    struct app_version
        *tried; /* probed and not switched to yet; at most one, deployments run one after another */
};

struct app {
    struct apps *apps;
    char *name;
    uint32_t versions; /* that have not ended yet */
    /* A removal which waits for the last version to end. */
    deploy_on_erased_fn erased;
    void *erased_ctx;
    struct loop_task erase;
    struct app_version *current; /* that the router has; NULL: none */
    uint32_t quiet_looks; /* for so many in a row nothing has happened */
    uint64_t quiet_seq; /* of all partitions together, at the last look */
    uint64_t look_at_ns; /* the next look */
    struct loop_task bury;
    uint32_t partitions;
    struct app_part parts[];
};

static void on_rest(struct loop_timer *timer, void *ctx);
static enum status apps_wake(void *ctx, struct slice name, struct err *err);

struct apps *apps_create(const struct apps_config *config)
{
    struct apps *apps = mem_zalloc(sizeof *apps);
    apps->config = *config;
    apps->dir = mem_strdup(config->dir);
    apps->artifacts = mem_strdup(config->artifacts);
    apps->config.dir = apps->dir;
    apps->config.artifacts = apps->artifacts;
    loop_timer_init(&apps->rest, on_rest, apps);
    router_set_waker(config->router, apps_wake, apps);
    return apps;
}

/* ---- state ---- */

static void app_free(struct app *app)
{
    for (uint32_t i = 0; i < app->partitions; i++) app_part_close(&app->parts[i]);
    free(app->name);
    free(app);
}

static void stores_close(struct app *app)
{
    for (uint32_t i = 0; i < app->partitions; i++) app_part_stop(&app->parts[i]);
}

static void on_bury(struct loop_task *task, void *ctx)
{
    (void)task; /* one of its kind */
    app_free(ctx);
}

/* Freed when the last words of its committers, posted before this, have come. */
static void app_end(struct app *app)
{
    stores_close(app);
    loop_task_init(&app->bury, on_bury, app);
    loop_post(app->apps->config.loop, &app->bury);
}

/* The app of this name with its stores open; opened when they are not. */
static enum status app_open(struct apps *apps, const char *name, uint32_t partitions, struct app **out,
                            struct err *err)
{
    struct app *app = map_get(&apps->by_name, slice_cstr(name));
    if (app)
    {
        TRY(state_dir_check(name, app->partitions, partitions, err));
        *out = app;
        return STATUS_OK;
    }
    app = mem_zalloc(sizeof *app + partitions * sizeof app->parts[0]);
    app->apps = apps;
    app->name = mem_strdup(name);
    app->partitions = partitions;
    enum status status = state_dir_make(apps->dir, name, partitions, err);
    for (uint32_t i = 0; i < partitions && status == STATUS_OK; i++)
        status = app_part_open(&app->parts[i], &apps->config, app->name, i, partitions, err);
    if (status != STATUS_OK)
    {
        app_end(app);
        return status == STATUS_MANIFEST_INVALID ? status : err_wrap(err, status, "state of app '%s'", name);
    }
    map_put(&apps->by_name, slice_cstr(name), app);
    if (!loop_timer_started(&apps->rest))
        loop_timer_start(apps->config.loop, &apps->rest, REST_LOOK_MS, REST_LOOK_MS);
    *out = app;
    return STATUS_OK;
}

static void app_close(struct app *app)
{
    CHECK(app->versions == 0);
    (void)map_remove(&app->apps->by_name, slice_cstr(app->name));
    app_end(app);
}

/* Woken when it sleeps. */
static struct app *app_find(struct apps *apps, struct slice name)
{
    struct app *app = map_get(&apps->by_name, name);
    struct err err = ERR_INIT;
    if (app || !map_get(&apps->asleep, name)) return app;
    if (apps_wake(apps, name, &err) != STATUS_OK)
        log_error("apps.wake", "app=%.*s %s", SLICE_FMT(name), err_text(&err));
    return map_get(&apps->by_name, name);
}

uint32_t apps_partitions(struct apps *apps, struct slice app)
{
    struct app *found = app_find(apps, app);
    return found ? found->partitions : 0;
}

struct store *apps_store(struct apps *apps, struct slice app, uint32_t partition)
{
    struct app *found = app_find(apps, app);
    return found && partition < found->partitions ? found->parts[partition].store : NULL;
}

struct metering *apps_metering(struct apps *apps, struct slice app, uint32_t partition)
{
    struct app *found = app_find(apps, app);
    return found && partition < found->partitions
               ? invoke_partition_metering(found->parts[partition].partition)
               : NULL;
}

struct outbox_part *apps_outbox(struct apps *apps, struct slice app, uint32_t partition)
{
    struct app *found = app_find(apps, app);
    return found && partition < found->partitions ? found->parts[partition].outbox : NULL;
}

struct consumers_part *apps_consumers(struct apps *apps, struct slice app, uint32_t partition)
{
    struct app *found = app_find(apps, app);
    return found && partition < found->partitions ? found->parts[partition].consumers : NULL;
}

struct invoke_partition *apps_partition(struct apps *apps, struct slice app, uint32_t partition)
{
    struct app *found = app_find(apps, app);
    return found && partition < found->partitions ? found->parts[partition].partition : NULL;
}

void apps_each_consumers(const struct apps *apps, apps_consumers_fn tell, void *ctx)
{
    struct map_entry entry;
    for (size_t place = 0; map_next(&apps->by_name, &place, &entry);)
    {
        const struct app *app = entry.value;
        for (uint32_t i = 0; i < app->partitions; i++) tell(ctx, app->name, i, app->parts[i].consumers);
    }
}

/* Whom messages start from now on; NULL: nobody. */
static void consumers_switch(struct app *app, const struct manifest *manifest)
{
    for (uint32_t i = 0; i < app->partitions; i++) consumers_configure(app->parts[i].consumers, manifest);
}

/* ---- versions ---- */

static void on_version_ended(struct app_version *version, void *ctx)
{
    struct app *app = ctx;
    if (app->current == version) app->current = NULL;
    app->versions--;
    if (app->versions == 0 && app->erased) loop_post(app->apps->config.loop, &app->erase);
}

static enum status version_open(struct app *app, struct catalog_version *catalog, struct app_version **out,
                                struct err *err)
{
    app->versions++;
    return app_version_open(out, &app->apps->config, catalog, app->parts, on_version_ended, app, err);
}

/* ---- deployments ---- */

/* What is known at once but told later, as the ports promise. */
struct late_news {
    struct loop_task task;
    void (*done)(void *ctx, enum status status, const struct err *err);
    void *ctx;
    struct err err;
};

static void on_late_news(struct loop_task *task, void *ctx)
{
    struct late_news *late = ctx;
    late->done(late->ctx, late->err.status, &late->err);
    free(late);
}

static void tell_later(struct apps *apps, void (*done)(void *, enum status, const struct err *), void *ctx,
                       const struct err *err)
{
    struct late_news *late = mem_alloc(sizeof *late);
    *late = (struct late_news){.done = done, .ctx = ctx, .err = *err};
    loop_task_init(&late->task, on_late_news, late);
    loop_post(apps->config.loop, &late->task);
}

static void tried_drop(struct apps *apps)
{
    if (!apps->tried) return;
    struct app_version *version = apps->tried;
    apps->tried = NULL;
    app_version_drop(version);
}

static void on_probed(void *ctx, enum status status, const struct err *err)
{
    struct app_version *version = ctx;
    struct app *app = version->ctx;
    struct apps *apps = app->apps;
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
    enum status status = app_open(apps, catalog->manifest->app, catalog->manifest->partitions, &app, &err);
    if (status == STATUS_OK) status = version_open(app, catalog, &apps->tried, &err);
    if (status != STATUS_OK)
    {
        tell_later(apps, done, done_ctx, &err);
        return;
    }
    apps->tried->probed = done;
    apps->tried->probed_ctx = done_ctx;
    /* The same code in all partitions: one of them tells. */
    pool_deployment_probe(apps->tried->parts[0].invoke.deployment, on_probed, apps->tried);
}

/* From now on invocations go to this version; NULL: there is none. */
static void run(struct apps *apps, struct slice name, struct app_version *version)
{
    struct invoke_version *parts[BOUND_PARTITIONS_MAX];
    uint32_t count = version ? version->catalog->manifest->partitions : 0;
    for (uint32_t i = 0; i < count; i++) parts[i] = &version->parts[i].invoke;
    struct app *app = map_get(&apps->by_name, name);
    if (app) app->current = version;
    if (app) app->quiet_looks = 0;
    if (app) consumers_switch(app, version ? version->catalog->manifest : NULL);
    router_switch(apps->config.router, name, parts, count);
}

static void asleep_forget(struct apps *apps, struct slice name)
{
    struct catalog_version *catalog = map_remove(&apps->asleep, name);
    if (catalog) catalog_version_unref(catalog);
}

void apps_on_switch(void *ctx, const char *name, struct catalog_version *catalog)
{
    struct apps *apps = ctx;
    struct app_version *version = NULL;
    asleep_forget(apps, slice_cstr(name));
    if (catalog && apps->tried && apps->tried->catalog == catalog)
    {
        version = apps->tried;
        apps->tried = NULL;
    }
    else if (catalog)
    {
        struct app *app;
        struct err err = ERR_INIT;
        enum status status = app_open(apps, name, catalog->manifest->partitions, &app, &err);
        if (status == STATUS_OK) status = version_open(app, catalog, &version, &err);
        /* Its state was open and its code is kept: what is left to fail here are defects and the memory. */
        if (status != STATUS_OK)
            log_error("apps.switch", "app=%s version=%s code=%s %s", name, catalog->id, status_code(status),
                      err_text(&err));
    }
    run(apps, slice_cstr(name), version);
    log_info("apps.switched", "app=%s version=%s", name, catalog ? catalog->id : "none");
}

/* Something was sent or appended and is still to be done. */
static bool has_work(const struct app *app)
{
    for (uint32_t i = 0; i < app->partitions; i++)
        if (app_part_busy(&app->parts[i])) return true;
    return false;
}

void apps_start(struct apps *apps, const char *name, struct catalog_version *catalog)
{
    struct app *app;
    struct err err = ERR_INIT;
    enum status status = app_open(apps, name, catalog->manifest->partitions, &app, &err);
    if (status == STATUS_OK) consumers_switch(app, catalog->manifest);
    if (status == STATUS_OK && app_spec_may_sleep(catalog->manifest) && !has_work(app))
    {
        map_put(&apps->asleep, slice_cstr(name), catalog_version_ref(catalog));
        app_close(app);
        return;
    }
    if (status == STATUS_OK)
    {
        apps_on_switch(apps, name, catalog);
        return;
    }
    log_error("apps.failed", "app=%s code=%s %s", name, status_code(status), err_text(&err));
    router_fail(apps->config.router, slice_cstr(name), &err);
}

/* ---- sleep: an app that nobody asks for costs an entry in a map, not open stores and their threads ---- */

/* The partition is, and its version has neither processes nor runs there. */
static bool part_quiet(const struct app *app, uint32_t index)
{
    struct pool_stats pool;
    pool_deployment_stats(app->current->parts[index].invoke.deployment, &pool);
    if (pool.zygotes || pool.workers || pool.queued || pool.running) return false;
    return app_part_quiet(&app->parts[index]);
}

/* Its one version has had nothing to do since the last look. */
static bool app_quiet(struct app *app)
{
    if (app->versions != 1 || !app->current || !app_spec_may_sleep(app->current->catalog->manifest))
        return false;
    uint64_t seq = 0;
    for (uint32_t i = 0; i < app->partitions; i++)
    {
        if (!part_quiet(app, i)) return false;
        seq += store_applied_seq(app->parts[i].store);
    }
    bool same = seq == app->quiet_seq;
    app->quiet_seq = seq;
    return same;
}

/* Its version ends; a later look closes its stores. */
static void app_sleep(struct app *app)
{
    struct apps *apps = app->apps;
    struct slice name = slice_cstr(app->name);
    log_debug("apps.sleep", "app=%s", app->name);
    map_put(&apps->asleep, name, catalog_version_ref(app->current->catalog));
    run(apps, name, NULL);
}

/* One that may go a step towards sleep; NULL: none. */
static struct app *find_tired(struct apps *apps)
{
    struct app *tired = NULL;
    struct map_entry entry;
    for (size_t place = 0; map_next(&apps->by_name, &place, &entry);)
    {
        struct app *app = entry.value;
        bool empty = app->versions == 0 && !app->erased;
        if (loop_now_ns(apps->config.loop) >= app->look_at_ns)
        {
            app->quiet_looks = app_quiet(app) ? app->quiet_looks + 1 : 0;
            app->look_at_ns = loop_now_ns(apps->config.loop) + REST_LOOK_MS * NS_PER_MS;
        }
        if (empty || app->quiet_looks >= REST_LOOKS) tired = app;
    }
    return tired;
}

static void on_rest(struct loop_timer *timer, void *ctx)
{
    struct apps *apps = ctx;
    struct app *app = find_tired(apps);
    bool closes = app && app->versions == 0;
    if (closes)
        app_close(app);
    else if (app)
        app_sleep(app);
    apps->untrimmed = apps->untrimmed || closes;
    if (apps->untrimmed && (!app || apps->by_name.count == 0))
    {
        (void)malloc_trim(0); /* tells whether there was anything to give back */
        apps->untrimmed = false;
    }
    if (apps->by_name.count == 0)
        loop_timer_stop(timer);
    else
        loop_timer_start(apps->config.loop, timer, app ? REST_NEXT_MS : REST_LOOK_MS, REST_LOOK_MS);
}

static enum status apps_wake(void *ctx, struct slice name, struct err *err)
{
    struct apps *apps = ctx;
    struct catalog_version *catalog = map_get(&apps->asleep, name);
    if (!catalog) return STATUS_OK;
    struct app *app;
    struct app_version *version;
    TRY(app_open(apps, catalog->manifest->app, catalog->manifest->partitions, &app, err));
    TRY(version_open(app, catalog, &version, err));
    log_debug("apps.wake", "app=%s", app->name);
    asleep_forget(apps, name);
    run(apps, name, version);
    return STATUS_OK;
}

/* ---- removal ---- */

static void on_erase(struct loop_task *task, void *ctx)
{
    struct app *app = ctx;
    struct apps *apps = app->apps;
    deploy_on_erased_fn erased = app->erased;
    void *erased_ctx = app->erased_ctx;
    struct err err = ERR_INIT;
    char *name = mem_strdup(app->name);
    app_close(app);
    enum status status = state_dir_delete(apps->dir, name, &err);
    free(name);
    erased(erased_ctx, status, &err);
}

void apps_erase_state(void *ctx, const char *name, deploy_on_erased_fn done, void *done_ctx)
{
    struct apps *apps = ctx;
    struct app *app = map_get(&apps->by_name, slice_cstr(name));
    if (!app)
    {
        /* Its state could not be opened: damaged, perhaps. All the more it may be deleted. */
        struct err err = ERR_INIT;
        (void)state_dir_delete(apps->dir, name, &err); /* the text has the status */
        tell_later(apps, done, done_ctx, &err);
        return;
    }
    app->erased = done;
    app->erased_ctx = done_ctx;
    loop_task_init(&app->erase, on_erase, app);
    if (app->versions == 0) loop_post(apps->config.loop, &app->erase);
}

/* ---- figures and the end ---- */

void apps_metrics(const struct apps *apps, struct buf *stores)
{
    struct map_entry entry;
    for (size_t place = 0; map_next(&apps->by_name, &place, &entry);)
    {
        const struct app *app = entry.value;
        for (uint32_t i = 0; i < app->partitions; i++) app_part_metrics(&app->parts[i], stores);
    }
}

void apps_stats(const struct apps *apps, struct buf *json)
{
    struct map_entry entry;
    const char *comma = "";
    buf_append_byte(json, '[');
    for (size_t place = 0; map_next(&apps->by_name, &place, &entry);)
    {
        const struct app *app = entry.value;
        for (uint32_t i = 0; i < app->partitions; i++, comma = ",")
        {
            buf_append_cstr(json, comma);
            app_part_stats(&app->parts[i], json);
        }
    }
    buf_append_byte(json, ']');
}

size_t apps_asleep(const struct apps *apps)
{
    return apps->asleep.count;
}

void apps_destroy(struct apps *apps)
{
    if (!apps) return;
    loop_timer_stop(&apps->rest);
    struct map_entry entry;
    size_t place = 0;
    while (map_next(&apps->asleep, &place, &entry)) catalog_version_unref(entry.value);
    map_fini(&apps->asleep);
    place = 0;
    while (map_next(&apps->by_name, &place, &entry))
    {
        struct app *app = entry.value;
        CHECK(app->versions == 0);
        stores_close(app);
        app_free(app); /* the loop has ended */
    }
    map_fini(&apps->by_name);
    free(apps->dir);
    free(apps->artifacts);
    free(apps);
}
