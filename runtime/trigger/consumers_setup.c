/* consumers_setup.c - groups come and go with versions of an app; their cursors come from the store. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/catalog/manifest.h"
#include "runtime/invoke/appends.h"
#include "runtime/trigger/consumers_internal.h"
#include "statestore/kv/keyspace.h"

struct done_scan {
    struct consumer *consumer;
    enum status status;
    struct err *err;
};

static bool on_done_row(void *ctx, struct slice key, struct slice value)
{
    struct done_scan *scan = ctx;
    struct consumer *consumer = scan->consumer;
    uint64_t offset;
    scan->status = durable_key_offset(key, &offset, scan->err);
    if (scan->status != STATUS_OK) return false;
    if (offset >= consumer->group.next) map_put(&consumer->done, map_key_u64(&offset), consumer);
    consumer->group.done_rows++;
    return true;
}

static enum status done_load(struct consumer *consumer, struct store_snapshot *snapshot, struct err *err)
{
    struct slice channel = slice_cstr(consumer->group.channel), group = slice_cstr(consumer->group.name);
    struct buf low = BUF_INIT, high = BUF_INIT;
    durable_done_key(&low, channel, group, 0);
    durable_done_key(&high, channel, group, UINT64_MAX);
    struct done_scan scan = {consumer, STATUS_OK, err};
    enum status status = store_scan(snapshot, buf_view(&low), buf_view(&high), on_done_row, &scan, err);
    buf_fini(&low);
    buf_fini(&high);
    return status == STATUS_OK ? scan.status : status;
}

/* NOT_FOUND: it has none yet. */
static enum status cursor_load(struct store_snapshot *snapshot, struct slice channel, struct slice group,
                               uint64_t *cursor, struct err *err)
{
    struct buf key = BUF_INIT;
    struct slice value;
    durable_cursor_key(&key, channel, group);
    enum status status = store_get(snapshot, buf_view(&key), &value, NULL);
    if (status == STATUS_OK)
        status = durable_cursor_decode(value, cursor, err);
    else
        (void)err_set(err, status, "cursor");
    buf_fini(&key);
    return status;
}

void consumer_free(struct consumer *consumer)
{
    CHECK(consumer->in_flight == 0 && !consumer->redrive && !consumer->moving);
    list_remove(&consumer->link);
    loop_timer_stop(&consumer->due);
    group_fini(&consumer->group);
    map_fini(&consumer->done);
    free(consumer->function);
    free(consumer);
}

static struct consumer *consumer_create(struct consumers_part *part, struct slice channel, struct slice group,
                                        bool from_end, struct err *err)
{
    struct durable_head head;
    uint64_t cursor = 0;
    if (invoke_channel_head(part->partition, channel, &head, err) != STATUS_OK) return NULL;
    struct store_snapshot *snapshot = store_snapshot_take(part->store);
    enum status status = cursor_load(snapshot, channel, group, &cursor, err);
    bool is_new = status == STATUS_NOT_FOUND;
    if (is_new) cursor = from_end ? head.next : head.first;
    struct consumer *consumer = NULL;
    if (is_new || status == STATUS_OK)
    {
        consumer = mem_zalloc(sizeof *consumer);
        consumer->part = part;
        consumer->unkept = is_new;
        consumer->function = mem_strdup("");
        loop_timer_init(&consumer->due, consumer_on_due, consumer);
        group_init(&consumer->group, channel, group, cursor);
        list_push_back(&part->all, &consumer->link);
        status = done_load(consumer, snapshot, err);
    }
    store_snapshot_release(part->store, snapshot);
    if (status == STATUS_OK || !consumer) return consumer;
    consumer_free(consumer);
    return NULL;
}

static struct consumer *consumer_find(struct consumers_part *part, struct slice channel, struct slice group)
{
    LIST_FOREACH(link, &part->all)
    {
        struct consumer *consumer = CONTAINER_OF(link, struct consumer, link);
        if (slice_is(channel, consumer->group.channel) && slice_is(group, consumer->group.name))
            return consumer;
    }
    return NULL;
}

struct consumer *consumers_find(struct consumers_part *part, struct slice channel, struct slice group,
                                struct err *err)
{
    struct consumer *consumer = consumer_find(part, channel, group);
    if (consumer && consumer->subscribed) return consumer;
    (void)err_set(err, STATUS_NOT_FOUND, "no subscription of app '%s' has the group '%.*s' of channel '%.*s'",
                  part->app, SLICE_FMT(group), SLICE_FMT(channel)); /* NULL tells */
    return NULL;
}

static void subscribe(struct consumers_part *part, const struct manifest_subscription *subscription)
{
    struct err err = ERR_INIT;
    struct slice channel = slice_cstr(subscription->channel),
                 group = manifest_subscription_group(subscription);
    struct consumer *consumer = consumer_find(part, channel, group);
    if (!consumer)
        consumer = consumer_create(part, channel, group, subscription->from == SUBSCRIPTION_FROM_END, &err);
    if (!consumer)
    {
        log_error("consumers.open", "app=%s channel=%s group=%.*s %s, it gets no messages", part->app,
                  subscription->channel, SLICE_FMT(group), err_text(&err));
        return;
    }
    free(consumer->function);
    consumer->function = mem_strdup(subscription->function);
    consumer->retries = subscription->retries;
    consumer->subscribed = true;
    group_configure(&consumer->group, subscription->keys, subscription->batch);
}

void consumers_configure(struct consumers_part *part, const struct manifest *manifest)
{
    LIST_FOREACH(link, &part->all) CONTAINER_OF(link, struct consumer, link)->subscribed = false;
    consumers_keep(part, manifest);
    for (size_t i = 0; manifest && i < manifest->subscription_count; i++)
    {
        const struct manifest_subscription *subscription = &manifest->subscriptions[i];
        const struct manifest_channel *channel =
            manifest_channel_find(manifest, slice_cstr(subscription->channel));
        if (channel && channel->kind == CHANNEL_DURABLE) subscribe(part, subscription);
    }
    consumers_tidy(part); /* notes where new groups begin */
    if (manifest) consumers_wake(part);
}
