/* channels.h - what operators see of durable channels and do to their groups, over all partitions of an app. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/gateway/admin.h"

struct apps;
struct catalog;

struct channels {
    struct apps *apps;
    const struct catalog *catalog;
};

/* Appends one JSON object: channels of the app with what they keep, and their groups. */
MUST_CHECK enum status channels_list(const struct channels *channels, struct slice app, struct buf *json,
                                     struct err *err);
/* Does it and answers the exchange, later. */
void channels_act(const struct channels *channels, struct http_exchange *exchange,
                  const struct admin_channel_act *act);
/* Appends a line of /metrics for each group of the apps that are awake. */
void channels_metrics(const struct apps *apps, struct buf *text);
