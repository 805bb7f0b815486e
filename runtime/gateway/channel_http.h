/* channel_http.h - durable channels over HTTP: append, read by long-poll, follow by server-sent events. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. docs/guides/channels.md has the requests:
//     POST /{app}/channels/{channel}?key=k                    -> {"offset": ...} once it is durable
//     GET  /{app}/channels/{channel}?from=..&limit=..&wait=.. -> {"messages": [...], "next": ...}
//     the same with `Accept: text/event-stream`                -> an event for each message, until one side goes
// Only what is durable is told.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/slice.h"

struct catalog;
struct channel_http;
struct http_exchange;
struct loop;
struct router;

struct channel_http_config {
    struct loop *loop;
    struct router *router;
    const struct catalog *catalog;
};

struct channel_http *channel_http_create(const struct channel_http_config *config);
/* After the last exchange has been answered. */
void channel_http_destroy(struct channel_http *channels);
/* Does the app have a durable channel of this name? */
bool channel_http_knows(const struct channel_http *channels, struct slice app, struct slice channel);
/* Answers the exchange, now or later. `trusted`: it may read and append to any channel, whatever the manifest opens by
 * `http`. */
void channel_http_request(struct channel_http *channels, struct http_exchange *exchange, struct slice app,
                          struct slice channel, bool trusted);

struct channel_http_stats {
    uint64_t appended, read; /* messages, over HTTP */
    uint32_t waiting; /* long-polls and streams */
};
void channel_http_stats(const struct channel_http *channels, struct channel_http_stats *stats);
