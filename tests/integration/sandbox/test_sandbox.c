/* test_sandbox.c - what a hostile function tries is refused: each attack is a test with its name. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "tests/integration/pool/fx_pool.h"
#include "tests/unit/sdk/fx_store.h"

#define ATTACK(name, expression) #name,
static const char *const attacks[] = {
#include "tests/integration/sandbox/attacks.def"
    "writes_into_the_state",
    "writes_into_its_code",
#ifdef __x86_64__
    "uses_numbers_of_another_machine",
#endif
    NULL,
};
#undef ATTACK

static struct fx_store store;
static struct fx_pool pool;
static char state_path[128];

static void with_state(struct pool_spec *spec)
{
    static const char *env[1];
    static char variable[160];
    snprintf(variable, sizeof variable, "STEAD_TEST_STATE=%s", state_path);
    env[0] = variable;
    spec->env = env;
    spec->env_count = 1;
    spec->data_fd = store_data_fd(store.store);
    spec->workers_max = 1;
}

static int open_state(void **state)
{
    (void)state;
    fx_store_open(&store);
    fx_store_put(&store, "", "row", "value");
    /* The file behind the descriptor, by its path. */
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", store_data_fd(store.store));
    ssize_t size = readlink(link, state_path, sizeof state_path - 1);
    if (size < 0) return -1;
    state_path[size] = 0;
    return 0;
}

static int open_attacks(void **state)
{
    if (open_state(state) != 0) return -1;
    fx_pool_open_spec(&pool, "attacks", attacks, with_state);
    return 0;
}

static int close_attacks(void **state)
{
    (void)state;
    fx_pool_close(&pool);
    fx_store_close(&store);
    return 0;
}

static void run(struct fx_run *run, const char *function)
{
    fx_run_init(run, function, "");
    run->invoke.meta = store_snapshot_meta(store.snapshot);
    run->invoke.txn = store_snapshot_txn(store.snapshot);
    run->invoke.snapshot = store_snapshot_seq(store.snapshot);
    fx_submit(&pool, run);
    fx_wait(&pool, run);
}

static void expect_held(const char *function)
{
    struct fx_run attack;
    run(&attack, function);
    if (attack.status != STATUS_OK) fail_msg("%s: %s", status_code(attack.status), attack.text);
    assert_string_equal(attack.text, "held");
}

#define ATTACK(name, expression)   \
    static void name(void **state) \
    {                              \
        (void)state;               \
        expect_held(#name);        \
    }
#include "tests/integration/sandbox/attacks.def"
#undef ATTACK

static void expect_killed(const char *function, const char *signal)
{
    struct fx_run attack;
    run(&attack, function);
    assert_int_equal(attack.status, STATUS_FUNCTION_CRASHED);
    fx_expect_text(&attack, signal);
}

static void writes_into_the_state(void **state)
{
    (void)state;
    expect_killed("writes_into_the_state", "SIGSEGV");
}

static void writes_into_its_code(void **state)
{
    (void)state;
    expect_killed("writes_into_its_code", "SIGSEGV");
}

#ifdef __x86_64__
static void uses_numbers_of_another_machine(void **state)
{
    (void)state;
    expect_killed("uses_numbers_of_another_machine", "SIGSYS");
}
#endif

static void the_state_is_as_it_was(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(store_health(store.store, &err), STATUS_OK);
    assert_int_equal(access("/tmp/stead-escape", F_OK), -1);
    fx_store_put(&store, "", "row", "changed");
}

/* In the zygote user code runs, too. */
static void an_initialiser_has_no_way_out_either(void **state)
{
    static const char *const told[] = {"told", NULL};
    assert_int_equal(open_state(state), 0);
    fx_pool_open_spec(&pool, "init_attacks", told, with_state);
    struct fx_run what;
    run(&what, "told");
    if (what.status != STATUS_OK) fail_msg("%s: %s", status_code(what.status), what.text);
    assert_string_equal(what.text, "");
    close_attacks(state);
}

static void without_sandbox(struct pool_spec *spec)
{
    with_state(spec);
    spec->sandbox.profile = SANDBOX_NONE;
}

/* The control: were the attacks themselves faulty, all tests above would pass as well. Only harmless ones. */
static void without_a_sandbox_attacks_succeed(void **state)
{
    static const char *const harmless[] = {
        "reads_passwd",
        "lists_the_root",
        "opens_the_state",
        "opens_a_udp_socket",
        "makes_a_pipe",
        "makes_a_socket_pair",
        "opens_a_pidfd",
        "makes_memory_executable",
        "makes_memory_a_file",
        "changes_its_directory",
        NULL,
    };
    assert_int_equal(open_state(state), 0);
    fx_pool_open_spec(&pool, "attacks", harmless, without_sandbox);
    for (size_t i = 0; i + 1 < sizeof harmless / sizeof *harmless; i++)
    {
        struct fx_run attack;
        run(&attack, harmless[i]);
        assert_int_equal(attack.status, STATUS_OK);
        fx_expect_text(&attack, "broken");
    }
    close_attacks(state);
}

int main(void)
{
    const struct CMUnitTest in_workers[] = {
#define ATTACK(name, expression) cmocka_unit_test(name),
#include "tests/integration/sandbox/attacks.def"
#undef ATTACK
        cmocka_unit_test(writes_into_the_state),
        cmocka_unit_test(writes_into_its_code),
#ifdef __x86_64__
        cmocka_unit_test(uses_numbers_of_another_machine),
#endif
        cmocka_unit_test(the_state_is_as_it_was),
    };
    const struct CMUnitTest in_zygotes[] = {
        cmocka_unit_test(an_initialiser_has_no_way_out_either),
        cmocka_unit_test(without_a_sandbox_attacks_succeed),
    };
    int failed = cmocka_run_group_tests(in_workers, open_attacks, close_attacks);
    return failed + cmocka_run_group_tests(in_zygotes, NULL, NULL);
}
