/* result_of_another.c - a function that answers for an invocation that is not its own. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <unistd.h>

#include "messaging/wire/wire.h"

STEAD_FUNCTION(forges)
{
    static struct wire_result result = {.id = 12345, .http_status = 200};
    struct buf frame = BUF_INIT;
    wire_result_encode(&frame, &result);
    (void)!write(3, frame.data, frame.size);
    for (;;) pause();
}
