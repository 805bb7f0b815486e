/* msg_effect.c - EFFECT: one thing that leaves with the commit of its invocation. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/msgpack.h"

enum { FIELDS = 6 };

void wire_effect_encode(struct buf *out, const struct wire_effect *message)
{
    struct mp_writer to;
    mp_begin(&to, out, WIRE_EFFECT, FIELDS);
    mp_put_uint(&to, message->kind);
    mp_put_text(&to, message->name);
    mp_put_bytes(&to, message->key);
    mp_put_text(&to, message->type);
    mp_put_uint(&to, message->number);
    mp_put_bytes(&to, message->body);
    mp_end(&to);
}

enum status wire_effect_decode(struct slice payload, struct wire_effect *message, struct err *err)
{
    struct mp_reader from;
    TRY(mp_open(&from, payload, WIRE_EFFECT, FIELDS, err));
    message->kind = (enum wire_effect_kind)mp_uint(&from, WIRE_EFFECT_KIND_MAX);
    message->name = mp_text(&from);
    message->key = mp_bytes(&from);
    message->type = mp_text(&from);
    message->number = mp_uint(&from, UINT64_MAX);
    message->body = mp_bytes(&from);
    TRY(mp_close(&from, "effect", err));
    if (message->kind == 0) return err_set(err, STATUS_FUNCTION_PROTOCOL, "effect message: it has no kind");
    return STATUS_OK;
}

enum status wire_effect_next(struct slice effects, size_t *offset, struct wire_effect *effect, bool *found,
                             struct err *err)
{
    *found = *offset < effects.size;
    if (!*found) return STATUS_OK;
    struct slice rest = slice_make((const uint8_t *)effects.data + *offset, effects.size - *offset), payload;
    size_t need;
    bool whole;
    TRY(wire_frame_next(rest, &payload, &need, &whole, err));
    if (!whole) return err_set(err, STATUS_FUNCTION_PROTOCOL, "effects: the last one is cut off");
    *offset += need;
    return wire_effect_decode(payload, effect, err);
}
