/* test_state_dir.c - directories of apps are made, counted and deleted on a real disk. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/node/state_dir.h"

/* A directory of the test's own and <it>/apps, which is not there yet. */
struct fx {
    char dir[64];
    char apps[80];
};

static void setup(struct fx *fx)
{
    snprintf(fx->dir, sizeof fx->dir, "/tmp/stead-state-dir-XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    snprintf(fx->apps, sizeof fx->apps, "%s/apps", fx->dir);
}

static void teardown(struct fx *fx)
{
    struct err err = ERR_INIT;
    assert_int_equal(state_dir_delete(fx->dir, "apps", &err), STATUS_OK);
    assert_int_equal(rmdir(fx->dir), 0);
}

/* What a store does. */
static void make_partition(const struct fx *fx, const char *app, uint32_t partition)
{
    struct buf path = BUF_INIT;
    state_dir_path(&path, fx->apps, app, partition);
    assert_int_equal(mkdir(buf_cstr(&path), 0700), 0);
    buf_append_cstr(&path, "/data");
    FILE *file = fopen(buf_cstr(&path), "w");
    assert_non_null(file);
    fclose(file);
    buf_fini(&path);
}

static void a_directory_is_made_once_and_is_the_owners_alone(void **state)
{
    struct fx fx;
    struct err err = ERR_INIT;
    (void)state;
    setup(&fx);
    for (int times = 0; times < 2; times++)
        assert_int_equal(state_dir_make(fx.apps, "bank", 2, &err), STATUS_OK);
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/bank", fx.apps);
    struct stat there;
    assert_int_equal(stat(buf_cstr(&path), &there), 0);
    assert_int_equal(there.st_mode & 0777, 0700);
    buf_reset(&path);
    state_dir_path(&path, "/data/apps", "bank", 3);
    assert_string_equal(buf_cstr(&path), "/data/apps/bank/p3");
    buf_fini(&path);
    teardown(&fx);
}

static void a_state_of_another_number_of_partitions_is_refused_with_the_way_to_change_it(void **state)
{
    struct fx fx;
    struct err err = ERR_INIT;
    (void)state;
    setup(&fx);
    assert_int_equal(state_dir_make(fx.apps, "bank", 3, &err), STATUS_OK);
    make_partition(&fx, "bank", 0);
    make_partition(&fx, "bank", 1);
    make_partition(&fx, "bank", 2);
    assert_int_equal(state_dir_make(fx.apps, "bank", 3, &err), STATUS_OK);
    assert_int_equal(state_dir_make(fx.apps, "bank", 2, &err), STATUS_MANIFEST_INVALID);
    assert_int_equal(state_dir_make(fx.apps, "bank", 4, &err), STATUS_MANIFEST_INVALID);
    assert_non_null(strstr(err_text(&err), "the state of app 'bank' has 3, the manifest says 4"));
    assert_non_null(strstr(err_text(&err), "stead state export"));
    assert_int_equal(state_dir_check("bank", 0, 3, &err), STATUS_OK);
    assert_int_equal(state_dir_check("bank", 1, 2, &err), STATUS_MANIFEST_INVALID);
    teardown(&fx);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    struct fx fx;
    struct err err = ERR_INIT;
    (void)state;
    setup(&fx);
    char below[96];
    snprintf(below, sizeof below, "%s/none/apps", fx.dir);
    assert_int_equal(state_dir_make(below, "bank", 1, &err), STATUS_STORE_UNWRITABLE);
    assert_non_null(strstr(err_text(&err), below));
    teardown(&fx);
}

static void deleting_takes_what_is_below_and_nothing_beside_it(void **state)
{
    struct fx fx;
    struct err err = ERR_INIT;
    (void)state;
    setup(&fx);
    assert_int_equal(state_dir_make(fx.apps, "bank", 2, &err), STATUS_OK);
    assert_int_equal(state_dir_make(fx.apps, "shop", 1, &err), STATUS_OK);
    make_partition(&fx, "bank", 0);
    make_partition(&fx, "bank", 1);
    make_partition(&fx, "shop", 0);
    assert_int_equal(state_dir_delete(fx.apps, "bank", &err), STATUS_OK);
    assert_int_equal(state_dir_make(fx.apps, "bank", 1, &err), STATUS_OK); /* of it nothing is left */
    assert_int_equal(state_dir_make(fx.apps, "shop", 2, &err),
                     STATUS_MANIFEST_INVALID); /* that is still there */
    assert_int_equal(state_dir_delete(fx.apps, "none", &err), STATUS_OK);
    teardown(&fx);
}

/* A plain file has nothing below it. */
static void a_deletion_that_fails_says_what_could_not_be_deleted(void **state)
{
    struct fx fx;
    struct err err = ERR_INIT;
    (void)state;
    setup(&fx);
    assert_int_equal(state_dir_make(fx.apps, "bank", 1, &err), STATUS_OK);
    make_partition(&fx, "bank", 0);
    assert_int_equal(state_dir_delete(fx.apps, "bank/p0/data", &err), STATUS_IO);
    assert_non_null(strstr(err_text(&err), "bank/p0/data"));
    teardown(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_is_made_once_and_is_the_owners_alone),
        cmocka_unit_test(a_state_of_another_number_of_partitions_is_refused_with_the_way_to_change_it),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_named),
        cmocka_unit_test(deleting_takes_what_is_below_and_nothing_beside_it),
        cmocka_unit_test(a_deletion_that_fails_says_what_could_not_be_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
