/* clock.c - the real clock and the manual one. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/clock.h"

#include <time.h>

#include "runtime/base/list.h"

static uint64_t real_monotonic_ns(struct clock *clock)
{
    (void)clock; /* the machine has only one */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t real_wall_ms(struct clock *clock)
{
    (void)clock; /* the machine has only one */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

struct clock *clock_real(void)
{
    static struct clock real = {real_monotonic_ns, real_wall_ms};
    return &real;
}

static uint64_t manual_monotonic_ns(struct clock *clock)
{
    return CONTAINER_OF(clock, struct clock_manual, clock)->now_ns;
}

static uint64_t manual_wall_ms(struct clock *clock)
{
    struct clock_manual *manual = CONTAINER_OF(clock, struct clock_manual, clock);
    return manual->wall_base_ms + manual->now_ns / NS_PER_MS;
}

void clock_manual_init(struct clock_manual *manual, uint64_t wall_base_ms)
{
    *manual = (struct clock_manual){
        .clock = {manual_monotonic_ns, manual_wall_ms},
        .wall_base_ms = wall_base_ms,
    };
}

void clock_manual_advance(struct clock_manual *manual, uint64_t ns)
{
    manual->now_ns += ns;
}
