/* test_http_conn.c - connections: keep-alive, pipelining, limits, deadlines, back-pressure, streams, drain, faults. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "tests/unit/gateway/fx_gateway.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, length, body) \
    "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " length "\r\n\r\n" body

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("expected \"%s\" in \"%s\"", part, text);
}

static void a_request_is_answered_and_the_connection_goes_on(void **state)
{
    struct fx_gateway *fx = *state;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, POST("/echo", "5", "hello"));
    const char *answer = fx_received(client);
    assert_contains(answer, "HTTP/1.1 200 OK\r\nServer: stead\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n");
    assert_contains(answer, "Content-Length: 5\r\n\r\nhello");
    fx_advance_ms(fx, 1000);
    fx_send(fx, client, GET("/again"));
    assert_contains(fx_received(client), "Date: Tue, 14 Nov 2023 22:13:21 GMT\r\n");
    assert_string_equal(buf_cstr(&fx->seen), "POST /echo hello\nGET /again \n");
}

static void answers_leave_in_the_order_of_the_requests(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/1") GET("/2") GET("/3"));
    assert_int_equal(fx->held_count, 3);
    fx_answer(fx, 2, "three");
    fx_answer(fx, 1, "two");
    assert_string_equal(fx_received(client), "");
    fx_answer(fx, 0, "one");
    const char *answers = fx_received(client);
    const char *one = strstr(answers, "one"), *two = strstr(answers, "two"),
               *three = strstr(answers, "three");
    assert_true(one && two && three && one < two && two < three);
}

static void bytes_may_come_one_by_one_and_go_one_by_one(void **state)
{
    struct fx_gateway *fx = *state;
    struct stream_mem *client = fx_connect(fx);
    stream_mem_fault(client)->read_max = 1;
    stream_mem_fault(client)->write_max = 1;
    fx_send(fx, client,
            POST("/a", "3", "abc") "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "2\r\nde\r\n1;x=y\r\nf\r\n0\r\nT: v\r\n\r\n" GET("/c"));
    for (int i = 0; i < 2000; i++) loop_turn(fx->loop, false);
    assert_string_equal(buf_cstr(&fx->seen), "POST /a abc\nPOST /b def\nGET /c \n");
    assert_int_equal(fx_count(fx_received(client), "HTTP/1.1 200 OK"), 3);
}

static void connection_close_is_obeyed_and_said(void **state)
{
    struct fx_gateway *fx = *state;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n" GET("/not-run"));
    assert_contains(fx_received(client), "Connection: close\r\n");
    assert_int_equal(fx->requests, 1);
    assert_true(stream_mem_is_finished(client));
    assert_false(stream_mem_is_closed(client)); /* lingers, so that the answer is not cut */
    stream_mem_send_end(client, STATUS_OK);
    fx_settle(fx);
    assert_true(stream_mem_is_closed(client));
}

static void http_1_0_closes_unless_asked_to_keep(void **state)
{
    struct fx_gateway *fx = *state;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_contains(fx_received(client), "Connection: keep-alive\r\n");
    fx_send(fx, client, "GET /b HTTP/1.0\r\n\r\n");
    assert_contains(fx_received(client), "Connection: close\r\n");
    assert_true(stream_mem_is_finished(client));
}

static void a_client_that_has_finished_sending_still_gets_its_answer(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/"));
    stream_mem_send_end(client, STATUS_OK);
    fx_settle(fx);
    assert_int_equal(fx->aborts, 0);
    fx_answer(fx, 0, "late");
    assert_contains(fx_received(client), "late");
    assert_true(stream_mem_is_closed(client));
}

static void a_broken_connection_aborts_its_exchanges_whose_answers_go_nowhere(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/1") GET("/2") "GET /half HT");
    stream_mem_send_end(client, STATUS_IO);
    fx_settle(fx);
    assert_int_equal(fx->aborts, 2);
    assert_true(stream_mem_is_closed(client));
    fx_answer(fx, 1, "");
    fx_answer(fx, 0, "");
}

static void a_failing_write_aborts_what_is_still_running(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/1") GET("/2"));
    stream_mem_fault(client)->write_broken = true;
    fx_answer(fx, 0, "x");
    assert_int_equal(fx->aborts, 1);
    assert_true(stream_mem_is_closed(client));
}

/* ---- expectations, HEAD, empty answers ---- */

static void a_client_that_waits_for_100_gets_it_when_its_turn_comes(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client,
            GET("/first") "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_string_equal(fx_received(client), ""); /* it must not come before the answer to the first */
    fx_answer(fx, 0, "one");
    const char *text = fx_received(client);
    assert_contains(text, "one");
    assert_contains(text, "HTTP/1.1 100 Continue\r\n\r\n");
    fx_send(fx, client, "hi");
    fx_answer(fx, 1, "two");
    assert_int_equal(fx_count(fx_received(client), "100 Continue"), 0);
}

static void a_body_that_will_be_refused_is_not_asked_for(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, &(struct gateway_limits){.body_bytes_max = 10});
    struct stream_mem *client = fx_connect(&fx);
    fx_send(&fx, client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    const char *text = fx_received(client);
    assert_contains(text, "HTTP/1.1 413 ");
    assert_int_equal(fx_count(text, "100 Continue"), 0);
    fx_gateway_fini(&fx);
}

static void head_is_answered_with_the_length_and_without_the_body(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" GET("/next"));
    fx_answer(fx, 0, "12345");
    const char *text = fx_received(client);
    assert_contains(text, "Content-Length: 5\r\n\r\n");
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    http_reply(fx->held[1], 204, NULL, 0, SLICE("dropped"));
    fx->held[1] = NULL;
    fx_settle(fx);
    text = fx_received(client);
    assert_contains(text, "HTTP/1.1 204 No Content\r\n");
    assert_null(strstr(text, "Content-Length"));
    assert_null(strstr(text, "dropped"));
}

static void headers_of_a_handler_cannot_break_the_answer(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/") GET("/"));
    const struct http_header headers[] = {
        {SLICE("X-Good"), SLICE("yes")},           {SLICE("X-Bad"), SLICE("a\r\nInjected: 1")},
        {SLICE("Bad Name"), SLICE("v")},           {SLICE("content-length"), SLICE("99")},
        {SLICE("Transfer-Encoding"), SLICE("xx")}, {SLICE("X-Zero"), SLICE("a\0b")},
    };
    http_reply(fx->held[0], 200, headers, 6, SLICE("ok"));
    http_reply(fx->held[1], 99, NULL, 0, SLICE("ok"));
    fx->held[0] = fx->held[1] = NULL;
    fx_settle(fx);
    const char *text = fx_received(client);
    assert_contains(text, "X-Good: yes\r\n");
    assert_null(strstr(text, "Injected"));
    assert_null(strstr(text, "Bad Name"));
    assert_null(strstr(text, "99\r\n"));
    assert_null(strstr(text, "Transfer-Encoding"));
    assert_null(strstr(text, "X-Zero"));
    assert_contains(text, "HTTP/1.1 502 Bad Gateway\r\n");
    assert_contains(text, "the function answered with HTTP status 99, which is not one");
}

static void a_failure_is_told_as_the_table_says(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/") GET("/") GET("/"));
    http_fail(fx->held[0], &(struct http_failure){.status = STATUS_QUEUE_FULL});
    http_fail(fx->held[1], &(struct http_failure){.status = STATUS_METHOD_NOT_ALLOWED, .allow = "GET, PUT"});
    http_fail(fx->held[2], &(struct http_failure){.status = STATUS_FUNCTION_CRASHED,
                                                  .message = "signal \"11\"\n\xff",
                                                  .invocation = "inv-1"});
    fx->held[0] = fx->held[1] = fx->held[2] = NULL;
    fx_settle(fx);
    const char *text = fx_received(client);
    assert_contains(text, "HTTP/1.1 429 Too Many Requests\r\n");
    assert_contains(text, "Retry-After: 1\r\n");
    assert_contains(text, "Content-Type: application/json\r\n");
    assert_contains(
        text, "{\"error\":{\"code\":\"queue_full\",\"message\":\"too many requests wait for this function or "
              "entity\",\"hint\":\"Repeat after the time in Retry-After.\",\"invocation\":null}}\n");
    assert_contains(text, "Allow: GET, PUT\r\n");
    assert_contains(text, "\"message\":\"signal \\\"11\\\"\\u000a\\ufffd\",");
    assert_contains(text, "\"invocation\":\"inv-1\"}}");
}

/* ---- limits ---- */

static void check_refused(const struct gateway_limits *limits, const char *bytes, const char *status_line,
                          const char *words)
{
    struct fx_gateway fx;
    fx_gateway_init(&fx, limits);
    struct stream_mem *client = fx_connect(&fx);
    fx_send(&fx, client, bytes);
    const char *text = fx_received(client);
    assert_contains(text, status_line);
    assert_contains(text, words);
    assert_contains(text, "Connection: close\r\n");
    assert_int_equal(fx.requests, 0);
    assert_true(stream_mem_is_finished(client));
    fx_gateway_fini(&fx);
}

static void each_limit_has_its_own_answer(void **state)
{
    (void)state;
    check_refused(&(struct gateway_limits){.header_bytes_max = 60},
                  "GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789012345678901234567890123456789\r\n\r\n",
                  "HTTP/1.1 431 Request Header Fields Too Large\r\n",
                  "\"code\":\"headers_too_large\",\"message\":\"the headers exceed 60 bytes\"");
    check_refused(&(struct gateway_limits){.header_count_max = 2},
                  "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 1\r\n\r\n", "HTTP/1.1 431 ",
                  "more than 2 headers");
    check_refused(&(struct gateway_limits){.target_bytes_max = 4}, "GET /1234 HTTP/1.1\r\nHost: a\r\n\r\n",
                  "HTTP/1.1 414 URI Too Long\r\n", "the target has 5 bytes, the limit is 4");
    check_refused(&(struct gateway_limits){.body_bytes_max = 4}, POST("/", "5", "12345"),
                  "HTTP/1.1 413 Content Too Large\r\n", "the body has 5 bytes, the limit is 4");
    check_refused(&(struct gateway_limits){.body_bytes_max = 4},
                  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n",
                  "HTTP/1.1 413 ", "the chunked body exceeds its limit");
    check_refused(NULL, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
                  "HTTP/1.1 400 ", "Content-Length has more than 19 digits");
    check_refused(NULL, "\x16\x03\x01", "HTTP/1.1 400 ", "this looks like TLS");
    check_refused(NULL, "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 501 Not Implemented\r\n",
                  "\"code\":\"method_unknown\",\"message\":\"BREW is not a method that Stead knows\"");
}

static void a_connection_above_the_limit_gets_503_and_those_open_go_on(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, &(struct gateway_limits){.connections_max = 1});
    struct stream_mem *first = fx_connect(&fx);
    struct stream_mem *second = fx_connect(&fx);
    const char *text = fx_received(second);
    assert_contains(text, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_contains(text, "Retry-After: 1\r\n");
    assert_contains(text, "the node has no room for another connection");
    fx_send(&fx, first, GET("/"));
    assert_contains(fx_received(first), "200 OK");
    fx_gateway_fini(&fx);
}

static void bodies_that_together_are_too_much_are_refused_until_there_is_room(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, &(struct gateway_limits){.bodies_bytes_max = 10});
    fx.hold = true;
    struct stream_mem *first = fx_connect(&fx), *second = fx_connect(&fx), *third = fx_connect(&fx);
    fx_send(&fx, first, POST("/", "8", "12345678"));
    fx_send(&fx, second, POST("/", "8", "123"));
    const char *text = fx_received(second);
    assert_contains(text, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_contains(text, "the bodies of all requests under way exceed their limit");
    fx_answer(&fx, 0, "");
    fx_send(&fx, third, POST("/", "8", "123"));
    fx_send(&fx, third, "45678");
    assert_int_equal(fx.held_count, 2);
    fx_answer(&fx, 1, "");
    struct gateway_stats stats;
    gateway_stats(fx.gateway, &stats);
    assert_int_equal(stats.bodies_bytes, 0);
    fx_gateway_fini(&fx);
}

static void more_pipelined_requests_than_allowed_wait_in_the_socket(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, &(struct gateway_limits){.pipeline_max = 2});
    fx.hold = true;
    struct stream_mem *client = fx_connect(&fx);
    fx_send(&fx, client, GET("/1") GET("/2") GET("/3") GET("/4"));
    fx_send(&fx, client, GET("/5"));
    assert_int_equal(fx.held_count, 2);
    for (size_t i = 0; i < 5; i++) fx_answer(&fx, i, "x");
    assert_int_equal(fx.held_count, 5);
    assert_string_equal(buf_cstr(&fx.seen), "GET /1 \nGET /2 \nGET /3 \nGET /4 \nGET /5 \n");
    fx_gateway_fini(&fx);
}

static void a_client_that_does_not_read_is_not_read_from(void **state)
{
    struct fx_gateway *fx = *state;
    struct stream_mem *client = fx_connect(fx);
    stream_mem_fault(client)->write_stalled = true;
    static char body[600000];
    memset(body, 'x', sizeof body);
    for (int i = 0; i < 10; i++)
    {
        stream_mem_send(client, SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n"));
        stream_mem_send(client, slice_make(body, sizeof body));
    }
    fx_settle(fx);
    assert_true(fx->requests < 5);
    stream_mem_fault(client)->write_stalled = false;
    fx_settle(fx);
    assert_int_equal(fx->requests, 10);
    assert_int_equal(fx_count(fx_received(client), "HTTP/1.1 200 OK"), 10);
}

/* ---- time ---- */

static void a_slow_head_or_body_is_answered_with_408(void **state)
{
    (void)state;
    const struct gateway_limits limits = {.head_timeout_ms = 100, .body_timeout_ms = 1000};
    struct fx_gateway fx;
    fx_gateway_init(&fx, &limits);
    struct stream_mem *slow_head = fx_connect(&fx), *slow_body = fx_connect(&fx);
    fx_send(&fx, slow_head, "GET / HTTP/1.1\r\nHost: a\r\n");
    fx_send(&fx, slow_body, POST("/", "100", ""));
    for (int i = 0; i < 9; i++)
    {
        fx_advance_ms(&fx, 10);
        fx_send(&fx, slow_head, "X: 1\r\n"); /* progress is no excuse */
        fx_send(&fx, slow_body, "x");
    }
    assert_string_equal(fx_received(slow_head), "");
    fx_advance_ms(&fx, 10);
    const char *text = fx_received(slow_head);
    assert_contains(text, "HTTP/1.1 408 Request Timeout\r\n");
    assert_contains(text, "the headers did not arrive in time");
    assert_string_equal(fx_received(slow_body), "");
    fx_advance_ms(&fx, 900);
    assert_contains(fx_received(slow_body), "the body did not arrive in time");
    assert_int_equal(fx.requests, 0);
    fx_gateway_fini(&fx);
}

static void an_idle_connection_is_closed_but_never_one_that_waits_for_its_answer(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, &(struct gateway_limits){.idle_timeout_ms = 1000});
    fx.hold = true;
    struct stream_mem *idle = fx_connect(&fx), *waiting = fx_connect(&fx);
    fx_send(&fx, waiting, GET("/"));
    fx_advance_ms(&fx, 999);
    assert_false(stream_mem_is_closed(idle));
    fx_advance_ms(&fx, 1);
    assert_true(stream_mem_is_closed(idle));
    fx_advance_ms(&fx, 100000);
    assert_false(stream_mem_is_closed(waiting));
    fx_answer(&fx, 0, "done");
    assert_contains(fx_received(waiting), "done");
    fx_advance_ms(&fx, 1000);
    assert_true(stream_mem_is_closed(waiting));
    fx_gateway_fini(&fx);
}

static void a_reader_that_stands_still_is_cut_and_a_slow_one_is_not(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, &(struct gateway_limits){.write_timeout_ms = 1000});
    struct stream_mem *dead = fx_connect(&fx), *slow = fx_connect(&fx);
    stream_mem_fault(dead)->write_stalled = true;
    stream_mem_fault(slow)->write_stalled = true;
    fx_send(&fx, dead, GET("/"));
    fx_send(&fx, slow, GET("/"));
    for (int i = 0; i < 5; i++)
    {
        *stream_mem_fault(slow) = (struct stream_mem_fault){.write_max = 1};
        loop_turn(fx.loop, false);
        stream_mem_fault(slow)->write_stalled = true;
        fx_advance_ms(&fx, 1000);
        assert_false(stream_mem_is_closed(slow));
    }
    assert_true(stream_mem_is_closed(dead));
    fx_gateway_fini(&fx);
}

static void a_client_that_never_closes_is_closed_after_lingering(void **state)
{
    struct fx_gateway *fx = *state;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, "nonsense\r\n");
    assert_contains(fx_received(client), "HTTP/1.1 400 Bad Request\r\n");
    fx_send(fx, client, GET("/never-run"));
    fx_advance_ms(fx, BOUND_HTTP_LINGER_MS - 1);
    assert_false(stream_mem_is_closed(client));
    fx_advance_ms(fx, 1);
    assert_true(stream_mem_is_closed(client));
    assert_int_equal(fx->requests, 0);
}

/* ---- streams ---- */

static void a_stream_goes_out_in_chunks_and_the_connection_goes_on(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/stream") GET("/next"));
    const struct http_header type = {SLICE("Content-Type"), SLICE("text/plain")};
    http_stream_begin(fx->held[0], 200, &type, 1);
    fx_settle(fx);
    assert_contains(fx_received(client), "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(http_stream_chunk(fx->held[0], SLICE("hello")), STATUS_OK);
    assert_int_equal(http_stream_chunk(fx->held[0], SLICE_EMPTY), STATUS_OK);
    fx_settle(fx);
    assert_string_equal(fx_received(client), "5\r\nhello\r\n");
    fx_answer(fx, 1, "next");
    assert_string_equal(fx_received(client), "");
    http_stream_end(fx->held[0]);
    fx->held[0] = NULL;
    fx_settle(fx);
    const char *text = fx_received(client);
    assert_int_equal(strncmp(text, "0\r\n\r\nHTTP/1.1 200 OK", 20), 0);
}

static void a_stream_to_http_1_0_ends_with_the_connection(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    http_stream_begin(fx->held[0], 200, NULL, 0);
    assert_int_equal(http_stream_chunk(fx->held[0], SLICE("plain")), STATUS_OK);
    http_stream_end(fx->held[0]);
    fx->held[0] = NULL;
    fx_settle(fx);
    const char *text = fx_received(client);
    assert_contains(text, "Connection: close\r\n\r\nplain");
    assert_null(strstr(text, "chunked"));
    assert_true(stream_mem_is_finished(client));
}

static void a_stream_whose_client_leaves_is_aborted_and_one_that_reads_slowly_is_told(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/"));
    http_stream_begin(fx->held[0], 200, NULL, 0);
    stream_mem_fault(client)->write_stalled = true;
    static char line[100000];
    memset(line, 'x', sizeof line);
    enum status status = STATUS_OK;
    int chunks = 0;
    for (; status == STATUS_OK && chunks < 1000; chunks++)
    {
        status = http_stream_chunk(fx->held[0], slice_make(line, sizeof line));
        loop_turn(fx->loop, false);
    }
    assert_int_equal(status, STATUS_OVERLOADED);
    assert_true(chunks < 20);
    stream_mem_send_end(client, STATUS_OK);
    fx_settle(fx);
    assert_int_equal(fx->aborts, 1);
    assert_int_equal(http_stream_chunk(fx->held[0], SLICE("x")), STATUS_CANCELED);
    http_stream_end(fx->held[0]);
    fx->held[0] = NULL;
}

struct owner {
    struct http_exchange *exchange;
    struct buf bytes;
    size_t rooms, drains;
    bool end_when_drained;
};

static void on_room(void *ctx)
{
    ((struct owner *)ctx)->rooms++;
}

static void on_owner_drain(void *ctx)
{
    struct owner *owner = ctx;
    owner->drains++;
    if (owner->end_when_drained) http_stream_end(owner->exchange);
}

static void on_owner_bytes(void *ctx, struct slice bytes)
{
    buf_append(&((struct owner *)ctx)->bytes, bytes);
}

static const struct http_stream_events owner_events = {on_room, on_owner_drain, on_owner_bytes};

static void a_refused_chunk_finds_room_once_the_client_has_read(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct owner owner = {.exchange = NULL};
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/"));
    http_stream_begin(fx->held[0], 200, NULL, 0);
    http_stream_watch(fx->held[0], &owner_events, &owner);
    stream_mem_fault(client)->write_stalled = true;
    static char line[100000];
    size_t taken = 0;
    while (http_stream_chunk(fx->held[0], slice_make(line, sizeof line)) == STATUS_OK)
    {
        taken++;
        loop_turn(fx->loop, false);
    }
    fx_settle(fx);
    assert_int_equal(owner.rooms, 0);
    stream_mem_fault(client)->write_stalled = false;
    fx_settle(fx);
    assert_int_equal(owner.rooms, 1);
    assert_int_equal(http_stream_chunk(fx->held[0], slice_make(line, sizeof line)), STATUS_OK);
    http_stream_end(fx->held[0]);
    fx->held[0] = NULL;
    fx_settle(fx);
    assert_true(stream_mem_received(client)->size > (taken + 1) * sizeof line);
    assert_int_equal(owner.rooms, 1);
}

static void a_stream_behind_another_answer_finds_room_when_its_turn_comes(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct owner owner = {.exchange = NULL};
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/first") GET("/second"));
    http_stream_begin(fx->held[1], 200, NULL, 0);
    http_stream_watch(fx->held[1], &owner_events, &owner);
    static char line[100000];
    while (http_stream_chunk(fx->held[1], slice_make(line, sizeof line)) == STATUS_OK)
        loop_turn(fx->loop, false);
    fx_settle(fx);
    assert_int_equal(owner.rooms, 0);
    fx_answer(fx, 0, "first");
    assert_int_equal(owner.rooms, 1);
    http_stream_end(fx->held[1]);
    fx->held[1] = NULL;
}

static void a_stream_that_is_cut_ends_without_the_end_of_its_body(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/") GET("/never-answered"));
    http_stream_begin(fx->held[0], 200, NULL, 0);
    assert_int_equal(http_stream_chunk(fx->held[0], SLICE("half")), STATUS_OK);
    http_stream_cut(fx->held[0]);
    fx->held[0] = NULL;
    fx_settle(fx);
    const char *text = fx_received(client);
    assert_contains(text, "4\r\nhalf\r\n");
    assert_null(strstr(text, "0\r\n\r\n"));
    assert_true(stream_mem_is_finished(client));
    assert_int_equal(fx->aborts, 1);
    struct gateway_stats stats;
    gateway_stats(fx->gateway, &stats);
    assert_int_equal(stats.streams_cut, 1);
}

static void a_stream_whose_client_stands_still_is_cut(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *client = fx_connect(fx);
    fx_send(fx, client, GET("/"));
    http_stream_begin(fx->held[0], 200, NULL, 0);
    fx_settle(fx);
    fx_advance_ms(fx, 3600000); /* nothing to say is no reason */
    assert_int_equal(fx->aborts, 0);
    stream_mem_fault(client)->write_stalled = true;
    assert_int_equal(http_stream_chunk(fx->held[0], SLICE("more")), STATUS_OK);
    fx_settle(fx);
    fx_advance_ms(fx, BOUND_HTTP_WRITE_TIMEOUT_MS);
    assert_int_equal(fx->aborts, 1);
    http_stream_end(fx->held[0]);
    fx->held[0] = NULL;
}

/* ---- tunnels ---- */

static void on_upgrade(void *ctx, struct http_exchange *exchange)
{
    struct owner *owner = ctx;
    owner->exchange = NULL;
    if (!http_can_upgrade(exchange))
    {
        http_reply(exchange, 400, NULL, 0, SLICE_EMPTY);
        return;
    }
    const struct http_header header = {SLICE("Sec-Test"), SLICE("1")};
    owner->exchange = exchange;
    http_upgrade(exchange, "test", &header, 1, &owner_events, owner);
}

static struct stream_mem *tunnel_connect(struct fx_gateway *fx, struct owner *owner, const char *request)
{
    struct stream_mem *client = fx_connect(fx);
    fx->handler = on_upgrade;
    fx->handler_ctx = owner;
    fx_send(fx, client, request);
    fx->handler = NULL;
    return client;
}

static void a_tunnel_carries_bytes_both_ways_from_the_first_one_behind_the_request(void **state)
{
    struct fx_gateway *fx = *state;
    struct owner owner = {.bytes = BUF_INIT};
    struct stream_mem *client = tunnel_connect(fx, &owner, GET("/") "early");
    assert_non_null(owner.exchange);
    const char *text = fx_received(client);
    assert_int_equal(strncmp(text, "HTTP/1.1 101 Switching Protocols\r\n", 34), 0);
    assert_contains(text, "Sec-Test: 1\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n");
    fx_send(fx, client, " late GET / HTTP/1.1\r\n\r\n");
    assert_string_equal(buf_cstr(&owner.bytes), "early late GET / HTTP/1.1\r\n\r\n");
    assert_int_equal(http_stream_chunk(owner.exchange, SLICE("answer")), STATUS_OK);
    fx_settle(fx);
    assert_string_equal(fx_received(client), "answer");
    fx_advance_ms(fx, 3600000); /* it may be silent */
    assert_int_equal(http_stream_chunk(owner.exchange, SLICE("bye")), STATUS_OK);
    http_stream_end(owner.exchange);
    fx_settle(fx);
    assert_string_equal(fx_received(client), "bye");
    assert_true(stream_mem_is_finished(client));
    buf_fini(&owner.bytes);
}

static void a_tunnel_that_is_not_read_leaves_its_bytes_with_the_client(void **state)
{
    struct fx_gateway *fx = *state;
    struct owner owner = {.bytes = BUF_INIT};
    struct stream_mem *client = tunnel_connect(fx, &owner, GET("/"));
    http_tunnel_read_stop(owner.exchange);
    http_tunnel_read_stop(owner.exchange);
    fx_send(fx, client, "later");
    assert_int_equal(http_stream_chunk(owner.exchange, SLICE("a write changes nothing")), STATUS_OK);
    fx_settle(fx);
    assert_int_equal(owner.bytes.size, 0);
    http_tunnel_read_start(owner.exchange);
    fx_settle(fx);
    assert_string_equal(buf_cstr(&owner.bytes), "later");
    http_tunnel_read_stop(owner.exchange);
    http_stream_end(owner.exchange);
    stream_mem_send_end(client, STATUS_OK);
    fx_settle(fx);
    assert_true(stream_mem_is_closed(client));
    buf_fini(&owner.bytes);
}

static void only_a_lone_request_that_goes_on_may_be_upgraded(void **state)
{
    struct fx_gateway *fx = *state;
    struct owner owner = {.bytes = BUF_INIT};
    struct stream_mem *old = tunnel_connect(fx, &owner, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_contains(fx_received(old), " 400 ");
    struct stream_mem *last =
        tunnel_connect(fx, &owner, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_contains(fx_received(last), " 400 ");
}

static void a_tunnel_whose_client_leaves_is_told_so(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++)
    {
        struct fx_gateway fx;
        fx_gateway_init(&fx, NULL);
        struct owner owner = {.bytes = BUF_INIT};
        struct stream_mem *client = tunnel_connect(&fx, &owner, GET("/"));
        stream_mem_send_end(client, how ? STATUS_IO : STATUS_OK);
        fx_settle(&fx);
        struct gateway_stats stats;
        gateway_stats(fx.gateway, &stats);
        assert_int_equal(stats.aborted, 1);
        assert_int_equal(http_stream_chunk(owner.exchange, SLICE("x")), STATUS_CANCELED);
        http_tunnel_read_start(owner.exchange);
        http_stream_end(owner.exchange);
        fx_gateway_fini(&fx);
    }
}

/* ---- drain ---- */

static void on_drained(void *ctx)
{
    ((struct fx_gateway *)ctx)->drained = true;
}

static void a_drain_ends_idle_connections_and_lets_running_requests_finish(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *idle = fx_connect(fx), *busy = fx_connect(fx), *half = fx_connect(fx);
    fx_send(fx, busy, GET("/busy"));
    fx_send(fx, half, "GET /half HTTP/1.1\r\n");
    gateway_drain(fx->gateway, 10000, on_drained, fx);
    fx_settle(fx);
    assert_true(stream_mem_is_finished(idle));
    assert_false(fx->drained);
    fx_send(fx, busy, GET("/too-late"));
    fx_send(fx, half, "Host: a\r\n\r\n");
    assert_int_equal(fx->held_count, 2);
    fx_answer(fx, 0, "one");
    fx_answer(fx, 1, "two");
    assert_contains(fx_received(busy), "Connection: close\r\n");
    assert_contains(fx_received(half), "Connection: close\r\n");
    stream_mem_send_end(idle, STATUS_OK);
    stream_mem_send_end(busy, STATUS_OK);
    stream_mem_send_end(half, STATUS_OK);
    fx_settle(fx);
    assert_true(fx->drained);
}

static void a_drain_tells_streams_and_tunnels_that_they_should_end(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct owner stream = {.end_when_drained = true}, tunnel = {.end_when_drained = true};
    struct stream_mem *a = fx_connect(fx), *b = tunnel_connect(fx, &tunnel, GET("/"));
    fx_send(fx, a, GET("/"));
    stream.exchange = fx->held[0];
    fx->held[0] = NULL;
    http_stream_begin(stream.exchange, 200, NULL, 0);
    http_stream_watch(stream.exchange, &owner_events, &stream);
    gateway_drain(fx->gateway, 10000, on_drained, fx);
    fx_settle(fx);
    assert_int_equal(stream.drains, 1);
    assert_int_equal(tunnel.drains, 1);
    assert_contains(fx_received(a), "0\r\n\r\n");
    stream_mem_send_end(a, STATUS_OK);
    stream_mem_send_end(b, STATUS_OK);
    fx_settle(fx);
    assert_true(fx->drained);
}

static void a_drain_is_over_in_bounded_time(void **state)
{
    struct fx_gateway *fx = *state;
    fx->hold = true;
    struct stream_mem *busy = fx_connect(fx);
    fx_send(fx, busy, GET("/busy"));
    gateway_drain(fx->gateway, 500, on_drained, fx);
    fx_advance_ms(fx, 499);
    assert_false(fx->drained);
    fx_advance_ms(fx, 1);
    assert_true(fx->drained);
    assert_int_equal(fx->aborts, 1);
}

static void a_gateway_closes_when_the_last_exchange_has_been_answered(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, NULL);
    fx.hold = true;
    struct stream_mem *client = fx_connect(&fx);
    fx_send(&fx, client, GET("/"));
    gateway_close(fx.gateway, on_drained, &fx);
    fx_settle(&fx);
    assert_false(fx.drained);
    http_reply(fx.held[0], 200, NULL, 0, SLICE_EMPTY);
    fx.held[0] = NULL;
    for (int i = 0; i < 4; i++) loop_turn(fx.loop, false);
    assert_true(fx.drained);
    fx.closed = true;
    fx_gateway_fini(&fx);
}

/* ---- any interleaving of faults ---- */

static void resets_in_the_middle_of_anything_leak_nothing(void **state)
{
    (void)state;
    const char *bytes =
        GET("/1") POST("/2", "10", "0123456789") "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                                                 "chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n" GET("/4");
    struct fx_gateway fx;
    fx_gateway_init(&fx, NULL);
    for (size_t cut = 0; cut <= strlen(bytes); cut++)
    {
        fx.hold = cut % 2;
        fx.held_count = 0;
        struct stream_mem *client = fx_connect(&fx);
        stream_mem_fault(client)->write_max = 1 + cut % 7;
        stream_mem_send(client, slice_make(bytes, cut));
        stream_mem_send_end(client, cut % 3 ? STATUS_IO : STATUS_OK);
        for (int i = 0; i < 6; i++) loop_turn(fx.loop, false);
        for (size_t i = 0; i < fx.held_count; i++) fx_answer(&fx, i, "late");
        fx.held_count = 0;
        for (int i = 0; i < 1000 && !stream_mem_is_closed(client); i++) loop_turn(fx.loop, false);
        assert_true(stream_mem_is_closed(client));
        fx_forget(&fx, client);
    }
    fx_gateway_fini(&fx);
}

/* ---- refusals ---- */

#define REFUSED POST("/refused", "0", "")

static void refuses_two_a_second(struct fx_gateway *fx)
{
    fx_gateway_init(fx, &(struct gateway_limits){.refusals_per_s = 2, .refusals_burst = 2});
    fx->refuse = true;
}

static uint64_t paced(struct fx_gateway *fx)
{
    struct gateway_stats stats;
    gateway_stats(fx->gateway, &stats);
    return stats.paced;
}

static void who_is_refused_too_often_is_told_at_once_and_waits_before_he_is_read_again(void **state)
{
    (void)state;
    struct fx_gateway fx;
    refuses_two_a_second(&fx);
    struct stream_mem *client = fx_connect(&fx);
    fx_send(&fx, client, REFUSED REFUSED REFUSED REFUSED REFUSED);
    assert_int_equal(fx_count(fx_received(client), "HTTP/1.1 429"), 3);
    assert_int_equal(fx.requests, 3);
    fx_advance_ms(&fx, 499);
    assert_int_equal(fx.requests, 3);
    fx_advance_ms(&fx, 1);
    assert_int_equal(fx_count(fx_received(client), "HTTP/1.1 429"), 1);
    fx_advance_ms(&fx, 500);
    assert_int_equal(fx_count(fx_received(client), "HTTP/1.1 429"), 1);
    assert_int_equal(fx.requests, 5);
    assert_int_equal(paced(&fx), 3);
    fx_gateway_fini(&fx);
}

static void a_flood_of_refusals_on_other_connections_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct fx_gateway fx;
    refuses_two_a_second(&fx);
    struct stream_mem *flood[8];
    for (int i = 0; i < 8; i++)
    {
        flood[i] = fx_connect(&fx);
        fx_send(&fx, flood[i], REFUSED REFUSED);
    }
    assert_int_equal(fx.requests, 9); /* one of each, and a second of the first one: two are free */
    struct stream_mem *client = fx_connect(&fx);
    fx_send(&fx, client, GET("/1") GET("/2") GET("/3"));
    assert_int_equal(fx_count(fx_received(client), "HTTP/1.1 200"), 3);
    fx_advance_ms(&fx, 500);
    assert_int_equal(fx.requests, 13); /* those who wait are read in turn */
    fx_gateway_fini(&fx);
}

static void who_was_refused_now_and_then_never_waits(void **state)
{
    (void)state;
    struct fx_gateway fx;
    refuses_two_a_second(&fx);
    struct stream_mem *client = fx_connect(&fx);
    for (int i = 0; i < 20; i++)
    {
        fx_send(&fx, client, REFUSED);
        assert_int_equal(fx_count(fx_received(client), "HTTP/1.1 429"), 1);
        fx_advance_ms(&fx, 500);
    }
    assert_int_equal(paced(&fx), 0);
    fx_gateway_fini(&fx);
}

static void a_drain_does_not_wait_for_those_who_are_paced(void **state)
{
    (void)state;
    struct fx_gateway fx;
    refuses_two_a_second(&fx);
    struct stream_mem *client = fx_connect(&fx);
    fx_send(&fx, client, REFUSED REFUSED REFUSED REFUSED);
    gateway_drain(fx.gateway, 10000, on_drained, &fx);
    stream_mem_send_end(client, STATUS_OK);
    fx_settle(&fx);
    assert_true(fx.drained);
    fx_gateway_fini(&fx);
}

int main(void)
{
#define GATEWAY(name) cmocka_unit_test_setup_teardown(name, fx_gateway_setup, fx_gateway_teardown)
    const struct CMUnitTest tests[] = {
        GATEWAY(a_request_is_answered_and_the_connection_goes_on),
        GATEWAY(answers_leave_in_the_order_of_the_requests),
        GATEWAY(bytes_may_come_one_by_one_and_go_one_by_one),
        GATEWAY(connection_close_is_obeyed_and_said),
        GATEWAY(http_1_0_closes_unless_asked_to_keep),
        GATEWAY(a_client_that_has_finished_sending_still_gets_its_answer),
        GATEWAY(a_broken_connection_aborts_its_exchanges_whose_answers_go_nowhere),
        GATEWAY(a_failing_write_aborts_what_is_still_running),
        GATEWAY(a_client_that_waits_for_100_gets_it_when_its_turn_comes),
        cmocka_unit_test(a_body_that_will_be_refused_is_not_asked_for),
        GATEWAY(head_is_answered_with_the_length_and_without_the_body),
        GATEWAY(headers_of_a_handler_cannot_break_the_answer),
        GATEWAY(a_failure_is_told_as_the_table_says),
        cmocka_unit_test(each_limit_has_its_own_answer),
        cmocka_unit_test(a_connection_above_the_limit_gets_503_and_those_open_go_on),
        cmocka_unit_test(bodies_that_together_are_too_much_are_refused_until_there_is_room),
        cmocka_unit_test(more_pipelined_requests_than_allowed_wait_in_the_socket),
        GATEWAY(a_client_that_does_not_read_is_not_read_from),
        cmocka_unit_test(a_slow_head_or_body_is_answered_with_408),
        cmocka_unit_test(an_idle_connection_is_closed_but_never_one_that_waits_for_its_answer),
        cmocka_unit_test(a_reader_that_stands_still_is_cut_and_a_slow_one_is_not),
        GATEWAY(a_client_that_never_closes_is_closed_after_lingering),
        GATEWAY(a_stream_goes_out_in_chunks_and_the_connection_goes_on),
        GATEWAY(a_stream_to_http_1_0_ends_with_the_connection),
        GATEWAY(a_stream_whose_client_leaves_is_aborted_and_one_that_reads_slowly_is_told),
        GATEWAY(a_refused_chunk_finds_room_once_the_client_has_read),
        GATEWAY(a_stream_behind_another_answer_finds_room_when_its_turn_comes),
        GATEWAY(a_stream_that_is_cut_ends_without_the_end_of_its_body),
        GATEWAY(a_stream_whose_client_stands_still_is_cut),
        GATEWAY(a_tunnel_carries_bytes_both_ways_from_the_first_one_behind_the_request),
        GATEWAY(a_tunnel_that_is_not_read_leaves_its_bytes_with_the_client),
        GATEWAY(only_a_lone_request_that_goes_on_may_be_upgraded),
        cmocka_unit_test(a_tunnel_whose_client_leaves_is_told_so),
        GATEWAY(a_drain_tells_streams_and_tunnels_that_they_should_end),
        GATEWAY(a_drain_ends_idle_connections_and_lets_running_requests_finish),
        GATEWAY(a_drain_is_over_in_bounded_time),
        cmocka_unit_test(a_gateway_closes_when_the_last_exchange_has_been_answered),
        cmocka_unit_test(who_is_refused_too_often_is_told_at_once_and_waits_before_he_is_read_again),
        cmocka_unit_test(a_flood_of_refusals_on_other_connections_keeps_nobody_waiting),
        cmocka_unit_test(who_was_refused_now_and_then_never_waits),
        cmocka_unit_test(a_drain_does_not_wait_for_those_who_are_paced),
        cmocka_unit_test(resets_in_the_middle_of_anything_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
