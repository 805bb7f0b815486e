/* chains.c - a small set-associative table, as in a processor's cache. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/chains.h"

#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

enum {
    FIRST_CHUNK_BYTES = 512, /* most chains are one run with one write */
};

void stead__chains_fini(struct stead__chains *chains)
{
    for (int set = 0; chains->sets && set < STEAD__CHAIN_SETS; set++)
        for (int way = 0; way < STEAD__CHAIN_WAYS; way++) stead__arena_fini(&chains->sets[set][way].arena);
    free(chains->sets);
    *chains = (struct stead__chains){0};
}

static void forget(struct stead__chains *chains, struct stead__chain *chain)
{
    chains->bytes -= chain->changes.bytes;
    stead__changes_clear(&chain->changes);
    stead__arena_reset(&chain->arena);
    chain->id = 0;
}

struct stead__chain *stead__chains_find(struct stead__chains *chains, uint64_t id)
{
    struct stead__chain *ways = chains->sets ? chains->sets[id % STEAD__CHAIN_SETS] : NULL;
    for (int way = 0; ways && way < STEAD__CHAIN_WAYS; way++)
    {
        if (ways[way].id != id) continue;
        ways[way].used = ++chains->ticks;
        return &ways[way];
    }
    return NULL;
}

struct stead__chain *stead__chains_add(struct stead__chains *chains, uint64_t id)
{
    CHECK(id != 0);
    if (!chains->sets) chains->sets = mem_zalloc(STEAD__CHAIN_SETS * sizeof *chains->sets);
    struct stead__chain *ways = chains->sets[id % STEAD__CHAIN_SETS], *oldest = &ways[0];
    for (int way = 1; way < STEAD__CHAIN_WAYS; way++)
        if (ways[way].used < oldest->used) oldest = &ways[way];
    if (oldest->used == 0)
    {
        oldest->arena.first_chunk_bytes = FIRST_CHUNK_BYTES;
        stead__changes_init(&oldest->changes, &oldest->arena);
    }
    forget(chains, oldest);
    oldest->id = id;
    oldest->used = ++chains->ticks;
    return oldest;
}

static struct stead__chain *longest_unused(struct stead__chains *chains)
{
    struct stead__chain *found = NULL;
    for (int set = 0; set < STEAD__CHAIN_SETS; set++)
        for (int way = 0; way < STEAD__CHAIN_WAYS; way++)
        {
            struct stead__chain *chain = &chains->sets[set][way];
            if (chain->id != 0 && (!found || chain->used < found->used)) found = chain;
        }
    return found;
}

void stead__chains_merge(struct stead__chains *chains, struct stead__chain *chain,
                         const struct stead__changes *writes)
{
    chains->bytes -= chain->changes.bytes;
    stead__changes_merge(&chain->changes, writes);
    chains->bytes += chain->changes.bytes;
    while (chains->bytes > BOUND_CHAIN_BYTES_MAX) forget(chains, longest_unused(chains));
}
