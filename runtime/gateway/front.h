/* front.h - requests of the public listener: health, then routes, then the router; outcomes become answers. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/slice.h"
#include "runtime/router/router.h"

struct buf;
struct front;
struct http_exchange;
struct routes;
struct sockets;

struct front_config {
    struct router *router;
    /* Answers a request for /{app}/channels/{channel} when there is such a channel, and tells whether it did. NULL: never. */
    bool (*channel)(void *ctx, struct http_exchange *exchange, struct slice app, struct slice channel);
    void *channel_ctx;
    struct sockets *sockets;
    void (*metrics)(void *ctx, struct buf *text); /* appends what /metrics answers */
    void *metrics_ctx;
};

struct front *front_create(const struct front_config *config);
/* After the last exchange has been answered. */
void front_destroy(struct front *front);
/* The table for requests from now on; taken. */
void front_set_routes(struct front *front, struct routes *routes);
/* The current one, for the check of a deployment. */
const struct routes *front_routes(const struct front *front);
/* False: /readyz answers 503. */
void front_set_ready(struct front *front, bool ready);

/* Handler of the public listener; ctx is the front. */
void front_on_request(void *ctx, struct http_exchange *exchange);
/* Runs a function that was chosen otherwise (admin API) and answers the exchange with its outcome. */
void front_invoke(struct front *front, struct http_exchange *exchange, struct slice app,
                  struct slice function, struct slice entity);
