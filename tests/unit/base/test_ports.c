/* test_ports.c - chance, time, hashes and assertions: what the rest relies on to be repeatable. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/base/hash.h"
#include "runtime/base/prng.h"

static void a_seed_gives_the_same_numbers_for_ever(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1234567);
    /* The first outputs of splitmix64 for this seed, as published with the algorithm. */
    assert_true(prng_next(&prng) == 6457827717110365317ULL);
    assert_true(prng_next(&prng) == 3203168211198807973ULL);
    assert_true(prng_next(&prng) == 9817491932198370423ULL);
}

static void bounded_numbers_stay_in_bounds_and_reach_all_of_them_evenly(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 7);
    enum { SIDES = 6, THROWS = 60000 };
    int count[SIDES] = {0};
    for (int i = 0; i < THROWS; i++)
    {
        uint64_t side = prng_below(&prng, SIDES);
        assert_true(side < SIDES);
        count[side]++;
    }
    /* 10,000 each, standard deviation 91: five of them. */
    for (int i = 0; i < SIDES; i++) assert_in_range(count[i], 9500, 10500);
    assert_int_equal(prng_below(&prng, 1), 0);
    for (int i = 0; i < 100; i++)
    {
        assert_false(prng_chance(&prng, 0, 3));
        assert_true(prng_chance(&prng, 3, 3));
    }
}

static void a_manual_clock_moves_only_when_told(void **state)
{
    (void)state;
    struct clock_manual manual;
    clock_manual_init(&manual, 1000);
    assert_int_equal(clock_monotonic_ns(&manual.clock), 0);
    assert_int_equal(clock_wall_ms(&manual.clock), 1000);
    clock_manual_advance(&manual, 2500 * NS_PER_US);
    assert_int_equal(clock_monotonic_ns(&manual.clock), 2500000);
    assert_int_equal(clock_wall_ms(&manual.clock), 1002);
}

static void the_real_clock_does_not_go_back(void **state)
{
    (void)state;
    uint64_t before = clock_monotonic_ns(clock_real());
    for (int i = 0; i < 1000; i++)
    {
        uint64_t now = clock_monotonic_ns(clock_real());
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_wall_ms(clock_real()) > 1600000000000ULL); /* after 2020 */
}

static void checksums_are_the_same_on_every_machine(void **state)
{
    (void)state;
    /* XXH3-64 of nothing, from its specification: what is on disk must stay readable. */
    assert_true(hash_stable(SLICE_EMPTY) == 0x2d06800538d394c2ULL);
    assert_true(hash_stable(SLICE("a")) != hash_stable(SLICE("b")));
    assert_true(hash_bytes(SLICE("a")) == hash_bytes(SLICE("a")));
    assert_true(hash_bytes(SLICE("a")) != hash_bytes(SLICE("b")));
}

/* The signal that ends a child which runs `act`. */
static int signal_of(void (*act)(void))
{
    pid_t child = fork();
    if (child == 0)
    {
        (void)close(STDERR_FILENO); /* the words of the failed check are not of interest */
        act();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void check_true(void)
{
    CHECK(1 + 1 == 2);
}

static void check_false(void)
{
    CHECK(1 + 1 == 3);
}

static void unreachable(void)
{
    UNREACHABLE("it was reached");
}

static void a_failed_check_aborts_in_every_build(void **state)
{
    (void)state;
    assert_int_equal(signal_of(check_true), 0);
    assert_int_equal(signal_of(check_false), SIGABRT);
    assert_int_equal(signal_of(unreachable), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_numbers_for_ever),
        cmocka_unit_test(bounded_numbers_stay_in_bounds_and_reach_all_of_them_evenly),
        cmocka_unit_test(a_manual_clock_moves_only_when_told),
        cmocka_unit_test(the_real_clock_does_not_go_back),
        cmocka_unit_test(checksums_are_the_same_on_every_machine),
        cmocka_unit_test(a_failed_check_aborts_in_every_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
