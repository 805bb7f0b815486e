/* live_http.h - live channels over HTTP: server-sent events, without a worker. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. docs/guides/channels.md has the request:
//     GET /{app}/channels/{channel}?keys=eu/  with `Accept: text/event-stream`  -> an event for each message, until one side goes
// Each client has a queue of its own in the hub; one that reads slowly loses its own oldest messages and is told how many.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct catalog;
struct http_exchange;
struct live_http;
struct live_subscriber;
struct loop;
struct manifest;

struct live_http_config {
    struct loop *loop;
    const struct catalog *catalog;
    /* Subscribes to "app/channel"; ended by live_unsubscribe(). May refuse. */
    enum status (*listen)(void *ctx, struct slice channel, struct slice keys,
                          struct live_subscriber *subscriber,
                          void (*on_ready)(struct live_subscriber *subscriber), struct err *err);
    void *ctx;
};

struct live_http *live_http_create(const struct live_http_config *config);
/* After the last exchange has been answered. */
void live_http_destroy(struct live_http *self);
/* Answers a request for a live channel, now or later; false when the app has no live channel of this name. */
bool live_http_request(struct live_http *self, struct http_exchange *exchange, struct slice app,
                       struct slice channel);
/* The app's version is current from now on, NULL: none is. Streams of channels that are gone or not open any more end. */
void live_http_switch(struct live_http *self, const char *app, const struct manifest *manifest);
/* Streams that are open now. */
uint32_t live_http_readers(const struct live_http *self);
