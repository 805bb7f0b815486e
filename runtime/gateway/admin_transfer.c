/* admin_transfer.c - the rows of an app as files: export one consistent view, import by commits of a few MiB. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/check.h"
#include "runtime/gateway/admin_call.h"
#include "runtime/gateway/admin_job.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum { PARTITIONS_MAX = 1024 /* more than a manifest may ask for */ };

/* `path` of the query: absolute. NULL: answered. */
static char *path_of(struct admin_call *call)
{
    struct slice path;
    if (admin_query(call, "path", &path) && path.size > 0 && *(const char *)path.data == '/')
        return mem_cstr(path);
    admin_fail(call->exchange, STATUS_INVALID_ARGUMENT, "`path` must be the absolute path of a file");
    return NULL;
}

/* The file of one partition: `path` itself when there is only one, else `path`/p0, p1, ... */
static void part_path(struct buf *out, const char *path, uint32_t partition, uint32_t partitions)
{
    buf_append_cstr(out, path);
    if (partitions > 1) buf_printf(out, "/p%u", partition);
}

/* ---- export ---- */

struct export
{
    struct admin_job job;
    char *path;
    struct store **stores;
    struct store_snapshot **snapshots;
    uint32_t partitions;
    struct store_export_info sum;
};

static enum status export_part(struct export *export, uint32_t partition, const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno == EEXIST ? STATUS_ALREADY_EXISTS : STATUS_IO, errno, "create %s", path);
    struct buf low = BUF_INIT, high = BUF_INIT;
    struct store_export_info info = {0};
    enum status status = keyspace_entity_range(&low, &high, SLICE_EMPTY, err);
    if (status == STATUS_OK)
        status = store_export(export->snapshots[partition], buf_view(&low), buf_view(&high), fd,
                              &export->job.progress, &info, err);
    if (status == STATUS_OK && fsync(fd) != 0)
        status = err_errno(err, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_IO, errno, "sync %s", path);
    close(fd);
    if (status != STATUS_OK) (void)unlink(path); /* a part of an export is none */
    export->sum.rows += info.rows;
    export->sum.bytes += info.bytes;
    buf_fini(&low);
    buf_fini(&high);
    return status;
}

static enum status export_run(struct admin_job *job, struct err *err)
{
    struct export *export = CONTAINER_OF(job, struct export, job);
    if (export->partitions > 1 && mkdir(export->path, 0700) != 0)
        return err_errno(err, errno == EEXIST ? STATUS_ALREADY_EXISTS : STATUS_IO, errno, "make directory %s",
                         export->path);
    enum status status = STATUS_OK;
    for (uint32_t p = 0; p < export->partitions && status == STATUS_OK; p++)
    {
        struct buf path = BUF_INIT;
        part_path(&path, export->path, p, export->partitions);
        admin_job_step(job, "rows");
        status = export_part(export, p, buf_cstr(&path), err);
        buf_fini(&path);
    }
    return status;
}

static json_t *export_result(struct admin_job *job)
{
    const struct export *export = CONTAINER_OF(job, struct export, job);
    return json_pack("{s:s, s:I, s:I, s:i}", "path", export->path, "rows", (json_int_t) export->sum.rows,
                     "bytes", (json_int_t) export->sum.bytes, "files", (int)export->partitions);
}

static void export_end(struct admin_job *job)
{
    struct export *export = CONTAINER_OF(job, struct export, job);
    for (uint32_t p = 0; p < export->partitions; p++)
        store_snapshot_release(export->stores[p], export->snapshots[p]);
    free(export->snapshots);
    free(export->stores);
    free(export->path);
    free(export);
}

void admin_export(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    char *path = path_of(call);
    if (!path) return;
    if (!admin_job_may_start(call))
    {
        free(path);
        return;
    }
    struct export *export = mem_zalloc(sizeof *export);
    export->job = (struct admin_job){
        .what = "an export", .run = export_run, .result = export_result, .end = export_end};
    export->path = path;
    export->partitions = ports->partitions(ports->ctx, call->app);
    export->stores = mem_zalloc(export->partitions * sizeof *export->stores);
    export->snapshots = mem_zalloc(export->partitions * sizeof *export->snapshots);
    for (uint32_t p = 0; p < export->partitions; p++)
    {
        export->stores[p] = ports->store(ports->ctx, call->app, p);
        export->snapshots[p] = store_snapshot_take(export->stores[p]);
    }
    admin_job_start(call, &export->job);
}

/* ---- import ---- */

/* What one partition gets of a batch. */
struct share {
    struct store_commit commit;
    struct import *import;
    struct store *store;
    struct buf writes;
};

/* The thread reads and the loop commits: the thread hands over one batch and waits at `turn` until it is durable. */
struct import {
    struct admin_job job;
    char *path;
    struct share *shares;
    uint32_t partitions;
    int turn; /* eventfd: the loop has finished the batch */
    struct loop_task hand_over;
    uint32_t open; /* commits that are not durable yet */
    enum status batch_status;
    struct err batch_err;
    struct store_export_info sum;
};

static void batch_end(struct import *import)
{
    if (--import->open > 0) return;
    uint64_t one = 1;
    CHECK(write(import->turn, &one, sizeof one) == sizeof one);
}

static void on_durable(struct store_commit *commit)
{
    struct import *import = CONTAINER_OF(commit, struct share, commit)->import;
    if (commit->status != STATUS_OK && import->batch_status == STATUS_OK)
    {
        import->batch_status = commit->status;
        import->batch_err = commit->err;
    }
    batch_end(import);
}

static void on_applied(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_durable(commit); /* no other callback comes */
}

static void on_hand_over(struct loop_task *task, void *ctx)
{
    struct import *import = ctx;
    import->open = 1; /* this function's own, so that the batch does not end in the middle of it */
    for (uint32_t p = 0; p < import->partitions; p++)
    {
        struct share *share = &import->shares[p];
        if (share->writes.size == 0) continue;
        share->commit = (struct store_commit){.applied = on_applied, .durable = on_durable};
        list_init(&share->commit.link);
        share->commit.writes[0] = buf_view(&share->writes);
        import->open++;
        store_submit(share->store, &share->commit);
        store_push(share->store);
    }
    batch_end(import);
}

/* On the thread. */
static enum status import_batch(void *ctx, struct slice writes, struct err *err)
{
    struct import *import = ctx;
    for (uint32_t p = 0; p < import->partitions; p++) buf_reset(&import->shares[p].writes);
    size_t offset = 0;
    for (struct write_entry entry; write_set_next(writes, &offset, &entry);)
    {
        struct slice entity, name;
        CHECK(keyspace_row_split(entry.key, &entity, &name)); /* the import has proved it */
        write_set_append(&import->shares[keyspace_partition(entity, import->partitions)].writes, &entry);
    }
    loop_post(import->job.admin->config.loop, &import->hand_over);
    uint64_t turns;
    while (read(import->turn, &turns, sizeof turns) != sizeof turns) CHECK(errno == EINTR);
    if (import->batch_status == STATUS_OK) return STATUS_OK;
    return err_set(err, import->batch_status, "%s", err_text(&import->batch_err));
}

static enum status import_file(struct import *import, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, errno, "open %s", path);
    struct store_export_info info = {0};
    admin_job_step(&import->job, "rows");
    enum status status =
        store_import(fd, SPACE_ROWS, import_batch, import, &import->job.progress, &info, err);
    close(fd);
    import->sum.rows += info.rows;
    import->sum.bytes += info.bytes;
    return status == STATUS_OK ? status : err_wrap(err, status, "%s", path);
}

static enum status import_run(struct admin_job *job, struct err *err)
{
    struct import *import = CONTAINER_OF(job, struct import, job);
    struct stat found;
    if (stat(import->path, &found) != 0 || !S_ISDIR(found.st_mode))
        return import_file(import, import->path, err);
    enum status status = STATUS_OK;
    for (uint32_t p = 0; p < PARTITIONS_MAX && status == STATUS_OK; p++)
    {
        struct buf path = BUF_INIT;
        part_path(&path, import->path, p, PARTITIONS_MAX);
        bool last = p > 0 && access(buf_cstr(&path), F_OK) != 0;
        if (!last) status = import_file(import, buf_cstr(&path), err);
        buf_fini(&path);
        if (last) break;
    }
    return status;
}

static json_t *import_result(struct admin_job *job)
{
    const struct import *import = CONTAINER_OF(job, struct import, job);
    return json_pack("{s:s, s:I, s:I}", "path", import->path, "rows", (json_int_t)import->sum.rows, "bytes",
                     (json_int_t)import->sum.bytes);
}

static void import_end(struct admin_job *job)
{
    struct import *import = CONTAINER_OF(job, struct import, job);
    for (uint32_t p = 0; p < import->partitions; p++) buf_fini(&import->shares[p].writes);
    close(import->turn);
    free(import->shares);
    free(import->path);
    free(import);
}

void admin_import(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    char *path = path_of(call);
    if (!path) return;
    int turn = -1;
    if (!admin_job_may_start(call) || (turn = eventfd(0, EFD_CLOEXEC)) < 0)
    {
        free(path);
        return;
    }
    struct import *import = mem_zalloc(sizeof *import);
    import->job = (struct admin_job){
        .what = "an import", .run = import_run, .result = import_result, .end = import_end};
    import->path = path;
    import->turn = turn;
    import->partitions = ports->partitions(ports->ctx, call->app);
    import->shares = mem_zalloc(import->partitions * sizeof *import->shares);
    for (uint32_t p = 0; p < import->partitions; p++)
        import->shares[p] = (struct share){.import = import, .store = ports->store(ports->ctx, call->app, p)};
    loop_task_init(&import->hand_over, on_hand_over, import);
    admin_job_start(call, &import->job);
}
