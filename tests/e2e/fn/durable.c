/* durable.c - producers and consumers of durable channels, for the tests. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <stead/stead.h>

/* POST /shop/put?key=k&times=n with a body: so many messages in one commit. */
STEAD_FUNCTION(put)
{
    struct stead_bytes body = stead_body(ctx);
    for (int64_t left = stead_query_i64(ctx, "times", 1); left > 0; left--)
        stead_append(ctx, "orders", stead_query(ctx, "key"), body.data, body.size);
    if (stead_query(ctx, "fail")) return stead_fail(ctx, "after appending");
    return stead_reply(ctx, "put\n");
}

STEAD_FUNCTION(put_nowhere)
{
    stead_append(ctx, "nowhere", "k", "x", 1);
    return stead_reply(ctx, "put\n");
}

/* Messages of a key are numbers that grow: counts them, and those that come out of order. `poison` is not digested. */
static enum stead_status count_all(struct stead_ctx *ctx)
{
    struct stead_message message;
    for (size_t i = 0; stead_message_at(ctx, i, &message); i++)
    {
        char text[32] = "";
        memcpy(text, message.body.data, message.body.size < 31 ? message.body.size : 31);
        if (strcmp(text, "poison") == 0)
            return stead_fail(ctx, "poison at %llu", (unsigned long long)message.sequence);
        int64_t number = strtoll(text, NULL, 10);
        if (number <= stead_get_i64(ctx, "last", 0)) stead_add(ctx, "disorder", 1);
        stead_put_i64(ctx, "last", number);
        stead_add(ctx, "n", 1);
    }
    return STEAD_OK;
}

STEAD_FUNCTION(count)
{
    return count_all(ctx);
}

/* The same, and sends to somebody who counts, too. */
STEAD_FUNCTION(relay)
{
    for (size_t i = stead_message_count(ctx); i > 0; i--)
        stead_send(ctx, "mark", stead_format(ctx, "%s-marks", stead_entity(ctx)), NULL, 0);
    return count_all(ctx);
}

STEAD_FUNCTION(mark)
{
    stead_add(ctx, "marked", 1);
    return STEAD_OK;
}

/* GET /shop/marks/k */
STEAD_FUNCTION(marks)
{
    return stead_reply(
        ctx, "%lld",
        (long long)stead_get_i64_of(ctx, stead_format(ctx, "%s-marks", stead_entity(ctx)), "marked", 0));
}

/* Of another group, in batches, with rows of its own. */
STEAD_FUNCTION(tally)
{
    stead_add_of(ctx, stead_entity(ctx), "tallied", (int64_t)stead_message_count(ctx));
    return STEAD_OK;
}

/* A message `wait` is digested when something comes over the live channel. */
STEAD_FUNCTION(slow)
{
    struct stead_message message;
    if (stead_message_at(ctx, 0, &message) && message.body.size == 4 &&
        memcmp(message.body.data, "wait", 4) == 0)
    {
        struct stead_message go;
        return stead_receive(stead_subscribe(ctx, "prices", ""), 60000, &go);
    }
    return count_all(ctx);
}

STEAD_FUNCTION(go)
{
    return stead_publish_now(ctx, "prices", "", "go", 2);
}

/* GET /shop/state/k */
STEAD_FUNCTION(state)
{
    return stead_reply(ctx, "%lld counted, %lld tallied, %lld out of order, last %lld\n",
                       (long long)stead_get_i64(ctx, "n", 0), (long long)stead_get_i64(ctx, "tallied", 0),
                       (long long)stead_get_i64(ctx, "disorder", 0),
                       (long long)stead_get_i64(ctx, "last", 0));
}
