/* test_live_http.c - live channels as event streams, with time and clients of the test: gaps, heartbeats, refusals, ends. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "messaging/channel/live.h"
#include "runtime/catalog/catalog.h"
#include "runtime/gateway/live_http.h"
#include "tests/unit/gateway/fx_gateway.h"

enum { QUEUE_MESSAGES = 4, HEARTBEAT_MS = 15000 };

struct world {
    struct fx_gateway fx;
    struct catalog *catalog;
    struct live_hub *hub;
    struct live_http *http;
    enum status refusal; /* of subscriptions; OK: none */
    const char *channel; /* of requests */
    bool taken; /* the last request was for a live channel */
};

static enum status on_listen(void *ctx, struct slice channel, struct slice keys,
                             struct live_subscriber *subscriber,
                             void (*on_ready)(struct live_subscriber *subscriber), struct err *err)
{
    static const struct live_limits limits = {.messages_max = QUEUE_MESSAGES, .bytes_max = 1 << 20};
    struct world *w = ctx;
    if (w->refusal != STATUS_OK) return err_set(err, w->refusal, "the test refuses");
    live_subscribe(live_channel(w->hub, channel), subscriber, keys, &limits, on_ready);
    return STATUS_OK;
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct world *w = ctx;
    w->taken = live_http_request(w->http, exchange, SLICE("shop"), slice_cstr(w->channel));
    if (!w->taken) http_fail(exchange, &(struct http_failure){.status = STATUS_CHANNEL_NOT_FOUND});
}

/* The app's channels from now on. */
static const struct manifest *deploy(struct world *w, const char *channels)
{
    struct buf text = BUF_INIT;
    struct manifest *manifest;
    struct catalog_change change;
    char id[CATALOG_VERSION_ID_BYTES + 1];
    buf_printf(&text, "app: shop\ncode: a.so\nfunctions: [{name: f}]\nchannels: [%s]\n", channels);
    assert_int_equal(manifest_parse(buf_view(&text), "stead.yaml", &manifest, NULL), STATUS_OK);
    catalog_version_id(id, buf_view(&text), SLICE("code"));
    struct artifact_id artifact = artifact_id_of(SLICE("code"));
    struct catalog_version *version = catalog_version_create(id, &artifact, 1, buf_view(&text), manifest);
    assert_int_equal(catalog_plan_deploy(w->catalog, version, &change, NULL), STATUS_OK);
    catalog_apply(w->catalog, &change);
    catalog_version_unref(version);
    buf_fini(&text);
    return catalog_app_current(catalog_app_find(w->catalog, SLICE("shop")))->manifest;
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    fx_gateway_init(&w->fx, NULL);
    w->fx.handler = on_request;
    w->fx.handler_ctx = w;
    w->hub = live_hub_create();
    w->catalog = catalog_create();
    (void)deploy(w, "{name: prices, http: read}, {name: inner}, {name: orders, kind: durable}");
    w->http = live_http_create(
        &(struct live_http_config){.loop = w->fx.loop, .catalog = w->catalog, .listen = on_listen, .ctx = w});
    w->channel = "prices";
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    live_http_switch(w->http, "shop", NULL); /* ends what is open */
    assert_int_equal(live_http_readers(w->http), 0);
    live_http_destroy(w->http);
    fx_gateway_fini(&w->fx);
    live_hub_destroy(w->hub);
    catalog_destroy(w->catalog);
    free(w);
    return 0;
}

static struct stream_mem *ask(struct world *w, const char *request)
{
    struct stream_mem *client = fx_connect(&w->fx);
    fx_send(&w->fx, client, request);
    return client;
}

#define EVENTS "Host: a\r\nAccept: text/event-stream\r\n\r\n"

static struct stream_mem *follow(struct world *w, const char *query)
{
    char request[200];
    snprintf(request, sizeof request, "GET /shop/channels/prices%s HTTP/1.1\r\n" EVENTS, query);
    struct stream_mem *client = ask(w, request);
    const char *head = fx_received(client);
    assert_non_null(strstr(head, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(head, "Content-Type: text/event-stream\r\n"));
    return client;
}

static void publish(struct world *w, const char *key, const char *body)
{
    (void)live_publish(
        live_channel(w->hub, SLICE("shop/prices")),
        &(struct wire_message){.time_ms = 7, .key = slice_cstr(key), .body = slice_cstr(body)});
    fx_settle(&w->fx);
}

static void each_message_is_an_event_with_its_number(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = follow(w, "");
    publish(w, "eu/1", "12.5");
    assert_non_null(
        strstr(fx_received(client),
               "id: 1\ndata: {\"sequence\":1,\"time_ms\":7,\"key\":\"eu/1\",\"body\":\"12.5\"}\n\n"));
    publish(w, "", "\xff");
    assert_non_null(strstr(fx_received(client),
                           "id: 2\ndata: {\"sequence\":2,\"time_ms\":7,\"body_base64\":\"/w==\"}\n\n"));
    assert_int_equal(live_http_readers(w->http), 1);
}

static void only_the_keys_that_were_asked_for_come(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = follow(w, "?keys=eu%2f");
    publish(w, "us/1", "no");
    publish(w, "eu/1", "yes");
    const char *text = fx_received(client);
    assert_null(strstr(text, "\"no\""));
    assert_non_null(strstr(text, "\"yes\""));
}

static void a_client_that_does_not_read_loses_its_oldest_and_is_told_how_many(void **state)
{
    struct world *w = *state;
    struct stream_mem *slow = follow(w, ""), *fast = follow(w, "");
    stream_mem_fault(slow)->write_stalled = true;
    char *large = mem_zalloc(100001);
    memset(large, 'x', 100000);
    enum { SENT = 60 };
    for (int i = 1; i <= SENT; i++)
    {
        char id[20];
        publish(w, "", large);
        snprintf(id, sizeof id, "id: %d\n", i);
        assert_non_null(strstr(fx_received(fast), id));
    }
    free(large);
    struct live_stats stats;
    live_stats(w->hub, &stats);
    assert_true(stats.lost > 0 && stats.lost < SENT);
    stream_mem_fault(slow)->write_stalled = false;
    fx_settle(&w->fx);
    char gap[80];
    snprintf(gap, sizeof gap, "event: gap\ndata: {\"missed\":%d}\n\nid: ", (int)stats.lost);
    const char *text = fx_received(slow);
    assert_int_equal(fx_count(text, "event: gap"), 1);
    assert_non_null(strstr(text, gap));
    assert_non_null(strstr(text, "id: 60\n"));
    assert_int_equal(fx_count(text, "id: "), SENT - (int)stats.lost);
}

static void a_comment_comes_when_nothing_else_does(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = follow(w, "");
    fx_advance_ms(&w->fx, HEARTBEAT_MS - 1);
    assert_string_equal(fx_received(client), "");
    fx_advance_ms(&w->fx, 1);
    assert_string_equal(fx_received(client), "3\r\n:\n\n\r\n");
    fx_advance_ms(&w->fx, HEARTBEAT_MS - 1);
    publish(w, "", "x"); /* puts it off */
    (void)fx_received(client);
    fx_advance_ms(&w->fx, HEARTBEAT_MS - 1);
    assert_string_equal(fx_received(client), "");
    fx_advance_ms(&w->fx, 1);
    assert_string_equal(fx_received(client), "3\r\n:\n\n\r\n");
}

static void what_cannot_be_followed_is_refused_with_words(void **state)
{
    struct world *w = *state;
    char long_keys[600];
    snprintf(long_keys, sizeof long_keys, "GET /c?keys=%0401d HTTP/1.1\r\n" EVENTS, 0);
    const struct {
        const char *channel, *request;
        enum status refusal;
        const char *want;
    } cases[] = {
        {"inner", "GET /c HTTP/1.1\r\n" EVENTS, STATUS_OK, "channel 'inner' may not be read over HTTP"},
        {"prices", "GET /c HTTP/1.1\r\nHost: a\r\n\r\n", STATUS_OK, "a live channel keeps nothing"},
        {"prices", "POST /c HTTP/1.1\r\nContent-Length: 0\r\n" EVENTS, STATUS_OK, "Allow: GET"},
        {"prices", long_keys, STATUS_OK, "`keys` has at most 400 bytes"},
        {"prices", "GET /c HTTP/1.1\r\n" EVENTS, STATUS_OVERLOADED, "the test refuses"},
        {"orders", "GET /c HTTP/1.1\r\n" EVENTS, STATUS_OK, "channel_not_found"}, /* is not live: not ours */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
        w->channel = cases[i].channel;
        w->refusal = cases[i].refusal;
        const char *text = fx_received(ask(w, cases[i].request));
        if (!strstr(text, cases[i].want)) fail_msg("%zu: %s, not %s", i, text, cases[i].want);
    }
    assert_false(w->taken);
    assert_int_equal(live_http_readers(w->http), 0);
}

static void on_drained(void *ctx)
{
}

static void a_stream_ends_with_its_channel_its_client_and_its_node(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = follow(w, "");
    live_http_switch(w->http, "shop", deploy(w, "{name: prices, http: read}"));
    live_http_switch(w->http, "other", NULL);
    publish(w, "", "on");
    assert_non_null(strstr(fx_received(client), "\"on\""));
    live_http_switch(w->http, "shop", deploy(w, "{name: prices}"));
    fx_settle(&w->fx);
    assert_string_equal(fx_received(client), "0\r\n\r\n");

    live_http_switch(w->http, "shop", deploy(w, "{name: prices, http: read}"));
    client = follow(w, "");
    stream_mem_send_end(client, STATUS_IO);
    fx_settle(&w->fx);
    assert_int_equal(live_http_readers(w->http), 0);

    client = follow(w, "");
    gateway_drain(w->fx.gateway, 1000, on_drained, w);
    fx_settle(&w->fx);
    assert_string_equal(fx_received(client), "0\r\n\r\n");
    assert_int_equal(live_http_readers(w->http), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_message_is_an_event_with_its_number),
        TEST(only_the_keys_that_were_asked_for_come),
        TEST(a_client_that_does_not_read_loses_its_oldest_and_is_told_how_many),
        TEST(a_comment_comes_when_nothing_else_does),
        TEST(what_cannot_be_followed_is_refused_with_words),
        TEST(a_stream_ends_with_its_channel_its_client_and_its_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
