/* manifest.h - stead.yaml: what an app consists of, checked; every complaint names file, line and field. */
// SPDX-License-Identifier: Apache-2.0
//
//     app: bank
//     code: build/bank.so             # the compiled functions, relative to the manifest
//     build: make                     # optional; what `stead deploy` and `stead dev` run first
//     functions:
//       - name: transfer
//         timeout_ms: 2000
//       - name: statement
//         durability: relaxed
//         methods: [GET]
//     routes:
//       - { method: GET, path: "/accounts/{entity}", function: statement }
//     channels:
//       - { name: booked, kind: durable }
//     subscriptions:
//       - { channel: booked, function: statement }
//
// docs/guides/manifest.md has every field. Parsing is pure: it touches no file.
#pragma once

#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"
#include "runtime/sandbox/sandbox.h"

enum durability {
    DURABILITY_DURABLE, /* the reply waits until the disk has it */
    DURABILITY_RELAXED, /* the reply waits until it is applied; synced within 10 ms */
};

/* Worker processes of one function. */
struct manifest_pool {
    uint32_t min; /* kept ready at all times; 0: scale to zero */
    uint32_t max;
    uint32_t idle_ms; /* a worker that had nothing to do for so long ends */
};

/* How often a function may be called; per_second 0: as often as one likes. */
struct manifest_rate {
    uint32_t per_second;
    uint32_t burst; /* at once, after a pause */
};

struct manifest_function {
    char *name;
    uint32_t timeout_ms; /* of one invocation, waiting included */
    uint32_t memory_mb; /* of one worker */
    uint32_t line; /* where its name stands, for complaints about it */
    enum durability durability;
    char **methods; /* HTTP methods that /{app}/{function} takes; none listed: all */
    size_t method_count;
    uint32_t concurrency; /* invocations that run at the same time */
    uint32_t cpu_percent; /* of one processor, on average; 0: no limit */
    uint32_t queue; /* invocations that may wait; more are answered with queue_full */
    struct manifest_rate rate;
    uint32_t body_bytes_max; /* of a request; 0: the node's limit */
    uint32_t reply_bytes_max; /* likewise */
    struct manifest_pool pool;
};

/* An own route. Pieces of the path are literal or `{name}`; `{entity}` addresses the invocation, and a last piece
 * `{name...}` takes all that is left. */
struct manifest_route {
    char *method; /* upper case, or `*` for any */
    char *path; /* absolute */
    char *function;
    bool socket; /* it takes WebSocket connections */
    char **origins; /* of pages that may connect, or `*`; none listed: those of the same host */
    size_t origin_count;
};

enum channel_kind {
    CHANNEL_LIVE, /* fast, at most once; losses are counted and told */
    CHANNEL_DURABLE, /* rows of the log; consumers have cursors */
};

/* What anybody who reaches the node over HTTP may do with a channel: bits. */
enum channel_access {
    CHANNEL_HTTP_NONE = 0,
    CHANNEL_HTTP_READ = 1,
    CHANNEL_HTTP_APPEND = 2,
    CHANNEL_HTTP_BOTH = CHANNEL_HTTP_READ | CHANNEL_HTTP_APPEND,
};

/* A named stream of messages. */
struct manifest_channel {
    char *name;
    enum channel_kind kind;
    bool from_outside; /* live: programs on the bus may put messages in; without it they may only read */
    enum channel_access http; /* live: not to append */
    uint32_t keep_hours; /* durable: what is older goes; 0: only its size counts */
    uint32_t keep_mb; /* durable: the oldest go while the payloads are more */
    uint32_t *keep_hours_said, *keep_mb_said; /* as they stand in the file; NULL: they do not */
};

/* What a message is addressed to. */
enum subscription_entity {
    SUBSCRIPTION_ENTITY_UNSAID, /* only before the checks */
    SUBSCRIPTION_ENTITY_NONE, /* batches of any keys, which run beside each other */
    SUBSCRIPTION_ENTITY_KEY, /* the entity of its key: batches of one key, one after another */
};

/* Where a new group of a durable channel begins. */
enum subscription_from {
    SUBSCRIPTION_FROM_UNSAID, /* only before the checks */
    SUBSCRIPTION_FROM_START,
    SUBSCRIPTION_FROM_END,
};

/* A function that is started by messages. */
struct manifest_subscription {
    char *channel;
    char *function;
    char *keys; /* only messages whose keys begin so; NULL: all */
    uint32_t batch; /* messages in one invocation, at most */
    enum subscription_entity entity;
    char *group; /* durable: whose cursor; NULL: the function's name, see manifest_subscription_group */
    enum subscription_from from; /* durable */
    uint32_t retries; /* durable: before a message becomes a dead letter */
    uint32_t *retries_said;
};

/* Of the whole app; its partitions share them equally. 0: no limit. */
struct manifest_limits {
    uint32_t memory_mb; /* of its workers together */
    uint32_t concurrency; /* workers at the same time, each of which runs one invocation */
    uint64_t state_bytes_max; /* of its rows; more writes are refused with state_limit */
};

/* What user code finds in its environment. */
struct manifest_env {
    char *name;
    char *value;
};

/* A file or directory of the node's machine that the app reads. */
struct manifest_mount {
    char *from;
    char *to;
    uint32_t line; /* where `from` stands, for complaints about the file */
};

/* What `sandbox: network` may reach. */
struct manifest_network {
    char **allow; /* "host:port" */
    size_t allow_count;
};

struct manifest {
    char *app;
    char *code;
    size_t code_line; /* where that stands, for complaints about the file */
    char *build; /* NULL when there is none */
    uint32_t partitions; /* that the entities are spread over; each is one transactional space */
    struct manifest_limits limits;
    enum sandbox_profile sandbox;
    struct manifest_network network;
    struct manifest_mount *mounts;
    size_t mount_count;
    struct manifest_env *env;
    size_t env_count;
    struct manifest_function *functions;
    size_t function_count;
    struct manifest_route *routes;
    size_t route_count;
    struct manifest_channel *channels;
    size_t channel_count;
    struct manifest_subscription *subscriptions;
    size_t subscription_count;
};

/* `file` is the name that complaints begin with, e.g. "stead.yaml". MANIFEST_INVALID. */
MUST_CHECK enum status manifest_parse(struct slice text, const char *file, struct manifest **manifest,
                                      struct err *err);
void manifest_destroy(struct manifest *manifest);

/* NULL when there is none. */
const struct manifest_function *manifest_function_find(const struct manifest *manifest, struct slice name);
const struct manifest_channel *manifest_channel_find(const struct manifest *manifest, struct slice name);
/* As the manifest says it. */
const char *manifest_channel_http_word(enum channel_access http);
struct slice manifest_subscription_group(const struct manifest_subscription *subscription);
/* 1 to BOUND_NAME_BYTES_MAX of a-z, 0-9, `-` and `_`, beginning with a letter; those of channels and groups too.
 * Function names are parts of symbols: no `-`. */
bool manifest_app_name_valid(struct slice name);
bool manifest_function_name_valid(struct slice name);
bool manifest_channel_name_valid(struct slice name);
/* True when both mean the same requests: same method, and paths that differ in nothing but the names in braces. */
bool manifest_route_same(const struct manifest_route *a, const struct manifest_route *b);
