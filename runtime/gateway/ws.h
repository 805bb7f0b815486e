/* ws.h - WebSocket (RFC 6455) without I/O: the handshake, a client's bytes to messages, messages to bytes. */
// SPDX-License-Identifier: Apache-2.0
//
// The file behind it, ws.c, is the only one that sees wslay. Wrong bytes end the connection with the code that the RFC names:
// what is not masked, reserved bits, a text that is not UTF-8, a control frame in pieces, a message beyond the limit.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/gateway/http_request.h"

/* ---- handshake ---- */

enum { WS_ACCEPT_CHARS = 28 };
/* Does the request ask for a WebSocket at all? */
bool ws_is_wanted(const struct http_request *request);
/* The answer to its key. MALFORMED_REQUEST: the words say what is wrong; version 13 alone is spoken. */
MUST_CHECK enum status ws_accept(const struct http_request *request, char accept[WS_ACCEPT_CHARS + 1],
                                 struct err *err);

/* ---- frames ---- */

enum {
    WS_CODE_NORMAL = 1000,
    WS_CODE_GOING_AWAY = 1001,
    WS_CODE_PROTOCOL = 1002,
    WS_CODE_NONE = 1005, /* the client said none */
    WS_CODE_GONE = 1006, /* the connection broke */
    WS_CODE_POLICY = 1008,
    WS_CODE_FAILED = 1011,
    WS_CODE_LATER = 1013,
    WS_REASON_BYTES_MAX = 123,
};

struct ws;

struct ws_events {
    /* A whole message, borrowed. */
    void (*on_message)(void *ctx, bool is_text, struct slice body);
    /* A ping or a pong. */
    void (*on_control)(void *ctx);
};

/* `events` is static. */
struct ws *ws_create(uint64_t message_bytes_max, const struct ws_events *events, void *ctx);
void ws_destroy(struct ws *ws);
/* Takes all of it, unless it is closed: then the rest is thrown away. */
void ws_feed(struct ws *ws, struct slice bytes);
void ws_send(struct ws *ws, bool is_text, struct slice body);
void ws_ping(struct ws *ws);
/* Says goodbye, once; no message goes or comes after it. Reasons are cut to WS_REASON_BYTES_MAX. */
void ws_close(struct ws *ws, unsigned code, const char *reason);
/* What is to go to the client; the caller takes it off. */
struct buf *ws_out(struct ws *ws);
/* Our close frame is in what was or is to be sent: nothing comes after it. */
bool ws_is_closed(const struct ws *ws);
/* The client's code and reason when it said goodbye, else ours, else WS_CODE_GONE. */
unsigned ws_close_code(const struct ws *ws);
struct slice ws_close_reason(const struct ws *ws);

/* Well-formed UTF-8: what a text message must be. */
bool ws_is_utf8(struct slice text);
