/* route.h - where an invocation runs, and why: the function goes to the state. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

/* A node as the decision sees it. */
struct route_node {
    const char *name;
    bool alive;
    uint32_t warm; /* idle workers of the app's version there */
    uint32_t in_flight;
    uint32_t in_flight_max;
    uint32_t app_in_flight; /* of these, the app's own */
};

struct route_query {
    const char *app; /* for the words */
    struct slice entity; /* empty: unaddressed */
    uint32_t partitions;
    const uint32_t *owners; /* of each partition: index of its node */
    const struct route_node *nodes;
    size_t nodes_count;
};

enum route_reason {
    ROUTE_OWNS_ENTITY, /* the partition of its entity is there */
    ROUTE_OWNS_APP, /* unaddressed, and the app's own rows are there */
};

struct route_decision {
    uint32_t partition;
    uint32_t node;
    enum route_reason reason;
    bool warm; /* a worker waits there */
};

/* UNAVAILABLE: the owner is not alive. OVERLOADED: it has no room, or none that the app may
 * still take from the others (fair_share.h); the words name it. State is never served from
 * anywhere else. */
MUST_CHECK enum status route_decide(const struct route_query *query, struct route_decision *decision,
                                    struct err *err);
/* One sentence for people. Static storage. */
const char *route_reason_text(enum route_reason reason);
