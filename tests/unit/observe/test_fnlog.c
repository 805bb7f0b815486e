/* test_fnlog.c - what the log of functions promises to its readers. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime/base/buf.h"
#include "runtime/observe/fnlog.h"

static void collect(void *ctx, const struct fnlog_line *line)
{
    buf_printf(ctx, "%.*s:%.*s ", SLICE_FMT(line->app), SLICE_FMT(line->text));
}

static void append(struct fnlog *log, const char *app, const char *text)
{
    fnlog_append(log,
                 &(struct fnlog_line){.app = slice_cstr(app), .text = slice_cstr(text), .level = LOG_INFO});
}

static void a_tail_gives_the_newest_lines_in_the_order_they_were_written(void **state)
{
    (void)state;
    struct fnlog *log = fnlog_create(clock_real(), 4096);
    append(log, "a", "1");
    append(log, "b", "2");
    append(log, "a", "3");
    struct buf out = BUF_INIT;
    fnlog_tail(log, SLICE_EMPTY, SLICE_EMPTY, 2, collect, &out);
    assert_string_equal(buf_cstr(&out), "b:2 a:3 ");
    buf_reset(&out);
    fnlog_tail(log, SLICE("a"), SLICE_EMPTY, 10, collect, &out);
    assert_string_equal(buf_cstr(&out), "a:1 a:3 ");
    buf_fini(&out);
    fnlog_destroy(log);
}

static void a_flood_of_one_app_leaves_the_lines_of_another(void **state)
{
    (void)state;
    struct fnlog *log = fnlog_create(clock_real(), 1024);
    append(log, "quiet", "kept");
    for (int i = 0; i < 1000; i++) append(log, "loud", "noise");
    struct buf out = BUF_INIT;
    fnlog_tail(log, SLICE("quiet"), SLICE_EMPTY, 10, collect, &out);
    assert_string_equal(buf_cstr(&out), "quiet:kept ");
    buf_reset(&out);
    fnlog_tail(log, SLICE("loud"), SLICE_EMPTY, 1000, collect, &out);
    assert_true(out.size < 1024);
    buf_fini(&out);
    fnlog_destroy(log);
}

static void a_live_reader_gets_what_matches_until_it_leaves(void **state)
{
    (void)state;
    struct fnlog *log = fnlog_create(clock_real(), 4096);
    struct buf out = BUF_INIT;
    struct fnlog_reader reader = {.app = SLICE("a"), .on_line = collect, .ctx = &out};
    fnlog_subscribe(log, &reader);
    append(log, "a", "1");
    append(log, "b", "2");
    fnlog_unsubscribe(&reader);
    append(log, "a", "3");
    assert_string_equal(buf_cstr(&out), "a:1 ");
    buf_fini(&out);
    fnlog_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tail_gives_the_newest_lines_in_the_order_they_were_written),
        cmocka_unit_test(a_flood_of_one_app_leaves_the_lines_of_another),
        cmocka_unit_test(a_live_reader_gets_what_matches_until_it_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
