/* test_log.c - the file log: order, room, recycling; and what it says about every kind of damage. */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <inttypes.h>
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
#include "statestore/kv/write_set.h"
#include "statestore/log.h"
#include "statestore/log_segment.h"
#include "tests/unit/statestore/fx_store.h"

struct fx_log {
    struct fx_store dir; /* for its directory only */
    struct log_file_config config;
    struct log *log;
    uint64_t seen; /* last LSN that was read, from seen_from on without gaps */
    struct err err;
};

static enum status on_entry(void *ctx, const struct log_entry *entry, struct err *err)
{
    struct fx_log *fx = ctx;
    if (fx->seen > 0) assert_int_equal(entry->first_lsn, fx->seen + 1);
    fx->seen = log_entry_last(entry);
    struct slice entries;
    size_t offset = 0;
    for (uint32_t i = 0; i < entry->count; i++) assert_true(log_commit_next(entry->body, &offset, &entries));
    assert_int_equal(offset, entry->body.size);
    return STATUS_OK;
}

static void fx_log_init(struct fx_log *fx)
{
    *fx = (struct fx_log){0};
    fx_store_init(&fx->dir);
    fx->config = (struct log_file_config){
        .create = true, .dir = fx->dir.dir, .segment_bytes = 64 * KIB, .keep_bytes = 1 * GIB, .from = 1};
    fx->config.id.bytes[0] = 7;
}

static enum status fx_log_try_open(struct fx_log *fx)
{
    fx->seen = 0;
    fx->err = ERR_INIT;
    enum status status = log_file_open(&fx->log, &fx->config, on_entry, fx, &fx->err);
    if (status == STATUS_OK) fx->config.create = false;
    return status;
}

static void fx_log_open(struct fx_log *fx)
{
    if (fx_log_try_open(fx) != STATUS_OK) fail_msg("%s", err_text(&fx->err));
}

static void fx_log_close(struct fx_log *fx)
{
    fx->log->ops->close(fx->log);
    fx->log = NULL;
}

static void fx_log_fini(struct fx_log *fx)
{
    if (fx->log) fx_log_close(fx);
    fx_store_fini(&fx->dir);
}

static uint64_t last_lsn(struct fx_log *fx)
{
    struct log_stats stats;
    fx->log->ops->stats(fx->log, &stats);
    return stats.last_lsn;
}

/* A record with `count` commits of one put of `value_bytes` bytes each. */
static enum status append(struct fx_log *fx, uint32_t count, size_t value_bytes)
{
    struct buf writes = BUF_INIT, record = BUF_INIT;
    void *value = mem_zalloc(value_bytes + 1);
    write_set_append(&writes,
                     &(struct write_entry){WRITE_PUT, SLICE("r\0k"), slice_make(value, value_bytes)});
    log_record_begin(&record);
    struct slice part = buf_view(&writes);
    for (uint32_t i = 0; i < count; i++) log_record_add(&record, &part, 1);
    struct log_entry entry = {.first_lsn = last_lsn(fx) + 1, .count = count, .wall_ms = 1000 + last_lsn(fx)};
    enum status status = fx->log->ops->append(fx->log, &record, &entry, &fx->err);
    free(value);
    buf_fini(&writes);
    buf_fini(&record);
    return status;
}

static void sync_all(struct fx_log *fx)
{
    uint64_t durable = 0;
    assert_int_equal(fx->log->ops->sync(fx->log, &durable, NULL), STATUS_OK);
    assert_int_equal(durable, last_lsn(fx));
}

/* `count` records of one commit each, every one synced, so that each proves those before it. */
static void append_synced(struct fx_log *fx, int count, size_t value_bytes)
{
    for (int i = 0; i < count; i++)
    {
        assert_int_equal(append(fx, 1, value_bytes), STATUS_OK);
        sync_all(fx);
    }
}

static void test_what_was_appended_is_read_at_the_next_open(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx_log_open(&fx);
    assert_int_equal(append(&fx, 1, 10), STATUS_OK);
    assert_int_equal(append(&fx, 3, 100), STATUS_OK);
    assert_int_equal(append(&fx, 1, 0), STATUS_OK);
    sync_all(&fx);
    fx_log_close(&fx);
    fx.config.proven = 5;
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 5);
    assert_int_equal(last_lsn(&fx), 5);
    assert_int_equal(append(&fx, 1, 10), STATUS_OK);
    fx_log_close(&fx);
    fx.config.from = 4; /* in the middle of a record: it is read as a whole */
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 6);
    fx_log_fini(&fx);
}

static void test_records_go_on_in_the_next_segment(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx_log_open(&fx);
    append_synced(&fx, 50, 5000);
    fx_log_close(&fx);
    fx.config.proven = 50;
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 50);
    struct log_stats stats;
    fx.log->ops->stats(fx.log, &stats);
    assert_true(stats.bytes > 3 * fx.config.segment_bytes);
    assert_int_equal(stats.first_lsn, 1);
    fx_log_fini(&fx);
}

static void test_a_record_larger_than_a_segment_gets_room(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx_log_open(&fx);
    append_synced(&fx, 1, 10);
    append_synced(&fx, 1, 300 * 1024);
    append_synced(&fx, 1, 10);
    fx_log_close(&fx);
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 3);
    fx_log_fini(&fx);
}

static void test_old_segments_are_used_again_and_the_log_stays_small(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx.config.keep_bytes = 1;
    fx_log_open(&fx);
    struct log_stats stats;
    for (int i = 0; i < 40; i++)
    {
        append_synced(&fx, 5, 5000);
        if (fx.log->ops->wants_prepare(fx.log))
            assert_int_equal(fx.log->ops->prepare(fx.log, NULL), STATUS_OK);
        fx.log->ops->trim(fx.log, last_lsn(&fx), (uint32_t)i);
        fx.log->ops->stats(fx.log, &stats);
        assert_true(stats.bytes <= 4 * fx.config.segment_bytes);
    }
    assert_true(stats.first_lsn > 150);
    fx_log_close(&fx);
    fx.config.from = fx.config.proven = 200;
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 200);
    fx_log_close(&fx);
    fx.config.from = 2; /* what recycling took is asked for */
    assert_int_equal(fx_log_try_open(&fx), STATUS_STORE_CORRUPT);
    assert_non_null(strstr(err_text(&fx.err), "LSN 2 is needed"));
    fx_log_fini(&fx);
}

/* A log whose first segment has no record at all could not be told from one that has lost it. */
static void test_a_segment_is_kept_until_a_record_behind_it_is_durable(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx.config.keep_bytes = 1;
    fx_log_open(&fx);
    append_synced(&fx, 1, 60000);
    assert_int_equal(append(&fx, 1, 60000), STATUS_OK); /* in the next segment, not synced */
    struct log_stats stats;
    fx.log->ops->trim(fx.log, 1, 1);
    fx.log->ops->stats(fx.log, &stats);
    assert_int_equal(stats.first_lsn, 1);
    sync_all(&fx);
    fx.log->ops->trim(fx.log, 1, 1);
    fx.log->ops->stats(fx.log, &stats);
    assert_int_equal(stats.first_lsn, 2);
    fx_log_fini(&fx);
}

static void test_a_record_taken_back_does_not_come_back(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx_log_open(&fx);
    append_synced(&fx, 2, 10);
    assert_int_equal(append(&fx, 4, 50), STATUS_OK);
    assert_int_equal(fx.log->ops->take_back(fx.log, NULL), STATUS_OK);
    assert_int_equal(last_lsn(&fx), 2);
    fx_log_close(&fx);
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 2);
    append_synced(&fx, 1, 50);
    fx_log_close(&fx);
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 3);
    fx_log_fini(&fx);
}

static void test_a_cursor_reads_on_from_where_it_stopped(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx_log_open(&fx);
    append_synced(&fx, 30, 5000);
    struct log_cursor cursor = {.lsn = 11};
    fx.seen = 10;
    assert_int_equal(fx.log->ops->read(fx.log, &cursor, 20, on_entry, &fx, NULL), STATUS_OK);
    assert_int_equal(fx.seen, 20);
    append_synced(&fx, 10, 5000);
    assert_int_equal(fx.log->ops->read(fx.log, &cursor, 40, on_entry, &fx, NULL), STATUS_OK);
    assert_int_equal(fx.seen, 40);
    assert_int_equal(cursor.lsn, 41);
    fx_log_fini(&fx);
}

static void test_reading_what_is_gone_says_so(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx.config.keep_bytes = 1;
    fx_log_open(&fx);
    append_synced(&fx, 60, 5000);
    fx.log->ops->trim(fx.log, 60, 1);
    struct log_cursor cursor = {.lsn = 1};
    struct err err = ERR_INIT;
    assert_int_equal(fx.log->ops->read(fx.log, &cursor, 60, on_entry, &fx, &err), STATUS_NOT_FOUND);
    assert_non_null(strstr(err_text(&err), "LSN 1"));
    fx_log_fini(&fx);
}

/* ---- damage ---- */

static void segment_path(const struct fx_log *fx, uint64_t number, char path[200])
{
    snprintf(path, 200, "%s/log/%016" PRIx64 ".log", fx->dir.dir, number);
}

static void flip(const struct fx_log *fx, uint64_t number, off_t at)
{
    char path[200];
    segment_path(fx, number, path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void assert_refused(struct fx_log *fx, enum status expected, const char *first, const char *second)
{
    enum status status = fx_log_try_open(fx);
    if (status != expected)
        fail_msg("expected %s, got %s: %s", status_code(expected), status_code(status), err_text(&fx->err));
    if (!strstr(err_text(&fx->err), first) || !strstr(err_text(&fx->err), second))
        fail_msg("'%s' and '%s' are not in '%s'", first, second, err_text(&fx->err));
}

/* Records of one commit with a 100 byte value each. */
enum { SMALL_RECORD = (RECORD_HEAD_BYTES + 4 + WRITE_ENTRY_HEAD_BYTES + 3 + 100 + 7) / 8 * 8 };

static void small_log(struct fx_log *fx)
{
    fx_log_init(fx);
    fx_log_open(fx);
    append_synced(fx, 10, 100);
    fx_log_close(fx);
    fx->config.proven = 10;
}

static void test_a_flipped_bit_in_any_record_is_refused_and_named(void **state)
{
    struct fx_log fx;
    small_log(&fx);
    for (int record = 0; record < 10; record++)
        for (int at = 0; at < SMALL_RECORD; at += 13)
        {
            off_t offset = SEGMENT_HEAD_BYTES + record * SMALL_RECORD;
            char words[64], lsn[32];
            snprintf(words, sizeof words, "0001.log: offset %d:", (int)offset);
            snprintf(lsn, sizeof lsn, "LSN %d is damaged", record + 1);
            flip(&fx, 1, offset + at);
            assert_refused(&fx, STATUS_STORE_CORRUPT, words, lsn);
            flip(&fx, 1, offset + at);
        }
    fx_log_open(&fx); /* nothing was changed by all that */
    assert_int_equal(fx.seen, 10);
    fx_log_fini(&fx);
}

static void test_records_prove_the_ones_before_them(void **state)
{
    struct fx_log fx;
    small_log(&fx);
    fx.config.proven = 0; /* nobody else knows what was durable */
    for (int record = 0; record < 9; record++)
    {
        off_t offset = SEGMENT_HEAD_BYTES + record * SMALL_RECORD + 70;
        flip(&fx, 1, offset);
        assert_refused(&fx, STATUS_STORE_CORRUPT, "0001.log", "is damaged");
        flip(&fx, 1, offset);
    }
    fx_log_fini(&fx);
}

static void test_a_torn_tail_that_nothing_proves_is_cut_off(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx_log_open(&fx);
    append_synced(&fx, 5, 100);
    for (int i = 0; i < 3; i++) assert_int_equal(append(&fx, 1, 100), STATUS_OK); /* 6, 7, 8: never synced */
    fx_log_close(&fx);
    flip(&fx, 1, SEGMENT_HEAD_BYTES + 5 * SMALL_RECORD + 80); /* of these, 6 did not arrive whole */
    fx.config.proven = 5;
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 5);
    append_synced(&fx, 1, 100); /* exactly as long as the old 6 was: 7 and 8 must not follow it */
    fx_log_close(&fx);
    fx.config.proven = 6;
    fx_log_open(&fx);
    assert_int_equal(fx.seen, 6);
    fx_log_fini(&fx);
}

static void test_damaged_heads_and_foreign_segments_are_refused_and_named(void **state)
{
    struct fx_log fx;
    small_log(&fx);
    flip(&fx, 1, 26);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "0001.log: offset 0", "head is damaged");
    flip(&fx, 1, 26);
    fx.config.id.bytes[0] = 8;
    assert_refused(&fx, STATUS_STORE_CORRUPT, "0001.log: offset 8", "another store");
    fx_log_fini(&fx);
}

static void test_a_newer_format_is_refused(void **state)
{
    struct fx_log fx;
    small_log(&fx);
    char path[200];
    segment_path(&fx, 1, path);
    uint8_t bytes[SEGMENT_HEAD_BYTES];
    segment_head_encode(bytes, &(struct segment_head){.version = LOG_FORMAT_VERSION + 1, .number = 1});
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, 0), sizeof bytes);
    close(fd);
    assert_refused(&fx, STATUS_STORE_FORMAT, "0001.log", "log format 2");
    fx_log_fini(&fx);
}

static void test_missing_segments_are_refused_and_named(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx_log_open(&fx);
    append_synced(&fx, 50, 5000);
    fx_log_close(&fx);
    fx.config.proven = 50;
    char path[200], aside[220];
    for (uint64_t number = 1; number <= 4; number++)
    {
        segment_path(&fx, number, path);
        snprintf(aside, sizeof aside, "%s.aside", path);
        assert_int_equal(rename(path, aside), 0);
        char name[32];
        snprintf(name, sizeof name, "000%d.log", (int)number);
        assert_refused(&fx, STATUS_STORE_CORRUPT, name, "missing");
        assert_int_equal(rename(aside, path), 0);
    }
    fx_log_open(&fx);
    fx_log_close(&fx);
    for (uint64_t number = 5; number > 0; number--)
    {
        segment_path(&fx, number, path);
        unlink(path);
        char name[32];
        snprintf(name, sizeof name, "000%d.log", (int)number);
        if (number > 1) assert_refused(&fx, STATUS_STORE_CORRUPT, name, "missing");
    }
    assert_refused(&fx, STATUS_STORE_CORRUPT, "there is no segment", "");
    fx_log_fini(&fx);
}

/* Appends until the log has just begun its second segment. */
static void two_segments(struct fx_log *fx)
{
    fx_log_init(fx);
    fx_log_open(fx);
    struct stat stat_buf;
    char path[200];
    segment_path(fx, 2, path);
    while (stat(path, &stat_buf) != 0) append_synced(fx, 1, 5000);
}

static void test_the_newest_segment_is_missed_though_no_record_proves_it(void **state)
{
    struct fx_log fx;
    two_segments(&fx);
    fx_log_close(&fx);
    fx.config.proven = 0; /* as after a power cut */
    char path[200], aside[220];
    segment_path(&fx, 2, path);
    snprintf(aside, sizeof aside, "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "0002.log", "missing");
    assert_int_equal(rename(aside, path), 0);
    fx_log_open(&fx);
    fx_log_fini(&fx);
}

/* What a stop leaves when it comes between the mark and the first record behind it. */
static void test_a_mark_with_an_empty_segment_behind_it_is_written_over(void **state)
{
    struct fx_log fx;
    two_segments(&fx);
    uint64_t last = last_lsn(&fx);
    assert_int_equal(fx.log->ops->take_back(fx.log, &fx.err), STATUS_OK);
    fx_log_close(&fx);
    fx.config.proven = 0;
    fx_log_open(&fx);
    assert_int_equal(fx.seen, last - 1);
    append_synced(&fx, 1, 10); /* goes where the mark is */
    append_synced(&fx, 5, 5000); /* and the next one makes it anew */
    fx_log_close(&fx);
    fx_log_open(&fx);
    assert_int_equal(fx.seen, last + 5);
    fx_log_close(&fx);
    char path[200];
    segment_path(&fx, 2, path);
    assert_int_equal(unlink(path), 0);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "0002.log", "missing");
    fx_log_fini(&fx);
}

static void test_truncated_segments_are_refused_and_named(void **state)
{
    struct fx_log fx;
    small_log(&fx);
    char path[200];
    segment_path(&fx, 1, path);
    assert_int_equal(truncate(path, SEGMENT_HEAD_BYTES + 3 * SMALL_RECORD + 20), 0);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "0001.log: offset", "LSN 4 is damaged");
    assert_int_equal(truncate(path, 100), 0);
    assert_refused(&fx, STATUS_STORE_CORRUPT, "0001.log: offset 0", "head is damaged");
    fx_log_fini(&fx);
}

static void test_damage_in_an_older_segment_is_refused_when_it_is_needed(void **state)
{
    struct fx_log fx;
    fx_log_init(&fx);
    fx_log_open(&fx);
    append_synced(&fx, 50, 5000);
    fx_log_close(&fx);
    flip(&fx, 2, SEGMENT_HEAD_BYTES + 100); /* the first record of the second segment */
    fx.config.proven = 50;
    assert_refused(&fx, STATUS_STORE_CORRUPT, "0002.log: offset 4096:", "is damaged");
    fx.config.from = 40;
    fx_log_open(&fx);
    struct log_cursor cursor = {.lsn = 1};
    fx.seen = 0;
    struct err err = ERR_INIT;
    assert_int_equal(fx.log->ops->read(fx.log, &cursor, 50, on_entry, &fx, &err), STATUS_STORE_CORRUPT);
    assert_non_null(strstr(err_text(&err), ".log: offset"));
    fx_log_fini(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_appended_is_read_at_the_next_open),
        cmocka_unit_test(test_records_go_on_in_the_next_segment),
        cmocka_unit_test(test_a_record_larger_than_a_segment_gets_room),
        cmocka_unit_test(test_old_segments_are_used_again_and_the_log_stays_small),
        cmocka_unit_test(test_a_segment_is_kept_until_a_record_behind_it_is_durable),
        cmocka_unit_test(test_a_record_taken_back_does_not_come_back),
        cmocka_unit_test(test_a_cursor_reads_on_from_where_it_stopped),
        cmocka_unit_test(test_reading_what_is_gone_says_so),
        cmocka_unit_test(test_a_flipped_bit_in_any_record_is_refused_and_named),
        cmocka_unit_test(test_records_prove_the_ones_before_them),
        cmocka_unit_test(test_a_torn_tail_that_nothing_proves_is_cut_off),
        cmocka_unit_test(test_damaged_heads_and_foreign_segments_are_refused_and_named),
        cmocka_unit_test(test_a_newer_format_is_refused),
        cmocka_unit_test(test_missing_segments_are_refused_and_named),
        cmocka_unit_test(test_the_newest_segment_is_missed_though_no_record_proves_it),
        cmocka_unit_test(test_a_mark_with_an_empty_segment_behind_it_is_written_over),
        cmocka_unit_test(test_truncated_segments_are_refused_and_named),
        cmocka_unit_test(test_damage_in_an_older_segment_is_refused_when_it_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
