/* validate.h - is what an invocation read still current? The recent writes in key order; pure, no I/O, no time. */
// SPDX-License-Identifier: Apache-2.0
//
// The index holds, for each key written since the oldest snapshot in use, the sequence number and the chain of its last
// writer. A read set of snapshot S is current when nothing that it names was written after S, except by the same chain
// (see statestore.h). Ranges are checked against the same index, so a row that appears in a scanned range is found too.
//
// Used by the committer only. Memory is bounded: when the index is full its oldest writes are dropped, and snapshots
// older than they are not current any more, whatever they read.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/list.h"
#include "runtime/base/map.h"
#include "runtime/base/prng.h"
#include "runtime/base/slice.h"

enum { VALIDATE_LEVELS = 20 };

struct validate {
    struct validate_key *heads[VALIDATE_LEVELS]; /* skip list over the keys */
    struct list ages; /* the same keys, oldest write first */
    uint64_t forgotten; /* writes up to here may be missing: no older snapshot can be checked */
    size_t keys;
    size_t bytes;
    size_t bytes_max;
    struct prng prng;
    struct map failed_chains; /* chain -> struct failed_chain */
    struct list failed_order; /* the same, in the order of their batches */
};

/* Commits up to `seq` are older than every snapshot to come. */
void validate_init(struct validate *validate, uint64_t seq, size_t bytes_max);
void validate_fini(struct validate *validate);

/* True when everything in the checked read set is as `snapshot` showed it, own chain's writes aside. */
bool validate_reads(const struct validate *validate, struct slice reads, uint64_t snapshot, uint64_t chain);
/* Notes a checked write set that was committed as `seq`, which never goes down. */
void validate_note(struct validate *validate, struct slice writes, uint64_t seq, uint64_t chain);
/* What was noted after `seq` has not been written after all. Its keys count as written at `seq`: who wrote them before
 * is not known any more, so snapshots older than that may conflict without need, newer ones do not. */
void validate_undo(struct validate *validate, uint64_t seq);
/* No snapshot before `oldest` will be checked any more: drops what only they needed. */
void validate_prune(struct validate *validate, uint64_t oldest);

/* A submission of the chain failed in batch number `batch`: what was built on it must fail too. */
void validate_chain_fail(struct validate *validate, uint64_t chain, uint64_t batch);
bool validate_chain_failed(const struct validate *validate, uint64_t chain);
/* The owners of chains that failed up to `batch` have been told before the next submission was made. */
void validate_chain_forget(struct validate *validate, uint64_t batch);
