/* bus_fault.c - a bus that loses and repeats messages when a test tells it to. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "messaging/bus/bus.h"
#include "runtime/base/buf.h"

struct faulty {
    struct bus bus;
    struct bus *inner;
    struct bus_fault *fault;
};

static struct faulty *of(struct bus *bus)
{
    return (struct faulty *)bus;
}

static void fault_publish(struct bus *bus, struct slice bytes)
{
    struct faulty *self = of(bus);
    struct bus_fault *fault = self->fault;
    uint64_t number = ++fault->published;
    if (fault->drop_every && number % fault->drop_every == 0) return;
    self->inner->ops->publish(self->inner, bytes);
    if (fault->repeat_every && number % fault->repeat_every == 0)
        self->inner->ops->publish(self->inner, bytes);
}

static void fault_stats(const struct bus *bus, struct bus_stats *stats)
{
    const struct bus *inner = ((const struct faulty *)bus)->inner;
    inner->ops->stats(inner, stats);
}

static void fault_close(struct bus *bus)
{
    of(bus)->inner->ops->close(of(bus)->inner);
    free(bus);
}

struct bus *bus_fault_wrap(struct bus *inner, struct bus_fault *fault)
{
    static const struct bus_ops ops = {.publish = fault_publish, .stats = fault_stats, .close = fault_close};
    struct faulty *self = mem_alloc(sizeof *self);
    *self = (struct faulty){.bus = {&ops}, .inner = inner, .fault = fault};
    return &self->bus;
}
