/* test_retry.c - when a conflicting invocation is tried again. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/invoke/retry.h"

static void the_first_retries_are_at_once_and_later_ones_wait_below_a_growing_ceiling(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (uint32_t attempts = 1; attempts <= BOUND_CONFLICT_RETRIES_MAX; attempts++)
    {
        for (int i = 0; i < 1000; i++)
        {
            uint32_t delay_ms = 99;
            assert_true(retry_conflict(attempts, &prng, &delay_ms));
            if (attempts <= 2)
                assert_int_equal(delay_ms, 0);
            else
                assert_in_range(delay_ms, 0, attempts - 3 > 5 ? 32 : 1u << (attempts - 3));
        }
    }
}

static void after_the_last_retry_the_caller_is_told(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    uint32_t delay_ms;
    assert_false(retry_conflict(BOUND_CONFLICT_RETRIES_MAX + 1, &prng, &delay_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_retries_are_at_once_and_later_ones_wait_below_a_growing_ceiling),
        cmocka_unit_test(after_the_last_retry_the_caller_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
