/* clock.h - time as a port: real in the daemon, set by hand in tests and simulations. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/* Both may be called from any thread, never block and never fail. */
struct clock {
    uint64_t (*monotonic_ns)(struct clock *clock); /* for deadlines and durations */
    uint64_t (*wall_ms)(struct clock *clock); /* since 1970, for records that people read */
};

/* The machine's clocks. Static storage. */
struct clock *clock_real(void);

/* A clock that moves only when told to. */
struct clock_manual {
    struct clock clock;
    uint64_t now_ns;
    uint64_t wall_base_ms;
};
void clock_manual_init(struct clock_manual *manual, uint64_t wall_base_ms);
void clock_manual_advance(struct clock_manual *manual, uint64_t ns);

static inline uint64_t clock_monotonic_ns(struct clock *clock)
{
    return clock->monotonic_ns(clock);
}

static inline uint64_t clock_wall_ms(struct clock *clock)
{
    return clock->wall_ms(clock);
}

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL
