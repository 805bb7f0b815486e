/* test_fair_share.c - what apps get of a thing that is scarce: tables, and a small world of greedy apps. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/base/prng.h"
#include "runtime/base/fair_share.h"

static void one_more_is_given_while_enough_is_free(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct fair_share share;
        bool may;
    } cases[] = {
        {"the first one of an empty node", {0, 0, 10}, true},
        {"nothing is free", {0, 10, 10}, false},
        {"more is out than there is, after the limit was lowered", {0, 12, 10}, false},
        {"the last one goes to who has none", {0, 9, 10}, true},
        {"and to who has few", {7, 9, 10}, true},
        {"not to who has most", {8, 9, 10}, false},
        {"alone it gets nearly all", {888, 888, 1000}, true},
        {"and leaves the rest", {889, 889, 1000}, false},
        {"a node of one", {0, 0, 1}, true},
        {"no overflow", {UINT32_MAX - 1, UINT32_MAX - 1, UINT32_MAX}, false},
        {"no room at all", {0, 0, 0}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (fair_share_may_take(&cases[i].share) != cases[i].may) fail_msg("not so: %s", cases[i].what);
}

enum { APPS = 5, CAPACITY = 1000 };

struct world {
    uint32_t held[APPS], all;
};

static bool ask(struct world *world, int app)
{
    struct fair_share share = {world->held[app], world->all, CAPACITY};
    if (!fair_share_may_take(&share)) return false;
    world->held[app]++;
    world->all++;
    return true;
}

static void end_one(struct world *world, struct prng *prng)
{
    uint64_t which = prng_below(prng, world->all);
    int app = 0;
    while (which >= world->held[app]) which -= world->held[app++];
    world->held[app]--;
    world->all--;
}

/* Each step one invocation ends and every app of `greedy` asks `times[app]` times. */
static void live(struct world *world, const uint32_t times[APPS], int steps)
{
    struct prng prng;
    prng_init(&prng, 42);
    for (int step = 0; step < steps; step++)
    {
        if (world->all) end_one(world, &prng);
        for (int app = 0; app < APPS; app++)
            for (uint32_t i = 0; i < times[app]; i++) (void)ask(world, app); /* refused: asks again */
    }
}

static void a_neighbour_of_a_flood_gets_its_half_although_it_comes_later(void **state)
{
    (void)state;
    struct world world = {{0}, 0};
    live(&world, (const uint32_t[APPS]){50}, 2000);
    assert_in_range(world.held[0], 880, 900);
    live(&world, (const uint32_t[APPS]){50, 1}, 20000);
    assert_in_range(world.held[1], CAPACITY * 45 / 100, CAPACITY / 2);
    assert_in_range(world.held[0], CAPACITY * 45 / 100, CAPACITY / 2);
}

static void all_that_want_much_get_equal_parts_and_who_wants_little_gets_it(void **state)
{
    (void)state;
    struct world world = {{0}, 0};
    world.held[4] = world.all = 10; /* wants no more than that */
    live(&world, (const uint32_t[APPS]){100, 3, 20, 50, 0}, 1000);
    live(&world, (const uint32_t[APPS]){100, 3, 20, 50, 0}, 50000);
    for (int app = 0; app < 4; app++) assert_in_range(world.held[app], CAPACITY * 22 / 100, CAPACITY / 4);
    for (int i = 0; i < 10; i++) assert_true(ask(&world, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_more_is_given_while_enough_is_free),
        cmocka_unit_test(a_neighbour_of_a_flood_gets_its_half_although_it_comes_later),
        cmocka_unit_test(all_that_want_much_get_equal_parts_and_who_wants_little_gets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
