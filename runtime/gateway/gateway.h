/* gateway.h - HTTP in: listeners, connections and exchanges; whole requests go out to a handler, answers come back. */
// SPDX-License-Identifier: Apache-2.0
//
// All on the loop's thread. The handler gets each valid request whole, inside an I/O callback: it should only enqueue.
// Each exchange is answered exactly once, later or inside of the handler, in any order: a connection's answers leave in
// the order of its requests, together, in PHASE_WRITE of the turn. What is not a valid request never reaches a handler.
//
//     gateway_open(&gateway, &config, &err)
//     gateway_listen_tcp(gateway, "127.0.0.1", 8080, on_request, node, &address, &err)
//       on_request(node, exchange)                          http_exchange_request(exchange)->path ...
//       http_reply(exchange, 200, headers, count, body)     or http_fail(), or http_stream_begin/chunk/end
//     gateway_drain(gateway, 10000, on_drained, node)       stop accepting, finish what runs
//     gateway_close(gateway, on_closed, node)
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/gateway/http_request.h"

struct gateway;
struct http_exchange;
struct loop;
struct stream;

/* 0 anywhere: the default of this name in bounds.h. */
struct gateway_limits {
    uint32_t header_bytes_max; /* request line and headers; else 431 */
    uint32_t header_count_max; /* else 431 */
    uint32_t target_bytes_max; /* else 414 */
    uint64_t body_bytes_max; /* else 413 */
    uint64_t bodies_bytes_max; /* of all requests that arrive or are with handlers; else 503 */
    uint32_t connections_max; /* of all listeners; else 503 and close */
    uint32_t
        pipeline_max; /* unanswered requests of one connection; more are not read until one is answered */
    uint32_t head_timeout_ms; /* from the first byte of a request to the end of its headers; else 408 */
    uint32_t body_timeout_ms; /* from there to the end of the body; else 408 */
    uint32_t idle_timeout_ms; /* without a request: closed */
    uint32_t write_timeout_ms; /* the client takes nothing of its answer: closed */
    uint32_t refusals_per_s; /* of all connections; beyond that a refused one waits before it is read again */
    uint32_t refusals_burst; /* so many at once */
};

struct gateway_config {
    struct loop *loop; /* its clock is the gateway's */
    struct gateway_limits limits;
};

MUST_CHECK enum status gateway_open(struct gateway **gateway, const struct gateway_config *config,
                                    struct err *err);
/* Closes listeners and connections at once and frees; on_closed comes later, when the handlers have answered the last
 * exchange that they hold (the answers go nowhere). */
void gateway_close(struct gateway *gateway, void (*on_closed)(void *ctx), void *ctx);
/* Stops accepting, closes idle connections, says `Connection: close` in all answers; cuts what is left after
 * `timeout_ms`. on_drained comes later, once. */
void gateway_drain(struct gateway *gateway, uint64_t timeout_ms, void (*on_drained)(void *ctx), void *ctx);

typedef void (*gateway_on_request_fn)(void *ctx, struct http_exchange *exchange);

/* *address (may be NULL) is "127.0.0.1:4711" with the port chosen when `port` is 0; borrowed until the close.
 * ADDRESS_IN_USE, INVALID_ARGUMENT, PERMISSION_DENIED, IO; the words name the address. */
MUST_CHECK enum status gateway_listen_tcp(struct gateway *gateway, const char *host, unsigned port,
                                          gateway_on_request_fn on_request, void *ctx, const char **address,
                                          struct err *err);
/* A socket file of this mode (0600: its owner alone), removed at the close. */
MUST_CHECK enum status gateway_listen_unix(struct gateway *gateway, const char *path, unsigned mode,
                                           gateway_on_request_fn on_request, void *ctx, struct err *err);

/* Takes a connection that came another way: from a socket handed over, from a test. */
void gateway_serve(struct gateway *gateway, struct stream *stream, gateway_on_request_fn on_request,
                   void *ctx);

struct gateway_stats {
    uint64_t accepted; /* connections */
    uint64_t refused; /* connections above connections_max */
    uint64_t requests; /* given to handlers */
    uint64_t malformed; /* answered by the gateway itself: 400, 408, 413, ... */
    uint64_t aborted; /* exchanges whose client went away */
    uint64_t paced; /* refusals after which the connection had to wait */
    uint64_t streams_cut; /* that ended as broken: http_stream_cut() */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t bodies_bytes; /* held now */
    uint32_t connections; /* open now */
    uint32_t exchanges; /* with handlers now */
};
void gateway_stats(const struct gateway *gateway, struct gateway_stats *stats);

/* ---- exchanges ---- */

/* Borrowed until the answer. */
const struct http_request *http_exchange_request(const struct http_exchange *exchange);
/* "127.0.0.1:50312" or "unix". */
const char *http_exchange_peer(struct http_exchange *exchange);
/* When the first byte of the request was read, on the loop's clock. */
uint64_t http_exchange_start_ns(const struct http_exchange *exchange);
/* Tells once, later, that the client has gone before its answer; set it inside of the handler. The exchange stays and wants its answer all the same,
 * which then goes nowhere. */
void http_exchange_on_abort(struct http_exchange *exchange, void (*on_abort)(void *ctx), void *ctx);

/* Answers and ends the exchange. Everything is copied. `status` is 200 to 599, else the caller gets a 502. The gateway
 * adds Content-Length, Connection, Date and Server; headers of these names, of Transfer-Encoding, and headers that are
 * not valid (names that are no tokens, values with line breaks or zero bytes) are left out. HEAD, 204 and 304 are
 * answered without the body. */
void http_reply(struct http_exchange *exchange, int status, const struct http_header *headers,
                size_t header_count, struct slice body);

/* What an error answer says; the rest comes from status.def: HTTP code, hint, Retry-After when it is retryable. */
struct http_failure {
    enum status status;
    int http_status; /* 400 to 599 in place of the status's own; else 0 */
    const char *message; /* NULL or "": the status's own text */
    const char *invocation; /* NULL: it never became one */
    const char *allow; /* "GET, POST" for METHOD_NOT_ALLOWED; else NULL */
    uint32_t retry_after_s; /* 0: 1 s when retryable with 429 or 503, else none */
};
/* Answers {"error":{"code","message","hint","invocation"}} and ends the exchange. */
void http_fail(struct http_exchange *exchange, const struct http_failure *failure);

/* ---- answers that go on ---- */

/* A body of unknown length: begin, any number of chunks, end. After http_stream_end() the exchange is gone. A client
 * that closes its side while a stream runs has gone: on_abort. One that reads nothing for write_timeout_ms is cut: on_abort
 * too. HTTP/1.1 gets chunks, HTTP/1.0 bytes up to the end of the connection. */
void http_stream_begin(struct http_exchange *exchange, int status, const struct http_header *headers,
                       size_t header_count);
/* OVERLOADED: the client reads too slowly, too much waits; nothing was added, and on_room comes once there is room: at least
 * for this chunk. CANCELED: it has gone. */
MUST_CHECK enum status http_stream_chunk(struct http_exchange *exchange, struct slice bytes);
void http_stream_end(struct http_exchange *exchange);
/* Ends it as broken: what was added goes out, then the connection ends without the end of the body, which HTTP/1.1 clients
 * notice. Counted. */
void http_stream_cut(struct http_exchange *exchange);

/* What the owner of a stream or of a tunnel is told, in PHASE_ADMIT of a turn; it may end the exchange inside of these. */
struct http_stream_events {
    void (*on_room)(void *ctx); /* after OVERLOADED; NULL: not wanted */
    /* The gateway drains: what does not end by itself should end now, else it is cut when the drain's time is over. NULL: it
     * ends by itself. */
    void (*on_drain)(void *ctx);
    /* Of a tunnel: what the client has sent, borrowed, inside of the I/O callback. */
    void (*on_bytes)(void *ctx, struct slice bytes);
};
/* `events` is static. Before or after the beginning of the stream. */
void http_stream_watch(struct http_exchange *exchange, const struct http_stream_events *events, void *ctx);

/* ---- tunnels: the connection goes on with another protocol ---- */

/* Is this exchange alone on its connection, which is to go on and speaks HTTP/1.1? Only inside of the handler. */
bool http_can_upgrade(const struct http_exchange *exchange);
/* Answers 101 with `Upgrade: protocol` and these headers. From here on the request is gone, what the client sends goes to
 * events->on_bytes, and http_stream_chunk(), _end() and on_abort work as for a stream, with bytes as they are. Only inside of the
 * handler, when http_can_upgrade(). */
void http_upgrade(struct http_exchange *exchange, const char *protocol, const struct http_header *headers,
                  size_t header_count, const struct http_stream_events *events, void *ctx);
/* Back-pressure: nothing is read from the client, who will notice. May be called inside of on_bytes. */
void http_tunnel_read_stop(struct http_exchange *exchange);
void http_tunnel_read_start(struct http_exchange *exchange);
