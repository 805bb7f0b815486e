/* messages.c - functions that measure calls to other functions from inside, in the loops of peers/messages.c. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>
#include <string.h>
#include <time.h>

#include "histogram.h"

enum { MESSAGE_BYTES = 128, AT_ONCE_MAX = 16, WARM_UP = 20 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Answers with what it got. */
STEAD_FUNCTION(echo)
{
    struct stead_bytes body = stead_body(ctx);
    return stead_reply_bytes(ctx, body.data, body.size);
}

/* The same, and what it got is a row: durable before the caller hears of it. */
STEAD_FUNCTION(keep)
{
    struct stead_bytes body = stead_body(ctx);
    stead_put(ctx, "last", body.data, body.size);
    return stead_reply_bytes(ctx, body.data, body.size);
}

static enum stead_status ask(struct stead_ctx *ctx, const char *callee, const char *message, size_t count)
{
    struct stead_call calls[AT_ONCE_MAX] = {{.function = NULL}};
    for (size_t i = 0; i < count; i++)
        calls[i] = (struct stead_call){.function = callee, .data = message, .size = MESSAGE_BYTES};
    if (count == 1) return stead_call(ctx, callee, STEAD_APP, message, MESSAGE_BYTES, NULL);
    /* What writes, writes to entities of its own, as independent callers would. */
    for (size_t i = 0; i < count; i++) calls[i].entity = stead_format(ctx, "e%zu", i);
    return stead_call_all(ctx, calls, count);
}

/* ?callee=NAME&at_once=N&ms=N&routed=1: calls it until the time is over; percentiles of the time until all N have answered.
 * `routed`: after an answer from the node, here that of `keep`, the SDK makes every call of this run through the node. */
STEAD_FUNCTION(measure)
{
    static struct histogram latency;
    const char *callee = stead_query(ctx, "callee");
    size_t at_once = (size_t)stead_query_i64(ctx, "at_once", 1);
    uint64_t limit_ns = (uint64_t)stead_query_i64(ctx, "ms", 1000) * 1000000;
    if (!callee || at_once < 1 || at_once > AT_ONCE_MAX)
        return stead_reject(ctx, 400, "say callee and at_once");

    char message[MESSAGE_BYTES] = {0};
    memset(&latency, 0, sizeof latency);
    if (stead_query_i64(ctx, "routed", 0) && ask(ctx, "keep", message, 1) != STEAD_OK) return STEAD_FAILED;
    for (int i = 0; i < WARM_UP; i++)
        if (ask(ctx, callee, message, at_once) != STEAD_OK) return STEAD_FAILED;
    uint64_t began = now_ns(), now = began, count = 0;
    while (now - began < limit_ns)
    {
        uint64_t before = now;
        if (ask(ctx, callee, message, at_once) != STEAD_OK) return STEAD_FAILED;
        now = now_ns();
        histogram_add(&latency, now - before);
        count += at_once;
    }
    return stead_reply(
        ctx, "{\"rate\":%.1f,\"p50_ns\":%llu,\"p99_ns\":%llu,\"p999_ns\":%llu}\n",
        (double)count * 1e9 / (double)(now - began), (unsigned long long)histogram_at(&latency, 0.5),
        (unsigned long long)histogram_at(&latency, 0.99), (unsigned long long)histogram_at(&latency, 0.999));
}
