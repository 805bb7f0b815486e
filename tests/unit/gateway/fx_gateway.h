/* fx_gateway.h - fixture: a gateway on a manual clock whose clients are in memory and whose handler is scripted. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/clock.h"
#include "runtime/gateway/gateway.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/stream_mem.h"

enum { FX_HELD_MAX = 256 };

struct fx_gateway {
    struct clock_manual clock;
    struct loop *loop;
    struct gateway *gateway;
    /* Takes requests in place of the fixture; NULL: see `hold`. */
    void (*handler)(void *ctx, struct http_exchange *exchange);
    void *handler_ctx;
    bool hold; /* the handler keeps exchanges in `held`; else it answers 200 with the body at once */
    bool refuse; /* it refuses POST as RATE_LIMITED */
    struct http_exchange *held[FX_HELD_MAX];
    size_t held_count;
    struct buf seen; /* one line for each request: "POST /path?query body" */
    size_t requests;
    size_t aborts;
    struct buf clients; /* struct stream_mem *: what fx_connect() has made */
    bool drained;
    bool closed;
};

void fx_gateway_init(struct fx_gateway *fx, const struct gateway_limits *limits);
/* Answers what is held, closes, frees, the clients too. */
void fx_gateway_fini(struct fx_gateway *fx);
/* The same for cmocka: *state is a gateway with the usual limits. */
int fx_gateway_setup(void **state);
int fx_gateway_teardown(void **state);

/* Lives until the fixture ends, */
struct stream_mem *fx_connect(struct fx_gateway *fx);
/* or until this, when its connection is closed. */
void fx_forget(struct fx_gateway *fx, struct stream_mem *client);
/* Turns until nothing moves any more. */
void fx_settle(struct fx_gateway *fx);
void fx_advance_ms(struct fx_gateway *fx, uint64_t ms);
void fx_send(struct fx_gateway *fx, struct stream_mem *client, const char *text);
/* All that was written to the client, as text; the next call begins behind it. Borrowed until then. */
const char *fx_received(struct stream_mem *client);
/* The handler's answer to the oldest exchange held: 200 and this body. */
void fx_answer(struct fx_gateway *fx, size_t index, const char *body);
/* Number of times that `part` occurs in `text`. */
size_t fx_count(const char *text, const char *part);
