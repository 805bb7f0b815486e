/* consumers.c - from messages to invocations, and from their outcomes to cursors and dead letters. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/trigger/consumers.h"

#include <stdio.h>
#include <stdlib.h>

#include "messaging/channel/group.h"
#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/catalog/manifest.h"
#include "runtime/invoke/appends.h"
#include "runtime/invoke/invoke.h"
#include "runtime/loop/loop.h"
#include "runtime/router/router.h"
#include "runtime/trigger/consumers_internal.h"
#include "runtime/trigger/delivery_policy.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum { LOOK_AGAIN_MS = 1000 /* after a store that took nothing; and from one tidying to the next */ };

/* One delivery under way: of a run of the group, or of a dead letter. */
struct delivery {
    struct consumer *consumer;
    struct group_run *run; /* NULL: a dead letter */
    uint64_t dead_offset;
    struct buf dead_row; /* value of the dead letter */
    struct buf settle; /* write set of its success, or of its end as a dead letter */
    struct buf body; /* of a batch */
    struct buf texts; /* of the headers */
    struct wire_headers headers;
    struct invoke_request request;
    struct store_commit commit;
};

static void pump(struct consumer *consumer);

struct group_message *consumer_message(struct list *link)
{
    return CONTAINER_OF(link, struct group_message, in_lane);
}

static uint64_t now_ms(const struct consumers_part *part)
{
    return clock_wall_ms(part->consumers->config.clock);
}

static struct slice channel_of(const struct consumer *consumer)
{
    return slice_cstr(consumer->group.channel);
}

static struct slice group_of(const struct consumer *consumer)
{
    return slice_cstr(consumer->group.name);
}

static void look_later(struct consumers_part *part, uint64_t delay_ms)
{
    if (!part->stopped && !loop_timer_started(&part->tick))
        loop_timer_start(part->consumers->config.loop, &part->tick, delay_ms, 0);
}

/* ---- ends of deliveries ---- */

static void delivery_free(struct delivery *delivery)
{
    delivery->consumer->in_flight--;
    delivery->consumer->part->consumers->stats.in_flight--;
    buf_fini(&delivery->dead_row);
    buf_fini(&delivery->settle);
    buf_fini(&delivery->body);
    buf_fini(&delivery->texts);
    free(delivery);
}

static void delivery_over(struct delivery *delivery)
{
    struct consumer *consumer = delivery->consumer;
    delivery_free(delivery);
    pump(consumer);
}

static void on_buried_durable(struct store_commit *commit)
{
    struct delivery *delivery = CONTAINER_OF(commit, struct delivery, commit);
    struct consumers_part *part = delivery->consumer->part;
    if (commit->status != STATUS_OK)
    {
        log_warn("consumers.dead", "app=%s channel=%s group=%s %s, it will be tried again", part->app,
                 delivery->consumer->group.channel, delivery->consumer->group.name, err_text(&commit->err));
        if (delivery->run) group_return(delivery->run, now_ms(part) + LOOK_AGAIN_MS);
    }
    else if (delivery->run)
    {
        delivery->consumer->dead += delivery->run->count;
        part->consumers->stats.dead += delivery->run->count;
        group_done(delivery->run);
    }
    delivery_over(delivery);
}

static void on_buried(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_buried_durable(commit); /* nothing was written */
}

static void bury(struct delivery *delivery, const char *error)
{
    struct consumer *consumer = delivery->consumer;
    struct consumers_part *part = consumer->part;
    buf_reset(&delivery->settle);
    if (delivery->run)
    {
        log_warn("consumers.dead", "app=%s channel=%s group=%s offset=%llu attempts=%u error=%s", part->app,
                 consumer->group.channel, consumer->group.name,
                 (unsigned long long)consumer_message(delivery->run->messages.next)->message.offset,
                 delivery->run->attempts + 1, error);
        group_bury_set(delivery->run, slice_cstr(error), now_ms(part), &delivery->settle);
    }
    else
    {
        struct durable_dead dead;
        struct buf key = BUF_INIT, value = BUF_INIT;
        CHECK(durable_dead_decode(buf_view(&delivery->dead_row), &dead, NULL) == STATUS_OK);
        dead.attempts++;
        dead.time_ms = now_ms(part);
        dead.error = slice_cstr(error);
        durable_dead_key(&key, channel_of(consumer), group_of(consumer), delivery->dead_offset);
        durable_dead_encode(&value, &dead);
        write_set_append(&delivery->settle,
                         &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
        buf_fini(&key);
        buf_fini(&value);
    }
    delivery->commit = (struct store_commit){
        .writes = {buf_view(&delivery->settle)}, .applied = on_buried, .durable = on_buried_durable};
    store_submit(part->store, &delivery->commit);
    store_push(part->store);
}

static void delivery_failed(struct delivery *delivery, enum status status, const char *words)
{
    struct consumer *consumer = delivery->consumer;
    struct consumers_part *part = consumer->part;
    struct group_run *run = delivery->run;
    uint64_t delay_ms = 0;
    enum delivery_step step = delivery_after(status, run ? run->attempts + 1 : 1, run ? consumer->retries : 0,
                                             &part->consumers->prng, &delay_ms);
    char error[512];
    snprintf(error, sizeof error, "%s: %s", status_code(status), words);
    if (step != DELIVERY_WAIT)
    {
        consumer->failed += run ? run->count : 1;
        part->consumers->stats.failed += run ? run->count : 1;
    }
    if (part->stopped)
    {
        if (run) group_return(run, 0);
        delivery_free(delivery);
        return;
    }
    if (run && step == DELIVERY_WAIT)
        group_return(run, now_ms(part) + delay_ms);
    else if (run && (step == DELIVERY_RETRY || run->count > 1))
        group_retry(run, now_ms(part) + delay_ms); /* those of a batch come alone from here on */
    else
    {
        bury(delivery, error);
        return;
    }
    delivery_over(delivery);
}

static void on_outcome(void *ctx, const struct outcome *outcome)
{
    struct delivery *delivery = ctx;
    if (outcome->status != STATUS_OK)
    {
        delivery_failed(delivery, outcome->status, outcome->message);
        return;
    }
    uint32_t count = delivery->run ? delivery->run->count : 1;
    delivery->consumer->delivered += count;
    delivery->consumer->part->consumers->stats.delivered += count;
    if (delivery->run) group_done(delivery->run);
    delivery_over(delivery);
}

/* ---- beginnings ---- */

static void header_add(struct delivery *delivery, const char *name, struct slice value)
{
    delivery->headers.items[delivery->headers.count++] = (struct wire_header){slice_cstr(name), value};
}

/* The text of a number, in memory that does not move. */
static struct slice number_text(struct delivery *delivery, uint64_t number)
{
    size_t begin = delivery->texts.size;
    CHECK(delivery->texts.capacity - begin >= 24);
    buf_printf(&delivery->texts, "%llu", (unsigned long long)number);
    return slice_make(delivery->texts.data + begin, delivery->texts.size - begin);
}

static void single_fill(struct delivery *delivery, const struct durable_message *message)
{
    header_add(delivery, WIRE_HEADER_OFFSET, number_text(delivery, message->offset));
    header_add(delivery, WIRE_HEADER_TIME, number_text(delivery, message->time_ms));
    if (message->type.size) header_add(delivery, "content-type", message->type);
    delivery->request.body = message->body;
}

static void batch_fill(struct delivery *delivery, struct list *messages)
{
    uint32_t count = 0;
    LIST_FOREACH(link, messages)
    {
        const struct durable_message *message = &consumer_message(link)->message;
        wire_message_encode(&delivery->body, &(struct wire_message){
                                                 .sequence = message->offset,
                                                 .time_ms = message->time_ms,
                                                 .channel = channel_of(delivery->consumer),
                                                 .key = message->key,
                                                 .type = message->type,
                                                 .body = message->body,
                                             });
        count++;
    }
    header_add(delivery, WIRE_HEADER_BATCH, number_text(delivery, count));
    delivery->request.body = buf_view(&delivery->body);
}

static struct delivery *delivery_create(struct consumer *consumer)
{
    struct delivery *delivery = mem_alloc(sizeof *delivery);
    memset(delivery, 0, offsetof(struct delivery, headers));
    delivery->headers.count = 0;
    delivery->request = (struct invoke_request){.origin = WIRE_ORIGIN_CHANNEL};
    delivery->request.headers = &delivery->headers;
    delivery->consumer = consumer;
    (void)buf_reserve(&delivery->texts, 128);
    consumer->in_flight++;
    consumer->part->consumers->stats.in_flight++;
    return delivery;
}

/* Its first message has the key of all. */
static void deliver(struct delivery *delivery, const struct durable_message *first)
{
    struct consumer *consumer = delivery->consumer;
    struct consumers_part *part = consumer->part;
    uint32_t index, count;
    invoke_partition_index(part->partition, &index, &count);
    header_add(delivery, WIRE_HEADER_CHANNEL, channel_of(consumer));
    header_add(delivery, WIRE_HEADER_KEY, first->key);
    if (delivery->run && consumer->group.batch > 1)
        batch_fill(delivery, &delivery->run->messages);
    else
        single_fill(delivery, first);
    delivery->request.entity = first->key;
    delivery->request.settle = buf_view(&delivery->settle);
    struct err err = ERR_INIT;
    enum status status =
        router_invoke_in(part->consumers->config.router, slice_cstr(part->app), index,
                         slice_cstr(consumer->function), &delivery->request, on_outcome, delivery, &err);
    if (status != STATUS_OK) delivery_failed(delivery, status, err_text(&err));
}

/* ---- reading ---- */

struct fill {
    struct consumer *consumer;
    bool full;
    struct err err;
};

static bool on_message(void *ctx, struct slice key, struct slice value)
{
    struct fill *fill = ctx;
    struct consumer *consumer = fill->consumer;
    uint64_t offset;
    if (durable_key_offset(key, &offset, &fill->err) != STATUS_OK) return false;
    if (map_remove(&consumer->done, map_key_u64(&offset)))
        group_pass(&consumer->group, offset + 1);
    else if (group_offer(&consumer->group, offset, value, &fill->err) != STATUS_OK)
        return false;
    fill->full = !group_has_room(&consumer->group);
    return !fill->full;
}

/* Messages that have gone before the group read them. */
static void skip_trimmed(struct consumer *consumer, uint64_t first)
{
    struct group *group = &consumer->group;
    if (group->next >= first) return;
    uint64_t lost = first - group->next;
    consumer->lost += lost;
    consumer->part->consumers->stats.lost += lost;
    log_warn("consumers.lost",
             "app=%s channel=%s group=%s offsets %llu to %llu went before the group read them: it is slower "
             "than `keep_hours` and `keep_mb` allow",
             consumer->part->app, group->channel, group->name, (unsigned long long)group->next,
             (unsigned long long)first - 1);
    group_pass(group, first);
}

static void fill_group(struct consumer *consumer)
{
    struct consumers_part *part = consumer->part;
    struct group *group = &consumer->group;
    struct durable_head head;
    struct fill fill = {.consumer = consumer, .err = ERR_INIT};
    enum status status = invoke_channel_head(part->partition, channel_of(consumer), &head, &fill.err);
    if (status == STATUS_OK)
    {
        skip_trimmed(consumer, head.first);
        if (group->next >= head.next || !group_has_room(group)) return;
        bool settled = invoke_appends_settled(part->partition);
        struct buf low = BUF_INIT, high = BUF_INIT;
        durable_message_key(&low, channel_of(consumer), group->next);
        durable_message_key(&high, channel_of(consumer), UINT64_MAX);
        struct store_snapshot *snapshot = store_snapshot_take(part->store);
        status = store_scan(snapshot, buf_view(&low), buf_view(&high), on_message, &fill, &fill.err);
        store_snapshot_release(part->store, snapshot);
        buf_fini(&low);
        buf_fini(&high);
        /* What has an offset and is not there never will be: its commit was refused. */
        if (status == STATUS_OK && fill.err.status == STATUS_OK && settled && !fill.full)
            group_pass(group, head.next);
    }
    bool ok = status == STATUS_OK && fill.err.status == STATUS_OK;
    if (!ok && !consumer->unreadable) /* once, not at each look */
        log_error("consumers.read", "app=%s channel=%s group=%s offset=%llu %s, it waits there", part->app,
                  group->channel, group->name, (unsigned long long)group->next, err_text(&fill.err));
    consumer->unreadable = !ok;
    if (!ok) look_later(part, LOOK_AGAIN_MS);
}

/* ---- dead letters that are tried once more ---- */

static bool redrive_next(struct consumer *consumer)
{
    struct dead_task *task = consumer->redrive;
    struct consumers_part *part = consumer->part;
    if (!task || task->started == task->count || consumer->in_flight >= GROUP_RUNS_MAX) return false;
    uint64_t offset = ((const uint64_t *)task->offsets.data)[task->started++];
    struct buf key = BUF_INIT;
    durable_dead_key(&key, channel_of(consumer), group_of(consumer), offset);
    struct store_snapshot *snapshot = store_snapshot_take(part->store);
    struct slice value;
    struct durable_dead dead;
    struct durable_message message;
    enum status status = store_get(snapshot, buf_view(&key), &value, NULL);
    struct delivery *delivery = delivery_create(consumer);
    if (status == STATUS_OK)
    {
        buf_append(&delivery->dead_row, value);
        status = durable_dead_decode(buf_view(&delivery->dead_row), &dead, NULL);
    }
    store_snapshot_release(part->store, snapshot);
    if (status == STATUS_OK) status = durable_message_decode(dead.row, &message, NULL);
    if (status != STATUS_OK)
    {
        if (status == STATUS_STORE_CORRUPT)
            log_error("consumers.dead_row",
                      "app=%s channel=%s group=%s offset=%llu is damaged and cannot be tried again",
                      part->app, consumer->group.channel, consumer->group.name, (unsigned long long)offset);
        task->unfit++;
        buf_fini(&key);
        delivery_free(delivery); /* else it was dropped meanwhile */
        return true;
    }
    message.offset = delivery->dead_offset = offset;
    write_set_append(&delivery->settle, &(struct write_entry){WRITE_DELETE, buf_view(&key), SLICE_EMPTY});
    buf_fini(&key);
    deliver(delivery, &message);
    return true;
}

static void redrive_end(struct consumer *consumer)
{
    struct dead_task *task = consumer->redrive;
    if (!task || (task->started < task->count && !consumer->part->stopped) || consumer->in_flight > 0) return;
    consumer->redrive = NULL;
    struct err err = ERR_INIT;
    task->done(task->ctx, STATUS_OK, task->started - task->unfit, &err);
    buf_fini(&task->offsets);
    free(task);
}

/* ---- the pump ---- */

static bool may_run(const struct consumer *consumer)
{
    return !consumer->part->stopped && consumer->subscribed && !consumer->moving;
}

static void pump_once(struct consumer *consumer)
{
    struct consumers_part *part = consumer->part;
    struct group_run *run;
    if (!consumer->redrive && may_run(consumer))
    {
        fill_group(consumer);
        uint64_t now = now_ms(part);
        while (may_run(consumer) && (run = group_next(&consumer->group, now)))
        {
            struct delivery *delivery = delivery_create(consumer);
            delivery->run = run;
            group_settle_set(run, &delivery->settle);
            deliver(delivery, &consumer_message(run->messages.next)->message);
        }
    }
    while (may_run(consumer) && redrive_next(consumer))
    {
    }
    redrive_end(consumer);
    consumers_move_step(consumer);
    uint64_t due_ms = group_due_ms(&consumer->group), now = now_ms(part);
    if (due_ms != UINT64_MAX && may_run(consumer))
        loop_timer_start(part->consumers->config.loop, &consumer->due, due_ms > now ? due_ms - now : 1, 0);
    if (consumer_unnoted(consumer) || consumer->group.next < consumer->known_next)
        look_later(part, LOOK_AGAIN_MS);
}

/* A delivery that is refused at once ends inside of its beginning: then the loop below goes round again. */
static void pump(struct consumer *consumer)
{
    consumer->pump_wanted = true;
    if (consumer->pumping) return;
    consumer->pumping = true;
    while (consumer->pump_wanted)
    {
        consumer->pump_wanted = false;
        pump_once(consumer);
    }
    consumer->pumping = false;
}

void consumer_pump(struct consumer *consumer)
{
    pump(consumer);
}

void consumer_on_due(struct loop_timer *timer, void *ctx)
{
    pump(ctx);
}

static void pump_all(struct consumers_part *part)
{
    LIST_FOREACH(link, &part->all)
    {
        struct consumer *consumer = CONTAINER_OF(link, struct consumer, link);
        struct durable_head head;
        if (invoke_channel_head(part->partition, channel_of(consumer), &head, NULL) == STATUS_OK)
            consumer->known_next = head.next;
        pump(consumer);
    }
}

static void on_look(struct loop_task *task, void *ctx)
{
    struct consumers_part *part = ctx;
    if (part->stopped) return;
    pump_all(part);
}

static void on_tick(struct loop_timer *timer, void *ctx)
{
    struct consumers_part *part = ctx;
    consumers_tidy(part);
    pump_all(part);
}

void consumers_wake(struct consumers_part *part)
{
    if (!part->stopped) loop_post(part->consumers->config.loop, &part->look);
}

bool consumer_unnoted(const struct consumer *consumer)
{
    const struct group *group = &consumer->group;
    return consumer->unkept || group->done_rows > 0 ||
           (group_cursor(group) > group->kept && !group->front_busy);
}

bool consumers_busy(const struct consumers_part *part)
{
    if (part->tidying) return true;
    LIST_FOREACH(link, &part->all)
    {
        const struct consumer *consumer = CONTAINER_OF(link, struct consumer, link);
        struct durable_head head;
        if (!consumer->subscribed) continue;
        if (consumer->group.messages || consumer->in_flight || consumer->redrive || consumer->moving ||
            consumer_unnoted(consumer))
            return true;
        if (invoke_channel_head(part->partition, channel_of(consumer), &head, NULL) == STATUS_OK &&
            consumer->group.next < head.next)
            return true;
    }
    return false;
}

/* ---- figures ---- */

void consumers_stats(const struct consumers *consumers, struct consumers_stats *stats)
{
    *stats = consumers->stats;
}

void consumers_groups(const struct consumers_part *part, consumers_group_fn tell, void *ctx)
{
    LIST_FOREACH(link, &part->all)
    {
        const struct consumer *consumer = CONTAINER_OF(link, struct consumer, link);
        const struct group *group = &consumer->group;
        struct durable_head head = {0};
        if (!consumer->subscribed ||
            invoke_channel_head(part->partition, channel_of(consumer), &head, NULL) != STATUS_OK)
            continue;
        uint64_t unread = head.next > group->next ? head.next - group->next : 0;
        tell(ctx, &(struct consumers_group){
                      .channel = group->channel,
                      .group = group->name,
                      .function = consumer->function,
                      .cursor = group_cursor(group),
                      .next = group->next,
                      .lag = group->messages + unread,
                      .delivered = consumer->delivered,
                      .failed = consumer->failed,
                      .dead = consumer->dead,
                      .lost = consumer->lost,
                      .in_flight = consumer->in_flight,
                      .waiting = group->messages,
                  });
    }
}

/* ---- life ---- */

struct consumers *consumers_create(const struct consumers_config *config)
{
    struct consumers *consumers = mem_zalloc(sizeof *consumers);
    consumers->config = *config;
    prng_init(&consumers->prng, config->seed);
    return consumers;
}

void consumers_destroy(struct consumers *consumers)
{
    free(consumers);
}

struct consumers_part *consumers_open(struct consumers *consumers, const char *app,
                                      struct invoke_partition *partition)
{
    struct consumers_part *part = mem_zalloc(sizeof *part);
    part->consumers = consumers;
    part->app = mem_strdup(app);
    part->partition = partition;
    part->store = invoke_partition_store(partition);
    list_init(&part->all);
    loop_timer_init(&part->tick, on_tick, part);
    loop_task_init(&part->look, on_look, part);
    consumers_tidy_init(part);
    *invoke_partition_place(partition, PARTITION_CHANNELS) = part;
    return part;
}

void consumers_stop(struct consumers_part *part)
{
    if (!part) return;
    part->stopped = true;
    loop_timer_stop(&part->tick);
    consumers_tidy_stop(part);
    LIST_FOREACH(link, &part->all)
    {
        struct consumer *consumer = CONTAINER_OF(link, struct consumer, link);
        loop_timer_stop(&consumer->due);
        pump(consumer); /* ends what waits for an end that does not come any more */
    }
}

void consumers_close(struct consumers_part *part)
{
    if (!part) return;
    CHECK(part->stopped && !part->tidying);
    struct list *link;
    while ((link = list_pop_front(&part->all))) consumer_free(CONTAINER_OF(link, struct consumer, link));
    consumers_tidy_fini(part);
    free(part->app);
    free(part);
}
