/* init_exits.c - a function whose static initialiser ends the process. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void initialise(void)
{
    fputs("no licence\n", stderr);
    exit(7);
}

STEAD_FUNCTION(ok)
{
    return STEAD_OK;
}
