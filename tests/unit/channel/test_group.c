/* test_group.c - consumer groups: one key after the other, keys beside each other, cursors that never go ahead. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "messaging/channel/group.h"
#include "runtime/base/prng.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

static void offer(struct group *group, uint64_t offset, const char *key)
{
    struct buf row = BUF_INIT;
    durable_message_encode(&row, &(struct durable_message){.key = slice_cstr(key), .body = SLICE("b")});
    assert_int_equal(group_offer(group, offset, buf_view(&row), NULL), STATUS_OK);
    buf_fini(&row);
}

static struct group *fx_group(const char *keys, uint32_t batch)
{
    struct group *group = mem_zalloc(sizeof *group);
    group_init(group, SLICE("orders"), SLICE("billing"), 0);
    group_configure(group, keys, batch);
    return group;
}

static void fx_end(struct group *group)
{
    while (!list_empty(&group->runs)) group_done(CONTAINER_OF(group->runs.next, struct group_run, link));
    group_fini(group);
    free(group);
}

static uint64_t offset_of(struct slice key)
{
    uint64_t offset;
    assert_int_equal(durable_key_offset(key, &offset, NULL), STATUS_OK);
    return offset;
}

static uint64_t first_offset(const struct group_run *run)
{
    return CONTAINER_OF(run->messages.next, struct group_message, in_lane)->message.offset;
}

/* What a commit of the run says: the cursor, or "+" and the offsets done. */
static const char *settled(const struct group_run *run)
{
    static char text[200];
    struct buf set = BUF_INIT;
    group_settle_set(run, &set);
    assert_int_equal(write_set_check(buf_view(&set), SPACE_CURSORS, NULL), STATUS_OK);
    struct write_entry entry;
    text[0] = 0;
    for (size_t at = 0; write_set_next(buf_view(&set), &at, &entry);)
    {
        uint64_t cursor = 0;
        bool done = entry.value.size == 0;
        if (!done) assert_int_equal(durable_cursor_decode(entry.value, &cursor, NULL), STATUS_OK);
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%llu", done ? "+" : "",
                 (unsigned long long)(done ? offset_of(entry.key) : cursor));
    }
    buf_fini(&set);
    return text;
}

static void messages_of_one_key_go_one_after_another_and_keys_beside_each_other(void **state)
{
    (void)state;
    struct group *group = fx_group("", 1);
    offer(group, 0, "a");
    offer(group, 1, "a");
    offer(group, 2, "b");
    struct group_run *a = group_next(group, 0), *b = group_next(group, 0);
    assert_int_equal(first_offset(a), 0);
    assert_int_equal(first_offset(b), 2);
    assert_null(group_next(group, 0));
    group_done(a);
    a = group_next(group, 0);
    assert_int_equal(first_offset(a), 1);
    fx_end(group);
}

static void messages_without_a_key_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct group *group = fx_group("", 2);
    for (uint64_t i = 0; i < 5; i++) offer(group, i, "");
    assert_int_equal(group_next(group, 0)->count, 2);
    assert_int_equal(group_next(group, 0)->count, 2);
    assert_int_equal(group_next(group, 0)->count, 1);
    assert_null(group_next(group, 0));
    fx_end(group);
}

static void a_run_in_front_moves_the_cursor_and_others_note_what_is_done(void **state)
{
    (void)state;
    struct group *group = fx_group("", 1);
    offer(group, 3, "a"); /* smaller ones are missing */
    offer(group, 5, "b");
    offer(group, 8, "c");
    struct group_run *a = group_next(group, 0), *b = group_next(group, 0), *c = group_next(group, 0);
    assert_string_equal(settled(a), "5");
    assert_string_equal(settled(b), "+5");
    assert_string_equal(settled(c), "+8");
    assert_int_equal(group_cursor(group), 3);
    group_done(b);
    assert_int_equal(group_cursor(group), 3);
    assert_int_equal(group->kept, 0);
    group_done(a);
    assert_int_equal(group->kept, 5);
    assert_int_equal(group_cursor(group), 8);
    group_done(c);
    assert_int_equal(group_cursor(group), 9);
    assert_int_equal(group->done_rows, 2);
    fx_end(group);
}

static void a_batch_has_one_key_and_its_commit_settles_all_of_it(void **state)
{
    (void)state;
    struct group *group = fx_group("", 10);
    offer(group, 0, "a");
    offer(group, 1, "b");
    offer(group, 2, "a");
    struct group_run *a = group_next(group, 0), *b = group_next(group, 0);
    assert_int_equal(a->count, 2);
    assert_int_equal(b->count, 1);
    assert_string_equal(settled(a), "+0+2"); /* 1 lies between: the cursor may not pass it */
    assert_string_equal(settled(b), "+1");
    fx_end(group);
}

static void a_failing_message_holds_back_its_key_only(void **state)
{
    (void)state;
    struct group *group = fx_group("", 1);
    offer(group, 0, "a");
    offer(group, 1, "a");
    offer(group, 2, "b");
    group_retry(group_next(group, 100), 150);
    struct group_run *b = group_next(group, 100);
    assert_int_equal(first_offset(b), 2);
    assert_null(group_next(group, 149));
    assert_int_equal(group_due_ms(group), 150);
    struct group_run *again = group_next(group, 150);
    assert_int_equal(first_offset(again), 0);
    assert_int_equal(again->attempts, 1);
    assert_int_equal(group_due_ms(group), UINT64_MAX);
    fx_end(group);
}

static void what_was_not_delivered_at_all_does_not_count_as_an_attempt(void **state)
{
    (void)state;
    struct group *group = fx_group("", 1);
    offer(group, 0, "a");
    group_return(group_next(group, 0), 10);
    assert_int_equal(group_next(group, 10)->attempts, 0);
    fx_end(group);
}

static void messages_of_a_batch_that_failed_come_alone(void **state)
{
    (void)state;
    struct group *group = fx_group("", 3);
    for (uint64_t i = 0; i < 4; i++) offer(group, i, "a");
    struct group_run *run = group_next(group, 0);
    assert_int_equal(run->count, 3);
    group_retry(run, 10);
    for (uint64_t i = 0; i < 3; i++)
    {
        run = group_next(group, 10);
        assert_int_equal(run->count, 1);
        assert_int_equal(first_offset(run), i);
        group_done(run);
    }
    assert_int_equal(first_offset(group_next(group, 10)), 3);
    fx_end(group);
}

static void giving_up_makes_a_dead_letter_and_the_key_goes_on(void **state)
{
    (void)state;
    struct group *group = fx_group("", 1);
    offer(group, 0, "a");
    offer(group, 1, "a");
    struct group_run *run = group_next(group, 0);
    struct buf set = BUF_INIT;
    group_bury_set(run, SLICE("no"), 77, &set);
    struct write_entry entry;
    size_t at = 0;
    assert_true(write_set_next(buf_view(&set), &at, &entry)); /* the cursor */
    assert_true(write_set_next(buf_view(&set), &at, &entry));
    struct slice channel, name;
    uint64_t offset;
    assert_true(durable_dead_split(entry.key, &channel, &name, &offset));
    assert_int_equal(offset, 0);
    struct durable_dead dead;
    assert_int_equal(durable_dead_decode(entry.value, &dead, NULL), STATUS_OK);
    assert_int_equal(dead.attempts, 1);
    assert_true(slice_is(dead.error, "no"));
    buf_fini(&set);
    group_done(run);
    assert_int_equal(first_offset(group_next(group, 0)), 1);
    fx_end(group);
}

static void other_keys_are_passed_by(void **state)
{
    (void)state;
    struct group *group = fx_group("eu/", 1);
    offer(group, 0, "us/1");
    offer(group, 1, "eu/1");
    offer(group, 2, "us/2");
    struct group_run *run = group_next(group, 0);
    assert_int_equal(first_offset(run), 1);
    assert_string_equal(settled(run), "3");
    assert_null(group_next(group, 0));
    group_done(run);
    assert_int_equal(group_cursor(group), 3);
    fx_end(group);
}

static void what_waits_is_bounded_by_count_bytes_and_span(void **state)
{
    (void)state;
    struct group *group = fx_group("", 1);
    uint64_t offset = 0;
    while (group_has_room(group)) offer(group, offset++, "a");
    assert_int_equal(offset, GROUP_MESSAGES_MAX);
    fx_end(group);

    group = fx_group("", 1);
    offer(group, 0, "a");
    group_pass(group, GROUP_SPAN_MAX);
    assert_false(group_has_room(group));
    fx_end(group);

    group = fx_group("", 1);
    struct buf row = BUF_INIT, body = BUF_INIT;
    memset(buf_reserve(&body, GROUP_BYTES_MAX), 0, GROUP_BYTES_MAX);
    durable_message_encode(&row, &(struct durable_message){.body = slice_make(body.data, GROUP_BYTES_MAX)});
    assert_int_equal(group_offer(group, 0, buf_view(&row), NULL), STATUS_OK);
    assert_false(group_has_room(group));
    buf_fini(&row);
    buf_fini(&body);
    fx_end(group);
}

/* ---- against a model: any order of ends, restarts anywhere, each message exactly once and in order of its key ---- */

enum { MODEL_MESSAGES = 300, MODEL_KEYS = 7 };

struct model {
    bool done[MODEL_MESSAGES]; /* as committed */
    uint64_t cursor;
    bool done_row[MODEL_MESSAGES];
    uint64_t last_of_key[MODEL_KEYS];
};

static void model_commit(struct model *model, const struct group_run *run)
{
    LIST_FOREACH(link, &run->messages)
    {
        const struct durable_message *message = &CONTAINER_OF(link, struct group_message, in_lane)->message;
        int key = *(const char *)message->key.data - 'a';
        assert_false(model->done[message->offset]);
        assert_true(model->last_of_key[key] < message->offset + 1);
        model->last_of_key[key] = message->offset + 1;
        model->done[message->offset] = true;
    }
    struct buf set = BUF_INIT;
    group_settle_set(run, &set);
    struct write_entry entry;
    for (size_t at = 0; write_set_next(buf_view(&set), &at, &entry);)
    {
        uint64_t cursor;
        if (entry.value.size == 0)
        {
            model->done_row[offset_of(entry.key)] = true;
            continue;
        }
        assert_int_equal(durable_cursor_decode(entry.value, &cursor, NULL), STATUS_OK);
        assert_true(cursor >= model->cursor);
        model->cursor = cursor;
    }
    buf_fini(&set);
    for (uint64_t i = 0; i < model->cursor; i++) assert_true(model->done[i]);
}

static void model_load(struct group *group, const struct model *model)
{
    while (group_has_room(group) && group->next < MODEL_MESSAGES)
    {
        char key[2] = {(char)('a' + group->next * group->next % MODEL_KEYS), 0};
        if (model->done_row[group->next])
            group_pass(group, group->next + 1);
        else
            offer(group, group->next, key);
    }
}

static void whatever_ends_fails_or_crashes_each_message_is_settled_once(void **state)
{
    (void)state;
    const char *given = getenv("STEAD_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : prng_entropy() % 1000000;
    printf("STEAD_SEED=%llu\n", (unsigned long long)seed);
    struct prng prng;
    prng_init(&prng, seed);
    for (int round = 0; round < 50; round++)
    {
        struct model model = {.cursor = 0};
        struct group *group = fx_group("", 1 + (uint32_t)prng_below(&prng, 4));
        uint32_t batch = group->batch;
        model_load(group, &model);
        for (uint64_t now = 0; group_cursor(group) < MODEL_MESSAGES; now++)
        {
            struct group_run *run = group_next(group, now);
            if (run && prng_chance(&prng, 1, 2)) continue; /* it goes on beside others */
            if (list_empty(&group->runs)) continue;
            uint64_t nth = prng_below(&prng, group->runs_count);
            struct list *link = group->runs.next;
            while (nth--) link = link->next;
            run = CONTAINER_OF(link, struct group_run, link);
            switch (prng_below(&prng, 8))
            {
            case 0:
                group_retry(run, now + prng_below(&prng, 20));
                break;
            case 1:
                group_return(run, now + prng_below(&prng, 20));
                break;
            default:
                model_commit(&model, run);
                group_done(run);
            }
            if (!prng_chance(&prng, 1, 40)) continue;
            while (!list_empty(&group->runs)) /* a crash: what is under way is not committed */
                group_return(CONTAINER_OF(group->runs.next, struct group_run, link), now);
            group_fini(group);
            group_init(group, SLICE("orders"), SLICE("billing"), model.cursor);
            group_configure(group, "", batch);
            model_load(group, &model);
        }
        for (uint64_t i = 0; i < MODEL_MESSAGES; i++) assert_true(model.done[i]);
        fx_end(group);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_one_key_go_one_after_another_and_keys_beside_each_other),
        cmocka_unit_test(messages_without_a_key_do_not_wait_for_each_other),
        cmocka_unit_test(a_run_in_front_moves_the_cursor_and_others_note_what_is_done),
        cmocka_unit_test(a_batch_has_one_key_and_its_commit_settles_all_of_it),
        cmocka_unit_test(a_failing_message_holds_back_its_key_only),
        cmocka_unit_test(what_was_not_delivered_at_all_does_not_count_as_an_attempt),
        cmocka_unit_test(messages_of_a_batch_that_failed_come_alone),
        cmocka_unit_test(giving_up_makes_a_dead_letter_and_the_key_goes_on),
        cmocka_unit_test(other_keys_are_passed_by),
        cmocka_unit_test(what_waits_is_bounded_by_count_bytes_and_span),
        cmocka_unit_test(whatever_ends_fails_or_crashes_each_message_is_settled_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
