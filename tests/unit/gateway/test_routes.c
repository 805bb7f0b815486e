/* test_routes.c - which function a method and a path mean, and what a deployment may not take. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "runtime/base/buf.h"
#include "runtime/gateway/routes.h"

static const struct route_spec shop_routes[] = {
    {"shop", "show", "GET", "/carts/{entity}", false, NULL},
    {"shop", "add", "POST", "/carts/{entity}/items/{item}", false, NULL},
    {"shop", "list", "GET", "/carts/all", false, NULL},
    {"shop", "files", "*", "/files/{path...}", false, NULL},
    {"shop", "upload", "PUT", "/files/{path...}", false, NULL},
    {"shop", "home", "GET", "/", false, NULL},
    {"shop", "short", "GET", "/{slug}", false, NULL},
    {"shop", "deep", "GET", "/tree/{entity...}", false, NULL},
};

static struct routes *table(void)
{
    struct routes *routes = routes_create();
    routes_add_app(routes, "shop");
    routes_add_function(routes, "shop", "show");
    routes_add_app(routes, "empty");
    routes_add_function(routes, "bank", "transfer");
    for (size_t i = 0; i < sizeof shop_routes / sizeof *shop_routes; i++)
        assert_int_equal(routes_add(routes, &shop_routes[i], NULL), STATUS_OK);
    return routes;
}

struct match_case {
    const char *method;
    const char *path;
    const char *expected; /* "app.function entity name=value ..." or "status: words" */
};

static void match_print(const struct routes *routes, const char *method, struct slice path, struct buf *out)
{
    struct route_match match;
    struct err err = ERR_INIT;
    enum status status = routes_match(routes, slice_cstr(method), path, &match, &err);
    buf_reset(out);
    if (status != STATUS_OK)
    {
        buf_printf(out, "%s: %s", status_code(status), err.text);
        if (match.allow[0]) buf_printf(out, " [%s]", match.allow);
        return;
    }
    buf_printf(out, "%s.%s", match.app, match.function);
    if (match.entity.size) buf_printf(out, " %.*s", SLICE_FMT(match.entity));
    for (size_t i = 0; i < match.param_count; i++)
        buf_printf(out, " %.*s=%.*s", SLICE_FMT(match.params[i].name), SLICE_FMT(match.params[i].value));
}

static void each_path_leads_where_the_table_says(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        {"POST", "/bank/transfer", "bank.transfer"},
        {"BREW", "/bank/transfer", "bank.transfer"},
        {"POST", "/bank/transfer/alice", "bank.transfer alice"},
        {"POST", "/bank/transfer/a/b/c", "bank.transfer a/b/c"},
        {"POST", "/bank/transfer/a%2Fb%20c", "bank.transfer a/b c"},
        {"POST", "/b%61nk/transfer", "bank.transfer"},
        {"POST", "/bank/transfer/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18",
         "bank.transfer 1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18"},
        {"POST", "/bank/transfer/..", "bank.transfer .."},
        {"GET", "/carts/42", "shop.show 42"},
        {"HEAD", "/carts/42", "shop.show 42"},
        {"GET", "/carts/all", "shop.list"},
        {"GET", "/carts/a%2Fb", "shop.show a/b"},
        {"POST", "/carts/42/items/7", "shop.add 42 item=7"},
        {"GET", "/files/a/b", "shop.files path=a/b"},
        {"PUT", "/files/a/b", "shop.upload path=a/b"},
        {"GET", "/tree/a/b", "shop.deep a/b"},
        {"GET", "/tree/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18",
         "shop.deep 1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18"},
        {"GET", "/", "shop.home"},
        {"GET", "/abc", "shop.short slug=abc"},
        {"GET", "/shop/show/1", "shop.show 1"},
        {"DELETE", "/carts/42", "method_not_allowed: this path takes GET, HEAD, not DELETE [GET, HEAD]"},
        {"POST", "/carts/all", "method_not_allowed: this path takes GET, HEAD, not POST [GET, HEAD]"},
        {"GET", "/carts/42/items/7", "method_not_allowed: this path takes POST, not GET [POST]"},
        {"GET", "/nowhere/fn", "app_not_found: no app named nowhere is deployed"},
        {"GET", "/bank/nothing", "function_not_found: app bank has no function named nothing"},
        {"POST", "/bank", "method_not_allowed: this path takes GET, HEAD, not POST [GET, HEAD]"},
        {"GET", "/bank/", "route_not_found: the path names app bank but none of its functions"},
        {"GET", "/empty/x", "function_not_found: app empty has no function named x"},
        {"GET", "/carts/42/", "app_not_found: no app named carts is deployed"},
        {"GET", "/carts/", "route_not_found: no route matches this path"},
        {"POST", "/bank/transfer/",
         "entity_invalid: the entity key is empty; leave out the last '/' for none"},
        {"POST", "/bank/transfer/a%00b", "entity_invalid: the entity key has a zero byte"},
        {"GET", "/carts/%00", "entity_invalid: the entity key has a zero byte"},
        {"POST", "/bank/transfer/%4",
         "malformed_request: the path has a '%' without two hex digits behind it"},
        {"POST", "/bank/transfer/%zz",
         "malformed_request: the path has a '%' without two hex digits behind it"},
        {"OPTIONS", "*", "route_not_found: no route matches this path"},
        {"GET", "", "route_not_found: no route matches this path"},
        {"GET", "//", "route_not_found: no route matches this path"},
        {"GET", "//fn", "route_not_found: no route matches this path"},
    };
    struct routes *routes = table();
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        match_print(routes, cases[i].method, slice_cstr(cases[i].path), &text);
        assert_string_equal(buf_cstr(&text), cases[i].expected);
    }
    buf_fini(&text);
    routes_destroy(routes);
}

static void an_entity_may_have_400_bytes_and_not_one_more(void **state)
{
    (void)state;
    struct routes *routes = table();
    struct buf path = BUF_INIT, text = BUF_INIT;
    buf_append_cstr(&path, "/bank/transfer/");
    for (int i = 0; i < 400; i++) buf_append_cstr(&path, "%61");
    match_print(routes, "GET", buf_view(&path), &text);
    assert_int_equal(strlen(buf_cstr(&text)), strlen("bank.transfer ") + 400);
    buf_append_byte(&path, 'a');
    match_print(routes, "GET", buf_view(&path), &text);
    assert_string_equal(buf_cstr(&text),
                        "entity_invalid: the entity key has 401 bytes, at most 400 are allowed");
    buf_fini(&path);
    buf_fini(&text);
    routes_destroy(routes);
}

static void a_pattern_that_is_none_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"carts", "it does not begin with '/'"},
        {"/a//b", "it has an empty segment"},
        {"/a/", "it ends with '/'"},
        {"/a/{x", "a '{' begins a segment that does not end with '}'"},
        {"/a/x{y}", "a literal segment has a blank, a control byte or one of {}%?#\\"},
        {"/a/b c", "a literal segment has a blank, a control byte or one of {}%?#\\"},
        {"/a/%41", "a literal segment has a blank, a control byte or one of {}%?#\\"},
        {"/a/{X}", "a parameter's name is of a-z, 0-9 and '_', at most 63 bytes"},
        {"/a/{}", "a parameter's name is of a-z, 0-9 and '_', at most 63 bytes"},
        {"/a/{...}", "a parameter's name is of a-z, 0-9 and '_', at most 63 bytes"},
        {"/a/{x}/{x}", "two parameters have the same name"},
        {"/a/{x...}/b", "{name...} takes the rest of the path and must come last"},
        {"/{x}/b", "a route of more than one segment must begin with a literal one"},
        {"/{x...}", "a route of more than one segment must begin with a literal one"},
        {"/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h", "it has more than 16 segments"},
        {"/a/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}", "it has more than 8 parameters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        struct routes *routes = routes_create();
        struct err err = ERR_INIT;
        const struct route_spec spec = {"app", "fn", "GET", cases[i][0], false, NULL};
        assert_int_equal(routes_add(routes, &spec, &err), STATUS_MANIFEST_INVALID);
        char expected[200];
        snprintf(expected, sizeof expected, "route \"%s\": %s", cases[i][0], cases[i][1]);
        assert_string_equal(err.text, expected);
        routes_destroy(routes);
    }
    struct routes *routes = routes_create();
    struct err err = ERR_INIT;
    assert_int_equal(routes_add(routes, &(struct route_spec){"app", "fn", "get", "/a", false, NULL}, &err),
                     STATUS_MANIFEST_INVALID);
    assert_string_equal(err.text, "route \"/a\": \"get\" is not a method (GET, POST, ... or *)");
    routes_destroy(routes);
}

static void check_conflict(const struct routes *routes, const char *app, const char *method,
                           const char *pattern, enum status expected, const char *words)
{
    struct err err = ERR_INIT;
    const struct route_spec spec = {app, "fn", method, pattern, false, NULL};
    assert_int_equal(routes_conflict(routes, app, &spec, 1, &err), expected);
    assert_string_equal(err.text, words);
}

static void a_deployment_cannot_take_the_requests_of_another_app(void **state)
{
    (void)state;
    struct routes *routes = table();
    check_conflict(routes, "other", "GET", "/carts/{id}", STATUS_ALREADY_EXISTS,
                   "route GET /carts/{id} of app other is taken: app shop has GET /carts/{entity}");
    check_conflict(routes, "other", "*", "/carts/{id}", STATUS_ALREADY_EXISTS,
                   "route * /carts/{id} of app other is taken: app shop has GET /carts/{entity}");
    check_conflict(routes, "other", "DELETE", "/carts/{id}", STATUS_OK, "");
    check_conflict(routes, "other", "GET", "/carts/{id}/x", STATUS_OK, "");
    check_conflict(routes, "shop", "GET", "/carts/{id}", STATUS_OK, ""); /* its next version */
    check_conflict(routes, "other", "GET", "/bank/{id}", STATUS_ALREADY_EXISTS,
                   "route GET /bank/{id} of app other begins with the name of app bank");
    check_conflict(routes, "bank", "GET", "/bank/{id}", STATUS_OK, "");
    check_conflict(routes, "carts", "GET", "/x", STATUS_ALREADY_EXISTS,
                   "route GET /carts/{entity} of app shop begins with the name of app carts");
    const struct route_spec twice[] = {{"other", "a", "GET", "/p/{x}", false, NULL},
                                       {"other", "b", "GET", "/p/{y}", false, NULL}};
    assert_int_equal(routes_conflict(routes, "other", twice, 2, NULL), STATUS_ALREADY_EXISTS);
    routes_destroy(routes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_leads_where_the_table_says),
        cmocka_unit_test(an_entity_may_have_400_bytes_and_not_one_more),
        cmocka_unit_test(a_pattern_that_is_none_is_refused_with_its_reason),
        cmocka_unit_test(a_deployment_cannot_take_the_requests_of_another_app),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
