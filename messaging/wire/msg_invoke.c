/* msg_invoke.c - INVOKE: run one invocation. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/msgpack.h"

enum { FIELDS = 18 };

void wire_invoke_encode(struct buf *out, const struct wire_invoke *message)
{
    struct mp_writer to;
    mp_begin(&to, out, WIRE_INVOKE, FIELDS);
    mp_put_uint(&to, message->id);
    mp_put_text(&to, message->ident);
    mp_put_text(&to, message->function);
    mp_put_bytes(&to, message->entity);
    mp_put_uint(&to, message->timeout_ms);
    mp_put_uint(&to, message->snapshot);
    mp_put_uint(&to, message->txn);
    mp_put_bytes(&to, message->meta);
    mp_put_uint(&to, message->chain);
    mp_put_bool(&to, message->validate);
    mp_put_bool(&to, message->follows);
    mp_put_uint(&to, message->attempt);
    mp_put_uint(&to, message->origin);
    mp_put_text(&to, message->method);
    mp_put_text(&to, message->path);
    mp_put_text(&to, message->query);
    mp_put_headers(&to, &message->headers);
    mp_put_bytes(&to, message->body);
    mp_end(&to);
}

enum status wire_invoke_decode(struct slice payload, struct wire_invoke *message, struct err *err)
{
    struct mp_reader from;
    TRY(mp_open(&from, payload, WIRE_INVOKE, FIELDS, err));
    message->id = mp_uint(&from, UINT64_MAX);
    message->ident = mp_text(&from);
    message->function = mp_text(&from);
    message->entity = mp_bytes(&from);
    message->timeout_ms = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->snapshot = mp_uint(&from, UINT64_MAX);
    message->txn = mp_uint(&from, UINT64_MAX);
    message->meta = mp_bytes(&from);
    message->chain = mp_uint(&from, UINT64_MAX);
    message->validate = mp_bool(&from);
    message->follows = mp_bool(&from);
    message->attempt = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->origin = (enum wire_origin)mp_uint(&from, WIRE_ORIGIN_MAX);
    message->method = mp_text(&from);
    message->path = mp_text(&from);
    message->query = mp_text(&from);
    mp_headers(&from, &message->headers);
    message->body = mp_bytes(&from);
    return mp_close(&from, "invoke", err);
}
