/* ws.c - wslay between two buffers. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/ws.h"

#include <errno.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#include "runtime/base/check.h"

struct ws {
    wslay_event_context_ptr wslay;
    const struct ws_events *events;
    void *ctx;
    struct slice input; /* of the feed under way */
    struct buf out;
    unsigned client_code; /* 0: it has not said goodbye */
    unsigned our_code;
    struct buf reason;
};

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *data, size_t size, int flags, void *ctx)
{
    struct ws *ws = ctx;
    if (ws->input.size == 0)
    {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (size > ws->input.size) size = ws->input.size;
    memcpy(data, ws->input.data, size);
    ws->input = slice_make((const uint8_t *)ws->input.data + size, ws->input.size - size);
    return (ssize_t)size;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t size, int flags, void *ctx)
{
    struct ws *ws = ctx;
    buf_append(&ws->out, slice_make(data, size));
    return (ssize_t)size;
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *message,
                       void *ctx)
{
    struct ws *ws = ctx;
    struct slice body = slice_make(message->msg, message->msg_length);
    if (message->opcode == WSLAY_CONNECTION_CLOSE)
    {
        ws->client_code = message->status_code ? message->status_code : WS_CODE_NONE;
        if (body.size > 2) buf_append(&ws->reason, slice_make((const uint8_t *)body.data + 2, body.size - 2));
    }
    else if (wslay_is_ctrl_frame(message->opcode))
        ws->events->on_control(ws->ctx);
    else if (!wslay_event_get_close_sent(wslay) && ws->our_code == 0)
        ws->events->on_message(ws->ctx, message->opcode == WSLAY_TEXT_FRAME, body);
}

struct ws *ws_create(uint64_t message_bytes_max, const struct ws_events *events, void *ctx)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_msg_recv_callback = on_message,
    };
    struct ws *ws = mem_zalloc(sizeof *ws);
    ws->events = events;
    ws->ctx = ctx;
    CHECK(wslay_event_context_server_init(&ws->wslay, &callbacks, ws) == 0);
    wslay_event_config_set_max_recv_msg_length(ws->wslay, message_bytes_max);
    return ws;
}

void ws_destroy(struct ws *ws)
{
    if (!ws) return;
    wslay_event_context_free(ws->wslay);
    buf_fini(&ws->out);
    buf_fini(&ws->reason);
    free(ws);
}

/* All that is queued becomes bytes; on_send never fails, so neither does this. */
static void flush(struct ws *ws)
{
    CHECK(wslay_event_send(ws->wslay) == 0);
}

void ws_feed(struct ws *ws, struct slice bytes)
{
    if (ws_is_closed(ws)) return;
    ws->input = bytes;
    int result = wslay_event_recv(ws->wslay);
    ws->input = SLICE_EMPTY;
    if (result == 0)
    {
        flush(ws);
        return;
    }
    /* What is not even a frame: wslay would say goodbye without a code. */
    static const uint8_t goodbye[] = {0x88, 2, WS_CODE_PROTOCOL >> 8, WS_CODE_PROTOCOL & 0xff};
    ws->our_code = WS_CODE_PROTOCOL;
    buf_append(&ws->out, slice_make(goodbye, sizeof goodbye));
}

static void queue(struct ws *ws, uint8_t opcode, struct slice body)
{
    if (ws_is_closed(ws)) return;
    const struct wslay_event_msg message = {opcode, body.data, body.size};
    /* It refuses when its own close frame waits; memory does not run out (mem_alloc). */
    (void)wslay_event_queue_msg(ws->wslay, &message);
    flush(ws);
}

void ws_send(struct ws *ws, bool is_text, struct slice body)
{
    queue(ws, is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, body);
}

void ws_ping(struct ws *ws)
{
    queue(ws, WSLAY_PING, SLICE_EMPTY);
}

void ws_close(struct ws *ws, unsigned code, const char *reason)
{
    if (ws_is_closed(ws)) return;
    size_t size = strlen(reason);
    if (size > WS_REASON_BYTES_MAX) size = WS_REASON_BYTES_MAX;
    while (size > 0 && !ws_is_utf8(slice_make(reason, size))) size--;
    ws->our_code = code;
    if (ws->reason.size == 0) buf_append(&ws->reason, slice_make(reason, size));
    /* Refused when a protocol error has queued one before: then that one goes. */
    (void)wslay_event_queue_close(ws->wslay, (uint16_t)code, (const uint8_t *)reason, size);
    flush(ws);
}

struct buf *ws_out(struct ws *ws)
{
    return &ws->out;
}

bool ws_is_closed(const struct ws *ws)
{
    return ws->our_code != 0 || wslay_event_get_close_sent(ws->wslay);
}

unsigned ws_close_code(const struct ws *ws)
{
    if (ws->client_code) return ws->client_code;
    if (ws->our_code) return ws->our_code;
    return wslay_event_get_close_sent(ws->wslay) ? wslay_event_get_status_code_sent(ws->wslay) : WS_CODE_GONE;
}

struct slice ws_close_reason(const struct ws *ws)
{
    return buf_view(&ws->reason);
}
