/* test_recover.c - opening after each kind of stop, after disk errors, and with parts that are damaged or do not fit. */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/base/hash.h"
#include "statestore/recover.h"
#include "tests/unit/statestore/fx_store.h"

/* ---- what has to be done, from what is on disk ---- */

static void set_txn(uint8_t meta[KV_META_BYTES], uint64_t txn)
{
    memset(meta, 0, KV_META_BYTES);
    memcpy(meta + 128, &txn, sizeof txn);
}

static void test_the_kind_of_stop_decides_what_is_done(void **state)
{
    struct boot_id here = boot_id_from_text("here"), there = boot_id_from_text("there"), none = {{0}};
    const struct {
        bool clean;
        struct boot_id boot, now;
        bool exists;
        uint64_t newest_txn;
        enum status status;
        enum recovery recovery;
    } table[] = {
        {true, here, here, true, 10, STATUS_OK, RECOVERY_NONE},
        {true, here, there, true, 10, STATUS_OK, RECOVERY_NONE},
        {false, here, here, true, 10, STATUS_OK, RECOVERY_REPLAY},
        {false, here, here, true, 99, STATUS_OK, RECOVERY_REPLAY},
        {false, here, there, true, 99, STATUS_OK, RECOVERY_REWIND},
        {false, none, none, true, 99, STATUS_OK, RECOVERY_REWIND},
        {false, here, none, true, 99, STATUS_OK, RECOVERY_REWIND},
        {false, here, here, true, 9, STATUS_STORE_CORRUPT, 0},
        {true, here, here, true, 9, STATUS_STORE_CORRUPT, 0},
        {false, here, there, true, 9, STATUS_STORE_CORRUPT, 0},
        {false, here, here, false, 0, STATUS_STORE_CORRUPT, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    {
        struct checkpoint checkpoint = {.number = 3, .clean = table[i].clean, .boot = table[i].boot};
        set_txn(checkpoint.meta, 10);
        struct kv_file_state data = {.exists = table[i].exists, .newest_txn = table[i].newest_txn};
        enum recovery recovery = RECOVERY_NONE;
        assert_int_equal(recovery_decide(&checkpoint, &data, &table[i].now, &recovery, NULL),
                         table[i].status);
        if (table[i].status == STATUS_OK) assert_int_equal(recovery, table[i].recovery);
    }
}

/* ---- a directory that a process left without closing the store ---- */

/* Commits `count` rows "row" = 1..count in a child that dies without closing. */
static void die_after(struct fx_store *fx, int count, bool checkpoint)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
    {
        fx_store_open(fx);
        for (int i = 1; i <= count; i++)
        {
            char text[16];
            snprintf(text, sizeof text, "%d", i);
            if (fx_put(fx, "row", text) != STATUS_OK) _exit(1);
            if (checkpoint && i == count / 2 && store_checkpoint(fx->store, NULL) != STATUS_OK) _exit(2);
        }
        _exit(0);
    }
    int result;
    assert_int_equal(waitpid(pid, &result, 0), pid);
    assert_int_equal(result, 0);
}

static struct store_stats stats_of(struct fx_store *fx)
{
    struct store_stats stats;
    store_stats(fx->store, &stats);
    return stats;
}

/* The number of the newest slot on disk, of a closed store. */
static uint64_t slot_number(const struct fx_store *fx)
{
    struct checkpoint newest;
    int fd;
    assert_int_equal(checkpoint_file_open(fx->dir, &newest, &fd, NULL), STATUS_OK);
    close(fd);
    return newest.number;
}

static void test_a_process_that_died_loses_nothing(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    die_after(&fx, 20, true);
    fx_store_open(&fx);
    assert_int_equal(store_durable_seq(fx.store), 20);
    assert_int_equal(stats_of(&fx).replayed, 0); /* the data file had it all in the page cache */
    assert_string_equal(fx_get_newest(&fx, "row"), "20");
    assert_int_equal(fx_put(&fx, "row", "21"), STATUS_OK);
    fx_store_fini(&fx);
}

static void test_a_machine_that_stopped_goes_back_to_the_checkpoint_and_replays(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.boot_id = "before";
    die_after(&fx, 20, true);
    fx.config.boot_id = "after";
    fx_store_open(&fx);
    assert_int_equal(store_durable_seq(fx.store), 20);
    assert_int_equal(stats_of(&fx).replayed, 10);
    assert_string_equal(fx_get_newest(&fx, "row"), "20");
    assert_int_equal(fx_put(&fx, "row", "21"), STATUS_OK);
    fx_store_close(&fx);
    fx_store_open(&fx);
    assert_int_equal(store_durable_seq(fx.store), 21);
    assert_int_equal(stats_of(&fx).replayed, 0);
    fx_store_fini(&fx);
}

/* A store that was closed well in the boot "before", with one commit. */
static void leave_closed(struct fx_store *fx)
{
    fx_store_init(fx);
    fx->config.boot_id = "before";
    fx_store_open(fx);
    assert_int_equal(fx_put(fx, "row", "0"), STATUS_OK);
    fx_store_close(fx);
}

/* Most of a store that is opened for one question is the same afterwards: then it costs no sync, either. */
static void test_the_mark_of_a_clean_stop_holds_until_something_is_written(void **state)
{
    struct fx_store fx;
    leave_closed(&fx);
    uint64_t written = slot_number(&fx);
    die_after(&fx, 0, false);
    fx.config.boot_id = "after";
    fx_store_open(&fx);
    assert_int_equal(stats_of(&fx).checkpoints, 0);
    assert_string_equal(fx_get_newest(&fx, "row"), "0");
    fx_store_close(&fx);
    assert_int_equal(slot_number(&fx), written);
    fx_store_fini(&fx);
}

static void test_the_mark_of_a_clean_stop_is_gone_before_something_is_written(void **state)
{
    struct fx_store fx;
    leave_closed(&fx);
    die_after(&fx, 5, false);
    fx.config.boot_id = "after";
    fx_store_open(&fx);
    assert_int_equal(store_durable_seq(fx.store), 6);
    assert_int_equal(stats_of(&fx).replayed, 5);
    assert_string_equal(fx_get_newest(&fx, "row"), "5");
    fx_store_fini(&fx);
}

static void test_a_store_that_was_being_made_is_made_anew(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    die_after(&fx, 3, false);
    char path[200];
    snprintf(path, sizeof path, "%s/making", fx.dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    fx_store_open(&fx);
    assert_int_equal(store_durable_seq(fx.store), 0);
    fx_store_close(&fx);
    assert_int_not_equal(access(path, F_OK), 0);
    fx_store_fini(&fx);
}

/* ---- damage ---- */

static void assert_refused(struct fx_store *fx, enum status expected, const char *words)
{
    struct store *store = NULL;
    struct err err = ERR_INIT;
    enum status status = store_open(&store, &fx->config, &err);
    if (status != expected)
        fail_msg("expected %s, got %s: %s", status_code(expected), status_code(status), err_text(&err));
    if (!strstr(err_text(&err), words)) fail_msg("'%s' is not in '%s'", words, err_text(&err));
}

static void file_path(const struct fx_store *fx, const char *name, char path[200])
{
    snprintf(path, 200, "%s/%s", fx->dir, name);
}

static void flip(const struct fx_store *fx, const char *name, off_t at)
{
    char path[200];
    file_path(fx, name, path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_both_checkpoint_slots_damaged_is_refused(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    die_after(&fx, 4, true);
    flip(&fx, "checkpoint", 100);
    flip(&fx, "checkpoint", 4096 + 100);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "checkpoint: both slots, at offsets 0 and 4096, are damaged");
    flip(&fx, "checkpoint", 100);
    flip(&fx, "checkpoint", 4096 + 100);
    fx_store_open(&fx);
    fx_store_fini(&fx);
}

static void test_a_checkpoint_slot_that_went_bad_later_is_noticed_by_the_log(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.boot_id = "before";
    die_after(&fx, 8, true); /* slots: made 1, opened 2, explicit 3 */
    flip(&fx, "checkpoint", 4096 + 100);
    fx.config.boot_id = "after";
    assert_refused(&fx, STATUS_STORE_CORRUPT, "checkpoint 3 was complete");
    fx_store_fini(&fx);
}

static void test_a_checkpoint_of_a_newer_format_is_refused(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    die_after(&fx, 4, true);
    uint8_t slot[CHECKPOINT_SLOT_BYTES];
    char path[200];
    file_path(&fx, "checkpoint", path);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, slot, sizeof slot, 0), sizeof slot);
    slot[4]++; /* the version */
    uint64_t checksum = hash_stable(slice_make(slot, 200));
    memcpy(slot + 200, &checksum, sizeof checksum);
    assert_int_equal(pwrite(fd, slot, sizeof slot, 0), sizeof slot);
    close(fd);
    assert_refused(&fx, STATUS_STORE_FORMAT,
                   "checkpoint: offset 4: checkpoint format 2, this program reads 1");
    fx_store_fini(&fx);
}

static void test_a_missing_checkpoint_file_is_refused(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    die_after(&fx, 4, true);
    char path[200];
    file_path(&fx, "checkpoint", path);
    assert_int_equal(unlink(path), 0);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "checkpoint: missing");
    fx_store_fini(&fx);
}

static void test_a_data_file_older_than_the_checkpoint_is_refused(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    char data[200], old[200];
    file_path(&fx, "data.mdb", data);
    file_path(&fx, "old", old);
    fx_store_open(&fx);
    assert_int_equal(fx_put(&fx, "row", "1"), STATUS_OK);
    fx_store_close(&fx);
    fx_copy_file(data, old, SIZE_MAX);
    die_after(&fx, 8, true);
    fx_copy_file(old, data, SIZE_MAX);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "data.mdb is older than checkpoint");
    unlink(data);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "data.mdb: missing");
    fx_store_fini(&fx);
}

static void test_damaged_heads_of_data_pages_are_found_and_named(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx_store_open(&fx);
    char value[6000], name[16];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 100; i++)
    {
        value[i % 10 == 0 ? 5999 : 600] = 0; /* some on pages of their own */
        snprintf(name, sizeof name, "row%03d", i);
        assert_int_equal(fx_put(&fx, name, value), STATUS_OK);
        value[i % 10 == 0 ? 5999 : 600] = 'v';
    }
    fx_store_close(&fx);
    struct kv_file_state data;
    assert_int_equal(kv_lmdb_file_state(fx.dir, &data, NULL), STATUS_OK);
    assert_int_equal(kv_lmdb_file_check(fx.dir, data.meta, NULL), STATUS_OK);
    int found = 0;
    for (off_t page = 2; page < (off_t)data.file_bytes / 4096; page++)
        for (off_t at = page * 4096; at < page * 4096 + 40; at++)
        {
            flip(&fx, "data.mdb", at);
            struct err err = ERR_INIT;
            enum status status = kv_lmdb_file_check(fx.dir, data.meta, &err);
            flip(&fx, "data.mdb", at);
            if (status == STATUS_OK) continue; /* a free page, or a byte that means nothing */
            found++;
            assert_int_equal(status, STATUS_STORE_CORRUPT);
            if (!strstr(err_text(&err), "data.mdb: offset ")) fail_msg("no place in '%s'", err_text(&err));
        }
    assert_true(found > 500);
    fx_store_fini(&fx);
}

static void test_a_store_with_a_damaged_data_page_is_refused_after_each_kind_of_stop(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.boot_id = "before";
    die_after(&fx, 20, true);
    char path[200];
    file_path(&fx, "data.mdb", path);
    struct stat stat;
    assert_int_equal(lstat(path, &stat), 0);
    for (off_t page = 2; page < stat.st_size / 4096; page++) flip(&fx, "data.mdb", page * 4096 + 10);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "data.mdb: offset ");
    fx.config.boot_id = "after";
    assert_refused(&fx, STATUS_STORE_CORRUPT, "data.mdb: offset ");
    for (off_t page = 2; page < stat.st_size / 4096; page++) flip(&fx, "data.mdb", page * 4096 + 10);
    fx_store_open(&fx);
    assert_string_equal(fx_get_newest(&fx, "row"), "20");
    fx_store_fini(&fx);
}

static void test_a_missing_log_is_refused(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    die_after(&fx, 4, true);
    char path[200];
    file_path(&fx, "log", path);
    fx_remove_tree(path);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "/log: No such file");
    fx_store_fini(&fx);
}

static void test_a_log_that_ends_before_the_data_file_is_refused(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    die_after(&fx, 10, false);
    char path[200];
    file_path(&fx, "log/0000000000000001.log", path);
    assert_int_equal(truncate(path, 4096 + 500), 0);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "everything up to LSN 10 was durable");
    fx_store_fini(&fx);
}

static void test_parts_of_another_store_are_refused(void **state)
{
    struct fx_store fx, other;
    fx_store_init(&fx);
    fx_store_init(&other);
    die_after(&fx, 10, true);
    die_after(&other, 10, true);
    static const char *const parts[] = {"log/0000000000000001.log", "data.mdb", "checkpoint"};
    static const char *const words[] = {"this segment belongs to another store",
                                        "data.mdb and checkpoint are not of the same store",
                                        "data.mdb and checkpoint are not of the same store"};
    for (int i = 0; i < 3; i++)
    {
        char from[200], to[200], aside[200];
        file_path(&other, parts[i], from);
        file_path(&fx, parts[i], to);
        file_path(&fx, "aside", aside);
        fx_copy_file(to, aside, SIZE_MAX);
        fx_copy_file(from, to, SIZE_MAX);
        assert_refused(&fx, STATUS_STORE_CORRUPT, words[i]);
        fx_copy_file(aside, to, SIZE_MAX);
    }
    fx_store_open(&fx);
    fx_store_fini(&fx);
    fx_store_fini(&other);
}

/* ---- the disk fails while the store is open ---- */

static void test_a_failed_log_sync_ends_writing_and_is_never_repeated(void **state)
{
    for (int after = 0; after < 2; after++)
    {
        struct store_fault fault = {.count = 1, .status = STATUS_STORE_IO, .after = after};
        struct fx_store fx;
        fx_store_init(&fx);
        fx.config.fault = &fault;
        fx_store_open(&fx);
        assert_int_equal(fx_put(&fx, "a", "1"), STATUS_OK);
        atomic_store(&fault.mask, STORE_FAULT_LOG_SYNC);
        assert_int_equal(fx_put(&fx, "a", "2"),
                         STATUS_STORE_IO); /* applied, but nobody knows whether it lasts */
        assert_int_equal(fx_put(&fx, "a", "3"), STATUS_READ_ONLY); /* though the disk would work again */
        assert_int_equal(store_durable_seq(fx.store), 1);
        struct err err = ERR_INIT;
        assert_int_equal(store_health(fx.store, &err), STATUS_READ_ONLY);
        assert_non_null(strstr(err_text(&err), "log: sync: injected fault"));
        struct store_waiter waiter = {.seq = 1};
        assert_true(store_wait_durable(fx.store, &waiter));
        fx_store_close(&fx);
        fx.config.fault = NULL;
        fx_store_open(&fx); /* does not trust the page cache: back to the checkpoint, and all of it again */
        assert_int_equal(stats_of(&fx).replayed, 2);
        assert_string_equal(fx_get_newest(&fx, "a"), "2");
        assert_int_equal(fx_put(&fx, "a", "4"), STATUS_OK);
        fx_store_fini(&fx);
    }
}

static void test_after_a_failed_sync_what_is_durable_is_read_and_nothing_else(void **state)
{
    struct store_fault fault = {.count = 1, .status = STATUS_STORE_IO};
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.fault = &fault;
    fx_store_open(&fx);
    for (int i = 1; i <= 20; i++) assert_int_equal(fx_put(&fx, "a", "durable"), STATUS_OK);
    atomic_store(&fault.mask, STORE_FAULT_LOG_SYNC);
    assert_int_equal(fx_put(&fx, "a", "lost"), STATUS_STORE_IO);
    assert_int_equal(store_applied_seq(fx.store), 21);
    struct store_snapshot *snapshot = store_snapshot_take(fx.store);
    assert_int_equal(store_snapshot_seq(snapshot), 20);
    assert_string_equal(fx_get(snapshot, "a"), "durable");
    struct store_waiter waiter = {.seq = store_snapshot_seq(snapshot)};
    assert_true(store_wait_durable(fx.store, &waiter));
    struct fx_commit commit; /* read before what was lost: no conflict with it, it is told the truth */
    fx_commit_init(&commit, store_snapshot_seq(snapshot));
    fx_commit_read(&commit, "a");
    fx_commit_put(&commit, "a", "more");
    fx_submit(&fx, &commit);
    fx_finish(&fx, &commit);
    assert_int_equal(commit.applied_status, STATUS_READ_ONLY);
    fx_commit_fini(&commit);
    store_snapshot_release(fx.store, snapshot);
    fx_store_fini(&fx);
}

static void test_a_failed_log_write_fails_the_batch_and_ends_writing(void **state)
{
    struct store_fault fault = {.count = 1, .status = STATUS_STORE_IO};
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.fault = &fault;
    fx_store_open(&fx);
    assert_int_equal(fx_put(&fx, "a", "1"), STATUS_OK);
    atomic_store(&fault.mask, STORE_FAULT_LOG_WRITE);
    assert_int_equal(fx_put(&fx, "a", "2"), STATUS_STORE_IO);
    assert_string_equal(fx_get_newest(&fx, "a"), "1");
    assert_int_equal(fx_put(&fx, "a", "3"), STATUS_READ_ONLY);
    fx_store_fini(&fx);
}

static void test_a_full_log_disk_fails_the_batch_and_the_store_goes_on(void **state)
{
    struct store_fault fault = {.count = 1, .status = STATUS_STORE_FULL};
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.fault = &fault;
    fx_store_open(&fx);
    atomic_store(&fault.mask, STORE_FAULT_LOG_WRITE);
    assert_int_equal(fx_put(&fx, "a", "1"), STATUS_STORE_FULL);
    assert_int_equal(fx_put(&fx, "a", "2"), STATUS_OK);
    assert_int_equal(store_durable_seq(fx.store), 1);
    fx_store_fini(&fx);
}

static void test_what_was_logged_but_could_not_be_applied_does_not_come_back(void **state)
{
    struct store_fault fault = {.count = 2, .status = STATUS_STORE_FULL};
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.fault = &fault;
    fx_store_open(&fx);
    assert_int_equal(fx_put(&fx, "a", "1"), STATUS_OK);
    atomic_store(&fault.mask, STORE_FAULT_COMMIT); /* of the data file, behind the log */
    assert_int_equal(fx_put(&fx, "a", "lost"), STATUS_STORE_FULL);
    assert_int_equal(fx_put(&fx, "b", "lost"), STATUS_STORE_FULL);
    assert_int_equal(store_applied_seq(fx.store), 1);
    assert_int_equal(fx_put(&fx, "a", "2"), STATUS_OK);
    assert_int_equal(store_durable_seq(fx.store), 2);
    fx_store_close(&fx);
    fx.config.fault = NULL;
    fx_store_open(&fx);
    assert_string_equal(fx_get_newest(&fx, "a"), "2");
    assert_string_equal(fx_get_newest(&fx, "b"), "");
    fx_store_fini(&fx);
}

static void test_a_failed_sync_of_the_data_file_ends_writing(void **state)
{
    struct store_fault fault = {.count = 1, .status = STATUS_STORE_IO};
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.fault = &fault;
    fx_store_open(&fx);
    assert_int_equal(fx_put(&fx, "a", "1"), STATUS_OK);
    atomic_store(&fault.mask, STORE_FAULT_SYNC);
    assert_int_equal(store_checkpoint(fx.store, NULL), STATUS_STORE_IO);
    assert_int_equal(fx_put(&fx, "a", "2"), STATUS_READ_ONLY);
    fx_store_close(&fx);
    fx.config.fault = NULL;
    fx_store_open(&fx);
    assert_string_equal(fx_get_newest(&fx, "a"), "1");
    fx_store_fini(&fx);
}

/* ---- relaxed commits ---- */

static void test_relaxed_commits_become_durable_by_themselves(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx_store_open(&fx);
    struct fx_commit commit;
    fx_commit_init(&commit, 0);
    commit.commit.relaxed = true;
    fx_commit_put(&commit, "a", "1");
    fx_submit(&fx, &commit);
    fx_finish(&fx, &commit);
    assert_int_equal(commit.durable_status, STATUS_OK);
    assert_int_equal(store_durable_seq(fx.store), 1);
    fx_commit_fini(&commit);
    fx_store_fini(&fx);
}

static bool waiter_told;
static void on_waiter(struct store_waiter *waiter)
{
    waiter_told = true;
}

static void test_who_waits_for_a_relaxed_commit_is_told(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx_store_open(&fx);
    struct fx_commit commit;
    fx_commit_init(&commit, 0);
    commit.commit.relaxed = true;
    fx_commit_put(&commit, "a", "1");
    fx_submit(&fx, &commit);
    fx_finish_applied(&fx, &commit);
    struct store_waiter waiter = {.seq = 1, .durable = on_waiter};
    waiter_told = store_wait_durable(fx.store, &waiter);
    while (!waiter_told) fx_turn(&fx);
    assert_int_equal(waiter.status, STATUS_OK);
    fx_finish(&fx, &commit);
    fx_commit_fini(&commit);
    fx_store_fini(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_kind_of_stop_decides_what_is_done),
        cmocka_unit_test(test_a_process_that_died_loses_nothing),
        cmocka_unit_test(test_a_machine_that_stopped_goes_back_to_the_checkpoint_and_replays),
        cmocka_unit_test(test_the_mark_of_a_clean_stop_holds_until_something_is_written),
        cmocka_unit_test(test_the_mark_of_a_clean_stop_is_gone_before_something_is_written),
        cmocka_unit_test(test_a_store_that_was_being_made_is_made_anew),
        cmocka_unit_test(test_both_checkpoint_slots_damaged_is_refused),
        cmocka_unit_test(test_a_checkpoint_slot_that_went_bad_later_is_noticed_by_the_log),
        cmocka_unit_test(test_a_checkpoint_of_a_newer_format_is_refused),
        cmocka_unit_test(test_a_missing_checkpoint_file_is_refused),
        cmocka_unit_test(test_a_data_file_older_than_the_checkpoint_is_refused),
        cmocka_unit_test(test_damaged_heads_of_data_pages_are_found_and_named),
        cmocka_unit_test(test_a_store_with_a_damaged_data_page_is_refused_after_each_kind_of_stop),
        cmocka_unit_test(test_a_missing_log_is_refused),
        cmocka_unit_test(test_a_log_that_ends_before_the_data_file_is_refused),
        cmocka_unit_test(test_parts_of_another_store_are_refused),
        cmocka_unit_test(test_a_failed_log_sync_ends_writing_and_is_never_repeated),
        cmocka_unit_test(test_after_a_failed_sync_what_is_durable_is_read_and_nothing_else),
        cmocka_unit_test(test_a_failed_log_write_fails_the_batch_and_ends_writing),
        cmocka_unit_test(test_a_full_log_disk_fails_the_batch_and_the_store_goes_on),
        cmocka_unit_test(test_what_was_logged_but_could_not_be_applied_does_not_come_back),
        cmocka_unit_test(test_a_failed_sync_of_the_data_file_ends_writing),
        cmocka_unit_test(test_relaxed_commits_become_durable_by_themselves),
        cmocka_unit_test(test_who_waits_for_a_relaxed_commit_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
