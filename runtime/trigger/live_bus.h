/* live_bus.h - the bus and the live channels: what is published here goes out, what comes in is checked, numbered and counted. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "messaging/bus/bus.h"
#include "messaging/wire/wire.h"

struct live_bus;
struct live_delivery;

struct live_bus *live_bus_create(struct live_delivery *delivery);
/* Closes its bus. */
void live_bus_destroy(struct live_bus *self);
/* For whoever opens the bus. */
struct bus_handler live_bus_handler(struct live_bus *self);
/* Takes it. */
void live_bus_attach(struct live_bus *self, struct bus *bus);

/* A message of this node leaves. */
void live_bus_publish(struct live_bus *self, const struct wire_message *message);

struct live_bus_stats {
    struct bus_stats bus;
    uint64_t malformed;
};
void live_bus_stats(const struct live_bus *self, struct live_bus_stats *stats);
