/* deploy.c - one deployment after another: check, keep, probe, commit, switch. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/deploy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/base/map.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/work.h"
#include "statestore/statestore.h"

/* What is done off the loop for one deployment: hashing and writing 128 MiB must not stop it. */
struct keep_job {
    struct loop_work work;
    struct slice manifest_text;
    struct slice code;
    const char *dir;
    const struct manifest *manifest;
    struct map needed; /* artifacts that a sweep must leave */
    struct artifact_id artifact;
    char version[CATALOG_VERSION_ID_BYTES + 1];
    enum status status;
    struct err err;
};

struct deployer {
    struct deploy_config config;
    char *artifacts;
    struct list waiting;
    size_t waiting_count;
    struct list ended; /* whose `done` is due */
    struct loop_task turn;
    void (*closed)(void *ctx);
    void *closed_ctx;
    bool closing;

    struct deploy_request *active; /* NULL: idle; the rest belongs to it */
    struct manifest *manifest;
    struct catalog_version *version; /* what becomes current */
    struct catalog_change change;
    struct store_commit commit;
    struct keep_job keep;
};

/* ---- the end of a request ---- */

static void finish(struct deployer *self, enum status status)
{
    struct deploy_request *request = self->active;
    request->status = status;
    if (status == STATUS_OK && request->kind != DEPLOY_REMOVE)
        request->current = catalog_version_ref(self->version);
    manifest_destroy(self->manifest);
    self->manifest = NULL;
    catalog_version_unref(self->version);
    self->version = NULL;
    catalog_change_drop(&self->change);
    self->active = NULL;
    list_push_back(&self->ended, &request->link);
    loop_post(self->config.loop, &self->turn);
}

/* ---- commit and switch ---- */

static void on_erased(void *ctx, enum status status, const struct err *err)
{
    struct deployer *self = ctx;
    if (status != STATUS_OK && err) self->active->err = *err;
    finish(self, status);
}

static void on_durable(struct store_commit *commit)
{
    struct deployer *self = CONTAINER_OF(commit, struct deployer, commit);
    struct deploy_request *request = self->active;
    if (commit->status != STATUS_OK)
    {
        request->err = commit->err;
        finish(self, commit->status);
        return;
    }
    catalog_apply(self->config.catalog, &self->change);
    const struct deploy_ports *ports = &self->config.ports;
    char name[BOUND_NAME_BYTES_MAX + 1] = {0};
    memcpy(name, request->app.data, request->app.size); /* the catalog knows it, so it fits */
    ports->on_switch(ports->ctx, name, self->version);
    if (request->kind == DEPLOY_REMOVE && request->erase_state)
        ports->erase_state(ports->ctx, name, on_erased, self);
    else
        finish(self, STATUS_OK);
}

static void on_applied(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_durable(commit); /* the only callback of a failed commit */
}

static void commit_change(struct deployer *self)
{
    self->commit = (struct store_commit){.applied = on_applied, .durable = on_durable};
    list_init(&self->commit.link);
    self->commit.writes[0] = buf_view(&self->change.writes);
    store_submit(self->config.store, &self->commit);
}

/* ---- probe ---- */

static void on_probed(void *ctx, enum status status, const struct err *err)
{
    struct deployer *self = ctx;
    if (status == STATUS_OK)
    {
        commit_change(self);
        return;
    }
    if (err) self->active->err = *err;
    finish(self, status);
}

static void probe(struct deployer *self)
{
    struct buf path = BUF_INIT;
    artifact_path(&path, self->artifacts, &self->version->artifact);
    const struct deploy_ports *ports = &self->config.ports;
    ports->probe(ports->ctx, self->version, buf_cstr(&path), on_probed, self);
    buf_fini(&path);
}

static void note_previous(struct deploy_request *request, const struct catalog_app *app)
{
    if (app) memcpy(request->previous, catalog_app_current(app)->id, sizeof request->previous);
}

/* ---- a new version ---- */

static bool keep_needed(void *ctx, const struct artifact_id *id)
{
    const struct keep_job *job = ctx;
    return map_get(&job->needed, slice_cstr(id->hex)) != NULL;
}

static enum status complain_of_mount(const struct manifest *manifest, size_t index, struct err *err,
                                     const char *words)
{
    const struct manifest_mount *mount = &manifest->mounts[index];
    return err_set(err, STATUS_MANIFEST_INVALID, "stead.yaml:%u: mounts[%zu].from: `%s` %s", mount->line,
                   index, mount->from, words);
}

/* Nobody may read the state of others by mounting it: neither the node's directory, nor what is around or in it. */
static bool holds_state(const char *path, const char *data_dir)
{
    char *real = realpath(path, NULL), *own = realpath(data_dir, NULL);
    bool holds = false;
    if (real && own)
    {
        size_t shorter = strlen(real) < strlen(own) ? strlen(real) : strlen(own);
        const char *longer = strlen(real) < strlen(own) ? own : real;
        holds = strncmp(real, own, shorter) == 0 &&
                (longer[shorter] == 0 || longer[shorter] == '/' || shorter == 1 /* the root */);
    }
    free(real);
    free(own);
    return holds;
}

static enum status check_mounts(const struct manifest *manifest, const char *artifacts, struct err *err)
{
    struct buf data_dir = BUF_INIT;
    buf_printf(&data_dir, "%s/..", artifacts);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < manifest->mount_count && status == STATUS_OK; i++)
    {
        const char *from = manifest->mounts[i].from;
        struct stat what;
        if (stat(from, &what) != 0)
            status = complain_of_mount(manifest, i, err,
                                       errno == ENOENT ? "is not there on the node's machine"
                                                       : "cannot be reached by the node");
        else if (!S_ISREG(what.st_mode) && !S_ISDIR(what.st_mode))
            status = complain_of_mount(manifest, i, err, "is neither a file nor a directory");
        else if (holds_state(from, buf_cstr(&data_dir)))
            status =
                complain_of_mount(manifest, i, err, "leads to the node's own data, which no app may read");
    }
    buf_fini(&data_dir);
    return status;
}

/* A worker that has used up its memory before it runs would serve nobody. */
static enum status check_memory(const struct manifest *manifest, struct slice code, struct err *err)
{
    uint64_t data_mb = artifact_data_bytes(code) / MIB;
    for (size_t i = 0; i < manifest->function_count; i++)
    {
        const struct manifest_function *function = &manifest->functions[i];
        if (data_mb >= function->memory_mb)
            return err_set(
                err, STATUS_MANIFEST_INVALID,
                "stead.yaml:%u: functions[%zu].memory_mb: %u is not more than the %llu MB that the "
                "variables of `%s` take when it is loaded",
                function->line, i, function->memory_mb, (unsigned long long)data_mb, manifest->code);
    }
    return STATUS_OK;
}

static void keep_run(struct loop_work *work)
{
    struct keep_job *job = CONTAINER_OF(work, struct keep_job, work);
    job->status = check_mounts(job->manifest, job->dir, &job->err);
    if (job->status == STATUS_OK) job->status = artifact_check(job->code, &job->err);
    if (job->status == STATUS_OK) job->status = check_memory(job->manifest, job->code, &job->err);
    if (job->status == STATUS_OK)
    {
        job->artifact = artifact_id_of(job->code);
        catalog_version_id(job->version, job->manifest_text, job->code);
        (void)artifact_sweep(job->dir, keep_needed, job); /* what is left over goes the next time */
        job->status = artifact_put(job->dir, job->code, &job->artifact, &job->err);
    }
}

static void on_kept(struct loop_work *work)
{
    struct keep_job *job = CONTAINER_OF(work, struct keep_job, work);
    struct deployer *self = CONTAINER_OF(job, struct deployer, keep);
    struct deploy_request *request = self->active;
    map_fini(&job->needed);
    if (job->status != STATUS_OK)
    {
        request->err = job->err;
        finish(self, job->status);
        return;
    }
    self->version = catalog_version_create(job->version, &job->artifact, clock_wall_ms(self->config.clock),
                                           request->manifest_text, self->manifest);
    self->manifest = NULL;
    const struct catalog_app *app = catalog_app_find(self->config.catalog, request->app);
    note_previous(request, app);
    if (app && strcmp(catalog_app_current(app)->id, self->version->id) == 0)
    {
        request->unchanged = true;
        finish(self, STATUS_OK);
        return;
    }
    enum status status =
        catalog_plan_deploy(self->config.catalog, self->version, &self->change, &request->err);
    if (status == STATUS_OK)
        probe(self);
    else
        finish(self, status);
}

/* The artifacts of all versions; the map's values only say that a key is there. */
static void list_needed(struct map *needed, const struct catalog *catalog)
{
    *needed = MAP_INIT;
    for (size_t i = 0; i < catalog_app_count(catalog); i++)
    {
        const struct catalog_app *app = catalog_app_at(catalog, i);
        for (size_t j = 0; j < app->version_count; j++)
            (void)map_put(needed, slice_cstr(app->versions[j]->artifact.hex), app->versions[j]);
    }
}

static enum status begin_new(struct deployer *self, struct deploy_request *request)
{
    TRY(manifest_parse(request->manifest_text, "stead.yaml", &self->manifest, &request->err));
    if (!slice_is(request->app, self->manifest->app))
        return err_set(&request->err, STATUS_MANIFEST_INVALID, "stead.yaml: is of app `%s`, not of `%.*s`",
                       self->manifest->app, SLICE_FMT(request->app));
    self->keep = (struct keep_job){.work = {.run = keep_run, .done = on_kept},
                                   .manifest_text = request->manifest_text,
                                   .code = request->code,
                                   .dir = self->artifacts,
                                   .manifest = self->manifest};
    list_needed(&self->keep.needed, self->config.catalog);
    loop_work_start(self->config.loop, &self->keep.work);
    return STATUS_OK;
}

/* ---- rollback and removal ---- */

static enum status begin_rollback(struct deployer *self, struct deploy_request *request)
{
    const struct catalog_app *app = catalog_app_find(self->config.catalog, request->app);
    if (!app)
        return err_set(&request->err, STATUS_APP_NOT_FOUND, "there is no app named `%.*s`",
                       SLICE_FMT(request->app));
    struct catalog_version *version =
        request->version.size ? catalog_version_find(app, request->version) : catalog_version_before(app);
    if (!version && request->version.size)
        return err_set(&request->err, STATUS_VERSION_NOT_FOUND, "app `%s` has no version `%.*s`", app->name,
                       SLICE_FMT(request->version));
    if (!version)
        return err_set(&request->err, STATUS_VERSION_NOT_FOUND,
                       "app `%s` has no version before the current one", app->name);
    note_previous(request, app);
    self->version = catalog_version_ref(version);
    if (version == catalog_app_current(app))
    {
        request->unchanged = true;
        finish(self, STATUS_OK);
        return STATUS_OK;
    }
    TRY(catalog_plan_current(self->config.catalog, request->app, version, &self->change, &request->err));
    probe(self);
    return STATUS_OK;
}

static enum status begin_remove(struct deployer *self, struct deploy_request *request)
{
    TRY(catalog_plan_remove(self->config.catalog, request->app, &self->change, &request->err));
    note_previous(request, catalog_app_find(self->config.catalog, request->app));
    commit_change(self);
    return STATUS_OK;
}

/* ---- the queue ---- */

static void begin(struct deployer *self, struct deploy_request *request)
{
    self->active = request;
    enum status status = request->kind == DEPLOY_NEW        ? begin_new(self, request)
                         : request->kind == DEPLOY_ROLLBACK ? begin_rollback(self, request)
                                                            : begin_remove(self, request);
    if (status != STATUS_OK) finish(self, status);
}

static void run_ended(struct deployer *self)
{
    for (struct list *link; (link = list_pop_front(&self->ended));)
    {
        struct deploy_request *request = CONTAINER_OF(link, struct deploy_request, link);
        struct catalog_version *current = request->current;
        request->done(request); /* which may free it */
        catalog_version_unref(current);
    }
}

static void refuse(struct deployer *self, struct deploy_request *request, enum status status,
                   const char *words)
{
    request->status = err_set(&request->err, status, "%s", words);
    list_push_back(&self->ended, &request->link);
}

static void destroy(struct deployer *self)
{
    void (*closed)(void *ctx) = self->closed;
    void *ctx = self->closed_ctx;
    free(self->artifacts);
    free(self);
    closed(ctx);
}

static void on_turn(struct loop_task *task, void *ctx)
{
    struct deployer *self = ctx;
    if (self->closing)
        for (struct list *link; (link = list_pop_front(&self->waiting));)
            refuse(self, CONTAINER_OF(link, struct deploy_request, link), STATUS_DRAINING,
                   "the node is stopping");
    run_ended(self);
    if (self->active) return;
    struct list *next = list_pop_front(&self->waiting);
    if (next)
    {
        self->waiting_count--;
        begin(self, CONTAINER_OF(next, struct deploy_request, link));
    }
    else if (self->closing && list_empty(&self->ended))
        destroy(self);
}

void deployer_submit(struct deployer *deployer, struct deploy_request *request)
{
    request->status = STATUS_OK;
    request->err = ERR_INIT;
    request->current = NULL;
    request->previous[0] = 0;
    request->unchanged = false;
    if (deployer->waiting_count == BOUND_DEPLOYS_WAITING_MAX)
        refuse(deployer, request, STATUS_OVERLOADED, "too many deployments wait");
    else
    {
        list_push_back(&deployer->waiting, &request->link);
        deployer->waiting_count++;
    }
    loop_post(deployer->config.loop, &deployer->turn);
}

struct deployer *deployer_create(const struct deploy_config *config)
{
    struct deployer *self = mem_zalloc(sizeof *self);
    self->config = *config;
    self->artifacts = mem_strdup(config->artifacts);
    self->config.artifacts = self->artifacts;
    list_init(&self->waiting);
    list_init(&self->ended);
    loop_task_init(&self->turn, on_turn, self);
    return self;
}

void deployer_close(struct deployer *deployer, void (*closed)(void *ctx), void *ctx)
{
    CHECK(!deployer->closing);
    deployer->closing = true;
    deployer->closed = closed;
    deployer->closed_ctx = ctx;
    loop_post(deployer->config.loop, &deployer->turn);
}
