/* usage.h - what functions used, by day, with its price: for `stead usage`. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct apps;
struct catalog;
struct config;

/* Appends {"usage":[{"app","function","day", one number for each meter, "gb_seconds","price"}], "prices":{...}} with the
 * sums over the partitions of each app; `app` empty: of all. APP_NOT_FOUND. */
MUST_CHECK enum status usage_json(struct apps *apps, const struct catalog *catalog,
                                  const struct config *config, struct slice app, struct buf *json,
                                  struct err *err);
