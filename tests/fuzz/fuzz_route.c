/* fuzz_route.c - patterns of manifests and paths of strangers: a match always keeps its promises. */
// SPDX-License-Identifier: Apache-2.0
//
// An input is lines: a path, then patterns.
#include <stdint.h>
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/gateway/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice line_take(struct slice *rest)
{
    const char *end = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
    size_t size = end ? (size_t)(end - (const char *)rest->data) : rest->size;
    struct slice line = slice_make(rest->data, size);
    size_t used = size + (end ? 1 : 0);
    *rest = slice_make((const char *)rest->data + used, rest->size - used);
    return line;
}

static bool is_inside(const struct route_match *match, struct slice value)
{
    const char *start = value.data;
    return start >= match->bytes && start + value.size <= match->bytes + sizeof match->bytes;
}

static void check_match(const struct routes *routes, const char *method, struct slice path)
{
    struct route_match match;
    struct err err = ERR_INIT;
    enum status status = routes_match(routes, slice_cstr(method), path, &match, &err);
    if (status != STATUS_OK)
    {
        CHECK(err.text[0]);
        CHECK((status == STATUS_METHOD_NOT_ALLOWED) == (match.allow[0] != 0));
        return;
    }
    CHECK(match.app && match.function && match.param_count <= ROUTE_PARAMS_MAX);
    CHECK(match.entity.size <= BOUND_ENTITY_BYTES_MAX);
    CHECK(match.entity.size == 0 ||
          (is_inside(&match, match.entity) && !memchr(match.entity.data, 0, match.entity.size)));
    for (size_t i = 0; i < match.param_count; i++)
        CHECK(match.params[i].value.size > 0 && is_inside(&match, match.params[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "POST", "*"};
    struct slice rest = slice_make(data, size);
    struct slice path = line_take(&rest);
    struct routes *routes = routes_create();
    routes_add_app(routes, "other");
    routes_add_function(routes, "app", "fn");
    for (size_t i = 0; rest.size && i < 64; i++)
    {
        char *pattern = mem_cstr(line_take(&rest));
        const struct route_spec spec = {i % 2 ? "app" : "other", "fn", methods[i % 3], pattern, false, NULL};
        struct err err = ERR_INIT;
        enum status conflict = routes_conflict(
            routes, "third", &(struct route_spec){"third", "fn", "PUT", pattern, false, NULL}, 1, NULL);
        enum status status = routes_add(routes, &spec, &err);
        CHECK(conflict != STATUS_OK || status != STATUS_MANIFEST_INVALID);
        CHECK((status == STATUS_OK) == (err.text[0] == 0));
        free(pattern);
    }
    check_match(routes, "GET", path);
    check_match(routes, "HEAD", path);
    check_match(routes, "DELETE", path);
    routes_destroy(routes);
    return 0;
}
