/* retry.c - full jitter under an exponentially growing ceiling. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/retry.h"

#include "runtime/base/bounds.h"

enum { RETRIES_AT_ONCE = 2, CEILING_DOUBLINGS_MAX = 5 };

bool retry_conflict(uint32_t attempts, struct prng *prng, uint32_t *delay_ms)
{
    if (attempts > BOUND_CONFLICT_RETRIES_MAX) return false;
    *delay_ms = 0;
    if (attempts > RETRIES_AT_ONCE)
    {
        uint32_t doublings = attempts - RETRIES_AT_ONCE - 1;
        if (doublings > CEILING_DOUBLINGS_MAX) doublings = CEILING_DOUBLINGS_MAX;
        *delay_ms = (uint32_t)prng_below(prng, (1u << doublings) + 1);
    }
    return true;
}
