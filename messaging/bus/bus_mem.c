/* bus_mem.c - buses of one process on a wire of memory, for tests. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "messaging/bus/bus.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"

struct bus_wire {
    struct list buses;
    struct list flying; /* struct letter */
};

struct mem_bus {
    struct bus bus;
    struct bus_wire *wire;
    struct bus_handler handler;
    struct list link;
    struct bus_stats stats;
};

struct letter {
    struct list link;
    struct mem_bus *from; /* or, with `to`, from outside */
    struct mem_bus *to;
    size_t size;
    uint8_t bytes[];
};

static struct mem_bus *of(struct bus *bus)
{
    return (struct mem_bus *)bus;
}

struct bus_wire *bus_wire_create(void)
{
    struct bus_wire *wire = mem_zalloc(sizeof *wire);
    list_init(&wire->buses);
    list_init(&wire->flying);
    return wire;
}

void bus_wire_destroy(struct bus_wire *wire)
{
    CHECK(list_empty(&wire->buses) && list_empty(&wire->flying));
    free(wire);
}

static void fly(struct bus_wire *wire, struct mem_bus *from, struct mem_bus *to, struct slice bytes)
{
    struct letter *letter = mem_alloc(sizeof *letter + bytes.size);
    letter->from = from;
    letter->to = to;
    letter->size = bytes.size;
    if (bytes.size) memcpy(letter->bytes, bytes.data, bytes.size);
    list_push_back(&wire->flying, &letter->link);
}

static void mem_publish(struct bus *bus, struct slice bytes)
{
    of(bus)->stats.sent++;
    fly(of(bus)->wire, of(bus), NULL, bytes);
}

void bus_mem_push(struct bus *bus, struct slice bytes)
{
    fly(of(bus)->wire, NULL, of(bus), bytes);
}

static void mem_stats(const struct bus *bus, struct bus_stats *stats)
{
    *stats = ((const struct mem_bus *)bus)->stats;
}

static void mem_close(struct bus *bus)
{
    struct mem_bus *self = of(bus);
    LIST_FOREACH(link, &self->wire->flying)
    {
        struct letter *letter = CONTAINER_OF(link, struct letter, link);
        if (letter->from != self && letter->to != self) continue;
        list_remove(link);
        free(letter);
    }
    list_remove(&self->link);
    free(self);
}

struct bus *bus_mem_open(struct bus_wire *wire, const struct bus_handler *handler)
{
    static const struct bus_ops ops = {.publish = mem_publish, .stats = mem_stats, .close = mem_close};
    struct mem_bus *self = mem_zalloc(sizeof *self);
    self->bus.ops = &ops;
    self->wire = wire;
    self->handler = *handler;
    list_push_back(&wire->buses, &self->link);
    return &self->bus;
}

/* To all buses but the sender, which each know the others by their order. */
static void deliver(struct bus_wire *wire, const struct letter *letter)
{
    struct slice bytes = slice_make(letter->bytes, letter->size);
    uint32_t number = 0, from = 0;
    LIST_FOREACH(link, &wire->buses)
    {
        if (CONTAINER_OF(link, struct mem_bus, link) == letter->from) from = number;
        number++;
    }
    number = 0;
    LIST_FOREACH(link, &wire->buses)
    {
        struct mem_bus *to = CONTAINER_OF(link, struct mem_bus, link);
        uint32_t place = number++;
        if (letter->to ? to != letter->to : to == letter->from) continue;
        to->stats.received++;
        uint32_t source = letter->to ? BUS_INTAKE : BUS_PEER_FIRST + (from < place ? from : from - 1);
        to->handler.on_message(to->handler.ctx, source, bytes);
    }
}

bool bus_wire_run(struct bus_wire *wire)
{
    struct list *link = list_pop_front(&wire->flying);
    if (!link) return false;
    do
    {
        struct letter *letter = CONTAINER_OF(link, struct letter, link);
        deliver(wire, letter);
        free(letter);
    } while ((link = list_pop_front(&wire->flying)));
    return true;
}
