/* micro.h - measures small operations and reports them: one JSON object a line, or a table for people. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "runtime/base/slice.h"

struct micro {
    const char *bench;
    bool json;
    double seconds; /* bound of each case */
    bool has_header; /* of the table */
};

/* --json, --seconds N; exits with a usage message for anything else. */
void micro_init(struct micro *micro, const char *bench, int argc, char **argv);

/* Runs `sample` until the time is up. It does `operations` of them and returns the nanoseconds that they
 * took; a sample is one point of the percentiles. `keys` 0: not about keys. */
void micro_case(struct micro *micro, const char *name, uint64_t keys, uint32_t operations,
                uint64_t (*sample)(void *ctx), void *ctx);
