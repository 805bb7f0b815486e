/* http_conn.c - one connection: bytes to exchanges, answers in order, back-pressure, and how it ends. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/gateway/gateway_core.h"

/* ---- states ---- */

static void conn_enter(struct http_conn *conn, enum conn_state to)
{
    static const bool legal[CONN_CLOSED + 1][CONN_CLOSED + 1] = {
#define CONN_STATE(name, meaning)
#define CONN_EDGE(from, to, when) [CONN_##from][CONN_##to] = true,
#include "runtime/gateway/http_conn_states.def"
#undef CONN_STATE
#undef CONN_EDGE
    };
    CHECK(legal[conn->state][to]);
    conn->state = to;
}

static bool conn_is_reading(const struct http_conn *conn)
{
    return !conn->paused && conn->state <= CONN_BODY;
}

/* Starts, keeps or stops its clock, by what it waits for. Keeping does not move the deadline. */
static void conn_clock_update(struct http_conn *conn)
{
    enum conn_clock clock = CLOCK_NONE;
    if (conn->state == CONN_HEAD)
        clock = CLOCK_HEAD;
    else if (conn->state == CONN_BODY)
        clock = CLOCK_BODY;
    else if (conn->state == CONN_LINGER)
        clock = CLOCK_LINGER;
    else if (conn->state == CONN_CLOSED)
        clock = CLOCK_NONE;
    else if (conn->is_sending)
        clock = CLOCK_WRITE;
    else if (list_empty(&conn->exchanges))
        clock = CLOCK_IDLE;
    if (clock != conn->clock) gateway_clock_set(conn, clock);
}

/* ---- the end ---- */

static void conn_close(struct http_conn *conn)
{
    conn_enter(conn, CONN_CLOSED);
    gateway_clock_set(conn, CLOCK_NONE);
    list_remove(&conn->dirty_link);
    list_remove(&conn->pace_link);
    stream_close(conn->stream);
}

static void on_closed(void *ctx)
{
    struct http_conn *conn = ctx;
    CHECK(conn->state == CONN_CLOSED && list_empty(&conn->exchanges));
    list_remove(&conn->link);
    conn->gateway->stats.connections--;
    gateway_check_end(conn->gateway);
    buf_fini(&conn->unread);
    buf_fini(&conn->out);
    buf_fini(&conn->sending);
    free(conn);
}

static struct http_exchange *first_exchange(const struct http_conn *conn)
{
    return list_empty(&conn->exchanges) ? NULL
                                        : CONTAINER_OF(conn->exchanges.next, struct http_exchange, link);
}

static struct http_exchange *exchange_pop(struct http_conn *conn)
{
    struct http_exchange *exchange = first_exchange(conn);
    if (!exchange) return NULL;
    list_remove(&exchange->link);
    conn->exchange_count--;
    if (exchange == conn->reading) conn->reading = NULL;
    return exchange;
}

/* No answer will leave any more: tells the handlers that still owe one. */
static void exchanges_abort(struct http_conn *conn)
{
    struct http_exchange *exchange;
    while ((exchange = exchange_pop(conn)))
    {
        exchange->conn = NULL;
        list_remove(&exchange->event_link);
        if (exchange->state == EXCHANGE_READING || exchange->state == EXCHANGE_ANSWERED)
        {
            exchange_release(exchange);
            continue;
        }
        conn->gateway->stats.aborted++;
        if (exchange->on_abort) exchange->on_abort(exchange->on_abort_ctx); /* it may answer inside */
    }
}

void conn_cut(struct http_conn *conn)
{
    if (conn->state == CONN_CLOSED) return;
    conn_close(conn);
    exchanges_abort(conn);
}

/* Drops the request that is arriving, if any, and those that have been read ahead. */
static void conn_stop_requests(struct http_conn *conn)
{
    if (conn->reading)
    {
        struct http_exchange *exchange = conn->reading;
        conn->reading = NULL;
        list_remove(&exchange->link);
        conn->exchange_count--;
        exchange_release(exchange);
    }
    buf_fini(&conn->unread);
    list_remove(&conn->pace_link);
    if (conn->paused)
    {
        conn->paused = false;
        stream_read_start(conn->stream); /* to see the client's end */
    }
    if (conn->state < CONN_LAST) conn_enter(conn, CONN_LAST);
}

void conn_drain(struct http_conn *conn)
{
    LIST_FOREACH(link, &conn->exchanges)
    {
        struct http_exchange *exchange = CONTAINER_OF(link, struct http_exchange, link);
        if (!exchange->events || !exchange->events->on_drain) continue;
        exchange->tell_drain = true;
        gateway_tell(exchange);
    }
    if (conn->state != CONN_IDLE) return; /* a request that is arriving will see that the gateway drains */
    if (!list_empty(&conn->exchanges))
        CONTAINER_OF(conn->exchanges.prev, struct http_exchange, link)->close_after = true;
    conn_stop_requests(conn);
    gateway_dirty(conn);
}

/* ---- requests in ---- */

static void continue_if_due(struct http_conn *conn)
{
    struct http_exchange *exchange = first_exchange(conn);
    if (!exchange || !exchange->want_continue) return;
    exchange->want_continue = false;
    buf_append(&conn->out, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    gateway_dirty(conn);
}

static void request_begin(struct http_conn *conn)
{
    struct http_exchange *exchange = exchange_take(conn->gateway, conn);
    list_push_back(&conn->exchanges, &exchange->link);
    conn->exchange_count++;
    conn->reading = exchange;
    conn_enter(conn, CONN_HEAD);
    if (conn->clock != CLOCK_NONE) gateway_clock_set(conn, CLOCK_NONE); /* each request has its own time */
}

/* Too much waits for this client: it must read before it may ask for more. */
static bool conn_is_full(const struct http_conn *conn)
{
    return conn->exchange_count >= conn->gateway->limits.pipeline_max ||
           conn->out.size > BOUND_HTTP_UNSENT_BYTES_MAX;
}

void conn_pause(struct http_conn *conn)
{
    if (conn->paused) return;
    conn->paused = true;
    stream_read_stop(conn->stream);
}

static void request_done(struct http_conn *conn)
{
    struct gateway *gateway = conn->gateway;
    struct http_exchange *exchange = conn->reading;
    conn->reading = NULL;
    exchange->state = EXCHANGE_RUNNING;
    exchange->want_continue = false;
    (void)exchange_count_body(exchange); /* it is whole: the next one will find no room */
    exchange->close_after = !exchange->parse.framing.keep_alive || gateway->draining;
    conn_enter(conn, exchange->close_after ? CONN_LAST : CONN_IDLE);
    if (!exchange->close_after && conn_is_full(conn)) conn_pause(conn);
    gateway->stats.requests++;
    gateway->stats.exchanges++;
    conn->listener->on_request(conn->listener->ctx, exchange);
    loop_want(gateway->loop, PHASE_ADMIT); /* when this was read ahead, admission may have run already */
}

static void request_refuse(struct http_conn *conn, enum status status, const char *words)
{
    struct http_exchange *exchange = conn->reading;
    conn->reading = NULL;
    exchange->state = EXCHANGE_RUNNING;
    exchange->want_continue = false;
    exchange->close_after = true;
    conn_enter(conn, CONN_LAST);
    conn->gateway->stats.malformed++;
    conn->gateway->stats.exchanges++;
    http_fail(exchange, &(struct http_failure){.status = status, .message = words});
}

/* ---- another protocol ---- */

static void tunnel_feed(struct http_conn *conn, struct slice bytes)
{
    const struct http_exchange *exchange = first_exchange(conn);
    if (bytes.size) exchange->events->on_bytes(exchange->events_ctx, bytes);
}

void conn_tunnel(struct http_conn *conn)
{
    conn_enter(conn, CONN_TUNNEL);
}

void conn_tunnel_pause(struct http_conn *conn, bool pause)
{
    if (conn->state != CONN_TUNNEL || conn->paused == pause) return;
    conn->paused = pause;
    if (pause)
        stream_read_stop(conn->stream);
    else
        stream_read_start(conn->stream);
}

/* ---- what arrives ---- */

static void conn_feed(struct http_conn *conn, struct slice bytes)
{
    struct err err;
    while (bytes.size && conn_is_reading(conn))
    {
        if (conn->state == CONN_IDLE) request_begin(conn);
        switch (http_parse(&conn->reading->parse, &conn->gateway->parse_limits, &bytes, &err))
        {
        case HTTP_PARSE_MORE:
            if (!exchange_count_body(conn->reading))
                request_refuse(conn, STATUS_OVERLOADED,
                               "the bodies of all requests under way exceed their limit");
            break;
        case HTTP_PARSE_HEAD:
            conn_enter(conn, CONN_BODY);
            conn->reading->want_continue = conn->reading->parse.framing.expect_continue && bytes.size == 0;
            continue_if_due(conn);
            break;
        case HTTP_PARSE_DONE:
            request_done(conn);
            break;
        case HTTP_PARSE_FAILED:
            request_refuse(conn, err.status, err.text);
            break;
        }
    }
    if (conn->state == CONN_TUNNEL)
        tunnel_feed(conn, bytes);
    else if (conn->paused)
        buf_append(&conn->unread, bytes);
    conn_clock_update(conn);
}

static void on_room(void *ctx, void **data, size_t *size)
{
    struct http_conn *conn = ctx;
    *data = conn->gateway->room;
    *size = sizeof conn->gateway->room;
}

static void on_bytes(void *ctx, size_t count)
{
    struct http_conn *conn = ctx;
    conn->gateway->stats.bytes_in += count;
    conn_feed(conn, slice_make(conn->gateway->room, count));
}

static bool conn_is_streaming(const struct http_conn *conn)
{
    LIST_FOREACH(link, &conn->exchanges)
    {
        if (CONTAINER_OF(link, struct http_exchange, link)->state == EXCHANGE_STREAMING) return true;
    }
    return false;
}

/* A client that has finished sending may still wait for its answers. One that watches a stream has gone. */
static void on_end(void *ctx, enum status status)
{
    struct http_conn *conn = ctx;
    if (conn->state == CONN_CLOSED) return;
    if (status != STATUS_OK || conn_is_streaming(conn))
    {
        conn_cut(conn);
        return;
    }
    conn->client_finished = true;
    if (conn->state == CONN_LINGER)
    {
        conn_close(conn);
        return;
    }
    conn_stop_requests(conn);
    gateway_dirty(conn);
}

/* ---- answers out ---- */

static void buf_keep(struct buf *buf)
{
    if (buf->capacity > KEEP_BYTES)
        buf_fini(buf);
    else
        buf_reset(buf);
}

void conn_answered(struct http_conn *conn)
{
    struct http_exchange *exchange;
    while ((exchange = first_exchange(conn)))
    {
        buf_append(&conn->out, buf_view(&exchange->answer));
        buf_reset(&exchange->answer);
        if (exchange->state != EXCHANGE_ANSWERED) break;
        bool last = exchange->close_after;
        exchange_release(exchange_pop(conn));
        if (last)
        {
            conn_stop_requests(conn);
            exchanges_abort(conn);
        }
    }
    continue_if_due(conn);
    gateway_dirty(conn);
}

static void conn_send(struct http_conn *conn)
{
    if (conn->is_sending || conn->out.size == 0) return;
    conn->gateway->stats.bytes_out += conn->out.size;
    struct slice all = buf_view(&conn->out);
    if (stream_write(conn->stream, &all, 1))
    {
        buf_keep(&conn->out);
        return;
    }
    struct buf empty = conn->sending;
    conn->sending = conn->out;
    conn->out = empty;
    conn->is_sending = true;
    conn->unsent_seen = stream_unsent(conn->stream);
}

static void on_written(void *ctx, enum status status)
{
    struct http_conn *conn = ctx;
    conn->is_sending = false;
    buf_keep(&conn->sending);
    if (status != STATUS_OK)
        conn_cut(conn);
    else
        gateway_dirty(conn);
}

/* Takes up the requests that were read ahead, and reading, when there is room for answers again. */
static void conn_resume(struct http_conn *conn)
{
    bool must_wait = !list_empty(&conn->pace_link) || conn_is_full(conn);
    if (!conn->paused || conn->state == CONN_TUNNEL || must_wait) return;
    conn->paused = false;
    struct buf unread = conn->unread;
    conn->unread = BUF_INIT;
    conn_feed(conn, buf_view(&unread));
    buf_fini(&unread);
    if (!conn->paused && conn->state != CONN_CLOSED) stream_read_start(conn->stream);
}

/* The one in line may have been refused a chunk; all that it has added is on its way now. */
static void conn_tell_room(struct http_conn *conn)
{
    struct http_exchange *exchange = first_exchange(conn);
    if (!exchange || !exchange->wants_room || conn->out.size > 0) return;
    exchange->wants_room = false;
    exchange->tell_room = true;
    gateway_tell(exchange);
}

void conn_flush(struct http_conn *conn)
{
    conn_send(conn);
    conn_tell_room(conn);
    conn_resume(conn);
    if (conn->state == CONN_LAST && list_empty(&conn->exchanges) && !conn->is_sending && conn->out.size == 0)
    {
        if (conn->client_finished)
        {
            conn_close(conn);
            return;
        }
        /* Closing with unread bytes would make the system throw away the answer on its way: wait for their end. */
        stream_finish(conn->stream);
        conn_enter(conn, CONN_LINGER);
    }
    conn_clock_update(conn);
}

void conn_expired(struct http_conn *conn)
{
    size_t unsent;
    switch (conn->state)
    {
    case CONN_HEAD:
    case CONN_BODY:
        if (conn->reading->parse.head.size == 0)
        {
            conn_cut(conn); /* an empty line after the last request is no request */
            break;
        }
        request_refuse(conn, STATUS_REQUEST_TIMEOUT,
                       conn->state == CONN_HEAD ? "the headers did not arrive in time"
                                                : "the body did not arrive in time");
        break;
    case CONN_IDLE:
    case CONN_TUNNEL:
    case CONN_LAST:
        unsent = stream_unsent(conn->stream);
        if (!conn->is_sending || unsent >= conn->unsent_seen)
        {
            conn_cut(conn);
            break;
        }
        conn->unsent_seen = unsent; /* slow, but it reads */
        conn_clock_update(conn);
        break;
    case CONN_LINGER:
        conn_close(conn);
        break;
    case CONN_CLOSED:
        break;
    }
}

void conn_open(struct gateway_listener *listener, struct stream *stream, bool refused)
{
    static const struct stream_handler handler = {on_room, on_bytes, on_end, on_written, on_closed};
    struct gateway *gateway = listener->gateway;
    struct http_conn *conn = mem_zalloc(sizeof *conn);
    conn->gateway = gateway;
    conn->listener = listener;
    conn->stream = stream;
    conn->state = CONN_IDLE;
    conn->clock = CLOCK_NONE;
    list_init(&conn->exchanges);
    list_init(&conn->dirty_link);
    list_init(&conn->pace_link);
    list_push_back(&gateway->conns, &conn->link);
    gateway->stats.accepted++;
    gateway->stats.connections++;
    stream_attach(stream, &handler, conn);
    stream_read_start(stream);
    if (refused)
    {
        request_begin(conn);
        request_refuse(conn, STATUS_OVERLOADED, "the node has no room for another connection");
    }
    conn_clock_update(conn);
}
