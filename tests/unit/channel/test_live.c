/* test_live.c - live channels: numbers, keys, bounded queues whose losses are told, against a model. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "messaging/channel/live.h"
#include "runtime/base/prng.h"

static int ready_calls;

static void on_ready(struct live_subscriber *subscriber)
{
    ready_calls++;
}

static int set_up(void **state)
{
    ready_calls = 0;
    *state = live_hub_create();
    return 0;
}

static int tear_down(void **state)
{
    live_hub_destroy(*state);
    return 0;
}

static const struct live_limits roomy = {.messages_max = 100, .bytes_max = 100000};

static uint64_t publish(struct live_channel *channel, const char *key, const char *body)
{
    struct wire_message message = {
        .time_ms = 7, .key = slice_cstr(key), .type = SLICE("text/plain"), .body = slice_cstr(body)};
    return live_publish(channel, &message);
}

/* Takes one message; its sequence, or 0. */
static uint64_t take(struct live_subscriber *subscriber, uint64_t *missed)
{
    struct buf frames = BUF_INIT;
    struct wire_message message = {.sequence = 0};
    bool found;
    size_t offset = 0;
    if (live_take(subscriber, 1, SIZE_MAX, &frames, missed) == 1)
    {
        assert_int_equal(wire_message_next(buf_view(&frames), &offset, &message, &found, NULL), STATUS_OK);
        assert_int_equal(offset, frames.size);
    }
    buf_fini(&frames);
    return message.sequence;
}

static void messages_are_numbered_and_reach_those_whose_keys_match(void **state)
{
    struct live_channel *prices = live_channel(*state, SLICE("shop/prices"));
    struct live_subscriber eu, all;
    live_subscribe(prices, &eu, SLICE("eu/"), &roomy, on_ready);
    live_subscribe(prices, &all, SLICE_EMPTY, &roomy, on_ready);
    assert_int_equal(live_subscribers(prices), 2);
    assert_int_equal(publish(prices, "eu/paris", "12"), 1);
    assert_int_equal(publish(prices, "us/boston", "9"), 2);
    assert_int_equal(publish(prices, "eu", "x"), 3);
    assert_int_equal(ready_calls, 2); /* once for each queue that was empty */

    struct wire_message message;
    uint64_t missed;
    assert_true(live_peek(&eu, &message, &missed));
    assert_int_equal(missed, 0);
    assert_int_equal(message.sequence, 1);
    assert_int_equal(message.time_ms, 7);
    assert_true(slice_is(message.channel, "prices")); /* as the app knows it */
    assert_true(slice_is(message.key, "eu/paris") && slice_is(message.body, "12"));
    assert_true(slice_is(message.type, "text/plain"));
    assert_int_equal(take(&eu, &missed), 1);
    assert_int_equal(take(&eu, &missed), 0);
    assert_int_equal(missed, 0);
    for (uint64_t i = 1; i <= 3; i++) assert_int_equal(take(&all, &missed), i);
    live_unsubscribe(&eu);
    live_unsubscribe(&all);
    live_unsubscribe(&all);
    assert_int_equal(live_subscribers(prices), 0);
    assert_int_equal(publish(prices, "eu/paris", "13"), 4);
    struct live_stats stats;
    live_stats(*state, &stats);
    assert_true(stats.published == 4 && stats.delivered == 4 && stats.lost == 0);
}

static void who_does_not_take_loses_its_oldest_messages_and_is_told_how_many(void **state)
{
    struct live_channel *prices = live_channel(*state, SLICE("shop/prices"));
    struct live_subscriber slow, fast;
    live_subscribe(prices, &slow, SLICE_EMPTY, &(struct live_limits){.messages_max = 3, .bytes_max = 100000},
                   on_ready);
    live_subscribe(prices, &fast, SLICE_EMPTY, &roomy, on_ready);
    for (int i = 0; i < 10; i++) publish(prices, "", "x");
    uint64_t missed;
    assert_int_equal(take(&slow, &missed), 8);
    assert_int_equal(missed, 7);
    assert_int_equal(take(&slow, &missed), 9);
    assert_int_equal(missed, 0);
    for (uint64_t i = 1; i <= 10; i++)
    {
        assert_int_equal(take(&fast, &missed), i);
        assert_int_equal(missed, 0);
    }
    /* A gap is told with the message behind it, and no batch has one inside. */
    publish(prices, "", "x");
    publish(prices, "", "x");
    live_missed(prices, 5);
    publish(prices, "", "x");
    struct buf frames = BUF_INIT;
    assert_int_equal(live_take(&fast, 10, SIZE_MAX, &frames, &missed), 2);
    assert_int_equal(missed, 0);
    assert_int_equal(live_take(&fast, 10, SIZE_MAX, &frames, &missed), 1);
    assert_int_equal(missed, 5);
    buf_fini(&frames);
    struct live_stats stats;
    live_stats(*state, &stats);
    assert_true(stats.lost == 8 && stats.upstream_lost == 5); /* of slow, one more */
    live_unsubscribe(&slow);
    live_unsubscribe(&fast);
}

static void a_message_larger_than_a_queue_pushes_out_all_others_but_arrives(void **state)
{
    struct live_channel *prices = live_channel(*state, SLICE("shop/prices"));
    struct live_subscriber small;
    live_subscribe(prices, &small, SLICE_EMPTY, &(struct live_limits){.messages_max = 10, .bytes_max = 90},
                   on_ready);
    publish(prices, "", "x");
    publish(prices, "", "y");
    publish(prices, "",
            "a message of more than ninety bytes, which is more than fits into the queue of this "
            "subscriber");
    uint64_t missed;
    assert_int_equal(take(&small, &missed), 3);
    assert_int_equal(missed, 2);
    live_unsubscribe(&small);
}

static void a_batch_is_bounded_by_count_and_bytes(void **state)
{
    struct live_channel *prices = live_channel(*state, SLICE("shop/prices"));
    struct live_subscriber all;
    live_subscribe(prices, &all, SLICE_EMPTY, &roomy, on_ready);
    for (int i = 0; i < 20; i++) publish(prices, "", "0123456789");
    struct buf frames = BUF_INIT;
    uint64_t missed;
    assert_int_equal(live_take(&all, 5, SIZE_MAX, &frames, &missed), 5);
    size_t one = frames.size / 5;
    assert_int_equal(live_take(&all, 100, 3 * one, &frames, &missed), 3);
    assert_int_equal(live_take(&all, 100, 1, &frames, &missed), 1); /* one always */
    assert_int_equal(frames.size, 9 * one);
    buf_fini(&frames);
    live_unsubscribe(&all);
}

/* ---- the model: each subscriber has a plain list ---- */

enum { SUBSCRIBERS = 5, MODEL_MAX = 8, ROUNDS = 20000 };

struct model {
    struct live_subscriber subscriber;
    bool subscribed;
    char keys[2];
    uint64_t waiting[MODEL_MAX];
    uint32_t count, count_max;
    uint64_t missed;
};

static void model_put(struct model *model, uint64_t sequence)
{
    if (model->count == model->count_max)
    {
        memmove(model->waiting, model->waiting + 1, --model->count * sizeof model->waiting[0]);
        model->missed++;
    }
    model->waiting[model->count++] = sequence;
}

static void model_take(struct model *model)
{
    uint64_t missed, sequence = take(&model->subscriber, &missed);
    if (model->count == 0)
    {
        assert_int_equal(sequence, 0);
        return;
    }
    assert_int_equal(sequence, model->waiting[0]);
    assert_int_equal(missed, model->missed);
    memmove(model->waiting, model->waiting + 1, --model->count * sizeof model->waiting[0]);
    model->missed = 0;
}

static void queues_do_what_the_model_does(void **state)
{
    static const char *const keys[] = {"", "a", "ab", "b"};
    struct live_channel *channel = live_channel(*state, SLICE("x/y"));
    static struct model models[SUBSCRIBERS];
    struct prng prng;
    prng_init(&prng, 5);
    uint64_t sequence = 0;
    for (int round = 0; round < ROUNDS; round++)
    {
        struct model *model = &models[prng_below(&prng, SUBSCRIBERS)];
        switch (prng_below(&prng, 10))
        {
        case 0:
            if (model->subscribed)
                live_unsubscribe(&model->subscriber);
            else
            {
                *model = (struct model){.count_max = 1 + (uint32_t)prng_below(&prng, MODEL_MAX)};
                snprintf(model->keys, sizeof model->keys, "%s", keys[prng_below(&prng, 2)]);
                live_subscribe(channel, &model->subscriber, slice_cstr(model->keys),
                               &(struct live_limits){.messages_max = model->count_max, .bytes_max = SIZE_MAX},
                               on_ready);
            }
            model->subscribed = !model->subscribed;
            break;
        case 1 ... 4:
            if (model->subscribed) model_take(model);
            break;
        default: {
            const char *key = keys[prng_below(&prng, 4)];
            assert_int_equal(publish(channel, key, "body"), ++sequence);
            for (int i = 0; i < SUBSCRIBERS; i++)
                if (models[i].subscribed && strncmp(key, models[i].keys, strlen(models[i].keys)) == 0)
                    model_put(&models[i], sequence);
        }
        }
    }
    for (int i = 0; i < SUBSCRIBERS; i++)
        if (models[i].subscribed) live_unsubscribe(&models[i].subscriber);
}

static void what_was_taken_and_reached_nobody_is_lost_and_told_with_the_next(void **state)
{
    struct live_channel *channel = live_channel(*state, SLICE("shop/prices"));
    struct live_subscriber subscriber;
    struct live_stats stats;
    uint64_t missed;
    live_subscribe(channel, &subscriber, SLICE_EMPTY, &roomy, on_ready);
    publish(channel, "", "1");
    publish(channel, "", "2");
    assert_int_equal(take(&subscriber, &missed), 1);
    live_lose(&subscriber, 1, missed);
    assert_int_equal(take(&subscriber, &missed), 2); /* which waited already */
    assert_int_equal(missed, 1);
    live_lose(&subscriber, 1, missed);
    publish(channel, "", "3"); /* which came later */
    assert_int_equal(take(&subscriber, &missed), 3);
    assert_int_equal(missed, 2);
    live_stats(*state, &stats);
    assert_int_equal(stats.lost, 2);
    live_unsubscribe(&subscriber);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(messages_are_numbered_and_reach_those_whose_keys_match),
        TEST(who_does_not_take_loses_its_oldest_messages_and_is_told_how_many),
        TEST(a_message_larger_than_a_queue_pushes_out_all_others_but_arrives),
        TEST(a_batch_is_bounded_by_count_and_bytes),
        TEST(queues_do_what_the_model_does),
        TEST(what_was_taken_and_reached_nobody_is_lost_and_told_with_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
