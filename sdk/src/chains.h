/* chains.h - the writes of the chains that this worker runs at present, by chain id. */
// SPDX-License-Identifier: Apache-2.0
//
// Runs of several chains come to a worker interleaved, and nobody says when a chain is over. So the
// newest ones are kept, within bounds, and what is needed again after it was given up is noticed: its
// run is refused with CONFLICT and the daemon begins a new chain. Nothing is lost by forgetting.
#pragma once

#include <stdint.h>

#include "sdk/src/arena.h"
#include "sdk/src/changes.h"

/* A chain lives in the set of its id, ids being counted up: it is forgotten when WAYS newer ones of its
 * set were used since, thus after about SETS * WAYS chains. */
enum { STEAD__CHAIN_SETS = 128, STEAD__CHAIN_WAYS = 4 };

struct stead__chain {
    uint64_t id; /* 0: free */
    uint64_t used; /* tick of the last use */
    struct stead__arena arena;
    struct stead__changes changes;
};

struct stead__chains {
    struct stead__chain (*sets)[STEAD__CHAIN_WAYS]; /* NULL before the first use */
    uint64_t ticks;
    size_t bytes; /* of all changes */
};

void stead__chains_fini(struct stead__chains *chains);
/* NULL when it is not known, or not any more. */
struct stead__chain *stead__chains_find(struct stead__chains *chains, uint64_t id);
/* A new, empty one in place of the longest unused of its set. */
struct stead__chain *stead__chains_add(struct stead__chains *chains, uint64_t id);
/* Adds the writes of a run. When all of them together take too much, the longest unused chains are
 * forgotten, at last this one too. */
void stead__chains_merge(struct stead__chains *chains, struct stead__chain *chain,
                         const struct stead__changes *writes);
