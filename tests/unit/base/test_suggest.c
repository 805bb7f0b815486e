/* test_suggest.c - guesses for typos. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/suggest.h"

static const char *const words[] = {"deploy", "apps", "logs", "rollback", "remove", NULL};

static void a_slip_finds_its_word(void **state)
{
    assert_string_equal(suggest_word(SLICE("deplyo"), words), "deploy");
    assert_string_equal(suggest_word(SLICE("rolback"), words), "rollback");
    assert_string_equal(suggest_word(SLICE("app"), words), "apps");
    assert_string_equal(suggest_word(SLICE("lgos"), words), "logs");
}

static void what_is_far_from_every_word_gets_no_guess(void **state)
{
    assert_null(suggest_word(SLICE("xyz"), words));
    assert_null(suggest_word(SLICE(""), words));
    assert_null(suggest_word(SLICE("ab"), words));
    char longer[200];
    memset(longer, 'a', sizeof longer);
    assert_null(suggest_word(slice_make(longer, sizeof longer), words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_finds_its_word),
        cmocka_unit_test(what_is_far_from_every_word_gets_no_guess),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
