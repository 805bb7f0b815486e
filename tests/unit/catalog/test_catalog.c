/* test_catalog.c - changes of the catalog, its records, and hostile bytes in their place. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "runtime/base/prng.h"
#include "runtime/catalog/catalog_record.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/catalog/fixture.h"

static const struct catalog_app *app_of(struct catalog *catalog, const char *name)
{
    return catalog_app_find(catalog, slice_cstr(name));
}

static void apps_are_found_by_name_and_listed_in_order(void **state)
{
    struct catalog *catalog = catalog_create();
    (void)fx_deploy(catalog, "shop", 1);
    (void)fx_deploy(catalog, "bank", 1);
    (void)fx_deploy(catalog, "mail", 1);
    assert_int_equal(catalog_app_count(catalog), 3);
    assert_string_equal(catalog_app_at(catalog, 0)->name, "bank");
    assert_string_equal(catalog_app_at(catalog, 2)->name, "shop");
    assert_non_null(app_of(catalog, "mail"));
    assert_null(app_of(catalog, "mai"));
    catalog_destroy(catalog);
}

static void the_newest_ten_versions_are_kept(void **state)
{
    struct catalog *catalog = catalog_create();
    for (unsigned i = 0; i < 13; i++) (void)fx_deploy(catalog, "bank", i);
    const struct catalog_app *bank = app_of(catalog, "bank");
    assert_int_equal(bank->version_count, 10);
    assert_int_equal(bank->versions[0]->deployed_ms, 1003);
    assert_int_equal(catalog_app_current(bank)->deployed_ms, 1012);
    assert_int_equal(catalog_version_before(bank)->deployed_ms, 1011);
    struct artifact_id gone = artifact_id_of(slice_make(&(unsigned){2}, sizeof(unsigned)));
    struct artifact_id kept = artifact_id_of(slice_make(&(unsigned){3}, sizeof(unsigned)));
    assert_false(catalog_needs(catalog, &gone));
    assert_true(catalog_needs(catalog, &kept));
    catalog_destroy(catalog);
}

static void deploying_an_old_content_again_makes_it_the_newest(void **state)
{
    struct catalog *catalog = catalog_create();
    (void)fx_deploy(catalog, "bank", 1);
    (void)fx_deploy(catalog, "bank", 2);
    (void)fx_deploy(catalog, "bank", 1);
    const struct catalog_app *bank = app_of(catalog, "bank");
    assert_int_equal(bank->version_count, 2);
    assert_int_equal(catalog_app_current(bank)->deployed_ms, 1001);
    assert_int_equal(catalog_version_before(bank)->deployed_ms, 1002);
    catalog_destroy(catalog);
}

static void an_older_version_becomes_current_again(void **state)
{
    struct catalog *catalog = catalog_create();
    (void)fx_deploy(catalog, "bank", 1);
    (void)fx_deploy(catalog, "bank", 2);
    struct catalog_version *old = catalog_version_before(app_of(catalog, "bank"));
    assert_ptr_equal(catalog_version_find(app_of(catalog, "bank"), slice_make(old->id, 6)), old);
    struct catalog_change change;
    assert_int_equal(catalog_plan_current(catalog, SLICE("bank"), old, &change, NULL), STATUS_OK);
    assert_ptr_not_equal(catalog_app_current(app_of(catalog, "bank")), old); /* planned, not done */
    catalog_apply(catalog, &change);
    assert_ptr_equal(catalog_app_current(app_of(catalog, "bank")), old);
    assert_null(catalog_version_before(app_of(catalog, "bank")));
    assert_null(catalog_version_find(app_of(catalog, "bank"), SLICE("")));
    assert_null(catalog_version_find(app_of(catalog, "bank"), SLICE("zz")));
    catalog_destroy(catalog);
}

static void a_dropped_change_changes_nothing(void **state)
{
    struct catalog *catalog = catalog_create();
    (void)fx_deploy(catalog, "bank", 1);
    struct catalog_change change;
    assert_int_equal(catalog_plan_remove(catalog, SLICE("bank"), &change, NULL), STATUS_OK);
    catalog_change_drop(&change);
    assert_non_null(app_of(catalog, "bank"));
    assert_int_equal(catalog_plan_remove(catalog, SLICE("bank"), &change, NULL), STATUS_OK);
    catalog_apply(catalog, &change);
    assert_null(app_of(catalog, "bank"));
    struct err err = ERR_INIT;
    assert_int_equal(catalog_plan_remove(catalog, SLICE("bank"), &change, &err), STATUS_APP_NOT_FOUND);
    assert_string_equal(err.text, "there is no app named `bank`");
    catalog_destroy(catalog);
}

static void a_version_outlives_its_app_while_someone_holds_it(void **state)
{
    struct catalog *catalog = catalog_create();
    (void)fx_deploy(catalog, "bank", 1);
    struct catalog_version *held = catalog_version_ref(catalog_app_current(app_of(catalog, "bank")));
    catalog_destroy(catalog);
    assert_string_equal(held->manifest->app, "bank");
    catalog_version_unref(held);
}

static void refused_with(struct catalog *catalog, struct catalog_version *version, const char *words)
{
    struct catalog_change change;
    struct err err = ERR_INIT;
    assert_int_equal(catalog_plan_deploy(catalog, version, &change, &err), STATUS_ALREADY_EXISTS);
    assert_string_equal(err.text, words);
    catalog_version_unref(version);
}

static void two_apps_cannot_have_the_same_route(void **state)
{
    struct catalog *catalog = catalog_create();
    struct catalog_version *shop = fx_version("shop", 1, "/carts/{entity}");
    struct catalog_change change;
    assert_int_equal(catalog_plan_deploy(catalog, shop, &change, NULL), STATUS_OK);
    catalog_apply(catalog, &change);
    catalog_version_unref(shop);
    refused_with(catalog, fx_version("mall", 1, "/carts/{id}"),
                 "route `GET /carts/{id}` of app `mall` belongs to app `shop` already");
    refused_with(catalog, fx_version("mall", 1, "/shop/x"),
                 "route `GET /shop/x` of app `mall` lies below `/shop`, which is app `shop`");
    refused_with(catalog, fx_version("carts", 1, NULL),
                 "route `GET /carts/{entity}` of app `shop` lies below `/carts`, which would be app `carts`");
    /* Its own are replaced with it. */
    struct catalog_version *next = fx_version("shop", 2, "/carts/{entity}");
    assert_int_equal(catalog_plan_deploy(catalog, next, &change, NULL), STATUS_OK);
    catalog_change_drop(&change);
    catalog_version_unref(next);
    catalog_destroy(catalog);
}

/* ---- records ---- */

/* The record of an app with three versions of which the second is current. */
static void record_make(struct buf *record)
{
    struct catalog_app *app = catalog_app_create(SLICE("bank"));
    for (unsigned i = 0; i < 3; i++)
        app->versions[app->version_count++] = fx_version("bank", i, i == 2 ? "/b/{entity}" : NULL);
    app->current = 1;
    catalog_record_encode(record, app);
    catalog_app_destroy(app);
}

static void a_record_reads_back_as_it_was_written(void **state)
{
    struct buf record = BUF_INIT, again = BUF_INIT;
    record_make(&record);
    struct catalog_app *app;
    assert_int_equal(catalog_record_decode(SLICE("bank"), buf_view(&record), &app, NULL), STATUS_OK);
    assert_string_equal(app->name, "bank");
    assert_int_equal(app->version_count, 3);
    assert_int_equal(app->current, 1);
    assert_int_equal(app->versions[2]->deployed_ms, 1002);
    assert_string_equal(app->versions[2]->manifest->routes[0].path, "/b/{entity}");
    catalog_record_encode(&again, app);
    assert_true(slice_equal(buf_view(&record), buf_view(&again)));
    catalog_app_destroy(app);
    buf_fini(&record);
    buf_fini(&again);
}

static void a_change_writes_the_one_record_of_its_app(void **state)
{
    struct catalog *catalog = catalog_create();
    struct catalog_version *version = fx_version("bank", 1, NULL);
    struct catalog_change change;
    assert_int_equal(catalog_plan_deploy(catalog, version, &change, NULL), STATUS_OK);
    size_t offset = 0;
    struct write_entry entry;
    assert_true(write_set_next(buf_view(&change.writes), &offset, &entry));
    struct slice name;
    assert_int_equal(entry.op, WRITE_PUT);
    assert_true(catalog_record_key_split(entry.key, &name));
    assert_true(slice_is(name, "bank"));
    struct catalog_app *app;
    assert_int_equal(catalog_record_decode(name, entry.value, &app, NULL), STATUS_OK);
    catalog_app_destroy(app);
    assert_false(write_set_next(buf_view(&change.writes), &offset, &entry));
    catalog_change_drop(&change);
    catalog_version_unref(version);
    catalog_destroy(catalog);
}

static void damage_is_refused_with_the_name_of_the_app(void **state)
{
    struct catalog_app *app;
    struct err err = ERR_INIT;
    assert_int_equal(catalog_record_decode(SLICE("bank"), SLICE("\xc1"), &app, &err), STATUS_STORE_CORRUPT);
    assert_string_equal(err.text, "catalog record of app `bank`: is not msgpack");
    assert_int_equal(catalog_record_decode(SLICE("bank"), SLICE("\x93\x01\x00\x90"), &app, &err),
                     STATUS_STORE_CORRUPT);
    assert_string_equal(err.text,
                        "catalog record of app `bank`: has 0 versions, of which number 0 is current");
    assert_int_equal(catalog_record_decode(SLICE("../x"), SLICE("\x90"), &app, &err), STATUS_STORE_CORRUPT);
    assert_string_equal(err.text, "catalog record of app `../x`: is no name");
    assert_int_equal(catalog_record_decode(SLICE("bank"), SLICE("\x93\x02\x00\x90"), &app, &err),
                     STATUS_STORE_FORMAT);
    assert_string_equal(err.text, "catalog record of app `bank`: has format 2, this program knows 1");
    struct buf record = BUF_INIT;
    record_make(&record);
    assert_int_equal(catalog_record_decode(SLICE("shop"), buf_view(&record), &app, &err),
                     STATUS_STORE_CORRUPT);
    assert_non_null(strstr(err.text, "catalog record of app `shop`: version "));
    assert_non_null(strstr(err.text, " is of another app"));
    buf_append_byte(&record, 0);
    assert_int_equal(catalog_record_decode(SLICE("bank"), buf_view(&record), &app, &err),
                     STATUS_STORE_CORRUPT);
    buf_fini(&record);
}

static void hostile_bytes_never_do_harm(void **state)
{
    struct buf record = BUF_INIT;
    record_make(&record);
    struct prng prng;
    prng_init(&prng, 11);
    for (size_t round = 0; round < 3000; round++)
    {
        size_t size = prng_chance(&prng, 1, 2) ? record.size : prng_below(&prng, record.size);
        uint8_t *bytes = malloc(size + 1);
        memcpy(bytes, record.data, size);
        for (size_t i = prng_below(&prng, 4); i > 0 && size > 0; i--)
            bytes[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        struct catalog_app *app = NULL;
        if (catalog_record_decode(SLICE("bank"), slice_make(bytes, size), &app, NULL) == STATUS_OK)
            catalog_app_destroy(app);
        free(bytes);
    }
    buf_fini(&record);
}

static void ids_depend_on_every_byte_and_its_place(void **state)
{
    char a[CATALOG_VERSION_ID_BYTES + 1], b[CATALOG_VERSION_ID_BYTES + 1];
    catalog_version_id(a, SLICE("ab"), SLICE("c"));
    catalog_version_id(b, SLICE("a"), SLICE("bc"));
    assert_string_not_equal(a, b);
    catalog_version_id(b, SLICE("ab"), SLICE("c"));
    assert_string_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apps_are_found_by_name_and_listed_in_order),
        cmocka_unit_test(the_newest_ten_versions_are_kept),
        cmocka_unit_test(deploying_an_old_content_again_makes_it_the_newest),
        cmocka_unit_test(an_older_version_becomes_current_again),
        cmocka_unit_test(a_dropped_change_changes_nothing),
        cmocka_unit_test(a_version_outlives_its_app_while_someone_holds_it),
        cmocka_unit_test(two_apps_cannot_have_the_same_route),
        cmocka_unit_test(a_record_reads_back_as_it_was_written),
        cmocka_unit_test(a_change_writes_the_one_record_of_its_app),
        cmocka_unit_test(damage_is_refused_with_the_name_of_the_app),
        cmocka_unit_test(hostile_bytes_never_do_harm),
        cmocka_unit_test(ids_depend_on_every_byte_and_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
