/* usage.c - figures of runs and outcomes, as sums of the function's meters. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/usage.h"

#include "runtime/invoke/invocation.h"
#include "statestore/kv/write_set.h"

static struct slice function_name(const struct invocation *invocation)
{
    return slice_cstr(invocation->function->name);
}

void usage_called(struct invocation *invocation, struct slice called)
{
    struct wire_effect one;
    bool found;
    for (size_t offset = 0; wire_effect_next(called, &offset, &one, &found, NULL) == STATUS_OK && found;)
    {
        const struct invoke_function *function = invoke_version_function(invocation->version, one.name);
        if (!function || one.kind != WIRE_EFFECT_CALLED || one.key.size != sizeof(uint64_t))
            return; /* a lie */
        uint64_t us = 0;
        for (int i = 7; i >= 0; i--) us = us << 8 | ((const uint8_t *)one.key.data)[i];
        struct meter_sums usage = {{0}};
        usage.of[METER_invocations] = one.number < UINT32_MAX ? one.number : UINT32_MAX;
        invocation->calls_inside += usage.of[METER_invocations];
        usage.of[METER_wall_us] = us < UINT32_MAX ? us : UINT32_MAX;
        usage.of[METER_cpu_us] = usage.of[METER_wall_us];
        metering_add(invocation->partition->metering, slice_cstr(function->name), &usage);
    }
}

void usage_run(struct invocation *invocation, const struct wire_result *result)
{
    struct meter_sums usage = {{0}};
    usage.of[METER_wall_us] = result->run_us;
    usage.of[METER_cpu_us] = result->cpu_us;
    usage.of[METER_mb_us] = (uint64_t)result->run_us * invocation->function->memory_mb;
    usage.of[METER_rows_read] = result->rows_read;
    usage.of[METER_bytes_read] = result->bytes_read;
    usage.of[METER_peak_kib] = result->peak_kib;
    metering_add(invocation->partition->metering, function_name(invocation), &usage);
}

static uint64_t count_effects(struct slice effects)
{
    struct wire_effect one;
    bool found;
    uint64_t count = 0;
    for (size_t offset = 0; wire_effect_next(effects, &offset, &one, &found, NULL) == STATUS_OK && found;)
        count++;
    return count;
}

void usage_outcome(struct invocation *invocation, struct slice writes, struct slice effects)
{
    struct meter_sums *usage = &invocation->outcome_usage;
    *usage = (struct meter_sums){{0}};
    usage->of[METER_invocations] = 1;
    usage->of[METER_cold] = invocation->cold;
    usage->of[METER_failures] = invocation->status != STATUS_OK;
    usage->of[METER_bytes_written] = writes.size;
    usage->of[METER_messages] =
        invocation->calls_made + invocation->calls_inside + invocation->published + count_effects(effects);
    struct write_entry entry;
    for (size_t offset = 0; write_set_next(writes, &offset, &entry);) usage->of[METER_rows_written]++;
    metering_add(invocation->partition->metering, function_name(invocation), usage);
}

void usage_repeat(struct invocation *invocation)
{
    struct meter_sums usage = {{0}};
    usage.of[METER_conflicts] = 1;
    metering_subtract(invocation->partition->metering, function_name(invocation), &invocation->outcome_usage);
    metering_add(invocation->partition->metering, function_name(invocation), &usage);
}
