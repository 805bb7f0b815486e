/* msg_ask.c - ASK and ANSWER: what a running handler wants at once, and what it gets. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/msgpack.h"

enum { ASK_FIELDS = 9, ANSWER_FIELDS = 8 };

void wire_ask_encode(struct buf *out, const struct wire_ask *message)
{
    struct mp_writer to;
    mp_begin(&to, out, WIRE_ASK, ASK_FIELDS);
    mp_put_uint(&to, message->id);
    mp_put_uint(&to, message->ask);
    mp_put_uint(&to, message->kind);
    mp_put_text(&to, message->name);
    mp_put_bytes(&to, message->key);
    mp_put_text(&to, message->type);
    mp_put_uint(&to, message->number);
    mp_put_uint(&to, message->limit);
    mp_put_bytes(&to, message->body);
    mp_end(&to);
}

enum status wire_ask_decode(struct slice payload, struct wire_ask *message, struct err *err)
{
    struct mp_reader from;
    TRY(mp_open(&from, payload, WIRE_ASK, ASK_FIELDS, err));
    message->id = mp_uint(&from, UINT64_MAX);
    message->ask = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->kind = (enum wire_ask_kind)mp_uint(&from, WIRE_ASK_KIND_MAX);
    message->name = mp_text(&from);
    message->key = mp_bytes(&from);
    message->type = mp_text(&from);
    message->number = mp_uint(&from, UINT64_MAX);
    message->limit = mp_uint(&from, UINT64_MAX);
    message->body = mp_bytes(&from);
    TRY(mp_close(&from, "ask", err));
    if (message->kind == 0) return err_set(err, STATUS_FUNCTION_PROTOCOL, "ask message: it has no kind");
    return STATUS_OK;
}

void wire_answer_encode(struct buf *out, const struct wire_answer *message)
{
    struct mp_writer to;
    mp_begin(&to, out, WIRE_ANSWER, ANSWER_FIELDS);
    mp_put_uint(&to, message->id);
    mp_put_uint(&to, message->ask);
    mp_put_uint(&to, message->status);
    mp_put_text(&to, message->failure);
    mp_put_uint(&to, message->http_status);
    mp_put_text(&to, message->type);
    mp_put_uint(&to, message->number);
    mp_put_bytes(&to, message->body);
    mp_end(&to);
}

enum status wire_answer_decode(struct slice payload, struct wire_answer *message, struct err *err)
{
    struct mp_reader from;
    TRY(mp_open(&from, payload, WIRE_ANSWER, ANSWER_FIELDS, err));
    message->id = mp_uint(&from, UINT64_MAX);
    message->ask = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->status = (enum status)mp_uint(&from, STATUS_COUNT - 1);
    message->failure = mp_text(&from);
    message->http_status = (uint32_t)mp_uint(&from, WIRE_HTTP_STATUS_MAX);
    message->type = mp_text(&from);
    message->number = mp_uint(&from, UINT64_MAX);
    message->body = mp_bytes(&from);
    return mp_close(&from, "answer", err);
}
