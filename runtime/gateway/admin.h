/* admin.h - the admin API under /v1: apps, state, logs and figures as JSON over the admin listener. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. It is the handler of the exchanges of the admin listener (gateway.h); docs/guides/admin-api.md lists the
// requests. Deployments need a gateway of their own with body_bytes_max above BOUND_ARTIFACT_BYTES_MAX. Whoever reaches
// the listener may do everything: the socket file's mode is the lock.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct admin;
struct catalog;
struct clock;
struct deployer;
struct fnlog;
struct http_exchange;
struct loop;
struct store;

enum admin_channel_kind {
    ADMIN_CHANNEL_REPLAY, /* the group goes on at `offset` */
    ADMIN_CHANNEL_REPLAY_TIME, /* at the first message that is not older than `offset` ms since 1970 */
    ADMIN_CHANNEL_DEAD_RETRY, /* the dead letter `offset`, UINT64_MAX: all of the group */
    ADMIN_CHANNEL_DEAD_DROP,
};

/* Something to do to a group of a durable channel; borrowed for the call. */
struct admin_channel_act {
    enum admin_channel_kind kind;
    struct slice app, channel, group;
    uint32_t partition;
    uint64_t offset;
};

/* Something that a function sent and that has not been done. */
struct admin_send {
    const char *ident;
    struct slice function, entity, error;
    uint64_t due_ms, bytes;
    uint32_t attempts;
    bool dead, damaged;
};
/* False: no more. */
typedef bool (*admin_send_fn)(void *ctx, const struct admin_send *send);

/* What the node does for the admin API. All are called on the loop. */
struct admin_ports {
    void *ctx;
    /* How many partitions the app's state has; 0 when there is none (of this name). */
    uint32_t (*partitions)(void *ctx, struct slice app);
    /* The store of one of them, open as long as the app exists. */
    struct store *(*store)(void *ctx, struct slice app, uint32_t partition);
    /* Runs a function for the exchange and answers it with exactly what the function replied, or with the error; the
     * exchange's own headers and body are the input. `entity` may be empty. The slices are borrowed for the call. */
    void (*invoke)(void *ctx, struct http_exchange *exchange, struct slice app, struct slice function,
                   struct slice entity);
    /* Appends one JSON object: where the function would run for this entity (may be empty), and why. */
    enum status (*explain)(void *ctx, struct slice app, struct slice function, struct slice entity,
                           struct buf *json, struct err *err);
    /* Appends one JSON object: what was used by function and day; `app` empty: of all apps. */
    enum status (*usage)(void *ctx, struct slice app, struct buf *json, struct err *err);
    /* Appends one JSON object: the channels of an app and their groups. */
    enum status (*channels)(void *ctx, struct slice app, struct buf *json, struct err *err);
    /* Reads or appends, as channel_http.h says, and answers. */
    void (*channel)(void *ctx, struct http_exchange *exchange, struct slice app, struct slice channel);
    void (*channel_act)(void *ctx, struct http_exchange *exchange, const struct admin_channel_act *act);
    /* Calls `row` for what was sent and waits, or was given up (`dead`). */
    enum status (*sends)(void *ctx, struct slice app, bool dead, admin_send_fn row, void *row_ctx,
                         struct err *err);
    /* Puts a dead letter back, or drops it; all when `ident` is empty. `done` comes later, with how many. */
    void (*sends_move)(void *ctx, struct slice app, struct slice ident, bool retry,
                       void (*done)(void *ctx, enum status status, size_t count, const struct err *err),
                       void *done_ctx);
    /* Appends one JSON object: the figures of the node. */
    void (*stats)(void *ctx, struct buf *json);
};

struct admin_config {
    struct loop *loop;
    struct clock *clock;
    struct catalog *catalog;
    struct deployer *deployer;
    struct fnlog *fnlog;
    struct store *system; /* the system store; backups have it too */
    const char *data; /* the data directory; outlives the admin */
    struct admin_ports ports;
};

struct admin *admin_create(const struct admin_config *config);
/* Where the node takes HTTP, for /v1/health; copied. */
void admin_listening(struct admin *admin, const char *address);
/* Ends what would go on for ever, so that the listener can drain: followed logs, watched changes, backups under way.
 * New ones are refused. */
void admin_drain(struct admin *admin);
/* After the admin listener and its exchanges are closed. */
void admin_destroy(struct admin *admin);
/* Takes one whole request: a gateway_on_request_fn whose ctx is the admin. */
void admin_on_request(void *admin, struct http_exchange *exchange);
