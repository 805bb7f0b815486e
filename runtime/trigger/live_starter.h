/* live_starter.h - functions that messages of live channels start: one invocation for each message or batch, a bounded number at a time. */
// SPDX-License-Identifier: Apache-2.0
//
// Internal to live_delivery.c. A starter is the subscriber of one `subscriptions` entry; while as many of its invocations as
// may are under way, its queue fills, and then loses its own oldest messages. At most once: an invocation that fails is counted,
// not repeated. One that has not begun, because there was no room for it, loses its messages: they are counted as lost, the next
// invocation is told, and none is started for a while, so that what waits is not thrown after it.
#pragma once

#include "messaging/channel/live.h"
#include "runtime/base/list.h"

struct loop;
struct manifest_subscription;
struct router;

struct live_starters {
    struct loop *loop;
    struct router *router;
    struct list ready; /* starters that have messages, and room */
    struct list dropped; /* that wait for their last invocations */
    uint64_t started, failed;
    bool draining;
};

void live_starters_init(struct live_starters *starters, struct loop *loop, struct router *router);
/* Every invocation must have ended. */
void live_starters_fini(struct live_starters *starters);
/* None is started any more. */
void live_starters_drain(struct live_starters *starters);
/* Adds one for the subscription to `to`, or moves the same one of the version before, with its queue, from `before` there. */
void live_starters_add(struct live_starters *starters, const char *app, struct live_channel *channel,
                       const struct manifest_subscription *subscription, struct list *before,
                       struct list *to);
/* Ends all of the list; what is under way ends by itself. */
void live_starters_drop(struct live_starters *starters, struct list *list);
/* Starts what may start. */
void live_starters_run(struct live_starters *starters);
