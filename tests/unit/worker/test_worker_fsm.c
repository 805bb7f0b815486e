/* test_worker_fsm.c - the table of a worker's life holds together. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/worker/worker_fsm.h"

static void nothing_comes_back_from_the_dead(void **state)
{
    (void)state;
    for (int to = 0; to < WORKER_STATE_COUNT; to++) assert_false(worker_edge_legal(WORKER_DEAD, to));
}

static void every_state_leads_to_death(void **state)
{
    (void)state;
    for (int from = 0; from < WORKER_DEAD; from++)
        assert_true(worker_edge_legal(from, WORKER_DEAD) || worker_edge_legal(from, WORKER_DYING));
}

static void who_is_dying_only_dies(void **state)
{
    (void)state;
    for (int to = 0; to < WORKER_STATE_COUNT; to++)
        assert_int_equal(worker_edge_legal(WORKER_DYING, to), to == WORKER_DEAD);
}

static void work_comes_only_after_the_greeting(void **state)
{
    (void)state;
    for (int from = 0; from < WORKER_STATE_COUNT; from++)
        assert_int_equal(worker_edge_legal(from, WORKER_BUSY), from == WORKER_IDLE);
    assert_false(worker_edge_legal(WORKER_SPAWNING, WORKER_IDLE));
}

static void every_state_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < WORKER_STATE_COUNT; i++) assert_non_null(worker_state_name(i));
    assert_string_equal(worker_state_name(WORKER_BUSY), "BUSY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_comes_back_from_the_dead),
        cmocka_unit_test(every_state_leads_to_death),
        cmocka_unit_test(who_is_dying_only_dies),
        cmocka_unit_test(work_comes_only_after_the_greeting),
        cmocka_unit_test(every_state_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
