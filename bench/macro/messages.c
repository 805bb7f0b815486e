/* messages.c - functions that measure calls and live channels from inside, in the loops of peers/messages.c. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>
#include <string.h>
#include <time.h>

#include "histogram.h"

enum { MESSAGE_BYTES = 128, AT_ONCE_MAX = 16, WARM_UP = 20 };

struct message {
    uint64_t sequence;
    uint64_t sent_ns;
    char rest[MESSAGE_BYTES - 16];
};

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

/* ---- live channels ---- */

static void sleep_until(uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* ?rate=N&ms=N: so many messages a second (0: as many as possible), and then one with the key `end`. */
STEAD_FUNCTION(publish)
{
    double rate = (double)stead_query_i64(ctx, "rate", 0);
    uint64_t limit_ns = (uint64_t)stead_query_i64(ctx, "ms", 1000) * 1000000;
    struct message message = {0};
    uint64_t began = now_ns(), now = began;
    for (; now - began < limit_ns; now = now_ns())
    {
        if (rate > 0 && (double)message.sequence >= (double)(now - began) / 1e9 * rate)
        {
            sleep_until(began + (uint64_t)((double)(message.sequence + 1) * 1e9 / rate));
            continue;
        }
        message.sequence++;
        message.sent_ns = now;
        if (stead_publish_now(ctx, "bench", "", &message, sizeof message) != STEAD_OK) return STEAD_FAILED;
    }
    stead_publish_now(ctx, "bench", "end", "", 0);
    return stead_reply(ctx, "{\"began_ns\":%llu,\"sent\":%llu}\n", (unsigned long long)began,
                       (unsigned long long)message.sequence);
}

/* Until `end`, or until nothing comes any more. Replies with the histogram too: it is merged with those of the others. */
STEAD_FUNCTION(receive)
{
    static struct histogram latency;
    struct stead_subscription *bench = stead_subscribe(ctx, "bench", "");
    struct stead_message got;
    uint64_t last_ns = 0, missed = 0;
    memset(&latency, 0, sizeof latency);
    while (stead_receive(bench, latency.count ? 2000 : 30000, &got) == STEAD_OK)
    {
        missed += got.missed;
        if (got.key[0]) break;
        struct message message;
        if (got.body.size != sizeof message) return stead_fail(ctx, "a message of %zu bytes", got.body.size);
        memcpy(&message, got.body.data, sizeof message);
        last_ns = now_ns();
        histogram_add(&latency, last_ns - message.sent_ns);
    }
    stead_reply(ctx, "{\"delivered\":%llu,\"missed\":%llu,\"last_ns\":%llu,\"buckets\":[[0,0]",
                (unsigned long long)latency.count, (unsigned long long)missed, (unsigned long long)last_ns);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (latency.of[i])
            stead_reply(ctx, ",[%llu,%llu]", (unsigned long long)histogram_value(i),
                        (unsigned long long)latency.of[i]);
    return stead_reply(ctx, "]}\n");
}

/* ---- durable channels ---- */

/* ?key=K&count=N: messages of 128 bytes, with keys K, K+1, ... */
STEAD_FUNCTION(append)
{
    static const char message[MESSAGE_BYTES];
    int64_t key = stead_query_i64(ctx, "key", 0), count = stead_query_i64(ctx, "count", 1);
    for (int64_t i = 0; i < count; i++)
    {
        const char *name = stead_format(ctx, "k%lld", (long long)((key + i) % 1000));
        if (stead_append(ctx, "kept", name, message, sizeof message) != STEAD_OK) return STEAD_FAILED;
    }
    return stead_reply(ctx, "ok\n");
}

/* Started by messages of one key: counts them, in the commit that moves the cursor. */
STEAD_FUNCTION(consume)
{
    stead_add(ctx, "consumed", (int64_t)stead_message_count(ctx));
    return STEAD_OK;
}

/* How many were consumed, of all keys. */
STEAD_FUNCTION(consumed)
{
    int64_t sum = 0;
    for (int key = 0; key < 1000; key++)
        sum += stead_get_i64_of(ctx, stead_format(ctx, "k%d", key), "consumed", 0);
    return stead_reply(ctx, "%lld", (long long)sum);
}
