/* test_pool_spare.c - the zygote that is kept ready: it is used, replaced, and missed by nobody when it is gone. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/worker/deployment.h" // to find the spare one
#include "tests/integration/pool/fx_pool.h"

static pid_t spare_of(const struct fx_pool *fx)
{
    return fx->pool->spare.zygote ? zygote_pid(fx->pool->spare.zygote) : 0;
}

static bool has_spare(struct fx_pool *fx)
{
    return spare_of(fx) != 0;
}

static bool has_zygote(struct fx_pool *fx)
{
    return fx_zygote(fx) != 0;
}

static bool spare_is_dead(struct fx_pool *fx)
{
    return zygote_is_dead(fx->pool->spare.zygote);
}

static bool has_no_spare(struct fx_pool *fx)
{
    return spare_of(fx) == 0;
}

static void open_with_spare(struct fx_pool *fx, const char *object, const char *const *functions,
                            void (*change)(struct pool_spec *spec))
{
    fx_spare = true;
    fx_pool_open_spec(fx, object, functions, change);
    fx_spare = false;
    fx_until(fx, has_spare);
}

static void expect_ok(struct fx_pool *fx)
{
    struct fx_run run;
    fx_do(fx, &run, "ok", "");
    if (run.status != STATUS_OK) fail_msg("%s: %s", status_code(run.status), run.text);
}

static void the_spare_becomes_the_zygote_of_an_app_and_is_replaced(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_spare(&fx, "faults", fx_faults, NULL);
    pid_t spare = spare_of(&fx);
    expect_ok(&fx);
    assert_int_equal(fx_zygote(&fx), spare);
    fx_until(&fx, has_spare);
    assert_int_not_equal(spare_of(&fx), spare);
    fx_pool_close(&fx);
}

static void who_looks_at_the_processes_sees_the_name_of_the_app(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_spare(&fx, "faults", fx_faults, NULL);
    expect_ok(&fx);
    struct fx_family family = fx_family(&fx);
    char path[64], line[512] = {0};
    snprintf(path, sizeof path, "/proc/%d/cmdline", family.all[family.count - 1]);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    const char *name = line + strlen(line) + 1;
    assert_true(size > strlen(FX_ZYGOTE) + sizeof "test");
    assert_string_equal(line, FX_ZYGOTE);
    assert_string_equal(name, "test");
    assert_string_equal(name + sizeof "test", "stateless");
    fx_pool_close(&fx);
}

/* The words of a failure are those of the loader, as without a spare one. */
static void bad_code_is_told_the_same_way(void **state)
{
    (void)state;
    static const char *const wanted[] = {"ok", "missing", NULL};
    struct fx_pool fx;
    open_with_spare(&fx, "faults", wanted, NULL);
    pid_t spare = spare_of(&fx);
    struct fx_run run;
    fx_do(&fx, &run, "ok", "");
    assert_int_equal(run.status, STATUS_FUNCTION_START_FAILED);
    fx_expect_text(&run, "`test.so` has no symbol stead_fn_missing");
    assert_int_not_equal(spare_of(&fx), spare);
    fx_pool_close(&fx);
}

static void a_spare_that_has_died_hinders_nobody(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_spare(&fx, "faults", fx_faults, NULL);
    pid_t spare = spare_of(&fx);
    assert_int_equal(kill(spare, SIGKILL), 0);
    fx_until(&fx, spare_is_dead);
    expect_ok(&fx);
    assert_int_not_equal(fx_zygote(&fx), spare);
    fx_pool_close(&fx);
}

static void without_sandbox(struct pool_spec *spec)
{
    spec->sandbox.profile = SANDBOX_NONE;
}

static void an_app_that_it_does_not_fit_leaves_it_alone(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_spare(&fx, "faults", fx_faults, without_sandbox);
    pid_t spare = spare_of(&fx);
    expect_ok(&fx);
    assert_int_not_equal(fx_zygote(&fx), spare);
    assert_int_equal(spare_of(&fx), spare);
    fx_pool_close(&fx);
}

static void when_memory_is_short_there_is_none(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_spare(&fx, "faults", fx_faults, NULL);
    expect_ok(&fx); /* from here on the memory is looked at */
    fx_until(&fx, has_zygote);
    fx_until(&fx, has_spare);
    struct machine_memory before = fx_memory;
    fx_memory.available_bytes = fx_memory.total_bytes / 100;
    fx_until(&fx, has_no_spare);
    fx_memory = before;
    expect_ok(&fx);
    fx_pool_close(&fx);
}

/* ---- the first worker ---- */

/* Of the spare one: the outer process, the inner one, and the worker that waits. */
static pid_t first_of(const struct fx_pool *fx)
{
    struct fx_family family = fx_family_of(spare_of(fx));
    return family.count == 3 ? family.all[2] : 0;
}

static bool no_worker_is_there(struct fx_pool *fx)
{
    return fx_family(fx).count == 2;
}

static bool zygote_has_loaded(struct fx_pool *fx)
{
    return fx->deployment->zygote_loaded;
}

static void open_with_first(struct fx_pool *fx, const char *object, const char *const *functions)
{
    open_with_spare(fx, object, functions, NULL);
    /* No event tells of it. */
    uint64_t end_ns = clock_monotonic_ns(clock_real()) + 10 * NS_PER_S;
    while (!first_of(fx) && clock_monotonic_ns(clock_real()) < end_ns) sched_yield();
    assert_int_not_equal(first_of(fx), 0);
}

static void who_is_waited_for_is_the_one_that_waited(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_first(&fx, "faults", fx_faults);
    pid_t first = first_of(&fx);
    expect_ok(&fx);
    assert_int_equal(fx_pid_of(CONTAINER_OF(fx.deployment->workers.next, struct worker, link)), first);
    fx_until(&fx, zygote_has_loaded);
    fx_pool_close(&fx);
}

static void the_first_worker_is_as_confined_as_any(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_first(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, "escapes", "");
    assert_int_equal(run.status, STATUS_OK);
    assert_string_equal(run.text, "");
    fx_pool_close(&fx);
}

static void the_end_of_the_first_worker_is_told_as_that_of_any(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_first(&fx, "faults", fx_faults);
    struct fx_run run;
    fx_do(&fx, &run, "exits", "");
    if (run.status != STATUS_FUNCTION_EXITED) fail_msg("%s: %s", status_code(run.status), run.text);
    fx_until(&fx, zygote_has_loaded);
    expect_ok(&fx); /* one that was forked */
    fx_pool_close(&fx);
}

static void others_are_forked_when_the_zygote_has_loaded(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_first(&fx, "faults", fx_faults);
    struct fx_run runs[2];
    for (int i = 0; i < 2; i++)
    {
        fx_run_init(&runs[i], "naps", "");
        fx_submit(&fx, &runs[i]);
    }
    for (int i = 0; i < 2; i++)
    {
        fx_wait(&fx, &runs[i]);
        assert_int_equal(runs[i].status, STATUS_OK);
    }
    assert_int_equal(fx.deployment->serving, 2);
    fx_pool_close(&fx);
}

static void a_first_worker_that_has_died_is_missed_by_nobody(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_first(&fx, "faults", fx_faults);
    assert_int_equal(kill(first_of(&fx), SIGKILL), 0);
    expect_ok(&fx);
    fx_pool_close(&fx);
}

static bool a_worker_is_born(struct fx_pool *fx)
{
    const struct list *first = fx->deployment->workers.next;
    return first != &fx->deployment->workers && CONTAINER_OF(first, struct worker, link)->pidfd >= 0;
}

static bool all_are_dead(struct fx_pool *fx)
{
    return list_empty(&fx->deployment->workers) && !fx->deployment->zygote;
}

/* A second word about it would meet those who wait for the next zygote. */
static void the_death_of_a_zygote_is_one_failure_whatever_dies_with_it(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_first(&fx, "faults", fx_faults);
    assert_int_equal(kill(first_of(&fx), SIGSTOP), 0); /* it is born and does not get ready */
    struct fx_run run;
    fx_run_init(&run, "ok", "");
    fx_submit(&fx, &run);
    fx_until(&fx, a_worker_is_born);
    assert_int_equal(kill(fx_zygote(&fx), SIGKILL), 0);
    fx_wait(&fx, &run);
    assert_int_equal(run.status, STATUS_FUNCTION_START_FAILED);
    fx_expect_text(&run, "was killed by SIGKILL");
    fx_until(&fx, all_are_dead);
    assert_int_equal(fx.deployment->failures, 1);
    fx_pool_close(&fx);
}

static void a_deployment_that_is_only_tried_has_no_worker(void **state)
{
    (void)state;
    struct fx_pool fx;
    open_with_first(&fx, "faults", fx_faults);
    char text[1024];
    assert_int_equal(fx_probe(&fx, text), STATUS_OK);
    fx_until(&fx, no_worker_is_there);
    fx_pool_close(&fx);
}

/* It fails in the first worker, too, and it is the zygote that tells it. */
static void an_initialiser_that_fails_is_told_the_same_way(void **state)
{
    (void)state;
    static const char *const only_ok[] = {"ok", NULL};
    static const struct {
        const char *object, *words;
    } table[] = {{"init_crashes", FX_SANITIZED ? "while a static" : "SIGSEGV"}, {"init_exits", "exit code"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    {
        struct fx_pool fx;
        open_with_first(&fx, table[i].object, only_ok);
        struct fx_run run;
        fx_do(&fx, &run, "ok", "");
        if (run.status != STATUS_FUNCTION_START_FAILED) fail_msg("%s: %s", status_code(run.status), run.text);
        fx_expect_text(&run, table[i].words);
        fx_expect_text(&run, "initialiser");
        fx_pool_close(&fx);
    }
}

static void a_pool_without_one_makes_none(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", fx_faults);
    expect_ok(&fx);
    expect_ok(&fx);
    assert_int_equal(spare_of(&fx), 0);
    fx_pool_close(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_spare_becomes_the_zygote_of_an_app_and_is_replaced),
        cmocka_unit_test(who_looks_at_the_processes_sees_the_name_of_the_app),
        cmocka_unit_test(bad_code_is_told_the_same_way),
        cmocka_unit_test(a_spare_that_has_died_hinders_nobody),
        cmocka_unit_test(an_app_that_it_does_not_fit_leaves_it_alone),
        cmocka_unit_test(when_memory_is_short_there_is_none),
        cmocka_unit_test(a_pool_without_one_makes_none),
        cmocka_unit_test(who_is_waited_for_is_the_one_that_waited),
        cmocka_unit_test(the_first_worker_is_as_confined_as_any),
        cmocka_unit_test(the_end_of_the_first_worker_is_told_as_that_of_any),
        cmocka_unit_test(others_are_forked_when_the_zygote_has_loaded),
        cmocka_unit_test(a_first_worker_that_has_died_is_missed_by_nobody),
        cmocka_unit_test(the_death_of_a_zygote_is_one_failure_whatever_dies_with_it),
        cmocka_unit_test(a_deployment_that_is_only_tried_has_no_worker),
        cmocka_unit_test(an_initialiser_that_fails_is_told_the_same_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
