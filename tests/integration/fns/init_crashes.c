/* init_crashes.c - a function whose static initialiser crashes. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void initialise(void)
{
    *(volatile int *)8 = 1;
}

STEAD_FUNCTION(ok)
{
    return STEAD_OK;
}
