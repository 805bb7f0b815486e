/* live.c - what the benches of live channels run: one that publishes at a rate, and those that receive and measure. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <stead/stead.h>

enum { BODY_BYTES_MAX = 65536, BUCKETS = 200000 /* of a microsecond; the last has what took longer */ };

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    struct timespec at = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* ?count=N&rate=PER_SECOND&size=BYTES: each body begins with the time of its publishing. Rate 0: as fast as it goes. Then the
 * message "end". */
STEAD_FUNCTION(publish)
{
    static char body[BODY_BYTES_MAX];
    int64_t count = stead_query_i64(ctx, "count", 1000), rate = stead_query_i64(ctx, "rate", 0);
    int64_t size = stead_query_i64(ctx, "size", 64);
    if (size < 8 || size > BODY_BYTES_MAX) return stead_reject(ctx, 400, "size");
    int64_t begun = now_ns();
    for (int64_t i = 0; i < count; i++)
    {
        if (rate && now_ns() < begun + i * 1000000000 / rate) sleep_until(begun + i * 1000000000 / rate);
        int64_t now = now_ns();
        memcpy(body, &now, sizeof now);
        if (stead_publish_now(ctx, "ticks", "", body, (size_t)size) != STEAD_OK) return STEAD_FAILED;
    }
    int64_t took = now_ns() - begun;
    stead_publish_now(ctx, "ticks", "end", "", 0);
    return stead_reply(ctx, "{\"published\":%lld,\"seconds\":%.6f}", (long long)count, (double)took / 1e9);
}

static int64_t quantile(const uint32_t *buckets, int64_t count, double part)
{
    int64_t seen = 0;
    for (int64_t us = 0; us < BUCKETS; us++)
        if ((seen += buckets[us]) > (int64_t)((double)count * part)) return us;
    return BUCKETS;
}

/* Until "end". */
STEAD_FUNCTION(receive)
{
    uint32_t *buckets = stead_alloc(ctx, BUCKETS * sizeof *buckets);
    struct stead_subscription *ticks = stead_subscribe(ctx, "ticks", "");
    struct stead_message message;
    int64_t received = 0, missed = 0;
    while (stead_receive(ticks, 20000, &message) == STEAD_OK)
    {
        missed += (int64_t)message.missed;
        if (message.key[0]) break;
        int64_t sent;
        memcpy(&sent, message.body.data, sizeof sent);
        int64_t us = (now_ns() - sent) / 1000;
        buckets[us < 0 ? 0 : us < BUCKETS ? us : BUCKETS - 1]++;
        received++;
    }
    return stead_reply(ctx, "{\"received\":%lld,\"lost\":%lld,\"p50_us\":%lld,\"p99_us\":%lld}",
                       (long long)received, (long long)missed, (long long)quantile(buckets, received, 0.5),
                       (long long)quantile(buckets, received, 0.99));
}
