/* bus.h - port: messages to whoever listens outside, and from other nodes and programs; at most once. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. A bus moves opaque bytes (bus_message.h). Versions: bus_nng.c for the world, bus_mem.c for tests, bus_fault.c
// around another one. Nobody outside can make the node wait, or hold more of its memory than BOUND_BUS_QUEUE_*.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct bus;
struct loop;

struct bus_stats {
    uint64_t sent;
    uint64_t send_failed; /* that the system did not take */
    uint64_t received;
};

/* Where a message came from. */
enum { BUS_INTAKE = 0, BUS_PEER_FIRST = 1 }; /* peers have the numbers from 1, in their order */

struct bus_handler {
    /* One message; at most BOUND_BUS_TURN_MESSAGES_MAX in a turn. Borrowed for the call. */
    void (*on_message)(void *ctx, uint32_t source, struct slice bytes);
    void *ctx;
};

struct bus_ops {
    /* To everybody who listens to what it begins with. Never blocks, never fails: who does not keep up loses it. */
    void (*publish)(struct bus *bus, struct slice bytes);
    void (*stats)(const struct bus *bus, struct bus_stats *stats);
    /* No callback after this; frees. */
    void (*close)(struct bus *bus);
};

struct bus {
    const struct bus_ops *ops;
};

/* ---- NNG ---- */

struct bus_nng_config {
    struct loop *loop;
    struct bus_handler handler;
    const char
        *publish; /* where our messages are published (NNG pub); "ipc://..." or "tcp://..."; "": nowhere */
    const char *intake; /* where programs push theirs (NNG pull); "": nowhere */
    const char
        *peers; /* `publish` addresses of other nodes, which we subscribe to, with commas between; "": none */
    uint32_t intake_per_second; /* faster ones have to wait */
};
/* ADDRESS_IN_USE, CONFIG_INVALID, IO; the words name the address. ipc sockets are made for the node's user only. */
MUST_CHECK enum status bus_nng_open(const struct bus_nng_config *config, struct bus **bus, struct err *err);

/* ---- memory: buses on one wire hear each other ---- */

struct bus_wire;
struct bus_wire *bus_wire_create(void);
/* All its buses must have been closed. */
void bus_wire_destroy(struct bus_wire *wire);
/* Peers of each other, in the order of their opening. */
struct bus *bus_mem_open(struct bus_wire *wire, const struct bus_handler *handler);
/* A program outside pushes. */
void bus_mem_push(struct bus *bus, struct slice bytes);
/* Delivers what was published and pushed; true when there was something. */
bool bus_wire_run(struct bus_wire *wire);

/* ---- faults ---- */

/* What is published goes wrong: of `every` messages one, the last, is dropped, or comes twice. 0: none. */
struct bus_fault {
    uint32_t drop_every;
    uint32_t repeat_every;
    uint64_t published;
};
/* Takes the inner one. */
struct bus *bus_fault_wrap(struct bus *inner, struct bus_fault *fault);
