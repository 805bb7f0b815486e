/* frame.c - where frames begin and end in a stream of bytes, and what kind of message is inside. Pure. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/msgpack.h"
#include "messaging/wire/wire.h"
#include "runtime/base/bounds.h"

enum status wire_frame_next(struct slice bytes, struct slice *payload, size_t *need, bool *whole,
                            struct err *err)
{
    if (bytes.size < WIRE_LENGTH_BYTES)
    {
        *need = WIRE_LENGTH_BYTES;
        *whole = false;
        return STATUS_OK;
    }
    const uint8_t *data = bytes.data;
    size_t size = 0;
    for (int i = 0; i < WIRE_LENGTH_BYTES; i++) size |= (size_t)data[i] << (8 * i);
    if (size == 0 || size > BOUND_FRAME_BYTES_MAX)
        return err_set(err, STATUS_FUNCTION_PROTOCOL, "a frame of %zu bytes is announced", size);
    *need = WIRE_LENGTH_BYTES + size;
    *whole = bytes.size >= *need;
    if (*whole) *payload = slice_make(data + WIRE_LENGTH_BYTES, size);
    return STATUS_OK;
}

enum status wire_type_of(struct slice payload, enum wire_type *type, struct err *err)
{
    uint64_t number = mp_peek_type(payload);
    if (number < WIRE_READY || number > WIRE_TYPE_MAX)
        return err_set(err, STATUS_FUNCTION_PROTOCOL, "there is no message of type %llu",
                       (unsigned long long)number);
    *type = (enum wire_type)number;
    return STATUS_OK;
}
