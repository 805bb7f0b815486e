/* entity_order.c - lanes and their chains. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/entity_order.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"

void lanes_init(struct lanes *lanes)
{
    *lanes = (struct lanes){.by_key = MAP_INIT};
}

void lanes_fini(struct lanes *lanes)
{
    CHECK(lanes->by_key.count == 0);
    map_fini(&lanes->by_key);
}

struct lane *lanes_enter(struct lanes *lanes, struct slice entity, struct lane_entry *entry, const void *code)
{
    struct lane *lane = map_get(&lanes->by_key, entity);
    if (!lane)
    {
        lane = mem_zalloc(sizeof *lane);
        list_init(&lane->waiting);
        lane->key = slice_make(mem_dup(entity), entity.size);
        map_put(&lanes->by_key, entity, lane);
    }
    entry->order = lane->arrivals++;
    entry->code = code;
    list_push_back(&lane->waiting, &entry->link);
    return lane;
}

/* A chain that nobody is in has no writes to hand on: a new one reads a fresher snapshot. */
static bool fits_chain(const struct lane *lane, const struct lane_entry *entry)
{
    return lane->chain != 0 && lane->sent > 0 && !lane->broken && lane->length < LANE_CHAIN_LENGTH_MAX &&
           lane->code == entry->code;
}

struct lane_entry *lane_peek(const struct lane *lane)
{
    if (list_empty(&lane->waiting)) return NULL;
    struct lane_entry *first = CONTAINER_OF(lane->waiting.next, struct lane_entry, link);
    if (lane->sent == 0) return first;
    return fits_chain(lane, first) && lane->sent < LANE_AHEAD_MAX ? first : NULL;
}

enum lane_step lane_next(struct lanes *lanes, struct lane *lane, struct lane_entry **entry)
{
    if (list_empty(&lane->waiting)) return lane->sent == 0 ? LANE_IDLE : LANE_NOTHING;
    struct lane_entry *first = lane_peek(lane);
    if (!first) return LANE_NOTHING;
    bool fits = fits_chain(lane, first);

    list_remove(&first->link);
    *entry = first;
    lane->sent++;
    if (fits)
    {
        lane->length++;
        return LANE_SEND;
    }
    lane->chain = ++lanes->chain_last;
    lane->code = first->code;
    lane->length = 1;
    lane->broken = false;
    return LANE_NEW_CHAIN;
}

void lane_settled(struct lane *lane)
{
    CHECK(lane->sent > 0);
    lane->sent--;
}

void lane_break(struct lane *lane)
{
    lane->broken = true;
}

void lane_return(struct lane *lane, struct lane_entry *entry)
{
    lane_settled(lane);
    lane_break(lane);
    struct list *place = lane->waiting.next;
    while (place != &lane->waiting && CONTAINER_OF(place, struct lane_entry, link)->order < entry->order)
        place = place->next;
    list_insert_before(place, &entry->link);
}

void lanes_forget(struct lanes *lanes, struct lane *lane)
{
    CHECK(lane->sent == 0 && list_empty(&lane->waiting));
    CHECK(map_remove(&lanes->by_key, lane->key) == lane);
    free((void *)lane->key.data);
    free(lane);
}
