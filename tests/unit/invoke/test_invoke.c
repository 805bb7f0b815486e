/* test_invoke.c - the way of an invocation over a real store, with a pool that the test plays by hand. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/invoke/idempotency.h"
#include "runtime/invoke/metering.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/invoke/fx_invoke.h"

/* ---- the promises ---- */

static void what_an_invocation_wrote_is_there_when_its_caller_is_told(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    start(fx, &a, "x");
    run_writes("n", "1");
    assert_int_equal(a.answers, 0);
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_OK);
    assert_string_equal(a.body, "1");
    assert_row(fx, "n", "1");
    assert_true(store_durable_seq(fx->store) >= 1);
}

static void invocations_of_one_entity_share_a_chain_and_commit_in_order(void **state)
{
    struct fixture *fx = *state;
    struct caller a, b;
    start(fx, &a, "x");
    start(fx, &b, "x");
    struct pool_run *first = taken(), *second = taken();
    assert_ptr_equal(first->chain, second->chain);
    assert_int_equal(first->invoke->chain, second->invoke->chain);
    assert_int_equal(first->invoke->snapshot, second->invoke->snapshot);
    assert_false(first->invoke->validate);
    assert_true(second->invoke->validate);
    end_with(first, "1", "1");
    end_with(second, "2", "2");
    until_answered(fx, &a);
    until_answered(fx, &b);
    assert_int_equal(a.status, STATUS_OK);
    assert_int_equal(b.status, STATUS_OK);
    assert_row(fx, "n", "2");
}

static void what_a_changed_row_made_wrong_runs_again(void **state)
{
    struct fixture *fx = *state;
    struct caller a, b;
    start(fx, &a, ""); /* unaddressed: both read the same snapshot */
    start(fx, &b, "");
    struct pool_run *run_a = taken(), *run_b = taken();
    end_with(run_a, "a", "a");
    until_answered(fx, &a);
    end_with(run_b, "b", "b");
    while (list_empty(&submitted)) loop_turn(fx->loop, true);
    assert_int_equal(b.answers, 0);
    struct pool_run *again = taken();
    assert_int_equal(again->invoke->attempt, 2);
    assert_true(again->invoke->snapshot >= 1);
    end_with(again, "b", "again");
    until_answered(fx, &b);
    assert_string_equal(b.body, "again");
    assert_row(fx, "n", "b");
}

static void a_chain_whose_first_member_conflicts_runs_again_in_its_order(void **state)
{
    struct fixture *fx = *state;
    struct caller rival, a, b;
    start(fx, &rival, "");
    struct pool_run *rival_run = taken();
    start(fx, &a, "x");
    start(fx, &b, "x");
    struct pool_run *run_a = taken(), *run_b = taken();
    end_with(rival_run, "rival", "");
    until_answered(fx, &rival);
    end_with(run_a, "a", "");
    end_with(run_b, "b", "");
    while (list_empty(&submitted)) loop_turn(fx->loop, true);
    run_a = taken();
    run_b = taken();
    assert_int_equal(run_a->invoke->validate, false);
    end_with(run_a, "a", "first");
    end_with(run_b, "b", "second");
    until_answered(fx, &a);
    until_answered(fx, &b);
    assert_string_equal(a.body, "first");
    assert_string_equal(b.body, "second");
    assert_row(fx, "n", "b");
}

static void what_had_not_begun_when_its_worker_died_runs_elsewhere(void **state)
{
    struct fixture *fx = *state;
    struct caller a, b;
    start(fx, &a, "x");
    start(fx, &b, "x");
    struct pool_run *run_a = taken(), *run_b = taken();
    end(run_a, STATUS_FUNCTION_CRASHED, NULL);
    end(run_b, STATUS_CONFLICT, NULL);
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_FUNCTION_CRASHED);
    assert_string_equal(a.message, "the test ends it");
    run_writes("n", "b");
    until_answered(fx, &b);
    assert_int_equal(b.status, STATUS_OK);
    assert_row(fx, "n", "b");
}

static void a_failed_function_keeps_nothing_and_tells_its_own_words(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    struct effects e;
    start(fx, &a, "x");
    struct wire_result *result = effects(&e, "n", "1", "");
    result->outcome = WIRE_OUTCOME_ERROR;
    result->http_status = 409;
    result->failure = SLICE("too little");
    end(taken(), STATUS_OK, result);
    effects_fini(&e);
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_FUNCTION_ERROR);
    assert_int_equal(a.http_status, 409);
    assert_string_equal(a.message, "too little");
    assert_row(fx, "n", NULL);
}

static void a_write_outside_of_the_rows_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    struct buf writes = BUF_INIT;
    write_set_append(&writes, &(struct write_entry){WRITE_PUT, SLICE("s\0seq"), SLICE("9")});
    start(fx, &a, "x");
    end(taken(), STATUS_OK, &(struct wire_result){.http_status = 200, .writes = buf_view(&writes)});
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_FUNCTION_PROTOCOL);
    buf_fini(&writes);
}

static void rows_of_another_partition_are_refused_and_both_are_named(void **state)
{
    struct fixture *fx = *state;
    struct caller a, b;
    char want[100];
    uint32_t theirs = keyspace_partition(SLICE("x"), 2);
    snprintf(want, sizeof want, "entity 'x' belongs to partition %u, the invocation runs in partition %u",
             theirs, 1 - theirs);
    start(fx, &a, "");
    end_with(taken(), "1", "");
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_FOREIGN_PARTITION);
    assert_string_equal(a.message, want);
    /* A read would find nothing there: that must not look like an answer. */
    start(fx, &b, "");
    struct pool_run *run = taken();
    assert_true(run->invoke->validate);
    end_with(run, NULL, "nothing there");
    until_answered(fx, &b);
    assert_int_equal(b.status, STATUS_FOREIGN_PARTITION);
}

static void the_same_idempotency_key_gives_the_first_outcome_again(void **state)
{
    struct fixture *fx = *state;
    struct caller a, joined, again, other;
    start_with_key(fx, &a, "x", "k1", "body");
    start_with_key(fx, &joined, "x", "k1", "body");
    run_writes("n", "1");
    assert_true(list_empty(&submitted)); /* only one of the two has run */
    until_answered(fx, &a);
    until_answered(fx, &joined);
    assert_false(a.remembered);
    assert_true(joined.remembered);
    assert_string_equal(joined.body, "1");

    start_with_key(fx, &again, "x", "k1", "body");
    until_answered(fx, &again);
    assert_true(list_empty(&submitted));
    assert_true(again.remembered);
    assert_string_equal(again.body, "1");

    start_with_key(fx, &other, "x", "k1", "another body");
    until_answered(fx, &other);
    assert_int_equal(other.status, STATUS_IDEMPOTENCY_MISMATCH);
}

static void a_failure_is_not_remembered_so_that_the_request_can_be_repeated(void **state)
{
    struct fixture *fx = *state;
    struct caller a, again;
    start_with_key(fx, &a, "x", "k", "");
    end(taken(), STATUS_FUNCTION_TIMEOUT, NULL);
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_FUNCTION_TIMEOUT);
    start_with_key(fx, &again, "x", "k", "");
    run_writes("n", "1");
    until_answered(fx, &again);
    assert_int_equal(again.status, STATUS_OK);
    assert_false(again.remembered);
}

static void past_its_limit_a_function_refuses_at_once(void **state)
{
    struct fixture *fx = *state;
    enum { MANY = 51 };
    static struct caller callers[MANY];
    for (int i = 0; i < MANY; i++) start(fx, &callers[i], "");
    until_answered(fx, &callers[MANY - 1]);
    assert_int_equal(callers[MANY - 1].status, STATUS_QUEUE_FULL);
    while (!list_empty(&submitted)) end(taken(), STATUS_FUNCTION_EXITED, NULL);
    for (int i = 0; i < MANY - 1; i++) until_answered(fx, &callers[i]);
}

static void bad_entities_and_keys_are_refused_with_words(void **state)
{
    struct fixture *fx = *state;
    char entity[BOUND_ENTITY_BYTES_MAX + 2];
    memset(entity, 'e', sizeof entity - 1);
    entity[sizeof entity - 1] = 0;
    struct caller a;
    start(fx, &a, entity);
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_ENTITY_INVALID);
    assert_string_equal(a.message, "the entity key has 401 bytes; at most 400 are allowed");
    start_with_key(fx, &a, "x", "", "");
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_INVALID_ARGUMENT);
    assert_string_equal(a.message, "Idempotency-Key: expected 1 to 255 bytes, got 0");
}

static void count_usage(void *ctx, struct slice function, uint32_t day, const struct meter_sums *sums)
{
    struct meter_sums *all = ctx;
    assert_true(slice_is(function, "add"));
    meter_add(all, sums);
}

static void usage_is_committed_with_the_invocation_and_a_repeated_run_counts_once(void **state)
{
    struct fixture *fx = *state;
    struct caller a, b, c;
    start(fx, &a, "");
    start(fx, &b, "");
    start(fx, &c, "");
    struct pool_run *run_a = taken(), *run_b = taken(), *run_c = taken();
    struct effects e;
    struct wire_result *result = effects(&e, "n", "a", "a");
    result->run_us = 10;
    end(run_a, STATUS_OK, result);
    effects_fini(&e);
    until_answered(fx, &a);
    end_with(run_b, "b", "b"); /* conflicts */
    while (list_empty(&submitted)) loop_turn(fx->loop, true);
    run_writes("n", "b");
    until_answered(fx, &b);
    end(run_c, STATUS_FUNCTION_CRASHED, NULL);
    until_answered(fx, &c);

    struct meter_sums all = {{0}};
    assert_int_equal(metering_scan(invoke_partition_metering(fx->partition), count_usage, &all, NULL),
                     STATUS_OK);
    assert_int_equal(all.of[METER_invocations], 3);
    assert_int_equal(all.of[METER_failures], 1);
    assert_int_equal(all.of[METER_conflicts], 1);
    assert_int_equal(all.of[METER_rows_written], 2);
    assert_int_equal(all.of[METER_wall_us], 10);
    assert_int_equal(all.of[METER_mb_us], 640);
}

static void old_outcomes_are_forgotten_together_with_their_age_rows(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    for (int i = 0; i < 3; i++)
    {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        start_with_key(fx, &a, "x", key, "");
        run_writes("n", "1");
        until_answered(fx, &a);
    }
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    struct buf set = BUF_INIT;
    assert_int_equal(idempotency_expire(snapshot, &set, 1000, 10), 0); /* all are younger */
    assert_int_equal(idempotency_expire(snapshot, &set, UINT64_MAX, 10), 3);
    struct err err = ERR_INIT;
    size_t offset = 0, deletes = 0;
    struct write_entry entry;
    struct slice before = SLICE_EMPTY;
    for (; write_set_next(buf_view(&set), &offset, &entry); deletes++)
    {
        assert_int_equal(entry.op, WRITE_DELETE);
        assert_true(slice_compare(before, entry.key) < 0); /* a write set is sorted */
        before = entry.key;
        struct slice value;
        assert_int_equal(store_get(snapshot, entry.key, &value, &err), STATUS_OK);
    }
    assert_int_equal(deletes, 6);
    store_snapshot_release(fx->store, snapshot);
    buf_fini(&set);
}

static void put_age(struct fixture *fx, uint8_t number, struct slice value)
{
    struct buf set = BUF_INIT;
    const uint8_t key[] = {SPACE_OUTCOME_AGES, 0, 0, 0, 0, 0, 0, 0, number};
    write_set_append(&set, &(struct write_entry){WRITE_PUT, slice_make(key, sizeof key), value});
    commit_set(fx, &set);
    buf_fini(&set);
}

static void an_age_row_that_names_no_outcome_goes_alone(void **state)
{
    struct fixture *fx = *state;
    struct buf long_value = BUF_INIT, set = BUF_INIT;
    for (int i = 0; i < 70000; i++) buf_append_byte(&long_value, SPACE_OUTCOMES);
    put_age(fx, 1, SLICE("rx\0n")); /* somebody's row */
    put_age(fx, 2, SLICE_EMPTY);
    put_age(fx, 3, buf_view(&long_value));
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    assert_int_equal(idempotency_expire(snapshot, &set, UINT64_MAX, 10), 3);
    struct write_entry entry;
    size_t offset = 0, deletes = 0;
    for (; write_set_next(buf_view(&set), &offset, &entry); deletes++)
        assert_int_equal(*(const uint8_t *)entry.key.data, SPACE_OUTCOME_AGES);
    assert_int_equal(deletes, 3);
    store_snapshot_release(fx->store, snapshot);
    buf_fini(&long_value);
    buf_fini(&set);
}

static size_t submitted_count(void)
{
    size_t count = 0;
    LIST_FOREACH(link, &submitted) count++;
    return count;
}

static void no_more_runs_are_submitted_than_the_concurrency_of_a_function(void **state)
{
    struct fixture *fx = *state;
    struct caller callers[5];
    fx->function.limits.running_max = 2;
    for (int i = 0; i < 5; i++) start(fx, &callers[i], "");
    for (int left = 5; left > 0; left--)
    {
        assert_int_equal(submitted_count(), left > 2 ? 2 : left);
        run_writes("n", "1");
    }
    for (int i = 0; i < 5; i++)
    {
        while (!callers[i].answers)
        {
            if (submitted_count() > 0) run_writes("n", "1"); /* one that met a conflict */
            loop_turn(fx->loop, true);
        }
        assert_int_equal(callers[i].status, STATUS_OK);
    }
    assert_int_equal(fx->function.running, 0);
}

static void a_chain_takes_one_of_the_concurrency_and_the_next_entity_waits_for_it(void **state)
{
    struct fixture *fx = *state;
    struct caller x[3], y[2];
    fx->function.limits.running_max = 1;
    for (int i = 0; i < 2; i++) start(fx, &x[i], "x");
    assert_int_equal(submitted_count(), 2); /* sent ahead: one worker does one after another */
    for (int i = 0; i < 2; i++) start(fx, &y[i], "y");
    assert_int_equal(submitted_count(), 2);
    run_writes("n", "1");
    assert_int_equal(submitted_count(), 1);
    run_writes("n", "2");
    assert_int_equal(submitted_count(), 2); /* those of y */
    start(fx, &x[2], "x");
    assert_int_equal(submitted_count(), 2);
    struct pool_run *runs[2] = {taken(), taken()};
    for (int i = 0; i < 2; i++)
    {
        struct wire_result nothing = {.http_status = 200};
        assert_true(slice_is(runs[i]->invoke->entity, "y"));
        end(runs[i], STATUS_OK, &nothing);
    }
    while (submitted_count() == 0) loop_turn(fx->loop, true);
    run_writes("n", "3");
    for (int i = 0; i < 3; i++) until_answered(fx, &x[i]);
    for (int i = 0; i < 2; i++) until_answered(fx, &y[i]);
    assert_row(fx, "n", "3");
    assert_int_equal(fx->function.running, 0);
}

static void who_waits_too_long_for_its_turn_is_told_so_and_those_behind_go_on(void **state)
{
    struct fixture *fx = *state;
    struct caller a, b, c, d;
    fx->function.limits.running_max = 1;
    start(fx, &a, "");
    fx->function.timeout_ms = 20;
    start(fx, &b, "");
    start(fx, &c, "x");
    fx->function.timeout_ms = 60000;
    start(fx, &d, "x");
    until_answered(fx, &b);
    until_answered(fx, &c);
    assert_int_equal(b.status, STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(c.status, STATUS_DEADLINE_EXCEEDED);
    assert_non_null(strstr(b.message, "`concurrency`"));
    run_writes("m", "a");
    run_writes("n", "d"); /* another row: no conflict */
    until_answered(fx, &a);
    until_answered(fx, &d);
    assert_row(fx, "n", "d");
    assert_int_equal(fx->function.running, 0);
}

static void a_reply_beyond_its_limit_keeps_nothing(void **state)
{
    struct fixture *fx = *state;
    struct caller a;
    fx->function.limits.reply_bytes_max = 3;
    start(fx, &a, "x");
    run_writes("n", "four");
    until_answered(fx, &a);
    assert_int_equal(a.status, STATUS_REPLY_TOO_LARGE);
    assert_row(fx, "n", NULL);
}

static void assert_message_refused(struct fixture *fx, const struct wire_effect *effect, enum status status,
                                   const char *words)
{
    struct caller a;
    struct effects e;
    struct buf frames = BUF_INIT;
    wire_effect_encode(&frames, effect);
    start(fx, &a, "x");
    (void)effects(&e, "n", "1", "1");
    e.result.effects = buf_view(&frames);
    end(taken(), STATUS_OK, &e.result);
    effects_fini(&e);
    buf_fini(&frames);
    until_answered(fx, &a);
    assert_string_equal(a.message, words);
    assert_int_equal(a.status, status);
    assert_row(fx, "n", NULL);
}

static void a_message_to_a_channel_that_is_not_declared_or_of_the_other_kind_keeps_nothing(void **state)
{
    struct fixture *fx = *state;
    static const struct invoke_channel channels[] = {{"prices", false}, {"orders", true}};
    fx->version.channels = channels;
    fx->version.channels_count = 2;
    struct wire_effect effect = {.kind = WIRE_EFFECT_PUBLISH, .name = SLICE("pricez")};
    assert_message_refused(fx, &effect, STATUS_CHANNEL_NOT_FOUND,
                           "'pricez': version  of app '' declares no such channel");
    effect.name = SLICE("orders");
    assert_message_refused(fx, &effect, STATUS_CHANNEL_KIND, "'orders' is a durable channel");
    effect = (struct wire_effect){.kind = WIRE_EFFECT_APPEND, .name = SLICE("prices")};
    assert_message_refused(fx, &effect, STATUS_CHANNEL_KIND, "'prices' is a live channel");
    effect = (struct wire_effect){.kind = WIRE_EFFECT_PUBLISH, .name = SLICE("prices"), .key = SLICE("a\0b")};
    assert_message_refused(fx, &effect, STATUS_INVALID_ARGUMENT,
                           "a message for 'prices' has a key with a zero byte");
}

#define PROMISE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(what_an_invocation_wrote_is_there_when_its_caller_is_told),
        PROMISE(invocations_of_one_entity_share_a_chain_and_commit_in_order),
        PROMISE(what_a_changed_row_made_wrong_runs_again),
        PROMISE(a_chain_whose_first_member_conflicts_runs_again_in_its_order),
        PROMISE(what_had_not_begun_when_its_worker_died_runs_elsewhere),
        PROMISE(a_failed_function_keeps_nothing_and_tells_its_own_words),
        PROMISE(a_write_outside_of_the_rows_is_refused),
        cmocka_unit_test_setup_teardown(rows_of_another_partition_are_refused_and_both_are_named,
                                        setup_foreign, teardown),
        PROMISE(the_same_idempotency_key_gives_the_first_outcome_again),
        PROMISE(a_failure_is_not_remembered_so_that_the_request_can_be_repeated),
        PROMISE(past_its_limit_a_function_refuses_at_once),
        PROMISE(no_more_runs_are_submitted_than_the_concurrency_of_a_function),
        PROMISE(a_chain_takes_one_of_the_concurrency_and_the_next_entity_waits_for_it),
        PROMISE(who_waits_too_long_for_its_turn_is_told_so_and_those_behind_go_on),
        PROMISE(a_reply_beyond_its_limit_keeps_nothing),
        PROMISE(a_message_to_a_channel_that_is_not_declared_or_of_the_other_kind_keeps_nothing),
        PROMISE(bad_entities_and_keys_are_refused_with_words),
        PROMISE(usage_is_committed_with_the_invocation_and_a_repeated_run_counts_once),
        PROMISE(old_outcomes_are_forgotten_together_with_their_age_rows),
        PROMISE(an_age_row_that_names_no_outcome_goes_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
