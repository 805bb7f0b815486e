/* test_calls.c - functions that call functions: replies, repeats, turns, cycles and callers that are gone. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/invoke/metering.h"
#include "statestore/kv/keyspace.h"
#include "tests/unit/invoke/fx_invoke.h"

/* The handler in `run` calls the only function, "add", for an entity. */
static void call(struct pool_run *run, uint32_t ask, const char *entity, const char *body)
{
    run->ask(run, &(struct wire_ask){
                      .ask = ask,
                      .kind = WIRE_ASK_CALL,
                      .name = SLICE("add"),
                      .key = slice_cstr(entity),
                      .body = slice_cstr(body),
                  });
}

static void a_call_is_answered_when_what_it_wrote_is_durable(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start(fx, &a, "");
    struct pool_run *caller = taken();
    call(caller, 1, "x", "payload");
    struct pool_run *callee = taken();
    assert_int_equal(callee->invoke->origin, WIRE_ORIGIN_CALL);
    assert_memory_equal(callee->invoke->body.data, "payload", 7);
    end_with(callee, "1", "reply");
    assert_true(fx_unanswered());
    struct given_answer *answer = fx_answer(fx);
    assert_ptr_equal(answer->run, caller);
    assert_int_equal(answer->status, STATUS_OK);
    assert_string_equal(answer->text, "reply");
    assert_true(store_durable_seq(fx->store) >= 1);
    end_with(caller, NULL, "done");
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_OK);
}

static void a_failure_of_what_was_called_is_its_answer(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start(fx, &a, "");
    struct pool_run *caller = taken();
    call(caller, 1, "x", "");
    struct wire_result result = {
        .outcome = WIRE_OUTCOME_ERROR, .failure = SLICE("no price"), .http_status = 404};
    end(taken(), STATUS_OK, &result);
    struct given_answer *answer = fx_answer(fx);
    assert_int_equal(answer->status, STATUS_FUNCTION_ERROR);
    assert_string_equal(answer->text, "no price");
    end_with(caller, NULL, "");
    until_answered(fx, &a);
}

static void a_function_that_there_is_not_is_named(void **state)
{
    struct fixture *fx = *state;
    fx->version.app = "shop";
    fx->version.id = "v7";
    struct caller a;
    start(fx, &a, "");
    struct pool_run *caller = taken();
    caller->ask(caller, &(struct wire_ask){.ask = 1, .kind = WIRE_ASK_CALL, .name = SLICE("sub")});
    struct given_answer *answer = fx_answer(fx);
    assert_int_equal(answer->status, STATUS_FUNCTION_NOT_FOUND);
    assert_string_equal(answer->text, "version v7 of app 'shop' has no function 'sub'");
    end_with(caller, NULL, "");
    until_answered(fx, &a);
}

static void a_caller_that_runs_again_does_not_run_what_it_called_again(void **state)
{
    struct fixture *fx = *state;
    struct caller a, rival;
    start(fx, &a, "");
    struct pool_run *caller = taken();
    call(caller, 1, "", "same");
    end_with(taken(), "1", "first reply"); /* writes what the caller has read, too */
    (void)fx_answer(fx); /* as above */
    start(fx, &rival, "");
    end_with(taken(), "2", "");
    until_answered(fx, &rival);
    end_with(caller, "3", "");
    struct pool_run *again = next_run(fx);
    assert_int_equal(again->invoke->attempt, 2);
    call(again, 1, "", "same");
    struct given_answer *answer = fx_answer(fx);
    assert_string_equal(answer->text, "first reply");
    assert_true(list_empty(&submitted));
    end_with(again, "4", "");
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_OK);
    assert_row(fx, "n", "4");
}

static void sum_usage(void *ctx, struct slice function, uint32_t day, const struct meter_sums *sums)
{
    (void)function; /* there is one */
    (void)day; /* all of them */
    meter_add(ctx, sums);
}

/* Of each thing that leaves another number, and the run is repeated. */
static void calls_and_messages_of_the_run_that_counts_are_metered(void **state)
{
    struct fixture *fx = *state;
    struct caller a, rival;
    start(fx, &a, "");
    struct pool_run *caller = taken();
    struct buf leaves = BUF_INIT, inside = BUF_INIT;
    static const uint8_t us[8] = {7};
    wire_effect_encode(&inside, &(struct wire_effect){.kind = WIRE_EFFECT_CALLED,
                                                      .name = SLICE("add"),
                                                      .key = {us, sizeof us},
                                                      .number = 100});
    for (int i = 0; i < 10; i++)
        wire_effect_encode(&leaves, &(struct wire_effect){.kind = WIRE_EFFECT_PUSH, .key = SLICE("x")});
    for (int run = 1; run <= 2; run++)
    {
        call(caller, 1, "", "same");
        /* At once: it has left, whatever becomes of the run. */
        caller->ask(caller, &(struct wire_ask){.kind = WIRE_ASK_PUBLISH, .name = SLICE("news")});
        if (run == 1)
        {
            end_with(taken(), "1", ""); /* writes what the caller has read, too */
            (void)fx_answer(fx); /* as above */
            start(fx, &rival, "");
            end_with(taken(), "2", "");
            until_answered(fx, &rival);
        }
        else
            (void)fx_answer(fx); /* remembered */
        struct effects e;
        struct wire_result *result = effects(&e, "n", "3", "");
        result->effects = buf_view(&leaves);
        if (run == 2) result->called = buf_view(&inside);
        end(caller, STATUS_OK, result);
        effects_fini(&e);
        if (run == 1) caller = next_run(fx);
    }
    until_answered(fx, &a);
    struct meter_sums all = {{0}};
    assert_int_equal(metering_scan(invoke_partition_metering(fx->partition), sum_usage, &all, NULL),
                     STATUS_OK);
    assert_int_equal(all.of[METER_conflicts], 1);
    assert_int_equal(all.of[METER_messages], 1 + 2 + 10 + 100);
    buf_fini(&leaves);
    buf_fini(&inside);
}

static void a_repeated_call_with_another_payload_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start_with_key(fx, &a, "", "order-1", "");
    struct pool_run *caller = taken();
    call(caller, 1, "x", "ten");
    end_with(taken(), "10", "");
    (void)fx_answer(fx); /* it was done */
    end(caller, STATUS_FUNCTION_CRASHED, NULL);
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_FUNCTION_CRASHED);

    start_with_key(fx, &a, "", "order-1", "");
    caller = taken();
    call(caller, 1, "x", "eleven");
    struct given_answer *answer = fx_answer(fx);
    assert_int_equal(answer->status, STATUS_CALL_CHANGED);
    assert_string_equal(answer->text,
                        "call number 1 was made in an earlier run, to another function or entity or "
                        "with another payload");
    end_with(caller, NULL, "");
    until_answered(fx, &a);
    assert_row(fx, "n", "10");
}

static void a_repeated_request_gets_the_replies_of_its_first_calls(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start_with_key(fx, &a, "", "order-2", "");
    struct pool_run *caller = taken();
    call(caller, 1, "x", "");
    end_with(taken(), "1", "paid");
    (void)fx_answer(fx); /* it was done */
    end(caller, STATUS_FUNCTION_TIMEOUT, NULL);
    until_answered(fx, &a);
    start_with_key(fx, &a, "", "order-2", "");
    caller = taken();
    call(caller, 1, "x", "");
    assert_string_equal(fx_answer(fx)->text, "paid");
    assert_true(list_empty(&submitted));
    end_with(caller, NULL, "");
    until_answered(fx, &a);
}

static void several_calls_are_answered_each_with_its_number(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start(fx, &a, "");
    struct pool_run *caller = taken();
    call(caller, 1, "", "one");
    call(caller, 2, "", "two");
    struct pool_run *one = taken(), *two = taken();
    end_with(two, NULL, "2");
    struct given_answer *answer = fx_answer(fx);
    assert_int_equal(answer->ask, 2);
    assert_string_equal(answer->text, "2");
    end_with(one, NULL, "1");
    answer = fx_answer(fx);
    assert_int_equal(answer->ask, 1);
    assert_string_equal(answer->text, "1");
    end_with(caller, NULL, "");
    until_answered(fx, &a);
}

static void a_call_back_to_its_own_entity_is_refused_with_the_chain(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start(fx, &a, "ann");
    struct pool_run *ann = taken();
    call(ann, 1, "bob", "");
    struct pool_run *bob = taken();
    call(bob, 1, "ann", "");
    struct given_answer *answer = fx_answer(fx);
    assert_ptr_equal(answer->run, bob);
    assert_int_equal(answer->status, STATUS_CALL_CYCLE);
    assert_string_equal(answer->text, "add/ann -> add/bob -> add/ann: the last one's entity is busy with an "
                                      "invocation that waits for it");
    end_with(bob, NULL, "");
    (void)fx_answer(fx); /* of ann */
    end_with(ann, NULL, "");
    until_answered(fx, &a);
}

static void two_that_call_each_other_are_seen_before_they_wait(void **state)
{
    struct fixture *fx = *state;
    struct caller a, b;
    start(fx, &a, "ann");
    start(fx, &b, "bob");
    struct pool_run *ann = taken(), *bob = taken();
    call(ann, 1, "bob", ""); /* waits behind bob, in the link of its worker */
    assert_true(fx_unanswered());
    call(bob, 1, "ann", "");
    struct given_answer *answer = fx_answer(fx);
    assert_ptr_equal(answer->run, bob);
    assert_int_equal(answer->status, STATUS_CALL_CYCLE);
    end_with(bob, NULL, "");
    until_answered(fx, &b);
    end_with(next_run(fx), NULL, "bob's reply");
    assert_string_equal(fx_answer(fx)->text, "bob's reply");
    end_with(ann, NULL, "");
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_OK);
}

static void calls_that_call_for_ever_end(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start(fx, &a, "");
    struct pool_run *runs[BOUND_CALL_DEPTH_MAX + 2];
    size_t depth = 0;
    runs[0] = taken();
    while (depth <= BOUND_CALL_DEPTH_MAX)
    {
        call(runs[depth], 1, "", "");
        if (list_empty(&submitted)) break;
        runs[++depth] = taken();
    }
    assert_int_equal(depth, BOUND_CALL_DEPTH_MAX);
    assert_int_equal(fx_answer(fx)->status, STATUS_CALL_TOO_DEEP);
    for (;; depth--)
    {
        end_with(runs[depth], NULL, "");
        if (depth == 0) break;
        (void)fx_answer(fx); /* of the one above */
    }
    until_answered(fx, &a);
}

static void a_function_does_not_wait_for_its_own_concurrency(void **state)
{
    struct fixture *fx = *state;
    fx->function.limits.running_max = 1;
    struct caller a;
    start(fx, &a, "");
    struct pool_run *caller = taken();
    call(caller, 1, "", "");
    struct given_answer *answer = fx_answer(fx);
    assert_int_equal(answer->status, STATUS_CALL_CYCLE);
    assert_string_equal(
        answer->text, "add -> add: the last one waits for the `concurrency` of a function that waits for it");
    end_with(caller, NULL, "");
    until_answered(fx, &a);
}

static void one_that_saw_uncommitted_writes_calls_when_they_are_committed(void **state)
{
    struct fixture *fx = *state;
    struct caller a, b;
    start(fx, &a, "x");
    start(fx, &b, "x");
    struct pool_run *first = taken(), *second = taken();
    end_with(first, "1", "");
    call(second, 1, "y", "");
    assert_true(list_empty(&submitted)); /* held back */
    until_answered(fx, &a);
    end_with(next_run(fx), NULL, "reply");
    assert_string_equal(fx_answer(fx)->text, "reply");
    end_with(second, "2", "");
    until_answered(fx, &b);
    assert_int_equal(b.status, STATUS_OK);
}

static void what_saw_writes_that_failed_calls_nobody(void **state)
{
    struct fixture *fx = *state;
    struct caller rival, a, b;
    start(fx, &rival, "");
    struct pool_run *rival_run = taken();
    start(fx, &a, "x");
    start(fx, &b, "x");
    struct pool_run *first = taken(), *second = taken();
    end_with(rival_run, "0", "");
    until_answered(fx, &rival);
    end_with(first, "1", ""); /* has read what the rival changed */
    call(second, 1, "y", "");
    struct given_answer *answer = fx_answer(fx);
    assert_ptr_equal(answer->run, second);
    assert_int_equal(answer->status, STATUS_CONFLICT);
    end_with(second, "2", "");
    end_with(next_run(fx), "1", "");
    end_with(next_run(fx), "2", "");
    until_answered(fx, &a);
    until_answered(fx, &b);
    assert_row(fx, "n", "2");
}

static void a_caller_that_is_gone_gets_no_answer_and_what_it_called_goes_on(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start(fx, &a, "");
    struct pool_run *caller = taken();
    call(caller, 1, "x", "");
    struct pool_run *callee = taken();
    end(caller, STATUS_FUNCTION_TIMEOUT, NULL);
    until_answered(fx, &a);
    end_with(callee, "1", "");
    while (invoke_partition_in_flight(fx->partition)) loop_turn(fx->loop, true);
    assert_true(fx_unanswered());
    assert_row(fx, "n", "1");
}

static void a_call_has_less_time_than_its_caller(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start(fx, &a, "");
    uint64_t caller_end_ns = loop_now_ns(fx->loop) + fx->function.timeout_ms * NS_PER_MS;
    struct pool_run *caller = taken();
    call(caller, 1, "", "");
    struct pool_run *callee = taken();
    assert_true(callee->invoke->timeout_ms < caller->invoke->timeout_ms);
    assert_true(callee->end_before_ns > 0 && callee->end_before_ns < caller_end_ns);
    assert_int_equal(caller->end_before_ns, 0); /* it has its time from when it begins */
    end_with(callee, NULL, "");
    (void)fx_answer(fx); /* as always */
    end_with(caller, NULL, "");
    until_answered(fx, &a);
}

int main(void)
{
#define PROMISE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        PROMISE(a_call_is_answered_when_what_it_wrote_is_durable),
        PROMISE(a_failure_of_what_was_called_is_its_answer),
        PROMISE(a_function_that_there_is_not_is_named),
        PROMISE(a_caller_that_runs_again_does_not_run_what_it_called_again),
        PROMISE(calls_and_messages_of_the_run_that_counts_are_metered),
        PROMISE(a_repeated_call_with_another_payload_is_refused),
        PROMISE(a_repeated_request_gets_the_replies_of_its_first_calls),
        PROMISE(several_calls_are_answered_each_with_its_number),
        PROMISE(a_call_back_to_its_own_entity_is_refused_with_the_chain),
        PROMISE(two_that_call_each_other_are_seen_before_they_wait),
        PROMISE(calls_that_call_for_ever_end),
        PROMISE(a_function_does_not_wait_for_its_own_concurrency),
        PROMISE(one_that_saw_uncommitted_writes_calls_when_they_are_committed),
        PROMISE(what_saw_writes_that_failed_calls_nobody),
        PROMISE(a_caller_that_is_gone_gets_no_answer_and_what_it_called_goes_on),
        PROMISE(a_call_has_less_time_than_its_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
