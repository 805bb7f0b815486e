/* test_pool_faults.c - functions that do all they can against their worker, and workers that lie. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/worker/pool_policy.h"
#include "runtime/worker/deployment.h" // to see what deaths have cost
#include "tests/integration/pool/fx_pool.h"

/* ---- functions that fail ---- */

static void expect_failure(const char *function, const char *body, enum status status, const char *words)
{
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, function, body);
    if (run.status != status)
        fail_msg("%s, not %s: %s", status_code(run.status), status_code(status), run.text);
    fx_expect_text(&run, words);
    fx_do(&fx, &run, "ok", "again");
    assert_int_equal(run.status, STATUS_OK); /* another worker is there at once */
    fx_pool_close(&fx);
}

static void a_segfault_names_its_signal(void **state)
{
    (void)state;
    expect_failure("segv", "", STATUS_FUNCTION_CRASHED, "SIGSEGV");
}

static void an_abort_names_its_signal(void **state)
{
    (void)state;
    expect_failure("aborts", "", STATUS_FUNCTION_CRASHED, "SIGABRT");
}

static void an_exit_names_its_code(void **state)
{
    (void)state;
    expect_failure("exits", "", STATUS_FUNCTION_EXITED, "exit code 3");
}

static void expect_timeout(const char *function)
{
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_run_init(&run, function, "");
    run.invoke.timeout_ms = 50;
    fx_submit(&fx, &run);
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_FUNCTION_TIMEOUT);
    fx_expect_text(&run, "50 ms");
    fx_pool_close(&fx);
}

static void an_endless_loop_ends_at_its_deadline(void **state)
{
    (void)state;
    expect_timeout("spins");
}

static void who_ignores_the_polite_signal_is_killed(void **state)
{
    (void)state;
    expect_timeout("stubborn");
}

static void limit_memory(struct pool_spec *spec)
{
    static struct pool_function limited[2];
    limited[0] = (struct pool_function){.name = "ok", .memory_mb = 64};
    limited[1] = (struct pool_function){.name = "eats", .memory_mb = 32};
    spec->functions = limited;
    spec->function_count = 2;
}

static void allocating_for_ever_is_out_of_memory(void **state)
{
    (void)state;
    if (FX_SANITIZED) skip(); /* its allocator reserves terabytes and ends the process in its own way */
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, limit_memory);
    struct fx_run run;
    fx_do(&fx, &run, "eats", "");
    if (run.status != STATUS_FUNCTION_OUT_OF_MEMORY) fail_msg("%s: %s", status_code(run.status), run.text);
    fx_pool_close(&fx);
}

static void a_gibibyte_on_stdout_is_read_and_mostly_dropped(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_run_init(&run, "floods", "");
    run.invoke.timeout_ms = 30000;
    fx_submit(&fx, &run);
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_OK);
    assert_string_equal(run.text, "flooded");
    assert_true(fx.log_bytes > 1 << 19);
    assert_true(fx.log_bytes < 64 << 20);
    fx_pool_close(&fx);
}

static void a_flood_of_log_lines_is_mostly_dropped(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_run_init(&run, "logs_much", "");
    run.invoke.timeout_ms = 30000; /* whoever writes what is dropped is made to wait */
    fx_submit(&fx, &run);
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_OK);
    assert_true(fx.log_lines < 40000);
    fx_pool_close(&fx);
}

/* Each time in a new worker. */
static void who_dies_of_its_floods_may_not_begin_anew_with_each_worker(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    uint64_t kept[4] = {0};
    for (int i = 0; i < 4; i++)
    {
        uint64_t before = fx.log_bytes;
        struct fx_run run;
        fx_run_init(&run, "floods", "");
        run.invoke.timeout_ms = 100;
        fx_submit(&fx, &run);
        fx_wait(&fx, &run);
        assert_int_equal(run.status, STATUS_FUNCTION_TIMEOUT);
        kept[i] = fx.log_bytes - before;
    }
    if (!FX_SANITIZED) assert_true(kept[0] > 1 << 19);
    assert_true(kept[0] + kept[1] + kept[2] + kept[3] < 2 << 20);
    fx_pool_close(&fx);
}

/* The first ones are replaced at once; the answers stay what they are. */
static void who_uses_up_workers_gets_them_more_slowly(void **state)
{
    (void)state;
    enum { COUNT = POLICY_DEATHS_AT_ONCE + 10 };
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    uint64_t began = clock_monotonic_ns(clock_real());
    for (int i = 0; i < COUNT; i++)
    {
        struct fx_run run;
        fx_do(&fx, &run, "exits", "");
        assert_int_equal(run.status, STATUS_FUNCTION_EXITED);
    }
    uint64_t took_ms = (clock_monotonic_ns(clock_real()) - began) / NS_PER_MS;
    assert_true(took_ms >= (COUNT - POLICY_DEATHS_AT_ONCE - 1) * POLICY_DEATH_MS);
    struct fx_run run;
    fx_do(&fx, &run, "ok", "again");
    assert_int_equal(run.status, STATUS_OK);
    fx_pool_close(&fx);
}

/* So an app that crashes once in many calls is not slowed, however many calls it has. */
static void a_worker_that_has_done_many_runs_is_replaced_at_once(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    for (int end = 0; end < 3; end++)
    {
        struct fx_run run;
        for (int i = 0; i < POLICY_DEATH_RUNS; i++)
        {
            fx_do(&fx, &run, "ok", "");
            assert_int_equal(run.status, STATUS_OK);
        }
        fx_do(&fx, &run, "exits", "");
        assert_int_equal(run.status, STATUS_FUNCTION_EXITED);
    }
    assert_int_equal(fx.deployment->deaths.paid_ns, 0);
    struct fx_run run;
    fx_do(&fx, &run, "exits", "");
    assert_int_equal(run.status, STATUS_FUNCTION_EXITED);
    assert_int_not_equal(fx.deployment->deaths.paid_ns, 0);
    fx_pool_close(&fx);
}

static void only_the_run_that_a_worker_was_at_fails_with_it(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run warm[50];
    for (int i = 0; i < 50; i++) fx_do(&fx, &warm[i], "ok", ""); /* short, so that many are sent ahead */
    static const char *const mixed[] = {"ok", "ok", "segv", "ok", "exits", "ok", "ok", "aborts", "ok"};
    struct fx_run runs[27];
    for (int i = 0; i < 27; i++)
    {
        fx_run_init(&runs[i], mixed[i % 9], "x");
        fx_submit(&fx, &runs[i]);
    }
    for (int i = 0; i < 27; i++)
    {
        fx_wait(&fx, &runs[i]);
        enum status wanted = strcmp(mixed[i % 9], "exits") == 0 ? STATUS_FUNCTION_EXITED
                             : strcmp(mixed[i % 9], "ok") == 0  ? STATUS_OK
                                                                : STATUS_FUNCTION_CRASHED;
        if (runs[i].status != wanted)
            fail_msg("run %d (%s): %s: %s", i, mixed[i % 9], status_code(runs[i].status), runs[i].text);
    }
    fx_pool_close(&fx);
}

/* ---- workers that lie ---- */

static void what_is_no_frame_is_a_protocol_failure(void **state)
{
    (void)state;
    static const char *const ways[] = {"garbage", "length", "empty", "type", "ready"};
    for (size_t i = 0; i < 5; i++) expect_failure("lies", ways[i], STATUS_FUNCTION_PROTOCOL, "");
}

static void a_worker_that_closes_its_link_is_killed(void **state)
{
    (void)state;
    expect_failure("lies", "close", STATUS_FUNCTION_PROTOCOL, "closed its link");
}

static void a_result_for_another_run_is_a_protocol_failure(void **state)
{
    (void)state;
    static const char *const forges[] = {"forges", NULL};
    struct fx_pool fx;
    fx_pool_open(&fx, "result_of_another", forges);
    struct fx_run run;
    fx_do(&fx, &run, "forges", "");
    assert_int_equal(run.status, STATUS_FUNCTION_PROTOCOL);
    fx_expect_text(&run, "was not at");
    fx_pool_close(&fx);
}

static void ways_out_of_the_sandbox_are_closed(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, "escapes", "");
    assert_int_equal(run.status, STATUS_OK);
    assert_string_equal(run.text, "");
    fx_pool_close(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segfault_names_its_signal),
        cmocka_unit_test(an_abort_names_its_signal),
        cmocka_unit_test(an_exit_names_its_code),
        cmocka_unit_test(an_endless_loop_ends_at_its_deadline),
        cmocka_unit_test(who_ignores_the_polite_signal_is_killed),
        cmocka_unit_test(allocating_for_ever_is_out_of_memory),
        cmocka_unit_test(a_gibibyte_on_stdout_is_read_and_mostly_dropped),
        cmocka_unit_test(a_flood_of_log_lines_is_mostly_dropped),
        cmocka_unit_test(who_dies_of_its_floods_may_not_begin_anew_with_each_worker),
        cmocka_unit_test(who_uses_up_workers_gets_them_more_slowly),
        cmocka_unit_test(a_worker_that_has_done_many_runs_is_replaced_at_once),
        cmocka_unit_test(only_the_run_that_a_worker_was_at_fails_with_it),
        cmocka_unit_test(what_is_no_frame_is_a_protocol_failure),
        cmocka_unit_test(a_worker_that_closes_its_link_is_killed),
        cmocka_unit_test(a_result_for_another_run_is_a_protocol_failure),
        cmocka_unit_test(ways_out_of_the_sandbox_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
