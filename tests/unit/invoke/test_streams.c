/* test_streams.c - the first piece of a streamed reply: when it may leave, and what is never done again after it. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/list.h"
#include "statestore/kv/keyspace.h"
#include "tests/unit/invoke/fx_invoke.h"

/* Who takes the pieces. */
struct reader {
    struct invoke_stream stream;
    struct caller caller;
    struct buf seen;
    int pieces, overs;
};

static void on_piece(struct invoke_stream *stream, struct invocation *invocation, const struct wire_ask *ask)
{
    struct reader *reader = CONTAINER_OF(stream, struct reader, stream);
    reader->pieces++;
    buf_append(&reader->seen, ask->key);
    buf_append(&reader->seen, ask->body);
    invocation_answer(invocation, &(struct wire_answer){.ask = ask->ask});
}

static void on_over(struct invoke_stream *stream)
{
    CONTAINER_OF(stream, struct reader, stream)->overs++;
}

static void on_done(void *ctx, const struct outcome *outcome)
{
    struct reader *reader = ctx;
    reader->caller.answers++;
    reader->caller.status = outcome->status;
}

static void start_reader(struct fixture *fx, struct reader *reader, const char *entity, const char *key)
{
    *reader = (struct reader){.stream = {on_piece, on_over}};
    struct invoke_request request = {
        .entity = slice_cstr(entity),
        .headers = &reader->caller.headers,
        .has_idempotency_key = key != NULL,
        .idempotency_key = key ? slice_cstr(key) : SLICE_EMPTY,
        .stream = &reader->stream,
    };
    invoke_start(fx->engine, &fx->version, &fx->function, &request, on_done, reader);
}

static void piece(struct pool_run *run, uint32_t ask, const char *head, const char *body)
{
    run->ask(run, &(struct wire_ask){
                      .ask = ask,
                      .kind = WIRE_ASK_STREAM,
                      .number = 200,
                      .key = slice_cstr(head),
                      .body = slice_cstr(body),
                  });
}

static void pieces_go_to_the_reader_and_the_rest_with_the_outcome(void **state)
{
    struct fixture *fx = *state;
    struct reader reader;
    start_reader(fx, &reader, "x", NULL);
    struct pool_run *run = taken();
    piece(run, 1, "a: b\n", "one ");
    assert_int_equal(fx_answer(fx)->status, STATUS_OK);
    piece(run, 2, "", "two");
    assert_int_equal(fx_answer(fx)->ask, 2);
    assert_string_equal(buf_cstr(&reader.seen), "a: b\none two");
    assert_int_equal(reader.overs, 0);
    end_with(run, NULL, "rest");
    assert_int_equal(reader.overs, 1);
    until_answered(fx, &reader.caller);
    assert_int_equal(reader.caller.status, STATUS_OK);
    buf_fini(&reader.seen);
}

static void the_first_piece_waits_until_what_it_has_seen_is_durable(void **state)
{
    struct fixture *fx = *state;
    struct caller before;
    struct reader reader;
    start(fx, &before, "x");
    start_reader(fx, &reader, "x", NULL);
    struct pool_run *first = taken(),
                    *second = taken(); /* one chain: the second sees what the first writes */
    end_with(first, "1", "");
    piece(second, 1, "", "seen");
    assert_int_equal(reader.pieces, 0);
    assert_true(fx_unanswered());
    assert_int_equal(fx_answer(fx)->status, STATUS_OK);
    assert_int_equal(reader.pieces, 1);
    assert_true(store_durable_seq(fx->store) >= 1);
    until_answered(fx, &before);
    end_with(second, NULL, "rest");
    until_answered(fx, &reader.caller);
    assert_int_equal(reader.caller.status, STATUS_OK);
    buf_fini(&reader.seen);
}

static void what_has_seen_a_write_that_was_never_made_streams_nothing_and_runs_again(void **state)
{
    struct fixture *fx = *state;
    struct caller before;
    struct reader reader;
    start(fx, &before, "x");
    start_reader(fx, &reader, "x", NULL);
    struct pool_run *first = taken(), *second = taken();
    piece(second, 1, "", "never");
    end(first, STATUS_FUNCTION_CRASHED, NULL);
    assert_int_equal(fx_answer(fx)->status, STATUS_CONFLICT);
    end(second, STATUS_OK, &(struct wire_result){.outcome = WIRE_OUTCOME_STATUS, .status = STATUS_CONFLICT});
    struct pool_run *again = NULL;
    while (list_empty(&submitted)) loop_turn(fx->loop, true);
    again = taken();
    piece(again, 1, "", "now");
    assert_int_equal(fx_answer(fx)->status, STATUS_OK);
    end_with(again, NULL, "rest");
    until_answered(fx, &reader.caller);
    assert_string_equal(buf_cstr(&reader.seen), "now");
    assert_int_equal(reader.caller.status, STATUS_OK);
    buf_fini(&reader.seen);
}

static void a_conflict_after_a_piece_is_the_end_and_not_another_run(void **state)
{
    struct fixture *fx = *state;
    struct reader reader;
    struct caller other;
    start_reader(fx, &reader, "", NULL);
    struct pool_run *run = taken();
    piece(run, 1, "", "out");
    assert_int_equal(fx_answer(fx)->status, STATUS_OK);
    start(fx, &other, "");
    run_writes("n", "5");
    until_answered(fx, &other);
    end_with(run, "6", "");
    until_answered(fx, &reader.caller);
    assert_int_equal(reader.caller.status, STATUS_CONFLICT);
    assert_true(list_empty(&submitted));
    assert_row(fx, "n", "5");
    buf_fini(&reader.seen);
}

static void a_run_that_dies_while_its_first_piece_waits_leaves_nothing_behind(void **state)
{
    struct fixture *fx = *state;
    struct caller before;
    struct reader reader;
    start(fx, &before, "x");
    start_reader(fx, &reader, "x", NULL);
    struct pool_run *first = taken(), *second = taken();
    piece(second, 1, "", "waits for the first");
    end_with(first, "1", "");
    end(second, STATUS_FUNCTION_CRASHED, NULL);
    until_answered(fx, &reader.caller);
    until_answered(fx, &before);
    assert_int_equal(reader.caller.status, STATUS_FUNCTION_CRASHED);
    assert_int_equal(reader.pieces + reader.overs, 0);
    assert_true(fx_unanswered());
    buf_fini(&reader.seen);
}

static void who_takes_replies_whole_is_streamed_nothing(void **state)
{
    struct fixture *fx = *state;
    struct caller whole;
    struct reader remembered;
    start(fx, &whole, "");
    struct pool_run *run = taken();
    piece(run, 1, "", "x");
    assert_int_equal(fx_answer(fx)->status, STATUS_UNSUPPORTED);
    end_with(run, NULL, "rest");
    until_answered(fx, &whole);
    start_reader(fx, &remembered, "", "key");
    run = taken();
    piece(run, 1, "", "x");
    assert_int_equal(fx_answer(fx)->status, STATUS_UNSUPPORTED);
    end_with(run, NULL, "rest");
    until_answered(fx, &remembered.caller);
    assert_int_equal(remembered.pieces, 0);
}

static void a_piece_that_is_too_large_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct reader reader;
    start_reader(fx, &reader, "", NULL);
    struct pool_run *run = taken();
    static char large[BOUND_STREAM_PIECE_BYTES_MAX + 1];
    run->ask(run, &(struct wire_ask){
                      .ask = 1, .kind = WIRE_ASK_STREAM, .number = 200, .body = {large, sizeof large}});
    assert_int_equal(fx_answer(fx)->status, STATUS_REPLY_TOO_LARGE);
    end_with(run, NULL, "rest");
    until_answered(fx, &reader.caller);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pieces_go_to_the_reader_and_the_rest_with_the_outcome),
        TEST(the_first_piece_waits_until_what_it_has_seen_is_durable),
        TEST(what_has_seen_a_write_that_was_never_made_streams_nothing_and_runs_again),
        TEST(a_conflict_after_a_piece_is_the_end_and_not_another_run),
        TEST(a_run_that_dies_while_its_first_piece_waits_leaves_nothing_behind),
        TEST(who_takes_replies_whole_is_streamed_nothing),
        TEST(a_piece_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
