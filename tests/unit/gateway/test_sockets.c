/* test_sockets.c - WebSocket connections whose time, clients and functions belong to the test: pings, queues, slow readers, pushes. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/gateway/routes.h"
#include "runtime/gateway/sockets.h"
#include "runtime/gateway/ws.h"
#include "tests/unit/gateway/fx_gateway.h"

enum { RUNS_MAX = 8 };

/* ---- a router that keeps what it is asked ---- */

struct router {
    enum status refusal; /* OK: none */
    struct {
        invoke_done_fn done;
        void *ctx;
    } runs[RUNS_MAX]; /* that have not ended, oldest first */
    size_t runs_count;
    struct buf seen; /* a line for each: "event entity body", "close entity code reason" */
    char connection[64]; /* of the last */
};

static struct slice header_of(const struct invoke_request *request, const char *name)
{
    for (size_t i = 0; i < request->headers->count; i++)
        if (slice_is(request->headers->items[i].name, name)) return request->headers->items[i].value;
    return SLICE_EMPTY;
}

enum status router_invoke(struct router *router, struct slice app, struct slice function,
                          const struct invoke_request *request, invoke_done_fn done, void *ctx,
                          struct err *err)
{
    assert_true(slice_is(app, "chat") && slice_is(function, "talk"));
    assert_int_equal(request->origin, WIRE_ORIGIN_SOCKET);
    if (router->refusal != STATUS_OK) return err_set(err, router->refusal, "the test refuses");
    assert_true(router->runs_count < RUNS_MAX);
    struct slice event = header_of(request, "stead-event"), code = header_of(request, "stead-close-code");
    buf_printf(&router->seen, "%.*s %.*s", SLICE_FMT(event), SLICE_FMT(request->entity));
    if (code.size) buf_printf(&router->seen, " %.*s", SLICE_FMT(code));
    if (request->body.size && request->body.size < 100)
        buf_printf(&router->seen, " %.*s", SLICE_FMT(request->body));
    buf_append_byte(&router->seen, '\n');
    snprintf(router->connection, sizeof router->connection, "%.*s",
             SLICE_FMT(header_of(request, "stead-connection")));
    router->runs[router->runs_count].done = done;
    router->runs[router->runs_count++].ctx = ctx;
    return STATUS_OK;
}

/* ---- the fixture ---- */

struct world {
    struct fx_gateway fx;
    struct router router;
    struct sockets *sockets;
    struct route_match match;
};

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct world *w = ctx;
    sockets_open(w->sockets, exchange, &w->match);
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    fx_gateway_init(&w->fx, NULL);
    w->fx.handler = on_request;
    w->fx.handler_ctx = w;
    w->sockets = sockets_create(&(struct sockets_config){.loop = w->fx.loop, .router = &w->router});
    w->match =
        (struct route_match){.app = "chat", .function = "talk", .entity = SLICE("room/1"), .socket = true};
    *state = w;
    return 0;
}

static void finish(struct world *w, enum status status, const char *reply)
{
    struct router *router = &w->router;
    struct wire_headers headers = {.count = 0};
    assert_true(router->runs_count > 0);
    invoke_done_fn done = router->runs[0].done;
    void *ctx = router->runs[0].ctx;
    memmove(router->runs, router->runs + 1, --router->runs_count * sizeof router->runs[0]);
    done(ctx, &(struct outcome){.status = status,
                                .message = "no entry",
                                .ident = "",
                                .headers = &headers,
                                .body = slice_cstr(reply)});
    fx_settle(&w->fx);
}

static struct sockets_stats stats_of(struct world *w)
{
    struct sockets_stats stats;
    sockets_stats(w->sockets, &stats);
    return stats;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    fx_gateway_fini(&w->fx); /* breaks what is open, which is told to its function */
    while (w->router.runs_count > 0)
    {
        struct router *router = &w->router;
        invoke_done_fn done = router->runs[0].done;
        void *ctx = router->runs[0].ctx;
        memmove(router->runs, router->runs + 1, --router->runs_count * sizeof router->runs[0]);
        done(ctx, &(struct outcome){.status = STATUS_DRAINING, .message = "", .ident = ""});
    }
    assert_int_equal(stats_of(w).open, 0);
    sockets_destroy(w->sockets);
    buf_fini(&w->router.seen);
    free(w);
    return 0;
}

#define HANDSHAKE                                                                    \
    "GET /talk HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* A connection whose function knows of it, but for the answer when `open` is false. */
static struct stream_mem *connect(struct world *w, bool open)
{
    struct stream_mem *client = fx_connect(&w->fx);
    fx_send(&w->fx, client, HANDSHAKE "\r\n");
    assert_non_null(strstr(fx_received(client), "HTTP/1.1 101 "));
    if (open) finish(w, STATUS_OK, "");
    return client;
}

/* A client's frame with a zero mask. */
static void send_frame(struct world *w, struct stream_mem *client, uint8_t first, const char *body)
{
    struct buf frame = BUF_INIT;
    size_t size = strlen(body);
    assert_true(size < 126);
    buf_append_byte(&frame, first);
    buf_append_byte(&frame, (uint8_t)(0x80 | size));
    buf_append(&frame, SLICE("\0\0\0\0"));
    buf_append(&frame, slice_make(body, size));
    stream_mem_send(client, buf_view(&frame));
    fx_settle(&w->fx);
    buf_fini(&frame);
}

enum { TEXT = 0x81, CLOSE = 0x88, PING = 0x89, PONG = 0x8a };

static const char *seen(struct world *w)
{
    const char *text = buf_cstr(&w->router.seen);
    buf_reset(&w->router.seen); /* the bytes stay where they are until the next one */
    return text;
}

static void assert_received(struct stream_mem *client, const char *bytes, size_t size)
{
    struct buf *received = stream_mem_received(client);
    assert_int_equal(received->size, size);
    if (size) assert_memory_equal(received->data, bytes, size);
    buf_reset(received);
}
#define RECEIVED(client, text) assert_received(client, text, sizeof(text) - 1)

/* Frames have zero bytes. */
static void assert_has(struct stream_mem *client, const char *text)
{
    struct buf *received = stream_mem_received(client);
    if (!memmem(received->data, received->size, text, strlen(text)))
        fail_msg("'%s' is not among %zu bytes", text, received->size);
}

static void push(struct world *w, const char *connection, const char *entity, const char *body)
{
    sockets_push(w->sockets, SLICE("chat"),
                 &(struct wire_effect){.kind = WIRE_EFFECT_PUSH,
                                       .name = slice_cstr(connection),
                                       .key = slice_cstr(entity),
                                       .body = slice_cstr(body)});
    fx_settle(&w->fx);
}

/* ---- events ---- */

static void the_beginning_each_message_and_the_end_are_invocations_one_after_another(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, false);
    send_frame(w, client, TEXT, "one");
    send_frame(w, client, TEXT, "two");
    assert_string_equal(seen(w), "open room/1\n");
    finish(w, STATUS_OK, "welcome");
    RECEIVED(client, "\x81\x07welcome");
    assert_string_equal(seen(w), "message room/1 one\n");
    finish(w, STATUS_OK, "");
    assert_string_equal(seen(w), "message room/1 two\n");
    send_frame(w, client, CLOSE,
               "\x03\xe8"
               "bye");
    finish(w, STATUS_OK, "too late");
    assert_string_equal(seen(w), "close room/1 1000 bye\n");
    RECEIVED(client, "\x88\x05\x03\xe8"
                     "bye");
    finish(w, STATUS_OK, "");
    assert_int_equal(stats_of(w).open, 0);
}

static void a_connection_that_breaks_is_told_with_its_code(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    (void)seen(w);
    stream_mem_send_end(client, STATUS_IO);
    fx_settle(&w->fx);
    assert_string_equal(seen(w), "close room/1 1006\n");
    finish(w, STATUS_OK, "");
}

static void a_refusal_at_the_beginning_closes_and_later_ones_are_told(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    send_frame(w, client, TEXT, "x");
    finish(w, STATUS_FUNCTION_ERROR, "");
    assert_has(client, "\"code\":\"function_error\",\"message\":\"no entry\"");
    assert_int_equal(stats_of(w).open, 1);

    struct stream_mem *other = connect(w, false);
    finish(w, STATUS_FUNCTION_ERROR, "");
    assert_has(other, "function_error");
    assert_has(other, "\x88\x0a\x03\xf0no entry"); /* 1008 */
    assert_int_equal(stats_of(w).open, 1);
    finish(w, STATUS_OK, ""); /* its close */
}

static void what_the_node_has_no_room_for_is_told_and_the_connection_goes_on(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    w->router.refusal = STATUS_OVERLOADED;
    send_frame(w, client, TEXT, "x");
    assert_has(client, "\"code\":\"overloaded\",\"message\":\"the test refuses\"");
    w->router.refusal = STATUS_OK;
    (void)seen(w);
    send_frame(w, client, TEXT, "y");
    assert_string_equal(seen(w), "message room/1 y\n");
}

/* ---- time ---- */

static void a_silent_client_is_asked_and_left_when_it_does_not_answer(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    (void)seen(w);
    fx_advance_ms(&w->fx, BOUND_SOCKET_PING_MS - 1);
    RECEIVED(client, "");
    fx_advance_ms(&w->fx, 1);
    RECEIVED(client, "\x89\x00");
    fx_advance_ms(&w->fx, BOUND_SOCKET_PING_MS - 1);
    assert_int_equal(stats_of(w).open, 1);
    fx_advance_ms(&w->fx, 1);
    assert_true(stats_of(w).open == 0 && stats_of(w).silent == 1);
    assert_string_equal(seen(w), "close room/1 1006\n");
}

static void who_answers_pings_or_talks_stays(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    for (int i = 0; i < 10; i++)
    {
        fx_advance_ms(&w->fx, BOUND_SOCKET_PING_MS);
        RECEIVED(client, "\x89\x00");
        send_frame(w, client, PONG, "");
    }
    for (int i = 0; i < 10; i++)
    {
        fx_advance_ms(&w->fx, BOUND_SOCKET_PING_MS - 1);
        send_frame(w, client, TEXT, "still here");
        finish(w, STATUS_OK, "");
    }
    assert_int_equal(stats_of(w).open, 1);
}

static void pings_are_answered_and_a_flood_of_them_is_ended(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    for (int second = 0; second < 3; second++)
    {
        for (int i = 0; i < BOUND_SOCKET_CONTROLS_PER_S; i++) send_frame(w, client, PING, "");
        assert_int_equal(stream_mem_received(client)->size, 2 * BOUND_SOCKET_CONTROLS_PER_S);
        buf_reset(stream_mem_received(client));
        fx_advance_ms(&w->fx, 1000);
    }
    (void)seen(w);
    for (int i = 0; i <= BOUND_SOCKET_CONTROLS_PER_S; i++) send_frame(w, client, PING, "");
    assert_string_equal(seen(w), "close room/1 1008 too many pings\n");
    assert_true(stats_of(w).open == 0 && stats_of(w).protocol_errors == 1);
}

/* ---- pressure ---- */

static void a_client_that_is_faster_than_its_function_is_not_read_from(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    struct buf flood = BUF_INIT;
    enum { SENT = 500 };
    for (int i = 0; i < SENT; i++)
    {
        buf_append(&flood, SLICE("\x81\xfe\x01\x90\0\0\0\0")); /* of 400 bytes */
        memset(buf_reserve(&flood, 400), 'x', 400);
        flood.size += 400;
    }
    stream_mem_send(client, buf_view(&flood));
    buf_fini(&flood);
    fx_settle(&w->fx);
    uint64_t read = stats_of(w).messages_in;
    assert_true(read >= BOUND_SOCKET_QUEUE_MESSAGES_MAX && read < BOUND_SOCKET_QUEUE_MESSAGES_MAX + 10);
    for (int i = 0; i < SENT; i++) finish(w, STATUS_OK, "");
    assert_int_equal(stats_of(w).messages_in, SENT);
    assert_int_equal(w->router.runs_count, 0);
    /* While it was not read from it could not answer a ping, and was not left for that. */
    assert_int_equal(stats_of(w).open, 1);
}

static void a_client_that_we_do_not_read_from_is_not_taken_for_silent(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    for (int i = 0; i < 3 * BOUND_SOCKET_QUEUE_MESSAGES_MAX; i++) send_frame(w, client, TEXT, "x");
    for (int i = 0; i < 5; i++) fx_advance_ms(&w->fx, BOUND_SOCKET_PING_MS);
    assert_true(stats_of(w).open == 1 && stats_of(w).silent == 0);
}

static void a_client_that_does_not_read_is_left_and_the_others_of_its_entity_are_told(void **state)
{
    struct world *w = *state;
    struct stream_mem *lazy = connect(w, true), *eager = connect(w, true);
    stream_mem_fault(lazy)->write_stalled = true;
    char *large = mem_zalloc(512 * 1024 + 1);
    memset(large, 'x', 512 * 1024);
    uint64_t pushed = 0, got = 0;
    while (stats_of(w).overflowed == 0 && pushed < 100)
    {
        push(w, "", "room/1", large);
        pushed++;
        got += stream_mem_received(eager)->size > 512 * 1024;
        buf_reset(stream_mem_received(eager));
    }
    free(large);
    assert_true(stats_of(w).overflowed == 1 && stats_of(w).open == 1);
    assert_true(pushed > 2 && got == pushed);
    push(w, "", "room/1", "on");
    RECEIVED(eager, "\x81\x02on");
}

/* ---- pushes ---- */

static void pushes_to_one_to_all_and_to_nobody(void **state)
{
    struct world *w = *state;
    struct stream_mem *a = connect(w, true);
    char first[64];
    snprintf(first, sizeof first, "%s", w->router.connection);
    struct stream_mem *b = connect(w, true);
    w->match.entity = SLICE("room/2");
    struct stream_mem *c = connect(w, true);
    push(w, first, "", "you");
    RECEIVED(a, "\x81\x03you");
    push(w, "", "room/1", "all");
    RECEIVED(a, "\x81\x03"
                "all");
    RECEIVED(b, "\x81\x03"
                "all");
    RECEIVED(c, "");
    assert_int_equal(stats_of(w).pushes_lost, 0);
    push(w, "0123456789abcdef0123456789abcdef", "", "nobody");
    assert_int_equal(stats_of(w).pushes_lost, 1);
    sockets_push(w->sockets, SLICE("other"),
                 &(struct wire_effect){.name = slice_cstr(first), .body = SLICE("x")});
    assert_int_equal(stats_of(w).pushes_lost, 2); /* of another app */
}

/* ---- handshakes ---- */

static void pages_of_other_origins_and_requests_that_are_no_handshake_are_refused(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *origins, *request, *want;
    } cases[] = {
        {NULL, HANDSHAKE "Origin: http://a\r\n\r\n", "101"},
        {NULL, HANDSHAKE "Origin: http://evil\r\n\r\n", "pages of this origin may not connect"},
        {NULL, HANDSHAKE "Origin: null\r\n\r\n", "pages of this origin may not connect"},
        {"http://b https://c", HANDSHAKE "Origin: https://c\r\n\r\n", "101"},
        {"http://b https://c", HANDSHAKE "Origin: http://c\r\n\r\n", "pages of this origin may not connect"},
        {"http://b", HANDSHAKE "Origin: http://a\r\n\r\n", "pages of this origin may not connect"},
        {"*", HANDSHAKE "Origin: http://any\r\n\r\n", "101"},
        {NULL, "GET /talk HTTP/1.1\r\nHost: a\r\n\r\n", "this path is for WebSocket connections"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
        struct stream_mem *client = fx_connect(&w->fx);
        w->match.origins = cases[i].origins;
        fx_send(&w->fx, client, cases[i].request);
        const char *text = fx_received(client);
        if (!strstr(text, cases[i].want)) fail_msg("%zu: %s, not %s", i, text, cases[i].want);
        if (w->router.runs_count) finish(w, STATUS_OK, "");
    }
    assert_int_equal(stats_of(w).opened, 3);
}

static void on_drained(void *ctx)
{
}

static void a_node_that_stops_says_goodbye(void **state)
{
    struct world *w = *state;
    struct stream_mem *client = connect(w, true);
    (void)seen(w);
    gateway_drain(w->fx.gateway, 1000, on_drained, w);
    fx_settle(&w->fx);
    RECEIVED(client, "\x88\x16\x03\xe9the node is stopping");
    assert_string_equal(seen(w), "close room/1 1001 the node is stopping\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_beginning_each_message_and_the_end_are_invocations_one_after_another),
        TEST(a_connection_that_breaks_is_told_with_its_code),
        TEST(a_refusal_at_the_beginning_closes_and_later_ones_are_told),
        TEST(what_the_node_has_no_room_for_is_told_and_the_connection_goes_on),
        TEST(a_silent_client_is_asked_and_left_when_it_does_not_answer),
        TEST(who_answers_pings_or_talks_stays),
        TEST(pings_are_answered_and_a_flood_of_them_is_ended),
        TEST(a_client_that_is_faster_than_its_function_is_not_read_from),
        TEST(a_client_that_we_do_not_read_from_is_not_taken_for_silent),
        TEST(a_client_that_does_not_read_is_left_and_the_others_of_its_entity_are_told),
        TEST(pushes_to_one_to_all_and_to_nobody),
        TEST(pages_of_other_origins_and_requests_that_are_no_handshake_are_refused),
        TEST(a_node_that_stops_says_goodbye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
