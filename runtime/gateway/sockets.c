/* sockets.c - from frames to invocations, from replies and pushes to frames; and who belongs to whom. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/base/map.h"
#include "runtime/gateway/gateway.h"
#include "runtime/gateway/reply.h"
#include "runtime/gateway/routes.h"
#include "runtime/gateway/ws.h"
#include "runtime/loop/loop.h"

enum {
    ID_BYTES = 16,
    FEED_BYTES = 1024, /* at once: the queue may exceed its limit by what these hold */
    CODE_TEXT_BYTES = 12,
    OWN_HEADERS_MAX = 4,
};

/* The connections of an entity, or of an app. */
struct group {
    struct list members;
    size_t count;
};

enum event_kind { EVENT_OPEN, EVENT_MESSAGE, EVENT_CLOSE };

/* What a function is to be told. */
struct event {
    struct list link;
    enum event_kind kind;
    bool is_text;
    char code[CODE_TEXT_BYTES]; /* of a close */
    size_t size;
    uint8_t bytes[];
};

/* The headers of the handshake, until its invocation has ended. */
struct handshake {
    struct wire_header items[WIRE_HEADERS_MAX - OWN_HEADERS_MAX];
    size_t count;
    char bytes[];
};

/* The invocation of the event at hand. */
struct run {
    struct socket *socket;
    struct event *event;
    struct invoke_request request;
    struct wire_headers headers;
};

struct socket {
    struct sockets *sockets;
    struct http_exchange *exchange; /* NULL: the connection is over */
    struct ws *ws;
    char id[2 * ID_BYTES + 1];
    struct slice app, function, entity, path, query; /* in `texts` */
    char *texts;
    struct handshake *handshake;
    struct list app_link, entity_link;
    struct buf unread; /* arrived and not looked at, while the queue is full */
    struct buf unsent; /* what the gateway has no room for */
    struct list events;
    size_t event_count, event_bytes;
    struct run *run; /* NULL: none under way */
    struct loop_timer timer;
    uint64_t heard_ns; /* when the client last sent something */
    uint64_t controls_since_ns;
    uint32_t controls; /* pings and pongs of this second */
};

struct sockets {
    struct loop *loop;
    struct router *router;
    struct map by_id;
    struct map groups; /* "app" and "app/entity" */
    struct sockets_stats stats;
    struct err err;
};

static void socket_pump(struct socket *socket);

/* ---- groups ---- */

static void group_key(struct buf *key, struct slice app, struct slice entity, bool of_app)
{
    buf_append(key, app);
    if (of_app) return;
    buf_append_byte(key, '/');
    buf_append(key, entity);
}

static struct group *group_find(struct sockets *sockets, struct slice app, struct slice entity, bool of_app)
{
    struct buf key = BUF_INIT;
    group_key(&key, app, entity, of_app);
    struct group *group = map_get(&sockets->groups, buf_view(&key));
    buf_fini(&key);
    return group;
}

static void group_join(struct socket *socket, struct list *link, bool of_app)
{
    struct sockets *sockets = socket->sockets;
    struct group *group = group_find(sockets, socket->app, socket->entity, of_app);
    if (!group)
    {
        struct buf key = BUF_INIT;
        group_key(&key, socket->app, socket->entity, of_app);
        group = mem_zalloc(sizeof *group);
        list_init(&group->members);
        (void)map_put(&sockets->groups, buf_view(&key), group); /* there was none */
        buf_fini(&key);
    }
    list_push_back(&group->members, link);
    group->count++;
}

static void group_leave(struct socket *socket, struct list *link, bool of_app)
{
    struct group *group = group_find(socket->sockets, socket->app, socket->entity, of_app);
    list_remove(link);
    if (--group->count > 0) return;
    struct buf key = BUF_INIT;
    group_key(&key, socket->app, socket->entity, of_app);
    free(map_remove(&socket->sockets->groups, buf_view(&key)));
    buf_fini(&key);
}

/* ---- events ---- */

static struct event *event_add(struct socket *socket, enum event_kind kind, struct slice body)
{
    struct event *event = mem_alloc(sizeof *event + body.size);
    *event = (struct event){.kind = kind, .size = body.size};
    if (body.size) memcpy(event->bytes, body.data, body.size);
    list_push_back(&socket->events, &event->link);
    socket->event_count++;
    socket->event_bytes += body.size;
    return event;
}

static bool queue_is_full(const struct socket *socket)
{
    return socket->event_count >= BOUND_SOCKET_QUEUE_MESSAGES_MAX ||
           socket->event_bytes >= BOUND_MESSAGE_BYTES_MAX;
}

/* ---- the end ---- */

static void socket_free(struct socket *socket)
{
    if (socket->exchange || socket->run || !list_empty(&socket->events)) return;
    ws_destroy(socket->ws);
    buf_fini(&socket->unread);
    buf_fini(&socket->unsent);
    free(socket->handshake);
    free(socket->texts);
    free(socket);
}

/* The connection is over: nobody finds it any more, and its function hears of it. Frees it, unless a run is under way. */
static void socket_left(struct socket *socket)
{
    struct sockets *sockets = socket->sockets;
    http_stream_end(socket->exchange);
    socket->exchange = NULL;
    sockets->stats.open--;
    loop_timer_stop(&socket->timer);
    (void)map_remove(&sockets->by_id, slice_cstr(socket->id));
    group_leave(socket, &socket->app_link, true);
    group_leave(socket, &socket->entity_link, false);
    struct event *event = event_add(socket, EVENT_CLOSE, ws_close_reason(socket->ws));
    snprintf(event->code, sizeof event->code, "%u", ws_close_code(socket->ws));
    socket_pump(socket);
}

static void on_gone(void *ctx)
{
    socket_left(ctx);
}

/* ---- out ---- */

/* Hands on what there is to say. False when the connection has ended by that: the socket may be gone. */
static bool socket_flush(struct socket *socket)
{
    struct buf *out = ws_out(socket->ws);
    enum status status = STATUS_OVERLOADED;
    if (out->size > 0)
    {
        if (socket->unsent.size == 0) status = http_stream_chunk(socket->exchange, buf_view(out));
        if (status == STATUS_OVERLOADED) buf_append(&socket->unsent, buf_view(out));
        buf_fini(out);
    }
    bool too_slow = socket->unsent.size > BOUND_SOCKET_UNSENT_BYTES_MAX;
    socket->sockets->stats.overflowed += too_slow;
    if (!too_slow && (!ws_is_closed(socket->ws) || socket->unsent.size > 0)) return true;
    socket_left(socket);
    return false;
}

static bool socket_close(struct socket *socket, unsigned code, const char *reason)
{
    ws_close(socket->ws, code, reason);
    return socket_flush(socket);
}

static bool socket_send(struct socket *socket, bool is_text, struct slice body)
{
    socket->sockets->stats.messages_out++;
    ws_send(socket->ws, is_text && ws_is_utf8(body), body);
    return socket_flush(socket);
}

static void on_room(void *ctx)
{
    struct socket *socket = ctx;
    if (socket->unsent.size == 0) return;
    if (http_stream_chunk(socket->exchange, buf_view(&socket->unsent)) == STATUS_OVERLOADED) return;
    buf_fini(&socket->unsent);
    (void)socket_flush(socket); /* nothing follows */
}

static void on_drain(void *ctx)
{
    (void)socket_close(ctx, WS_CODE_GOING_AWAY, "the node is stopping");
}

/* ---- in ---- */

static void on_message(void *ctx, bool is_text, struct slice body)
{
    struct socket *socket = ctx;
    socket->sockets->stats.messages_in++;
    event_add(socket, EVENT_MESSAGE, body)->is_text = is_text;
}

static void on_control(void *ctx)
{
    struct socket *socket = ctx;
    if (socket->heard_ns - socket->controls_since_ns >= NS_PER_S)
    {
        socket->controls_since_ns = socket->heard_ns;
        socket->controls = 0;
    }
    socket->controls++;
}

/* Looks at what has arrived as long as its function has room for it; the rest stays with the client. */
static void socket_read(struct socket *socket)
{
    while (socket->unread.size > 0 && !queue_is_full(socket))
    {
        size_t size = socket->unread.size < FEED_BYTES ? socket->unread.size : FEED_BYTES;
        ws_feed(socket->ws, slice_make(socket->unread.data, size));
        buf_consume(&socket->unread, size);
        bool wrong = ws_is_closed(socket->ws) && ws_close_code(socket->ws) != WS_CODE_NORMAL &&
                     ws_close_code(socket->ws) != WS_CODE_GOING_AWAY &&
                     ws_close_code(socket->ws) != WS_CODE_NONE;
        if (socket->controls > BOUND_SOCKET_CONTROLS_PER_S && !ws_is_closed(socket->ws))
        {
            wrong = true;
            ws_close(socket->ws, WS_CODE_POLICY, "too many pings");
        }
        socket->sockets->stats.protocol_errors += wrong;
        if (!socket_flush(socket)) return;
        if (ws_is_closed(socket->ws)) buf_fini(&socket->unread); /* it only waits for its goodbye to leave */
    }
    if (socket->unread.size == 0)
    {
        buf_fini(&socket->unread); /* an idle connection keeps nothing */
        http_tunnel_read_start(socket->exchange);
    }
    else
        http_tunnel_read_stop(socket->exchange);
    socket_pump(socket);
}

static void on_bytes(void *ctx, struct slice bytes)
{
    struct socket *socket = ctx;
    socket->heard_ns = loop_now_ns(socket->sockets->loop);
    if (ws_is_closed(socket->ws)) return;
    buf_append(&socket->unread, bytes);
    socket_read(socket);
}

/* Is anybody there? A client that we do not read from cannot answer. */
static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct socket *socket = ctx;
    struct sockets *sockets = socket->sockets;
    uint64_t silent_ms = (loop_now_ns(sockets->loop) - socket->heard_ns) / NS_PER_MS;
    if (silent_ms >= 2 * BOUND_SOCKET_PING_MS && socket->unread.size == 0)
    {
        sockets->stats.silent++;
        socket_left(socket);
        return;
    }
    loop_timer_start(sockets->loop, timer, BOUND_SOCKET_PING_MS, 0);
    if (silent_ms < BOUND_SOCKET_PING_MS) return;
    ws_ping(socket->ws);
    (void)socket_flush(socket); /* nothing follows */
}

/* ---- invocations ---- */

static void header_add(struct wire_headers *headers, const char *name, struct slice value)
{
    headers->items[headers->count++] = (struct wire_header){slice_cstr(name), value};
}

static void run_fill(struct run *run)
{
    static const char *const kinds[] = {"open", "message", "close"};
    struct socket *socket = run->socket;
    const struct event *event = run->event;
    struct wire_headers *headers = &run->headers;
    /* First, so that they are found and not what a client has sent under these names. */
    header_add(headers, "stead-connection", slice_cstr(socket->id));
    header_add(headers, "stead-event", slice_cstr(kinds[event->kind]));
    if (event->kind == EVENT_MESSAGE)
        header_add(headers, "stead-message", event->is_text ? SLICE("text") : SLICE("binary"));
    if (event->kind == EVENT_CLOSE) header_add(headers, "stead-close-code", slice_cstr(event->code));
    for (size_t i = 0; event->kind == EVENT_OPEN && i < socket->handshake->count; i++)
        headers->items[headers->count++] = socket->handshake->items[i];
    run->request = (struct invoke_request){
        .origin = WIRE_ORIGIN_SOCKET,
        .entity = socket->entity,
        .path = socket->path,
        .query = socket->query,
        .headers = headers,
        .body = slice_make(event->bytes, event->size),
    };
}

static bool is_text_reply(const struct wire_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++)
    {
        if (!slice_is(headers->items[i].name, "content-type")) continue;
        return slice_starts_with(headers->items[i].value, SLICE("text/")) ||
               slice_starts_with(headers->items[i].value, SLICE("application/json"));
    }
    return true;
}

/* Tells the client of a failure; one at the beginning is the end. */
static bool tell_failure(struct socket *socket, enum event_kind kind, const struct outcome *outcome)
{
    struct buf body = BUF_INIT;
    reply_error_body_append(&body, outcome->status, outcome->message, outcome->ident);
    bool lives = socket_send(socket, true, buf_view(&body));
    buf_fini(&body);
    if (!lives || kind != EVENT_OPEN) return lives;
    unsigned code = outcome->status == STATUS_FUNCTION_ERROR ? WS_CODE_POLICY
                    : status_retryable(outcome->status)      ? WS_CODE_LATER
                                                             : WS_CODE_FAILED;
    return socket_close(socket, code, outcome->message);
}

/* The event has been dealt with. False: the socket may be gone. */
static bool run_end(struct run *run, const struct outcome *outcome)
{
    struct socket *socket = run->socket;
    struct event *event = run->event;
    enum event_kind kind = event->kind;
    socket->run = NULL;
    socket->event_count--;
    socket->event_bytes -= event->size;
    free(event);
    free(run);
    if (kind == EVENT_OPEN)
    {
        free(socket->handshake);
        socket->handshake = NULL;
    }
    if (!socket->exchange || ws_is_closed(socket->ws)) return true;
    if (outcome->status != STATUS_OK) return tell_failure(socket, kind, outcome);
    return outcome->body.size == 0 || socket_send(socket, is_text_reply(outcome->headers), outcome->body);
}

static void on_outcome(void *ctx, const struct outcome *outcome)
{
    struct run *run = ctx;
    struct socket *socket = run->socket;
    if (!run_end(run, outcome)) return;
    if (socket->exchange && !ws_is_closed(socket->ws))
        socket_read(socket); /* there is room, and more to do */
    else
        socket_pump(socket);
}

/* Starts the next invocation, unless one is under way; frees a socket that has nothing left to do. */
static void socket_pump(struct socket *socket)
{
    struct sockets *sockets = socket->sockets;
    while (!socket->run && !list_empty(&socket->events))
    {
        struct run *run = mem_alloc(sizeof *run);
        run->socket = socket;
        run->event = CONTAINER_OF(list_pop_front(&socket->events), struct event, link);
        run->headers.count = 0;
        run_fill(run);
        socket->run = run;
        enum status status = router_invoke(sockets->router, socket->app, socket->function, &run->request,
                                           on_outcome, run, &sockets->err);
        if (status == STATUS_OK) return;
        struct outcome refused = {.status = status, .message = err_text(&sockets->err)};
        if (!run_end(run, &refused)) return;
    }
    socket_free(socket);
}

/* ---- the handshake ---- */

static void refuse(struct http_exchange *exchange, enum status status, int http, const char *words)
{
    http_fail(exchange, &(struct http_failure){.status = status, .http_status = http, .message = words});
}

/* A page of another site must not speak in the name of its visitor: without a list only the own origin may. */
static bool origin_allowed(const struct http_request *request, const char *origins)
{
    struct slice origin = http_request_header(request, "origin");
    if (!origin.data) return true; /* not a browser */
    for (const char *at = origins ? origins : ""; *at;)
    {
        size_t size = strcspn(at, " ");
        if ((size == 1 && *at == '*') || slice_equal(slice_make(at, size), origin)) return true;
        at += size + (at[size] == ' ');
    }
    if (origins) return false;
    const char *text = origin.data, *host = memmem(text, origin.size, "://", 3);
    if (!host) return false;
    host += 3;
    return slice_equal(slice_make(host, origin.size - (size_t)(host - text)),
                       http_request_header(request, "host"));
}

static struct slice keep(char **place, struct slice from)
{
    struct slice kept = slice_make(*place, from.size);
    if (from.size) memcpy(*place, from.data, from.size);
    *place += from.size;
    return kept;
}

static struct handshake *handshake_keep(const struct http_request *request)
{
    size_t bytes = 0;
    for (size_t i = 0; i < request->header_count; i++)
        bytes += request->headers[i].name.size + request->headers[i].value.size;
    struct handshake *handshake = mem_alloc(sizeof *handshake + bytes);
    handshake->count = 0;
    char *place = handshake->bytes;
    for (size_t i = 0; i < request->header_count && i < WIRE_HEADERS_MAX - OWN_HEADERS_MAX; i++)
    {
        struct slice name = keep(&place, request->headers[i].name);
        struct slice value = keep(&place, request->headers[i].value);
        handshake->items[handshake->count++] = (struct wire_header){name, value};
    }
    return handshake;
}

static void id_make(char id[2 * ID_BYTES + 1])
{
    uint8_t bytes[ID_BYTES];
    CHECK(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
    for (int i = 0; i < ID_BYTES; i++) snprintf(id + (size_t)2 * i, 3, "%02x", bytes[i]);
}

static struct socket *socket_create(struct sockets *sockets, const struct http_request *request,
                                    const struct route_match *match)
{
    static const struct ws_events events = {on_message, on_control};
    struct socket *socket = mem_zalloc(sizeof *socket);
    struct slice app = slice_cstr(match->app), function = slice_cstr(match->function);
    socket->sockets = sockets;
    socket->ws = ws_create(BOUND_MESSAGE_BYTES_MAX, &events, socket);
    id_make(socket->id);
    char *place = socket->texts = mem_alloc(app.size + function.size + match->entity.size +
                                            request->path.size + request->query.size + 1);
    socket->app = keep(&place, app);
    socket->function = keep(&place, function);
    socket->entity = keep(&place, match->entity);
    socket->path = keep(&place, request->path);
    socket->query = keep(&place, request->query);
    socket->handshake = handshake_keep(request);
    socket->heard_ns = loop_now_ns(sockets->loop);
    list_init(&socket->events);
    loop_timer_init(&socket->timer, on_timer, socket);
    return socket;
}

void sockets_open(struct sockets *sockets, struct http_exchange *exchange, const struct route_match *match)
{
    static const struct http_stream_events events = {on_room, on_drain, on_bytes};
    const struct http_request *request = http_exchange_request(exchange);
    char accept[WS_ACCEPT_CHARS + 1];
    struct err err = ERR_INIT;
    const struct group *of_app = group_find(sockets, slice_cstr(match->app), SLICE_EMPTY, true);
    if (!ws_is_wanted(request))
        refuse(exchange, STATUS_MALFORMED_REQUEST, 426, "this path is for WebSocket connections");
    else if (ws_accept(request, accept, &err) != STATUS_OK)
        refuse(exchange, err.status, 0, err_text(&err));
    else if (!origin_allowed(request, match->origins))
        refuse(exchange, STATUS_PERMISSION_DENIED, 403, "pages of this origin may not connect");
    else if (of_app && of_app->count >= BOUND_SOCKETS_PER_APP_MAX)
        refuse(exchange, STATUS_OVERLOADED, 0, "the app has no room for another connection");
    else if (!http_can_upgrade(exchange))
        refuse(exchange, STATUS_MALFORMED_REQUEST, 0, "this connection cannot become a WebSocket");
    else
    {
        struct socket *socket = socket_create(sockets, request, match);
        const struct http_header header = {SLICE("Sec-WebSocket-Accept"), slice_cstr(accept)};
        socket->exchange = exchange;
        (void)map_put(&sockets->by_id, slice_cstr(socket->id), socket); /* 128 bits of chance */
        group_join(socket, &socket->app_link, true);
        group_join(socket, &socket->entity_link, false);
        sockets->stats.open++;
        sockets->stats.opened++;
        loop_timer_start(sockets->loop, &socket->timer, BOUND_SOCKET_PING_MS, 0);
        http_exchange_on_abort(exchange, on_gone, socket);
        http_upgrade(exchange, "websocket", &header, 1, &events, socket);
        (void)event_add(socket, EVENT_OPEN, SLICE_EMPTY); /* it is in the queue */
        socket_pump(socket);
    }
}

/* ---- pushes ---- */

void sockets_push(struct sockets *sockets, struct slice app, const struct wire_effect *push)
{
    bool is_text = push->number == 0;
    if (push->name.size > 0)
    {
        struct socket *socket = map_get(&sockets->by_id, push->name);
        if (socket && slice_equal(socket->app, app) && !ws_is_closed(socket->ws))
            (void)socket_send(socket, is_text, push->body); /* nothing follows */
        else
            sockets->stats.pushes_lost++;
        return;
    }
    struct group *group = group_find(sockets, app, push->key, false);
    /* Sending may end a connection, and the last one its group. */
    for (size_t left = group ? group->count : 0; left > 0; left--)
    {
        struct list *link = group->members.next;
        list_remove(link);
        list_push_back(&group->members, link);
        struct socket *socket = CONTAINER_OF(link, struct socket, entity_link);
        if (ws_is_closed(socket->ws))
            sockets->stats.pushes_lost++;
        else
            (void)socket_send(socket, is_text, push->body); /* the next one is not this one */
    }
}

/* ---- life ---- */

struct sockets *sockets_create(const struct sockets_config *config)
{
    struct sockets *sockets = mem_zalloc(sizeof *sockets);
    sockets->loop = config->loop;
    sockets->router = config->router;
    return sockets;
}

void sockets_destroy(struct sockets *sockets)
{
    if (!sockets) return;
    CHECK(sockets->stats.open == 0);
    map_fini(&sockets->by_id);
    map_fini(&sockets->groups);
    free(sockets);
}

void sockets_stats(const struct sockets *sockets, struct sockets_stats *stats)
{
    *stats = sockets->stats;
}
