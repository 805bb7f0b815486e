/* test_live_starter.c - messages of live channels that start functions, by a router that the test plays: what is lost is told. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/base/clock.h"
#include "runtime/catalog/manifest.h"
#include "runtime/loop/loop.h"
#include "runtime/router/router.h"
#include "runtime/trigger/live_starter.h"

enum { RUNS_MAX = 64 };

/* ---- a router that notes what it is asked ---- */

struct router {
    enum status refusal; /* OK: invocations begin */
    struct {
        invoke_done_fn done;
        void *ctx;
    } runs[RUNS_MAX]; /* that have begun and not ended, oldest first */
    size_t runs_count;
    struct buf seen; /* a line for each: "f/entity k=v ... |body" without what is always there */
};

enum status router_invoke(struct router *router, struct slice app, struct slice function,
                          const struct invoke_request *request, invoke_done_fn done, void *ctx,
                          struct err *err)
{
    if (router->refusal != STATUS_OK) return err_set(err, router->refusal, "the test refuses");
    assert_true(slice_is(app, "shop") && router->runs_count < RUNS_MAX);
    assert_int_equal(request->origin, WIRE_ORIGIN_CHANNEL);
    buf_printf(&router->seen, "%.*s/%.*s", SLICE_FMT(function), SLICE_FMT(request->entity));
    bool batch = false;
    for (size_t i = 0; i < request->headers->count; i++)
    {
        const struct wire_header *header = &request->headers->items[i];
        batch |= slice_is(header->name, WIRE_HEADER_BATCH);
        if (slice_is(header->name, WIRE_HEADER_SEQUENCE) || slice_is(header->name, WIRE_HEADER_MISSED) ||
            slice_is(header->name, WIRE_HEADER_BATCH))
            buf_printf(&router->seen, " %.*s=%.*s", SLICE_FMT(header->name), SLICE_FMT(header->value));
    }
    if (!batch) buf_printf(&router->seen, " |%.*s", SLICE_FMT(request->body));
    buf_append_byte(&router->seen, '\n');
    router->runs[router->runs_count].done = done;
    router->runs[router->runs_count++].ctx = ctx;
    return STATUS_OK;
}

/* ---- the fixture ---- */

struct fixture {
    struct clock_manual clock;
    struct loop *loop;
    struct live_hub *hub;
    struct live_channel *channel;
    struct router router;
    struct live_starters starters;
    struct list list; /* of the app */
};

static void on_turn(void *ctx)
{
    live_starters_run(&((struct fixture *)ctx)->starters);
}

static void settle(struct fixture *fx)
{
    for (int i = 0; i < 4; i++) loop_turn(fx->loop, false);
}

static void advance(struct fixture *fx, uint64_t ms)
{
    clock_manual_advance(&fx->clock, ms * NS_PER_MS);
    settle(fx);
}

static void subscribe(struct fixture *fx, const struct manifest_subscription *subscription)
{
    struct list before;
    list_init(&before);
    list_splice_back(&before, &fx->list);
    if (subscription) live_starters_add(&fx->starters, "shop", fx->channel, subscription, &before, &fx->list);
    live_starters_drop(&fx->starters, &before);
}

static int set_up(void **state)
{
    struct fixture *fx = mem_zalloc(sizeof *fx);
    clock_manual_init(&fx->clock, 1700000000000);
    assert_int_equal(loop_create(&fx->loop, &fx->clock.clock, NULL), STATUS_OK);
    fx->hub = live_hub_create();
    fx->channel = live_channel(fx->hub, SLICE("shop/prices"));
    list_init(&fx->list);
    live_starters_init(&fx->starters, fx->loop, &fx->router);
    loop_on_turn(fx->loop, PHASE_ADMIT, on_turn, fx);
    *state = fx;
    return 0;
}

/* Ends the oldest invocation. */
static void finish(struct fixture *fx, enum status status)
{
    struct router *router = &fx->router;
    assert_true(router->runs_count > 0);
    invoke_done_fn done = router->runs[0].done;
    void *ctx = router->runs[0].ctx;
    memmove(router->runs, router->runs + 1, --router->runs_count * sizeof router->runs[0]);
    done(ctx, &(struct outcome){.status = status, .message = "the test ends it"});
    settle(fx);
}

static int tear_down(void **state)
{
    struct fixture *fx = *state;
    live_starters_drain(&fx->starters);
    while (fx->router.runs_count > 0) finish(fx, STATUS_OK);
    live_starters_drop(&fx->starters, &fx->list);
    live_starters_fini(&fx->starters);
    loop_off_turn(fx->loop, PHASE_ADMIT, on_turn, fx);
    live_hub_destroy(fx->hub);
    loop_destroy(fx->loop);
    buf_fini(&fx->router.seen);
    free(fx);
    return 0;
}

static void publish(struct fixture *fx, const char *key, const char *body)
{
    (void)live_publish(fx->channel, &(struct wire_message){.key = slice_cstr(key), .body = slice_cstr(body)});
    settle(fx);
}

/* What was asked since the last call. */
static const char *seen(struct fixture *fx)
{
    const char *text = buf_cstr(&fx->router.seen);
    buf_reset(&fx->router.seen); /* the bytes stay where they are until the next invocation */
    return text;
}

static uint64_t lost(struct fixture *fx)
{
    struct live_stats stats;
    live_stats(fx->hub, &stats);
    return stats.lost;
}

static const struct manifest_subscription one = {.channel = "prices", .function = "f", .batch = 1};
static const struct manifest_subscription batches = {.channel = "prices", .function = "f", .batch = 10};
static const struct manifest_subscription by_key = {
    .channel = "prices", .function = "f", .batch = 10, .entity = SUBSCRIPTION_ENTITY_KEY};

/* ---- tests ---- */

static void each_message_starts_an_invocation_in_its_order(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &one);
    publish(fx, "a", "1");
    publish(fx, "b", "2");
    assert_string_equal(seen(fx), "f/ stead-sequence=1 |1\nf/ stead-sequence=2 |2\n");
    assert_int_equal(fx->starters.started, 2);
}

static void what_waits_for_a_free_run_goes_together(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &batches);
    for (int i = 0; i < BOUND_LIVE_RUNS_MAX; i++) publish(fx, "", "x");
    (void)seen(fx);
    for (int i = 0; i < 3; i++) publish(fx, "", "y");
    assert_string_equal(seen(fx), ""); /* as many as may are under way */
    finish(fx, STATUS_OK);
    assert_string_equal(seen(fx), "f/ stead-batch=3\n");
    assert_int_equal(lost(fx), 0);
}

static void a_batch_for_an_entity_has_one_key(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &by_key);
    for (int i = 0; i < BOUND_LIVE_RUNS_MAX; i++) publish(fx, "z", "x");
    (void)seen(fx);
    publish(fx, "a", "1");
    publish(fx, "a", "2");
    publish(fx, "b", "3");
    finish(fx, STATUS_OK);
    assert_string_equal(seen(fx), "f/a stead-batch=2\n");
    finish(fx, STATUS_OK);
    assert_string_equal(seen(fx), "f/b stead-batch=1\n");
}

static void a_queue_that_overflows_tells_the_next_invocation(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &one);
    for (int i = 0; i < BOUND_LIVE_RUNS_MAX; i++) publish(fx, "", "x");
    (void)seen(fx);
    for (int i = 0; i < BOUND_LIVE_QUEUE_MESSAGES_MAX + 3; i++)
        (void)live_publish(fx->channel, &(struct wire_message){.body = SLICE("y")});
    finish(fx, STATUS_OK);
    assert_string_equal(seen(fx), "f/ stead-sequence=20 stead-missed=3 |y\n");
    assert_int_equal(lost(fx), 3);
}

static void a_message_that_the_router_has_no_room_for_is_counted_and_told(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &one);
    fx->router.refusal = STATUS_OVERLOADED;
    publish(fx, "", "1");
    assert_int_equal(lost(fx), 1);
    assert_int_equal(fx->starters.failed, 1);
    publish(fx, "", "2"); /* waits for the end of the pause */
    publish(fx, "", "3");
    assert_int_equal(lost(fx), 1);
    fx->router.refusal = STATUS_OK;
    advance(fx, BOUND_LIVE_REFUSED_WAIT_MS - 1);
    assert_string_equal(seen(fx), "");
    advance(fx, 1);
    assert_string_equal(seen(fx), "f/ stead-sequence=2 stead-missed=1 |2\nf/ stead-sequence=3 |3\n");
}

static void refusals_one_after_another_add_up(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &batches);
    fx->router.refusal = STATUS_OVERLOADED;
    publish(fx, "", "1");
    for (int i = 0; i < 4; i++) publish(fx, "", "2");
    advance(fx, BOUND_LIVE_REFUSED_WAIT_MS);
    assert_int_equal(lost(fx), 5);
    fx->router.refusal = STATUS_OK;
    publish(fx, "", "3");
    advance(fx, BOUND_LIVE_REFUSED_WAIT_MS);
    assert_string_equal(seen(fx), "f/ stead-batch=1 stead-missed=5\n");
}

static void each_way_of_not_beginning_is_told_and_a_failure_is_only_counted(void **state)
{
    struct fixture *fx = *state;
    static const struct {
        enum status status;
        bool is_lost;
    } ends[] = {
        {STATUS_QUEUE_FULL, true},         {STATUS_RATE_LIMITED, true},
        {STATUS_OVERLOADED, true},         {STATUS_APP_NOT_FOUND, true},
        {STATUS_FUNCTION_NOT_FOUND, true}, {STATUS_FUNCTION_START_FAILED, true},
        {STATUS_DEADLINE_EXCEEDED, true},  {STATUS_READ_ONLY, true},
        {STATUS_FUNCTION_ERROR, false},    {STATUS_FUNCTION_CRASHED, false},
        {STATUS_FUNCTION_TIMEOUT, false},  {STATUS_CONFLICT, false},
    };
    subscribe(fx, &one);
    uint64_t want = 0;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
    {
        publish(fx, "", "x");
        finish(fx, ends[i].status);
        want += ends[i].is_lost;
        if (lost(fx) != want)
            fail_msg("%s: %d lost, not %d", status_code(ends[i].status), (int)lost(fx), (int)want);
        assert_int_equal(fx->starters.failed, i + 1);
        (void)seen(fx);
        publish(fx, "", "y");
        advance(fx, BOUND_LIVE_REFUSED_WAIT_MS);
        bool told = strstr(seen(fx), "stead-missed=1") != NULL;
        if (told != ends[i].is_lost) fail_msg("%s: told %d", status_code(ends[i].status), told);
        finish(fx, STATUS_OK);
    }
}

static void a_new_version_goes_on_with_the_queue_of_the_same_subscription(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &one);
    fx->router.refusal = STATUS_OVERLOADED;
    publish(fx, "", "1");
    publish(fx, "", "2");
    subscribe(fx, &one);
    fx->router.refusal = STATUS_OK;
    advance(fx, BOUND_LIVE_REFUSED_WAIT_MS);
    assert_string_equal(seen(fx), "f/ stead-sequence=2 stead-missed=1 |2\n");
}

static void a_subscription_that_goes_ends_after_its_last_invocation(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &one);
    publish(fx, "", "1");
    subscribe(fx, NULL);
    publish(fx, "", "2");
    assert_string_equal(seen(fx), "f/ stead-sequence=1 |1\n");
    assert_false(list_empty(&fx->starters.dropped));
    finish(fx, STATUS_OVERLOADED); /* nobody is left to be told */
    assert_true(list_empty(&fx->starters.dropped));
    assert_int_equal(lost(fx), 0);
}

static void a_node_that_stops_starts_none(void **state)
{
    struct fixture *fx = *state;
    subscribe(fx, &one);
    live_starters_drain(&fx->starters);
    publish(fx, "", "1");
    assert_string_equal(seen(fx), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_message_starts_an_invocation_in_its_order),
        TEST(what_waits_for_a_free_run_goes_together),
        TEST(a_batch_for_an_entity_has_one_key),
        TEST(a_queue_that_overflows_tells_the_next_invocation),
        TEST(a_message_that_the_router_has_no_room_for_is_counted_and_told),
        TEST(refusals_one_after_another_add_up),
        TEST(each_way_of_not_beginning_is_told_and_a_failure_is_only_counted),
        TEST(a_new_version_goes_on_with_the_queue_of_the_same_subscription),
        TEST(a_subscription_that_goes_ends_after_its_last_invocation),
        TEST(a_node_that_stops_starts_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
