/* number.c - decimal text to numbers and back, without the locale and the leniency of libc. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/number.h"

bool stead__number_parse(struct slice text, int64_t *number)
{
    const char *at = text.data, *end = at + text.size;
    bool negative = text.size > 0 && *at == '-';
    if (negative) at++;
    if (at == end) return false;
    /* Counted downwards, because there is one more negative number than positive ones. */
    int64_t value = 0;
    for (; at < end; at++)
    {
        if (*at < '0' || *at > '9') return false;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_sub_overflow(value, *at - '0', &value)) return false;
    }
    if (!negative && value == INT64_MIN) return false;
    *number = negative ? value : -value;
    return true;
}

struct slice stead__number_format(int64_t number, char space[STEAD__NUMBER_CHARS_MAX])
{
    char *end = space + STEAD__NUMBER_CHARS_MAX, *at = end;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0) *--at = '-';
    return slice_make(at, (size_t)(end - at));
}
