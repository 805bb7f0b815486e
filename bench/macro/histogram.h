/* histogram.h - a histogram with buckets 3 % wide, of any unit, for drivers and functions of the benches. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 32, /* for each doubling: 3 % */
    HISTOGRAM_BUCKETS = 40 * HISTOGRAM_STEPS,
};

struct histogram {
    uint64_t of[HISTOGRAM_BUCKETS];
    uint64_t count;
};

static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS) return (unsigned)value;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(value) - 5; /* 32 = 1 << 5 */
    unsigned bucket = (exponent + 1) * HISTOGRAM_STEPS + (unsigned)((value >> exponent) - HISTOGRAM_STEPS);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The least value that belongs into the bucket. */
static inline uint64_t histogram_value(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS) return bucket;
    unsigned exponent = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << exponent;
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->of[histogram_bucket(value)]++;
    histogram->count++;
}

static inline void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) histogram->of[i] += other->of[i];
    histogram->count += other->count;
}

static inline uint64_t histogram_at(const struct histogram *histogram, double part)
{
    uint64_t rank = (uint64_t)(part * (double)histogram->count), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
    {
        seen += histogram->of[i];
        if (seen > rank) return histogram_value(i);
    }
    return 0;
}
