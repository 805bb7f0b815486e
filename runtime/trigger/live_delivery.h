/* live_delivery.h - messages of live channels on their way: from functions and from outside, to functions that receive or are started. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The hub (messaging/channel/live.h) numbers and queues; this part knows who publishes and who waits:
//
//     a committed publish        release()       at the output gate
//     a publish at once          ask()           the running handler goes on, nothing is answered
//     from outside               publish_from()  only into channels that allow it
//     a receiving handler        ask()           answered in the turn in which its first message comes, with all there is
//     a subscription             switch()        each message or batch starts an invocation, a bounded number at a time
//     anybody else               listen()        an event stream, the bus
//
// Nobody waits for anybody: who does not keep up loses messages of his own queue, which is counted and told to him.
#pragma once

#include "messaging/channel/live.h"
#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct invocation;
struct live_delivery;
struct loop;
struct manifest;
struct router;

struct live_delivery_config {
    struct loop *loop;
    struct clock *clock;
    struct router *router;
    /* Every message that is published on this node, for the outside; not those that came by publish_from(). NULL: nobody. The
     * channel is "app/channel". */
    void (*on_published)(void *ctx, const struct wire_message *message);
    void *ctx;
};

struct live_delivery *live_delivery_create(const struct live_delivery_config *config);
/* Every invocation must have ended. */
void live_delivery_destroy(struct live_delivery *self);
/* The node stops: who waits for messages is told so, and functions are not started any more. */
void live_delivery_drain(struct live_delivery *self);

/* The app's version is current from now on; NULL: there is no such app any more. Subscriptions that both versions have go on
 * with their queues. */
void live_delivery_switch(struct live_delivery *self, const char *app, const struct manifest *manifest);

/* Of a running handler: PUBLISH, SUBSCRIBE, RECEIVE and CHANNEL. */
void live_delivery_ask(struct live_delivery *self, struct invocation *invocation, const struct wire_ask *ask);
void live_delivery_ask_over(struct live_delivery *self, struct invocation *invocation);
/* A committed PUBLISH. */
void live_delivery_release(struct live_delivery *self, struct invocation *invocation,
                           const struct wire_effect *effect);

enum live_source {
    LIVE_FROM_PEER, /* another node of the same operator */
    LIVE_FROM_OUTSIDE, /* any program: the channel must say `from_outside` */
};
/* `message->channel` is "app/channel"; a time of 0 becomes now. CHANNEL_NOT_FOUND, CHANNEL_KIND, PERMISSION_DENIED, MESSAGE_TOO_LARGE,
 * INVALID_ARGUMENT: refused, counted. */
MUST_CHECK enum status live_delivery_publish_from(struct live_delivery *self, enum live_source source,
                                                  const struct wire_message *message, struct err *err);
/* So many messages of a peer did not come. */
void live_delivery_missed(struct live_delivery *self, struct slice channel, uint64_t count);

/* Subscribes anybody to live channel `channel` ("app/channel"), with the usual bounds; ends by live_unsubscribe(). CHANNEL_NOT_FOUND,
 * CHANNEL_KIND. */
MUST_CHECK enum status live_delivery_listen(struct live_delivery *self, struct slice channel,
                                            struct slice keys, struct live_subscriber *subscriber,
                                            void (*on_ready)(struct live_subscriber *subscriber),
                                            struct err *err);

struct live_delivery_stats {
    struct live_stats hub;
    uint64_t refused; /* publishes of functions: too large, or to no live channel */
    uint64_t foreign; /* messages that came from outside and from peers */
    uint64_t foreign_refused; /* of these */
    uint64_t started; /* invocations started by messages */
    uint64_t failed; /* of these, those that failed or could not start */
    uint32_t receivers; /* subscriptions of running handlers */
};
void live_delivery_stats(const struct live_delivery *self, struct live_delivery_stats *stats);
