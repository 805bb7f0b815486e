/* hello.c - the smallest function: reads its input, replies. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

STEAD_FUNCTION(hello)
{
    const char *name = stead_query(ctx, "name");
    return stead_reply(ctx, "hello %s\n", name ? name : "world");
}
