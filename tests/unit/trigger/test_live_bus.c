/* test_live_bus.c - live channels of two nodes on a wire: who may publish, what peers lose is told, nonsense is counted. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "messaging/bus/bus_message.h"
#include "runtime/catalog/manifest.h"
#include "runtime/loop/loop.h"
#include "runtime/trigger/live_bus.h"
#include "runtime/trigger/live_delivery.h"

/* Without functions that messages start, so without a router. */
struct node {
    struct live_delivery *live;
    struct live_bus *bus;
    struct live_subscriber subscriber;
};

struct fixture {
    struct loop *loop;
    struct bus_wire *wire;
    struct bus_fault fault; /* of what a publishes */
    struct bus *inner; /* of a */
    struct node a, b;
};

static void on_published(void *ctx, const struct wire_message *message)
{
    live_bus_publish(((struct node *)ctx)->bus, message);
}

static void on_ready(struct live_subscriber *subscriber)
{
}

static void open_node(struct fixture *fx, struct node *node, struct bus_fault *fault)
{
    node->live = live_delivery_create(&(struct live_delivery_config){
        .loop = fx->loop, .clock = clock_real(), .on_published = on_published, .ctx = node});
    node->bus = live_bus_create(node->live);
    struct bus_handler handler = live_bus_handler(node->bus);
    struct bus *bus = bus_mem_open(fx->wire, &handler);
    if (fault) fx->inner = bus;
    live_bus_attach(node->bus, fault ? bus_fault_wrap(bus, fault) : bus);

    struct manifest *manifest;
    assert_int_equal(
        manifest_parse(SLICE("app: shop\ncode: a.so\nfunctions: [{name: f}]\nchannels:\n  - {name: prices, "
                             "from_outside: true}\n  - {name: inner}\n  - {name: orders, kind: durable}\n"),
                       "stead.yaml", &manifest, NULL),
        STATUS_OK);
    live_delivery_switch(node->live, "shop", manifest);
    manifest_destroy(manifest);
    assert_int_equal(live_delivery_listen(node->live, SLICE("shop/prices"), SLICE_EMPTY, &node->subscriber,
                                          on_ready, NULL),
                     STATUS_OK);
}

static void close_node(struct node *node)
{
    live_unsubscribe(&node->subscriber);
    live_bus_destroy(node->bus);
    live_delivery_destroy(node->live);
}

static int set_up(void **state)
{
    struct fixture *fx = mem_zalloc(sizeof *fx);
    assert_int_equal(loop_create(&fx->loop, clock_real(), NULL), STATUS_OK);
    fx->wire = bus_wire_create();
    open_node(fx, &fx->a, &fx->fault);
    open_node(fx, &fx->b, NULL);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fx = *state;
    close_node(&fx->a);
    close_node(&fx->b);
    bus_wire_destroy(fx->wire);
    loop_destroy(fx->loop);
    free(fx);
    return 0;
}

static enum status publish(struct node *node, const char *channel, const char *body, struct err *err)
{
    struct wire_message message = {
        .channel = slice_cstr(channel), .type = SLICE("text/plain"), .body = slice_cstr(body)};
    return live_delivery_publish_from(node->live, LIVE_FROM_OUTSIDE, &message, err);
}

/* The body's first byte of the next message of a node; 0: there is none. */
static char next(struct node *node, uint64_t *missed)
{
    struct buf frames = BUF_INIT;
    struct wire_message message;
    bool found;
    size_t offset = 0;
    char first = 0;
    if (live_take(&node->subscriber, 1, SIZE_MAX, &frames, missed) == 1)
    {
        assert_int_equal(wire_message_next(buf_view(&frames), &offset, &message, &found, NULL), STATUS_OK);
        assert_true(slice_is(message.channel, "prices") && message.body.size == 1 && message.time_ms > 0);
        first = *(const char *)message.body.data;
    }
    buf_fini(&frames);
    return first;
}

static void a_peer_hears_what_is_published_and_is_told_what_it_missed(void **state)
{
    struct fixture *fx = *state;
    fx->fault.drop_every = 3;
    for (const char *body = "123456789"; *body; body++)
        assert_int_equal(publish(&fx->a, "shop/prices", (char[]){*body, 0}, NULL), STATUS_OK);
    while (bus_wire_run(fx->wire)) continue;
    uint64_t missed;
    for (char want = '1'; want <= '9'; want++)
    {
        assert_int_equal(next(&fx->a, &missed), want);
        assert_int_equal(missed, 0);
    }
    static const char came[] = "124578";
    for (int i = 0; came[i]; i++)
    {
        assert_int_equal(next(&fx->b, &missed), came[i]);
        assert_int_equal(missed, came[i] == '4' || came[i] == '7');
    }
    struct live_delivery_stats stats;
    live_delivery_stats(fx->b.live, &stats);
    assert_int_equal(stats.hub.upstream_lost, 2); /* that of 9 shows with the next message */
    assert_int_equal(stats.foreign, 6);
    fx->fault.drop_every = 0;
    assert_int_equal(publish(&fx->a, "shop/prices", "x", NULL), STATUS_OK);
    while (bus_wire_run(fx->wire)) continue;
    assert_int_equal(next(&fx->b, &missed), 'x');
    assert_int_equal(missed, 1);
    assert_int_equal(next(&fx->b, &missed), 0);
}

static void what_came_from_a_peer_does_not_go_out_again(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(publish(&fx->a, "shop/prices", "1", NULL), STATUS_OK);
    while (bus_wire_run(fx->wire)) continue;
    struct live_bus_stats a, b;
    live_bus_stats(fx->a.bus, &a);
    live_bus_stats(fx->b.bus, &b);
    assert_true(a.bus.sent == 1 && a.bus.received == 0 && b.bus.sent == 0 && b.bus.received == 1);
}

static void a_channel_takes_from_outside_only_when_it_says_so(void **state)
{
    struct fixture *fx = *state;
    struct err err = ERR_INIT;
    assert_int_equal(publish(&fx->a, "shop/inner", "1", &err), STATUS_PERMISSION_DENIED);
    assert_string_equal(err_text(&err), "channel 'shop/inner' does not say `from_outside: true`");
    assert_int_equal(publish(&fx->a, "shop/orders", "1", NULL), STATUS_CHANNEL_KIND);
    assert_int_equal(publish(&fx->a, "shop/none", "1", NULL), STATUS_CHANNEL_NOT_FOUND);
    live_delivery_switch(fx->a.live, "shop", NULL);
    assert_int_equal(publish(&fx->a, "shop/prices", "1", NULL), STATUS_CHANNEL_NOT_FOUND);
    struct live_delivery_stats stats;
    live_delivery_stats(fx->a.live, &stats);
    assert_true(stats.foreign == 4 && stats.foreign_refused == 4 && stats.hub.published == 0);
}

static void nonsense_is_counted_and_what_comes_after_it_is_heard(void **state)
{
    struct fixture *fx = *state;
    bus_mem_push(fx->inner, SLICE("nonsense"));
    bus_mem_push(fx->inner, SLICE("shop/prices %\nx"));
    bus_mem_push(fx->inner, SLICE("shop/inner k\nx"));
    bus_mem_push(fx->inner, SLICE("shop/prices k 77 5 text/plain\ny"));
    while (bus_wire_run(fx->wire)) continue;
    uint64_t missed;
    assert_int_equal(next(&fx->a, &missed), 'y');
    assert_int_equal(next(&fx->b, &missed), 'y'); /* a node tells its peers what a program has told it */
    struct live_bus_stats bus;
    live_bus_stats(fx->a.bus, &bus);
    assert_true(bus.malformed == 2 && bus.bus.received == 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_peer_hears_what_is_published_and_is_told_what_it_missed),
        TEST(what_came_from_a_peer_does_not_go_out_again),
        TEST(a_channel_takes_from_outside_only_when_it_says_so),
        TEST(nonsense_is_counted_and_what_comes_after_it_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
