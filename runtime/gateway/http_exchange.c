/* http_exchange.c - one request and its answer, whole or streamed; exchanges are pooled with their buffers. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/gateway/gateway_core.h"

struct http_exchange *exchange_take(struct gateway *gateway, struct http_conn *conn)
{
    struct http_exchange *exchange;
    struct list *link = list_pop_front(&gateway->pool);
    if (link)
    {
        gateway->pool_count--;
        exchange = CONTAINER_OF(link, struct http_exchange, link);
    }
    else
    {
        exchange = mem_zalloc(sizeof *exchange);
        exchange->gateway = gateway;
        http_parse_init(&exchange->parse);
        list_init(&exchange->link);
        list_init(&exchange->event_link);
    }
    exchange->conn = conn;
    exchange->state = EXCHANGE_READING;
    exchange->start_ns = loop_now_ns(gateway->loop);
    exchange->on_abort = NULL;
    exchange->events = NULL;
    exchange->tell_room = exchange->tell_drain = exchange->wants_room = exchange->tunnel = false;
    exchange->want_continue = exchange->stream_chunked = exchange->stream_bodiless = exchange->close_after =
        false;
    return exchange;
}

bool exchange_count_body(struct http_exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    gateway->stats.bodies_bytes += exchange->parse.body.size - exchange->body_counted;
    exchange->body_counted = exchange->parse.body.size;
    return gateway->stats.bodies_bytes <= gateway->limits.bodies_bytes_max;
}

void exchange_release(struct http_exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    list_remove(&exchange->event_link);
    gateway->stats.bodies_bytes -= exchange->body_counted;
    exchange->body_counted = 0;
    if (gateway->pool_count >= POOL_EXCHANGES_MAX)
    {
        http_parse_fini(&exchange->parse);
        buf_fini(&exchange->answer);
        free(exchange);
        return;
    }
    http_parse_reset(&exchange->parse, KEEP_BYTES);
    if (exchange->answer.capacity > KEEP_BYTES) buf_fini(&exchange->answer);
    buf_reset(&exchange->answer);
    exchange->conn = NULL;
    list_push_front(&gateway->pool, &exchange->link); /* the warmest first */
    gateway->pool_count++;
}

struct buf *exchange_out(struct http_exchange *exchange)
{
    struct http_conn *conn = exchange->conn;
    return conn->exchanges.next == &exchange->link ? &conn->out : &exchange->answer;
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->parse.request;
}

const char *http_exchange_peer(struct http_exchange *exchange)
{
    struct http_conn *conn = exchange->conn;
    if (!conn) return "gone";
    if (!conn->peer[0]) stream_peer(conn->stream, conn->peer);
    return conn->peer;
}

uint64_t http_exchange_start_ns(const struct http_exchange *exchange)
{
    return exchange->start_ns;
}

void http_exchange_on_abort(struct http_exchange *exchange, void (*on_abort)(void *ctx), void *ctx)
{
    exchange->on_abort = on_abort;
    exchange->on_abort_ctx = ctx;
}

/* ---- answers ---- */

static void exchange_finish(struct http_exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    CHECK(gateway->stats.exchanges > 0);
    gateway->stats.exchanges--;
    list_remove(&exchange->event_link);
    exchange->events = NULL;
    if (exchange->conn)
    {
        exchange->state = EXCHANGE_ANSWERED;
        conn_answered(exchange->conn);
        return;
    }
    exchange_release(exchange);
    gateway_check_end(gateway);
}

static bool is_head(const struct http_exchange *exchange)
{
    return slice_is(exchange->parse.request.method, "HEAD");
}

static enum reply_connection connection_kind(const struct http_exchange *exchange)
{
    if (exchange->close_after) return REPLY_CLOSE;
    return exchange->parse.request.http_1_0 ? REPLY_KEEP_1_0 : REPLY_KEEP;
}

static void exchange_answer(struct http_exchange *exchange, struct reply *reply)
{
    CHECK(exchange->state == EXCHANGE_RUNNING);
    if (exchange->conn)
    {
        bool empty = reply->status == 204 || reply->status == 304;
        reply->body_kind = empty ? REPLY_EMPTY : is_head(exchange) ? REPLY_HEAD_ONLY : REPLY_BODY;
        reply->connection = connection_kind(exchange);
        reply_append(exchange_out(exchange), reply, gateway_common(exchange->gateway));
    }
    exchange_finish(exchange);
}

/* True when `status` is one that a handler may answer with; else the caller is told in its place. */
static bool status_is_final(struct http_exchange *exchange, int status)
{
    if (status >= 200 && status <= 599) return true;
    char words[80];
    snprintf(words, sizeof words, "the function answered with HTTP status %d, which is not one", status);
    http_fail(exchange, &(struct http_failure){.status = STATUS_FUNCTION_PROTOCOL, .message = words});
    return false;
}

void http_reply(struct http_exchange *exchange, int status, const struct http_header *headers,
                size_t header_count, struct slice body)
{
    if (!status_is_final(exchange, status)) return;
    struct reply reply = {.status = status, .headers = headers, .header_count = header_count, .body = body};
    exchange_answer(exchange, &reply);
}

/* What was not done at all, so that whoever asks without a pause can do so very often. */
static bool is_refusal(int http_status)
{
    return http_status == 404 || http_status == 429 || http_status == 503;
}

void http_fail(struct http_exchange *exchange, const struct http_failure *failure)
{
    int http = failure->http_status ? failure->http_status : status_http(failure->status);
    uint32_t retry_after_s = failure->retry_after_s;
    if (!retry_after_s && status_retryable(failure->status) && (http == 429 || http == 503))
        retry_after_s = 1;

    struct buf more = BUF_INIT, body = BUF_INIT;
    buf_append_cstr(&more, "Content-Type: application/json\r\n");
    if (retry_after_s) buf_printf(&more, "Retry-After: %u\r\n", retry_after_s);
    if (failure->allow) buf_printf(&more, "Allow: %s\r\n", failure->allow);
    reply_error_body_append(&body, failure->status, failure->message, failure->invocation);
    struct reply reply = {.status = http, .more = buf_view(&more), .body = buf_view(&body)};
    if (exchange->conn && is_refusal(http)) gateway_pace(exchange->conn);
    exchange_answer(exchange, &reply);
    buf_fini(&more);
    buf_fini(&body);
}

/* ---- streams ---- */

void http_stream_begin(struct http_exchange *exchange, int status, const struct http_header *headers,
                       size_t header_count)
{
    CHECK(exchange->state == EXCHANGE_RUNNING && status >= 200 && status <= 599);
    exchange->state = EXCHANGE_STREAMING;
    if (!exchange->conn) return;
    bool empty = status == 204 || status == 304;
    exchange->stream_bodiless = empty || is_head(exchange);
    exchange->stream_chunked = !exchange->parse.request.http_1_0;
    if (!exchange->stream_chunked)
        exchange->close_after = true; /* the end of the connection is the end of the body */
    struct reply reply = {
        .status = status,
        .headers = headers,
        .header_count = header_count,
        .body_kind = empty                      ? REPLY_EMPTY
                     : exchange->stream_chunked ? REPLY_CHUNKED
                                                : REPLY_UNTIL_CLOSE,
        .connection = connection_kind(exchange),
    };
    reply_append(exchange_out(exchange), &reply, gateway_common(exchange->gateway));
    gateway_dirty(exchange->conn);
}

enum status http_stream_chunk(struct http_exchange *exchange, struct slice bytes)
{
    CHECK(exchange->state == EXCHANGE_STREAMING);
    if (!exchange->conn) return STATUS_CANCELED;
    if (exchange->stream_bodiless) return STATUS_OK;
    struct buf *out = exchange_out(exchange);
    if (out->size > 0 && out->size + bytes.size > BOUND_HTTP_UNSENT_BYTES_MAX)
    {
        exchange->wants_room = exchange->events && exchange->events->on_room;
        return STATUS_OVERLOADED;
    }
    if (exchange->stream_chunked)
        reply_chunk_append(out, bytes);
    else
        buf_append(out, bytes);
    gateway_dirty(exchange->conn);
    return STATUS_OK;
}

void http_stream_end(struct http_exchange *exchange)
{
    CHECK(exchange->state == EXCHANGE_STREAMING);
    if (exchange->conn && exchange->stream_chunked && !exchange->stream_bodiless)
        reply_last_chunk_append(exchange_out(exchange));
    exchange_finish(exchange);
}

void http_stream_cut(struct http_exchange *exchange)
{
    CHECK(exchange->state == EXCHANGE_STREAMING);
    exchange->gateway->stats.streams_cut++;
    exchange->close_after = true;
    exchange_finish(exchange);
}

void http_stream_watch(struct http_exchange *exchange, const struct http_stream_events *events, void *ctx)
{
    exchange->events = events;
    exchange->events_ctx = ctx;
}

/* ---- tunnels ---- */

bool http_can_upgrade(const struct http_exchange *exchange)
{
    const struct http_conn *conn = exchange->conn;
    return exchange->state == EXCHANGE_RUNNING && conn && conn->state == CONN_IDLE && !conn->paused &&
           conn->exchange_count == 1 && !exchange->parse.request.http_1_0 && !exchange->close_after;
}

void http_upgrade(struct http_exchange *exchange, const char *protocol, const struct http_header *headers,
                  size_t header_count, const struct http_stream_events *events, void *ctx)
{
    CHECK(http_can_upgrade(exchange));
    struct buf more = BUF_INIT;
    buf_printf(&more, "Upgrade: %s\r\n", protocol);
    struct reply reply = {
        .status = 101,
        .headers = headers,
        .header_count = header_count,
        .more = buf_view(&more),
        .body_kind = REPLY_EMPTY,
        .connection = REPLY_UPGRADE,
    };
    reply_append(exchange_out(exchange), &reply, gateway_common(exchange->gateway));
    buf_fini(&more);
    exchange->state = EXCHANGE_STREAMING;
    exchange->tunnel = true;
    exchange->close_after = true;
    http_stream_watch(exchange, events, ctx);
    /* It may last for days: what it does not need is given back. */
    exchange->gateway->stats.bodies_bytes -= exchange->body_counted;
    exchange->body_counted = 0;
    http_parse_reset(&exchange->parse, 0);
    conn_tunnel(exchange->conn);
    gateway_dirty(exchange->conn);
}

void http_tunnel_read_stop(struct http_exchange *exchange)
{
    CHECK(exchange->tunnel);
    if (exchange->conn) conn_tunnel_pause(exchange->conn, true);
}

void http_tunnel_read_start(struct http_exchange *exchange)
{
    CHECK(exchange->tunnel);
    if (exchange->conn) conn_tunnel_pause(exchange->conn, false);
}
