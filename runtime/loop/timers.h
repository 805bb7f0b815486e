/* timers.h - the timers of one loop in order of their deadlines: a binary heap, pure, time comes as a parameter. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/loop/loop.h"

struct timers {
    struct loop_timer **heap; /* heap[0] is due first; each timer knows its place */
    size_t count;
    size_t capacity;
    uint64_t starts; /* numbers the starts, so that equal deadlines keep their order */
};

#define TIMERS_INIT ((struct timers){NULL, 0, 0, 0})

void timers_fini(struct timers *timers);
/* `timer` is not in the heap. */
void timers_add(struct timers *timers, struct loop_timer *timer);
/* `timer` is in the heap. */
void timers_remove(struct timers *timers, struct loop_timer *timer);
/* The one that is due first; NULL when there is none. */
struct loop_timer *timers_first(const struct timers *timers);
