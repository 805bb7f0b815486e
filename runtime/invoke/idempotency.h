/* idempotency.h - the remembered first outcome of a request with an Idempotency-Key. Pure but for reading a snapshot. */
// SPDX-License-Identifier: Apache-2.0
//
// The record is written in the same commit as the effects of the invocation, so that either both exist or none:
//     i function 00 key            -> request hash u64 · wall ms u64 · a wire result frame (status, headers, body)
//     j ms (big endian) hash u64     -> the i key; finds the records that are old
#pragma once

#include "messaging/wire/wire.h"
#include "runtime/base/buf.h"
#include "statestore/statestore.h"

/* Fingerprint of what the caller asked: the same key with another fingerprint is a mistake of the caller. */
struct idempotency_request {
    struct slice function;
    struct slice key; /* of the header; 1 to BOUND_IDEMPOTENCY_KEY_BYTES_MAX bytes */
    uint64_t fingerprint;
};

uint64_t idempotency_fingerprint(struct slice method, struct slice entity, struct slice query,
                                 struct slice body);
/* INVALID_ARGUMENT when the key is empty, too long or has control characters. */
MUST_CHECK enum status idempotency_key_check(struct slice key, struct err *err);

/* Store key of the record; appended to `out`. */
void idempotency_record_key(struct buf *out, const struct idempotency_request *request);

/* Looks the outcome up. OK and *result (borrowed from the snapshot) when it is remembered; NOT_FOUND when it is not;
 * IDEMPOTENCY_MISMATCH when the request was another one; STORE_ statuses. */
MUST_CHECK enum status idempotency_find(struct store_snapshot *snapshot,
                                        const struct idempotency_request *request, struct wire_result *result,
                                        struct err *err);

/* Appends the write set which remembers `result`. */
void idempotency_write_set(struct buf *set, const struct idempotency_request *request,
                           const struct wire_result *result, uint64_t now_ms);

/* Appends a write set that forgets records older than `before_ms`, at most `count_max`; returns how many. */
size_t idempotency_expire(struct store_snapshot *snapshot, struct buf *set, uint64_t before_ms,
                          size_t count_max);
