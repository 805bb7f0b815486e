/* test_manifest.c - what a manifest means, and the exact words for each mistake in one. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/catalog/manifest.h"

static struct manifest *parsed(const char *text)
{
    struct manifest *manifest = NULL;
    struct err err = ERR_INIT;
    enum status status = manifest_parse(slice_cstr(text), "stead.yaml", &manifest, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(status, STATUS_OK);
    return manifest;
}

static void mounts_and_network_arrive_in_their_places(void **state)
{
    (void)state;
    struct manifest *manifest = parsed("app: a\n"
                                       "code: a.so\n"
                                       "sandbox: network\n"
                                       "network: {allow: ['db.example.com:5432', '[::1]:6379']}\n"
                                       "mounts:\n"
                                       "  - {from: /srv/geo.db, to: /data/geo.db}\n"
                                       "functions: [{name: f}]\n");
    assert_int_equal(manifest->sandbox, SANDBOX_NETWORK);
    assert_int_equal(manifest->network.allow_count, 2);
    assert_string_equal(manifest->network.allow[1], "[::1]:6379");
    assert_int_equal(manifest->mount_count, 1);
    assert_string_equal(manifest->mounts[0].from, "/srv/geo.db");
    assert_string_equal(manifest->mounts[0].to, "/data/geo.db");
    assert_int_equal(manifest->mounts[0].line, 6);
    manifest_destroy(manifest);
}

static void every_field_arrives_in_its_place(void **state)
{
    struct manifest *manifest =
        parsed("app: shop-2\n"
               "code: build/shop.so\n"
               "build: make -s\n"
               "limits: {memory_mb: 512, concurrency: 6, state_bytes_max: 100000}\n"
               "sandbox: none\n"
               "env:\n"
               "  - {name: REGION, value: north}\n"
               "  - {name: _e2, value: ''}\n"
               "functions:\n"
               "  - name: cart\n"
               "    timeout_ms: 2000\n"
               "    memory_mb: 128\n"
               "    durability: relaxed\n"
               "    methods: [GET, POST]\n"
               "    concurrency: 3\n"
               "    cpu_percent: 150\n"
               "    queue: 20\n"
               "    rate: {per_second: 50, burst: 7}\n"
               "    body_bytes_max: 1000\n"
               "    reply_bytes_max: 2000\n"
               "    pool: {min: 1, max: 4, idle_ms: 500}\n"
               "  - name: audit\n"
               "routes:\n"
               "  - {method: GET, path: '/carts/{entity}', function: cart}\n"
               "  - {method: '*', path: '/files/{path...}', function: audit}\n"
               "  - {method: GET, path: '/rooms/{entity}', function: cart, socket: true, origins: "
               "['https://a.example', "
               "'http://localhost:3000']}\n"
               "channels:\n"
               "  - {name: prices-1, from_outside: true, http: read}\n"
               "  - {name: orders, kind: durable, http: append, keep_hours: 0, keep_mb: 7}\n"
               "subscriptions:\n"
               "  - {channel: prices-1, function: audit, keys: eu/, batch: 9, entity: key}\n"
               "  - {channel: orders, function: cart, group: bill-2, from: end, retries: 0}\n");
    assert_string_equal(manifest->app, "shop-2");
    assert_string_equal(manifest->code, "build/shop.so");
    assert_string_equal(manifest->build, "make -s");
    assert_int_equal(manifest->limits.memory_mb, 512);
    assert_int_equal(manifest->limits.concurrency, 6);
    assert_int_equal(manifest->limits.state_bytes_max, 100000);
    assert_int_equal(manifest->sandbox, SANDBOX_NONE);
    assert_int_equal(manifest->env_count, 2);
    assert_string_equal(manifest->env[0].name, "REGION");
    assert_string_equal(manifest->env[0].value, "north");
    assert_string_equal(manifest->env[1].value, "");
    assert_int_equal(manifest->function_count, 2);
    const struct manifest_function *cart = manifest_function_find(manifest, SLICE("cart"));
    assert_int_equal(cart->timeout_ms, 2000);
    assert_int_equal(cart->memory_mb, 128);
    assert_int_equal(cart->durability, DURABILITY_RELAXED);
    assert_int_equal(cart->method_count, 2);
    assert_string_equal(cart->methods[1], "POST");
    assert_int_equal(cart->concurrency, 3);
    assert_int_equal(cart->cpu_percent, 150);
    assert_int_equal(cart->queue, 20);
    assert_int_equal(cart->rate.per_second, 50);
    assert_int_equal(cart->rate.burst, 7);
    assert_int_equal(cart->body_bytes_max, 1000);
    assert_int_equal(cart->reply_bytes_max, 2000);
    assert_int_equal(cart->pool.min, 1);
    assert_int_equal(cart->pool.max, 4);
    assert_int_equal(cart->pool.idle_ms, 500);
    assert_int_equal(manifest->route_count, 3);
    assert_string_equal(manifest->routes[0].path, "/carts/{entity}");
    assert_string_equal(manifest->routes[1].function, "audit");
    assert_false(manifest->routes[1].socket);
    assert_true(manifest->routes[2].socket);
    assert_int_equal(manifest->routes[2].origin_count, 2);
    assert_string_equal(manifest->routes[2].origins[1], "http://localhost:3000");
    assert_int_equal(manifest->channel_count, 2);
    assert_string_equal(manifest->channels[0].name, "prices-1");
    assert_int_equal(manifest->channels[0].kind, CHANNEL_LIVE);
    assert_true(manifest->channels[0].from_outside);
    assert_int_equal(manifest->channels[0].http, CHANNEL_HTTP_READ);
    const struct manifest_channel *orders = manifest_channel_find(manifest, SLICE("orders"));
    assert_int_equal(orders->kind, CHANNEL_DURABLE);
    assert_int_equal(orders->http, CHANNEL_HTTP_APPEND);
    assert_int_equal(orders->keep_hours, 0);
    assert_int_equal(orders->keep_mb, 7);
    assert_int_equal(manifest->subscription_count, 2);
    const struct manifest_subscription *live = &manifest->subscriptions[0], *bill = live + 1;
    assert_string_equal(live->channel, "prices-1");
    assert_string_equal(live->function, "audit");
    assert_string_equal(live->keys, "eu/");
    assert_int_equal(live->batch, 9);
    assert_int_equal(live->entity, SUBSCRIPTION_ENTITY_KEY);
    assert_true(slice_is(manifest_subscription_group(bill), "bill-2"));
    assert_int_equal(bill->from, SUBSCRIPTION_FROM_END);
    assert_int_equal(bill->retries, 0);
    manifest_destroy(manifest);
}

static void what_is_left_out_gets_its_default(void **state)
{
    struct manifest *manifest = parsed("app: a\ncode: a.so\nfunctions: [{name: f}]\n");
    const struct manifest_function *f = &manifest->functions[0];
    assert_null(manifest->build);
    assert_int_equal(manifest->sandbox, SANDBOX_STRICT);
    assert_int_equal(manifest->env_count, 0);
    assert_int_equal(f->timeout_ms, 10000);
    assert_int_equal(f->memory_mb, 64);
    assert_int_equal(f->durability, DURABILITY_DURABLE);
    assert_int_equal(f->method_count, 0);
    assert_int_equal(f->concurrency, 64);
    assert_int_equal(f->queue, 1000);
    assert_int_equal(f->pool.min, 0);
    assert_int_equal(f->pool.max, 8);
    assert_int_equal(f->pool.idle_ms, 60000);
    assert_int_equal(manifest->route_count, 0);
    assert_null(manifest_function_find(manifest, SLICE("g")));
    manifest_destroy(manifest);
}

static void channels_and_subscriptions_get_their_defaults_by_kind(void **state)
{
    struct manifest *manifest =
        parsed("app: a\ncode: a.so\nfunctions: [{name: f}]\n"
               "channels: [{name: l}, {name: d, kind: durable}]\n"
               "subscriptions: [{channel: l, function: f}, {channel: d, function: f}]\n");
    assert_int_equal(manifest->channels[0].kind, CHANNEL_LIVE);
    assert_false(manifest->channels[0].from_outside);
    assert_int_equal(manifest->channels[1].http, CHANNEL_HTTP_NONE);
    assert_int_equal(manifest->channels[1].keep_hours, 168);
    assert_int_equal(manifest->channels[1].keep_mb, 1024);
    const struct manifest_subscription *live = &manifest->subscriptions[0], *durable = live + 1;
    assert_null(live->keys);
    assert_int_equal(live->batch, 1);
    assert_int_equal(live->entity, SUBSCRIPTION_ENTITY_NONE);
    assert_int_equal(durable->entity, SUBSCRIPTION_ENTITY_KEY);
    assert_int_equal(durable->from, SUBSCRIPTION_FROM_START);
    assert_int_equal(durable->retries, 8);
    assert_true(slice_is(manifest_subscription_group(durable), "f"));
    assert_null(manifest_channel_find(manifest, SLICE("x")));
    manifest_destroy(manifest);
}

static void a_large_pool_min_raises_the_default_of_max(void **state)
{
    struct manifest *manifest = parsed("app: a\ncode: a.so\nfunctions: [{name: f, pool: {min: 20}}]\n");
    assert_int_equal(manifest->functions[0].pool.max, 20);
    manifest_destroy(manifest);
}

#define HEAD "app: a\ncode: a.so\n"
#define FUNCTION HEAD "functions:\n  - name: f\n"
#define ROUTE(path) FUNCTION "routes:\n  - {method: GET, path: '" path "', function: f}\n"
#define SOCKET(origin) \
    FUNCTION "routes:\n  - {method: GET, path: /x, function: f, socket: true, origins: ['*', " origin "]}\n"
#define AT_ORIGIN \
    "stead.yaml:6: routes[0].origins[1]: expected `https://HOST`, `http://HOST:PORT` or `*`, found "
#define CHANNELS FUNCTION "channels: [{name: l}, {name: d, kind: durable}]\nsubscriptions:\n"
#define AT_SUBSCRIPTION "stead.yaml:7: subscriptions[0]."
#define AT_ROUTE "stead.yaml:6: routes[0].path: "

static const struct {
    const char *text;
    const char *words;
} mistakes[] = {
    /* Not YAML, or not what we take of it. */
    {"", "stead.yaml:1: is empty"},
    {"# nothing\n", "stead.yaml:1: is empty"},
    {"app: 'x\n", "stead.yaml:2: is not YAML: found unexpected end of stream while scanning a quoted scalar"},
    {"app: x\n\tcode: y\n", "stead.yaml:2: is not YAML: found a tab character that violates indentation "
                            "while scanning a plain scalar"},
    {"app: a\ncode: \xff\xfe\n", "stead.yaml:2: is not YAML: invalid leading UTF-8 octet"},
    {"- app\n", "stead.yaml:1: expected a mapping, found a list"},
    {"app\n", "stead.yaml:1: expected a mapping, found `app`"},
    {"app: &x a\ncode: *x\n", "stead.yaml:1: anchors and aliases are not supported"},
    {FUNCTION "---\napp: b\n", "stead.yaml:5: expected one document, found another"},
    {"[a]: b\n", "stead.yaml:1: a field name must be a word"},
    /* Fields. */
    {"code: a.so\nfunctions: [{name: f}]\n", "stead.yaml:1: app: is missing"},
    {HEAD, "stead.yaml:1: functions: is missing"},
    {HEAD "functions: []\n", "stead.yaml:3: functions: is empty"},
    {HEAD "functions:\n", "stead.yaml:3: functions: expected a list, found nothing"},
    {HEAD "functions: {name: f}\n", "stead.yaml:3: functions: expected a list, found a mapping"},
    {HEAD "functions: [f]\n", "stead.yaml:3: functions[0]: expected a mapping, found `f`"},
    {HEAD "functions:\n  - timeout_ms: 1\n", "stead.yaml:4: functions[0].name: is missing"},
    {"app: a\ncod: x\n", "stead.yaml:2: cod: unknown field; did you mean `code`?"},
    {FUNCTION "    retries: 5\n",
     "stead.yaml:5: functions[0].retries: unknown field; allowed are: name, "
     "timeout_ms, memory_mb, durability, methods, "
     "concurrency, cpu_percent, queue, rate, body_bytes_max, reply_bytes_max, pool"},
    {FUNCTION "    timout_ms: 5\n",
     "stead.yaml:5: functions[0].timout_ms: unknown field; did you mean `timeout_ms`?"},
    {FUNCTION "    name: g\n", "stead.yaml:5: functions[0].name: is given twice, first in line 4"},
    {"app: [a]\n", "stead.yaml:1: app: expected a text, found a list"},
    {"app:\n", "stead.yaml:1: app: expected a text, found nothing"},
    {"app: \"a\\0b\"\n", "stead.yaml:1: app: has a zero byte"},
    /* Numbers and words. */
    {FUNCTION "  - name: g\n    memory_mb: 64\n    timeout_ms: soon\n",
     "stead.yaml:7: functions[1].timeout_ms: expected a number from 1 to 86400000, found `soon`"},
    {FUNCTION "    timeout_ms: 0\n",
     "stead.yaml:5: functions[0].timeout_ms: expected a number from 1 to 86400000, found `0`"},
    {FUNCTION "    timeout_ms: -1\n",
     "stead.yaml:5: functions[0].timeout_ms: expected a number from 1 to 86400000, found `-1`"},
    {FUNCTION "    timeout_ms: 010\n",
     "stead.yaml:5: functions[0].timeout_ms: expected a number from 1 to 86400000, found `010`"},
    {FUNCTION "    timeout_ms: 1.5\n",
     "stead.yaml:5: functions[0].timeout_ms: expected a number from 1 to 86400000, found `1.5`"},
    {FUNCTION "    timeout_ms: 99999999999999999999999\n",
     "stead.yaml:5: functions[0].timeout_ms: expected a number from 1 to 86400000, found "
     "`99999999999999999999999`"},
    {FUNCTION "    memory_mb: 4\n",
     "stead.yaml:5: functions[0].memory_mb: expected a number from 8 to 1048576, found `4`"},
    {FUNCTION "    memory_mb: [64]\n",
     "stead.yaml:5: functions[0].memory_mb: expected a number from 8 to 1048576, found a list"},
    {FUNCTION "    concurrency: 0\n",
     "stead.yaml:5: functions[0].concurrency: expected a number from 1 to 65536, found `0`"},
    {FUNCTION "    queue: 10001\n",
     "stead.yaml:5: functions[0].queue: expected a number from 1 to 10000, found `10001`"},
    {FUNCTION "    durability: fast\n",
     "stead.yaml:5: functions[0].durability: expected `durable` or `relaxed`, found `fast`"},
    {FUNCTION "    durability: 1\n",
     "stead.yaml:5: functions[0].durability: expected `durable` or `relaxed`, found `1`"},
    {FUNCTION "    methods: []\n", "stead.yaml:5: functions[0].methods: is empty"},
    {FUNCTION "    methods: [GET, get]\n",
     "stead.yaml:5: functions[0].methods[1]: expected GET, HEAD, POST, PUT, "
     "DELETE, OPTIONS or PATCH, found `get`"},
    {FUNCTION "    pool:\n      min: 9\n      max: 3\n",
     "stead.yaml:6: functions[0].pool.min: 9 exceeds pool.max, which is 3"},
    {FUNCTION "    cpu_percent: 0\n",
     "stead.yaml:5: functions[0].cpu_percent: expected a number from 1 to 102400, found `0`"},
    {FUNCTION "    concurrency: 2\n    pool: {min: 3}\n",
     "stead.yaml:6: functions[0].pool.min: 3 exceeds concurrency, which is 2"},
    {FUNCTION "    rate: {burst: 3}\n", "stead.yaml:5: functions[0].rate.per_second: is missing"},
    {FUNCTION "    rate: {per_second: 0}\n",
     "stead.yaml:5: functions[0].rate.per_second: expected a number from 1 to 1000000, found `0`"},
    {FUNCTION "    body_bytes_max: 100000000\n",
     "stead.yaml:5: functions[0].body_bytes_max: expected a number from 1 to 67108864, found `100000000`"},
    {FUNCTION "    reply_bytes_max: 0\n",
     "stead.yaml:5: functions[0].reply_bytes_max: expected a number from 1 to 16777216, found `0`"},
    {FUNCTION "    pool: {most: 3}\n",
     "stead.yaml:5: functions[0].pool.most: unknown field; allowed are: min, max, idle_ms"},
    /* Names. */
    {"app: Shop\ncode: a.so\nfunctions: [{name: f}]\n",
     "stead.yaml:1: app: `Shop` is not a name: 1 to 63 of a-z, 0-9, - and _, a letter first"},
    {"app: v1\ncode: a.so\nfunctions: [{name: f}]\n",
     "stead.yaml:1: app: `v1` is a path of the node itself; choose another name"},
    {"app: a\ncode: /tmp/a.so\nfunctions: [{name: f}]\n",
     "stead.yaml:2: code: must be relative to the manifest, found `/tmp/a.so`"},
    {FUNCTION "  - name: a-b\n",
     "stead.yaml:5: functions[1].name: `a-b` is not a name: 1 to 63 of a-z, 0-9 and _, a letter first"},
    {FUNCTION "  - name: g\n  - name: f\n", "stead.yaml:6: functions[2].name: another function is named `f`"},
    /* Limits of the app. */
    {FUNCTION "    memory_mb: 100\nlimits: {memory_mb: 99}\n",
     "stead.yaml:6: limits.memory_mb: 99 is less than the 100 that function `f` needs: 1 workers with a "
     "memory_mb of 100"},
    {FUNCTION "    pool: {min: 3}\nlimits: {memory_mb: 100}\n",
     "stead.yaml:6: limits.memory_mb: 100 is less than the 192 that function `f` needs: 3 workers with a "
     "memory_mb of 64"},
    {FUNCTION "partitions: 4\nlimits: {concurrency: 3}\n",
     "stead.yaml:6: limits.concurrency: 3 is less than the 4 workers that function `f` needs in 4 "
     "partitions"},
    {FUNCTION "limits: {state_bytes_max: 1}\n",
     "stead.yaml:5: limits.state_bytes_max: expected a number from 65536 to 1125899906842624, found `1`"},
    /* Environment and sandbox. */
    {FUNCTION "env: [{name: 2X, value: a}]\n",
     "stead.yaml:5: env[0].name: `2X` is not a name: letters, digits and _, no digit first"},
    {FUNCTION "env: [{name: LD_PRELOAD, value: a}]\n",
     "stead.yaml:5: env[0].name: `LD_PRELOAD` is not for apps: LD_ and STEAD_ are reserved"},
    {FUNCTION "env:\n  - {name: X, value: a}\n  - {name: X, value: b}\n",
     "stead.yaml:7: env[1].name: `X` is set before, by env[0]"},
    {FUNCTION "env: [{name: X}]\n", "stead.yaml:5: env[0].value: is missing"},
    {FUNCTION "sandbox: loose\n",
     "stead.yaml:5: sandbox: expected `strict` or `network` or `none`, found `loose`"},
    {FUNCTION "sandbox: network\n", "stead.yaml:5: sandbox: `network` needs the hosts that may be reached: "
                                    "network: { allow: [\"host:port\"] }"},
    {FUNCTION "network: {allow: ['a:1']}\n",
     "stead.yaml:5: network: is for `sandbox: network`, but sandbox is `strict`"},
    {FUNCTION "sandbox: network\nnetwork:\n  allow: ['a:1', 'a']\n",
     "stead.yaml:7: network.allow[1]: expected host:port, as db.example.com:5432 or [::1]:6379, found `a`"},
    {FUNCTION "sandbox: none\nmounts: [{from: /a, to: /b}]\n",
     "stead.yaml:6: mounts: is for sandboxes; with `sandbox: none` code reads the machine's files as they "
     "are"},
    {FUNCTION "mounts:\n  - {from: geo.db, to: /b}\n",
     "stead.yaml:6: mounts[0].from: expected an absolute path without `..`, found `geo.db`"},
    {FUNCTION "mounts:\n  - {from: /, to: /b}\n",
     "stead.yaml:6: mounts[0].from: expected an absolute path without `..`, found `/`"},
    {FUNCTION "mounts:\n  - {from: /a, to: /b/../c}\n",
     "stead.yaml:6: mounts[0].to: expected an absolute path without `..`, found `/b/../c`"},
    {FUNCTION "mounts:\n  - {from: /a, to: /etc/x}\n",
     "stead.yaml:6: mounts[0].to: `/etc/x` is a place of the system; take another, as /data"},
    {FUNCTION "mounts:\n  - {from: /a, to: /d}\n  - {from: /b, to: /d/e}\n",
     "stead.yaml:7: mounts[1].to: `/d/e` and mounts[0].to lie in each other"},
    /* Routes. */
    {FUNCTION "routes:\n  - {method: FETCH, path: /x, function: f}\n",
     "stead.yaml:6: routes[0].method: expected GET, HEAD, POST, PUT, DELETE, OPTIONS or PATCH, found "
     "`FETCH`"},
    {FUNCTION "routes:\n  - {method: GET, path: /x, function: g}\n",
     "stead.yaml:6: routes[0].function: there is no function named `g` in this manifest"},
    {FUNCTION "routes:\n  - {method: GET, path: /x}\n", "stead.yaml:6: routes[0].function: is missing"},
    {FUNCTION "routes:\n  - {method: GET, path: '/x/{a}', function: f}\n"
              "  - {method: GET, path: '/x/{b}', function: f}\n",
     "stead.yaml:7: routes[1]: another route matches `GET /x/{b}` too"},
    {ROUTE("x"), AT_ROUTE "`x` must begin with /"},
    {ROUTE("/x//y"), AT_ROUTE "`/x//y` has an empty piece"},
    {ROUTE("/x/"), AT_ROUTE "`/x/` has an empty piece"},
    {ROUTE("/x/../y"), AT_ROUTE "`/x/../y` must not have . or .. as a piece"},
    {ROUTE("/x y"), AT_ROUTE "`/x y` has a character that must not stand in a path"},
    {ROUTE("/x/{entity"), AT_ROUTE "`/x/{entity` has a `{` without its `}`"},
    {ROUTE("/x/{}"), AT_ROUTE "`/x/{}` has braces around what is no name"},
    {ROUTE("/x/{a...}/y"), AT_ROUTE "`/x/{a...}/y` may have {name...} only as its last piece"},
    {ROUTE("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}"),
     AT_ROUTE "`/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}` has more than 8 names in braces"},
    {ROUTE("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"),
     AT_ROUTE "`/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17` has more than 16 pieces"},
    /* Routes of WebSocket connections. */
    {FUNCTION "routes:\n  - {method: POST, path: /x, function: f, socket: true}\n",
     "stead.yaml:6: routes[0].method: a route with `socket: true` has the method GET, found `POST`"},
    {FUNCTION "routes:\n  - {method: '*', path: /x, function: f, socket: true}\n",
     "stead.yaml:6: routes[0].method: a route with `socket: true` has the method GET, found `*`"},
    {FUNCTION "routes:\n  - {method: GET, path: /x, function: f, socket: maybe}\n",
     "stead.yaml:6: routes[0].socket: expected true or false, found `maybe`"},
    {FUNCTION "routes:\n  - {method: GET, path: /x, function: f, origins: ['*']}\n",
     "stead.yaml:6: routes[0].origins: only routes with `socket: true` have origins"},
    {SOCKET("'a.example'"), AT_ORIGIN "`a.example`"},
    {SOCKET("'https://'"), AT_ORIGIN "`https://`"},
    {SOCKET("'://a'"), AT_ORIGIN "`://a`"},
    {SOCKET("'https://a/'"), AT_ORIGIN "`https://a/`"},
    {SOCKET("'https://a b'"), AT_ORIGIN "`https://a b`"},
    {SOCKET("'*.example'"), AT_ORIGIN "`*.example`"},
    {SOCKET("''"), "stead.yaml:6: routes[0].origins[1]: expected a text, found nothing"},
    /* Channels. */
    {FUNCTION "channels: [{name: Prices}]\n",
     "stead.yaml:5: channels[0].name: `Prices` is not a name: 1 to 63 of a-z, 0-9, - and _, a letter first"},
    {FUNCTION "channels:\n  - {name: x}\n  - {name: x}\n",
     "stead.yaml:7: channels[1].name: another channel is named `x`"},
    {FUNCTION "channels: [{name: x, kind: quick}]\n",
     "stead.yaml:5: channels[0].kind: expected `live` or `durable`, found `quick`"},
    {FUNCTION "channels: [{name: x, keep_hours: 1}]\n",
     "stead.yaml:5: channels[0].keep_hours: a live channel keeps nothing; say `kind: durable` to keep "
     "messages"},
    {FUNCTION "channels: [{name: x, kind: durable, keep_mb: 0}]\n",
     "stead.yaml:5: channels[0].keep_mb: expected a number from 1 to 16777216, found `0`"},
    {FUNCTION "channels: [{name: x, from_outside: yes}]\n",
     "stead.yaml:5: channels[0].from_outside: expected true or false, found `yes`"},
    {FUNCTION "channels: [{name: x, kind: durable, http: all}]\n",
     "stead.yaml:5: channels[0].http: expected `none` or `read` or `append` or `both`, found `all`"},
    {FUNCTION "channels: [{name: x, http: both}]\n",
     "stead.yaml:5: channels[0].http: a live channel may only be read over HTTP: say `read`, or `kind: "
     "durable`"},
    {FUNCTION "channels: [{name: x, kind: durable, from_outside: true}]\n",
     "stead.yaml:5: channels[0].from_outside: a durable channel is not on the bus; say `http: append` to let "
     "programs append over HTTP"},
    {CHANNELS "  - {channel: y, function: f}\n",
     AT_SUBSCRIPTION "channel: there is no channel named `y` in this manifest"},
    {CHANNELS "  - {channel: l, function: g}\n",
     AT_SUBSCRIPTION "function: there is no function named `g` in this manifest"},
    {CHANNELS "  - {channel: l, function: f, batch: 1001}\n",
     AT_SUBSCRIPTION "batch: expected a number from 1 to 1000, found `1001`"},
    {CHANNELS "  - {channel: l, function: f, group: g}\n",
     AT_SUBSCRIPTION "group: channel `l` is live: it has no cursors and delivers once"},
    {CHANNELS "  - {channel: l, function: f, from: end}\n",
     AT_SUBSCRIPTION "from: channel `l` is live: it has no cursors and delivers once"},
    {CHANNELS "  - {channel: l, function: f, retries: 0}\n",
     AT_SUBSCRIPTION "retries: channel `l` is live: it has no cursors and delivers once"},
    {CHANNELS "  - {channel: d, function: f, group: G}\n",
     AT_SUBSCRIPTION "group: `G` is not a name: 1 to 63 of a-z, 0-9, - and _, a letter first"},
    {CHANNELS "  - {channel: d, function: f, entity: none}\n",
     AT_SUBSCRIPTION "entity: messages of durable channels are addressed to the entity of their key"},
    {CHANNELS "  - {channel: d, function: f}\n  - {channel: d, function: f, keys: a}\n",
     "stead.yaml:8: subscriptions[1]: another subscription of channel `d` is of group `f` too"},
    {CHANNELS "  - {channel: l, function: f, keys: a}\n  - {channel: l, function: f, keys: a}\n",
     "stead.yaml:8: subscriptions[1]: function `f` has these messages of channel `l` already"},
    /* Reserved. */
    {ROUTE("/healthz"), AT_ROUTE "`/healthz` belongs to the node itself"},
};

static void assert_refused(const char *text, const char *words)
{
    struct manifest *manifest = NULL;
    struct err err = ERR_INIT;
    enum status status = manifest_parse(slice_cstr(text), "stead.yaml", &manifest, &err);
    assert_string_equal(err.text, words);
    assert_int_equal(status, STATUS_MANIFEST_INVALID);
    assert_null(manifest);
}

static void each_mistake_is_told_with_file_line_and_field(void **state)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++)
        assert_refused(mistakes[i].text, mistakes[i].words);
}

static void what_is_too_much_is_refused_with_both_numbers(void **state)
{
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, HEAD "functions:\n");
    for (size_t i = 0; i <= BOUND_FUNCTIONS_PER_APP_MAX; i++) buf_printf(&text, "  - name: f%zu\n", i);
    assert_refused(buf_cstr(&text), "stead.yaml:4: functions: has 1001 entries, at most 1000 are allowed");

    buf_reset(&text);
    buf_append_cstr(&text, HEAD "build: ");
    for (size_t i = 0; i <= BOUND_BUILD_COMMAND_BYTES_MAX; i++) buf_append_byte(&text, 'x');
    buf_append_cstr(&text, "\nfunctions: [{name: f}]\n");
    assert_refused(buf_cstr(&text), "stead.yaml:3: build: is too long: 4097 bytes, at most 4096 are allowed");

    buf_reset(&text);
    while (text.size <= BOUND_MANIFEST_BYTES_MAX) buf_append_cstr(&text, "# much ado about nothing\n");
    struct buf words = BUF_INIT;
    buf_printf(&words, "stead.yaml: has %zu bytes, at most 1048576 are allowed", text.size);
    assert_refused(buf_cstr(&text), buf_cstr(&words));
    buf_fini(&words);
    buf_fini(&text);
}

static void a_name_of_64_letters_is_too_long(void **state)
{
    char name[65];
    memset(name, 'a', 64);
    assert_false(manifest_app_name_valid(slice_make(name, 64)));
    assert_true(manifest_app_name_valid(slice_make(name, 63)));
    assert_true(manifest_function_name_valid(slice_make(name, 63)));
    assert_false(manifest_function_name_valid(SLICE("")));
    assert_false(manifest_function_name_valid(SLICE("1a")));
}

static void deep_nesting_is_refused_and_not_followed(void **state)
{
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, "app: ");
    for (size_t i = 0; i < 100000; i++) buf_append_byte(&text, '[');
    assert_refused(buf_cstr(&text), "stead.yaml:1: is nested too deeply");
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_arrives_in_its_place),
        cmocka_unit_test(mounts_and_network_arrive_in_their_places),
        cmocka_unit_test(what_is_left_out_gets_its_default),
        cmocka_unit_test(channels_and_subscriptions_get_their_defaults_by_kind),
        cmocka_unit_test(a_large_pool_min_raises_the_default_of_max),
        cmocka_unit_test(each_mistake_is_told_with_file_line_and_field),
        cmocka_unit_test(what_is_too_much_is_refused_with_both_numbers),
        cmocka_unit_test(a_name_of_64_letters_is_too_long),
        cmocka_unit_test(deep_nesting_is_refused_and_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
