/* test_changefeed.c - committed changes in order: from the past, live, and when the past is gone. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "statestore/changefeed.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/statestore/fx_store.h"

struct seen {
    uint64_t first;
    uint64_t last;
    int limit; /* commits until `false` */
    int ready;
    char values[1000]; /* of all rows, joined */
};

static bool on_change(void *ctx, const struct store_change *change)
{
    struct seen *seen = ctx;
    if (seen->first == 0) seen->first = change->seq;
    if (seen->last > 0) assert_int_equal(change->seq, seen->last + 1);
    seen->last = change->seq;
    assert_true(change->wall_ms > 0);
    struct write_entry entry;
    size_t offset = 0;
    while (write_set_next(change->entries, &offset, &entry))
    {
        size_t have = strlen(seen->values);
        snprintf(seen->values + have, sizeof seen->values - have, "%.*s",
                 entry.value.size < 3 ? (int)entry.value.size : 3, (const char *)entry.value.data);
    }
    return --seen->limit != 0;
}

static void on_ready(void *ctx)
{
    ((struct seen *)ctx)->ready++;
}

static struct store_feed *open_feed(struct fx_store *fx, uint64_t from, struct seen *seen)
{
    struct store_feed *feed;
    struct err err = ERR_INIT;
    if (store_feed_open(fx->store, from, on_ready, seen, &feed, &err) != STATUS_OK)
        fail_msg("%s", err_text(&err));
    return feed;
}

static void put_numbers(struct fx_store *fx, int from, int to)
{
    for (int i = from; i <= to; i++)
    {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        assert_int_equal(fx_put(fx, "row", text), STATUS_OK);
    }
}

static void test_a_feed_shows_the_past_and_then_what_comes(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx_store_open(&fx);
    put_numbers(&fx, 1, 5);
    struct seen seen = {0};
    struct store_feed *feed = open_feed(&fx, 2, &seen);
    assert_int_equal(store_feed_read(feed, on_change, &seen, NULL), STATUS_OK);
    assert_string_equal(seen.values, "2345");
    assert_int_equal(store_feed_next(feed), 6);
    assert_int_equal(store_feed_read(feed, on_change, &seen, NULL), STATUS_OK);
    put_numbers(&fx, 6, 7);
    assert_true(seen.ready > 0);
    assert_int_equal(store_feed_read(feed, on_change, &seen, NULL), STATUS_OK);
    assert_string_equal(seen.values, "234567");
    store_feed_close(feed);
    fx_store_fini(&fx);
}

static void test_a_feed_without_a_beginning_shows_only_what_comes(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx_store_open(&fx);
    put_numbers(&fx, 1, 3);
    struct seen seen = {0};
    struct store_feed *feed = open_feed(&fx, 0, &seen);
    assert_int_equal(store_feed_read(feed, on_change, &seen, NULL), STATUS_OK);
    assert_string_equal(seen.values, "");
    put_numbers(&fx, 4, 4);
    assert_int_equal(store_feed_read(feed, on_change, &seen, NULL), STATUS_OK);
    assert_string_equal(seen.values, "4");
    store_feed_close(feed);
    fx_store_fini(&fx);
}

static void test_a_reader_that_has_enough_goes_on_there_also_inside_a_batch(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx_store_open(&fx);
    struct fx_commit commits[8];
    for (int i = 0; i < 8; i++) /* most of them come into one batch */
    {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        fx_commit_init(&commits[i], 0);
        fx_commit_put(&commits[i], "row", text);
        fx_submit(&fx, &commits[i]);
    }
    for (int i = 0; i < 8; i++)
    {
        fx_finish(&fx, &commits[i]);
        fx_commit_fini(&commits[i]);
    }
    struct seen seen = {0};
    struct store_feed *feed = open_feed(&fx, 1, &seen);
    for (int i = 1; i <= 8; i++)
    {
        seen.limit = 1;
        assert_int_equal(store_feed_read(feed, on_change, &seen, NULL), STATUS_OK);
        assert_int_equal(store_feed_next(feed), i + 1);
    }
    assert_string_equal(seen.values, "01234567");
    store_feed_close(feed);
    fx_store_fini(&fx);
}

static void test_a_feed_survives_a_restart_of_the_store(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx_store_open(&fx);
    put_numbers(&fx, 1, 3);
    fx_store_close(&fx);
    fx_store_open(&fx);
    put_numbers(&fx, 4, 5);
    struct seen seen = {0};
    struct store_feed *feed = open_feed(&fx, 1, &seen);
    assert_int_equal(store_feed_read(feed, on_change, &seen, NULL), STATUS_OK);
    assert_string_equal(seen.values, "12345");
    store_feed_close(feed);
    fx_store_fini(&fx);
}

static void test_what_the_log_does_not_have_is_told(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.log_segment_bytes = 64 * KIB;
    fx.config.log_keep_bytes = 1;
    fx_store_open(&fx);
    struct seen seen = {0};
    struct store_feed *slow = open_feed(&fx, 1, &seen), *feed;
    char *value = mem_zalloc(20001);
    memset(value, 'x', 20000);
    for (int i = 0; i < 30; i++) assert_int_equal(fx_put(&fx, "row", value), STATUS_OK);
    free(value);
    assert_int_equal(store_checkpoint(fx.store, NULL), STATUS_OK);
    struct err err = ERR_INIT;
    assert_int_equal(store_feed_read(slow, on_change, &seen, &err), STATUS_NOT_FOUND);
    assert_int_equal(store_feed_open(fx.store, 1, on_ready, &seen, &feed, &err), STATUS_NOT_FOUND);
    assert_int_equal(store_feed_open(fx.store, 99, on_ready, &seen, &feed, &err), STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(err_text(&err), "30"));
    store_feed_close(slow);
    fx_store_fini(&fx);
}

static void test_a_store_without_a_log_has_no_feed(void **state)
{
    struct fx_store fx;
    fx_store_init(&fx);
    fx.config.mode = STORE_MODE_SYNC;
    fx_store_open(&fx);
    struct store_feed *feed;
    assert_int_equal(store_feed_open(fx.store, 0, on_ready, NULL, &feed, NULL), STATUS_UNSUPPORTED);
    fx_store_fini(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_feed_shows_the_past_and_then_what_comes),
        cmocka_unit_test(test_a_feed_without_a_beginning_shows_only_what_comes),
        cmocka_unit_test(test_a_reader_that_has_enough_goes_on_there_also_inside_a_batch),
        cmocka_unit_test(test_a_feed_survives_a_restart_of_the_store),
        cmocka_unit_test(test_what_the_log_does_not_have_is_told),
        cmocka_unit_test(test_a_store_without_a_log_has_no_feed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
