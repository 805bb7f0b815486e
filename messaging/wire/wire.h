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
    WIRE_VERSION = 2,
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
    WIRE_ASK = 5, /* worker -> daemon */
    WIRE_ANSWER = 6, /* daemon -> worker */
    WIRE_EFFECT = 7, /* not by itself: inside of RESULT */
    WIRE_MESSAGE = 8, /* not by itself: inside of ANSWER and INVOKE */
};

enum { WIRE_TYPE_MAX = WIRE_MESSAGE };

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

/* Where an invocation comes from. */
enum wire_origin {
    WIRE_ORIGIN_HTTP = 0,
    WIRE_ORIGIN_CALL = 1, /* another function waits for its reply */
    WIRE_ORIGIN_SEND = 2, /* sent by another function, which does not wait */
    WIRE_ORIGIN_CHANNEL = 3, /* a message of a channel */
    WIRE_ORIGIN_SOCKET = 4, /* a message of a WebSocket connection, or its beginning or end */
    WIRE_ORIGIN_MAX = WIRE_ORIGIN_SOCKET,
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
    enum wire_origin origin;
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
    struct slice effects; /* frames of type EFFECT, in the order in which the handler asked for them */
    struct slice called; /* frames of type EFFECT and kind CALLED: functions that ran inside of this run */
    uint32_t run_us; /* wall time of the handler */
    uint32_t cpu_us;
    uint32_t peak_kib;
    uint32_t rows_read;
    uint64_t bytes_read;
};

/* What a running handler wants at once, before its end. */
enum wire_ask_kind {
    WIRE_ASK_CALL = 1, /* run function `name` for entity `key` with `body`; `number`: its time in ms */
    WIRE_ASK_PUBLISH = 2, /* to live channel `name`, not committed; the only kind without an answer */
    WIRE_ASK_SUBSCRIBE = 3, /* to live channel `name`, keys that begin with `key`; answered by its number */
    /* Messages of subscription `number`; `limit`: ms to wait for the first one. The answer's body has MESSAGE frames, none
     * when the time is over; its number tells how many were lost before the first one. */
    WIRE_ASK_RECEIVE = 4,
    WIRE_ASK_STREAM = 5, /* send `body` as the next piece of the reply; answered when there is room */
    WIRE_ASK_CHANNEL = 6, /* may one publish to live channel `name`? Once, before the first PUBLISH */
    WIRE_ASK_KIND_MAX = WIRE_ASK_CHANNEL,
};

/* `ask` counts 1, 2, ... in a run. While answers are due the worker waits: an ASK takes back every INVOKE behind the running
 * one, those that the worker has and those that come before the last ANSWER. The worker drops them unread, the daemon
 * finds others for them. */
struct wire_ask {
    uint64_t id; /* of the INVOKE that is being run */
    uint32_t ask;
    enum wire_ask_kind kind;
    struct slice name; /* function or channel */
    struct slice key; /* entity, message key or prefix */
    struct slice type; /* content type */
    uint64_t number;
    uint64_t limit;
    struct slice body;
};

/* Answers to one run may come in any order. */
struct wire_answer {
    uint64_t id;
    uint32_t ask;
    enum status status; /* OK, or why not */
    struct slice failure; /* words for a status that is not OK */
    uint32_t http_status; /* of a function's reply, or of its rejection; 0: none */
    struct slice type; /* content type of `body` */
    uint64_t number;
    struct slice body;
};

/* What leaves with the commit of its invocation, or not at all. */
enum wire_effect_kind {
    WIRE_EFFECT_SEND =
        1, /* run function `name` for entity `key` with `body`, once, not before `number` ms since 1970 */
    WIRE_EFFECT_PUBLISH = 2, /* to live channel `name` */
    WIRE_EFFECT_APPEND = 3, /* to durable channel `name` */
    WIRE_EFFECT_PUSH =
        4, /* to the WebSocket connection `name`, or to all of entity `key`; `number` 1: binary */
    /* Not wanted but told: function `name` ran `number` times inside of this run, in `key` us (u64 little endian). */
    WIRE_EFFECT_CALLED = 5,
    WIRE_EFFECT_KIND_MAX = WIRE_EFFECT_CALLED,
};

struct wire_effect {
    enum wire_effect_kind kind;
    struct slice name;
    struct slice key;
    struct slice type; /* content type */
    uint64_t number;
    struct slice body;
};

/* A message of a channel, as it is handed to functions. */
struct wire_message {
    uint64_t sequence; /* of its channel; of a durable one the offset */
    uint64_t time_ms; /* since 1970, when it was published */
    struct slice channel;
    struct slice key; /* may be empty; never with a zero byte */
    struct slice type; /* content type */
    struct slice body;
};

/* In an INVOKE whose origin is a channel, headers tell about the message that is its body. This one tells that the body has
 * MESSAGE frames instead, and how many. */
#define WIRE_HEADER_BATCH "stead-batch"
#define WIRE_HEADER_CHANNEL "stead-channel"
#define WIRE_HEADER_SEQUENCE "stead-sequence"
#define WIRE_HEADER_OFFSET "stead-offset" /* durable: in its place */
#define WIRE_HEADER_TIME "stead-time"
#define WIRE_HEADER_KEY "stead-key"
#define WIRE_HEADER_MISSED "stead-missed" /* live: messages lost before this one */

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
void wire_ask_encode(struct buf *out, const struct wire_ask *message);
void wire_answer_encode(struct buf *out, const struct wire_answer *message);
void wire_effect_encode(struct buf *out, const struct wire_effect *message);
void wire_message_encode(struct buf *out, const struct wire_message *message);

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
MUST_CHECK enum status wire_ask_decode(struct slice payload, struct wire_ask *message, struct err *err);
MUST_CHECK enum status wire_answer_decode(struct slice payload, struct wire_answer *message, struct err *err);
MUST_CHECK enum status wire_effect_decode(struct slice payload, struct wire_effect *message, struct err *err);
MUST_CHECK enum status wire_message_decode(struct slice payload, struct wire_message *message,
                                           struct err *err);
/* The next of a result's effects: begin with *offset = 0; *found is false at the end. */
MUST_CHECK enum status wire_effect_next(struct slice effects, size_t *offset, struct wire_effect *effect,
                                        bool *found, struct err *err);
/* The same for the frames of a batch. */
MUST_CHECK enum status wire_message_next(struct slice batch, size_t *offset, struct wire_message *message,
                                         bool *found, struct err *err);
