/* cmd_restore.c - a data directory from a backup, whole or up to a point in time. No node runs meanwhile. */
// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/catalog/artifact.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/job.h"
#include "runtime/cli/output.h"
#include "runtime/cli/place.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/work.h"
#include "statestore/backup.h"

enum { INDEX_FORMAT = 1, BEAT_MS = 200 };

struct restore {
    const char *backup;
    const char *data;
    const char *app; /* the only one that the point is for; NULL: all */
    struct store_restore_to to;
    json_t *index;
    json_t *result; /* what became of each store */
    /* The work, off the loop that shows its progress. */
    struct loop *loop;
    struct loop_work work;
    struct loop_timer beat;
    struct store_progress progress;
    _Atomic(const char *) step;
    enum status status;
    struct err err;
};

/* ---- what is asked for ---- */

static enum cli_exit point_parse(const struct cli_line *line, struct restore *restore)
{
    const char *at = cli_option(line, "time");
    unsigned long seq;
    if (at && !time_parse(at, &restore->to.wall_ms))
        return cli_complain(EXIT_USAGE,
                            "`%s` is no time; write 2026-11-24 03:00:00, with Z at its end for UTC", at);
    if (!cli_option_number(line, "commit", 0, 1UL << 60, &seq)) return EXIT_USAGE;
    restore->to.seq = seq;
    restore->app = cli_option(line, "app");
    if (seq && !restore->app)
        return cli_complain(EXIT_USAGE, "--commit needs --app: each app counts its own commits");
    if (restore->app && !seq && !at) return cli_complain(EXIT_USAGE, "--app needs --commit or --time");
    return EXIT_DONE;
}

/* The list of stores in the backup, each name checked: they become paths. */
static enum cli_exit index_read(struct restore *restore)
{
    struct buf path = BUF_INIT;
    json_error_t fault;
    buf_printf(&path, "%s/backup.json", restore->backup);
    restore->index = json_load_file(buf_cstr(&path), 0, &fault);
    buf_fini(&path);
    const json_t *stores = json_object_get(restore->index, "stores");
    if (!restore->index || !json_is_array(stores))
        return cli_complain(EXIT_LOCAL, "%s is no whole backup: its backup.json cannot be read: %s",
                            restore->backup, restore->index ? "it has no list of stores" : fault.text);
    if (json_integer_value(json_object_get(restore->index, "format")) != INDEX_FORMAT)
        return cli_complain(EXIT_LOCAL, "%s was made by another version of stead", restore->backup);
    size_t index;
    json_t *store;
    json_array_foreach(stores, index, store)
    {
        const char *name = json_string_value(store);
        if (!name || name[0] == '/' || strstr(name, ".."))
            return cli_complain(EXIT_LOCAL, "%s/backup.json: store %zu has no valid name", restore->backup,
                                index);
    }
    return EXIT_DONE;
}

/* ---- the work ---- */

static enum status dirs_make(const char *path, struct err *err)
{
    struct buf part = BUF_INIT;
    enum status status = STATUS_OK;
    for (const char *slash = strchr(path + 1, '/'); slash && status == STATUS_OK;
         slash = strchr(slash + 1, '/'))
    {
        buf_reset(&part);
        buf_append(&part, slice_make(path, (size_t)(slash - path)));
        if (mkdir(buf_cstr(&part), 0700) != 0 && errno != EEXIST)
            status = err_errno(err, STATUS_IO, errno, "make directory %s", buf_cstr(&part));
    }
    buf_fini(&part);
    return status;
}

/* The point is for states of apps; the catalog and the code come whole. */
static struct store_restore_to point_of(const struct restore *restore, const char *store)
{
    struct store_restore_to whole = {0};
    if (strncmp(store, "apps/", 5) != 0) return whole;
    size_t size = strcspn(store + 5, "/");
    bool other = restore->app && !slice_is(slice_make(store + 5, size), restore->app);
    return other ? whole : restore->to;
}

static enum status store_bring(struct restore *restore, const char *store, struct err *err)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    struct store_backup_info info;
    struct store_restore_to point = point_of(restore, store);
    buf_printf(&from, "%s/%s", restore->backup, store);
    buf_printf(&to, "%s/%s", restore->data, store);
    atomic_store(&restore->step, store);
    enum status status = dirs_make(buf_cstr(&to), err);
    if (status == STATUS_OK)
        status = store_restore(buf_cstr(&from), buf_cstr(&to), &point, &restore->progress, &info, err);
    if (status == STATUS_OK)
        json_array_append_new(restore->result,
                              json_pack("{s:s, s:I, s:I}", "store", store, "last_seq",
                                        (json_int_t)info.last_seq, "last_ms", (json_int_t)info.last_wall_ms));
    else
        (void)err_wrap(err, status, "%s", store);
    buf_fini(&from);
    buf_fini(&to);
    return status;
}

/* Each file is checked against its own name on the way. */
static enum status code_bring(const char *from, const char *to, const char *name, struct err *err)
{
    struct buf path = BUF_INIT, code = BUF_INIT;
    enum status status = STATUS_OK;
    buf_printf(&path, "%s/%s", from, name);
    if (!file_read(buf_cstr(&path), BOUND_ARTIFACT_BYTES_MAX, &code))
        status = err_set(err, STATUS_IO, "read %s", buf_cstr(&path));
    struct artifact_id id = artifact_id_of(buf_view(&code));
    if (status == STATUS_OK && strncmp(name, id.hex, strlen(id.hex)) != 0)
        status = err_set(err, STATUS_STORE_CORRUPT, "%s is damaged: its content has another hash",
                         buf_cstr(&path));
    if (status == STATUS_OK) status = artifact_put(to, buf_view(&code), &id, err);
    buf_fini(&path);
    buf_fini(&code);
    return status;
}

static enum status codes_bring(struct restore *restore, struct err *err)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    enum status status = STATUS_OK;
    buf_printf(&from, "%s/artifacts", restore->backup);
    buf_printf(&to, "%s/artifacts", restore->data);
    DIR *dir = opendir(buf_cstr(&from)); /* a backup without apps has none */
    for (struct dirent *entry; dir && status == STATUS_OK && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') status = code_bring(buf_cstr(&from), buf_cstr(&to), entry->d_name, err);
    if (dir) closedir(dir);
    buf_fini(&from);
    buf_fini(&to);
    return status;
}

static void work_run(struct loop_work *work)
{
    struct restore *restore = CONTAINER_OF(work, struct restore, work);
    size_t index;
    json_t *store;
    restore->status = STATUS_OK;
    json_array_foreach(json_object_get(restore->index, "stores"), index, store)
    {
        restore->status = store_bring(restore, json_string_value(store), &restore->err);
        if (restore->status != STATUS_OK) return;
    }
    restore->status = codes_bring(restore, &restore->err);
}

static void work_done(struct loop_work *work)
{
    struct restore *restore = CONTAINER_OF(work, struct restore, work);
    loop_timer_stop(&restore->beat);
    loop_stop(restore->loop);
}

static void on_beat(struct loop_timer *timer, void *ctx)
{
    struct restore *restore = ctx;
    const char *step = atomic_load(&restore->step);
    job_show(step ? step : "", atomic_load(&restore->progress.done_bytes),
             atomic_load(&restore->progress.total_bytes));
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *place)
{
    (void)!remove(path); /* what stays is named by the failure before */
    return 0;
}

static enum cli_exit work_follow(struct restore *restore)
{
    struct err err = ERR_INIT;
    if (loop_create(&restore->loop, clock_real(), &err) != STATUS_OK)
        return cli_complain(EXIT_LOCAL, "%s", err.text);
    loop_timer_init(&restore->beat, on_beat, restore);
    loop_timer_start(restore->loop, &restore->beat, BEAT_MS, BEAT_MS);
    restore->work = (struct loop_work){.run = work_run, .done = work_done};
    loop_work_start(restore->loop, &restore->work);
    loop_run(restore->loop);
    loop_destroy(restore->loop);
    job_show_end();
    if (restore->status == STATUS_OK) return EXIT_DONE;
    (void)nftw(restore->data, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* it was empty before */
    return cli_complain(EXIT_LOCAL, "%s (%s)\n       %s", err_text(&restore->err),
                        status_code(restore->status), status_hint(restore->status));
}

/* ---- the command ---- */

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) return errno == ENOENT;
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count == 0;
}

static void report(const struct cli_line *line, const struct restore *restore)
{
    if (line->json)
    {
        json_t *whole = json_pack("{s:s, s:O}", "data", restore->data, "stores", restore->result);
        output_json(whole);
        json_decref(whole);
        return;
    }
    struct table table;
    size_t index;
    json_t *store;
    char age[32];
    table_init(&table, (const char *[]){"STORE", "COMMITS", "LAST", NULL});
    json_array_foreach(restore->result, index, store)
    {
        uint64_t last_ms = (uint64_t)json_integer_value(json_object_get(store, "last_ms"));
        table_cell(&table, "%s", json_string_value(json_object_get(store, "store")));
        table_cell(&table, "%lld", (long long)json_integer_value(json_object_get(store, "last_seq")));
        table_cell(&table, "%s", last_ms ? output_age(last_ms, age, sizeof age) : "-");
    }
    table_print(&table);
    printf("start it with `stead serve --data %s`\n", restore->data);
}

enum cli_exit cmd_restore(struct cli_line *line)
{
    struct restore restore = {.backup = line->args[0], .data = cli_data_dir(line)};
    enum cli_exit code = point_parse(line, &restore);
    if (code != EXIT_DONE) return code;
    if (!is_empty(restore.data))
        return cli_complain(
            EXIT_LOCAL, "%s is not empty (already_exists)\n       Restore into a new directory: --data DIR.",
            restore.data);
    restore.result = json_array();
    code = index_read(&restore);
    if (code == EXIT_DONE) code = work_follow(&restore);
    if (code == EXIT_DONE) report(line, &restore);
    json_decref(restore.index);
    json_decref(restore.result);
    return code;
}
