/* msg_message.c - MESSAGE: one message of a channel, alone or in a batch. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/msgpack.h"

enum { FIELDS = 6 };

void wire_message_encode(struct buf *out, const struct wire_message *message)
{
    struct mp_writer to;
    mp_begin(&to, out, WIRE_MESSAGE, FIELDS);
    mp_put_uint(&to, message->sequence);
    mp_put_uint(&to, message->time_ms);
    mp_put_text(&to, message->channel);
    mp_put_bytes(&to, message->key);
    mp_put_text(&to, message->type);
    mp_put_bytes(&to, message->body);
    mp_end(&to);
}

enum status wire_message_decode(struct slice payload, struct wire_message *message, struct err *err)
{
    struct mp_reader from;
    TRY(mp_open(&from, payload, WIRE_MESSAGE, FIELDS, err));
    message->sequence = mp_uint(&from, UINT64_MAX);
    message->time_ms = mp_uint(&from, UINT64_MAX);
    message->channel = mp_text(&from);
    message->key = mp_bytes(&from);
    message->type = mp_text(&from);
    message->body = mp_bytes(&from);
    return mp_close(&from, "channel message", err);
}

enum status wire_message_next(struct slice batch, size_t *offset, struct wire_message *message, bool *found,
                              struct err *err)
{
    *found = *offset < batch.size;
    if (!*found) return STATUS_OK;
    struct slice rest = slice_make((const uint8_t *)batch.data + *offset, batch.size - *offset), payload;
    size_t need;
    bool whole;
    TRY(wire_frame_next(rest, &payload, &need, &whole, err));
    if (!whole) return err_set(err, STATUS_FUNCTION_PROTOCOL, "messages: the last one is cut off");
    *offset += need;
    return wire_message_decode(payload, message, err);
}
