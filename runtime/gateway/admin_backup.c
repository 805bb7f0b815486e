/* admin_backup.c - the whole node as a directory, while it works: catalog, code, and every partition of every app. */
// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/catalog/catalog.h"
#include "runtime/gateway/admin_call.h"
#include "runtime/gateway/admin_job.h"

/* One store of the node. */
struct part {
    struct store *store;
    char *name; /* its place below the data directory and below the backup: "system", "apps/bank/p0" */
    struct store_backup_info info;
};

struct backup {
    struct admin_job job;
    char *dir;
    char *artifacts; /* of the node */
    struct part *parts; /* the system store first: an app that it knows has its code and state here too */
    size_t part_count;
    struct artifact_id *codes;
    size_t code_count;
    json_t *unused; /* apps that were removed and whose state was kept: nobody has it open */
    uint64_t started_ms;
};

static enum status dir_make(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) return STATUS_OK;
    enum status status = errno == ENOSPC ? STATUS_STORE_FULL : errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    return err_errno(err, status, errno, "make directory %s", path);
}

/* ---- the parts, one after another, off the loop ---- */

/* Makes the directories above `dir`/`name`; the last one is the store's own affair. */
static enum status parents_make(const char *dir, const char *name, struct err *err)
{
    struct buf path = BUF_INIT;
    enum status status = STATUS_OK;
    buf_printf(&path, "%s/", dir);
    for (const char *slash; (slash = strchr(name, '/')) && status == STATUS_OK; name = slash + 1)
    {
        buf_append(&path, slice_make(name, (size_t)(slash - name)));
        status = dir_make(buf_cstr(&path), err);
        buf_append_byte(&path, '/');
    }
    buf_fini(&path);
    return status;
}

static enum status part_copy(struct backup *backup, struct part *part, struct err *err)
{
    admin_job_step(&backup->job, part->name);
    TRY(parents_make(backup->dir, part->name, err));
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/%s", backup->dir, part->name);
    enum status status = store_backup(part->store, buf_cstr(&path), &backup->job.progress, &part->info, err);
    buf_fini(&path);
    return status == STATUS_OK ? status : err_wrap(err, status, "back up %s", part->name);
}

static enum status code_read(const char *path, struct buf *code, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, STATUS_IO, errno, "open %s", path);
    ssize_t got;
    while ((got = read(fd, buf_reserve(code, 64 * KIB), 64 * KIB)) > 0) code->size += (size_t)got;
    int error = errno;
    close(fd);
    return got == 0 ? STATUS_OK : err_errno(err, STATUS_IO, error, "read %s", path);
}

static enum status codes_copy(struct backup *backup, struct err *err)
{
    struct buf to = BUF_INIT;
    buf_printf(&to, "%s/artifacts", backup->dir);
    enum status status = STATUS_OK;
    admin_job_step(&backup->job, "code");
    for (size_t i = 0; i < backup->code_count && status == STATUS_OK; i++)
    {
        struct buf path = BUF_INIT, code = BUF_INIT;
        artifact_path(&path, backup->artifacts, &backup->codes[i]);
        status = code_read(buf_cstr(&path), &code, err);
        if (status == STATUS_OK)
            status = artifact_put(buf_cstr(&to), buf_view(&code), &backup->codes[i], err);
        buf_fini(&path);
        buf_fini(&code);
    }
    buf_fini(&to);
    return status;
}

/* The list of what is there, put in its place last: a directory without it is no whole backup. */
static enum status index_write(struct backup *backup, struct err *err)
{
    struct buf path = BUF_INIT, temporary = BUF_INIT;
    buf_printf(&path, "%s/backup.json", backup->dir);
    buf_printf(&temporary, "%s/.backup.json", backup->dir);
    json_t *stores = json_array();
    for (size_t i = 0; i < backup->part_count; i++)
        json_array_append_new(stores, json_string(backup->parts[i].name));
    json_t *index = json_pack("{s:i, s:I, s:o}", "format", 1, "made_ms", (json_int_t)backup->started_ms,
                              "stores", stores);
    enum status status = STATUS_OK;
    FILE *file = fopen(buf_cstr(&temporary), "w");
    bool written =
        file && json_dumpf(index, file, JSON_INDENT(1)) == 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (file && fclose(file) != 0) written = false;
    if (!written || rename(buf_cstr(&temporary), buf_cstr(&path)) != 0)
        status = err_errno(err, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_IO, errno, "write %s",
                           buf_cstr(&path));
    json_decref(index);
    buf_fini(&path);
    buf_fini(&temporary);
    return status;
}

static enum status backup_run(struct admin_job *job, struct err *err)
{
    struct backup *backup = CONTAINER_OF(job, struct backup, job);
    TRY(dir_make(backup->dir, err));
    for (size_t i = 0; i < backup->part_count; i++)
    {
        TRY(part_copy(backup, &backup->parts[i], err));
        if (i > 0) continue;
        TRY(codes_copy(backup, err)); /* the system store was the first */
        atomic_store(&job->holds_catalog, false);
    }
    return index_write(backup, err);
}

/* ---- on the loop ---- */

static json_t *backup_result(struct admin_job *job)
{
    const struct backup *backup = CONTAINER_OF(job, struct backup, job);
    json_t *stores = json_array();
    json_int_t bytes = 0;
    for (size_t i = 0; i < backup->part_count; i++)
    {
        const struct store_backup_info *info = &backup->parts[i].info;
        bytes += (json_int_t)info->bytes;
        json_array_append_new(stores,
                              json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "store", backup->parts[i].name,
                                        "base_seq", (json_int_t)info->base_seq, "last_seq",
                                        (json_int_t)info->last_seq, "last_ms", (json_int_t)info->last_wall_ms,
                                        "bytes", (json_int_t)info->bytes, "added", info->added));
    }
    return json_pack("{s:s, s:I, s:o, s:I, s:O}", "dir", backup->dir, "bytes", bytes, "stores", stores,
                     "code", (json_int_t)backup->code_count, "left_out", backup->unused);
}

static void backup_end(struct admin_job *job)
{
    struct backup *backup = CONTAINER_OF(job, struct backup, job);
    for (size_t i = 0; i < backup->part_count; i++) free(backup->parts[i].name);
    free(backup->parts);
    free(backup->codes);
    free(backup->artifacts);
    free(backup->dir);
    json_decref(backup->unused);
    free(backup);
}

static void part_add(struct backup *backup, struct store *store, const char *name)
{
    backup->parts = mem_realloc(backup->parts, (backup->part_count + 1) * sizeof *backup->parts);
    backup->parts[backup->part_count++] = (struct part){.store = store, .name = mem_strdup(name)};
}

static void app_add(struct backup *backup, const struct admin *admin, const struct catalog_app *app)
{
    const struct admin_ports *ports = &admin->config.ports;
    struct slice name = slice_cstr(app->name);
    uint32_t partitions = ports->partitions(ports->ctx, name);
    for (uint32_t p = 0; p < partitions; p++)
    {
        struct buf place = BUF_INIT;
        buf_printf(&place, "apps/%s/p%u", app->name, p);
        part_add(backup, ports->store(ports->ctx, name, p), buf_cstr(&place));
        buf_fini(&place);
    }
    for (size_t i = 0; i < app->version_count; i++)
    {
        backup->codes = mem_realloc(backup->codes, (backup->code_count + 1) * sizeof *backup->codes);
        backup->codes[backup->code_count++] = app->versions[i]->artifact;
    }
}

/* State that a removed app left behind: no store is open, so it is named instead of copied. */
static void unused_find(struct backup *backup, const struct admin *admin)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/apps", admin->config.data);
    DIR *dir = opendir(buf_cstr(&path));
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && !catalog_app_find(admin->config.catalog, slice_cstr(entry->d_name)))
            json_array_append_new(backup->unused, json_string(entry->d_name));
    if (dir) closedir(dir);
    buf_fini(&path);
}

void admin_backup(struct admin_call *call)
{
    const struct admin *admin = call->admin;
    struct slice dir;
    if (!admin_query(call, "dir", &dir) || dir.size == 0 || *(const char *)dir.data != '/')
    {
        admin_fail(call->exchange, STATUS_INVALID_ARGUMENT, "`dir` must be the absolute path of a directory");
        return;
    }
    if (!admin_job_may_start(call)) return;
    struct backup *backup = mem_zalloc(sizeof *backup);
    struct buf artifacts = BUF_INIT;
    backup->job =
        (struct admin_job){.what = "a backup", .run = backup_run, .result = backup_result, .end = backup_end};
    atomic_store(&backup->job.holds_catalog, true);
    backup->dir = mem_cstr(dir);
    buf_printf(&artifacts, "%s/artifacts", admin->config.data);
    backup->artifacts = mem_cstr(buf_view(&artifacts));
    buf_fini(&artifacts);
    backup->unused = json_array();
    backup->started_ms = clock_wall_ms(admin->config.clock);
    part_add(backup, admin->config.system, "system");
    for (size_t i = 0; i < catalog_app_count(admin->config.catalog); i++)
        app_add(backup, admin, catalog_app_at(admin->config.catalog, i));
    unused_find(backup, admin);
    admin_job_start(call, &backup->job);
}
