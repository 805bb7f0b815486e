/* invoke.h - one invocation, exactly once visible: from an admitted request to its only outcome. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The way of an invocation:
//
//     invoke_start    remembered outcome? another with the same key in flight? then that one answers
//     its turn        entity_order: one after another per entity; without an entity at once
//     the pool        a worker runs it on an exact snapshot and returns its effects
//     the store       validates what it read, commits what it wrote; a conflict sends it back to "its turn"
//     output gate     nothing leaves before what it saw and what it did is durable
//     done            exactly once, never inside invoke_start
//
// Failures of user code are outcomes like others; nothing that a failed invocation wrote is kept.
#pragma once

#include <stdint.h>

#include "messaging/wire/wire.h"
#include "runtime/base/bounds.h"
#include "runtime/base/err.h"
#include "runtime/invoke/admission.h"
#include "runtime/loop/loop.h"
#include "runtime/worker/pool.h"
#include "statestore/statestore.h"

struct invocation;
struct invoke;
struct invoke_partition;
struct metering;

/* ---- what can run ---- */

struct invoke_function {
    char name[BOUND_NAME_BYTES_MAX + 1];
    char methods[64]; /* that /{app}/{function} takes, "GET, POST"; empty: any */
    uint32_t timeout_ms;
    uint32_t memory_mb; /* for the meter */
    struct admission_limits limits;
    bool relaxed; /* answer after apply; the last 10 ms may be lost with the power */
    /* Counted by invoke; over all partitions when these share the function. */
    struct admission_rate rate;
    uint32_t in_flight;
    uint32_t running; /* slots taken */
    struct admission_cpu cpu;
    struct list waiting; /* invocations without a slot; list_init() it */
    struct list paying; /* among those of the engine that wait until their time is paid; list_init() it */
};

/* A channel of its manifest. */
struct invoke_channel {
    char name[BOUND_NAME_BYTES_MAX + 1];
    bool durable;
};

/* One app version that can run. The node makes it at a switch and drops its reference at the next; it lives on until
 * its last invocation has ended. */
struct invoke_version {
    const char *app, *id; /* for messages; NULL: not known */
    /* When the app has several partitions: its version in each, which live and end together. NULL: this one is all. */
    struct invoke_version *(*part)(struct invoke_version *version, uint32_t partition);
    struct invoke_partition *partition;
    struct pool_deployment *deployment;
    struct invoke_function *functions;
    size_t functions_count;
    const struct invoke_channel *channels;
    size_t channels_count;
    uint64_t state_bytes_max; /* of the partition; 0: no limit */
    uint32_t refs; /* the node's one included; counted in the one of partition 0 for all */
    void (*on_unused)(struct invoke_version *version); /* of partition 0, for all */
};

void invoke_version_ref(struct invoke_version *version);
void invoke_version_unref(struct invoke_version *version);
struct invoke_version *invoke_version_part(struct invoke_version *version, uint32_t partition);
/* NULL when there is none of this name. */
struct invoke_function *invoke_version_function(struct invoke_version *version, struct slice name);
/* OK, CHANNEL_NOT_FOUND, or CHANNEL_KIND when it is not `durable` or not live. The words begin with the name. */
MUST_CHECK enum status invoke_version_channel(const struct invoke_version *version, struct slice name,
                                              bool durable, struct err *err);

/* ---- one request ---- */

/* Who takes a reply piece by piece while its function runs. Embedded by the caller. */
struct invoke_stream {
    /* `ask` is a piece, borrowed: its body, and with the first one the reply's HTTP status (`number`) and headers (`key`, lines of
     * "name: value" with a line feed each). Answered by one invocation_answer(), inside or later, when there is room for more;
     * CANCELED when nobody wants it any more. Not before all that the run has seen is durable. */
    void (*piece)(struct invoke_stream *stream, struct invocation *invocation, const struct wire_ask *ask);
    /* The run is over: no answer is wanted any more. After a first piece only; `done` comes later and has what the function
     * replied after its last piece. May be NULL. */
    void (*over)(struct invoke_stream *stream);
};

/* Its slices stay valid until `done`. */
struct invoke_request {
    enum wire_origin origin;
    struct slice entity; /* empty: unaddressed */
    struct slice method, path, query;
    const struct wire_headers *headers;
    struct slice body;
    bool has_idempotency_key;
    struct slice idempotency_key;
    uint64_t
        deadline_ns; /* of the loop's clock, when it is earlier than the function's own time; 0: that one */
    /* A write set that commits with what the invocation does: its origin forgets it by that. Empty: none. */
    struct slice settle;
    struct invoke_stream *stream; /* NULL: the reply is taken whole */
};

enum { INVOCATION_ID_CHARS = 32 };

/* Borrowed during `done`. */
struct outcome {
    enum status status; /* OK, or why there is no reply of the function */
    const char *message; /* words for a status that is not OK */
    const char *ident; /* id of the invocation, INVOCATION_ID_CHARS characters */
    bool remembered; /* the first outcome of the same Idempotency-Key, given again */
    uint32_t http_status; /* of the function's reply; of a failure when the function chose one, else 0 */
    uint32_t retry_after_s; /* of a failure; 0: not known */
    const struct wire_headers *headers;
    struct slice body;
};

typedef void (*invoke_done_fn)(void *ctx, const struct outcome *outcome);

struct invoke_config {
    struct loop *loop;
    struct clock *clock;
    uint64_t seed; /* of ids and jitter */
    bool unsettled; /* tests only: `settle` commits by itself and later, to prove that they would notice */
};

/* First byte of the Idempotency-Keys that the node makes itself; no caller can send one. */
enum { INVOKE_OWN_KEY = 1 };

/* What running and ended invocations want from the upper layers. */
struct invoke_ports {
    void *ctx;
    /* A handler wants something that is no call. Each kind but publish is answered by one invocation_answer(), inside of
     * this call or later, as long as the run is not over. */
    void (*ask)(void *ctx, struct invocation *invocation, const struct wire_ask *ask);
    /* The run is over: nothing that it asked for is wanted any more. Only when it asked for something. */
    void (*ask_over)(void *ctx, struct invocation *invocation);
    /* A message (PUBLISH, PUSH) of an invocation that is durable; before its outcome is told. */
    void (*release)(void *ctx, struct invocation *invocation, const struct wire_effect *effect);
    /* A commit with sends of this partition is durable. */
    void (*sent)(void *ctx, struct invoke_partition *partition);
    /* One with messages of durable channels is. */
    void (*appended)(void *ctx, struct invoke_partition *partition);
};
void invoke_set_ports(struct invoke *engine, const struct invoke_ports *ports);

/* For the ports. Borrowed: valid inside of these calls, and for what was asked until ask_over. */
struct invoke_version *invocation_version(const struct invocation *invocation);
const struct invoke_request *invocation_request(const struct invocation *invocation);
const char *invocation_ident(const struct invocation *invocation);
/* Places for what those behind the ports keep for a run that asks: NULL at first and after ask_over. */
enum invocation_place { INVOCATION_LIVE, INVOCATION_STREAM, INVOCATION_PLACES };
void **invocation_asked(struct invocation *invocation, enum invocation_place place);
void invocation_answer(struct invocation *invocation, const struct wire_answer *answer);

struct invoke *invoke_create(const struct invoke_config *config);
/* Everything must have ended. */
void invoke_destroy(struct invoke *engine);

/* A partition's entities, outcomes and meters over its open store, which is taken; number `index` of the app's `count`:
 * what touches an entity of another one fails with FOREIGN_PARTITION. */
struct invoke_partition *invoke_partition_open(struct invoke *engine, struct store *store, uint32_t index,
                                               uint32_t count);
/* When nothing is in flight: commits the last meters, closes the store, frees. */
void invoke_partition_close(struct invoke_partition *partition);
struct store *invoke_partition_store(const struct invoke_partition *partition);
struct metering *invoke_partition_metering(const struct invoke_partition *partition);
uint32_t invoke_partition_in_flight(const struct invoke_partition *partition);
/* Its number, and of how many. */
void invoke_partition_index(const struct invoke_partition *partition, uint32_t *index, uint32_t *count);
/* Places for what upper layers keep for a partition; NULL at first. */
enum partition_place { PARTITION_OUTBOX, PARTITION_CHANNELS, PARTITION_PLACES };
void **invoke_partition_place(struct invoke_partition *partition, enum partition_place place);

/* Starts one; refusals (those of admission.h, INVALID_ARGUMENT, ENTITY_INVALID) come through `done` too.
 * `function` is one of `version`. */
void invoke_start(struct invoke *engine, struct invoke_version *version, struct invoke_function *function,
                  const struct invoke_request *request, invoke_done_fn done, void *ctx);

struct invoke_stats {
    uint64_t started, succeeded, failed, conflicts, remembered, refused;
    uint64_t appended; /* messages of durable channels */
    uint32_t in_flight;
};
void invoke_stats(const struct invoke *engine, struct invoke_stats *stats);
