/* live.h - live channels: numbered messages, subscribers with bounded queues, losses counted. No I/O. */
// SPDX-License-Identifier: Apache-2.0
//
// A hub has channels by name, a channel has subscribers. A publish gives the message its number and puts it into the queue of
// each subscriber whose keys match; a queue that is full loses its oldest message, and its owner is told how many when it takes
// the next. So a slow subscriber costs memory up to its bound and nobody's time. A message is kept once, as the frame that
// functions are handed, however many queues it is in.
//
//     struct live_channel *prices = live_channel(hub, SLICE("shop/prices"));
//     live_subscribe(prices, &subscriber, SLICE("eu/"))
//     live_publish(prices, &message)             on_ready() when its queue was empty
//     live_take(&subscriber, ...)
//     live_unsubscribe(&subscriber)
#pragma once

#include <stdint.h>

#include "messaging/wire/wire.h"
#include "runtime/base/buf.h"
#include "runtime/base/list.h"

struct live_hub;
struct live_channel;
struct live_entry;
struct live_subscriber;

struct live_stats {
    uint64_t published;
    uint64_t delivered; /* taken by subscribers */
    uint64_t lost; /* of queues that were full, and by live_lose() */
    uint64_t upstream_lost; /* told by live_missed() */
};

struct live_hub *live_hub_create(void);
/* Without subscribers. */
void live_hub_destroy(struct live_hub *hub);
void live_stats(const struct live_hub *hub, struct live_stats *stats);

/* Made when it is asked for the first time; lives as long as the hub, since its numbers go on. */
struct live_channel *live_channel(struct live_hub *hub, struct slice name);
uint32_t live_subscribers(const struct live_channel *channel);

/* Embedded by its owner. */
struct live_subscriber {
    struct list link; /* of the channel */
    struct live_channel *channel; /* NULL: not subscribed */
    struct buf keys;
    /* Its queue is no longer empty. Inside of live_publish(): enqueue yourself, take later. */
    void (*on_ready)(struct live_subscriber *subscriber);
    struct live_entry *queue; /* a ring */
    uint32_t capacity, first, count;
    uint32_t count_max;
    size_t bytes, bytes_max;
    uint64_t missed; /* lost behind the last of the queue: told with the next one */
};

struct live_limits {
    uint32_t messages_max;
    size_t bytes_max;
};

/* Gets what is published from now on. */
void live_subscribe(struct live_channel *channel, struct live_subscriber *subscriber, struct slice keys,
                    const struct live_limits *limits, void (*on_ready)(struct live_subscriber *subscriber));
/* What is in its queue is gone. Harmless when it is not subscribed. */
void live_unsubscribe(struct live_subscriber *subscriber);

/* Numbers it: `sequence` and `channel` of the message are the channel's to fill in. Its bytes may change afterwards. */
uint64_t live_publish(struct live_channel *channel, const struct wire_message *message);
/* Messages that should have come to this channel have not: its subscribers are told with the next one. Who selects keys is told
 * too, since nobody knows what keys they had. */
void live_missed(struct live_channel *channel, uint64_t count);

/* Moves the oldest messages, as MESSAGE frames, to the end of `frames`: at most `count_max`, and more than one only as long as
 * all of them have at most `bytes_max` and nothing was lost between them. Returns how many; *missed is what was lost before the
 * first of them. */
uint32_t live_take(struct live_subscriber *subscriber, uint32_t count_max, size_t bytes_max,
                   struct buf *frames, uint64_t *missed);
/* So many messages that were taken have reached nobody, nor has the `missed` that came with them: lost, and told with the next one. */
void live_lose(struct live_subscriber *subscriber, uint32_t count, uint64_t missed);
/* The oldest, decoded, and what was lost before it, without taking it; false when there is none. Borrowed until the next live_publish(),
 * live_take() or live_unsubscribe(). */
bool live_peek(const struct live_subscriber *subscriber, struct wire_message *message, uint64_t *missed);
