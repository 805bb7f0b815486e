/* fair_share.h - how much of what all apps of a node share one app may take. Pure. */
// SPDX-License-Identifier: Apache-2.0
//
// Whoever wants one more gets it as long as what it holds is less than FAIR_TIMES what is free. So an app that is alone
// gets nearly all, n apps that want all get equal parts, and something is always left for the one that comes next: with 8,
// one app gets 8/9, two get 8/17 each (47 %), and nobody has to be told how many they are. What was taken before the others
// came is not taken away: it comes back as it ends, and then goes to those that hold less.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FAIR_TIMES = 8 };

struct fair_share {
    uint32_t held; /* by the app */
    uint32_t held_by_all;
    uint32_t capacity;
};

bool fair_share_may_take(const struct fair_share *share);
