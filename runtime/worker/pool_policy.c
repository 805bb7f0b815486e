/* pool_policy.c - decisions of the pool. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker/pool_policy.h"

#include "runtime/base/bounds.h"
#include "runtime/base/clock.h"

enum {
    MEAN_WEIGHT = 8, /* a new sample counts an eighth */
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 30000,
    PRESSURE_HIGH_PART = 8, /* less than an eighth of the memory is available */
    PRESSURE_CRITICAL_PART = 16,
    PRESSURE_IDLE_PART = 8, /* of the idle time, when the pressure is high */
};

void policy_mean_add(struct policy_mean *mean, uint64_t sample_us)
{
    uint64_t ns = sample_us * 1000 + 1; /* 0 means that there is none */
    if (!mean->ns)
        mean->ns = ns;
    else
        mean->ns = mean->ns - mean->ns / MEAN_WEIGHT + ns / MEAN_WEIGHT + 1;
}

uint32_t policy_expected_us(const struct policy_mean *mean)
{
    if (!mean->ns) return POLICY_UNKNOWN_US;
    uint64_t us = mean->ns / 1000 + POLICY_FRAME_US;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

bool policy_overdue(const struct policy_worker *worker)
{
    return worker->depth > 0 && worker->head_age_us > 2 * worker->head_us + POLICY_AHEAD_US;
}

bool policy_may_send(const struct policy_worker *worker)
{
    if (worker->depth == 0) return true;
    if (worker->depth >= BOUND_WORKER_DEPTH_MAX || policy_overdue(worker)) return false;
    return worker->ahead_us < POLICY_AHEAD_US; /* the time that the first has had already is not counted on */
}

bool policy_taken(const struct policy_worker *worker)
{
    return worker->depth > 0 && (worker->head_us > POLICY_AHEAD_US || policy_overdue(worker));
}

void policy_deaths_add(struct policy_deaths *deaths, uint64_t now_ns)
{
    uint64_t from_ns = deaths->paid_ns > now_ns ? deaths->paid_ns : now_ns;
    deaths->paid_ns = from_ns + POLICY_DEATH_MS * NS_PER_MS;
}

uint64_t policy_deaths_rest_until_ns(const struct policy_deaths *deaths)
{
    const uint64_t burst_ns = POLICY_DEATHS_AT_ONCE * POLICY_DEATH_MS * NS_PER_MS;
    return deaths->paid_ns > burst_ns ? deaths->paid_ns - burst_ns : 0;
}

enum policy_pressure policy_pressure(uint64_t available_bytes, uint64_t total_bytes)
{
    if (available_bytes < total_bytes / PRESSURE_CRITICAL_PART) return PRESSURE_CRITICAL;
    if (available_bytes < total_bytes / PRESSURE_HIGH_PART) return PRESSURE_HIGH;
    return PRESSURE_NONE;
}

uint32_t policy_idle_max_ms(uint32_t idle_max_ms, enum policy_pressure pressure)
{
    if (pressure == PRESSURE_CRITICAL) return 0;
    return pressure == PRESSURE_HIGH ? idle_max_ms / PRESSURE_IDLE_PART : idle_max_ms;
}

/* More workers than processors help only runs that wait for something, and a short run does not. */
static uint32_t useful_workers(const struct policy_app *app)
{
    uint64_t mean_us = app->queued ? app->queued_us / app->queued : 0;
    uint64_t useful = app->max;
    if (mean_us <= POLICY_AHEAD_US) useful = (uint64_t)app->processors + app->overdue;
    return useful < app->max ? (uint32_t)useful : app->max;
}

static uint32_t wanted_workers(const struct policy_app *app)
{
    uint32_t have = app->workers + app->starting;
    if (app->queued == 0)
    {
        bool spare = app->workers > 0 && app->taken == app->workers && app->starting == 0;
        return spare && app->pressure == PRESSURE_NONE ? have + 1 : app->min;
    }
    if (have == 0) return 1;
    if (app->pressure == PRESSURE_CRITICAL) return have;
    bool hopeless = app->overdue == app->workers && app->starting == 0;
    uint64_t wait_us = app->queued_us / have;
    if (!hopeless && wait_us <= POLICY_AHEAD_US) return have;

    /* Enough to be through in the time that waiting may take; those that start already count for one run each. */
    uint64_t by_time = (app->queued_us + POLICY_AHEAD_US - 1) / POLICY_AHEAD_US;
    uint64_t by_runs = app->queued > app->starting ? app->queued - app->starting : 0;
    uint64_t more = by_time < by_runs ? by_time : by_runs;
    uint64_t wanted = have + (more ? more : hopeless);
    uint32_t useful = useful_workers(app);
    return wanted < useful ? (uint32_t)wanted : useful;
}

uint32_t policy_starts(const struct policy_app *app)
{
    uint32_t have = app->workers + app->starting;
    uint32_t wanted = wanted_workers(app);
    if (wanted < app->min) wanted = app->min;
    if (wanted > app->max) wanted = app->max;
    return wanted > have ? wanted - have : 0;
}

uint64_t policy_wait_us(const struct policy_app *app)
{
    return app->queued_us / useful_workers(app);
}

bool policy_worth_waiting(uint64_t wait_us, uint64_t left_us)
{
    return wait_us <= left_us / 2; /* the expected times are guesses, and the run itself needs some */
}

bool policy_idle_over(uint32_t workers, uint32_t min, uint64_t idle_ms, uint32_t idle_max_ms)
{
    return workers > min && idle_ms >= idle_max_ms;
}

uint32_t policy_backoff_ms(uint32_t failures)
{
    if (failures == 0) return 0;
    uint64_t ms = (uint64_t)BACKOFF_FIRST_MS << (failures < 16 ? failures - 1 : 15);
    return ms < BACKOFF_MAX_MS ? (uint32_t)ms : BACKOFF_MAX_MS;
}
