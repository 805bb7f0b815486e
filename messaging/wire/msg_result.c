/* msg_result.c - RESULT: what an invocation did. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/msgpack.h"

enum { FIELDS = 16 };

void wire_result_encode(struct buf *out, const struct wire_result *message)
{
    struct mp_writer to;
    mp_begin(&to, out, WIRE_RESULT, FIELDS);
    mp_put_uint(&to, message->id);
    mp_put_uint(&to, message->outcome);
    mp_put_uint(&to, message->status);
    mp_put_text(&to, message->failure);
    mp_put_uint(&to, message->http_status);
    mp_put_headers(&to, &message->headers);
    mp_put_bytes(&to, message->body);
    mp_put_bytes(&to, message->reads);
    mp_put_bytes(&to, message->writes);
    mp_put_bytes(&to, message->effects);
    mp_put_bytes(&to, message->called);
    mp_put_uint(&to, message->run_us);
    mp_put_uint(&to, message->cpu_us);
    mp_put_uint(&to, message->peak_kib);
    mp_put_uint(&to, message->rows_read);
    mp_put_uint(&to, message->bytes_read);
    mp_end(&to);
}

enum status wire_result_decode(struct slice payload, struct wire_result *message, struct err *err)
{
    struct mp_reader from;
    TRY(mp_open(&from, payload, WIRE_RESULT, FIELDS, err));
    message->id = mp_uint(&from, UINT64_MAX);
    message->outcome = (enum wire_outcome)mp_uint(&from, WIRE_OUTCOME_STATUS);
    message->status = (enum status)mp_uint(&from, STATUS_COUNT - 1);
    message->failure = mp_text(&from);
    message->http_status = (uint32_t)mp_uint(&from, WIRE_HTTP_STATUS_MAX);
    mp_headers(&from, &message->headers);
    message->body = mp_bytes(&from);
    message->reads = mp_bytes(&from);
    message->writes = mp_bytes(&from);
    message->effects = mp_bytes(&from);
    message->called = mp_bytes(&from);
    message->run_us = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->cpu_us = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->peak_kib = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->rows_read = (uint32_t)mp_uint(&from, UINT32_MAX);
    message->bytes_read = mp_uint(&from, UINT64_MAX);
    TRY(mp_close(&from, "result", err));
    if (message->outcome == WIRE_OUTCOME_STATUS && message->status == STATUS_OK)
        return err_set(err, STATUS_FUNCTION_PROTOCOL, "result message: a failure without its status");
    return STATUS_OK;
}
