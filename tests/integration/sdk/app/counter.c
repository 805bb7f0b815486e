/* counter.c - the function that the packaging test builds outside of the tree. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

STEAD_FUNCTION(add)
{
    return stead_reply(ctx, "%lld\n", (long long)stead_add(ctx, "count", stead_query_i64(ctx, "by", 1)));
}
