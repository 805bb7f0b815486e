/* delivery_policy.h - what becomes of a delivery that failed: again, later, or never. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/prng.h"

enum delivery_step {
    DELIVERY_WAIT, /* nothing was tried: there was no room, or the node stops. Not counted */
    DELIVERY_RETRY, /* after *delay_ms; counted */
    DELIVERY_GIVE_UP, /* it becomes a dead letter */
};

/* Did anything begin? False for what had no room, and for a node that stops or takes no writes. */
bool delivery_was_tried(enum status status);

/* `failed` counts the attempts that failed, this one included; at most `retries` more follow the first. The delay doubles
 * from 200 ms to five minutes, and a quarter of it is chance, so that what failed together does not come back together.
 * For WAIT it is short. */
enum delivery_step delivery_after(enum status status, uint32_t failed, uint32_t retries, struct prng *prng,
                                  uint64_t *delay_ms);
