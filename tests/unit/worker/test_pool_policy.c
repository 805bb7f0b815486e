/* test_pool_policy.c - the decisions of the pool, as tables. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/base/clock.h"
#include "runtime/worker/pool_policy.h"

static void the_mean_follows_the_samples(void **state)
{
    (void)state;
    struct policy_mean mean = {0};
    assert_int_equal(policy_expected_us(&mean), POLICY_UNKNOWN_US);
    policy_mean_add(&mean, 100);
    assert_int_equal(policy_expected_us(&mean), 100 + POLICY_FRAME_US);
    for (int i = 0; i < 100; i++) policy_mean_add(&mean, 20);
    assert_in_range(policy_expected_us(&mean), 20 + POLICY_FRAME_US, 22 + POLICY_FRAME_US);
    for (int i = 0; i < 100; i++) policy_mean_add(&mean, 20000);
    assert_in_range(policy_expected_us(&mean), 19900, 20000 + POLICY_FRAME_US);
    for (int i = 0; i < 100; i++) policy_mean_add(&mean, 0);
    assert_in_range(policy_expected_us(&mean), 1, POLICY_FRAME_US + 1);
}

static void the_largest_samples_do_not_overflow(void **state)
{
    (void)state;
    struct policy_mean mean = {0};
    for (int i = 0; i < 10; i++) policy_mean_add(&mean, UINT32_MAX);
    assert_int_equal(policy_expected_us(&mean), UINT32_MAX);
}

static void deaths_are_made_good_at_once_until_there_are_many(void **state)
{
    (void)state;
    const uint64_t each_ns = POLICY_DEATH_MS * NS_PER_MS, now = 1000 * NS_PER_S;
    struct policy_deaths deaths = {0};
    assert_true(policy_deaths_rest_until_ns(&deaths) <= now);
    for (int i = 0; i < POLICY_DEATHS_AT_ONCE; i++)
    {
        policy_deaths_add(&deaths, now);
        assert_true(policy_deaths_rest_until_ns(&deaths) <= now);
    }
    policy_deaths_add(&deaths, now);
    assert_int_equal(policy_deaths_rest_until_ns(&deaths), now + each_ns);
    policy_deaths_add(&deaths, now);
    assert_int_equal(policy_deaths_rest_until_ns(&deaths), now + 2 * each_ns);

    /* With time they are forgotten, all of them, and not more. */
    uint64_t later = now + (POLICY_DEATHS_AT_ONCE + 2) * each_ns;
    for (int i = 0; i < POLICY_DEATHS_AT_ONCE; i++) policy_deaths_add(&deaths, later);
    assert_true(policy_deaths_rest_until_ns(&deaths) <= later);
    policy_deaths_add(&deaths, later);
    assert_int_equal(policy_deaths_rest_until_ns(&deaths), later + each_ns);
}

/* One after another, each as soon as it may be: what it comes to in the long run. */
static void who_dies_without_end_gets_a_worker_now_and_then(void **state)
{
    (void)state;
    struct policy_deaths deaths = {0};
    uint64_t now = NS_PER_S;
    enum { COUNT = 1000 };
    for (int i = 0; i < COUNT; i++)
    {
        policy_deaths_add(&deaths, now);
        uint64_t until = policy_deaths_rest_until_ns(&deaths);
        if (until > now) now = until;
    }
    uint64_t took_ms = (now - NS_PER_S) / NS_PER_MS;
    assert_in_range(took_ms, (COUNT - POLICY_DEATHS_AT_ONCE) * POLICY_DEATH_MS, COUNT * POLICY_DEATH_MS);
}

static void runs_are_sent_ahead_for_about_a_millisecond(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct policy_worker worker;
        bool may;
    } cases[] = {
        {"an idle worker takes anything", {.depth = 0}, true},
        {"short runs queue", {.depth = 10, .ahead_us = 500, .head_us = 50}, true},
        {"a millisecond of them is enough", {.depth = 20, .ahead_us = 1000, .head_us = 50}, false},
        {"nothing queues behind a long run", {.depth = 1, .ahead_us = 20000, .head_us = 20000}, false},
        {"nor behind one that nobody knows",
         {.depth = 1, .ahead_us = POLICY_UNKNOWN_US, .head_us = POLICY_UNKNOWN_US},
         false},
        {"the depth has a bound", {.depth = BOUND_WORKER_DEPTH_MAX, .ahead_us = 64, .head_us = 1}, false},
        {"one below it has not reached it",
         {.depth = BOUND_WORKER_DEPTH_MAX - 1, .ahead_us = 63, .head_us = 1},
         true},
        {"a little late is not overdue",
         {.depth = 2, .ahead_us = 20, .head_us = 10, .head_age_us = 900},
         true},
        {"nothing queues behind one that hangs",
         {.depth = 2, .ahead_us = 20, .head_us = 10, .head_age_us = 1100},
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (policy_may_send(&cases[i].worker) != cases[i].may) fail_msg("not so: %s", cases[i].what);
}

static void workers_are_started_when_waiting_would_be_long(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct policy_app app;
        uint32_t starts;
    } cases[] = {
        {"nothing to do, nothing kept warm", {.max = 8, .processors = 2}, 0},
        {"the minimum is kept warm", {.min = 3, .max = 8, .processors = 2}, 3},
        {"also those that start count",
         {.min = 3, .max = 8, .processors = 2, .starting = 2, .workers = 1},
         0},
        {"the first run gets the first worker", {.queued = 1, .queued_us = 50, .max = 8, .processors = 2}, 1},
        {"many short ones, too", {.queued = 10, .queued_us = 500, .max = 8, .processors = 2}, 1},
        {"a short queue waits for the one that starts",
         {.queued = 10, .queued_us = 500, .starting = 1, .max = 8, .processors = 2},
         0},
        {"a short queue waits for the one that works",
         {.queued = 10, .queued_us = 500, .workers = 1, .max = 8, .processors = 2},
         0},
        {"a longer one gets help",
         {.queued = 100, .queued_us = 5000, .workers = 1, .max = 8, .processors = 2},
         1},
        {"short runs get no more workers than processors",
         {.queued = 1000, .queued_us = 50000, .workers = 2, .max = 8, .processors = 2},
         0},
        {"unless one hangs",
         {.queued = 1000, .queued_us = 50000, .workers = 2, .overdue = 1, .max = 8, .processors = 2},
         1},
        {"long runs get a worker each",
         {.queued = 5, .queued_us = 100000, .workers = 1, .max = 8, .processors = 2},
         5},
        {"those that start count for one run each",
         {.queued = 5, .queued_us = 100000, .workers = 1, .starting = 3, .max = 8, .processors = 2},
         2},
        {"never more than the maximum",
         {.queued = 500, .queued_us = 10000000, .workers = 3, .max = 8, .processors = 2},
         5},
        {"a short queue behind hanging workers gets one",
         {.queued = 1, .queued_us = 50, .workers = 2, .overdue = 2, .max = 8, .processors = 2},
         1},
        {"one is enough when it starts already",
         {.queued = 1, .queued_us = 50, .workers = 2, .overdue = 2, .starting = 1, .max = 8, .processors = 2},
         0},
        {"when all are at long runs one more is kept ready",
         {.workers = 2, .taken = 2, .max = 8, .processors = 2},
         1},
        {"not when one is free", {.workers = 3, .taken = 2, .max = 8, .processors = 2}, 0},
        {"nor when one starts", {.workers = 2, .taken = 2, .starting = 1, .max = 8, .processors = 2}, 0},
        {"nor beyond the maximum", {.workers = 2, .taken = 2, .max = 2, .processors = 2}, 0},
        {"nor when memory is short",
         {.workers = 2, .taken = 2, .max = 8, .processors = 2, .pressure = PRESSURE_HIGH},
         0},
        {"short memory does not keep work from workers",
         {.queued = 5,
          .queued_us = 100000,
          .workers = 1,
          .max = 8,
          .processors = 2,
          .pressure = PRESSURE_HIGH},
         5},
        {"no memory does",
         {.queued = 5,
          .queued_us = 100000,
          .workers = 1,
          .max = 8,
          .processors = 2,
          .pressure = PRESSURE_CRITICAL},
         0},
        {"but not from the first",
         {.queued = 5, .queued_us = 100000, .max = 8, .processors = 2, .pressure = PRESSURE_CRITICAL},
         1},
        {"hanging workers do not break the maximum",
         {.queued = 1, .queued_us = 50, .workers = 8, .overdue = 8, .max = 8, .processors = 2},
         0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        uint32_t starts = policy_starts(&cases[i].app);
        if (starts != cases[i].starts) fail_msg("%u, not %u: %s", starts, cases[i].starts, cases[i].what);
    }
}

static void idle_workers_beyond_the_minimum_end(void **state)
{
    (void)state;
    assert_false(policy_idle_over(1, 0, 999, 1000));
    assert_true(policy_idle_over(1, 0, 1000, 1000));
    assert_false(policy_idle_over(1, 1, 5000, 1000));
    assert_true(policy_idle_over(2, 1, 5000, 1000));
}

static void a_worker_is_taken_while_others_would_wait_long(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct policy_worker worker;
        bool taken;
    } cases[] = {
        {"idle", {.depth = 0}, false},
        {"short runs", {.depth = 9, .ahead_us = 450, .head_us = 50}, false},
        {"a long one", {.depth = 1, .ahead_us = 20000, .head_us = 20000}, true},
        {"one that nobody knows", {.depth = 1, .ahead_us = 1000, .head_us = POLICY_UNKNOWN_US}, false},
        {"a short one that hangs", {.depth = 1, .ahead_us = 50, .head_us = 50, .head_age_us = 1200}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (policy_taken(&cases[i].worker) != cases[i].taken) fail_msg("not so: %s", cases[i].what);
}

static void the_less_memory_is_left_the_sooner_idle_workers_go(void **state)
{
    (void)state;
    static const struct {
        uint64_t available, total;
        enum policy_pressure pressure;
        uint32_t idle_ms; /* of a minute */
    } cases[] = {
        {16 * GIB, 16 * GIB, PRESSURE_NONE, 60000},
        {2 * GIB, 16 * GIB, PRESSURE_NONE, 60000},
        {2 * GIB - 1, 16 * GIB, PRESSURE_HIGH, 7500},
        {1 * GIB, 16 * GIB, PRESSURE_HIGH, 7500},
        {1 * GIB - 1, 16 * GIB, PRESSURE_CRITICAL, 0},
        {0, 16 * GIB, PRESSURE_CRITICAL, 0},
        {0, 0, PRESSURE_NONE, 60000}, /* not known */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        enum policy_pressure pressure = policy_pressure(cases[i].available, cases[i].total);
        assert_int_equal(pressure, cases[i].pressure);
        assert_int_equal(policy_idle_max_ms(60000, pressure), cases[i].idle_ms);
    }
}

static void failed_starts_back_off_up_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(policy_backoff_ms(0), 0);
    assert_int_equal(policy_backoff_ms(1), 100);
    assert_int_equal(policy_backoff_ms(2), 200);
    assert_int_equal(policy_backoff_ms(8), 12800);
    assert_int_equal(policy_backoff_ms(10), 30000);
    assert_int_equal(policy_backoff_ms(UINT32_MAX), 30000);
}

static void who_would_wait_for_most_of_its_time_is_told_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct policy_app app;
        uint64_t left_us;
        bool worth;
    } cases[] = {
        {"nobody waits", {.max = 8, .processors = 2}, 1, true},
        {"long runs have all workers",
         {.queued = 80, .queued_us = 800000, .max = 8, .processors = 2},
         200000,
         true},
        {"one more is too many",
         {.queued = 81, .queued_us = 810000, .max = 8, .processors = 2},
         200000,
         false},
        {"short runs have the processors",
         {.queued = 400, .queued_us = 40000, .max = 8, .processors = 2},
         40000,
         true},
        {"and no more", {.queued = 410, .queued_us = 41000, .max = 8, .processors = 2}, 40000, false},
        {"there is no time left", {.queued = 1, .queued_us = 1000, .max = 1, .processors = 1}, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        if (policy_worth_waiting(policy_wait_us(&cases[i].app), cases[i].left_us) != cases[i].worth)
            fail_msg("%s", cases[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_follows_the_samples),
        cmocka_unit_test(who_would_wait_for_most_of_its_time_is_told_at_once),
        cmocka_unit_test(the_largest_samples_do_not_overflow),
        cmocka_unit_test(deaths_are_made_good_at_once_until_there_are_many),
        cmocka_unit_test(who_dies_without_end_gets_a_worker_now_and_then),
        cmocka_unit_test(runs_are_sent_ahead_for_about_a_millisecond),
        cmocka_unit_test(workers_are_started_when_waiting_would_be_long),
        cmocka_unit_test(idle_workers_beyond_the_minimum_end),
        cmocka_unit_test(a_worker_is_taken_while_others_would_wait_long),
        cmocka_unit_test(the_less_memory_is_left_the_sooner_idle_workers_go),
        cmocka_unit_test(failed_starts_back_off_up_to_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
