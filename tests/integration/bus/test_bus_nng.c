/* test_bus_nng.c - the bus over NNG: a listener, a pusher that floods, two nodes, and addresses that are none. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/sub.h>

#include "messaging/bus/bus.h"
#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/loop/loop.h"

struct fixture {
    struct loop *loop;
    char dir[64], out[128], in[128];
    uint64_t heard;
    uint32_t source; /* of the last */
    struct buf last;
};

static int set_up(void **state)
{
    struct fixture *fx = mem_zalloc(sizeof *fx);
    assert_int_equal(loop_create(&fx->loop, clock_real(), NULL), STATUS_OK);
    snprintf(fx->dir, sizeof fx->dir, "/tmp/stead-bus-XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    snprintf(fx->out, sizeof fx->out, "ipc://%s/out", fx->dir);
    snprintf(fx->in, sizeof fx->in, "ipc://%s/in", fx->dir);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fx = *state;
    loop_turn(fx->loop, false); /* the memory of what was closed goes */
    loop_destroy(fx->loop);
    (void)unlink(fx->out + strlen("ipc://"));
    (void)unlink(fx->in + strlen("ipc://"));
    assert_int_equal(rmdir(fx->dir), 0);
    buf_fini(&fx->last);
    free(fx);
    return 0;
}

static void on_message(void *ctx, uint32_t source, struct slice bytes)
{
    struct fixture *fx = ctx;
    fx->heard++;
    fx->source = source;
    buf_reset(&fx->last);
    buf_append(&fx->last, bytes);
}

static struct bus *open_bus(struct fixture *fx, const char *publish, const char *intake, const char *peers)
{
    struct bus_nng_config config = {
        .loop = fx->loop,
        .handler = {.on_message = on_message, .ctx = fx},
        .publish = publish,
        .intake = intake,
        .peers = peers,
        .intake_per_second = 1000000,
    };
    struct bus *bus = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(bus_nng_open(&config, &bus, &err), STATUS_OK);
    return bus;
}

static nng_socket pusher(const char *address)
{
    nng_socket socket;
    assert_int_equal(nng_push0_open(&socket), 0);
    assert_int_equal(nng_dial(socket, address, NULL, 0), 0);
    return socket;
}

static void a_listener_gets_what_begins_with_its_words_and_a_pusher_is_heard(void **state)
{
    struct fixture *fx = *state;
    struct bus *bus = open_bus(fx, fx->out, fx->in, "");
    struct stat info;
    assert_int_equal(stat(fx->out + strlen("ipc://"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    nng_socket listener;
    assert_int_equal(nng_sub0_open(&listener), 0);
    assert_int_equal(nng_socket_set(listener, NNG_OPT_SUB_SUBSCRIBE, "a/b ", 4), 0);
    assert_int_equal(nng_socket_set_ms(listener, NNG_OPT_RECVTIMEO, 20), 0);
    assert_int_equal(nng_dial(listener, fx->out, NULL, 0), 0);
    /* That somebody listens takes a moment to arrive at the publisher: until then it is lost. */
    nng_msg *message = NULL;
    while (!message)
    {
        bus->ops->publish(bus, SLICE("a/bc no"));
        bus->ops->publish(bus, SLICE("a/b yes"));
        (void)nng_recvmsg(listener, &message, 0); /* again when it timed out */
    }
    assert_int_equal(nng_msg_len(message), 7);
    assert_memory_equal(nng_msg_body(message), "a/b yes", 7);
    nng_msg_free(message);
    (void)nng_close(listener);

    nng_socket push = pusher(fx->in);
    assert_int_equal(nng_send(push, "hello", 5, 0), 0);
    while (fx->heard == 0) loop_turn(fx->loop, true);
    assert_string_equal(buf_cstr(&fx->last), "hello");
    assert_int_equal(fx->source, BUS_INTAKE);
    (void)nng_close(push);
    bus->ops->close(bus);
}

static void a_pusher_that_floods_has_to_wait_and_loses_nothing(void **state)
{
    enum { MESSAGES = 20000 };
    struct fixture *fx = *state;
    struct bus *bus = open_bus(fx, "", fx->in, "");
    nng_socket push = pusher(fx->in);
    assert_int_equal(nng_socket_set_ms(push, NNG_OPT_SENDTIMEO, 50), 0);
    /* The loop does not take anything: at some point the pusher cannot go on. */
    uint64_t pushed = 0;
    int code = 0;
    while (pushed < MESSAGES && code == 0)
    {
        code = nng_send(push, "flood", 5, 0);
        pushed += code == 0;
    }
    assert_int_equal(code, NNG_ETIMEDOUT);
    assert_true(pushed < 4 * BOUND_BUS_QUEUE_MESSAGES_MAX);
    while (fx->heard < pushed) loop_turn(fx->loop, true);
    assert_int_equal(nng_send(push, "again", 5, 0), 0);
    while (fx->heard < pushed + 1) loop_turn(fx->loop, true);
    (void)nng_close(push);
    bus->ops->close(bus);
}

static void a_turn_takes_a_bounded_number_and_a_second_what_is_allowed(void **state)
{
    struct fixture *fx = *state;
    struct bus_nng_config config = {
        .loop = fx->loop,
        .handler = {.on_message = on_message, .ctx = fx},
        .publish = "",
        .intake = fx->in,
        .peers = "",
        .intake_per_second = 200,
    };
    struct bus *bus = NULL;
    assert_int_equal(bus_nng_open(&config, &bus, NULL), STATUS_OK);
    nng_socket push = pusher(fx->in);
    uint64_t begun_ns = clock_monotonic_ns(clock_real());
    for (int i = 0; i < 100; i++) assert_int_equal(nng_send(push, "x", 1, 0), 0);
    while (fx->heard < 100) loop_turn(fx->loop, true);
    uint64_t took_ms = (clock_monotonic_ns(clock_real()) - begun_ns) / NS_PER_MS;
    assert_true(took_ms >= 400); /* 100 at 200 a second, less what the first look had saved */
    (void)nng_close(push);
    bus->ops->close(bus);
}

static void on_pipe_lost(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)pipe; /* there is one */
    (void)event; /* it was asked for */
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void a_message_beyond_the_limit_ends_its_connection_and_nobody_elses(void **state)
{
    struct fixture *fx = *state;
    struct bus *bus = open_bus(fx, "", fx->in, "");
    nng_socket large = pusher(fx->in), small = pusher(fx->in);
    static _Atomic int lost;
    atomic_store(&lost, 0);
    assert_int_equal(nng_pipe_notify(large, NNG_PIPE_EV_REM_POST, on_pipe_lost, (void *)&lost), 0);
    size_t size = 2 * BOUND_MESSAGE_BYTES_MAX + 1;
    char *bytes = mem_zalloc(size);
    assert_int_equal(nng_send(large, bytes, size, 0), 0);
    free(bytes);
    while (atomic_load(&lost) == 0) loop_turn(fx->loop, false);
    assert_int_equal(nng_send(small, "small", 5, 0), 0);
    while (fx->heard == 0) loop_turn(fx->loop, true);
    assert_int_equal(fx->heard, 1);
    assert_string_equal(buf_cstr(&fx->last), "small");
    assert_int_equal(nng_send(large, "again", 5, 0), 0); /* by its next connection */
    while (fx->heard == 1) loop_turn(fx->loop, true);
    assert_string_equal(buf_cstr(&fx->last), "again");
    (void)nng_close(large);
    (void)nng_close(small);
    bus->ops->close(bus);
}

static void a_peer_hears_another_one_whichever_begins(void **state)
{
    struct fixture *fx = *state;
    struct bus *second = open_bus(fx, "", "", fx->out);
    struct bus *first = open_bus(fx, fx->out, "", "");
    while (fx->heard == 0)
    {
        first->ops->publish(first, SLICE("a/b news"));
        loop_turn(fx->loop, false);
    }
    assert_int_equal(fx->source, BUS_PEER_FIRST);
    assert_string_equal(buf_cstr(&fx->last), "a/b news");
    first->ops->close(first);
    second->ops->close(second);
}

static void an_address_that_is_none_or_taken_is_told(void **state)
{
    struct fixture *fx = *state;
    struct bus_nng_config config = {.loop = fx->loop, .publish = "nonsense", .intake = "", .peers = ""};
    struct bus *bus = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(bus_nng_open(&config, &bus, &err), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(err_text(&err), "bus: publish at nonsense: "));
    struct bus *first = open_bus(fx, fx->out, "", "");
    config.publish = fx->out;
    err = ERR_INIT;
    assert_int_equal(bus_nng_open(&config, &bus, &err), STATUS_ADDRESS_IN_USE);
    assert_null(bus);
    first->ops->close(first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_listener_gets_what_begins_with_its_words_and_a_pusher_is_heard),
        TEST(a_pusher_that_floods_has_to_wait_and_loses_nothing),
        TEST(a_turn_takes_a_bounded_number_and_a_second_what_is_allowed),
        TEST(a_message_beyond_the_limit_ends_its_connection_and_nobody_elses),
        TEST(a_peer_hears_another_one_whichever_begins),
        TEST(an_address_that_is_none_or_taken_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
