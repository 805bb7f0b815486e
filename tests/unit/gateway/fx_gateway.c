/* fx_gateway.c - a gateway whose time and clients belong to the test. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/gateway/fx_gateway.h"

static void on_abort(void *ctx)
{
    ((struct fx_gateway *)ctx)->aborts++;
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct fx_gateway *fx = ctx;
    if (fx->handler)
    {
        fx->handler(fx->handler_ctx, exchange);
        return;
    }
    const struct http_request *request = http_exchange_request(exchange);
    fx->requests++;
    buf_append(&fx->seen, request->method);
    buf_append_byte(&fx->seen, ' ');
    buf_append(&fx->seen, request->target);
    buf_append_byte(&fx->seen, ' ');
    buf_append(&fx->seen, request->body);
    buf_append_byte(&fx->seen, '\n');
    if (fx->refuse && slice_is(request->method, "POST"))
    {
        http_fail(exchange, &(struct http_failure){.status = STATUS_RATE_LIMITED});
        return;
    }
    if (!fx->hold)
    {
        http_reply(exchange, 200, NULL, 0, request->body);
        return;
    }
    assert_true(fx->held_count < FX_HELD_MAX);
    fx->held[fx->held_count++] = exchange;
    http_exchange_on_abort(exchange, on_abort, fx);
}

void fx_gateway_init(struct fx_gateway *fx, const struct gateway_limits *limits)
{
    *fx = (struct fx_gateway){0};
    clock_manual_init(&fx->clock, 1700000000000);
    assert_int_equal(loop_create(&fx->loop, &fx->clock.clock, NULL), STATUS_OK);
    struct gateway_config config = {.loop = fx->loop};
    if (limits) config.limits = *limits;
    assert_int_equal(gateway_open(&fx->gateway, &config, NULL), STATUS_OK);
}

static void on_closed(void *ctx)
{
    ((struct fx_gateway *)ctx)->closed = true;
}

void fx_gateway_fini(struct fx_gateway *fx)
{
    for (size_t i = 0; i < fx->held_count; i++)
    {
        if (fx->held[i]) http_reply(fx->held[i], 200, NULL, 0, SLICE_EMPTY);
    }
    if (!fx->closed) gateway_close(fx->gateway, on_closed, fx);
    fx_settle(fx);
    assert_true(fx->closed);
    loop_destroy(fx->loop);
    buf_fini(&fx->seen);
    struct stream_mem **clients = (struct stream_mem **)fx->clients.data;
    for (size_t i = 0; i < fx->clients.size / sizeof *clients; i++) stream_mem_destroy(clients[i]);
    buf_fini(&fx->clients);
}

int fx_gateway_setup(void **state)
{
    struct fx_gateway *fx = mem_zalloc(sizeof *fx);
    fx_gateway_init(fx, NULL);
    *state = fx;
    return 0;
}

int fx_gateway_teardown(void **state)
{
    fx_gateway_fini(*state);
    free(*state);
    return 0;
}

struct stream_mem *fx_connect(struct fx_gateway *fx)
{
    struct stream_mem *client;
    struct stream *stream = stream_mem_open(fx->loop, &client);
    gateway_serve(fx->gateway, stream, on_request, fx);
    buf_append(&fx->clients, slice_make(&client, sizeof client));
    fx_settle(fx);
    return client;
}

void fx_forget(struct fx_gateway *fx, struct stream_mem *client)
{
    struct stream_mem **clients = (struct stream_mem **)fx->clients.data;
    size_t place = 0;
    while (clients[place] != client) place++;
    fx->clients.size -= sizeof client;
    clients[place] = clients[fx->clients.size / sizeof client];
    stream_mem_destroy(client);
}

void fx_settle(struct fx_gateway *fx)
{
    /* Each turn moves at least one byte of what is under way; the tests move a few thousand. */
    for (int quiet = 0; quiet < 8; quiet++)
    {
        struct gateway_stats before, after;
        if (fx->closed)
        {
            loop_turn(fx->loop, false);
            continue;
        }
        gateway_stats(fx->gateway, &before);
        loop_turn(fx->loop, false);
        if (fx->closed) continue;
        gateway_stats(fx->gateway, &after);
        if (memcmp(&before, &after, sizeof before) != 0) quiet = 0;
    }
}

void fx_advance_ms(struct fx_gateway *fx, uint64_t ms)
{
    clock_manual_advance(&fx->clock, ms * NS_PER_MS);
    fx_settle(fx);
}

void fx_send(struct fx_gateway *fx, struct stream_mem *client, const char *text)
{
    stream_mem_send(client, slice_cstr(text));
    fx_settle(fx);
}

const char *fx_received(struct stream_mem *client)
{
    struct buf *received = stream_mem_received(client);
    const char *text = buf_cstr(received);
    buf_reset(received); /* the bytes stay where they are until the next write */
    return text;
}

void fx_answer(struct fx_gateway *fx, size_t index, const char *body)
{
    assert_non_null(fx->held[index]);
    http_reply(fx->held[index], 200, NULL, 0, slice_cstr(body));
    fx->held[index] = NULL;
    fx_settle(fx);
}

size_t fx_count(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part))) text += strlen(part), count++;
    return count;
}
