/* admin_sends.c - what functions sent and what was given up, by the admin API. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/buf.h"
#include "runtime/gateway/admin_call.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 10000 };

void admin_sends_list(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct slice value;
    uint64_t limit;
    bool dead = admin_query(call, "dead", &value) && slice_is(value, "true");
    if (!admin_query_number(call, "limit", LIMIT_DEFAULT, LIMIT_MAX, &limit)) return;
    struct buf json = BUF_INIT;
    struct err err = ERR_INIT;
    buf_append_cstr(&json, "{\"sends\":[");
    enum status status = ports->sends(ports->ctx, call->app, dead, limit, &json, &err);
    buf_append_cstr(&json, "]}");
    const struct http_header type = {SLICE("Content-Type"), SLICE("application/json")};
    if (status == STATUS_OK)
        http_reply(call->exchange, 200, &type, 1, buf_view(&json));
    else
        admin_fail_err(call->exchange, status, &err);
    buf_fini(&json);
}

static void on_moved(void *ctx, enum status status, size_t count, const struct err *err)
{
    struct http_exchange *exchange = ctx;
    if (status == STATUS_OK)
        admin_reply_json(exchange, 200, json_pack("{s:I}", "count", (json_int_t)count));
    else
        admin_fail_err(exchange, status, err);
}

/* ?id names one; ?all=true means all: forgetting the id must not do it. */
static void move(struct admin_call *call, bool retry)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct slice ident = SLICE_EMPTY, all;
    bool has_id = admin_query(call, "id", &ident) && ident.size > 0;
    if (!has_id && !(admin_query(call, "all", &all) && slice_is(all, "true")))
    {
        admin_fail(call->exchange, STATUS_INVALID_ARGUMENT, "say ?id=ID of one, or ?all=true");
        return;
    }
    ports->sends_move(ports->ctx, call->app, has_id ? ident : SLICE_EMPTY, retry, on_moved, call->exchange);
}

void admin_sends_retry(struct admin_call *call)
{
    move(call, true);
}

void admin_sends_drop(struct admin_call *call)
{
    move(call, false);
}
