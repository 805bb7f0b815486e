/* test_config.c - what the settings accept and what they answer to mistakes. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/node/config.h"

static void flags_and_files_set_what_they_name_and_the_last_one_wins(void **state)
{
    (void)state;
    char path[] = "/tmp/stead-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    const char *text = "# a comment\nlisten: 127.0.0.1:9\n\nhttp.body_bytes_max: 77 # small\n";
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct config config;
    config_init(&config);
    char *argv[] = {"steadd",   "--data=/x", "--config",           path,
                    "--listen", "[::1]:1",   "--unsafe-unchecked", NULL};
    bool help = false;
    struct err err = ERR_INIT;
    assert_int_equal(config_parse(&config, 7, argv, &help, &err), STATUS_OK);
    assert_string_equal(config.data, "/x");
    assert_string_equal(config.listen, "[::1]:1");
    assert_int_equal(config.http_body_bytes_max, 77);
    assert_true(config.unsafe_unchecked);
    assert_false(help);
    unlink(path);
}

static void each_mistake_is_named_with_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *words;
    } rows[] = {
        {"liste", "x", "there is no setting 'liste'; `steadd --help` lists them"},
        {"drain_timeout_ms", "soon", "drain_timeout_ms: expected a number from 0 to 3600000, got 'soon'"},
        {"drain_timeout_ms", "-1", "drain_timeout_ms: expected a number from 0 to 3600000, got '-1'"},
        {"drain_timeout_ms", "3600001",
         "drain_timeout_ms: expected a number from 0 to 3600000, got '3600001'"},
        {"unsafe-unchecked", "maybe", "unsafe-unchecked: expected true or false, got 'maybe'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
        struct config config;
        config_init(&config);
        struct err err = ERR_INIT;
        assert_int_equal(config_set(&config, rows[i].name, rows[i].value, &err), STATUS_CONFIG_INVALID);
        assert_string_equal(err_text(&err), rows[i].words);
    }
}

static void a_mistake_in_a_file_is_named_with_file_and_line(void **state)
{
    (void)state;
    char path[] = "/tmp/stead-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\nnonsense\n", 10), 10);
    close(fd);
    struct config config;
    config_init(&config);
    struct err err = ERR_INIT;
    assert_int_equal(config_read(&config, path, &err), STATUS_CONFIG_INVALID);
    char want[128];
    snprintf(want, sizeof want, "%s:2: expected `name: value`", path);
    assert_string_equal(err_text(&err), want);
    unlink(path);
    assert_int_equal(config_read(&config, path, &err), STATUS_CONFIG_INVALID);
    snprintf(want, sizeof want, "config file %s: No such file or directory", path);
    assert_string_equal(err_text(&err), want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_and_files_set_what_they_name_and_the_last_one_wins),
        cmocka_unit_test(each_mistake_is_named_with_what_is_allowed),
        cmocka_unit_test(a_mistake_in_a_file_is_named_with_file_and_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
