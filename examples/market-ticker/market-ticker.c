/* market-ticker.c - live prices: published when they are committed, watched by many, inside and outside of the node. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

/* POST /quotes/eu/paris with the price as the body. Whoever hears of it can rely on its being the truth: it leaves with
 * the commit. */
STEAD_FUNCTION(quote)
{
    struct stead_bytes price = stead_body(ctx);
    if (price.size == 0 || price.size > 32) return stead_reject(ctx, 400, "a price has 1 to 32 bytes");
    stead_put(ctx, "asked", price.data, price.size);
    stead_publish(ctx, "prices", stead_entity(ctx), price.data, price.size);
    return STEAD_OK;
}

/* Started by prices, those of programs outside included: the entity is the key of the message. */
STEAD_FUNCTION(keep)
{
    struct stead_message message;
    for (size_t i = 0; stead_message_at(ctx, i, &message); i++)
    {
        stead_add(ctx, "heard", 1);
        stead_put(ctx, "last", message.body.data, message.body.size);
    }
    return STEAD_OK;
}

/* GET /quotes/eu/paris */
STEAD_FUNCTION(latest)
{
    const char *last = stead_get_text(ctx, "last");
    if (!last) return stead_reject(ctx, 404, "nothing is known of %s", stead_entity(ctx));
    return stead_reply(ctx, "%s (%lld)\n", last, (long long)stead_get_i64(ctx, "heard", 0));
}

/* GET /watch?keys=eu/&count=3&ms=10000: waits for prices and answers when it has so many. */
STEAD_FUNCTION(watch)
{
    const char *keys = stead_query(ctx, "keys");
    int64_t count = stead_query_i64(ctx, "count", 1), wait_ms = stead_query_i64(ctx, "ms", 10000);
    if (count < 1 || count > 100000 || wait_ms < 0) return stead_reject(ctx, 400, "count and ms are numbers");
    struct stead_subscription *prices = stead_subscribe(ctx, "prices", keys ? keys : "");
    struct stead_message message;
    for (int64_t i = 0; i < count && stead_receive(prices, (uint32_t)wait_ms, &message) == STEAD_OK; i++)
    {
        if (message.missed) stead_reply(ctx, "(%llu lost)\n", (unsigned long long)message.missed);
        stead_reply(ctx, "%s %.*s\n", message.key, STEAD_FMT(message.body));
    }
    return STEAD_OK;
}
