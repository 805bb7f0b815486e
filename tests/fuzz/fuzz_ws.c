/* fuzz_ws.c - a client's bytes to messages, cut anywhere: never more than was sent, nothing after the goodbye. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/check.h"
#include "runtime/gateway/ws.h"

enum { MESSAGE_BYTES_MAX = 4096 };

struct seen {
    struct ws *ws;
    size_t bytes, messages;
};

static void on_message(void *ctx, bool is_text, struct slice body)
{
    struct seen *seen = ctx;
    CHECK(body.size <= MESSAGE_BYTES_MAX);
    CHECK(!is_text || ws_is_utf8(body));
    CHECK(!ws_is_closed(seen->ws));
    seen->bytes += body.size;
    seen->messages++;
}

static void on_control(void *ctx)
{
}

static struct seen run(const uint8_t *data, size_t size, size_t step)
{
    static const struct ws_events events = {on_message, on_control};
    struct seen seen = {.ws = NULL};
    seen.ws = ws_create(MESSAGE_BYTES_MAX, &events, &seen);
    for (size_t at = 0; at < size; at += step)
    {
        ws_feed(seen.ws, slice_make(data + at, size - at < step ? size - at : step));
        buf_reset(ws_out(seen.ws));
    }
    CHECK(seen.bytes <= size);
    if (!ws_is_closed(seen.ws)) ws_send(seen.ws, true, SLICE("still there"));
    ws_close(seen.ws, WS_CODE_NORMAL, "");
    CHECK(ws_is_closed(seen.ws) && ws_close_code(seen.ws) >= 1000);
    ws_destroy(seen.ws);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = run(data, size, size ? size : 1), bytewise = run(data, size, 1);
    CHECK(whole.messages == bytewise.messages && whole.bytes == bytewise.bytes);
    return 0;
}
