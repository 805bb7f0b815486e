/* test_stream.c - replies in pieces, server-sent events and pushes, with the node at the other end played by the test. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "sdk/src/ctx.h"

struct world {
    struct stead_ctx ctx;
    struct wire_invoke invoke;
    struct wire_result result;
    struct buf
        pieces; /* "200 name: value;|piece" for the first, "|piece" for others; long ones by their size */
    enum status answer; /* to each piece */
    uint32_t asked;
    uint32_t gone_after; /* pieces; then the client has gone */
};

static uint32_t on_ask(void *owner, struct wire_ask *ask)
{
    struct world *w = owner;
    assert_int_equal(ask->kind, WIRE_ASK_STREAM);
    if (ask->number) buf_printf(&w->pieces, "%u ", (unsigned)ask->number);
    for (size_t i = 0; i < ask->key.size; i++)
    {
        char byte = ((const char *)ask->key.data)[i];
        buf_append_byte(&w->pieces, (uint8_t)(byte == '\n' ? ';' : byte));
    }
    buf_append_byte(&w->pieces, '|');
    if (ask->body.size > 1000)
        buf_printf(&w->pieces, "%zu", ask->body.size);
    else
        buf_append(&w->pieces, ask->body);
    return ++w->asked;
}

static void on_answer(void *owner, struct wire_answer *answer)
{
    struct world *w = owner;
    bool gone = w->gone_after && w->asked > w->gone_after;
    *answer = (struct wire_answer){.ask = w->asked,
                                   .status = gone ? STATUS_CANCELED : w->answer,
                                   .failure = gone ? SLICE("the client has gone") : SLICE_EMPTY};
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    stead__ctx_init(&w->ctx, NULL);
    w->ctx.owner = w;
    w->ctx.ask = on_ask;
    w->ctx.answer = on_answer;
    w->invoke.entity = SLICE("room/1");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    stead__ctx_fini(&w->ctx);
    buf_fini(&w->pieces);
    free(w);
    return 0;
}

static const struct wire_result *run(struct world *w, stead__handler_fn handler)
{
    stead__ctx_run(&w->ctx, &w->invoke, handler, &w->result);
    return &w->result;
}

static const char *pieces(struct world *w)
{
    return buf_cstr(&w->pieces);
}

/* ---- pieces ---- */

STEAD_FUNCTION(counts)
{
    stead_reply_status(ctx, 201);
    stead_reply_header(ctx, "x-kind", "count");
    stead_reply(ctx, "begin ");
    for (int i = 2; i > 0; i--)
        if (stead_stream_text(ctx, "%d", i) != STEAD_OK) return STEAD_FAILED;
    return stead_reply(ctx, "end");
}

static void the_first_piece_takes_status_headers_and_what_was_gathered_along(void **state)
{
    struct world *w = *state;
    const struct wire_result *result = run(w, stead_fn_counts);
    assert_string_equal(pieces(w), "201 x-kind: count;content-type: text/plain; charset=utf-8;|begin 2|1");
    assert_int_equal(result->outcome, WIRE_OUTCOME_OK);
    assert_true(slice_is(result->body, "end")); /* after the commit */
}

static void who_takes_a_reply_whole_gets_it_whole(void **state)
{
    struct world *w = *state;
    w->answer = STATUS_UNSUPPORTED;
    const struct wire_result *result = run(w, stead_fn_counts);
    assert_int_equal(w->asked, 1); /* and is not asked again */
    assert_true(slice_is(result->body, "begin 21end"));
    assert_int_equal(result->http_status, 201);
}

static void without_anybody_to_ask_pieces_are_gathered(void **state)
{
    struct world *w = *state;
    w->ctx.ask = NULL;
    assert_true(slice_is(run(w, stead_fn_counts)->body, "begin 21end"));
}

static void a_client_that_has_gone_is_a_failure_of_the_handler(void **state)
{
    struct world *w = *state;
    w->gone_after = 1;
    const struct wire_result *result = run(w, stead_fn_counts);
    assert_int_equal(w->asked, 2);
    assert_int_equal(result->outcome, WIRE_OUTCOME_STATUS);
    assert_int_equal(result->status, STATUS_CANCELED);
    assert_true(slice_is(result->failure, "stead_stream: the client has gone"));
}

STEAD_FUNCTION(streams_much)
{
    size_t size = (size_t)BOUND_STREAM_PIECE_BYTES_MAX * 2 + 5000;
    void *much = calloc(1, size);
    enum stead_status status = stead_stream(ctx, much, size);
    free(much);
    return status;
}

static void much_goes_in_pieces_that_a_client_has_room_for(void **state)
{
    struct world *w = *state;
    char want[100];
    snprintf(want, sizeof want, "|%llu|%llu|5000", (unsigned long long)BOUND_STREAM_PIECE_BYTES_MAX,
             (unsigned long long)BOUND_STREAM_PIECE_BYTES_MAX);
    assert_int_equal(run(w, stead_fn_streams_much)->outcome, WIRE_OUTCOME_OK);
    assert_non_null(strstr(pieces(w), want));
}

/* ---- events ---- */

STEAD_FUNCTION(events)
{
    stead_event(ctx, "price", "7", "12.5");
    stead_event(ctx, NULL, NULL, "two\r\nlines\rand a third\n");
    return stead_event(ctx, NULL, "8", NULL);
}

static void events_have_the_form_that_browsers_read(void **state)
{
    struct world *w = *state;
    assert_int_equal(run(w, stead_fn_events)->outcome, WIRE_OUTCOME_OK);
    assert_string_equal(pieces(w), "200 content-type: text/event-stream;cache-control: no-cache;|"
                                   "event: price\nid: 7\ndata: 12.5\n\n|"
                                   "data: two\ndata: lines\ndata: and a third\ndata: \n\n|"
                                   "id: 8\n\n");
}

STEAD_FUNCTION(event_with_a_line_too_many)
{
    return stead_event(ctx, "price\ndata: forged", NULL, "x");
}

static void a_name_cannot_forge_a_field(void **state)
{
    struct world *w = *state;
    const struct wire_result *result = run(w, stead_fn_event_with_a_line_too_many);
    assert_true(slice_is(result->failure, "stead_event: the name and the id of an event are one line each"));
    assert_int_equal(w->asked, 0);
}

/* ---- pushes ---- */

static const char *pushes(const struct wire_result *result)
{
    static char text[500];
    struct wire_effect effect;
    bool found;
    text[0] = 0;
    for (size_t at = 0; wire_effect_next(result->effects, &at, &effect, &found, NULL) == STATUS_OK && found;)
    {
        size_t used = strlen(text);
        assert_int_equal(effect.kind, WIRE_EFFECT_PUSH);
        snprintf(text + used, sizeof text - used, "%s %.*s>%.*s=%.*s\n", effect.number ? "binary" : "text",
                 SLICE_FMT(effect.name), SLICE_FMT(effect.key), SLICE_FMT(effect.body));
    }
    return text;
}

STEAD_FUNCTION(pushes_around)
{
    stead_push_text(ctx, stead_connection(ctx), "you");
    stead_push(ctx, "c2", "\x01", 1);
    stead_push_entity_text(ctx, NULL, stead_socket_event(ctx));
    stead_push_entity(ctx, "room/2", "b", 1);
    return STEAD_OK;
}

static void pushes_leave_with_the_commit_to_one_or_to_all_of_an_entity(void **state)
{
    struct world *w = *state;
    w->invoke.origin = WIRE_ORIGIN_SOCKET;
    w->invoke.headers = (struct wire_headers){.count = 2};
    w->invoke.headers.items[0] = (struct wire_header){SLICE("stead-connection"), SLICE("c1")};
    w->invoke.headers.items[1] = (struct wire_header){SLICE("stead-event"), SLICE("message")};
    assert_string_equal(pushes(run(w, stead_fn_pushes_around)),
                        "text c1>=you\nbinary c2>=\x01\ntext >room/1=message\nbinary >room/2=b\n");
    assert_int_equal(w->asked, 0);
}

static void headers_of_a_request_make_no_connection(void **state)
{
    struct world *w = *state;
    w->invoke.headers = (struct wire_headers){.count = 1};
    w->invoke.headers.items[0] = (struct wire_header){SLICE("stead-connection"), SLICE("c1")};
    const struct wire_result *result = run(w, stead_fn_pushes_around);
    assert_true(slice_is(result->failure, "stead_push_text: this is no connection"));
    assert_int_equal(result->effects.size, 0);
}

STEAD_FUNCTION(pushes_and_fails)
{
    stead_push_text(ctx, "c1", "you");
    return stead_fail(ctx, "no");
}

STEAD_FUNCTION(pushes_too_much)
{
    static char body[BOUND_MESSAGE_BYTES_MAX + 1];
    return stead_push(ctx, "c1", body, sizeof body);
}

static void a_handler_that_fails_has_pushed_nothing_and_too_much_is_a_failure(void **state)
{
    struct world *w = *state;
    assert_int_equal(run(w, stead_fn_pushes_and_fails)->effects.size, 0);
    stead__ctx_reset(&w->ctx);
    assert_true(slice_is(run(w, stead_fn_pushes_too_much)->failure,
                         "stead_push: a message has 1048577 bytes; at most 1048576 are allowed"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_first_piece_takes_status_headers_and_what_was_gathered_along),
        TEST(who_takes_a_reply_whole_gets_it_whole),
        TEST(without_anybody_to_ask_pieces_are_gathered),
        TEST(a_client_that_has_gone_is_a_failure_of_the_handler),
        TEST(much_goes_in_pieces_that_a_client_has_room_for),
        TEST(events_have_the_form_that_browsers_read),
        TEST(a_name_cannot_forge_a_field),
        TEST(pushes_leave_with_the_commit_to_one_or_to_all_of_an_entity),
        TEST(headers_of_a_request_make_no_connection),
        TEST(a_handler_that_fails_has_pushed_nothing_and_too_much_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
