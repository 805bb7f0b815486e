/* fair_share.c - the dynamic threshold. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/fair_share.h"

bool fair_share_may_take(const struct fair_share *share)
{
    if (share->held_by_all >= share->capacity) return false;
    return share->held < (uint64_t)FAIR_TIMES * (share->capacity - share->held_by_all);
}
