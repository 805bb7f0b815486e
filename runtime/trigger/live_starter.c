/* live_starter.c - messages into invocations. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/trigger/live_starter.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/catalog/manifest.h"
#include "runtime/invoke/invoke.h"
#include "runtime/loop/loop.h"
#include "runtime/router/router.h"
#include "runtime/trigger/delivery_policy.h"

enum { NUMBER_CHARS = 24, HEADERS_MAX = 8 };

struct live_starter {
    struct live_subscriber subscriber;
    struct live_starters *starters;
    struct list link; /* of its app, or of `dropped` */
    struct list ready;
    struct loop_timer again; /* runs after a refusal: none is started before its end */
    char *app, *function;
    uint32_t batch;
    bool by_key;
    uint32_t in_flight;
};

/* One invocation: what its request points to. */
struct start {
    struct live_starter *starter;
    struct buf frames;
    uint32_t count; /* of messages */
    uint64_t missed; /* that were lost before them */
    struct wire_message first;
    struct wire_headers headers;
    char numbers[HEADERS_MAX][NUMBER_CHARS];
};

void live_starters_init(struct live_starters *starters, struct loop *loop, struct router *router)
{
    *starters = (struct live_starters){.loop = loop, .router = router};
    list_init(&starters->ready);
    list_init(&starters->dropped);
}

void live_starters_fini(struct live_starters *starters)
{
    CHECK(list_empty(&starters->dropped));
}

void live_starters_drain(struct live_starters *starters)
{
    starters->draining = true;
}

/* ---- coming and going ---- */

static void on_message(struct live_subscriber *subscriber)
{
    struct live_starter *starter = CONTAINER_OF(subscriber, struct live_starter, subscriber);
    /* The end of one looks again, or that of the wait. */
    if (starter->in_flight == BOUND_LIVE_RUNS_MAX || loop_timer_started(&starter->again)) return;
    list_remove(&starter->ready);
    list_push_back(&starter->starters->ready, &starter->ready);
    loop_want(starter->starters->loop, PHASE_ADMIT);
}

static void look(struct live_starter *starter)
{
    if (starter->subscriber.count > 0) on_message(&starter->subscriber);
}

static void on_again(struct loop_timer *timer, void *ctx)
{
    look(ctx);
}

static void starter_free(struct live_starter *starter)
{
    list_remove(&starter->link);
    free(starter->app);
    free(starter->function);
    free(starter);
}

static struct live_starter *same_of(struct list *before, struct live_channel *channel,
                                    const struct manifest_subscription *subscription)
{
    struct slice keys = subscription->keys ? slice_cstr(subscription->keys) : SLICE_EMPTY;
    LIST_FOREACH(link, before)
    {
        struct live_starter *starter = CONTAINER_OF(link, struct live_starter, link);
        if (starter->subscriber.channel == channel &&
            strcmp(starter->function, subscription->function) == 0 &&
            slice_equal(buf_view(&starter->subscriber.keys), keys))
            return starter;
    }
    return NULL;
}

void live_starters_add(struct live_starters *starters, const char *app, struct live_channel *channel,
                       const struct manifest_subscription *subscription, struct list *before, struct list *to)
{
    static const struct live_limits limits = {.messages_max = BOUND_LIVE_QUEUE_MESSAGES_MAX,
                                              .bytes_max = BOUND_LIVE_QUEUE_BYTES_MAX};
    struct live_starter *starter = same_of(before, channel, subscription);
    if (starter)
        list_remove(&starter->link);
    else
    {
        starter = mem_zalloc(sizeof *starter);
        starter->starters = starters;
        starter->app = mem_strdup(app);
        starter->function = mem_strdup(subscription->function);
        list_init(&starter->ready);
        loop_timer_init(&starter->again, on_again, starter);
        live_subscribe(channel, &starter->subscriber,
                       subscription->keys ? slice_cstr(subscription->keys) : SLICE_EMPTY, &limits,
                       on_message);
    }
    starter->batch = subscription->batch;
    starter->by_key = subscription->entity == SUBSCRIPTION_ENTITY_KEY;
    list_push_back(to, &starter->link);
}

void live_starters_drop(struct live_starters *starters, struct list *list)
{
    struct list *link;
    while ((link = list_pop_front(list)))
    {
        struct live_starter *starter = CONTAINER_OF(link, struct live_starter, link);
        live_unsubscribe(&starter->subscriber);
        list_remove(&starter->ready);
        loop_timer_stop(&starter->again);
        list_push_back(&starters->dropped, &starter->link);
        if (starter->in_flight == 0) starter_free(starter);
    }
}

/* ---- an invocation ---- */

static void header(struct start *start, const char *name, struct slice value)
{
    CHECK(start->headers.count < HEADERS_MAX);
    start->headers.items[start->headers.count++] = (struct wire_header){slice_cstr(name), value};
}

static void header_number(struct start *start, const char *name, uint64_t number)
{
    char *text = start->numbers[start->headers.count];
    snprintf(text, NUMBER_CHARS, "%llu", (unsigned long long)number);
    header(start, name, slice_cstr(text));
}

/* Takes one message or a batch; of one key, when that names the entity. */
static uint32_t take(struct live_starter *starter, struct buf *frames, uint64_t *missed)
{
    struct live_subscriber *subscriber = &starter->subscriber;
    if (!starter->by_key)
        return live_take(subscriber, starter->batch, BOUND_LIVE_BATCH_BYTES_MAX, frames, missed);
    struct buf key = BUF_INIT;
    struct wire_message next;
    uint64_t lost;
    uint32_t count = 0;
    while (count < starter->batch && live_peek(subscriber, &next, &lost))
    {
        if (count == 0)
        {
            buf_append(&key, next.key);
            *missed = lost;
        }
        else if (lost || !slice_equal(next.key, buf_view(&key)) || frames->size >= BOUND_LIVE_BATCH_BYTES_MAX)
            break;
        count += live_take(subscriber, 1, SIZE_MAX, frames, &lost);
    }
    buf_fini(&key);
    return count;
}

static void start_end(struct start *start)
{
    struct live_starter *starter = start->starter;
    buf_fini(&start->frames);
    free(start);
    starter->in_flight--;
    if (!starter->subscriber.channel)
    {
        if (starter->in_flight == 0) starter_free(starter);
        return;
    }
    look(starter);
}

/* Has the function not run at all? What it was to be told is lost then. */
static bool never_began(enum status status)
{
    switch (status)
    {
    case STATUS_DEADLINE_EXCEEDED:
    case STATUS_FUNCTION_NOT_FOUND:
    case STATUS_FUNCTION_START_FAILED:
        return true;
    default:
        return !delivery_was_tried(status);
    }
}

static void start_failed(struct start *start, enum status status, const char *words)
{
    struct live_starter *starter = start->starter;
    struct live_starters *starters = starter->starters;
    starters->failed++;
    log_debug("live.failed", "app=%s function=%s messages=%u code=%s %s", starter->app, starter->function,
              start->count, status_code(status), words);
    if (starter->subscriber.channel && never_began(status))
    {
        live_lose(&starter->subscriber, start->count, start->missed);
        loop_timer_start(starters->loop, &starter->again, BOUND_LIVE_REFUSED_WAIT_MS, 0);
    }
    start_end(start);
}

static void on_done(void *ctx, const struct outcome *outcome)
{
    if (outcome->status == STATUS_OK)
        start_end(ctx);
    else
        start_failed(ctx, outcome->status, outcome->message);
}

static void start_one(struct live_starter *starter)
{
    struct live_starters *starters = starter->starters;
    struct start *start = mem_zalloc(sizeof *start);
    start->starter = starter;
    start->count = take(starter, &start->frames, &start->missed);
    CHECK(start->count > 0);
    size_t offset = 0;
    bool found;
    CHECK(wire_message_next(buf_view(&start->frames), &offset, &start->first, &found, NULL) == STATUS_OK &&
          found);
    const struct wire_message *first = &start->first;
    header(start, WIRE_HEADER_CHANNEL, first->channel);
    if (starter->batch > 1)
        header_number(start, WIRE_HEADER_BATCH, start->count);
    else
    {
        header_number(start, WIRE_HEADER_SEQUENCE, first->sequence);
        header_number(start, WIRE_HEADER_TIME, first->time_ms);
        header(start, WIRE_HEADER_KEY, first->key);
        header(start, "content-type", first->type);
    }
    if (start->missed) header_number(start, WIRE_HEADER_MISSED, start->missed);
    struct invoke_request request = {
        .origin = WIRE_ORIGIN_CHANNEL,
        .entity = starter->by_key ? first->key : SLICE_EMPTY,
        .headers = &start->headers,
        .body = starter->batch > 1 ? buf_view(&start->frames) : first->body,
    };
    struct err err = ERR_INIT;
    starter->in_flight++;
    starters->started++;
    enum status status = router_invoke(starters->router, slice_cstr(starter->app),
                                       slice_cstr(starter->function), &request, on_done, start, &err);
    if (status != STATUS_OK) start_failed(start, status, err_text(&err));
}

void live_starters_run(struct live_starters *starters)
{
    /* Those that come back to the list meanwhile wait for the next turn. */
    struct list now, *link;
    list_init(&now);
    list_splice_back(&now, &starters->ready);
    while ((link = list_pop_front(&now)))
    {
        struct live_starter *starter = CONTAINER_OF(link, struct live_starter, ready);
        while (!starters->draining && starter->subscriber.count > 0 &&
               starter->in_flight < BOUND_LIVE_RUNS_MAX && !loop_timer_started(&starter->again))
            start_one(starter);
    }
}
