/* live.c - queues of shared messages. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/channel/live.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/base/map.h"

enum { QUEUE_FIRST = 16 }; /* messages that a queue has room for at first; doubled when needed */

struct live_hub {
    struct map channels; /* by name */
    struct live_stats stats;
};

struct live_channel {
    struct live_hub *hub;
    char *name;
    uint64_t sequence; /* of the last message */
    struct list subscribers;
    uint32_t subscribers_count;
    struct buf frame; /* scratch */
};

/* In as many queues as `refs` says. */
struct live_message {
    uint32_t refs;
    uint32_t size;
    uint8_t frame[];
};

/* A message in a queue. */
struct live_entry {
    struct live_message *message;
    uint64_t missed; /* lost between the one before and it */
};

struct live_hub *live_hub_create(void)
{
    return mem_zalloc(sizeof(struct live_hub));
}

void live_hub_destroy(struct live_hub *hub)
{
    if (!hub) return;
    struct map_entry entry;
    for (size_t place = 0; map_next(&hub->channels, &place, &entry);)
    {
        struct live_channel *channel = entry.value;
        CHECK(list_empty(&channel->subscribers));
        buf_fini(&channel->frame);
        free(channel->name);
        free(channel);
    }
    map_fini(&hub->channels);
    free(hub);
}

void live_stats(const struct live_hub *hub, struct live_stats *stats)
{
    *stats = hub->stats;
}

struct live_channel *live_channel(struct live_hub *hub, struct slice name)
{
    struct live_channel *channel = map_get(&hub->channels, name);
    if (channel) return channel;
    channel = mem_zalloc(sizeof *channel);
    channel->hub = hub;
    channel->name = mem_cstr(name);
    list_init(&channel->subscribers);
    (void)map_put(&hub->channels, name, channel); /* there was none */
    return channel;
}

uint32_t live_subscribers(const struct live_channel *channel)
{
    return channel->subscribers_count;
}

/* ---- queues ---- */

static void message_unref(struct live_message *message)
{
    if (--message->refs == 0) free(message);
}

static struct live_entry queue_pop(struct live_subscriber *subscriber)
{
    struct live_entry entry = subscriber->queue[subscriber->first];
    subscriber->first = (subscriber->first + 1) % subscriber->capacity;
    subscriber->count--;
    subscriber->bytes -= entry.message->size;
    return entry;
}

static void queue_grow(struct live_subscriber *subscriber)
{
    uint32_t capacity = subscriber->capacity ? subscriber->capacity * 2 : QUEUE_FIRST;
    struct live_entry *queue = mem_alloc(capacity * sizeof *queue);
    for (uint32_t i = 0; i < subscriber->count; i++)
        queue[i] = subscriber->queue[(subscriber->first + i) % subscriber->capacity];
    free(subscriber->queue);
    subscriber->queue = queue;
    subscriber->capacity = capacity;
    subscriber->first = 0;
}

/* What is lost in front of the queue its first message tells. */
static void queue_tell(struct live_subscriber *subscriber, uint64_t missed)
{
    if (subscriber->count > 0)
        subscriber->queue[subscriber->first].missed += missed;
    else
        subscriber->missed += missed;
}

static void queue_lose(struct live_subscriber *subscriber)
{
    struct live_entry lost = queue_pop(subscriber);
    message_unref(lost.message);
    queue_tell(subscriber, lost.missed + 1);
    subscriber->channel->hub->stats.lost++;
}

static void queue_push(struct live_subscriber *subscriber, struct live_message *message)
{
    while (subscriber->count > 0 && (subscriber->count == subscriber->count_max ||
                                     subscriber->bytes + message->size > subscriber->bytes_max))
        queue_lose(subscriber);
    if (subscriber->count == subscriber->capacity) queue_grow(subscriber);
    subscriber->queue[(subscriber->first + subscriber->count) % subscriber->capacity] =
        (struct live_entry){.message = message, .missed = subscriber->missed};
    subscriber->missed = 0;
    subscriber->count++;
    subscriber->bytes += message->size;
    message->refs++;
}

/* ---- subscribers ---- */

void live_subscribe(struct live_channel *channel, struct live_subscriber *subscriber, struct slice keys,
                    const struct live_limits *limits, void (*on_ready)(struct live_subscriber *subscriber))
{
    *subscriber = (struct live_subscriber){
        .channel = channel,
        .on_ready = on_ready,
        .count_max = limits->messages_max,
        .bytes_max = limits->bytes_max,
    };
    CHECK(limits->messages_max > 0);
    buf_append(&subscriber->keys, keys);
    list_push_back(&channel->subscribers, &subscriber->link);
    channel->subscribers_count++;
}

void live_unsubscribe(struct live_subscriber *subscriber)
{
    if (!subscriber->channel) return;
    while (subscriber->count > 0) message_unref(queue_pop(subscriber).message);
    list_remove(&subscriber->link);
    subscriber->channel->subscribers_count--;
    subscriber->channel = NULL;
    free(subscriber->queue);
    buf_fini(&subscriber->keys);
}

/* ---- messages ---- */

uint64_t live_publish(struct live_channel *channel, const struct wire_message *message)
{
    struct wire_message numbered = *message;
    numbered.sequence = ++channel->sequence;
    numbered.channel = slice_cstr(channel->name);
    /* Functions know their channels without the app, "app/name". */
    const char *slash = strchr(channel->name, '/');
    if (slash) numbered.channel = slice_cstr(slash + 1);
    channel->hub->stats.published++;
    struct live_message *shared = NULL;
    LIST_FOREACH(link, &channel->subscribers)
    {
        struct live_subscriber *subscriber = CONTAINER_OF(link, struct live_subscriber, link);
        if (!slice_starts_with(message->key, buf_view(&subscriber->keys))) continue;
        if (!shared)
        {
            buf_reset(&channel->frame);
            wire_message_encode(&channel->frame, &numbered);
            shared = mem_alloc(sizeof *shared + channel->frame.size);
            *shared = (struct live_message){.refs = 1, .size = (uint32_t)channel->frame.size};
            memcpy(shared->frame, channel->frame.data, channel->frame.size);
        }
        bool was_empty = subscriber->count == 0;
        queue_push(subscriber, shared);
        if (was_empty) subscriber->on_ready(subscriber);
    }
    if (shared) message_unref(shared);
    return numbered.sequence;
}

void live_missed(struct live_channel *channel, uint64_t count)
{
    channel->hub->stats.upstream_lost += count;
    LIST_FOREACH(link, &channel->subscribers)
    CONTAINER_OF(link, struct live_subscriber, link)->missed += count;
}

uint32_t live_take(struct live_subscriber *subscriber, uint32_t count_max, size_t bytes_max,
                   struct buf *frames, uint64_t *missed)
{
    uint32_t count = 0;
    size_t bytes = 0;
    *missed = subscriber->count > 0 ? subscriber->queue[subscriber->first].missed : 0;
    while (subscriber->count > 0 && count < count_max)
    {
        const struct live_entry *next = &subscriber->queue[subscriber->first];
        if (count > 0 && (bytes + next->message->size > bytes_max || next->missed > 0)) break;
        struct live_message *message = queue_pop(subscriber).message;
        buf_append(frames, slice_make(message->frame, message->size));
        bytes += message->size;
        message_unref(message);
        count++;
    }
    subscriber->channel->hub->stats.delivered += count;
    return count;
}

void live_lose(struct live_subscriber *subscriber, uint32_t count, uint64_t missed)
{
    subscriber->channel->hub->stats.lost += count;
    queue_tell(subscriber, count + missed);
}

bool live_peek(const struct live_subscriber *subscriber, struct wire_message *message, uint64_t *missed)
{
    if (subscriber->count == 0) return false;
    *missed = subscriber->queue[subscriber->first].missed;
    const struct live_message *first = subscriber->queue[subscriber->first].message;
    size_t offset = 0;
    bool found;
    CHECK(wire_message_next(slice_make(first->frame, first->size), &offset, message, &found, NULL) ==
              STATUS_OK &&
          found);
    return true;
}
