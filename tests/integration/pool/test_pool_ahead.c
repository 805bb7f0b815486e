/* test_pool_ahead.c - the worker that is made before it is needed: used, as confined as any, missed by nobody. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/worker/ahead.h"
#include "runtime/worker/deployment.h" // to see how many workers are left
#include "tests/integration/pool/fx_pool.h"

/* The one that waits; 0: none does. */
static pid_t ahead_of(const struct fx_pool *fx)
{
    const struct worker *worker = fx->deployment->ahead;
    return worker && worker->state == WORKER_IDLE ? fx_pid_of(worker) : 0;
}

static bool one_waits(struct fx_pool *fx)
{
    return fx->deployment->serving == 0 && ahead_of(fx) != 0;
}

static bool no_worker(struct fx_pool *fx)
{
    struct pool_stats stats;
    pool_stats(fx->pool, &stats);
    return stats.workers == 0;
}

static bool none_is_there(struct fx_pool *fx)
{
    return fx->deployment->ahead == NULL;
}

static bool no_zygote(struct fx_pool *fx)
{
    return fx->deployment->zygote == NULL;
}

static void expect_ok(struct fx_pool *fx)
{
    struct fx_run run;
    fx_do(fx, &run, "ok", "");
    if (run.status != STATUS_OK) fail_msg("%s: %s", status_code(run.status), run.text);
}

/* The worker has been idle for long enough; its zygote has not. */
static void pause_for_long(struct fx_pool *fx)
{
    uint32_t idle_ms = fx->deployment->idle_ms;
    fx->deployment->idle_ms = 0;
    deployment_end_idle(fx->deployment, &(uint32_t){UINT32_MAX});
    fx->deployment->idle_ms = idle_ms;
    fx_until(fx, one_waits);
}

static void limit_memory(struct pool_spec *spec)
{
    for (size_t i = 0; i < spec->function_count; i++)
        ((struct pool_function *)spec->functions)[i].memory_mb = FX_SANITIZED ? 0 : 64;
}

static void open_with_one_ahead(struct fx_pool *fx)
{
    fx_pool_open_spec(fx, "faults", fx_faults, limit_memory);
    expect_ok(fx);
    pause_for_long(fx);
}

static void the_worker_after_a_pause_was_made_before_it(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    pid_t waiting = ahead_of(&fx);
    expect_ok(&fx);
    assert_int_equal(fx_pid_of(CONTAINER_OF(fx.deployment->workers.next, struct worker, link)), waiting);
    struct fx_family family = fx_family(&fx);
    assert_int_equal(family.all[family.count - 1], waiting); /* no other one was made */
    pause_for_long(&fx);
    assert_int_not_equal(ahead_of(&fx), waiting);
    fx_pool_close(&fx);
}

static void it_is_no_worker_until_it_is_needed(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    assert_true(no_worker(&fx));
    fx_pool_close(&fx);
}

/* It is the first run of a process, whoever has made that. */
static void its_first_run_is_a_cold_one(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    struct fx_run run;
    fx_do(&fx, &run, "ok", "");
    assert_true(run.run.cold);
    fx_do(&fx, &run, "ok", "");
    assert_false(run.run.cold);
    fx_pool_close(&fx);
}

static void it_ends_with_its_zygote(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    uint32_t idle_ms = fx.deployment->idle_ms;
    fx.deployment->idle_ms = fx.deployment->zygote_idle_since_ns = 0; /* for longer than any limit */
    deployment_end_idle(fx.deployment, &(uint32_t){UINT32_MAX});
    fx_until(&fx, none_is_there);
    fx_until(&fx, no_zygote);
    fx.deployment->idle_ms = idle_ms;
    expect_ok(&fx);
    fx_pool_close(&fx);
}

static void a_run_that_comes_when_both_go_gets_new_ones(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    uint32_t idle_ms = fx.deployment->idle_ms;
    fx.deployment->idle_ms = fx.deployment->zygote_idle_since_ns = 0;
    deployment_end_idle(fx.deployment, &(uint32_t){UINT32_MAX});
    fx.deployment->idle_ms = idle_ms;
    assert_non_null(fx.deployment->ahead); /* killed, and not known to be dead */
    assert_null(ahead_take(fx.deployment));
    expect_ok(&fx);
    fx_pool_close(&fx);
}

static void a_deployment_closes_while_one_is_on_its_way(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, limit_memory);
    expect_ok(&fx);
    struct fx_run run;
    fx_do(&fx, &run, "exits", ""); /* the next one is asked for in this moment */
    assert_non_null(fx.deployment->ahead);
    fx_pool_close(&fx);
}

static void when_memory_gets_short_it_goes(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    struct machine_memory before = fx_memory;
    fx_memory.available_bytes = fx_memory.total_bytes / 100;
    fx_until(&fx, none_is_there);
    fx_memory = before;
    expect_ok(&fx);
    fx_pool_close(&fx);
}

static void it_is_as_confined_as_any(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    struct fx_run run;
    fx_do(&fx, &run, "escapes", "");
    assert_int_equal(run.status, STATUS_OK);
    assert_string_equal(run.text, "");
    fx_pool_close(&fx);
}

static void its_end_is_told_as_that_of_any(void **state)
{
    (void)state;
    static const struct {
        const char *function;
        enum status status;
    } table[] = {
        {"exits", STATUS_FUNCTION_EXITED},
        {"aborts", STATUS_FUNCTION_CRASHED},
        {"eats", STATUS_FUNCTION_OUT_OF_MEMORY},
    };
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    {
        if (FX_SANITIZED && table[i].status == STATUS_FUNCTION_OUT_OF_MEMORY) continue;
        fx_until(&fx, one_waits);
        struct fx_run run;
        fx_do(&fx, &run, table[i].function, "");
        if (run.status != table[i].status)
            fail_msg("%s: %s: %s", table[i].function, status_code(run.status), run.text);
    }
    fx_pool_close(&fx);
}

static void what_it_prints_is_its_functions(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    struct fx_run run;
    fx_do(&fx, &run, "says", "");
    assert_int_equal(run.status, STATUS_OK);
    fx_do(&fx, &run, "exits", ""); /* a line of stdout may come after the result */
    bool found = false;
    for (uint64_t i = 0; i < fx.log_lines && i < FX_LOG_LINES; i++)
        found |= strstr(fx.log[i], "printed") != NULL;
    assert_true(found);
    fx_pool_close(&fx);
}

static void one_that_has_died_hinders_nobody(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_one_ahead(&fx);
    assert_int_equal(kill(ahead_of(&fx), SIGKILL), 0);
    fx_until(&fx, none_is_there);
    expect_ok(&fx);
    fx_pool_close(&fx);
}

static void when_memory_is_short_none_is_made(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    expect_ok(&fx);
    struct machine_memory before = fx_memory;
    fx_memory.available_bytes = fx_memory.total_bytes / 100;
    fx_until(&fx, no_worker); /* it goes for want of memory */
    struct fx_run run;
    fx_do(&fx, &run, "exits", "");
    assert_int_equal(run.status, STATUS_FUNCTION_EXITED);
    assert_true(none_is_there(&fx));
    fx_memory = before;
    fx_pool_close(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worker_after_a_pause_was_made_before_it),
        cmocka_unit_test(it_is_no_worker_until_it_is_needed),
        cmocka_unit_test(its_first_run_is_a_cold_one),
        cmocka_unit_test(it_ends_with_its_zygote),
        cmocka_unit_test(a_run_that_comes_when_both_go_gets_new_ones),
        cmocka_unit_test(a_deployment_closes_while_one_is_on_its_way),
        cmocka_unit_test(when_memory_gets_short_it_goes),
        cmocka_unit_test(it_is_as_confined_as_any),
        cmocka_unit_test(its_end_is_told_as_that_of_any),
        cmocka_unit_test(what_it_prints_is_its_functions),
        cmocka_unit_test(one_that_has_died_hinders_nobody),
        cmocka_unit_test(when_memory_is_short_none_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
