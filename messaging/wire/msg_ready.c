/* msg_ready.c - READY: a worker's first words. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/msgpack.h"

enum { FIELDS = 2 };

void wire_ready_encode(struct buf *out, const struct wire_ready *message)
{
    struct mp_writer to;
    mp_begin(&to, out, WIRE_READY, FIELDS);
    mp_put_uint(&to, message->version);
    mp_put_uint(&to, message->pid);
    mp_end(&to);
}

enum status wire_ready_decode(struct slice payload, struct wire_ready *message, struct err *err)
{
    struct mp_reader from;
    TRY(mp_open(&from, payload, WIRE_READY, FIELDS, err));
    message->version = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->pid = (uint32_t)mp_uint(&from, UINT32_MAX);
    return mp_close(&from, "ready", err);
}
