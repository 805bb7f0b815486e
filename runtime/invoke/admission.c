/* admission.c - limits of one function, and its bucket of tokens. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/admission.h"

#include "runtime/base/clock.h"
#include "statestore/kv/write_set.h"

/* A token is worth 1 s / rate of time. The bucket is full when `full_at_ns` has passed, and empty when it lies the worth
 * of a whole burst ahead. */
static enum status rate_take(const struct admission_limits *limits, struct admission_rate *rate,
                             const struct admission_request *request, uint32_t *retry_after_s,
                             struct err *err)
{
    uint64_t token_ns = NS_PER_S / limits->rate_per_s;
    uint64_t now = request->now_ns;
    uint64_t full_at = rate->full_at_ns > now ? rate->full_at_ns : now;
    uint64_t room_ns = token_ns * limits->rate_burst;
    if (full_at + token_ns <= now + room_ns)
    {
        rate->full_at_ns = full_at + token_ns;
        return STATUS_OK;
    }
    uint64_t wait_ns = full_at + token_ns - now - room_ns;
    *retry_after_s = (uint32_t)((wait_ns + NS_PER_S - 1) / NS_PER_S);
    return err_set(err, STATUS_RATE_LIMITED,
                   "function '%s' takes %u invocations per second; the next in %llu ms", request->function,
                   limits->rate_per_s, (unsigned long long)((wait_ns + NS_PER_MS - 1) / NS_PER_MS));
}

enum status admission_decide(const struct admission_limits *limits, struct admission_rate *rate,
                             const struct admission_request *request, uint32_t *retry_after_s,
                             struct err *err)
{
    if (limits->body_bytes_max && request->body_bytes > limits->body_bytes_max)
        return err_set(err, STATUS_BODY_TOO_LARGE,
                       "the body has %llu bytes; function '%s' takes at most %llu",
                       (unsigned long long)request->body_bytes, request->function,
                       (unsigned long long)limits->body_bytes_max);
    if (limits->in_flight_max && request->in_flight >= limits->in_flight_max)
        return err_set(err, STATUS_QUEUE_FULL, "function '%s' has %u invocations in flight, its limit",
                       request->function, limits->in_flight_max);
    if (limits->rate_per_s) return rate_take(limits, rate, request, retry_after_s, err);
    return STATUS_OK;
}

static uint64_t price_ns(const struct admission_limits *limits, uint64_t cpu_us)
{
    return cpu_us * NS_PER_US * 100 / limits->cpu_percent;
}

uint32_t admission_cpu_begin(const struct admission_limits *limits, struct admission_cpu *cpu,
                             uint64_t now_ns)
{
    if (!limits->cpu_percent) return 0;
    uint64_t from_ns = cpu->paid_at_ns > now_ns ? cpu->paid_at_ns : now_ns;
    cpu->paid_at_ns = from_ns + price_ns(limits, cpu->mean_us);
    return cpu->mean_us;
}

void admission_cpu_end(const struct admission_limits *limits, struct admission_cpu *cpu, uint32_t taken_us,
                       uint32_t used_us)
{
    enum { MEAN_WEIGHT = 8 }; /* a new sample counts an eighth */
    if (!limits->cpu_percent) return;
    uint64_t back_ns = used_us < taken_us ? price_ns(limits, taken_us - used_us) : 0;
    if (used_us > taken_us) cpu->paid_at_ns += price_ns(limits, used_us - taken_us);
    cpu->paid_at_ns -= back_ns < cpu->paid_at_ns ? back_ns : cpu->paid_at_ns;
    if (!cpu->mean_us)
        cpu->mean_us = used_us;
    else
        cpu->mean_us = cpu->mean_us - cpu->mean_us / MEAN_WEIGHT + used_us / MEAN_WEIGHT;
}

bool admission_cpu_paid(const struct admission_limits *limits, const struct admission_cpu *cpu,
                        uint64_t now_ns)
{
    return !limits->cpu_percent || cpu->paid_at_ns <= now_ns;
}

enum status admission_writes(uint64_t bytes_max, uint64_t used_bytes, struct slice writes, struct err *err)
{
    if (!bytes_max || used_bytes <= bytes_max) return STATUS_OK;
    struct write_entry write;
    for (size_t offset = 0; write_set_next(writes, &offset, &write);)
        if (write.op == WRITE_PUT)
            return err_set(err, STATUS_STATE_LIMIT,
                           "the rows of the partition take %llu bytes; its limit is %llu",
                           (unsigned long long)used_bytes, (unsigned long long)bytes_max);
    return STATUS_OK;
}

enum status admission_append(uint64_t bytes_max, uint64_t used_bytes, struct err *err)
{
    if (!bytes_max || used_bytes <= bytes_max) return STATUS_OK;
    return err_set(err, STATUS_STATE_LIMIT,
                   "the rows of the partition, messages included, take %llu bytes; its limit is %llu",
                   (unsigned long long)used_bytes, (unsigned long long)bytes_max);
}

enum status admission_reply(const struct admission_limits *limits, const char *function, uint64_t body_bytes,
                            struct err *err)
{
    if (!limits->reply_bytes_max || body_bytes <= limits->reply_bytes_max) return STATUS_OK;
    return err_set(err, STATUS_REPLY_TOO_LARGE,
                   "the reply has %llu bytes; function '%s' may send at most %llu",
                   (unsigned long long)body_bytes, function, (unsigned long long)limits->reply_bytes_max);
}
