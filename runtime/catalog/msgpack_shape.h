/* msgpack_shape.h - is this exactly one msgpack value? Asked before msgpack-c allocates what a header announces. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/slice.h"

/* True when `bytes` are one whole value and nothing else. Every announced element is then paid for with at least one
 * byte, so that unpacking allocates at most a small multiple of bytes.size; the depth is limited by msgpack-c itself. */
bool msgpack_shape_valid(struct slice bytes);
