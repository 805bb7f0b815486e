/* retry.h - when a conflicting invocation is tried again. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/prng.h"

/* True when an invocation that has run `attempts` times may run once more; *delay_ms is how long it waits before:
 * nothing for the first two, then a random time below 1, 2, 4 ... 32 ms, so that rivals do not meet again. */
bool retry_conflict(uint32_t attempts, struct prng *prng, uint32_t *delay_ms);
