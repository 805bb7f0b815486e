/* test_pool.c - the pool with real processes: answers, order, chains, queues, and how processes come and go. */
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

#include "runtime/base/bounds.h"
#include "runtime/worker/deployment.h"
#include "tests/integration/pool/fx_pool.h"

/* ---- what works ---- */

static void a_run_gets_its_answer(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, "ok", "body");
    assert_int_equal(run.status, STATUS_OK);
    assert_string_equal(run.text, "ok body");
    assert_int_equal(run.started, 1);
    fx_pool_close(&fx);
}

static void an_error_of_a_function_is_a_result(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, "fails", "");
    assert_int_equal(run.status, STATUS_OK);
    assert_int_equal(run.outcome, WIRE_OUTCOME_ERROR);
    fx_expect_text(&run, "no price for apples");
    fx_pool_close(&fx);
}

static void many_runs_are_done_each_once_by_few_workers(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    enum { COUNT = 2000 };
    struct fx_run *runs = calloc(COUNT, sizeof *runs);
    for (int i = 0; i < COUNT; i++)
    {
        fx_run_init(&runs[i], "ok", "x");
        fx_submit(&fx, &runs[i]);
    }
    for (int i = 0; i < COUNT; i++)
    {
        fx_wait(&fx, &runs[i]);
        assert_int_equal(runs[i].status, STATUS_OK);
    }
    struct pool_stats stats;
    pool_stats(fx.pool, &stats);
    assert_int_equal(stats.runs, COUNT);
    assert_true(stats.workers <= 2);
    free(runs);
    fx_pool_close(&fx);
}

static void output_and_logs_come_with_their_function(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, "says", "");
    struct fx_run after; /* a line of stdout may come after the result */
    fx_do(&fx, &after, "exits", "");
    bool logged = false, printed = false, complained = false;
    for (uint64_t i = 0; i < fx.log_lines && i < FX_LOG_LINES; i++)
    {
        logged |= strcmp(fx.log[i], "says logged") == 0;
        printed |= strstr(fx.log[i], "printed") != NULL;
        complained |= strstr(fx.log[i], "complained") != NULL;
    }
    assert_true(logged && printed && complained);
    fx_pool_close(&fx);
}

static void set_env(struct pool_spec *spec)
{
    static const char *const env[] = {"STEAD_TEST_VALUE=forty-two"};
    spec->env = env;
    spec->env_count = 1;
}

static void the_environment_of_the_manifest_is_there(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, set_env);
    struct fx_run run;
    fx_do(&fx, &run, "env", "");
    assert_string_equal(run.text, "forty-two");
    fx_pool_close(&fx);
}

/* ---- order, chains, limits ---- */

static void runs_of_a_chain_stay_in_order_on_one_worker(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    enum { COUNT = 300 };
    struct fx_run *chained = calloc(COUNT, sizeof *chained), *others = calloc(COUNT, sizeof *others);
    struct pool_chain chain;
    pool_chain_init(&chain);
    for (int i = 0; i < COUNT; i++)
    {
        fx_run_init(&chained[i], "pid", "");
        chained[i].invoke.chain = 7;
        chained[i].run.chain = &chain;
        fx_submit(&fx, &chained[i]);
        fx_run_init(&others[i], "pid", "");
        fx_submit(&fx, &others[i]);
    }
    for (int i = 0; i < COUNT; i++)
    {
        fx_wait(&fx, &chained[i]);
        fx_wait(&fx, &others[i]);
        assert_int_equal(chained[i].status, STATUS_OK);
        assert_string_equal(chained[i].text, chained[0].text);
        if (i) assert_true(chained[i].finished > chained[i - 1].finished);
    }
    assert_int_equal(chain.runs, 0);
    pool_chain_fini(&chain);
    free(chained);
    free(others);
    fx_pool_close(&fx);
}

/* ---- runs that ask ---- */

static struct {
    struct pool_run *run; /* that asked last */
    uint32_t ask;
    unsigned count;
} asked;

static void on_ask(struct pool_run *run, const struct wire_ask *ask)
{
    assert_int_equal(ask->kind, WIRE_ASK_CALL);
    assert_true(slice_is(ask->name, "played") && slice_is(ask->key, "e") && slice_is(ask->body, "please"));
    asked.run = run;
    asked.ask = ask->ask;
    asked.count++;
}

static void submit_asking(struct fx_pool *fx, struct fx_run *run, uint32_t timeout_ms)
{
    asked.count = 0;
    fx_run_init(run, "asks", "");
    run->invoke.timeout_ms = timeout_ms;
    run->run.ask = on_ask;
    fx_submit(fx, run);
}

static bool somebody_asked(struct fx_pool *fx)
{
    (void)fx; /* one pool at a time */
    return asked.count > 0;
}

static void answer_asked(const char *body)
{
    pool_answer(asked.run, &(struct wire_answer){.ask = asked.ask, .body = slice_cstr(body)});
}

static void only_one_worker(struct pool_spec *spec)
{
    spec->workers_max = 1;
}

static void a_run_that_asks_goes_on_with_the_answer(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    submit_asking(&fx, &run, 60000);
    fx_until(&fx, somebody_asked);
    struct pool_stats stats;
    pool_stats(fx.pool, &stats);
    assert_int_equal(stats.workers_waiting, 1);
    answer_asked("here you are");
    fx_wait(&fx, &run);
    assert_string_equal(run.text, "here you are");
    pool_stats(fx.pool, &stats);
    assert_int_equal(stats.workers_waiting, 0);
    fx_pool_close(&fx);
}

static void what_is_behind_one_that_asks_is_done_by_others(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, only_one_worker);
    struct fx_run warm, asking, behind[20];
    fx_do(&fx, &warm, "ok", ""); /* it is known to be quick: runs are sent ahead */
    submit_asking(&fx, &asking, 60000);
    for (int i = 0; i < 20; i++)
    {
        fx_run_init(&behind[i], "ok", "");
        fx_submit(&fx, &behind[i]);
    }
    for (int i = 0; i < 20; i++)
    {
        fx_wait(&fx, &behind[i]);
        assert_int_equal(behind[i].status, STATUS_OK);
    }
    fx_until(&fx, somebody_asked);
    assert_false(asking.done);
    answer_asked("late");
    fx_wait(&fx, &asking);
    assert_string_equal(asking.text, "late");
    fx_pool_close(&fx);
}

static void a_chain_of_others_begins_anew_when_its_worker_waits(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, only_one_worker);
    struct pool_chain chain;
    pool_chain_init(&chain);
    struct fx_run first, asking, later;
    fx_run_init(&first, "ok", "");
    first.run.chain = &chain;
    fx_submit(&fx, &first);
    fx_wait(&fx, &first);
    submit_asking(&fx, &asking, 60000); /* on the worker that the chain lives on */
    fx_until(&fx, somebody_asked);
    fx_run_init(&later, "ok", "");
    later.run.chain = &chain;
    fx_submit(&fx, &later);
    fx_wait(&fx, &later); /* not after the answer, which may depend on it */
    assert_int_equal(later.status, STATUS_CONFLICT);
    assert_true(chain.broken);
    pool_chain_fini(&chain);
    answer_asked("done");
    fx_wait(&fx, &asking);
    assert_int_equal(asking.status, STATUS_OK);
    fx_pool_close(&fx);
}

static void one_that_waits_for_ever_ends_at_its_deadline(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    submit_asking(&fx, &run, 50);
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_FUNCTION_TIMEOUT);
    struct pool_stats stats;
    pool_stats(fx.pool, &stats);
    assert_int_equal(stats.workers_waiting, 0);
    fx_do(&fx, &run, "ok", "");
    assert_int_equal(run.status, STATUS_OK);
    fx_pool_close(&fx);
}

static void a_chain_ends_with_its_worker(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    static const char *const names[] = {"ok", "segv", "ok", "ok"};
    struct fx_run runs[4];
    struct pool_chain chain;
    pool_chain_init(&chain);
    for (int i = 0; i < 4; i++)
    {
        fx_run_init(&runs[i], names[i], "");
        runs[i].run.chain = &chain;
        fx_submit(&fx, &runs[i]);
    }
    for (int i = 0; i < 4; i++) fx_wait(&fx, &runs[i]);
    assert_int_equal(runs[0].status, STATUS_OK);
    assert_int_equal(runs[1].status, STATUS_FUNCTION_CRASHED);
    assert_int_equal(runs[2].status, STATUS_CONFLICT);
    assert_int_equal(runs[3].status, STATUS_CONFLICT);
    assert_true(chain.broken);
    pool_chain_fini(&chain);
    fx_pool_close(&fx);
}

static void short_queue(struct pool_spec *spec)
{
    spec->queue_max = 3;
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, short_queue);
    struct fx_run runs[5];
    for (int i = 0; i < 5; i++)
    {
        fx_run_init(&runs[i], "ok", "");
        fx_submit(&fx, &runs[i]);
        assert_false(runs[i].done); /* never inside of the call */
    }
    for (int i = 0; i < 5; i++) fx_wait(&fx, &runs[i]);
    for (int i = 0; i < 5; i++) assert_int_equal(runs[i].status, i < 3 ? STATUS_OK : STATUS_QUEUE_FULL);
    fx_pool_close(&fx);
}

static void a_run_that_waits_can_be_canceled(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_run_init(&run, "ok", "");
    fx_submit(&fx, &run);
    assert_true(pool_cancel(&run.run));
    assert_false(pool_cancel(&run.run));
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_CANCELED);
    fx_pool_close(&fx);
}

static void one_worker(struct pool_spec *spec)
{
    spec->workers_max = 1;
}

static void a_run_that_waited_too_long_is_not_started(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, one_worker);
    struct fx_run spinning, waiting;
    fx_run_init(&spinning, "spins", "");
    spinning.invoke.timeout_ms = 100;
    fx_submit(&fx, &spinning);
    fx_run_init(&waiting, "ok", "");
    waiting.run.start_before_ns = loop_now_ns(fx.loop) + 30 * NS_PER_MS;
    fx_submit(&fx, &waiting);
    fx_wait(&fx, &waiting);
    assert_int_equal(waiting.status, STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(waiting.started, 0);
    fx_wait(&fx, &spinning);
    fx_pool_close(&fx);
}

static void a_run_that_waited_for_its_worker_ends_when_nobody_wants_it_any_more(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, one_worker);
    struct fx_run spinning, waiting;
    fx_run_init(&spinning, "spins", "");
    spinning.invoke.timeout_ms = 100;
    fx_submit(&fx, &spinning);
    fx_run_init(&waiting, "spins", "");
    waiting.invoke.timeout_ms = 20000;
    uint64_t begun_ns = loop_now_ns(fx.loop);
    waiting.run.end_before_ns = begun_ns + 500 * NS_PER_MS;
    fx_submit(&fx, &waiting);
    fx_wait(&fx, &waiting);
    assert_int_equal(waiting.status, STATUS_FUNCTION_TIMEOUT);
    uint64_t took_ns = loop_now_ns(fx.loop) - begun_ns;
    assert_true(took_ns >= 500 * NS_PER_MS && took_ns < 10 * NS_PER_S);
    fx_pool_close(&fx);
}

static void a_hanging_run_gets_company(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run spinning, quick;
    fx_run_init(&spinning, "spins", "");
    spinning.invoke.timeout_ms = 2000;
    fx_submit(&fx, &spinning);
    while (!spinning.started) loop_turn(fx.loop, true);
    fx_do(&fx, &quick, "ok", "");
    assert_int_equal(quick.status, STATUS_OK);
    assert_false(spinning.done);
    fx_pool_close(&fx);
    assert_int_equal(spinning.status, STATUS_DRAINING);
}

/* ---- lives and deaths of processes ---- */

static bool no_workers(struct fx_pool *fx)
{
    struct pool_stats stats;
    pool_stats(fx->pool, &stats);
    return stats.workers == 0;
}

static void quick_idle(struct pool_spec *spec)
{
    spec->idle_ms = 1;
}

static bool one_works_and_one_is_ready(struct fx_pool *fx)
{
    struct pool_stats stats;
    pool_stats(fx->pool, &stats);
    return stats.workers == 2 && stats.workers_busy == 1;
}

static void while_all_are_at_long_runs_one_more_is_made_ready(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, "naps", ""); /* now it is known to be long */
    fx_run_init(&run, "naps", "");
    fx_submit(&fx, &run);
    fx_until(&fx, one_works_and_one_is_ready);
    fx_wait(&fx, &run);
    fx_pool_close(&fx);
}

static void two_workers(struct pool_spec *spec)
{
    spec->workers_min = 2;
}

static bool two_are_idle(struct fx_pool *fx)
{
    struct pool_stats stats;
    pool_stats(fx->pool, &stats);
    return stats.workers == 2 && stats.workers_busy == 0 && fx->deployment->serving == 2;
}

static void a_run_goes_to_the_worker_that_it_names_when_that_is_idle(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, two_workers);
    fx_until(&fx, two_are_idle);
    for (uint64_t number = 1; number <= 2; number++)
    {
        struct fx_run run;
        fx_run_init(&run, "ok", "");
        run.run.worker_hint = number;
        fx_submit(&fx, &run);
        fx_wait(&fx, &run);
        assert_int_equal(run.run.worker, number);
    }
    fx_pool_close(&fx);
}

static bool no_worker(struct fx_pool *fx)
{
    struct pool_stats stats;
    pool_stats(fx->pool, &stats);
    return stats.workers == 0;
}

static void idle_workers_go_at_once_when_there_is_no_memory(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults); /* they may be idle for a minute */
    struct fx_run run;
    fx_do(&fx, &run, "ok", "");
    assert_false(no_worker(&fx));
    fx_memory.available_bytes = GIB / 2;
    fx_until(&fx, no_worker);
    fx_do(&fx, &run, "ok", "still there");
    assert_int_equal(run.status, STATUS_OK);
    fx_memory.available_bytes = 16 * GIB;
    fx_pool_close(&fx);
}

static void idle_workers_go_and_come_back(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, quick_idle);
    struct fx_run run;
    fx_do(&fx, &run, "ok", "");
    fx_until(&fx, no_workers);
    fx_do(&fx, &run, "ok", "");
    assert_int_equal(run.status, STATUS_OK);
    fx_pool_close(&fx);
}

static void warm_one(struct pool_spec *spec)
{
    spec->workers_min = 1;
}

static bool one_is_warm(struct fx_pool *fx)
{
    struct pool_stats stats;
    pool_stats(fx->pool, &stats);
    return stats.workers == 1;
}

/* The kernel shares the processors between sessions: see sandbox_linux.c. */
static void the_processes_of_an_app_are_a_session_of_their_own(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, "ok", "");
    struct fx_family family = fx_family(&fx);
    assert_true(family.count >= 2);
    pid_t worker = family.all[family.count - 1], maker = family.all[family.count - 2];
    assert_int_not_equal(getsid(worker), getsid(0));
    assert_int_not_equal(getsid(worker), worker);
    assert_int_equal(getsid(worker), getsid(maker));
    fx_pool_close(&fx);
}

static void a_minimum_of_workers_is_kept_warm(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "faults", fx_faults, warm_one);
    fx_until(&fx, one_is_warm);
    fx_pool_close(&fx);
}

static bool is_closed(struct fx_pool *fx)
{
    return fx->closed;
}

static void on_closed(void *ctx)
{
    ((struct fx_pool *)ctx)->closed = true;
}

static void a_closed_deployment_finishes_what_it_was_given(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run runs[40];
    for (int i = 0; i < 40; i++)
    {
        fx_run_init(&runs[i], "ok", "");
        fx_submit(&fx, &runs[i]);
    }
    pool_deployment_close(fx.deployment, on_closed, &fx);
    fx_until(&fx, is_closed);
    for (int i = 0; i < 40; i++) assert_int_equal(runs[i].status, STATUS_OK);
    assert_true(no_workers(&fx));
    fx_pool_close(&fx);
}

static bool one_started(struct fx_pool *fx)
{
    struct pool_stats stats;
    pool_stats(fx->pool, &stats);
    return stats.running > 0;
}

static void after_the_death_of_its_zygote_an_app_goes_on(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run spinning, waiting;
    fx_do(&fx, &waiting, "ok", "");
    fx_run_init(&spinning, "spins", "");
    fx_submit(&fx, &spinning);
    fx_until(&fx, one_started);
    assert_true(fx_zygote(&fx) > 0);
    kill(fx_zygote(&fx), SIGKILL);
    fx_wait(&fx, &spinning);
    assert_int_equal(spinning.status, STATUS_FUNCTION_CRASHED);
    fx_do(&fx, &waiting, "ok", "");
    assert_int_equal(waiting.status, STATUS_OK);
    struct pool_stats stats;
    pool_stats(fx.pool, &stats);
    assert_int_equal(stats.zygotes_started, 2);
    fx_pool_close(&fx);
}

static void stopping_answers_everybody(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    struct fx_run runs[6];
    for (int i = 0; i < 6; i++)
    {
        fx_run_init(&runs[i], "spins", "");
        fx_submit(&fx, &runs[i]);
    }
    fx_until(&fx, one_started);
    fx_pool_close(&fx);
    for (int i = 0; i < 6; i++) assert_int_equal(runs[i].status, STATUS_DRAINING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_gets_its_answer),
        cmocka_unit_test(an_error_of_a_function_is_a_result),
        cmocka_unit_test(many_runs_are_done_each_once_by_few_workers),
        cmocka_unit_test(output_and_logs_come_with_their_function),
        cmocka_unit_test(the_environment_of_the_manifest_is_there),
        cmocka_unit_test(runs_of_a_chain_stay_in_order_on_one_worker),
        cmocka_unit_test(a_run_that_asks_goes_on_with_the_answer),
        cmocka_unit_test(what_is_behind_one_that_asks_is_done_by_others),
        cmocka_unit_test(a_chain_of_others_begins_anew_when_its_worker_waits),
        cmocka_unit_test(one_that_waits_for_ever_ends_at_its_deadline),
        cmocka_unit_test(a_chain_ends_with_its_worker),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(a_run_that_waits_can_be_canceled),
        cmocka_unit_test(a_run_that_waited_too_long_is_not_started),
        cmocka_unit_test(a_run_that_waited_for_its_worker_ends_when_nobody_wants_it_any_more),
        cmocka_unit_test(a_hanging_run_gets_company),
        cmocka_unit_test(while_all_are_at_long_runs_one_more_is_made_ready),
        cmocka_unit_test(a_run_goes_to_the_worker_that_it_names_when_that_is_idle),
        cmocka_unit_test(idle_workers_go_at_once_when_there_is_no_memory),
        cmocka_unit_test(idle_workers_go_and_come_back),
        cmocka_unit_test(a_minimum_of_workers_is_kept_warm),
        cmocka_unit_test(the_processes_of_an_app_are_a_session_of_their_own),
        cmocka_unit_test(a_closed_deployment_finishes_what_it_was_given),
        cmocka_unit_test(after_the_death_of_its_zygote_an_app_goes_on),
        cmocka_unit_test(stopping_answers_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
