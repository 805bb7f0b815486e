/* wire.h - the messages between the daemon, its zygotes and its workers, as structs; encode and decode, no I/O. */
// SPDX-License-Identifier: Apache-2.0
//
// A frame is a 4-byte little-endian length and that many bytes of msgpack: an array whose first element
// is the type and whose others are the fields in the order of the struct. Decoded slices point into the
// frame: they live as long as its bytes. Whatever does not fit exactly is refused with
// FUNCTION_PROTOCOL; nothing is read beyond the frame.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum {
    WIRE_VERSION = 1,
    WIRE_LENGTH_BYTES = 4,
    WIRE_HEADERS_MAX = 128,
    WIRE_HTTP_STATUS_MAX = 599,
    WIRE_LOG_LEVEL_MAX = 3, /* LOG_ERROR */
};

enum wire_type {
    WIRE_READY = 1, /* worker -> daemon */
    WIRE_INVOKE = 2, /* daemon -> worker */
    WIRE_RESULT = 3, /* worker -> daemon */
    WIRE_LOG = 4, /* worker -> daemon */
};

struct wire_header {
    struct slice name; /* lower case */
    struct slice value;
};

struct wire_headers {
    struct wire_header items[WIRE_HEADERS_MAX];
    size_t count;
};

/* First frame of a worker. */
struct wire_ready {
    uint32_t version; /* WIRE_VERSION */
    uint32_t pid; /* as the worker sees it */
};

/* Run one invocation. Frames queue in the link; the worker runs them in order, one at a time. */
struct wire_invoke {
    uint64_t id; /* daemon's number of this run; comes back in the result */
    struct slice ident; /* the invocation's id as users see it, text */
    struct slice function;
    struct slice entity; /* empty: unaddressed */
    uint32_t timeout_ms; /* until its deadline, from the moment it is started */
    uint64_t snapshot; /* sequence number */
    uint64_t txn; /* LMDB's number of the snapshot */
    struct slice meta; /* STORE_META_BYTES, or empty: the snapshot of the frame before */
    /* Not 0: the writes of earlier successful runs of the same chain are visible. All runs of a chain read
     * the same snapshot on the same worker; runs of other chains may come in between. */
    uint64_t chain;
    bool validate; /* the result needs its read set even when it wrote nothing */
    /* It is not the first run of its chain. A worker that does not have the writes of those before it any more does
     * not run it and says so, as an outcome with the status CONFLICT: it has to run in a new chain. */
    bool follows;
    uint32_t attempt; /* 1, 2, ... after conflicts */
    struct slice method; /* of the HTTP request; empty for other origins */
    struct slice path; /* as received, without the query */
    struct slice query;
    struct wire_headers headers;
    struct slice body;
};

enum wire_outcome {
    WIRE_OUTCOME_OK = 0, /* the handler returned STEAD_OK */
    WIRE_OUTCOME_ERROR = 1, /* it returned an error: nothing is kept */
    WIRE_OUTCOME_STATUS = 2, /* the SDK stopped it (value too large and the like): `status` tells */
};

/* What it did. */
struct wire_result {
    uint64_t id;
    enum wire_outcome outcome;
    enum status status; /* for WIRE_OUTCOME_STATUS, else STATUS_OK */
    struct slice failure; /* its own words when the outcome is not OK */
    /* Of the reply; 200 when the handler set none. With WIRE_OUTCOME_ERROR the status of the error that
     * the caller gets (stead_reject), or 200 when the handler chose none: then FUNCTION_ERROR's own. */
    uint32_t http_status;
    struct wire_headers headers;
    struct slice body;
    struct slice reads; /* read set, statestore/kv/write_set.h */
    struct slice writes; /* write set */
    uint32_t run_us; /* wall time of the handler */
    uint32_t cpu_us;
    uint32_t peak_kib;
    uint32_t rows_read;
    uint64_t bytes_read;
};

/* One line of a function's log, sent when written so that a crash does not lose it. */
struct wire_log {
    uint64_t id; /* 0: outside of an invocation */
    uint8_t level; /* enum log_level */
    struct slice text;
};

/* Append a whole frame, length included. */
void wire_ready_encode(struct buf *out, const struct wire_ready *message);
void wire_invoke_encode(struct buf *out, const struct wire_invoke *message);
void wire_result_encode(struct buf *out, const struct wire_result *message);
void wire_log_encode(struct buf *out, const struct wire_log *message);

/* Finds the frame at the beginning of `bytes`: true and the payload (without its length) when it is
 * whole; *need is the number of bytes of the whole frame, or WIRE_LENGTH_BYTES while even that is not
 * known. FUNCTION_PROTOCOL when the announced length exceeds BOUND_FRAME_BYTES_MAX or is 0. */
MUST_CHECK enum status wire_frame_next(struct slice bytes, struct slice *payload, size_t *need, bool *whole,
                                       struct err *err);
/* Below: on failure the message's content is unspecified. Whether names, sets and header texts make
 * sense is for the reader of the message to check; here they only have the right shape and lie inside of
 * the payload. */

/* Type of a payload; FUNCTION_PROTOCOL when it has none. */
MUST_CHECK enum status wire_type_of(struct slice payload, enum wire_type *type, struct err *err);
MUST_CHECK enum status wire_ready_decode(struct slice payload, struct wire_ready *message, struct err *err);
MUST_CHECK enum status wire_invoke_decode(struct slice payload, struct wire_invoke *message, struct err *err);
MUST_CHECK enum status wire_result_decode(struct slice payload, struct wire_result *message, struct err *err);
MUST_CHECK enum status wire_log_decode(struct slice payload, struct wire_log *message, struct err *err);
