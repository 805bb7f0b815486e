/* prng.h - chance as a port: a seeded generator (splitmix64), so that a failure is a seed. Not for secrets. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

struct prng {
    uint64_t state;
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);
/* True with probability numerator/denominator. */
int prng_chance(struct prng *prng, uint64_t numerator, uint64_t denominator);
/* A seed from the kernel. */
uint64_t prng_entropy(void);
