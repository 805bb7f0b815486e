/* meter.h - what invocations used, as sums that travel with the commits: names, encoding, keys. Pure. */
// SPDX-License-Identifier: Apache-2.0
//
// The sums of a function and day are one row of the partition (SPACE_METERS). Each commit of an invocation carries the row
// with itself counted in: so the sums on disk are exactly those of the commits on disk, whatever crashes.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/slice.h"

enum {
#define METER(field, name, unit, text) METER_##field,
#define METER_PEAK METER
#include "runtime/observe/meters.def"
#undef METER
#undef METER_PEAK
    METER_COUNT
};

struct meter_sums {
    uint64_t of[METER_COUNT];
};

/* Name and unit of a meter; static storage. */
const char *meter_name(int meter);
const char *meter_unit(int meter);
const char *meter_text(int meter);

/* Of a peak the larger one stays. */
void meter_add(struct meter_sums *sums, const struct meter_sums *more);
/* Takes back what was added; peaks stay. */
void meter_subtract(struct meter_sums *sums, const struct meter_sums *less);

/* Days since 1970, UTC. */
static inline uint32_t meter_day(uint64_t wall_ms)
{
    return (uint32_t)(wall_ms / (24ULL * 3600 * 1000));
}

/* Key of the row: space, function, zero byte, day (4 bytes, big endian). Appended. */
void meter_key(struct buf *key, uint8_t space, struct slice function, uint32_t day);
/* Takes a key apart; the function points into `key`. False when it is not one. */
bool meter_key_split(struct slice key, struct slice *function, uint32_t *day);
/* METER_COUNT numbers of 8 bytes, little endian. Appended. */
void meter_encode(struct buf *value, const struct meter_sums *sums);
/* A shorter row was written when there were fewer meters: the others are 0. False when it is not a row of sums. */
bool meter_decode(struct slice value, struct meter_sums *sums);
