/* bus_message.h - a message as programs outside see it: one line of words, then the body. Pure; docs/formats/bus.md. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "messaging/wire/wire.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* Appends it; `message->channel` is "app/channel". */
void bus_message_encode(struct buf *out, const struct wire_message *message);
/* INVALID_ARGUMENT with words for what is no message. Slices point into `bytes`, the key into `scratch`. A sequence or time that
 * is left out is 0. */
MUST_CHECK enum status bus_message_decode(struct slice bytes, struct buf *scratch,
                                          struct wire_message *message, struct err *err);
