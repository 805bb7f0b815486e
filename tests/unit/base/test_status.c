/* test_status.c - the table of statuses is complete and helpful, and errors keep the words of each level. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"

static void every_code_is_a_unique_lower_case_word_and_is_found_again(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++)
    {
        const char *code = status_code((enum status)i);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz_"), strlen(code));
        enum status found;
        assert_true(status_from_code(code, &found));
        assert_int_equal(found, i); /* a repeated code would find the first */
    }
    enum status untouched = STATUS_CONFLICT;
    assert_false(status_from_code("no_such_code", &untouched));
    assert_int_equal(untouched, STATUS_CONFLICT);
}

static void every_failure_says_what_happened_and_what_to_do(void **state)
{
    (void)state;
    for (int i = STATUS_OK + 1; i < STATUS_COUNT; i++)
    {
        const char *text = status_text((enum status)i);
        const char *hint = status_hint((enum status)i);
        assert_true(strlen(text) > 10);
        assert_true(islower((unsigned char)text[0]) || strncmp(text, "HTTP", 4) == 0);
        assert_int_not_equal(text[strlen(text) - 1], '.');
        if (i == STATUS_CANCELED) continue; /* the caller who could read a hint is gone */
        assert_true(strlen(hint) > 10);
        assert_non_null(strchr(".?", hint[strlen(hint) - 1]));
    }
}

static void http_statuses_are_of_failures_and_only_passing_ones_are_retryable(void **state)
{
    (void)state;
    assert_int_equal(status_http(STATUS_OK), 200);
    assert_false(status_retryable(STATUS_OK));
    for (int i = STATUS_OK + 1; i < STATUS_COUNT; i++)
    {
        int http = status_http((enum status)i);
        assert_in_range(http, 400, 599);
        /* These two invite a repetition by their meaning. */
        if (http == 429 || http == 408) assert_true(status_retryable((enum status)i));
        /* The request itself is wrong: repeating it cannot help. */
        if (http == 400 || http == 404 || http == 413) assert_false(status_retryable((enum status)i));
    }
}

static void each_level_puts_its_words_in_front(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_errno(&err, STATUS_STORE_FULL, ENOSPC, "map %s", "/x"), STATUS_STORE_FULL);
    assert_int_equal(err_wrap(&err, STATUS_STORE_FULL, "open %s", "store"), STATUS_STORE_FULL);
    assert_string_equal(err_text(&err), "open store: map /x: No space left on device");
    assert_int_equal(err.status, STATUS_STORE_FULL);

    assert_int_equal(err_set(&err, STATUS_NOT_FOUND, "row %d", 1), STATUS_NOT_FOUND);
    assert_string_equal(err_text(&err), "row 1");
}

static void without_words_the_text_is_that_of_the_status(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err.status = STATUS_CONFLICT;
    assert_string_equal(err_text(&err), status_text(STATUS_CONFLICT));
    assert_int_equal(err_wrap(&err, STATUS_CONFLICT, "commit"), STATUS_CONFLICT);
    assert_memory_equal(err_text(&err), "commit: ", 8);
    assert_string_equal(err_text(&err) + 8, status_text(STATUS_CONFLICT));
}

static void words_that_nobody_wants_cost_nothing(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, STATUS_IO, "x"), STATUS_IO);
    assert_int_equal(err_wrap(NULL, STATUS_IO, "x"), STATUS_IO);
    assert_int_equal(err_errno(NULL, STATUS_IO, EIO, "x"), STATUS_IO);
}

static void words_that_are_too_long_are_cut(void **state)
{
    (void)state;
    char many[3000];
    memset(many, 'm', sizeof many - 1);
    many[sizeof many - 1] = 0;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, STATUS_IO, "%s", many), STATUS_IO);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_int_equal(err_wrap(&err, STATUS_IO, "outer"), STATUS_IO);
    assert_memory_equal(err.text, "outer: mmm", 10);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_int_equal(err_errno(&err, STATUS_IO, EIO, "%s", many), STATUS_IO);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static enum status passes_on(enum status inner, int *after)
{
    TRY(inner);
    ++*after;
    return STATUS_OK;
}

static void try_leaves_the_function_on_failure_only(void **state)
{
    (void)state;
    int after = 0;
    assert_int_equal(passes_on(STATUS_CONFLICT, &after), STATUS_CONFLICT);
    assert_int_equal(after, 0);
    assert_int_equal(passes_on(STATUS_OK, &after), STATUS_OK);
    assert_int_equal(after, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_a_unique_lower_case_word_and_is_found_again),
        cmocka_unit_test(every_failure_says_what_happened_and_what_to_do),
        cmocka_unit_test(http_statuses_are_of_failures_and_only_passing_ones_are_retryable),
        cmocka_unit_test(each_level_puts_its_words_in_front),
        cmocka_unit_test(without_words_the_text_is_that_of_the_status),
        cmocka_unit_test(words_that_nobody_wants_cost_nothing),
        cmocka_unit_test(words_that_are_too_long_are_cut),
        cmocka_unit_test(try_leaves_the_function_on_failure_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
