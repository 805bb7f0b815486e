/* msg_log.c - LOG: one line of a function's log. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/msgpack.h"

enum { FIELDS = 3 };

void wire_log_encode(struct buf *out, const struct wire_log *message)
{
    struct mp_writer to;
    mp_begin(&to, out, WIRE_LOG, FIELDS);
    mp_put_uint(&to, message->id);
    mp_put_uint(&to, message->level);
    mp_put_text(&to, message->text);
    mp_end(&to);
}

enum status wire_log_decode(struct slice payload, struct wire_log *message, struct err *err)
{
    struct mp_reader from;
    TRY(mp_open(&from, payload, WIRE_LOG, FIELDS, err));
    message->id = mp_uint(&from, UINT64_MAX);
    message->level = (uint8_t)mp_uint(&from, WIRE_LOG_LEVEL_MAX);
    message->text = mp_text(&from);
    return mp_close(&from, "log", err);
}
