/* parts.c - functions of an app with several partitions, for the tests. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

STEAD_FUNCTION(add)
{
    return stead_reply(ctx, "%lld\n", (long long)stead_add(ctx, "n", 1));
}

/* Moves 1 from the own entity to ?to. */
STEAD_FUNCTION(move)
{
    const char *to = stead_query(ctx, "to");
    if (!to) return stead_reject(ctx, 400, "say to whom");
    stead_add(ctx, "n", -1);
    stead_add_of(ctx, to, "n", 1);
    return stead_reply(ctx, "moved\n");
}

/* Reads ?of, which may be anybody. */
STEAD_FUNCTION(peek)
{
    return stead_reply(ctx, "%lld\n", (long long)stead_get_i64_of(ctx, stead_query(ctx, "of"), "n", 0));
}
