/* test_pool_groups.c - a pool with control groups: real processes in groups of memory, where anything can happen. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/worker/deployment.h"
#include "tests/integration/pool/fx_pool.h"
#include "tests/unit/sandbox/fx_cgroups.h"

#define GROUP "/cg/service/stead.4000.1.test"

static struct fx_cgroups machine;

static void limited(struct pool_spec *spec)
{
    static struct pool_function functions[64];
    for (size_t i = 0; i < spec->function_count; i++)
    {
        functions[i] = spec->functions[i];
        functions[i].memory_mb = 64;
        functions[i].cpu_percent = 5;
    }
    spec->functions = functions;
    spec->workers_max = 1; /* the one that is killed is the one that runs */
}

static void open_with_groups(struct fx_pool *fx)
{
    fx_machine_v2(&machine);
    machine.real = true;
    snprintf(machine.self_cgroup, sizeof machine.self_cgroup, "0::/service/leaf\n");
    (void)fx_group_add(&machine, 0, 2, "/cg/service/leaf", "");
    fx_put(&machine, FX_SELF, "/cg/service/leaf");
    cgroups_open(&machine.port, &fx_groups);
    fx_pool_open_spec(fx, "faults", fx_faults, limited);
}

static void close_with_groups(struct fx_pool *fx)
{
    fx_pool_close(fx);
    cgroups_close(fx_groups);
    fx_groups = NULL;
}

static bool has_entered(struct fx_pool *fx)
{
    return !fx->pool->groups.busy && machine.moves[0];
}

/* A run that goes on until somebody ends its process. */
static void begin(struct fx_pool *fx, struct fx_run *run)
{
    fx_do(fx, run, "ok", "");
    assert_int_equal(run->status, STATUS_OK);
    fx_until(fx, has_entered);
    fx_run_init(run, "spins", "");
    fx_submit(fx, run);
    while (!run->started) loop_turn(fx->loop, true);
}

static void kernel_counts(const char *events)
{
    assert_int_equal(machine.port.write(&machine, GROUP "/memory.events", events), 0);
}

static pid_t worker_of_family(struct fx_pool *fx)
{
    struct fx_family family = fx_family(fx);
    assert_true(family.count >= 2);
    return family.all[family.count - 1];
}

static void a_zygote_is_in_its_group_a_while_after_it_has_loaded(void **state)
{
    (void)state;
    struct fx_pool fx;
    struct fx_run run;
    char move[64];
    open_with_groups(&fx);
    fx_do(&fx, &run, "ok", "");
    fx_until(&fx, has_entered);
    snprintf(move, sizeof move, "%d>" GROUP " ", (int)fx_zygote(&fx));
    assert_string_equal(machine.moves, move);
    assert_string_equal(fx_text(&machine, GROUP "/memory.max"),
                        "587202560"); /* (64 + 48) MiB, 4 workers and it */
    assert_string_equal(fx_text(&machine, GROUP "/cpu.max"), "90000 100000"); /* 18 functions */
    close_with_groups(&fx);
    assert_int_equal(fx_count(&machine, "/cg/service"), 1); /* the leaf */
}

static void a_process_that_the_kernel_ends_for_the_groups_memory_was_out_of_memory(void **state)
{
    (void)state;
    struct fx_pool fx;
    struct fx_run run;
    open_with_groups(&fx);
    begin(&fx, &run);
    kernel_counts("oom 1\noom_kill 1\n");
    assert_int_equal(kill(worker_of_family(&fx), SIGKILL), 0);
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_FUNCTION_OUT_OF_MEMORY);
    fx_expect_text(&run, "used more memory than they may have together");
    begin(&fx, &run); /* it was one process: the next one that is killed is another matter */
    assert_int_equal(kill(worker_of_family(&fx), SIGKILL), 0);
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_FUNCTION_CRASHED);
    fx_expect_text(&run, "SIGKILL");
    close_with_groups(&fx);
}

static void a_zygote_that_the_kernel_ends_for_the_groups_memory_was_out_of_memory(void **state)
{
    (void)state;
    struct fx_pool fx;
    struct fx_run run;
    open_with_groups(&fx);
    begin(&fx, &run);
    kernel_counts("oom 1\noom_kill 1\n");
    assert_int_equal(kill(fx_zygote(&fx), SIGKILL), 0);
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_FUNCTION_OUT_OF_MEMORY);
    fx_expect_text(&run, "used more memory than they may have together");
    fx_do(&fx, &run, "ok", "");
    assert_int_equal(run.status, STATUS_OK);
    close_with_groups(&fx);
    assert_int_equal(fx_count(&machine, "/cg/service"), 1);
}

static void without_a_group_everything_goes_on(void **state)
{
    (void)state;
    static const char *const places[] = {"stead.4000.1", "memory.max", "/cgroup.procs"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    {
        struct fx_pool fx;
        struct fx_run run;
        open_with_groups(&fx);
        machine.fail_at = places[i];
        machine.fail_with = EACCES;
        fx_do(&fx, &run, "ok", "");
        while (!fx.pool->groups.failure_said) loop_turn(fx.loop, true);
        machine.fail_at = NULL;
        fx_do(&fx, &run, "ok", "");
        assert_int_equal(run.status, STATUS_OK);
        close_with_groups(&fx);
        assert_int_equal(fx_count(&machine, "/cg/service"), 1);
    }
}

static void a_group_that_stays_full_does_not_keep_the_pool_from_stopping(void **state)
{
    (void)state;
    struct fx_pool fx;
    struct fx_run run;
    open_with_groups(&fx);
    fx_do(&fx, &run, "ok", "");
    fx_until(&fx, has_entered);
    fx_fork(&machine, FX_SELF, getpid());
    fx_put(&machine, getpid(), GROUP);
    close_with_groups(&fx);
    assert_non_null(fx_group(&machine, GROUP));
}

static void a_pool_that_stops_before_the_group_is_due_waits_for_none(void **state)
{
    (void)state;
    struct fx_pool fx;
    char words[1024];
    open_with_groups(&fx);
    assert_int_equal(fx_probe(&fx, words), STATUS_OK); /* it has loaded in this turn */
    assert_int_equal(fx.pool->groups.count, 1);
    close_with_groups(&fx);
    assert_int_equal(fx_count(&machine, "/cg/service"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zygote_is_in_its_group_a_while_after_it_has_loaded),
        cmocka_unit_test(a_process_that_the_kernel_ends_for_the_groups_memory_was_out_of_memory),
        cmocka_unit_test(a_zygote_that_the_kernel_ends_for_the_groups_memory_was_out_of_memory),
        cmocka_unit_test(without_a_group_everything_goes_on),
        cmocka_unit_test(a_group_that_stays_full_does_not_keep_the_pool_from_stopping),
        cmocka_unit_test(a_pool_that_stops_before_the_group_is_due_waits_for_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
