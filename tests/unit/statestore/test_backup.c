/* test_backup.c - backups under load, added to, restored to any point; exported and imported rows; and all of it damaged. */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "statestore/backup.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/statestore/fx_store.h"

struct fx {
    struct fx_store source;
    struct fx_store other; /* gives a second directory and store */
    char backup[100];
    char restored[100];
    struct store_progress progress;
    struct store_backup_info info;
    struct err err;
};

static int setup(void **state)
{
    struct fx *fx = mem_zalloc(sizeof *fx);
    fx_store_init(&fx->source);
    fx_store_init(&fx->other);
    snprintf(fx->backup, sizeof fx->backup, "%s/backup", fx->other.dir);
    snprintf(fx->restored, sizeof fx->restored, "%s/restored", fx->other.dir);
    fx_store_open(&fx->source);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fx *fx = *state;
    fx_store_fini(&fx->source);
    fx_store_fini(&fx->other);
    free(fx);
    return 0;
}

static void put_numbers(struct fx_store *fx, int from, int to)
{
    for (int i = from; i <= to; i++)
    {
        char text[8], name[16];
        snprintf(text, sizeof text, "%d", i);
        snprintf(name, sizeof name, "row%04d", i);
        assert_int_equal(fx_put(fx, name, text), STATUS_OK);
        assert_int_equal(fx_put(fx, "last", text), STATUS_OK);
    }
}

static void backup(struct fx *fx)
{
    fx->err = ERR_INIT;
    fx->progress = (struct store_progress){0};
    if (store_backup(fx->source.store, fx->backup, &fx->progress, &fx->info, &fx->err) != STATUS_OK)
        fail_msg("%s", err_text(&fx->err));
}

static enum status restore(struct fx *fx, struct store_restore_to to)
{
    fx->err = ERR_INIT;
    fx->progress = (struct store_progress){0};
    return store_restore(fx->backup, fx->restored, &to, &fx->progress, &fx->info, &fx->err);
}

static void open_restored(struct fx *fx)
{
    fx->other.config.dir = fx->restored;
    fx_store_open(&fx->other);
}

static void test_a_backup_can_be_restored_and_goes_on(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 20);
    backup(fx);
    assert_int_equal(fx->info.base_seq, 40);
    assert_int_equal(fx->info.last_seq, 40);
    assert_true(fx->progress.done_bytes > 0);
    put_numbers(&fx->source, 21, 22);
    if (restore(fx, (struct store_restore_to){0}) != STATUS_OK) fail_msg("%s", err_text(&fx->err));
    assert_int_equal(fx->info.last_seq, 40);
    open_restored(fx);
    assert_string_equal(fx_get_newest(&fx->other, "last"), "20");
    assert_string_equal(fx_get_newest(&fx->other, "row0007"), "7");
    assert_int_equal(store_durable_seq(fx->other.store), 40);
    put_numbers(&fx->other, 30, 31);
    fx_store_close(&fx->other);
    fx_store_open(&fx->other);
    assert_string_equal(fx_get_newest(&fx->other, "last"), "31");
    assert_int_equal(store_durable_seq(fx->other.store), 44);
}

static void test_a_backup_that_is_added_to_can_stop_at_any_commit_in_it(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 10);
    backup(fx);
    put_numbers(&fx->source, 11, 20);
    backup(fx);
    assert_true(fx->info.added);
    assert_int_equal(fx->info.base_seq, 20);
    assert_int_equal(fx->info.last_seq, 40);
    put_numbers(&fx->source, 21, 30);
    backup(fx);
    assert_int_equal(fx->info.last_seq, 60);
    assert_int_equal(store_backup_read_info(fx->backup, &fx->info, NULL), STATUS_OK);
    assert_int_equal(fx->info.last_seq, 60);
    const struct {
        uint64_t seq;
        const char *last;
    } table[] = {{20, "10"}, {30, "15"}, {31, "15"}, {60, "30"}, {0, "30"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    {
        assert_int_equal(restore(fx, (struct store_restore_to){.seq = table[i].seq}), STATUS_OK);
        open_restored(fx);
        assert_string_equal(fx_get_newest(&fx->other, "last"), table[i].last);
        fx_store_close(&fx->other);
        fx_remove_tree(fx->restored);
    }
    assert_int_equal(restore(fx, (struct store_restore_to){.seq = 19}), STATUS_INVALID_ARGUMENT);
    assert_int_equal(restore(fx, (struct store_restore_to){.seq = 61}), STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err_text(&fx->err), "20 to 60"));
    assert_int_not_equal(access(fx->restored, F_OK), 0);
}

static void test_a_restore_can_stop_at_a_time(void **state)
{
    struct fx *fx = *state;
    struct clock_manual clock;
    fx_store_close(&fx->source);
    clock_manual_init(&clock, 1000000);
    fx->source.config.clock = &clock.clock;
    fx_store_open(&fx->source);
    backup(fx);
    for (int i = 1; i <= 10; i++)
    {
        clock_manual_advance(&clock, 1000 * NS_PER_MS);
        put_numbers(&fx->source, i, i);
    }
    backup(fx);
    assert_int_equal(restore(fx, (struct store_restore_to){.wall_ms = 1000000 + 4500}), STATUS_OK);
    assert_int_equal(fx->info.last_wall_ms, 1000000 + 4000);
    open_restored(fx);
    assert_string_equal(fx_get_newest(&fx->other, "last"), "4");
    fx_store_close(&fx->other);
    assert_int_equal(restore(fx, (struct store_restore_to){.wall_ms = 999999}), STATUS_INVALID_ARGUMENT);
    fx_store_close(&fx->source); /* before its clock goes */
}

struct load {
    struct fx *fx;
    _Atomic bool done;
    enum status status;
};

static void *backup_thread(void *argument)
{
    struct load *load = argument;
    struct fx *fx = load->fx;
    load->status = store_backup(fx->source.store, fx->backup, &fx->progress, &fx->info, &fx->err);
    atomic_store(&load->done, true);
    return NULL;
}

static void test_a_backup_under_load_is_one_moment(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 200);
    struct load load = {.fx = fx};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, backup_thread, &load), 0);
    int i = 201;
    while (!atomic_load(&load.done)) put_numbers(&fx->source, i, i), i++;
    pthread_join(thread, NULL);
    assert_int_equal(load.status, STATUS_OK);
    assert_int_equal(restore(fx, (struct store_restore_to){0}), STATUS_OK);
    open_restored(fx);
    uint64_t seq = store_durable_seq(fx->other.store);
    assert_true(seq >= 400);
    char last[8], name[16];
    snprintf(last, sizeof last, "%d", (int)(seq / 2)); /* rowN is commit 2N - 1, then last = N is commit 2N */
    assert_string_equal(fx_get_newest(&fx->other, "last"), last);
    snprintf(name, sizeof name, "row%04d", (int)((seq + 1) / 2));
    assert_true(strlen(fx_get_newest(&fx->other, name)) > 0);
    snprintf(name, sizeof name, "row%04d", (int)((seq + 1) / 2) + 1);
    assert_string_equal(fx_get_newest(&fx->other, name), "");
}

/* ---- refusals ---- */

static void touch(const char *dir, const char *name)
{
    char path[200];
    (void)mkdir(dir, 0700);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void test_directories_with_something_in_them_are_refused(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 2);
    touch(fx->backup, "letter");
    assert_int_equal(store_backup(fx->source.store, fx->backup, &fx->progress, &fx->info, &fx->err),
                     STATUS_ALREADY_EXISTS);
    assert_non_null(strstr(err_text(&fx->err), "is not empty"));
    fx_remove_tree(fx->backup);
    backup(fx);
    touch(fx->restored, "letter");
    assert_int_equal(restore(fx, (struct store_restore_to){0}), STATUS_ALREADY_EXISTS);
    char path[200];
    snprintf(path, sizeof path, "%s/letter", fx->restored);
    assert_int_equal(access(path, F_OK), 0);
    fx_store_open(&fx->other); /* another store into the same backup */
    assert_int_equal(store_backup(fx->other.store, fx->backup, &fx->progress, &fx->info, &fx->err),
                     STATUS_ALREADY_EXISTS);
    assert_non_null(strstr(err_text(&fx->err), "another store"));
}

static void flip(const char *dir, const char *name, off_t at)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    if (at < 0) at += lseek(fd, 0, SEEK_END);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_a_damaged_backup_is_refused_and_leaves_nothing(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 10);
    backup(fx);
    put_numbers(&fx->source, 11, 20);
    backup(fx);
    const struct {
        const char *file;
        off_t at;
        const char *words;
    } table[] = {
        {"backup", 30, "/backup: offset 0: damaged"},   {"data.mdb", 9000, "/data.mdb: the checksum"},
        {"log.records", 100, "/log.records: offset "},  {"log.records", -1, "/log.records: offset "},
        {"log.records", 1000, "/log.records: offset "},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    {
        flip(fx->backup, table[i].file, table[i].at);
        assert_int_equal(restore(fx, (struct store_restore_to){0}), STATUS_STORE_CORRUPT);
        if (!strstr(err_text(&fx->err), table[i].words))
            fail_msg("'%s' is not in '%s'", table[i].words, err_text(&fx->err));
        assert_int_not_equal(access(fx->restored, F_OK), 0);
        flip(fx->backup, table[i].file, table[i].at);
    }
    assert_int_equal(restore(fx, (struct store_restore_to){0}), STATUS_OK);
}

static void test_a_backup_whose_log_is_gone_wants_a_new_one(void **state)
{
    struct fx *fx = *state;
    fx_store_close(&fx->source);
    fx->source.config.log_segment_bytes = 64 * KIB;
    fx->source.config.log_keep_bytes = 1;
    fx_store_open(&fx->source);
    put_numbers(&fx->source, 1, 2);
    backup(fx);
    char *value = mem_zalloc(20001);
    memset(value, 'x', 20000);
    for (int i = 0; i < 80; i++) assert_int_equal(fx_put(&fx->source, "row", value), STATUS_OK);
    free(value);
    assert_int_equal(store_checkpoint(fx->source.store, NULL), STATUS_OK);
    assert_int_equal(store_backup(fx->source.store, fx->backup, &fx->progress, &fx->info, &fx->err),
                     STATUS_NOT_FOUND);
    assert_non_null(strstr(err_text(&fx->err), "does not reach back"));
    assert_int_equal(restore(fx, (struct store_restore_to){0}), STATUS_OK); /* the old one is as it was */
    assert_int_equal(fx->info.last_seq, 4);
}

/* A file size limit in a child of its own stands for a disk without space: write fails in the same place. */
static void test_a_backup_that_cannot_be_written_leaves_nothing(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 200);
    fx_store_close(&fx->source);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
    {
        fx_store_open(&fx->source);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){8192, 8192});
        enum status status = store_backup(fx->source.store, fx->backup, &fx->progress, &fx->info, &fx->err);
        bool named = strstr(err_text(&fx->err), "/backup: data.mdb: offset 8192: write: File too large");
        _exit(status == STATUS_IO && named && access(fx->backup, F_OK) != 0 ? 0 : 1);
    }
    int result;
    assert_int_equal(waitpid(pid, &result, 0), pid);
    assert_int_equal(result, 0);
    fx_store_open(&fx->source);
}

static void test_a_canceled_backup_leaves_nothing(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 2);
    atomic_store(&fx->progress.cancel, true);
    assert_int_equal(store_backup(fx->source.store, fx->backup, &fx->progress, &fx->info, &fx->err),
                     STATUS_CANCELED);
    assert_int_not_equal(access(fx->backup, F_OK), 0);
}

/* ---- export and import ---- */

static int export_rows(struct fx *fx, struct store_export_info *info)
{
    char path[200];
    snprintf(path, sizeof path, "%s/rows", fx->other.dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    struct store_snapshot *snapshot = store_snapshot_take(fx->source.store);
    enum status status = store_export(snapshot, SLICE("r"), SLICE("s"), fd, &fx->progress, info, &fx->err);
    store_snapshot_release(fx->source.store, snapshot);
    if (status != STATUS_OK) fail_msg("%s", err_text(&fx->err));
    return fd;
}

/* Submits each chunk as one commit. */
static enum status import_chunk(void *ctx, struct slice writes, struct err *err)
{
    struct fx *fx = ctx;
    struct fx_commit commit;
    fx_commit_init(&commit, 0);
    buf_append(&commit.writes, writes);
    fx_submit(&fx->other, &commit);
    fx_finish(&fx->other, &commit);
    enum status status = commit.applied_status;
    fx_commit_fini(&commit);
    return status;
}

static enum status import_rows(struct fx *fx, int fd, struct store_export_info *info)
{
    fx->err = ERR_INIT;
    fx->progress = (struct store_progress){0};
    return store_import(fd, SPACE_ROWS, import_chunk, fx, &fx->progress, info, &fx->err);
}

static void test_exported_rows_can_be_imported_elsewhere(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 50);
    char *value = mem_zalloc(700 * 1024 + 1); /* several chunks */
    memset(value, 'v', 700 * 1024);
    for (char name[] = "big0"; name[3] < '5'; name[3]++)
        assert_int_equal(fx_put(&fx->source, name, value), STATUS_OK);
    struct store_export_info out, in;
    int fd = export_rows(fx, &out);
    assert_int_equal(out.rows, 56);
    fx_store_open(&fx->other);
    if (import_rows(fx, fd, &in) != STATUS_OK) fail_msg("%s", err_text(&fx->err));
    assert_int_equal(in.rows, 56);
    assert_int_equal(in.bytes, out.bytes);
    assert_int_equal(in.seq, 105);
    assert_true(fx->progress.done_bytes > 0);
    assert_string_equal(fx_get_newest(&fx->other, "row0033"), "33");
    assert_string_equal(fx_get_newest(&fx->other, "last"), "50");
    struct store_stats stats;
    store_stats(fx->other.store, &stats);
    assert_true(stats.commits >= 3);
    free(value);
    close(fd);
}

static void test_a_damaged_file_of_rows_imports_nothing_and_is_named(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 50);
    struct store_export_info info;
    int fd = export_rows(fx, &info);
    off_t size = lseek(fd, 0, SEEK_END);
    fx_store_open(&fx->other);
    for (off_t at = 0; at < size; at += 7)
    {
        flip(fx->other.dir, "rows", at);
        enum status status = import_rows(fx, fd, &info);
        assert_true(status == STATUS_STORE_CORRUPT || (status == STATUS_STORE_FORMAT && at < 8));
        if (status == STATUS_STORE_CORRUPT) assert_non_null(strstr(err_text(&fx->err), "offset"));
        flip(fx->other.dir, "rows", at);
    }
    char part[200], whole[200];
    snprintf(part, sizeof part, "%s/part", fx->other.dir);
    snprintf(whole, sizeof whole, "%s/rows", fx->other.dir);
    for (off_t cut = 0; cut < size; cut += 97)
    {
        fx_copy_file(whole, part, (size_t)cut);
        int cut_off = open(part, O_RDONLY);
        assert_int_equal(import_rows(fx, cut_off, &info), STATUS_STORE_CORRUPT);
        close(cut_off);
    }
    assert_int_equal(store_applied_seq(fx->other.store), 0);
    assert_int_equal(import_rows(fx, fd, &info), STATUS_OK);
    close(fd);
}

static void test_rows_of_another_space_are_not_imported(void **state)
{
    struct fx *fx = *state;
    put_numbers(&fx->source, 1, 2);
    struct store_export_info info;
    int fd = export_rows(fx, &info);
    fx_store_open(&fx->other);
    assert_int_equal(store_import(fd, SPACE_OUTCOMES, import_chunk, fx, &fx->progress, &info, &fx->err),
                     STATUS_STORE_CORRUPT);
    assert_int_equal(store_applied_seq(fx->other.store), 0);
    close(fd);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_backup_can_be_restored_and_goes_on),
        TEST(test_a_backup_that_is_added_to_can_stop_at_any_commit_in_it),
        TEST(test_a_restore_can_stop_at_a_time),
        TEST(test_a_backup_under_load_is_one_moment),
        TEST(test_directories_with_something_in_them_are_refused),
        TEST(test_a_damaged_backup_is_refused_and_leaves_nothing),
        TEST(test_a_backup_whose_log_is_gone_wants_a_new_one),
        TEST(test_a_backup_that_cannot_be_written_leaves_nothing),
        TEST(test_a_canceled_backup_leaves_nothing),
        TEST(test_exported_rows_can_be_imported_elsewhere),
        TEST(test_a_damaged_file_of_rows_imports_nothing_and_is_named),
        TEST(test_rows_of_another_space_are_not_imported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
