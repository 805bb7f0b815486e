/* admission.h - may this invocation begin: what is in flight, how fast they come and how large it is. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

/* Of one function; 0 switches a limit off. */
struct admission_limits {
    uint32_t in_flight_max; /* running and waiting together */
    uint32_t running_max; /* in the hands of workers; see slots.h */
    uint32_t cpu_percent; /* of one processor, on average; see slots.h */
    uint32_t rate_per_s;
    uint32_t rate_burst; /* that may come at once after a pause; at least 1 when there is a rate */
    uint64_t body_bytes_max;
    uint64_t reply_bytes_max;
};

/* A bucket of tokens, kept as the time at which it will be full again. All zero: full. */
struct admission_rate {
    uint64_t full_at_ns;
};

/* Processor time used and not yet paid for by waiting, as the time at which it will be. All zero: nothing. */
struct admission_cpu {
    uint64_t paid_at_ns;
    uint32_t mean_us; /* of a run; moving */
};

struct admission_request {
    const char *function; /* for the words */
    uint32_t in_flight; /* of the function, without this one */
    uint64_t body_bytes;
    uint64_t now_ns;
};

/* OK takes a token. BODY_TOO_LARGE, QUEUE_FULL, RATE_LIMITED; the last sets *retry_after_s to the first whole second
 * after which a token will be there. What is refused takes none. */
MUST_CHECK enum status admission_decide(const struct admission_limits *limits, struct admission_rate *rate,
                                        const struct admission_request *request, uint32_t *retry_after_s,
                                        struct err *err);
/* A run begins: what the ones before it used on average is taken for what it will use, and returned. With a cpu_percent of
 * 25 each millisecond takes four to pay. What nobody used is lost, so that nothing can be saved up for later. */
uint32_t admission_cpu_begin(const struct admission_limits *limits, struct admission_cpu *cpu,
                             uint64_t now_ns);
/* It is over and has used so much. */
void admission_cpu_end(const struct admission_limits *limits, struct admission_cpu *cpu, uint32_t taken_us,
                       uint32_t used_us);
/* May another run begin? */
bool admission_cpu_paid(const struct admission_limits *limits, const struct admission_cpu *cpu,
                        uint64_t now_ns);
/* May these writes be kept, where rows take `used_bytes` of `bytes_max` (0: no limit)? Deletes may always. STATE_LIMIT. */
MUST_CHECK enum status admission_writes(uint64_t bytes_max, uint64_t used_bytes, struct slice writes,
                                        struct err *err);
/* May a message of a durable channel be kept? STATE_LIMIT. */
MUST_CHECK enum status admission_append(uint64_t bytes_max, uint64_t used_bytes, struct err *err);
/* REPLY_TOO_LARGE. */
MUST_CHECK enum status admission_reply(const struct admission_limits *limits, const char *function,
                                       uint64_t body_bytes, struct err *err);
