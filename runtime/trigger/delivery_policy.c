/* delivery_policy.c - statuses and delays. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/trigger/delivery_policy.h"

enum { WAIT_MS = 100, FIRST_MS = 200, LONGEST_MS = 5 * 60 * 1000, DOUBLINGS_MAX = 16 };

bool delivery_was_tried(enum status status)
{
    switch (status)
    {
    case STATUS_QUEUE_FULL:
    case STATUS_RATE_LIMITED:
    case STATUS_OVERLOADED:
    case STATUS_DRAINING:
    case STATUS_APP_NOT_FOUND: /* removed, its state kept */
    case STATUS_READ_ONLY:
    case STATUS_STORE_IO:
    case STATUS_STORE_FULL:
        return false;
    default:
        return true;
    }
}

enum delivery_step delivery_after(enum status status, uint32_t failed, uint32_t retries, struct prng *prng,
                                  uint64_t *delay_ms)
{
    if (!delivery_was_tried(status))
    {
        *delay_ms = WAIT_MS + prng_below(prng, WAIT_MS);
        return DELIVERY_WAIT;
    }
    if (failed > retries) return DELIVERY_GIVE_UP;
    uint32_t doublings = failed > DOUBLINGS_MAX ? DOUBLINGS_MAX : failed ? failed - 1 : 0;
    uint64_t delay = (uint64_t)FIRST_MS << doublings;
    if (delay > LONGEST_MS) delay = LONGEST_MS;
    *delay_ms = delay - delay / 4 + prng_below(prng, delay / 4 + 1);
    return DELIVERY_RETRY;
}
