/* timers.c - a binary heap whose elements know their places, so that stopping a timer is as cheap as starting it. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop/timers.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"

static bool before(const struct loop_timer *a, const struct loop_timer *b)
{
    if (a->deadline_ns != b->deadline_ns) return a->deadline_ns < b->deadline_ns;
    return a->order < b->order;
}

static void put(struct timers *timers, size_t place, struct loop_timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void sift_up(struct timers *timers, size_t place, struct loop_timer *timer)
{
    while (place > 0)
    {
        size_t parent = (place - 1) / 2;
        if (!before(timer, timers->heap[parent])) break;
        put(timers, place, timers->heap[parent]);
        place = parent;
    }
    put(timers, place, timer);
}

static void sift_down(struct timers *timers, size_t place, struct loop_timer *timer)
{
    for (;;)
    {
        size_t child = 2 * place + 1;
        if (child >= timers->count) break;
        if (child + 1 < timers->count && before(timers->heap[child + 1], timers->heap[child])) child++;
        if (!before(timers->heap[child], timer)) break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

void timers_fini(struct timers *timers)
{
    CHECK(timers->count == 0);
    free(timers->heap);
    *timers = TIMERS_INIT;
}

void timers_add(struct timers *timers, struct loop_timer *timer)
{
    if (timers->count == timers->capacity)
    {
        timers->capacity = timers->capacity ? timers->capacity * 2 : 64;
        timers->heap = mem_realloc(timers->heap, timers->capacity * sizeof(struct loop_timer *));
    }
    timer->order = timers->starts++;
    sift_up(timers, timers->count++, timer);
}

void timers_remove(struct timers *timers, struct loop_timer *timer)
{
    size_t place = timer->place;
    CHECK(place < timers->count && timers->heap[place] == timer);
    struct loop_timer *last = timers->heap[--timers->count];
    if (last == timer) return;
    if (place > 0 && before(last, timers->heap[(place - 1) / 2]))
        sift_up(timers, place, last);
    else
        sift_down(timers, place, last);
}

struct loop_timer *timers_first(const struct timers *timers)
{
    return timers->count ? timers->heap[0] : NULL;
}
