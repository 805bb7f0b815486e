/* pace.h - how soon a connection is listened to again after it was refused, so that refusals cannot take the loop. Pure. */
// SPDX-License-Identifier: Apache-2.0
//
// A refusal is the cheapest answer there is, and still costs the loop as much as a request of a well-behaved client. All
// connections together get so many refusals a second at once; beyond that each waits for its turn before its next request
// is read. The refusal itself is never delayed. A generic cell rate algorithm: one number is the whole state.
#pragma once

#include <stdint.h>

struct pace {
    uint64_t paid_ns; /* when all refusals so far are paid for; 0 at first */
};

/* Counts one refusal. Returns from when on its connection may be read: `now_ns` when that is at once. Never earlier
 * than what was returned before, so those who wait are in order. `per_s` is at least 1, `burst` refusals come free. */
uint64_t pace_refusal(struct pace *pace, uint64_t now_ns, uint32_t per_s, uint32_t burst);
