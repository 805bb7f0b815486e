/* init_hangs.c - a function whose static initialiser never returns. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void initialise(void)
{
    for (;;) pause();
}

STEAD_FUNCTION(ok)
{
    return STEAD_OK;
}
