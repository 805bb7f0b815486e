/* admin_channels.c - durable channels over the admin API: listed, read, appended to, replayed; their dead letters. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/channel/durable.h"
#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/gateway/admin_call.h"
#include "statestore/statestore.h"

enum { DEAD_LISTED_MAX = 1000 };

static const struct http_header json_head = {{"content-type", 12}, {"application/json", 16}};

/* apps/{app}/channels */
void admin_channels_list(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct buf body = BUF_INIT;
    struct err err = ERR_INIT;
    enum status status = ports->channels(ports->ctx, call->app, &body, &err);
    if (status == STATUS_OK)
        http_reply(call->exchange, 200, &json_head, 1, buf_view(&body));
    else
        admin_fail_err(call->exchange, status, &err);
    buf_fini(&body);
}

/* apps/{app}/channels/{channel} */
void admin_channel(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    ports->channel(ports->ctx, call->exchange, call->app, call->segments[3]);
}

/* apps/{app}/channels/{channel}/groups/{group}/... ?partition= */
static bool act_begin(struct admin_call *call, struct admin_channel_act *act)
{
    uint64_t partition;
    if (!admin_query_number(call, "partition", 0, BOUND_PARTITIONS_MAX - 1, &partition)) return false;
    *act = (struct admin_channel_act){.app = call->app,
                                      .channel = call->segments[3],
                                      .group = call->segments[5],
                                      .partition = (uint32_t)partition};
    return true;
}

static void act_end(struct admin_call *call, const struct admin_channel_act *act)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    ports->channel_act(ports->ctx, call->exchange, act);
}

void admin_channel_replay(struct admin_call *call)
{
    struct admin_channel_act act;
    struct slice text;
    if (!act_begin(call, &act)) return;
    bool by_time = admin_query(call, "time_ms", &text);
    act.kind = by_time ? ADMIN_CHANNEL_REPLAY_TIME : ADMIN_CHANNEL_REPLAY;
    if (!by_time && !admin_query(call, "from", &text))
        admin_fail(call->exchange, STATUS_INVALID_ARGUMENT, "say `from`, an offset, or `time_ms`");
    else if (admin_query_number(call, by_time ? "time_ms" : "from", 0, INT64_MAX, &act.offset))
        act_end(call, &act);
}

static void dead_act(struct admin_call *call, enum admin_channel_kind kind)
{
    struct admin_channel_act act;
    struct slice text;
    if (!act_begin(call, &act)) return;
    act.kind = kind;
    act.offset = UINT64_MAX;
    if (admin_query(call, "offset", &text) && !admin_query_number(call, "offset", 0, INT64_MAX, &act.offset))
        return;
    act_end(call, &act);
}

void admin_dead_retry(struct admin_call *call)
{
    dead_act(call, ADMIN_CHANNEL_DEAD_RETRY);
}

void admin_dead_drop(struct admin_call *call)
{
    dead_act(call, ADMIN_CHANNEL_DEAD_DROP);
}

/* A letter of which less is left than it takes: it is named, so that it can be dropped, and the list goes on. */
static json_t *damaged_row(struct slice key)
{
    uint64_t offset;
    json_t *row =
        json_pack("{s:b, s:i, s:i, s:i, s:s, s:s, s:s}", "damaged", true, "attempts", 0, "failed_ms", 0,
                  "time_ms", 0, "error", "store_corrupt: the row is damaged", "key", "", "body", "");
    bool named = durable_key_offset(key, &offset, NULL) == STATUS_OK;
    json_object_set_new(row, "offset", named ? json_integer((json_int_t)offset) : json_null());
    return row;
}

static bool on_dead(void *ctx, struct slice key, struct slice value)
{
    json_t *list = ctx;
    struct durable_dead dead;
    struct durable_message message;
    uint64_t offset;
    if (durable_key_offset(key, &offset, NULL) != STATUS_OK ||
        durable_dead_decode(value, &dead, NULL) != STATUS_OK ||
        durable_message_decode(dead.row, &message, NULL) != STATUS_OK)
    {
        json_array_append_new(list, damaged_row(key));
        return json_array_size(list) < DEAD_LISTED_MAX;
    }
    json_t *row =
        json_pack("{s:I, s:i, s:I, s:I}", "offset", (json_int_t)offset, "attempts", (int)dead.attempts,
                  "failed_ms", (json_int_t)dead.time_ms, "time_ms", (json_int_t)message.time_ms);
    admin_put_bytes(row, "error", dead.error);
    admin_put_bytes(row, "key", message.key);
    if (message.type.size) admin_put_bytes(row, "content_type", message.type);
    admin_put_bytes(row, "body", message.body);
    json_array_append_new(list, row);
    return json_array_size(list) < DEAD_LISTED_MAX;
}

void admin_dead_list(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct admin_channel_act act;
    if (!act_begin(call, &act)) return;
    struct store *store = ports->store(ports->ctx, act.app, act.partition);
    if (!store)
    {
        admin_fail(call->exchange, STATUS_NOT_FOUND, "the app has no partition %u", act.partition);
        return;
    }
    json_t *list = json_array();
    struct buf low = BUF_INIT, high = BUF_INIT;
    struct err err = ERR_INIT;
    durable_dead_key(&low, act.channel, act.group, 0);
    durable_dead_key(&high, act.channel, act.group, UINT64_MAX);
    struct store_snapshot *snapshot = store_snapshot_take(store);
    enum status status = store_scan(snapshot, buf_view(&low), buf_view(&high), on_dead, list, &err);
    store_snapshot_release(store, snapshot);
    buf_fini(&low);
    buf_fini(&high);
    if (status == STATUS_OK)
    {
        admin_reply_json(call->exchange, 200, json_pack("{s:o}", "dead", list));
        return;
    }
    json_decref(list);
    admin_fail_err(call->exchange, status, &err);
}
