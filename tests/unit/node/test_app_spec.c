/* test_app_spec.c - what manifests ask of the pool and of the engine: tables. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/catalog/manifest.h"
#include "runtime/invoke/invoke.h"
#include "runtime/node/app_spec.h"

static void workers_are_as_many_as_the_widest_function_wants_and_the_app_may_have(void **state)
{
    static const struct {
        struct manifest_function a, b;
        struct manifest_limits limits;
        uint32_t partitions;
        uint32_t want;
    } rows[] = {
        {{.concurrency = 4, .pool.max = 4}, {.concurrency = 2, .pool.max = 2}, {0}, 1, 4},
        {{.concurrency = 4, .pool.max = 3}, {.concurrency = 2, .pool.max = 9}, {0}, 1, 3},
        /* what the app may have is shared by its partitions */
        {{.concurrency = 9, .pool.max = 9}, {.concurrency = 1, .pool.max = 1}, {.concurrency = 8}, 1, 8},
        {{.concurrency = 9, .pool.max = 9}, {.concurrency = 1, .pool.max = 1}, {.concurrency = 8}, 4, 2},
        {{.concurrency = 9, .pool.max = 9}, {.concurrency = 1, .pool.max = 1}, {0}, 4, 9},
        /* each worker must be able to run the largest function */
        {{.concurrency = 9, .pool.max = 9, .memory_mb = 64},
         {.concurrency = 1, .pool.max = 1, .memory_mb = 100},
         {.memory_mb = 450},
         1,
         4},
        {{.concurrency = 9, .pool.max = 9, .memory_mb = 64},
         {.concurrency = 1, .pool.max = 1, .memory_mb = 100},
         {.memory_mb = 450},
         2,
         2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
        struct manifest_function functions[] = {rows[i].a, rows[i].b};
        struct manifest manifest = {
            .partitions = rows[i].partitions,
            .limits = rows[i].limits,
            .functions = functions,
            .function_count = 2,
        };
        struct app_spec spec;
        app_spec_init(&spec, &manifest);
        assert_int_equal(spec.pool.workers_max, rows[i].want);
        app_spec_fini(&spec);
    }
}

static void
only_what_the_workers_could_exceed_is_counted_and_what_is_counted_does_not_run_inside(void **state)
{
    static const struct {
        struct manifest_function function;
        uint32_t partitions;
        uint32_t want_running_max;
        uint32_t want_inside_ms;
    } rows[] = {
        /* the pool has 4 workers, of the function beside this one */
        {{.timeout_ms = 70, .concurrency = 4, .pool.max = 4}, 1, 0, 70},
        {{.timeout_ms = 70, .concurrency = 5, .pool.max = 4}, 1, 0, 70},
        {{.timeout_ms = 70, .concurrency = 3, .pool.max = 4}, 1, 3, 0},
        {{.timeout_ms = 70, .concurrency = 4, .pool.max = 4, .rate.per_second = 1}, 1, 0, 0},
        {{.timeout_ms = 70, .concurrency = 4, .pool.max = 4, .body_bytes_max = 1}, 1, 0, 0},
        {{.timeout_ms = 70, .concurrency = 4, .pool.max = 4, .reply_bytes_max = 1}, 1, 0, 0},
        /* with several partitions there are 4 for each, and the entity may be elsewhere */
        {{.timeout_ms = 70, .concurrency = 4, .pool.max = 4}, 2, 4, 0},
        {{.timeout_ms = 70, .concurrency = 8, .pool.max = 4}, 2, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
        char a[] = "a", b[] = "b";
        struct manifest_function functions[] = {{.concurrency = 4, .pool.max = 4}, rows[i].function};
        functions[0].name = a;
        functions[1].name = b;
        struct manifest manifest = {
            .partitions = rows[i].partitions,
            .functions = functions,
            .function_count = 2,
        };
        struct app_spec spec;
        app_spec_init(&spec, &manifest);
        assert_int_equal(spec.pool.function_count, 2);
        assert_int_equal(spec.pool.functions[1].inside_ms, rows[i].want_inside_ms);
        app_spec_fini(&spec);
        struct invoke_function *engine = app_spec_functions(&manifest);
        assert_int_equal(engine[1].limits.running_max, rows[i].want_running_max);
        assert_int_equal(engine[1].timeout_ms, 70);
        free(engine);
    }
}

static void queues_warm_workers_and_idle_time_are_those_of_all_functions_together(void **state)
{
    static const struct {
        struct manifest_function a, b;
        uint32_t want_queue, want_min, want_idle_ms;
    } rows[] = {
        {{.queue = 10, .concurrency = 1}, {.queue = 20, .concurrency = 2}, 33, 0, 0},
        {{.queue = UINT32_MAX, .concurrency = 1}, {.queue = 20, .concurrency = 2}, UINT32_MAX, 0, 0},
        {{.pool = {.min = 2, .idle_ms = 5}}, {.pool = {.min = 1, .idle_ms = 9}}, 0, 2, 9},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
        struct manifest_function functions[] = {rows[i].a, rows[i].b};
        struct manifest manifest = {.partitions = 1, .functions = functions, .function_count = 2};
        struct app_spec spec;
        app_spec_init(&spec, &manifest);
        assert_int_equal(spec.pool.queue_max, rows[i].want_queue);
        assert_int_equal(spec.pool.workers_min, rows[i].want_min);
        assert_int_equal(spec.pool.idle_ms, rows[i].want_idle_ms);
        app_spec_fini(&spec);
        assert_int_equal(app_spec_may_sleep(&manifest), rows[i].want_min == 0);
    }
}

static void the_environment_is_a_list_of_strings_and_the_sandbox_has_the_mounts(void **state)
{
    char name[] = "NAME", empty[] = "", other[] = "OTHER", value[] = "a=b c";
    char from[] = "/from", to[] = "/to";
    struct manifest_env env[] = {{name, empty}, {other, value}};
    struct manifest_mount mounts[] = {{.from = from, .to = to}};
    struct manifest manifest = {
        .partitions = 1,
        .sandbox = SANDBOX_NETWORK,
        .env = env,
        .env_count = 2,
        .mounts = mounts,
        .mount_count = 1,
    };
    (void)state;
    struct app_spec spec;
    app_spec_init(&spec, &manifest);
    assert_int_equal(spec.pool.env_count, 2);
    assert_string_equal(spec.pool.env[0], "NAME=");
    assert_string_equal(spec.pool.env[1], "OTHER=a=b c");
    assert_int_equal(spec.pool.sandbox.profile, SANDBOX_NETWORK);
    assert_int_equal(spec.pool.sandbox.mount_count, 1);
    assert_string_equal(spec.pool.sandbox.mounts[0].from, "/from");
    assert_string_equal(spec.pool.sandbox.mounts[0].to, "/to");
    app_spec_fini(&spec);
}

static void the_engine_has_functions_and_channels_by_name_in_the_order_of_the_manifest(void **state)
{
    char get[] = "GET", post[] = "POST", a[] = "a", b[] = "b", live[] = "live", kept[] = "kept";
    char *methods[] = {get, post};
    struct manifest_function functions[] = {
        {.name = a, .methods = methods, .method_count = 2, .durability = DURABILITY_RELAXED},
        {.name = b},
    };
    struct manifest_channel channels[] = {
        {.name = live, .kind = CHANNEL_LIVE},
        {.name = kept, .kind = CHANNEL_DURABLE},
    };
    struct manifest manifest = {
        .partitions = 1,
        .functions = functions,
        .function_count = 2,
        .channels = channels,
        .channel_count = 2,
    };
    (void)state;
    struct invoke_function *engine = app_spec_functions(&manifest);
    assert_string_equal(engine[0].name, "a");
    assert_string_equal(engine[0].methods, "GET, POST");
    assert_true(engine[0].relaxed);
    assert_string_equal(engine[1].name, "b");
    assert_string_equal(engine[1].methods, "");
    assert_false(engine[1].relaxed);
    free(engine);
    struct invoke_channel *named = app_spec_channels(&manifest);
    assert_string_equal(named[0].name, "live");
    assert_false(named[0].durable);
    assert_string_equal(named[1].name, "kept");
    assert_true(named[1].durable);
    free(named);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_are_as_many_as_the_widest_function_wants_and_the_app_may_have),
        cmocka_unit_test(
            only_what_the_workers_could_exceed_is_counted_and_what_is_counted_does_not_run_inside),
        cmocka_unit_test(queues_warm_workers_and_idle_time_are_those_of_all_functions_together),
        cmocka_unit_test(the_environment_is_a_list_of_strings_and_the_sandbox_has_the_mounts),
        cmocka_unit_test(the_engine_has_functions_and_channels_by_name_in_the_order_of_the_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
