/* undefined.c - a function that calls what nobody defines. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

int no_such_function_anywhere(void);

STEAD_FUNCTION(ok)
{
    return no_such_function_anywhere() ? STEAD_OK : STEAD_FAILED;
}
