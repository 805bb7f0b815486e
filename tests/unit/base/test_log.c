/* test_log.c - the node's log: one event, one line, whatever is in it. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/log.h"

/* Runs `write_lines` with standard error going into a pipe, and appends what came out of it. */
static void captured(struct buf *out, void (*write_lines)(void))
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(ends[1]), 0);
    write_lines(); /* less than a pipe holds */
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(saved), 0);
    ssize_t got;
    while ((got = read(ends[0], buf_reserve(out, 4096), 4096)) > 0) out->size += (size_t)got;
    assert_int_equal(close(ends[0]), 0);
}

static void two_levels(void)
{
    log_level_set(LOG_WARN);
    log_info("test.quiet", "x=%d", 1);
    log_warn("test.loud", "x=%d", 2);
    log_level_set(LOG_INFO);
}

static void a_line_has_time_level_event_and_pairs_and_lower_levels_are_dropped(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    captured(&out, two_levels);
    const char *line = buf_cstr(&out);
    int year, month, day, hour, minute, second, ms, end = 0;
    assert_int_equal(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute,
                            &second, &ms, &end),
                     7);
    assert_string_equal(line + end, " warn  test.loud x=2\n");
    buf_fini(&out);
}

static void hostile_and_endless(void)
{
    char many[5000];
    memset(many, 'm', sizeof many - 1);
    many[sizeof many - 1] = 0;
    log_info("test.long", "text=%s", many);
    log_info("test.forged", "path=%s", "/a\n2030-01-01T00:00:00.000Z info  node.forged\x1b[2J\r");
}

static void no_content_can_forge_a_second_line_or_lose_its_end(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    captured(&out, hostile_and_endless);
    const char *text = buf_cstr(&out);
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++) lines++;
    assert_int_equal(lines, 2);
    assert_int_equal(text[out.size - 1], '\n');
    assert_null(strchr(text, '\x1b'));
    assert_null(strchr(text, '\r'));
    buf_fini(&out);
}

static void levels_have_names(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_from_name("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_from_name("loud", &level));
    assert_int_equal(level, LOG_DEBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_event_and_pairs_and_lower_levels_are_dropped),
        cmocka_unit_test(no_content_can_forge_a_second_line_or_lose_its_end),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
