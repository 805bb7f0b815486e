/* route.c - to the owner of the state. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/router/route.h"

#include "runtime/base/check.h"
#include "runtime/base/fair_share.h"
#include "statestore/kv/keyspace.h"

enum status route_decide(const struct route_query *query, struct route_decision *decision, struct err *err)
{
    CHECK(query->nodes_count > 0);
    uint32_t partition = keyspace_partition(query->entity, query->partitions);
    uint32_t owner = query->owners[partition];
    CHECK(owner < query->nodes_count);
    const struct route_node *node = &query->nodes[owner];
    if (!node->alive)
        return err_set(err, STATUS_UNAVAILABLE, "node '%s', which owns partition %u, is not there",
                       node->name, partition);
    if (node->in_flight >= node->in_flight_max)
        return err_set(err, STATUS_OVERLOADED, "node '%s' has %u invocations in flight, its limit",
                       node->name, node->in_flight);
    const struct fair_share share = {node->app_in_flight, node->in_flight, node->in_flight_max};
    if (!fair_share_may_take(&share))
        return err_set(
            err, STATUS_OVERLOADED,
            "node '%s' has %u of at most %u invocations in flight, %u of them of app '%s': what is "
            "left is for the other apps",
            node->name, node->in_flight, node->in_flight_max, node->app_in_flight, query->app);
    *decision = (struct route_decision){
        .partition = partition,
        .node = owner,
        .reason = query->entity.size ? ROUTE_OWNS_ENTITY : ROUTE_OWNS_APP,
        .warm = node->warm > 0,
    };
    return STATUS_OK;
}

const char *route_reason_text(enum route_reason reason)
{
    switch (reason)
    {
    case ROUTE_OWNS_ENTITY:
        return "the partition of its entity is there";
    case ROUTE_OWNS_APP:
        return "it is addressed to no entity, and the app's own rows are there";
    }
    UNREACHABLE("reason");
}
