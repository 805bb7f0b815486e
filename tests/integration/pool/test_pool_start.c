/* test_pool_start.c - code that cannot be started: each reason has words of its own. */
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

#include "tests/integration/pool/fx_pool.h"

static const char *const only_ok[] = {"ok", NULL};

/* ---- code that cannot be started ---- */

static void expect_no_start(struct fx_pool *fx, enum status status, const char *words)
{
    char text[1024];
    enum status probed = fx_probe(fx, text);
    if (probed != status) fail_msg("%s, not %s: %s", status_code(probed), status_code(status), text);
    if (!strstr(text, words)) fail_msg("`%s` is not in `%s`", words, text);
    struct fx_run run;
    fx_do(fx, &run, "ok", "");
    assert_int_equal(run.status, STATUS_FUNCTION_START_FAILED);
    fx_expect_text(&run, words); /* the same words for callers */
    fx_pool_close(fx);
}

static void a_missing_function_is_named(void **state)
{
    (void)state;
    static const char *const wanted[] = {"ok", "missing", NULL};
    struct fx_pool fx;
    fx_pool_open(&fx, "faults", wanted);
    expect_no_start(&fx, STATUS_ARTIFACT_INVALID, "`test.so` has no symbol stead_fn_missing");
}

static void an_undefined_symbol_is_named(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "undefined", only_ok);
    expect_no_start(&fx, STATUS_ARTIFACT_INVALID,
                    "`test.so` cannot be loaded: undefined symbol: no_such_function_anywhere");
}

static void another_abi_is_refused(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "abi_other", only_ok);
    expect_no_start(&fx, STATUS_ARTIFACT_INVALID,
                    "built for version 99 of the SDK's ABI; this node has version 1");
}

static void an_object_without_an_abi_is_refused(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "abi_none", only_ok);
    expect_no_start(&fx, STATUS_ARTIFACT_INVALID, "no symbol stead_abi_version");
}

/* A file with these first bytes. */
static void open_bytes(struct fx_pool *fx, char path[64], const void *bytes, size_t size)
{
    snprintf(path, 64, "/tmp/stead-pool-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
    fx_pool_open_file(fx, path, only_ok);
}

static void another_architecture_is_named(void **state)
{
    (void)state;
    /* An ELF header of a shared object for s390, little endian and 64 bits. */
    unsigned char head[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 3, [18] = 22, [20] = 1};
    struct fx_pool fx;
    char path[64];
    open_bytes(&fx, path, head, sizeof head);
    expect_no_start(&fx, STATUS_ARTIFACT_INVALID, "built for s390");
    unlink(path);
}

static void a_text_is_no_shared_object(void **state)
{
    (void)state;
    struct fx_pool fx;
    char path[64];
    open_bytes(&fx, path, "hello\n", 6);
    expect_no_start(&fx, STATUS_ARTIFACT_INVALID, "is not a shared object");
    unlink(path);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_file(&fx, "/nowhere/at/all.so", only_ok);
    expect_no_start(&fx, STATUS_ARTIFACT_INVALID, "/nowhere/at/all.so");
}

static void an_initialiser_that_hangs_is_told_apart(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "init_hangs", only_ok);
    expect_no_start(&fx, STATUS_FUNCTION_START_FAILED, "a static initialiser hangs");
}

static void an_initialiser_that_crashes_is_told_apart(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "init_crashes", only_ok);
    /* A sanitizer turns the signal into its own end. */
    expect_no_start(&fx, STATUS_FUNCTION_START_FAILED,
                    FX_SANITIZED ? "while a static initialiser ran" : "killed by SIGSEGV");
}

static void an_initialiser_that_exits_is_quoted(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open(&fx, "init_exits", only_ok);
    expect_no_start(&fx, STATUS_FUNCTION_START_FAILED, "exit code 7; its last line: no licence");
}

static void without_sandbox(struct pool_spec *spec)
{
    spec->sandbox.profile = SANDBOX_NONE; /* within it, the daemon cannot even be named */
}

static void an_initialiser_that_names_the_daemon_as_its_worker_is_found_out(void **state)
{
    (void)state;
    struct fx_pool fx;
    fx_pool_open_spec(&fx, "init_lies", only_ok, without_sandbox);
    struct fx_run run;
    fx_do(&fx, &run, "ok", "");
    assert_int_equal(run.status, STATUS_FUNCTION_START_FAILED);
    fx_expect_text(&run, "not its child");
    fx_pool_close(&fx); /* and we are still alive */
}

static void a_probe_of_good_code_succeeds(void **state)
{
    (void)state;
    struct fx_pool fx;
    char text[1024];
    fx_pool_open(&fx, "faults", fx_faults);
    assert_int_equal(fx_probe(&fx, text), STATUS_OK);
    fx_pool_close(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_function_is_named),
        cmocka_unit_test(an_undefined_symbol_is_named),
        cmocka_unit_test(another_abi_is_refused),
        cmocka_unit_test(an_object_without_an_abi_is_refused),
        cmocka_unit_test(another_architecture_is_named),
        cmocka_unit_test(a_text_is_no_shared_object),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(an_initialiser_that_hangs_is_told_apart),
        cmocka_unit_test(an_initialiser_that_crashes_is_told_apart),
        cmocka_unit_test(an_initialiser_that_exits_is_quoted),
        cmocka_unit_test(an_initialiser_that_names_the_daemon_as_its_worker_is_found_out),
        cmocka_unit_test(a_probe_of_good_code_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
