/* pool_policy.h - how many workers an app has and who gets the next run; pure, time and load come as parameters. */
// SPDX-License-Identifier: Apache-2.0
//
// Waking a process costs far more than handing it one more frame, and with few processors another busy worker takes from
// the ones that run. So short runs are sent ahead into the link of one warm worker, about a millisecond of work of them,
// and another worker is started only when waiting would cost more than that, or when the worker hangs in a long run. When
// all workers are at such runs, one more is kept ready: the next caller would have to wait for a process to be made.
//
// When the machine runs out of memory, warm workers are a luxury: they go sooner, and nobody gets another one who has one.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    POLICY_AHEAD_US =
        1000, /* work that may wait in the link of a worker; what a queue may wait before it gets help */
    POLICY_UNKNOWN_US = 1000, /* guess for a function that has not run yet: alone in its worker */
    POLICY_FRAME_US = 5, /* cost of a run beside its handler */
};

/* ---- how long a run takes: a moving average ---- */

struct policy_mean {
    uint64_t ns; /* 0: no sample yet */
};

void policy_mean_add(struct policy_mean *mean, uint64_t sample_us);
/* Handler and frame together; never 0. */
uint32_t policy_expected_us(const struct policy_mean *mean);

/* ---- one worker ---- */

struct policy_worker {
    uint32_t depth; /* runs in its link */
    uint64_t ahead_us; /* their expected times together */
    uint64_t head_us; /* expected time of the one that runs now */
    uint64_t head_age_us; /* how long it has run */
};

/* It runs longer than it should: nothing may queue behind it. */
bool policy_overdue(const struct policy_worker *worker);
/* True when another run may be put into its link. */
bool policy_may_send(const struct policy_worker *worker);

/* Such a run keeps the worker from others for longer than these should wait. */
bool policy_taken(const struct policy_worker *worker);

/* ---- workers that end by a fault of the app ---- */

enum {
    POLICY_DEATHS_AT_ONCE = 16, /* are made good at once */
    POLICY_DEATH_MS = 200, /* and in the long run one in so long: what it takes is everybody's */
    POLICY_DEATH_RUNS =
        64, /* a worker that has done so many before is made good at once: they have paid for it */
};

/* All zero at first. */
struct policy_deaths {
    uint64_t paid_ns; /* when all that were are made good */
};

void policy_deaths_add(struct policy_deaths *deaths, uint64_t now_ns);
/* No worker is to be started before. */
uint64_t policy_deaths_rest_until_ns(const struct policy_deaths *deaths);

/* ---- the machine's memory ---- */

enum policy_pressure {
    PRESSURE_NONE,
    PRESSURE_HIGH, /* what is idle goes soon, nothing is kept ready */
    PRESSURE_CRITICAL, /* what is idle goes, and only who has no worker gets one */
};

/* total 0: not known, so there is none. */
enum policy_pressure policy_pressure(uint64_t available_bytes, uint64_t total_bytes);
/* What is left of an idle time. */
uint32_t policy_idle_max_ms(uint32_t idle_max_ms, enum policy_pressure pressure);

/* ---- all workers of an app ---- */

struct policy_app {
    uint32_t queued; /* runs that no worker may take now */
    uint64_t queued_us; /* their expected times together */
    uint32_t workers; /* that serve */
    uint32_t overdue; /* of these */
    uint32_t taken; /* of these: policy_taken() */
    uint32_t starting;
    uint32_t min;
    uint32_t max;
    uint32_t processors;
    enum policy_pressure pressure;
};

/* How many workers to start now. */
uint32_t policy_starts(const struct policy_app *app);
/* How long a run that comes now is going to wait, with all the workers that help. */
uint64_t policy_wait_us(const struct policy_app *app);
/* False when it would wait so long that too little of its time were left: better to be told at once. */
bool policy_worth_waiting(uint64_t wait_us, uint64_t left_us);
/* True when one that has been idle since then is not needed any more. */
bool policy_idle_over(uint32_t workers, uint32_t min, uint64_t idle_ms, uint32_t idle_max_ms);
/* How long not to try again after `failures` starts in a row failed. */
uint32_t policy_backoff_ms(uint32_t failures);
