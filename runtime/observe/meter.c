/* meter.c - sums to bytes and back. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/observe/meter.h"

#include "runtime/base/check.h"

static const struct {
    const char *name, *unit, *text;
    bool peak;
} meters[METER_COUNT] = {
#define METER(field, name, unit, text) {name, unit, text, false},
#define METER_PEAK(field, name, unit, text) {name, unit, text, true},
#include "runtime/observe/meters.def"
#undef METER
#undef METER_PEAK
};

const char *meter_name(int meter)
{
    CHECK(meter >= 0 && meter < METER_COUNT);
    return meters[meter].name;
}

const char *meter_unit(int meter)
{
    CHECK(meter >= 0 && meter < METER_COUNT);
    return meters[meter].unit;
}

const char *meter_text(int meter)
{
    CHECK(meter >= 0 && meter < METER_COUNT);
    return meters[meter].text;
}

void meter_add(struct meter_sums *sums, const struct meter_sums *more)
{
    for (int i = 0; i < METER_COUNT; i++)
    {
        if (!meters[i].peak)
            sums->of[i] += more->of[i];
        else if (sums->of[i] < more->of[i])
            sums->of[i] = more->of[i];
    }
}

void meter_subtract(struct meter_sums *sums, const struct meter_sums *less)
{
    for (int i = 0; i < METER_COUNT; i++)
        if (!meters[i].peak) sums->of[i] -= less->of[i];
}

enum { DAY_BYTES = 4, NUMBER_BYTES = 8 };

void meter_key(struct buf *key, uint8_t space, struct slice function, uint32_t day)
{
    buf_append_byte(key, space);
    buf_append(key, function);
    buf_append_byte(key, 0);
    for (int i = DAY_BYTES - 1; i >= 0; i--) buf_append_byte(key, (uint8_t)(day >> (8 * i)));
}

/* As a manifest may have it, or close to that: what is no text does not get into an answer. */
static bool is_name(struct slice function)
{
    for (size_t i = 0; i < function.size; i++)
    {
        uint8_t byte = ((const uint8_t *)function.data)[i];
        if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') return false;
    }
    return function.size > 0;
}

bool meter_key_split(struct slice key, struct slice *function, uint32_t *day)
{
    const uint8_t *bytes = key.data;
    if (key.size < 2 + DAY_BYTES || bytes[key.size - DAY_BYTES - 1] != 0) return false;
    struct slice name = slice_make(bytes + 1, key.size - 2 - DAY_BYTES);
    if (!is_name(name)) return false;
    *function = name;
    *day = 0;
    for (size_t i = key.size - DAY_BYTES; i < key.size; i++) *day = *day << 8 | bytes[i];
    return true;
}

void meter_encode(struct buf *value, const struct meter_sums *sums)
{
    uint8_t *bytes = buf_reserve(value, METER_COUNT * NUMBER_BYTES);
    for (int i = 0; i < METER_COUNT; i++)
        for (int b = 0; b < NUMBER_BYTES; b++) *bytes++ = (uint8_t)(sums->of[i] >> (8 * b));
    value->size += METER_COUNT * NUMBER_BYTES;
}

bool meter_decode(struct slice value, struct meter_sums *sums)
{
    if (value.size % NUMBER_BYTES != 0 || value.size > METER_COUNT * NUMBER_BYTES) return false;
    *sums = (struct meter_sums){{0}};
    const uint8_t *bytes = value.data;
    for (size_t i = 0; i < value.size / NUMBER_BYTES; i++)
        for (int b = 0; b < NUMBER_BYTES; b++) sums->of[i] |= (uint64_t)*bytes++ << (8 * b);
    return true;
}
