/* ports.c - what the engine tells, by kind, to the part that it is for. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/ports.h"

#include "runtime/gateway/sockets.h"
#include "runtime/invoke/invoke.h"
#include "runtime/trigger/consumers.h"
#include "runtime/trigger/live_delivery.h"
#include "runtime/trigger/outbox.h"

static void on_ask(void *ctx, struct invocation *invocation, const struct wire_ask *ask)
{
    const struct ports *ports = ctx;
    switch (ask->kind)
    {
    case WIRE_ASK_CALL: /* the engine's own, like streams */
    case WIRE_ASK_STREAM:
        break;
    case WIRE_ASK_PUBLISH:
    case WIRE_ASK_SUBSCRIBE:
    case WIRE_ASK_RECEIVE:
    case WIRE_ASK_CHANNEL:
        live_delivery_ask(ports->live, invocation, ask);
        break;
    }
}

static void on_ask_over(void *ctx, struct invocation *invocation)
{
    const struct ports *ports = ctx;
    live_delivery_ask_over(ports->live, invocation);
}

static void on_release(void *ctx, struct invocation *invocation, const struct wire_effect *effect)
{
    const struct ports *ports = ctx;
    if (effect->kind == WIRE_EFFECT_PUBLISH) live_delivery_release(ports->live, invocation, effect);
    const char *app = invocation_version(invocation)->app;
    if (effect->kind == WIRE_EFFECT_PUSH) sockets_push(ports->sockets, slice_cstr(app), effect);
}

static void on_sent(void *ctx, struct invoke_partition *partition)
{
    struct outbox_part *part = *invoke_partition_place(partition, PARTITION_OUTBOX);
    if (part) outbox_wake(part);
}

static void on_appended(void *ctx, struct invoke_partition *partition)
{
    struct consumers_part *part = *invoke_partition_place(partition, PARTITION_CHANNELS);
    if (part) consumers_wake(part);
}

void ports_connect(struct ports *ports, struct invoke *engine)
{
    ports->engine = engine;
    invoke_set_ports(engine, &(struct invoke_ports){.ctx = ports,
                                                    .ask = on_ask,
                                                    .ask_over = on_ask_over,
                                                    .release = on_release,
                                                    .sent = on_sent,
                                                    .appended = on_appended});
}
