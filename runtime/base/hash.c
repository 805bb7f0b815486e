/* hash.c - XXH3 from libxxhash. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/hash.h"

#include <pthread.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/base/check.h"

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_choose(void)
{
    CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
}

uint64_t hash_bytes(struct slice bytes)
{
    pthread_once(&seed_once, seed_choose);
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

uint64_t hash_stable(struct slice bytes)
{
    return XXH3_64bits(bytes.data, bytes.size);
}
