/* counter.c - one counter per entity: its value is a row that belongs to the entity. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

/* POST /counter/increment/visits[?by=N] */
STEAD_FUNCTION(increment)
{
    int64_t by = stead_query_i64(ctx, "by", 1);
    return stead_reply(ctx, "%lld\n", (long long)stead_add(ctx, "value", by));
}

/* GET /counter/value/visits */
STEAD_FUNCTION(value)
{
    return stead_reply(ctx, "%lld\n", (long long)stead_get_i64(ctx, "value", 0));
}

/* POST /counter/reset/visits */
STEAD_FUNCTION(reset)
{
    stead_delete(ctx, "value");
    return stead_reply(ctx, "0\n");
}
