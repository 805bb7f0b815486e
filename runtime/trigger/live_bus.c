/* live_bus.c - out: encode and publish; in: decode, find the gaps of peers, hand on. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/trigger/live_bus.h"

#include <stdlib.h>

#include "messaging/bus/bus_message.h"
#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/log.h"
#include "runtime/base/map.h"
#include "runtime/trigger/live_delivery.h"

struct live_bus {
    struct live_delivery *delivery;
    struct bus *bus; /* NULL: none */
    struct map last; /* uint64_t, by peer and channel: the number of its last message */
    struct buf frame, key, name; /* scratch */
    uint64_t malformed;
    bool told; /* what is wrong with the first message that was refused */
};

struct live_bus *live_bus_create(struct live_delivery *delivery)
{
    struct live_bus *self = mem_zalloc(sizeof *self);
    self->delivery = delivery;
    return self;
}

void live_bus_destroy(struct live_bus *self)
{
    if (!self) return;
    if (self->bus) self->bus->ops->close(self->bus);
    struct map_entry entry;
    for (size_t place = 0; map_next(&self->last, &place, &entry);) free(entry.value);
    map_fini(&self->last);
    buf_fini(&self->frame);
    buf_fini(&self->key);
    buf_fini(&self->name);
    free(self);
}

void live_bus_attach(struct live_bus *self, struct bus *bus)
{
    self->bus = bus;
}

void live_bus_publish(struct live_bus *self, const struct wire_message *message)
{
    if (!self->bus) return;
    buf_reset(&self->frame);
    bus_message_encode(&self->frame, message);
    self->bus->ops->publish(self->bus, buf_view(&self->frame));
}

void live_bus_stats(const struct live_bus *self, struct live_bus_stats *stats)
{
    *stats = (struct live_bus_stats){.malformed = self->malformed};
    if (self->bus) self->bus->ops->stats(self->bus, &stats->bus);
}

static struct slice last_name(struct live_bus *self, uint32_t source, const struct wire_message *message)
{
    buf_reset(&self->name);
    buf_printf(&self->name, "%u %.*s", source, SLICE_FMT(message->channel));
    return buf_view(&self->name);
}

/* What a peer has published before and did not come: told before the message that shows it. A number that is not above the last
 * one says that the peer has begun anew. */
static void look_for_gap(struct live_bus *self, uint32_t source, const struct wire_message *message)
{
    const uint64_t *last = map_get(&self->last, last_name(self, source, message));
    if (last && message->sequence > *last + 1)
        live_delivery_missed(self->delivery, message->channel, message->sequence - *last - 1);
}

/* Only of channels that there are, so that their count is bounded. */
static void remember(struct live_bus *self, uint32_t source, const struct wire_message *message)
{
    struct slice name = last_name(self, source, message);
    uint64_t *last = map_get(&self->last, name);
    if (!last)
    {
        last = mem_alloc(sizeof *last);
        (void)map_put(&self->last, name, last); /* there was none */
    }
    *last = message->sequence;
}

/* The first one is told; the others are counted, so that nobody outside fills the log. */
static void refused(struct live_bus *self, const struct err *err)
{
    if (self->told) return;
    self->told = true;
    log_warn("bus.refused", "code=%s %s; further ones are only counted", status_code(err->status),
             err_text(err));
}

static void on_message(void *ctx, uint32_t source, struct slice bytes)
{
    struct live_bus *self = ctx;
    struct wire_message message;
    struct err err = ERR_INIT;
    if (bus_message_decode(bytes, &self->key, &message, &err) != STATUS_OK)
    {
        self->malformed++;
        refused(self, &err);
        return;
    }
    bool peer = source != BUS_INTAKE && message.sequence > 0;
    if (peer)
        look_for_gap(self, source, &message);
    else
        message.time_ms = 0; /* a program's clock is its own */
    enum live_source from = source == BUS_INTAKE ? LIVE_FROM_OUTSIDE : LIVE_FROM_PEER;
    enum status status = live_delivery_publish_from(self->delivery, from, &message, &err);
    if (status != STATUS_OK)
        refused(self, &err);
    else if (peer)
        remember(self, source, &message);
}

struct bus_handler live_bus_handler(struct live_bus *self)
{
    return (struct bus_handler){.on_message = on_message, .ctx = self};
}
