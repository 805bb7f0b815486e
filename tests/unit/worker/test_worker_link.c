/* test_worker_link.c - the link to a worker, with this test as the worker. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/loop/loop.h"
#include "runtime/worker/worker_link.h"

struct fx {
    struct loop *loop;
    struct worker_link *link;
    int peer;
    unsigned readies, results, logs, asks, ends;
    uint64_t last_id;
    size_t last_body;
    enum status end;
    bool mute_at_result;
    uint32_t rest_us; /* after a line; 0: none */
};

static void on_ready(void *ctx, const struct wire_ready *ready)
{
    struct fx *fx = ctx;
    fx->readies++;
    fx->last_id = ready->pid;
}

static void on_result(void *ctx, const struct wire_result *result)
{
    struct fx *fx = ctx;
    fx->results++;
    fx->last_id = result->id;
    fx->last_body = result->body.size;
    if (fx->mute_at_result) worker_link_mute(fx->link);
}

static void on_log(void *ctx, const struct wire_log *log)
{
    (void)log;
    struct fx *fx = ctx;
    fx->logs++;
    if (fx->rest_us) worker_link_rest(fx->link, fx->rest_us);
}

static void on_end(void *ctx, enum status status, const struct err *err)
{
    struct fx *fx = ctx;
    assert_true((status == STATUS_OK) == (err == NULL));
    fx->ends++;
    fx->end = status;
}

static void on_ask(void *ctx, const struct wire_ask *ask)
{
    struct fx *fx = ctx;
    fx->asks++;
    fx->last_id = ask->ask;
}

static const struct worker_link_handler handler = {on_ready, on_result, on_log, on_ask, on_end};

static int set_up(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    struct err err = ERR_INIT;
    assert_int_equal(loop_create(&fx->loop, clock_real(), &err), STATUS_OK);
    assert_int_equal(worker_link_open(fx->loop, &handler, fx, &fx->link, &fx->peer, &err), STATUS_OK);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    struct fx *fx = *state;
    if (fx->peer >= 0) close(fx->peer);
    worker_link_close(fx->link);
    loop_destroy(fx->loop);
    free(fx);
    return 0;
}

static void turns(struct fx *fx, int count)
{
    for (int i = 0; i < count; i++) loop_turn(fx->loop, false);
}

static void write_peer(struct fx *fx, const void *data, size_t size)
{
    assert_int_equal(send(fx->peer, data, size, MSG_NOSIGNAL), size);
}

static void append_result(struct buf *out, uint64_t id, size_t body)
{
    static struct wire_result result;
    void *bytes = calloc(1, body + 1);
    result.id = id;
    result.http_status = 200;
    result.body = slice_make(bytes, body);
    wire_result_encode(out, &result);
    free(bytes);
}

static void many_frames_come_with_one_read(void **state)
{
    struct fx *fx = *state;
    struct buf out = BUF_INIT;
    wire_ready_encode(&out, &(struct wire_ready){.version = WIRE_VERSION, .pid = 1});
    for (uint64_t id = 1; id <= 100; id++) append_result(&out, id, 10);
    wire_log_encode(&out, &(struct wire_log){.text = SLICE("line")});
    write_peer(fx, out.data, out.size);
    turns(fx, 1);
    assert_int_equal(fx->readies, 1);
    assert_int_equal(fx->results, 100);
    assert_int_equal(fx->logs, 1);
    assert_int_equal(fx->last_id, 100);
    buf_fini(&out);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
    struct fx *fx = *state;
    struct buf out = BUF_INIT;
    append_result(&out, 7, 30);
    for (size_t i = 0; i < out.size; i++)
    {
        assert_int_equal(fx->results, 0);
        write_peer(fx, out.data + i, 1);
        turns(fx, 1);
    }
    assert_int_equal(fx->results, 1);
    assert_int_equal(fx->last_body, 30);
    buf_fini(&out);
}

static void a_large_frame_arrives_in_many_pieces(void **state)
{
    struct fx *fx = *state;
    struct buf out = BUF_INIT;
    append_result(&out, 8, 5 << 20);
    for (size_t sent = 0; sent < out.size;)
    {
        ssize_t size = send(fx->peer, out.data + sent, out.size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size > 0) sent += (size_t)size;
        turns(fx, 1);
    }
    turns(fx, 2);
    assert_int_equal(fx->results, 1);
    assert_int_equal(fx->last_body, 5 << 20);
    buf_fini(&out);
}

static void expect_refused(struct fx *fx, const void *bytes, size_t size)
{
    write_peer(fx, bytes, size);
    turns(fx, 3);
    assert_int_equal(fx->ends, 1);
    assert_int_equal(fx->end, STATUS_FUNCTION_PROTOCOL);
    write_peer(fx, bytes, size); /* nothing is read any more */
    turns(fx, 3);
    assert_int_equal(fx->ends, 1);
    assert_int_equal(fx->results + fx->logs + fx->readies, 0);
}

static void garbage_is_refused(void **state)
{
    expect_refused(*state, "ZZZZZZZZ", 8);
}

static void a_length_beyond_the_limit_is_refused_before_its_bytes_come(void **state)
{
    expect_refused(*state, "\xff\xff\xff\xff", 4);
}

static void an_empty_frame_is_refused(void **state)
{
    expect_refused(*state, "\0\0\0\0", 4);
}

static void a_message_that_only_we_send_is_refused(void **state)
{
    struct buf out = BUF_INIT;
    static const struct wire_invoke invoke = {.id = 1, .timeout_ms = 1};
    wire_invoke_encode(&out, &invoke);
    expect_refused(*state, out.data, out.size);
    buf_fini(&out);
}

static void the_end_is_told_after_what_came_before_it(void **state)
{
    struct fx *fx = *state;
    struct buf out = BUF_INIT;
    append_result(&out, 9, 1);
    write_peer(fx, out.data, out.size);
    close(fx->peer);
    fx->peer = -1;
    worker_link_drain(fx->link);
    turns(fx, 2);
    assert_int_equal(fx->results, 1);
    assert_int_equal(fx->ends, 1);
    assert_int_equal(fx->end, STATUS_OK);
    buf_fini(&out);
}

static void a_muted_link_tells_nothing_more(void **state)
{
    struct fx *fx = *state;
    struct buf out = BUF_INIT;
    append_result(&out, 1, 1);
    append_result(&out, 2, 1);
    fx->mute_at_result = true;
    write_peer(fx, out.data, out.size);
    turns(fx, 3);
    assert_int_equal(fx->results, 1);
    buf_fini(&out);
}

static void write_lines(struct fx *fx, int count)
{
    struct buf out = BUF_INIT;
    for (int i = 0; i < count; i++) wire_log_encode(&out, &(struct wire_log){.text = SLICE("line")});
    append_result(&out, 1, 1);
    write_peer(fx, out.data, out.size);
    buf_fini(&out);
}

static void a_link_that_rests_handles_what_it_has_read_and_reads_again_later(void **state)
{
    struct fx *fx = *state;
    fx->rest_us = 20000;
    write_lines(fx, 25);
    turns(fx, 1);
    assert_int_equal(fx->logs, 25);
    assert_int_equal(fx->results, 1);
    fx->rest_us = 0;
    write_lines(fx, 25);
    uint64_t began = clock_monotonic_ns(clock_real());
    turns(fx, 1);
    assert_int_equal(fx->logs, 25);
    while (fx->results < 2) loop_turn(fx->loop, true);
    assert_true(clock_monotonic_ns(clock_real()) - began > NS_PER_MS);
    assert_int_equal(fx->logs, 50);
}

static void a_link_that_rests_still_writes(void **state)
{
    struct fx *fx = *state;
    fx->rest_us = 1000000000;
    write_lines(fx, 2);
    turns(fx, 1);
    write_lines(fx, 2);
    worker_link_send(fx->link, &(struct wire_invoke){.id = 1, .function = SLICE("f"), .timeout_ms = 1});
    worker_link_flush(fx->link);
    turns(fx, 5);
    char byte;
    assert_int_equal(recv(fx->peer, &byte, 1, MSG_DONTWAIT), 1);
    assert_int_equal(fx->logs, 2);
}

static void a_dead_worker_s_frames_need_no_rest(void **state)
{
    struct fx *fx = *state;
    fx->rest_us = 1000000000;
    write_lines(fx, 20);
    turns(fx, 1);
    struct buf out = BUF_INIT; /* more than one read */
    append_result(&out, 1, 100000);
    write_lines(fx, 20);
    write_peer(fx, out.data, out.size);
    buf_fini(&out);
    worker_link_drain(fx->link);
    assert_int_equal(fx->logs, 40);
    assert_int_equal(fx->results, 3);
}

static void a_muted_link_does_not_wake_from_its_rest(void **state)
{
    struct fx *fx = *state;
    fx->rest_us = 1000;
    write_lines(fx, 2);
    turns(fx, 1);
    worker_link_mute(fx->link);
    write_lines(fx, 2);
    uint64_t end = clock_monotonic_ns(clock_real()) + 3 * NS_PER_MS;
    while (clock_monotonic_ns(clock_real()) < end) turns(fx, 1);
    assert_int_equal(fx->logs, 2);
}

/* Frames that the peer has not read are kept and follow. */
static void what_the_worker_does_not_take_follows_later(void **state)
{
    struct fx *fx = *state;
    enum { COUNT = 20, BODY = 100000 };
    void *body = calloc(1, BODY);
    struct wire_invoke *invoke = calloc(1, sizeof *invoke);
    invoke->function = SLICE("f");
    invoke->body = slice_make(body, BODY);
    for (invoke->id = 1; invoke->id <= COUNT; invoke->id++) worker_link_send(fx->link, invoke);
    worker_link_flush(fx->link);
    assert_true(worker_link_backlog(fx->link) > 0);

    struct buf in = BUF_INIT;
    while (in.size < (size_t)COUNT * BODY)
    {
        turns(fx, 1);
        ssize_t size = recv(fx->peer, buf_reserve(&in, 65536), 65536, MSG_DONTWAIT);
        if (size > 0) in.size += (size_t)size;
        if (worker_link_backlog(fx->link) == 0 && size < 0 && errno == EAGAIN) break;
    }
    size_t offset = 0;
    for (uint64_t id = 1; id <= COUNT; id++)
    {
        struct slice payload;
        size_t need;
        bool whole;
        struct err err = ERR_INIT;
        struct slice rest = slice_make(in.data + offset, in.size - offset);
        assert_int_equal(wire_frame_next(rest, &payload, &need, &whole, &err), STATUS_OK);
        assert_true(whole);
        assert_int_equal(wire_invoke_decode(payload, invoke, &err), STATUS_OK);
        assert_int_equal(invoke->id, id);
        offset += need;
    }
    assert_int_equal(offset, in.size);
    buf_fini(&in);
    free(invoke);
    free(body);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(many_frames_come_with_one_read),
        LINK_TEST(a_frame_may_come_byte_by_byte),
        LINK_TEST(a_large_frame_arrives_in_many_pieces),
        LINK_TEST(garbage_is_refused),
        LINK_TEST(a_length_beyond_the_limit_is_refused_before_its_bytes_come),
        LINK_TEST(an_empty_frame_is_refused),
        LINK_TEST(a_message_that_only_we_send_is_refused),
        LINK_TEST(the_end_is_told_after_what_came_before_it),
        LINK_TEST(a_muted_link_tells_nothing_more),
        LINK_TEST(a_link_that_rests_handles_what_it_has_read_and_reads_again_later),
        LINK_TEST(a_link_that_rests_still_writes),
        LINK_TEST(a_dead_worker_s_frames_need_no_rest),
        LINK_TEST(a_muted_link_does_not_wake_from_its_rest),
        LINK_TEST(what_the_worker_does_not_take_follows_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
