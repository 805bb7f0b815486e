/* sockets.h - WebSocket connections of functions: each belongs to an entity, its messages become invocations. */
// SPDX-License-Identifier: Apache-2.0
//
// A connection costs memory and no worker. Its beginning, each of its messages and its end become invocations of its function, one
// after another; what these reply goes back over it, and any invocation may push to it. It is known by an id that nobody can
// guess and that dies with the node.
//
// A client that sends faster than its function works is not read from; one that reads too slowly is left. Both hurt only themselves.
#pragma once

#include <stdint.h>

#include "messaging/wire/wire.h"
#include "runtime/router/router.h"

struct http_exchange;
struct loop;
struct route_match;
struct sockets;

struct sockets_config {
    struct loop *loop;
    struct router *router;
};

struct sockets *sockets_create(const struct sockets_config *config);
/* After the gateway has closed and the last invocation has ended. */
void sockets_destroy(struct sockets *sockets);

/* Takes the exchange, inside of the handler: upgrades it, or answers what is wrong with the handshake. */
void sockets_open(struct sockets *sockets, struct http_exchange *exchange, const struct route_match *match);
/* A push of an invocation of `app`: to connection `name`, or to all connections of entity `key`. Those that are gone are counted. */
void sockets_push(struct sockets *sockets, struct slice app, const struct wire_effect *push);

struct sockets_stats {
    uint32_t open; /* now */
    uint64_t opened;
    uint64_t messages_in, messages_out;
    uint64_t pushes_lost; /* to connections that are not there (any more) */
    uint64_t overflowed; /* connections that were left because they read too slowly */
    uint64_t silent; /* connections that answered no ping */
    uint64_t protocol_errors; /* connections that we had to close for what they sent */
};
void sockets_stats(const struct sockets *sockets, struct sockets_stats *stats);
