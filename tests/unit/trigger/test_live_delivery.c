/* test_live_delivery.c - running handlers that publish and receive: waits, refusals, losses, hostile ones, a node that stops. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/trigger/live_delivery.h"
#include "tests/unit/trigger/fx_trigger.h"

struct world {
    struct fx_trigger t;
    struct live_delivery *live;
    struct caller caller;
    struct pool_run *run; /* of the handler */
    uint32_t asks;
};

static const struct invoke_channel channels[] = {{"prices", false}, {"orders", true}};

static void on_ask(void *ctx, struct invocation *invocation, const struct wire_ask *ask)
{
    live_delivery_ask(((struct world *)ctx)->live, invocation, ask);
}

static void on_ask_over(void *ctx, struct invocation *invocation)
{
    live_delivery_ask_over(((struct world *)ctx)->live, invocation);
}

static void on_release(void *ctx, struct invocation *invocation, const struct wire_effect *effect)
{
    live_delivery_release(((struct world *)ctx)->live, invocation, effect);
}

/* With a handler that runs. */
static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    fx_trigger_init(&w->t, 0, 1);
    w->t.fx->version.channels = channels;
    w->t.fx->version.channels_count = 2;
    w->live = live_delivery_create(&(struct live_delivery_config){
        .loop = w->t.fx->loop, .clock = w->t.fx->clock, .router = &w->t.router});
    static struct invoke_ports ports;
    ports = (struct invoke_ports){.ctx = w, .ask = on_ask, .ask_over = on_ask_over, .release = on_release};
    invoke_set_ports(w->t.fx->engine, &ports);
    start(w->t.fx, &w->caller, "");
    w->run = taken();
    *state = w;
    return 0;
}

static void end_run(struct world *w)
{
    if (!w->run) return;
    end_with(w->run, NULL, "");
    w->run = NULL;
    until_answered(w->t.fx, &w->caller);
}

static struct live_delivery_stats stats_of(struct world *w)
{
    struct live_delivery_stats stats;
    live_delivery_stats(w->live, &stats);
    return stats;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    end_run(w);
    assert_int_equal(stats_of(w).receivers, 0);
    live_delivery_destroy(w->live);
    fx_trigger_fini(&w->t);
    free(w);
    return 0;
}

static void ask(struct world *w, struct wire_ask *ask)
{
    ask->ask = ++w->asks;
    w->run->ask(w->run, ask);
}

static struct given_answer *subscribe(struct world *w, const char *channel, const char *keys)
{
    ask(w,
        &(struct wire_ask){.kind = WIRE_ASK_SUBSCRIBE, .name = slice_cstr(channel), .key = slice_cstr(keys)});
    return fx_answer(w->t.fx);
}

static void receive(struct world *w, uint64_t number, uint64_t wait_ms)
{
    ask(w, &(struct wire_ask){.kind = WIRE_ASK_RECEIVE, .number = number, .limit = wait_ms});
}

static void publish_now(struct world *w, const char *channel, struct slice key, struct slice body)
{
    ask(w,
        &(struct wire_ask){.kind = WIRE_ASK_PUBLISH, .name = slice_cstr(channel), .key = key, .body = body});
}

static void who_waits_gets_all_that_a_turn_has_brought(void **state)
{
    struct world *w = *state;
    uint64_t number = subscribe(w, "prices", "eu/")->number;
    receive(w, number, 1000);
    assert_true(fx_unanswered());
    publish_now(w, "prices", SLICE("eu/1"), SLICE("1"));
    publish_now(w, "prices", SLICE("us/1"), SLICE("no"));
    publish_now(w, "prices", SLICE("eu/2"), SLICE("2"));
    assert_true(fx_unanswered());
    struct given_answer *answer = fx_answer(w->t.fx);
    assert_int_equal(answer->status, STATUS_OK);
    assert_int_equal(answer->ask, 2);
    size_t both = answer->size;
    publish_now(w, "prices", SLICE("eu/3"), SLICE("3"));
    receive(w, number, 1000); /* one is there already */
    answer = fx_answer(w->t.fx);
    assert_true(answer->size > 0 && both == 2 * answer->size);
    assert_int_equal(stats_of(w).hub.delivered, 3);
}

static void who_waits_in_vain_is_told_when_its_time_is_over(void **state)
{
    struct world *w = *state;
    uint64_t number = subscribe(w, "prices", "")->number;
    receive(w, number, 500);
    fx_advance_ms(&w->t, 499);
    assert_true(fx_unanswered());
    fx_advance_ms(&w->t, 1);
    struct given_answer *answer = fx_answer(w->t.fx);
    assert_true(answer->status == STATUS_OK && answer->size == 0);
    receive(w, number, 0); /* does not wait */
    assert_int_equal(fx_answer(w->t.fx)->size, 0);
}

static void who_does_not_read_is_told_how_many_it_lost(void **state)
{
    struct world *w = *state;
    uint64_t number = subscribe(w, "prices", "")->number;
    for (int i = 0; i < BOUND_LIVE_QUEUE_MESSAGES_MAX + 7; i++)
        publish_now(w, "prices", SLICE_EMPTY, SLICE("x"));
    receive(w, number, 0);
    assert_int_equal(fx_answer(w->t.fx)->number, 7);
    assert_int_equal(stats_of(w).hub.lost, 7);
}

static void channels_that_are_none_and_subscriptions_that_are_too_many_are_refused_with_words(void **state)
{
    struct world *w = *state;
    struct given_answer *answer = subscribe(w, "none", "");
    assert_int_equal(answer->status, STATUS_CHANNEL_NOT_FOUND);
    assert_non_null(strstr(answer->text, "none"));
    answer = subscribe(w, "orders", "");
    assert_int_equal(answer->status, STATUS_CHANNEL_KIND);
    assert_non_null(strstr(answer->text, "orders"));
    ask(w, &(struct wire_ask){.kind = WIRE_ASK_CHANNEL, .name = SLICE("none")});
    assert_int_equal(fx_answer(w->t.fx)->status, STATUS_CHANNEL_NOT_FOUND);
    ask(w, &(struct wire_ask){.kind = WIRE_ASK_CHANNEL, .name = SLICE("prices")});
    assert_int_equal(fx_answer(w->t.fx)->status, STATUS_OK);
    static char keys[BOUND_MESSAGE_KEY_BYTES_MAX + 2];
    memset(keys, 'k', sizeof keys - 1);
    answer = subscribe(w, "prices", keys);
    assert_int_equal(answer->status, STATUS_MESSAGE_TOO_LARGE);
    assert_string_equal(answer->text, "keys of 401 bytes");
    for (int i = 0; i < BOUND_SUBSCRIPTIONS_PER_RUN_MAX; i++)
        assert_int_equal(subscribe(w, "prices", "")->status, STATUS_OK);
    answer = subscribe(w, "prices", "");
    assert_int_equal(answer->status, STATUS_QUEUE_FULL);
    assert_string_equal(answer->text, "one invocation may have at most 64 subscriptions");
}

static void a_receive_of_what_is_no_subscription_and_two_at_once_are_refused(void **state)
{
    struct world *w = *state;
    receive(w, 1, 1000);
    struct given_answer *answer = fx_answer(w->t.fx);
    assert_int_equal(answer->status, STATUS_INVALID_ARGUMENT);
    assert_string_equal(answer->text, "there is no such subscription");
    uint64_t number = subscribe(w, "prices", "")->number;
    receive(w, number, 1000);
    receive(w, number, 1000);
    answer = fx_answer(w->t.fx);
    assert_string_equal(answer->text, "the subscription is being waited for already");
    receive(w, number + 1, 1000);
    assert_string_equal(fx_answer(w->t.fx)->text, "there is no such subscription");
}

static void publishes_that_go_round_the_sdk_are_counted_and_go_nowhere(void **state)
{
    struct world *w = *state;
    static char large[BOUND_MESSAGE_BYTES_MAX + 1], key[BOUND_MESSAGE_KEY_BYTES_MAX + 1];
    (void)subscribe(w, "prices", "");
    publish_now(w, "none", SLICE_EMPTY, SLICE("x"));
    publish_now(w, "orders", SLICE_EMPTY, SLICE("x"));
    publish_now(w, "prices", SLICE_EMPTY, slice_make(large, sizeof large));
    memset(key, 'k', sizeof key);
    publish_now(w, "prices", slice_make(key, sizeof key), SLICE("x"));
    publish_now(w, "prices", SLICE("a\0b"), SLICE("x"));
    assert_true(stats_of(w).refused == 5 && stats_of(w).hub.published == 0);
    publish_now(w, "prices", SLICE("k"), SLICE("x"));
    assert_true(stats_of(w).refused == 5 && stats_of(w).hub.published == 1);
}

static void a_committed_publish_is_heard_after_the_commit(void **state)
{
    struct world *w = *state;
    struct buf effects = BUF_INIT;
    struct caller sender;
    uint64_t number = subscribe(w, "prices", "")->number;
    wire_effect_encode(
        &effects,
        &(struct wire_effect){.kind = WIRE_EFFECT_PUBLISH, .name = SLICE("prices"), .body = SLICE("x")});
    start(w->t.fx, &sender, "");
    end(taken(), STATUS_OK, &(struct wire_result){.http_status = 200, .effects = buf_view(&effects)});
    buf_fini(&effects);
    receive(w, number, 0);
    assert_int_equal(fx_answer(w->t.fx)->size, 0);
    until_answered(w->t.fx, &sender);
    receive(w, number, 0);
    assert_true(fx_answer(w->t.fx)->size > 0);
}

static void a_node_that_stops_tells_who_waits(void **state)
{
    struct world *w = *state;
    uint64_t number = subscribe(w, "prices", "")->number;
    receive(w, number, 60000);
    live_delivery_drain(w->live);
    struct given_answer *answer = fx_answer(w->t.fx);
    assert_int_equal(answer->status, STATUS_DRAINING);
    assert_string_equal(answer->text, "the node is stopping");
    receive(w, number, 60000);
    assert_int_equal(fx_answer(w->t.fx)->status, STATUS_DRAINING);
}

static void subscriptions_end_with_their_run(void **state)
{
    struct world *w = *state;
    receive(w, subscribe(w, "prices", "")->number, 60000);
    assert_int_equal(stats_of(w).receivers, 1);
    end_run(w);
    assert_int_equal(stats_of(w).receivers, 0);
    fx_advance_ms(&w->t, 60000);
    assert_true(fx_unanswered());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_waits_gets_all_that_a_turn_has_brought),
        TEST(who_waits_in_vain_is_told_when_its_time_is_over),
        TEST(who_does_not_read_is_told_how_many_it_lost),
        TEST(channels_that_are_none_and_subscriptions_that_are_too_many_are_refused_with_words),
        TEST(a_receive_of_what_is_no_subscription_and_two_at_once_are_refused),
        TEST(publishes_that_go_round_the_sdk_are_counted_and_go_nowhere),
        TEST(a_committed_publish_is_heard_after_the_commit),
        TEST(a_node_that_stops_tells_who_waits),
        TEST(subscriptions_end_with_their_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
