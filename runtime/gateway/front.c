/* front.c - from an exchange to an invocation and back. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/front.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/list.h"
#include "runtime/gateway/gateway.h"
#include "runtime/gateway/routes.h"
#include "runtime/gateway/sockets.h"

struct front {
    struct router *router;
    bool (*channel)(void *ctx, struct http_exchange *exchange, struct slice app, struct slice channel);
    void *channel_ctx;
    struct sockets *sockets;
    void (*metrics)(void *ctx, struct buf *text);
    void *metrics_ctx;
    struct routes *routes;
    struct route_match match; /* of the request at hand; large, so not on the stack */
    struct err err;
    bool ready;
};

/* One request that has become an invocation. */
struct call {
    struct http_exchange *exchange;
    struct invoke_stream stream;
    bool streaming; /* the answer has begun */
    bool ending; /* the outcome is there; the last piece waits for room */
    struct invocation *asking; /* has to hear about `piece`; NULL: nobody */
    uint32_t ask; /* its number for that */
    struct buf piece; /* waits for room */
    struct invoke_request request;
    struct wire_headers headers;
    uint8_t entity[]; /* a copy: the match is reused for the next request */
};

struct front *front_create(const struct front_config *config)
{
    struct front *front = mem_zalloc(sizeof *front);
    front->router = config->router;
    front->channel = config->channel;
    front->channel_ctx = config->channel_ctx;
    front->sockets = config->sockets;
    front->metrics = config->metrics;
    front->metrics_ctx = config->metrics_ctx;
    front->routes = routes_create();
    return front;
}

void front_destroy(struct front *front)
{
    if (!front) return;
    routes_destroy(front->routes);
    free(front);
}

void front_set_routes(struct front *front, struct routes *routes)
{
    routes_destroy(front->routes);
    front->routes = routes;
}

const struct routes *front_routes(const struct front *front)
{
    return front->routes;
}

void front_set_ready(struct front *front, bool ready)
{
    front->ready = ready;
}

/* ---- outcome -> answer ---- */

static void fail(struct http_exchange *exchange, enum status status, const char *message,
                 const char *invocation, const char *allow)
{
    struct http_failure failure = {
        .status = status,
        .message = message,
        .invocation = invocation,
        .allow = allow,
    };
    http_fail(exchange, &failure);
}

static void call_free(struct call *call)
{
    buf_fini(&call->piece);
    free(call);
}

/* ---- streamed replies ---- */

static void answer_piece(struct call *call, enum status status)
{
    struct invocation *asking = call->asking;
    call->asking = NULL;
    if (asking)
        invocation_answer(asking, &(struct wire_answer){
                                      .ask = call->ask,
                                      .status = status,
                                      .failure = slice_cstr(status == STATUS_OK ? "" : status_text(status)),
                                  });
}

static void stream_end(struct call *call)
{
    http_stream_end(call->exchange);
    call_free(call);
}

/* The piece that found no room. */
static void on_stream_room(void *ctx)
{
    struct call *call = ctx;
    enum status status = http_stream_chunk(call->exchange, buf_view(&call->piece));
    if (status == STATUS_OVERLOADED) return; /* it comes again */
    buf_fini(&call->piece);
    if (call->ending)
        stream_end(call);
    else
        answer_piece(call, status);
}

static void on_stream_gone(void *ctx)
{
    struct call *call = ctx;
    if (call->ending)
        stream_end(call);
    else
        answer_piece(call, STATUS_CANCELED);
}

/* True when `bytes` are on their way or lost; false: they wait for room. */
static bool stream_send(struct call *call, struct slice bytes, enum status *status)
{
    *status = STATUS_OVERLOADED;
    if (call->piece.size == 0) *status = http_stream_chunk(call->exchange, bytes);
    if (*status != STATUS_OVERLOADED) return true;
    buf_append(&call->piece, bytes);
    return false;
}

/* "name: value" lines; what is not valid in them the gateway leaves out. */
static size_t stream_headers(struct slice lines, struct http_header headers[], size_t max)
{
    size_t count = 0;
    const char *at = lines.data, *end = at + lines.size;
    while (at < end && count < max)
    {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) break;
        const char *colon = memchr(at, ':', (size_t)(stop - at));
        if (colon && stop - colon >= 2)
            headers[count++] = (struct http_header){slice_make(at, (size_t)(colon - at)),
                                                    slice_make(colon + 2, (size_t)(stop - colon - 2))};
        at = stop + 1;
    }
    return count;
}

static bool stream_begin(struct call *call, struct invocation *invocation, const struct wire_ask *first)
{
    static const struct http_stream_events events = {.on_room = on_stream_room};
    if (first->number < 200 || first->number > 599) return false;
    struct http_header headers[WIRE_HEADERS_MAX + 1];
    size_t count = stream_headers(first->key, headers, WIRE_HEADERS_MAX);
    headers[count++] =
        (struct http_header){SLICE("Stead-Invocation"), slice_cstr(invocation_ident(invocation))};
    http_stream_begin(call->exchange, (int)first->number, headers, count);
    http_stream_watch(call->exchange, &events, call);
    http_exchange_on_abort(call->exchange, on_stream_gone, call);
    call->streaming = true;
    return true;
}

static void on_piece(struct invoke_stream *stream, struct invocation *invocation, const struct wire_ask *ask)
{
    struct call *call = CONTAINER_OF(stream, struct call, stream);
    enum status status = STATUS_FUNCTION_PROTOCOL;
    bool due = call->asking != NULL; /* no handler asks before it has its answer */
    if (due || (!call->streaming && !stream_begin(call, invocation, ask)))
    {
        invocation_answer(invocation,
                          &(struct wire_answer){.ask = ask->ask,
                                                .status = status,
                                                .failure = SLICE("this piece cannot be streamed")});
        return;
    }
    call->asking = invocation;
    call->ask = ask->ask;
    if (stream_send(call, ask->body, &status)) answer_piece(call, status);
}

static void on_stream_over(struct invoke_stream *stream)
{
    struct call *call = CONTAINER_OF(stream, struct call, stream);
    call->asking = NULL;
}

/* The end of a streamed reply: with what the handler replied after its last piece, or broken off. */
static void on_stream_outcome(struct call *call, const struct outcome *outcome)
{
    enum status status;
    if (outcome->status != STATUS_OK)
    {
        http_stream_cut(call->exchange);
        call_free(call);
        return;
    }
    call->ending = true;
    if (stream_send(call, outcome->body, &status)) stream_end(call);
}

static void on_outcome(void *ctx, const struct outcome *outcome)
{
    struct call *call = ctx;
    if (call->streaming)
    {
        on_stream_outcome(call, outcome);
        return;
    }
    if (outcome->status != STATUS_OK)
    {
        http_fail(call->exchange, &(struct http_failure){
                                      .status = outcome->status,
                                      .http_status = (int)outcome->http_status,
                                      .message = outcome->message,
                                      .invocation = outcome->ident,
                                      .retry_after_s = outcome->retry_after_s,
                                  });
        call_free(call);
        return;
    }
    struct http_header headers[WIRE_HEADERS_MAX + 2];
    size_t count = 0;
    for (size_t i = 0; i < outcome->headers->count; i++)
    {
        const struct wire_header *from = &outcome->headers->items[i];
        headers[count++] = (struct http_header){from->name, from->value};
    }
    headers[count++] = (struct http_header){SLICE("Stead-Invocation"), slice_cstr(outcome->ident)};
    if (outcome->remembered)
        headers[count++] = (struct http_header){SLICE("Idempotency-Replayed"), SLICE("true")};
    http_reply(call->exchange, (int)outcome->http_status, headers, count, outcome->body);
    call_free(call);
}

/* ---- request -> invocation ---- */

void front_invoke(struct front *front, struct http_exchange *exchange, struct slice app,
                  struct slice function, struct slice entity)
{
    const struct http_request *http = http_exchange_request(exchange);
    struct call *call = mem_alloc(sizeof *call + entity.size);
    memset(call, 0, offsetof(struct call, request)); /* the rest is large, and set below */
    call->exchange = exchange;
    call->stream = (struct invoke_stream){.piece = on_piece, .over = on_stream_over};
    if (entity.size) memcpy(call->entity, entity.data, entity.size);
    call->headers.count = 0;
    for (size_t i = 0; i < http->header_count && i < WIRE_HEADERS_MAX; i++)
        call->headers.items[call->headers.count++] =
            (struct wire_header){http->headers[i].name, http->headers[i].value};
    call->request = (struct invoke_request){
        .entity = slice_make(call->entity, entity.size),
        .method = http->method,
        .path = http->path,
        .query = http->query,
        .headers = &call->headers,
        .body = http->body,
        .idempotency_key = http_request_header(http, "idempotency-key"),
        .has_idempotency_key = http_request_header(http, "idempotency-key").data != NULL,
        .stream = &call->stream,
    };
    enum status status =
        router_invoke(front->router, app, function, &call->request, on_outcome, call, &front->err);
    if (status != STATUS_OK)
    {
        call_free(call);
        fail(exchange, status, err_text(&front->err), NULL, NULL);
    }
}

static void answer_health(struct http_exchange *exchange, bool good, const char *words)
{
    struct http_header type = {SLICE("Content-Type"), SLICE("text/plain; charset=utf-8")};
    http_reply(exchange, good ? 200 : 503, &type, 1, slice_cstr(words));
}

static void answer_metrics(const struct front *front, struct http_exchange *exchange)
{
    struct buf text = BUF_INIT;
    front->metrics(front->metrics_ctx, &text);
    struct http_header type = {SLICE("Content-Type"), SLICE("text/plain; version=0.0.4; charset=utf-8")};
    http_reply(exchange, 200, &type, 1, buf_view(&text));
    buf_fini(&text);
}

/* Is `method` a word of the list "GET, POST"? */
static bool method_listed(const char *list, struct slice method)
{
    for (const char *word = list; *word;)
    {
        size_t size = strcspn(word, ",");
        if (slice_equal(slice_make(word, size), method)) return true;
        word += size;
        word += strspn(word, ", ");
    }
    return false;
}

/* The methods that the function takes under its own name, when this is not one of them; else NULL. */
static const char *methods_instead(const struct front *front, struct slice method)
{
    const struct route_match *match = &front->match;
    if (match->own) return NULL;
    const struct invoke_function *function =
        router_function(front->router, slice_cstr(match->app), slice_cstr(match->function));
    return function && function->methods[0] && !method_listed(function->methods, method) ? function->methods
                                                                                         : NULL;
}

static struct slice cut_segment(struct slice *path)
{
    const char *text = path->data, *slash = path->size ? memchr(text, '/', path->size) : NULL;
    struct slice segment = slice_make(text, slash ? (size_t)(slash - text) : path->size);
    size_t skip = segment.size + (slash != NULL);
    *path = slice_make(text + skip, path->size - skip);
    return segment;
}

/* /{app}/channels/{channel}, names that need no decoding. */
static bool channel_path(struct slice path, struct slice *app, struct slice *channel)
{
    (void)cut_segment(&path); /* what is before the first slash: nothing */
    *app = cut_segment(&path);
    if (!slice_is(cut_segment(&path), "channels")) return false;
    *channel = path;
    return app->size > 0 && path.size > 0 && !memchr(path.data, '/', path.size);
}

void front_on_request(void *ctx, struct http_exchange *exchange)
{
    struct front *front = ctx;
    const struct http_request *http = http_exchange_request(exchange);
    if (slice_is(http->path, "/healthz"))
    {
        answer_health(exchange, true, "ok\n");
        return;
    }
    if (slice_is(http->path, "/readyz"))
    {
        answer_health(exchange, front->ready, front->ready ? "ready\n" : "not ready\n");
        return;
    }
    if (slice_is(http->path, "/metrics"))
    {
        answer_metrics(front, exchange);
        return;
    }
    struct slice app, channel;
    bool to_channel = front->channel && channel_path(http->path, &app, &channel);
    if (to_channel && front->channel(front->channel_ctx, exchange, app, channel)) return;
    struct route_match *match = &front->match;
    enum status status = routes_match(front->routes, http->method, http->path, match, &front->err);
    if (to_channel && status == STATUS_FUNCTION_NOT_FOUND)
        status = err_set(&front->err, STATUS_CHANNEL_NOT_FOUND, "app '%.*s' has no channel '%.*s'",
                         SLICE_FMT(app), SLICE_FMT(channel));
    if (status != STATUS_OK)
    {
        fail(exchange, status, err_text(&front->err), NULL,
             status == STATUS_METHOD_NOT_ALLOWED ? match->allow : NULL);
        return;
    }
    if (match->socket)
    {
        sockets_open(front->sockets, exchange, match);
        return;
    }
    const char *allow = methods_instead(front, http->method);
    if (allow)
    {
        (void)err_set(&front->err, STATUS_METHOD_NOT_ALLOWED, "function '%s' takes %s, not %.*s",
                      match->function, allow, SLICE_FMT(http->method));
        fail(exchange, STATUS_METHOD_NOT_ALLOWED, err_text(&front->err), NULL, allow);
        return;
    }
    front_invoke(front, exchange, slice_cstr(match->app), slice_cstr(match->function), match->entity);
}
