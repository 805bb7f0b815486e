/* test_route.c - where invocations run: tables of nodes. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "runtime/router/route.h"

static void an_invocation_goes_to_the_owner_of_its_state_and_nowhere_else(void **state)
{
    (void)state;
    struct route_node nodes[] = {
        {.name = "a", .alive = true, .in_flight_max = 10},
        {.name = "b", .alive = true, .warm = 2, .in_flight_max = 10},
        {.name = "c", .alive = false, .in_flight_max = 10},
        {.name = "d", .alive = true, .in_flight = 10, .in_flight_max = 10},
        {.name = "e", .alive = true, .in_flight = 9, .in_flight_max = 10, .app_in_flight = 8},
        {.name = "f", .alive = true, .in_flight = 9, .in_flight_max = 10, .app_in_flight = 1},
    };
    static const struct {
        const char *entity;
        uint32_t owner;
        enum status status;
        enum route_reason reason;
        bool warm;
        const char *words;
    } rows[] = {
        {"", 0, STATUS_OK, ROUTE_OWNS_APP, false, NULL},
        {"x", 1, STATUS_OK, ROUTE_OWNS_ENTITY, true, NULL},
        {"x", 2, STATUS_UNAVAILABLE, 0, false, "node 'c', which owns partition 0, is not there"},
        {"x", 3, STATUS_OVERLOADED, 0, false, "node 'd' has 10 invocations in flight, its limit"},
        {"x", 4, STATUS_OVERLOADED, 0, false,
         "node 'e' has 9 of at most 10 invocations in flight, 8 of them of app 'shop': what is left is for "
         "the other "
         "apps"},
        {"x", 5, STATUS_OK, ROUTE_OWNS_ENTITY, false, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
        struct route_query query = {.app = "shop",
                                    .entity = slice_cstr(rows[i].entity),
                                    .partitions = 1,
                                    .owners = &rows[i].owner,
                                    .nodes = nodes,
                                    .nodes_count = sizeof nodes / sizeof nodes[0]};
        struct route_decision decision;
        struct err err = ERR_INIT;
        assert_int_equal(route_decide(&query, &decision, &err), rows[i].status);
        if (rows[i].status == STATUS_OK)
        {
            assert_int_equal(decision.node, rows[i].owner);
            assert_int_equal(decision.reason, rows[i].reason);
            assert_int_equal(decision.warm, rows[i].warm);
        }
        else
        {
            assert_string_equal(err_text(&err), rows[i].words);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_invocation_goes_to_the_owner_of_its_state_and_nowhere_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
