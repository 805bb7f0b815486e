/* test_groups.c - what the limits of workers come to for their group. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/worker/groups.h"

static void the_group_has_what_its_workers_may_have_and_the_zygote(void **state)
{
    (void)state;
    struct cgroup_limits limits = group_limits(100 * MIB, 20, 7, false);
    assert_int_equal(limits.memory_bytes, 800 * MIB);
    assert_int_equal(limits.cpu_percent, 20);
    assert_in_range(limits.processes, 7 + 3, 7 + 100);
}

static void without_a_limit_of_a_worker_there_is_none_of_the_group(void **state)
{
    (void)state;
    struct cgroup_limits limits = group_limits(0, 0, 7, true);
    assert_int_equal(limits.memory_bytes, 0);
    assert_int_equal(limits.cpu_percent, 0);
    assert_int_equal(limits.processes, 0);
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(group_limits(UINT64_MAX, 1, 1, false).memory_bytes, 0);
    assert_int_equal(group_limits(UINT64_MAX / 2, 1, UINT32_MAX, false).memory_bytes, 0);
    assert_int_equal(group_limits(1, 1, UINT32_MAX, false).memory_bytes, 1ULL << 32);
    assert_int_equal(group_limits(1, 1, UINT32_MAX, false).processes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_group_has_what_its_workers_may_have_and_the_zygote),
        cmocka_unit_test(without_a_limit_of_a_worker_there_is_none_of_the_group),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
