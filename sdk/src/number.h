/* number.h - whole numbers as decimal text, the form in which rows keep them. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "runtime/base/slice.h"

enum { STEAD__NUMBER_CHARS_MAX = 20 }; /* of the least number, with its sign */

/* An optional minus and digits, nothing else, in 64 bits. */
bool stead__number_parse(struct slice text, int64_t *number);
/* Writes the digits to the end of `space`; the result lies inside of it. */
struct slice stead__number_format(int64_t number, char space[STEAD__NUMBER_CHARS_MAX]);
