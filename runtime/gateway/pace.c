/* pace.c - the cell rate of refusals. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/pace.h"

#include "runtime/base/clock.h"

uint64_t pace_refusal(struct pace *pace, uint64_t now_ns, uint32_t per_s, uint32_t burst)
{
    uint64_t cost_ns = NS_PER_S / per_s;
    if (pace->paid_ns < now_ns) pace->paid_ns = now_ns;
    pace->paid_ns += cost_ns;
    uint64_t free_ns = cost_ns * burst;
    return pace->paid_ns > now_ns + free_ns ? pace->paid_ns - free_ns : now_ns;
}
