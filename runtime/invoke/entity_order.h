/* entity_order.h - whose turn it is: invocations of one entity run one after another, in the order of their arrival. Pure. */
// SPDX-License-Identifier: Apache-2.0
//
// Each busy entity has a lane. The invocations of a lane run as a *chain*: all on one snapshot, on one worker, each
// seeing the not yet applied writes of those before it (statestore.h). So a hot entity does not wait for the disk between
// two invocations. A chain ends when the lane has been idle, when it is long, or when it broke: one of its members
// could not be committed, its worker died, or the version changed. What had been sent with a broken chain comes back and
// waits at its old place; the next chain begins when everything of the last one has been applied or has failed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/list.h"
#include "runtime/base/map.h"

enum { LANE_CHAIN_LENGTH_MAX = 256, LANE_AHEAD_MAX = 64 };

/* Embedded in an invocation. */
struct lane_entry {
    struct list link;
    uint64_t order; /* arrival in the lane */
    const void *code; /* version that it runs; a chain has one */
};

struct lane {
    struct list waiting; /* of lane_entry, in order */
    uint64_t arrivals;
    uint64_t chain; /* 0: none */
    const void *code;
    uint32_t length; /* members of the chain so far */
    uint32_t sent; /* given to a worker or to the store, neither applied nor failed yet */
    bool broken;
    struct slice key; /* owned */
    void *owner; /* what its user keeps for the lane; NULL at first, the user's to free */
};

struct lanes {
    struct map by_key;
    uint64_t chain_last;
};

void lanes_init(struct lanes *lanes);
void lanes_fini(struct lanes *lanes);

/* Puts an invocation of `entity` at the end of its lane, which is made when needed. */
struct lane *lanes_enter(struct lanes *lanes, struct slice entity, struct lane_entry *entry,
                         const void *code);

/* What may go next. */
enum lane_step {
    LANE_NOTHING, /* wait: for a result, for the end of a chain, or for an arrival */
    LANE_SEND, /* send *entry as the next of the running chain */
    LANE_NEW_CHAIN, /* drop the old snapshot, take a new one, send *entry as the first */
    LANE_IDLE, /* nothing waits and nothing runs: drop the snapshot, call lanes_forget */
};
/* The entry that lane_next() would hand out now; NULL: none. */
struct lane_entry *lane_peek(const struct lane *lane);
/* SEND and NEW_CHAIN take the entry out of the lane and count it as sent. */
enum lane_step lane_next(struct lanes *lanes, struct lane *lane, struct lane_entry **entry);

/* One that was sent has been applied or has ended for good. */
void lane_settled(struct lane *lane);
/* The chain can take no more members. */
void lane_break(struct lane *lane);
/* One that was sent comes back to its old place, to run again; breaks the chain. */
void lane_return(struct lane *lane, struct lane_entry *entry);
/* Frees an idle lane. */
void lanes_forget(struct lanes *lanes, struct lane *lane);
