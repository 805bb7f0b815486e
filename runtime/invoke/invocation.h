/* invocation.h - the struct that carries one invocation through the engine; seen by the files of this folder only. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/map.h"
#include "runtime/base/prng.h"
#include "runtime/invoke/appends.h"
#include "runtime/invoke/entity_order.h"
#include "runtime/invoke/idempotency.h"
#include "runtime/invoke/invoke.h"
#include "runtime/invoke/metering.h"
#include "runtime/invoke/slots.h"

struct invoke {
    struct loop *loop;
    struct clock *clock;
    struct prng prng;
    bool unsettled; /* tests only */
    uint64_t ident_high, ident_low; /* the next id */
    struct invoke_stats stats;
    struct list pushing; /* partitions whose submissions go to the committer in PHASE_COMMIT */
    struct list hearing; /* partitions whose listeners are told of messages in PHASE_REPLY */
    struct list over; /* invocations whose outcome is told in PHASE_REPLY */
    struct list paying; /* functions with a cpu_percent for which invocations wait */
    struct loop_timer paying_timer;
    struct invoke_ports ports;
};

/* Which worker had an entity last: a table of so many places by hash; who shares a place is told the other one's. */
enum { LAST_WORKERS = 1024 };

struct invoke_partition {
    struct invoke *engine;
    struct store *store;
    uint32_t index, count; /* number of it, of how many */
    struct lanes lanes;
    uint64_t *last_workers; /* LAST_WORKERS; NULL before the first */
    struct map by_idempotency_key; /* record key -> the invocation in flight that will answer */
    struct map appending; /* channel and Idempotency-Key -> the struct invoke_append that has it */
    struct appends appends;
    struct list listeners;
    struct list hearing; /* the engine's */
    struct metering *metering;
    struct list pushing; /* the engine's */
    uint32_t in_flight;
    struct loop_timer expiry;
    struct store_commit expiry_commit;
    struct buf expiry_set;
    bool expiring;
    uint64_t outbox_number; /* of the next send */
    void *places[PARTITION_PLACES]; /* upper layers' */
};

/* What the engine keeps for a busy entity. */
struct entity_chain {
    struct store_snapshot *snapshot; /* what the running chain reads; NULL before its first run is prepared */
    struct pool_chain pool;
    struct invocation *asking; /* its run has asked for calls and is not over */
    struct invoke_function *slot_function; /* of which it holds a slot, while slot_runs > 0 */
    uint32_t slot_runs;
};

enum slot {
    SLOT_NONE,
    SLOT_WAITING, /* in function->waiting */
    SLOT_GRANTED, /* it may go now */
    SLOT_OWN,
    SLOT_OF_CHAIN,
};

struct invocation {
    struct invoke *engine;
    struct invoke_partition *partition;
    struct invoke_version *version;
    struct invoke_function *function;
    struct invoke_request request; /* borrowed from the caller until done */
    invoke_done_fn done;
    void *ctx;

    struct call *call; /* by which another one made it; NULL: none did */
    struct list calls; /* that its run waits for */
    uint32_t calls_made; /* by the present run */
    uint64_t calls_inside; /* and those that its worker ran itself, as it told at the end */
    uint64_t published; /* at once, by all of its runs */
    bool streamed; /* pieces of its reply have left: it is not run again */
    struct held_piece *held_piece; /* the first one, while it must not go yet */
    bool asked; /* the present run has asked a port for something */
    void *places[INVOCATION_PLACES]; /* those behind the ports' */

    struct lane *lane; /* NULL: unaddressed */
    struct lane_entry turn;
    struct loop_timer timer; /* the deadline while it waits in its lane; the delay of a retry */
    uint64_t deadline_ns;
    enum slot slot;
    struct list slot_link; /* of function->waiting */
    uint32_t cpu_taken_us; /* that its run was believed to use */
    uint64_t chain;
    bool first; /* of its chain, or in none: it sees one exact snapshot and nothing else */
    bool cold; /* one of its runs waited for a new worker */
    uint32_t attempts; /* runs begun */
    uint32_t conflicts; /* its own */
    struct store_snapshot *snapshot;

    struct idempotency_request remember;
    struct buf remember_key; /* key of the record; empty: nothing to remember */
    struct buf remember_set;
    struct list joined; /* invocations that wait for the outcome of this one */

    bool committing; /* the store has `commit` and will call back */
    bool told; /* `done` has been called */
    struct list over;
    enum status status;
    struct err err;
    uint32_t retry_after_s;
    char ident[INVOCATION_ID_CHARS + 1];
    struct meter_sums outcome_usage; /* what has to be taken back when its commit fails */
    struct buf meter_set;
    struct buf outbox_set;
    struct buf append_set;
    struct buf append_list; /* of appends_prepare() */
    struct buf effects; /* what `result` points into */
    struct store_commit commit;
    struct store_waiter waiter;
    /* Large: not cleared when an invocation begins. */
    struct pool_run run;
    struct wire_invoke frame; /* what `run` sends */
    struct wire_result result;
};

struct call;
/* invoke_start() for a call; `call` is what called it. */
struct invocation *invoke_start_call(struct invoke *engine, struct invoke_version *version,
                                     struct invoke_function *function, const struct invoke_request *request,
                                     invoke_done_fn done, struct call *call);
/* Functions that had to pay may have done so. */
void invocation_on_paying(struct loop_timer *timer, void *ctx);
/* Hands a commit to the partition's store, at the end of the turn together with the others. */
void partition_submit(struct invoke_partition *partition, struct store_commit *commit);
