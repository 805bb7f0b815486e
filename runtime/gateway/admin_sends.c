/* admin_sends.c - what functions sent and what was given up, by the admin API. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/admin_call.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 10000 };

struct listing {
    json_t *sends;
    uint64_t left;
};

static json_t *text_of(struct slice text)
{
    json_t *json = admin_text(text);
    return json ? json : json_string("(no text)");
}

static bool on_send(void *ctx, const struct admin_send *send)
{
    struct listing *listing = ctx;
    if (listing->left == 0) return false;
    json_t *row = json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:b, s:o}", "id", send->ident, "function",
                            text_of(send->function), "entity", text_of(send->entity), "due_ms",
                            (json_int_t)send->due_ms, "attempts", (json_int_t)send->attempts, "bytes",
                            (json_int_t)send->bytes, "dead", send->dead, "error", text_of(send->error));
    if (send->damaged) json_object_set_new(row, "damaged", json_true());
    json_array_append_new(listing->sends, row);
    return --listing->left > 0;
}

void admin_sends_list(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct slice value;
    struct listing listing;
    bool dead = admin_query(call, "dead", &value) && slice_is(value, "true");
    if (!admin_query_number(call, "limit", LIMIT_DEFAULT, LIMIT_MAX, &listing.left)) return;
    listing.sends = json_array();
    struct err err = ERR_INIT;
    enum status status = ports->sends(ports->ctx, call->app, dead, on_send, &listing, &err);
    if (status == STATUS_OK)
        admin_reply_json(call->exchange, 200, json_pack("{s:O}", "sends", listing.sends));
    else
        admin_fail_err(call->exchange, status, &err);
    json_decref(listing.sends);
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
