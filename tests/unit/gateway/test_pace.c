/* test_pace.c - refusals: so many at once, then one after another. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/gateway/pace.h"

#define START (5 * NS_PER_S)

static void a_burst_is_free_and_what_follows_waits_longer_and_longer(void **state)
{
    (void)state;
    struct pace pace = {0};
    for (int i = 0; i < 3; i++) assert_int_equal(pace_refusal(&pace, START, 10, 3), START);
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(pace_refusal(&pace, START, 10, 3), START + i * NS_PER_S / 10);
}

static void a_pause_earns_a_burst_again_and_no_more(void **state)
{
    (void)state;
    struct pace pace = {0};
    for (int i = 0; i < 8; i++) (void)pace_refusal(&pace, START, 10, 3);
    uint64_t later = START + 3600 * NS_PER_S;
    for (int i = 0; i < 3; i++) assert_int_equal(pace_refusal(&pace, later, 10, 3), later);
    assert_int_equal(pace_refusal(&pace, later, 10, 3), later + NS_PER_S / 10);
}

static void at_the_rate_itself_nobody_waits(void **state)
{
    (void)state;
    struct pace pace = {0};
    for (uint64_t i = 0; i < 1000; i++)
    {
        uint64_t now = START + i * NS_PER_S / 10;
        assert_int_equal(pace_refusal(&pace, now, 10, 1), now);
    }
}

static void in_the_long_run_the_rate_is_kept_whatever_is_asked_for(void **state)
{
    (void)state;
    struct pace pace = {0};
    uint64_t now = START, refusals = 0;
    while (now < START + 100 * NS_PER_S)
    {
        refusals++;
        now = pace_refusal(&pace, now, 50, 20); /* whoever was released asks again at once */
    }
    assert_in_range(refusals, 5000, 5021);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_free_and_what_follows_waits_longer_and_longer),
        cmocka_unit_test(a_pause_earns_a_burst_again_and_no_more),
        cmocka_unit_test(at_the_rate_itself_nobody_waits),
        cmocka_unit_test(in_the_long_run_the_rate_is_kept_whatever_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
