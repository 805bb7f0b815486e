/* check.c - the end of a process that has found a defect in itself. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "stead: %s:%d: check failed: %s\n", file, line, what);
    fflush(stderr);
    abort();
}
