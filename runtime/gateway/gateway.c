/* gateway.c - listeners, the deadlines of all connections, the flush of each turn, drain and close. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/gateway_core.h"

#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

/* ---- clocks ---- */

void gateway_clock_set(struct http_conn *conn, enum conn_clock clock)
{
    struct gateway *gateway = conn->gateway;
    if (conn->clock != CLOCK_NONE) list_remove(&conn->clock_link);
    conn->clock = clock;
    if (clock == CLOCK_NONE) return;
    conn->deadline_ns = loop_now_ns(gateway->loop) + gateway->clock_ns[clock];
    list_push_back(&gateway->clocks[clock], &conn->clock_link);
    /* The alarm may ring too early, when the one that it was set for has moved on; it is then set anew. */
    if (!loop_timer_started(&gateway->alarm) || conn->deadline_ns < gateway->alarm.deadline_ns)
        loop_timer_start_at(gateway->loop, &gateway->alarm, conn->deadline_ns);
}

static void on_alarm(struct loop_timer *alarm, void *ctx)
{
    struct gateway *gateway = ctx;
    uint64_t now_ns = loop_now_ns(gateway->loop);
    uint64_t next_ns = UINT64_MAX;
    for (int clock = 0; clock < CLOCK_COUNT; clock++)
    {
        struct list *conns = &gateway->clocks[clock];
        while (!list_empty(conns))
        {
            struct http_conn *conn = CONTAINER_OF(conns->next, struct http_conn, clock_link);
            if (conn->deadline_ns > now_ns)
            {
                if (conn->deadline_ns < next_ns) next_ns = conn->deadline_ns;
                break;
            }
            gateway_clock_set(conn, CLOCK_NONE);
            conn_expired(conn);
        }
    }
    /* Those that expired may have set it for what comes after their own class. */
    if (next_ns != UINT64_MAX && (!loop_timer_started(alarm) || next_ns < alarm->deadline_ns))
        loop_timer_start_at(gateway->loop, alarm, next_ns);
}

struct slice gateway_common(struct gateway *gateway)
{
    uint64_t now_ns = loop_now_ns(gateway->loop);
    if (now_ns >= gateway->common_until_ns)
    {
        uint64_t wall_ms = clock_wall_ms(loop_clock(gateway->loop));
        gateway->common_lines = reply_common_print(gateway->common, wall_ms);
        gateway->common_until_ns = now_ns + (1000 - wall_ms % 1000) * NS_PER_MS;
    }
    return gateway->common_lines;
}

/* ---- refusals ---- */

/* Several connections are released at once: a timer for each would cost more than their requests. */
#define PACE_STEP_NS (2 * NS_PER_MS)

static void on_pace(struct loop_timer *timer, void *ctx)
{
    struct gateway *gateway = ctx;
    uint64_t now_ns = loop_now_ns(gateway->loop);
    while (!list_empty(&gateway->paced))
    {
        struct http_conn *conn = CONTAINER_OF(gateway->paced.next, struct http_conn, pace_link);
        if (conn->paced_until_ns > now_ns)
        {
            uint64_t step_ns = now_ns + PACE_STEP_NS;
            loop_timer_start_at(gateway->loop, timer,
                                conn->paced_until_ns > step_ns ? conn->paced_until_ns : step_ns);
            break;
        }
        list_remove(&conn->pace_link);
        gateway_dirty(conn);
    }
}

void gateway_pace(struct http_conn *conn)
{
    struct gateway *gateway = conn->gateway;
    uint64_t now_ns = loop_now_ns(gateway->loop);
    uint64_t until_ns =
        pace_refusal(&gateway->pace, now_ns, gateway->limits.refusals_per_s, gateway->limits.refusals_burst);
    /* A connection that ends, or has begun with its next request, does not come back for nothing. */
    if (until_ns <= now_ns || conn->state != CONN_IDLE || !list_empty(&conn->pace_link)) return;
    gateway->stats.paced++;
    conn->paced_until_ns = until_ns;
    list_push_back(&gateway->paced, &conn->pace_link);
    conn_pause(conn);
    if (!loop_timer_started(&gateway->pace_timer))
        loop_timer_start_at(gateway->loop, &gateway->pace_timer, until_ns);
}

/* ---- the flush of each turn ---- */

void gateway_dirty(struct http_conn *conn)
{
    if (conn->state == CONN_CLOSED || !list_empty(&conn->dirty_link)) return;
    list_push_back(&conn->gateway->dirty, &conn->dirty_link);
    loop_want(conn->gateway->loop, PHASE_WRITE);
}

/* ---- news for the owners of streams ---- */

void gateway_tell(struct http_exchange *exchange)
{
    if (!list_empty(&exchange->event_link)) return;
    list_push_back(&exchange->gateway->events, &exchange->event_link);
    loop_want(exchange->gateway->loop, PHASE_ADMIT);
}

static void on_events(void *ctx)
{
    struct gateway *gateway = ctx;
    struct list *link;
    while ((link = list_pop_front(&gateway->events)))
    {
        struct http_exchange *exchange = CONTAINER_OF(link, struct http_exchange, event_link);
        const struct http_stream_events *events = exchange->events;
        bool drain = exchange->tell_drain, room = exchange->tell_room;
        exchange->tell_drain = false;
        exchange->tell_room = drain && room;
        if (exchange->tell_room) gateway_tell(exchange); /* unless it ends inside of the first */
        if (drain)
            events->on_drain(exchange->events_ctx);
        else
            events->on_room(exchange->events_ctx);
    }
}

/* ---- life and death in a turn ---- */

static void on_flush(void *ctx);

static void gateway_free(struct gateway *gateway)
{
    struct list *link;
    loop_off_turn(gateway->loop, PHASE_ADMIT, on_events, gateway);
    loop_off_turn(gateway->loop, PHASE_WRITE, on_flush, gateway);
    while ((link = list_pop_front(&gateway->pool)))
    {
        struct http_exchange *exchange = CONTAINER_OF(link, struct http_exchange, link);
        http_parse_fini(&exchange->parse);
        buf_fini(&exchange->answer);
        free(exchange);
    }
    while ((link = list_pop_front(&gateway->listeners)))
        free(CONTAINER_OF(link, struct gateway_listener, link));
    free(gateway);
}

static void on_flush(void *ctx)
{
    struct gateway *gateway = ctx;
    struct list *link;
    while ((link = list_pop_front(&gateway->dirty)))
        conn_flush(CONTAINER_OF(link, struct http_conn, dirty_link));
    if (gateway->stats.connections) return;
    if (gateway->draining && gateway->on_drained)
    {
        void (*on_drained)(void *ctx) = gateway->on_drained;
        gateway->on_drained = NULL;
        loop_timer_stop(&gateway->drain_timer);
        on_drained(gateway->on_drained_ctx); /* may close, which is looked at below */
    }
    if (gateway->closing && gateway->stats.exchanges == 0)
    {
        void (*on_closed)(void *ctx) = gateway->on_closed;
        void *on_closed_ctx = gateway->on_closed_ctx;
        gateway_free(gateway);
        if (on_closed) on_closed(on_closed_ctx);
    }
}

void gateway_check_end(struct gateway *gateway)
{
    if (gateway->draining || gateway->closing) loop_want(gateway->loop, PHASE_WRITE);
}

/* ---- listeners ---- */

static void on_accept(void *ctx, struct stream *stream)
{
    struct gateway_listener *listener = ctx;
    struct gateway *gateway = listener->gateway;
    if (gateway->draining || gateway->closing)
    {
        stream_close(stream);
        return;
    }
    uint32_t open = gateway->stats.connections;
    bool refused = open >= gateway->limits.connections_max;
    if (refused) gateway->stats.refused++;
    if (open >= gateway->limits.connections_max + REFUSED_CONNECTIONS_MAX)
        stream_close(stream);
    else
        conn_open(listener, stream, refused);
}

static struct gateway_listener *listener_create(struct gateway *gateway, gateway_on_request_fn on_request,
                                                void *ctx)
{
    CHECK(!gateway->draining && !gateway->closing);
    struct gateway_listener *listener = mem_zalloc(sizeof *listener);
    listener->gateway = gateway;
    listener->on_request = on_request;
    listener->ctx = ctx;
    list_push_back(&gateway->listeners, &listener->link);
    return listener;
}

static enum status listener_settle(struct gateway_listener *listener, enum status status)
{
    if (status != STATUS_OK)
    {
        list_remove(&listener->link);
        free(listener);
    }
    return status;
}

enum status gateway_listen_tcp(struct gateway *gateway, const char *host, unsigned port,
                               gateway_on_request_fn on_request, void *ctx, const char **address,
                               struct err *err)
{
    struct gateway_listener *listener = listener_create(gateway, on_request, ctx);
    enum status status =
        stream_listen_tcp(gateway->loop, host, port, on_accept, listener, &listener->listener, err);
    if (status == STATUS_OK && address) *address = stream_listener_address(listener->listener);
    return listener_settle(listener, status);
}

enum status gateway_listen_unix(struct gateway *gateway, const char *path, unsigned mode,
                                gateway_on_request_fn on_request, void *ctx, struct err *err)
{
    struct gateway_listener *listener = listener_create(gateway, on_request, ctx);
    return listener_settle(listener, stream_listen_unix(gateway->loop, path, mode, on_accept, listener,
                                                        &listener->listener, err));
}

void gateway_serve(struct gateway *gateway, struct stream *stream, gateway_on_request_fn on_request,
                   void *ctx)
{
    LIST_FOREACH(link, &gateway->listeners)
    {
        struct gateway_listener *known = CONTAINER_OF(link, struct gateway_listener, link);
        if (known->on_request == on_request && known->ctx == ctx)
        {
            on_accept(known, stream);
            return;
        }
    }
    on_accept(listener_create(gateway, on_request, ctx), stream);
}

/* Connections refer to their gateway_listener: it stays until the end. */
static void listeners_close(struct gateway *gateway)
{
    LIST_FOREACH(link, &gateway->listeners)
    {
        struct gateway_listener *listener = CONTAINER_OF(link, struct gateway_listener, link);
        stream_listener_close(listener->listener);
        listener->listener = NULL;
    }
}

/* ---- life ---- */

#define DEFAULT_TO(value, fallback) ((value) ? (value) : (fallback))

static struct gateway_limits limits_fill(const struct gateway_limits *given)
{
    return (struct gateway_limits){
        .header_bytes_max = DEFAULT_TO(given->header_bytes_max, BOUND_HTTP_HEADER_BYTES_MAX),
        .header_count_max = DEFAULT_TO(given->header_count_max, BOUND_HTTP_HEADER_COUNT_MAX),
        .target_bytes_max = DEFAULT_TO(given->target_bytes_max, BOUND_HTTP_TARGET_BYTES_MAX),
        .body_bytes_max = DEFAULT_TO(given->body_bytes_max, BOUND_HTTP_BODY_BYTES_MAX),
        .bodies_bytes_max = DEFAULT_TO(given->bodies_bytes_max, BOUND_HTTP_BODIES_BYTES_MAX),
        .connections_max = DEFAULT_TO(given->connections_max, BOUND_HTTP_CONNECTIONS_MAX),
        .pipeline_max = DEFAULT_TO(given->pipeline_max, BOUND_HTTP_PIPELINE_MAX),
        .head_timeout_ms = DEFAULT_TO(given->head_timeout_ms, BOUND_HTTP_HEAD_TIMEOUT_MS),
        .body_timeout_ms = DEFAULT_TO(given->body_timeout_ms, BOUND_HTTP_BODY_TIMEOUT_MS),
        .idle_timeout_ms = DEFAULT_TO(given->idle_timeout_ms, BOUND_HTTP_IDLE_TIMEOUT_MS),
        .write_timeout_ms = DEFAULT_TO(given->write_timeout_ms, BOUND_HTTP_WRITE_TIMEOUT_MS),
        .refusals_per_s = DEFAULT_TO(given->refusals_per_s, BOUND_HTTP_REFUSALS_PER_S),
        .refusals_burst = DEFAULT_TO(given->refusals_burst, BOUND_HTTP_REFUSALS_BURST),
    };
}

static void on_drain_over(struct loop_timer *timer, void *ctx);

enum status gateway_open(struct gateway **out, const struct gateway_config *config, struct err *err)
{
    struct gateway *gateway = mem_zalloc(sizeof *gateway);
    struct gateway_limits limits = limits_fill(&config->limits);
    if (limits.target_bytes_max > BOUND_HTTP_TARGET_BYTES_MAX)
    {
        free(gateway);
        return err_set(err, STATUS_CONFIG_INVALID, "the limit of path and query is at most %llu bytes",
                       (unsigned long long)BOUND_HTTP_TARGET_BYTES_MAX);
    }
    gateway->loop = config->loop;
    gateway->limits = limits;
    gateway->parse_limits = (struct http_parse_limits){limits.header_bytes_max, limits.header_count_max,
                                                       limits.target_bytes_max, limits.body_bytes_max};
    gateway->clock_ns[CLOCK_IDLE] = limits.idle_timeout_ms * NS_PER_MS;
    gateway->clock_ns[CLOCK_HEAD] = limits.head_timeout_ms * NS_PER_MS;
    gateway->clock_ns[CLOCK_BODY] = limits.body_timeout_ms * NS_PER_MS;
    gateway->clock_ns[CLOCK_WRITE] = limits.write_timeout_ms * NS_PER_MS;
    gateway->clock_ns[CLOCK_LINGER] = BOUND_HTTP_LINGER_MS * NS_PER_MS;
    for (int clock = 0; clock < CLOCK_COUNT; clock++) list_init(&gateway->clocks[clock]);
    list_init(&gateway->listeners);
    list_init(&gateway->conns);
    list_init(&gateway->dirty);
    list_init(&gateway->events);
    list_init(&gateway->pool);
    list_init(&gateway->paced);
    loop_timer_init(&gateway->alarm, on_alarm, gateway);
    loop_timer_init(&gateway->pace_timer, on_pace, gateway);
    loop_timer_init(&gateway->drain_timer, on_drain_over, gateway);
    loop_on_turn(gateway->loop, PHASE_ADMIT, on_events, gateway);
    loop_on_turn(gateway->loop, PHASE_WRITE, on_flush, gateway);
    *out = gateway;
    return STATUS_OK;
}

static void conns_cut(struct gateway *gateway)
{
    LIST_FOREACH(link, &gateway->conns)
    {
        conn_cut(CONTAINER_OF(link, struct http_conn, link));
    }
}

static void on_drain_over(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    conns_cut(ctx);
}

void gateway_drain(struct gateway *gateway, uint64_t timeout_ms, void (*on_drained)(void *ctx), void *ctx)
{
    CHECK(!gateway->draining && !gateway->closing);
    gateway->draining = true;
    gateway->on_drained = on_drained;
    gateway->on_drained_ctx = ctx;
    listeners_close(gateway);
    LIST_FOREACH(link, &gateway->conns)
    {
        conn_drain(CONTAINER_OF(link, struct http_conn, link));
    }
    loop_timer_start(gateway->loop, &gateway->drain_timer, timeout_ms, 0);
    gateway_check_end(gateway);
}

void gateway_close(struct gateway *gateway, void (*on_closed)(void *ctx), void *ctx)
{
    CHECK(!gateway->closing);
    gateway->closing = true;
    gateway->on_drained = NULL;
    gateway->on_closed = on_closed;
    gateway->on_closed_ctx = ctx;
    listeners_close(gateway);
    conns_cut(gateway);
    loop_timer_stop(&gateway->drain_timer);
    loop_timer_stop(&gateway->alarm);
    loop_timer_stop(&gateway->pace_timer);
    gateway_check_end(gateway);
}

void gateway_stats(const struct gateway *gateway, struct gateway_stats *stats)
{
    *stats = gateway->stats;
}
