/* test_delivery_policy.c - what becomes of deliveries that failed. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime/trigger/delivery_policy.h"

static void delays_double_up_to_five_minutes_and_are_never_all_the_same(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    static const uint64_t longest[] = {200,   400,   800,   1600,   3200,   6400,
                                       12800, 25600, 51200, 102400, 204800, 300000};
    for (uint32_t failed = 1; failed <= 12; failed++)
    {
        uint64_t low = UINT64_MAX, high = 0;
        for (int i = 0; i < 200; i++)
        {
            uint64_t delay;
            assert_int_equal(delivery_after(STATUS_FUNCTION_ERROR, failed, 12, &prng, &delay),
                             DELIVERY_RETRY);
            if (delay < low) low = delay;
            if (delay > high) high = delay;
        }
        assert_true(high <= longest[failed - 1] && low >= longest[failed - 1] * 3 / 4);
        assert_true(low < high);
    }
}

static void after_its_last_attempt_it_is_given_up(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    uint64_t delay;
    assert_int_equal(delivery_after(STATUS_FUNCTION_CRASHED, 3, 3, &prng, &delay), DELIVERY_RETRY);
    assert_int_equal(delivery_after(STATUS_FUNCTION_CRASHED, 4, 3, &prng, &delay), DELIVERY_GIVE_UP);
    assert_int_equal(delivery_after(STATUS_FUNCTION_CRASHED, 1, 0, &prng, &delay), DELIVERY_GIVE_UP);
}

static void what_was_not_tried_is_not_counted(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    static const enum status statuses[] = {STATUS_QUEUE_FULL, STATUS_DRAINING, STATUS_APP_NOT_FOUND,
                                           STATUS_RATE_LIMITED};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
    {
        uint64_t delay;
        assert_int_equal(delivery_after(statuses[i], 1000, 3, &prng, &delay), DELIVERY_WAIT);
        assert_true(delay > 0 && delay < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_up_to_five_minutes_and_are_never_all_the_same),
        cmocka_unit_test(after_its_last_attempt_it_is_given_up),
        cmocka_unit_test(what_was_not_tried_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
