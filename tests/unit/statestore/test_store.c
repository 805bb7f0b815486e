/* test_store.c - commits, conflicts, chains, snapshots and faults of a store, over memory and over LMDB. */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "statestore/format.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/statestore/fx_store.h"

/* ---- over both: the state is an open store ---- */

static int setup_mem(void **state)
{
    struct fx_store *fx = mem_alloc(sizeof *fx);
    fx_store_init(fx);
    fx_store_open_mem(fx);
    *state = fx;
    return 0;
}

static int setup_dir(void **state)
{
    struct fx_store *fx = mem_alloc(sizeof *fx);
    fx_store_init(fx);
    fx_store_open(fx);
    *state = fx;
    return 0;
}

static int setup_sync(void **state)
{
    struct fx_store *fx = mem_alloc(sizeof *fx);
    fx_store_init(fx);
    fx->config.mode = STORE_MODE_SYNC;
    fx_store_open(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    fx_store_fini(*state);
    free(*state);
    return 0;
}

static void test_a_commit_is_read_by_later_snapshots_only(void **state)
{
    struct fx_store *fx = *state;
    struct store_snapshot *before = store_snapshot_take(fx->store);
    assert_int_equal(fx_put(fx, "a", "1"), STATUS_OK);
    struct store_snapshot *after = store_snapshot_take(fx->store);
    assert_int_equal(fx_put(fx, "a", "2"), STATUS_OK);
    assert_string_equal(fx_get(before, "a"), "");
    assert_string_equal(fx_get(after, "a"), "1");
    assert_string_equal(fx_get_newest(fx, "a"), "2");
    assert_int_equal(store_snapshot_seq(before), 0);
    assert_int_equal(store_snapshot_seq(after), 1);
    assert_true(store_snapshot_txn(after) > store_snapshot_txn(before));
    store_snapshot_release(fx->store, after);
    assert_string_equal(fx_get(before, "a"), "");
    store_snapshot_release(fx->store, before);
}

static void test_sequence_numbers_count_the_commits_that_write(void **state)
{
    struct fx_store *fx = *state;
    struct fx_commit first, reader, second;
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    fx_commit_init(&first, 0);
    fx_commit_put(&first, "a", "1");
    fx_commit_init(&reader, 0);
    fx_commit_read(&reader, "b");
    fx_commit_init(&second, 0);
    fx_commit_put(&second, "c", "1");
    fx_submit(fx, &first);
    fx_submit(fx, &reader);
    fx_submit(fx, &second);
    fx_finish(fx, &second);
    assert_true(first.durable && reader.durable);
    assert_int_equal(first.commit.seq, 1);
    assert_int_equal(reader.commit.seq, 1);
    assert_int_equal(second.commit.seq, 2);
    assert_int_equal(store_applied_seq(fx->store), 2);
    assert_int_equal(store_durable_seq(fx->store), 2);
    store_snapshot_release(fx->store, snapshot);
    fx_commit_fini(&first);
    fx_commit_fini(&reader);
    fx_commit_fini(&second);
}

static void test_deletes_and_all_parts_of_a_commit_take_effect_together(void **state)
{
    struct fx_store *fx = *state;
    assert_int_equal(fx_put(fx, "old", "1"), STATUS_OK);
    struct fx_commit commit;
    fx_commit_init(&commit, 1);
    fx_commit_put(&commit, "new", "2");
    fx_commit_delete(&commit, "old");
    struct buf outcome = BUF_INIT;
    write_set_append(&outcome, &(struct write_entry){WRITE_PUT, SLICE("if\0k"), SLICE("done")});
    commit.commit.writes[1] = buf_view(&outcome);
    fx_submit(fx, &commit);
    fx_finish(fx, &commit);
    assert_int_equal(commit.durable_status, STATUS_OK);
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    assert_string_equal(fx_get(snapshot, "old"), "");
    assert_string_equal(fx_get(snapshot, "new"), "2");
    struct slice value;
    assert_int_equal(store_get(snapshot, SLICE("if\0k"), &value, NULL), STATUS_OK);
    assert_true(slice_is(value, "done"));
    store_snapshot_release(fx->store, snapshot);
    buf_fini(&outcome);
    fx_commit_fini(&commit);
}

static void test_a_changed_read_is_a_conflict_and_writes_nothing(void **state)
{
    struct fx_store *fx = *state;
    assert_int_equal(fx_put(fx, "a", "1"), STATUS_OK);
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    assert_int_equal(fx_put(fx, "a", "2"), STATUS_OK);
    struct fx_commit commit;
    fx_commit_init(&commit, store_snapshot_seq(snapshot));
    fx_commit_read(&commit, "a");
    fx_commit_put(&commit, "b", "from the old a");
    fx_submit(fx, &commit);
    fx_finish(fx, &commit);
    assert_int_equal(commit.applied_status, STATUS_CONFLICT);
    assert_false(commit.durable);
    assert_string_equal(fx_get_newest(fx, "b"), "");
    store_snapshot_release(fx->store, snapshot);
    fx_commit_fini(&commit);
    struct store_stats stats;
    store_stats(fx->store, &stats);
    assert_int_equal(stats.conflicts, 1);
    assert_int_equal(stats.commits, 2);
}

static void test_a_row_that_appears_in_a_scanned_range_is_a_conflict(void **state)
{
    struct fx_store *fx = *state;
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    assert_int_equal(fx_put(fx, "item/7", "phantom"), STATUS_OK);
    struct fx_commit hit, miss;
    fx_commit_init(&hit, store_snapshot_seq(snapshot));
    fx_commit_scan(&hit, "item/");
    fx_commit_put(&hit, "count", "0");
    fx_commit_init(&miss, store_snapshot_seq(snapshot));
    fx_commit_scan(&miss, "other/");
    fx_commit_put(&miss, "count", "0");
    fx_submit(fx, &hit);
    fx_submit(fx, &miss);
    fx_finish(fx, &miss);
    assert_int_equal(hit.applied_status, STATUS_CONFLICT);
    assert_int_equal(miss.durable_status, STATUS_OK);
    store_snapshot_release(fx->store, snapshot);
    fx_commit_fini(&hit);
    fx_commit_fini(&miss);
}

static void test_of_two_in_one_batch_that_read_and_write_a_row_one_commits(void **state)
{
    struct fx_store *fx = *state;
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    struct fx_commit commits[10];
    int committed = 0;
    for (int i = 0; i < 10; i++)
    {
        fx_commit_init(&commits[i], store_snapshot_seq(snapshot));
        fx_commit_read(&commits[i], "counter");
        fx_commit_put(&commits[i], "counter", "1");
        fx_submit(fx, &commits[i]);
    }
    for (int i = 0; i < 10; i++)
    {
        fx_finish(fx, &commits[i]);
        committed += commits[i].durable;
        fx_commit_fini(&commits[i]);
    }
    assert_int_equal(committed, 1);
    store_snapshot_release(fx->store, snapshot);
}

static void test_a_chain_sees_its_own_writes_as_unchanged(void **state)
{
    struct fx_store *fx = *state;
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    struct fx_commit commits[20];
    for (int i = 0; i < 20; i++)
    {
        fx_commit_init(&commits[i], store_snapshot_seq(snapshot));
        commits[i].commit.chain = 99;
        fx_commit_read(&commits[i], "counter");
        char value[8];
        snprintf(value, sizeof value, "%d", i + 1);
        fx_commit_put(&commits[i], "counter", value);
        fx_submit(fx, &commits[i]);
    }
    for (int i = 0; i < 20; i++)
    {
        fx_finish(fx, &commits[i]);
        assert_int_equal(commits[i].durable_status, STATUS_OK);
        fx_commit_fini(&commits[i]);
    }
    assert_string_equal(fx_get_newest(fx, "counter"), "20");
    store_snapshot_release(fx->store, snapshot);
}

static void test_what_was_built_on_a_failed_member_of_a_chain_fails_too(void **state)
{
    struct fx_store *fx = *state;
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    uint64_t seq = store_snapshot_seq(snapshot);
    assert_int_equal(fx_put(fx, "other", "changed"), STATUS_OK);
    struct fx_commit first, second, fresh;
    fx_commit_init(&first, seq); /* fails: `other` has changed */
    first.commit.chain = 5;
    fx_commit_read(&first, "other");
    fx_commit_put(&first, "x", "1");
    fx_commit_init(&second, seq); /* read x of the first, which nobody else wrote */
    second.commit.chain = 5;
    fx_commit_read(&second, "x");
    fx_commit_put(&second, "x", "2");
    fx_submit(fx, &first);
    fx_submit(fx, &second);
    fx_finish(fx, &second);
    assert_int_equal(first.applied_status, STATUS_CONFLICT);
    assert_int_equal(second.applied_status, STATUS_CONFLICT);
    fx_commit_init(&fresh, seq); /* its owner has been told and begins again */
    fresh.commit.chain = 6;
    fx_commit_read(&fresh, "x");
    fx_commit_put(&fresh, "x", "3");
    fx_submit(fx, &fresh);
    fx_finish(fx, &fresh);
    assert_int_equal(fresh.durable_status, STATUS_OK);
    assert_string_equal(fx_get_newest(fx, "x"), "3");
    store_snapshot_release(fx->store, snapshot);
    fx_commit_fini(&first);
    fx_commit_fini(&second);
    fx_commit_fini(&fresh);
}

static void test_a_snapshot_released_before_its_commit_conflicts_instead_of_guessing(void **state)
{
    struct fx_store *fx = *state;
    for (int i = 0; i < 3; i++) assert_int_equal(fx_put(fx, "a", "1"), STATUS_OK);
    struct fx_commit commit;
    fx_commit_init(&commit, 1); /* no pin on 1 */
    fx_commit_read(&commit, "b");
    fx_submit(fx, &commit);
    fx_finish(fx, &commit);
    assert_int_equal(commit.applied_status, STATUS_CONFLICT);
    fx_commit_fini(&commit);
}

static bool count_row(void *ctx, struct slice key, struct slice value)
{
    int *count = ctx;
    return ++*count < 3;
}

static void test_a_scan_goes_in_order_until_told_to_stop(void **state)
{
    struct fx_store *fx = *state;
    for (char name[2] = "a"; name[0] < 'h'; name[0]++) assert_int_equal(fx_put(fx, name, "1"), STATUS_OK);
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    int count = 0;
    assert_int_equal(store_scan(snapshot, SLICE("r"), SLICE("s"), count_row, &count, NULL), STATUS_OK);
    assert_int_equal(count, 3);
    count = -10;
    assert_int_equal(store_scan(snapshot, SLICE("r"), SLICE("r\0c"), count_row, &count, NULL), STATUS_OK);
    assert_int_equal(count, -8);
    store_snapshot_release(fx->store, snapshot);
}

static void test_waiting_for_what_is_durable_already_does_not_wait(void **state)
{
    struct fx_store *fx = *state;
    assert_int_equal(fx_put(fx, "a", "1"), STATUS_OK);
    struct store_waiter waiter = {.seq = 1};
    assert_true(store_wait_durable(fx->store, &waiter));
    assert_int_equal(waiter.status, STATUS_OK);
}

static void test_a_commit_that_is_alone_is_told_with_one_wake(void **state)
{
    struct fx_store *fx = *state;
    for (int i = 0; i < 20; i++)
    {
        struct fx_commit commit;
        fx_commit_init(&commit, 0);
        fx_commit_put(&commit, "a", "1");
        fx_submit(fx, &commit);
        fx_turn(fx);
        assert_true(commit.applied && commit.durable);
        fx_commit_fini(&commit);
    }
}

static void test_close_commits_what_was_submitted(void **state)
{
    struct fx_store *fx = *state;
    struct fx_commit commits[100];
    for (int i = 0; i < 100; i++)
    {
        fx_commit_init(&commits[i], 0);
        fx_commit_put(&commits[i], "a", "1");
        fx_submit(fx, &commits[i]);
    }
    fx_store_close(fx);
    for (int i = 0; i < 100; i++)
    {
        assert_int_equal(commits[i].durable_status, STATUS_OK);
        assert_true(commits[i].durable);
        fx_commit_fini(&commits[i]);
    }
}

/* ---- faults ---- */

static void test_a_full_disk_fails_the_batch_and_the_store_goes_on(void **state)
{
    struct store_fault fault = {.skip = 1, .count = 1, .status = STATUS_STORE_FULL};
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.fault = &fault;
    fx_store_open_mem(&fx);
    atomic_store(&fault.mask, STORE_FAULT_COMMIT);
    assert_int_equal(fx_put(&fx, "a", "1"), STATUS_OK);
    assert_int_equal(fx_put(&fx, "a", "2"), STATUS_STORE_FULL);
    assert_string_equal(fx_get_newest(&fx, "a"), "1");
    assert_int_equal(store_applied_seq(fx.store), 1);
    assert_int_equal(store_health(fx.store, NULL), STATUS_OK);
    assert_int_equal(fx_put(&fx, "a", "3"), STATUS_OK);
    assert_int_equal(store_applied_seq(fx.store), 2);
    assert_string_equal(fx_get_newest(&fx, "a"), "3");
    fx_store_fini(&fx);
}

static void test_on_a_full_disk_each_attempt_is_told_so_and_none_a_conflict(void **state)
{
    struct store_fault fault = {.skip = 1, .count = 2, .status = STATUS_STORE_FULL};
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.fault = &fault;
    fx_store_open_mem(&fx);
    atomic_store(&fault.mask, STORE_FAULT_COMMIT);
    assert_int_equal(fx_put(&fx, "a", "1"), STATUS_OK);
    const enum status want[] = {STATUS_STORE_FULL, STATUS_STORE_FULL, STATUS_OK};
    for (int i = 0; i < 3; i++)
    {
        struct fx_commit commit;
        fx_commit_init(&commit, store_applied_seq(fx.store));
        fx_commit_read(&commit, "a");
        fx_commit_put(&commit, "a", "2");
        struct store_snapshot *snapshot = store_snapshot_take(fx.store);
        fx_submit(&fx, &commit);
        fx_finish(&fx, &commit);
        store_snapshot_release(fx.store, snapshot);
        assert_int_equal(commit.applied_status, want[i]);
        fx_commit_fini(&commit);
    }
    fx_store_fini(&fx);
}

static void test_after_a_disk_error_the_store_only_reads_and_says_why(void **state)
{
    struct store_fault fault = {.skip = 1, .count = 1, .status = STATUS_STORE_IO};
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.fault = &fault;
    fx_store_open_mem(&fx);
    atomic_store(&fault.mask, STORE_FAULT_COMMIT);
    assert_int_equal(fx_put(&fx, "a", "1"), STATUS_OK);
    assert_int_equal(fx_put(&fx, "a", "2"), STATUS_STORE_IO);
    assert_int_equal(fx_put(&fx, "a", "3"), STATUS_READ_ONLY);
    assert_string_equal(fx_get_newest(&fx, "a"), "1");
    struct err err = ERR_INIT;
    assert_int_equal(store_health(fx.store, &err), STATUS_READ_ONLY);
    assert_non_null(strstr(err_text(&err), "injected fault"));
    fx_store_fini(&fx);
}

/* ---- LMDB: what is on disk ---- */

static void test_a_reopened_store_has_what_was_committed_and_counts_on(void **state)
{
    struct fx_store *fx = *state;
    assert_int_equal(fx_put(fx, "a", "1"), STATUS_OK);
    assert_int_equal(fx_put(fx, "b", "2"), STATUS_OK);
    fx_store_close(fx);
    fx_store_open(fx);
    assert_int_equal(store_applied_seq(fx->store), 2);
    assert_string_equal(fx_get_newest(fx, "a"), "1");
    assert_int_equal(fx_put(fx, "c", "3"), STATUS_OK);
    assert_int_equal(store_applied_seq(fx->store), 3);
}

static void test_a_full_map_fails_the_batch_and_smaller_ones_still_commit(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.map_bytes = 256 * KIB;
    fx_store_open(&fx);
    char *value = mem_zalloc(1 << 20);
    memset(value, 'x', (1 << 20) - 1);
    assert_int_equal(fx_put(&fx, "a", "1"), STATUS_OK);
    assert_int_equal(fx_put(&fx, "big", value), STATUS_STORE_FULL);
    assert_int_equal(fx_put(&fx, "b", "2"), STATUS_OK);
    assert_int_equal(store_applied_seq(fx.store), 2);
    assert_string_equal(fx_get_newest(&fx, "a"), "1");
    assert_string_equal(fx_get_newest(&fx, "b"), "2");
    free(value);
    fx_store_fini(&fx);
}

static void test_the_data_file_is_private_and_its_descriptor_cannot_write(void **state)
{
    struct fx_store *fx = *state;
    struct stat stat;
    assert_int_equal(fstat(store_data_fd(fx->store), &stat), 0);
    assert_int_equal(stat.st_mode & 0777, 0600);
    assert_int_equal(fcntl(store_data_fd(fx->store), F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_true(write(store_data_fd(fx->store), "x", 1) < 0);
}

static void test_the_meta_of_a_snapshot_carries_its_transaction_number(void **state)
{
    struct fx_store *fx = *state;
    for (int i = 0; i < 5; i++)
    {
        assert_int_equal(fx_put(fx, "a", "1"), STATUS_OK);
        struct store_snapshot *snapshot = store_snapshot_take(fx->store);
        struct slice meta = store_snapshot_meta(snapshot);
        assert_int_equal(meta.size, STORE_META_BYTES);
        assert_int_equal(kv_meta_txn(meta.data), store_snapshot_txn(snapshot));
        store_snapshot_release(fx->store, snapshot);
    }
}

/* ---- refusing to open ---- */

static void assert_refused(struct fx_store *fx, enum status expected, const char *words)
{
    struct store *store = NULL;
    struct err err = ERR_INIT;
    enum status status = store_open(&store, &fx->config, &err);
    if (status != expected)
        fail_msg("expected %s, got %s: %s", status_code(expected), status_code(status), err.text);
    assert_null(store);
    if (!strstr(err_text(&err), words)) fail_msg("'%s' is not in '%s'", words, err_text(&err));
}

static void test_a_store_in_use_is_refused(void **state)
{
    struct fx_store *fx = *state;
    assert_refused(fx, STATUS_STORE_IN_USE, "store.lock");
}

static void test_a_directory_that_cannot_be_made_is_refused(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    char dir[200];
    snprintf(dir, sizeof dir, "%s/no/such", fx.dir);
    fx.config.dir = dir;
    assert_refused(&fx, STATUS_STORE_UNWRITABLE, dir);
    fx.config.dir = "/proc/self/stead"; /* even root cannot write there */
    assert_refused(&fx, STATUS_STORE_UNWRITABLE, "/proc/self/stead");
    fx_store_fini(&fx);
}

static void data_file_change(const struct fx_store *fx, off_t at, const char *bytes, size_t size)
{
    char path[200];
    snprintf(path, sizeof path, "%s/data.mdb", fx->dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
    close(fd);
}

static void test_a_damaged_data_file_is_refused_and_named(void **state)
{
    struct fx_store *fx = *state;
    assert_int_equal(fx_put(fx, "a", "1"), STATUS_OK);
    fx_store_close(fx);
    data_file_change(fx, 16, "garbage", 7);
    assert_refused(fx, STATUS_STORE_CORRUPT, "data.mdb: byte 16");
}

static void test_a_truncated_data_file_is_refused_and_named(void **state)
{
    struct fx_store *fx = *state;
    assert_int_equal(fx_put(fx, "a", "1"), STATUS_OK);
    fx_store_close(fx);
    char path[200];
    snprintf(path, sizeof path, "%s/data.mdb", fx->dir);
    assert_int_equal(truncate(path, 4000), 0);
    assert_refused(fx, STATUS_STORE_CORRUPT, "data.mdb: ends inside meta page");
}

static void test_a_newer_format_is_refused(void **state)
{
    struct fx_store *fx = *state;
    fx_store_close(fx);
    struct kv *kv;
    struct kv_config config = {.dir = fx->dir, .map_bytes = 1 << 30, .sync = true};
    assert_int_equal(kv_lmdb_open(&kv, &config, NULL), STATUS_OK);
    struct store_identity identity = {.version = STORE_FORMAT_VERSION + 1};
    assert_int_equal(kv->ops->begin(kv, NULL), STATUS_OK);
    assert_int_equal(format_write(kv, &identity, NULL), STATUS_OK);
    assert_int_equal(kv->ops->commit(kv, NULL), STATUS_OK);
    kv->ops->close(kv);
    assert_refused(fx, STATUS_STORE_FORMAT, "format 2");
}

#define EACH(test)                                                                                         \
    {"memory: " #test, test, setup_mem, teardown, NULL}, {"log: " #test, test, setup_dir, teardown, NULL}, \
    {                                                                                                      \
        "sync: " #test, test, setup_sync, teardown, NULL                                                   \
    }
#define ON_DISK(test)                                    \
    {"log: " #test, test, setup_dir, teardown, NULL},    \
    {                                                    \
        "sync: " #test, test, setup_sync, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_a_commit_is_read_by_later_snapshots_only),
        EACH(test_sequence_numbers_count_the_commits_that_write),
        EACH(test_deletes_and_all_parts_of_a_commit_take_effect_together),
        EACH(test_a_changed_read_is_a_conflict_and_writes_nothing),
        EACH(test_a_row_that_appears_in_a_scanned_range_is_a_conflict),
        EACH(test_of_two_in_one_batch_that_read_and_write_a_row_one_commits),
        EACH(test_a_chain_sees_its_own_writes_as_unchanged),
        EACH(test_what_was_built_on_a_failed_member_of_a_chain_fails_too),
        EACH(test_a_snapshot_released_before_its_commit_conflicts_instead_of_guessing),
        EACH(test_a_scan_goes_in_order_until_told_to_stop),
        EACH(test_waiting_for_what_is_durable_already_does_not_wait),
        EACH(test_a_commit_that_is_alone_is_told_with_one_wake),
        EACH(test_close_commits_what_was_submitted),
        cmocka_unit_test(test_a_full_disk_fails_the_batch_and_the_store_goes_on),
        cmocka_unit_test(test_on_a_full_disk_each_attempt_is_told_so_and_none_a_conflict),
        cmocka_unit_test(test_after_a_disk_error_the_store_only_reads_and_says_why),
        ON_DISK(test_a_reopened_store_has_what_was_committed_and_counts_on),
        cmocka_unit_test(test_a_full_map_fails_the_batch_and_smaller_ones_still_commit),
        ON_DISK(test_the_data_file_is_private_and_its_descriptor_cannot_write),
        ON_DISK(test_the_meta_of_a_snapshot_carries_its_transaction_number),
        ON_DISK(test_a_store_in_use_is_refused),
        cmocka_unit_test(test_a_directory_that_cannot_be_made_is_refused),
        ON_DISK(test_a_damaged_data_file_is_refused_and_named),
        ON_DISK(test_a_truncated_data_file_is_refused_and_named),
        ON_DISK(test_a_newer_format_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
