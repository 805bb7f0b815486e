/* test_entity_order.c - whose turn it is. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime/base/prng.h"
#include "runtime/base/slice.h"
#include "runtime/invoke/entity_order.h"

static const int code_1, code_2;

static void the_first_invocation_of_an_entity_starts_a_chain_and_the_second_joins_it(void **state)
{
    (void)state;
    struct lanes lanes;
    lanes_init(&lanes);
    struct lane_entry a, b, *next;
    struct lane *lane = lanes_enter(&lanes, SLICE("cart/1"), &a, &code_1);
    assert_ptr_equal(lane, lanes_enter(&lanes, SLICE("cart/1"), &b, &code_1));
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NEW_CHAIN);
    assert_ptr_equal(next, &a);
    uint64_t chain = lane->chain;
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_SEND);
    assert_ptr_equal(next, &b);
    assert_int_equal(lane->chain, chain);
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NOTHING);
    lane_settled(lane);
    lane_settled(lane);
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_IDLE);
    lanes_forget(&lanes, lane);
    lanes_fini(&lanes);
}

static void two_entities_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct lanes lanes;
    lanes_init(&lanes);
    struct lane_entry a, b, *next;
    struct lane *one = lanes_enter(&lanes, SLICE("a"), &a, &code_1);
    struct lane *two = lanes_enter(&lanes, SLICE("b"), &b, &code_1);
    assert_int_equal(lane_next(&lanes, one, &next), LANE_NEW_CHAIN);
    assert_int_equal(lane_next(&lanes, two, &next), LANE_NEW_CHAIN);
    assert_true(one->chain != two->chain);
    lane_settled(one);
    lane_settled(two);
    lanes_forget(&lanes, one);
    lanes_forget(&lanes, two);
    lanes_fini(&lanes);
}

static void a_broken_chain_ends_before_the_next_begins_and_what_comes_back_keeps_its_place(void **state)
{
    (void)state;
    struct lanes lanes;
    lanes_init(&lanes);
    struct lane_entry e[4], *next;
    struct lane *lane = NULL;
    for (int i = 0; i < 4; i++) lane = lanes_enter(&lanes, SLICE("x"), &e[i], &code_1);
    for (int i = 0; i < 3; i++) (void)lane_next(&lanes, lane, &next); /* 0, 1 and 2 are away */
    lane_settled(lane); /* 0 was applied */
    lane_return(lane, &e[2]); /* in whatever order they come back */
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NOTHING);
    lane_return(lane, &e[1]);
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NEW_CHAIN);
    assert_ptr_equal(next, &e[1]);
    for (int i = 2; i < 4; i++)
    {
        assert_int_equal(lane_next(&lanes, lane, &next), LANE_SEND);
        assert_ptr_equal(next, &e[i]);
    }
    for (int i = 0; i < 3; i++) lane_settled(lane);
    lanes_forget(&lanes, lane);
    lanes_fini(&lanes);
}

static void another_version_of_the_code_starts_a_chain_of_its_own(void **state)
{
    (void)state;
    struct lanes lanes;
    lanes_init(&lanes);
    struct lane_entry a, b, *next;
    struct lane *lane = lanes_enter(&lanes, SLICE("x"), &a, &code_1);
    lanes_enter(&lanes, SLICE("x"), &b, &code_2);
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NEW_CHAIN);
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NOTHING);
    lane_settled(lane);
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NEW_CHAIN);
    assert_ptr_equal(next, &b);
    lane_settled(lane);
    lanes_forget(&lanes, lane);
    lanes_fini(&lanes);
}

static void a_chain_is_cut_at_its_longest(void **state)
{
    (void)state;
    struct lanes lanes;
    lanes_init(&lanes);
    static struct lane_entry e[LANE_CHAIN_LENGTH_MAX + 1];
    struct lane_entry *next;
    struct lane *lane = NULL;
    for (int i = 0; i <= LANE_CHAIN_LENGTH_MAX; i++) lane = lanes_enter(&lanes, SLICE("x"), &e[i], &code_1);
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NEW_CHAIN);
    for (int i = 1; i < LANE_CHAIN_LENGTH_MAX; i++)
    {
        assert_int_equal(lane_next(&lanes, lane, &next), LANE_SEND);
        lane_settled(lane); /* one is always under way */
    }
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NOTHING);
    lane_settled(lane);
    assert_int_equal(lane_next(&lanes, lane, &next), LANE_NEW_CHAIN);
    lane_settled(lane);
    lanes_forget(&lanes, lane);
    lanes_fini(&lanes);
}

/* A model run: workers answer in order, commits fail at random; the order of what is applied must be the order of arrival. */
static void under_random_failures_invocations_are_applied_in_the_order_of_arrival(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 7);
    struct lanes lanes;
    lanes_init(&lanes);
    enum { N = 2000 };
    static struct lane_entry e[N];
    static struct lane_entry *away[N];
    size_t away_count = 0, arrived = 0, applied = 0;
    struct lane *lane = NULL;
    while (applied < N)
    {
        if (arrived < N && prng_chance(&prng, 1, 2))
        {
            lane = lanes_enter(&lanes, SLICE("x"), &e[arrived], &code_1);
            arrived++;
        }
        if (!lane) continue;
        struct lane_entry *next;
        enum lane_step step = lane_next(&lanes, lane, &next);
        if (step == LANE_SEND || step == LANE_NEW_CHAIN) away[away_count++] = next;
        if (step == LANE_IDLE)
        {
            lanes_forget(&lanes, lane);
            lane = NULL;
            continue;
        }
        if (away_count > 0 && prng_chance(&prng, 1, 3))
        {
            if (prng_chance(&prng, 1, 10))
            {
                for (size_t i = 0; i < away_count; i++)
                    lane_return(lane, away[i]); /* the whole rest of the chain */
                away_count = 0;
            }
            else
            {
                assert_ptr_equal(away[0], &e[applied]);
                applied++;
                lane_settled(lane);
                for (size_t i = 1; i < away_count; i++) away[i - 1] = away[i];
                away_count--;
            }
        }
    }
    if (lane) lanes_forget(&lanes, lane);
    lanes_fini(&lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_invocation_of_an_entity_starts_a_chain_and_the_second_joins_it),
        cmocka_unit_test(two_entities_do_not_wait_for_each_other),
        cmocka_unit_test(a_broken_chain_ends_before_the_next_begins_and_what_comes_back_keeps_its_place),
        cmocka_unit_test(another_version_of_the_code_starts_a_chain_of_its_own),
        cmocka_unit_test(a_chain_is_cut_at_its_longest),
        cmocka_unit_test(under_random_failures_invocations_are_applied_in_the_order_of_arrival),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
