/* effects.h - checks what a worker says that its run read and wrote, before anything is done with it. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "messaging/wire/wire.h"
#include "runtime/base/err.h"

/* The partition in which it ran. */
struct invoke_version;

struct effects_place {
    uint32_t index;
    uint32_t count; /* of the app's partitions */
    struct invoke_version *version; /* whose functions may be sent to */
};

/* Bytes of user code's process: sets must be well formed and name rows only (FUNCTION_PROTOCOL, KEY_TOO_LONG,
 * VALUE_TOO_LARGE), and rows of this partition only (FOREIGN_PARTITION names the entity and both partitions). Sends and
 * messages within their limits (EFFECTS_TOO_LARGE, MESSAGE_TOO_LARGE), to functions and channels that there are (FUNCTION_NOT_FOUND, CHANNEL_NOT_FOUND, CHANNEL_KIND). */
MUST_CHECK enum status effects_check(const struct effects_place *place, const struct wire_result *result,
                                     struct err *err);
