/* metrics.h - the figures of a node as Prometheus text. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"

/* Filled from the figures of the modules; fields as in metrics.def. */
struct metrics {
#define METRIC(field, name, type, text) uint64_t field;
#define STORE_METRIC(field, name, type, text)
#include "runtime/observe/metrics.def"
#undef METRIC
#undef STORE_METRIC
};

struct metrics_store {
    const char *app;
    uint32_t partition;
#define METRIC(field, name, type, text)
#define STORE_METRIC(field, name, type, text) uint64_t field;
#include "runtime/observe/metrics.def"
#undef METRIC
#undef STORE_METRIC
};

/* Appends the text. Each name comes once, with all its partitions, as the format wants it. */
void metrics_print(struct buf *text, const struct metrics *node, const struct metrics_store *stores,
                   size_t count);
