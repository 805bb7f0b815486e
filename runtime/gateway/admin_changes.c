/* admin_changes.c - committed changes of an app's rows as lines of JSON, from a commit on or as they come. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/gateway/admin_call.h"
#include "runtime/loop/loop.h"
#include "statestore/changefeed.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum { RETRY_MS = 50 };

struct watcher;

struct source {
    struct watcher *watcher;
    struct store_feed *feed;
    uint32_t partition;
};

/* One client. What it is too slow for waits in the log, not here. */
struct watcher {
    struct list link; /* of the admin's */
    struct admin *admin;
    struct http_exchange *exchange;
    char *app;
    struct source *sources;
    uint32_t source_count;
    struct buf line; /* read from a feed and not taken by the client yet */
    struct loop_timer retry;
};

static void watcher_end(struct watcher *watcher)
{
    for (uint32_t i = 0; i < watcher->source_count; i++) store_feed_close(watcher->sources[i].feed);
    loop_timer_stop(&watcher->retry);
    list_remove(&watcher->link);
    http_stream_end(watcher->exchange);
    buf_fini(&watcher->line);
    free(watcher->sources);
    free(watcher->app);
    free(watcher);
}

static void on_abort(void *ctx)
{
    watcher_end(ctx);
}

/* ---- lines ---- */

static json_t *entry_json(const struct write_entry *entry)
{
    struct slice entity, name;
    if (!keyspace_row_split(entry->key, &entity, &name)) return NULL; /* the runtime's own */
    json_t *json = json_pack("{s:s}", "op", entry->op == WRITE_PUT ? "put" : "delete");
    admin_put_bytes(json, "entity", entity);
    admin_put_bytes(json, "name", name);
    if (entry->op == WRITE_PUT) admin_put_bytes(json, "value", entry->value);
    return json;
}

/* True when the waiting line has gone out. */
static bool line_flush(struct watcher *watcher)
{
    if (watcher->line.size == 0) return true;
    enum status status = http_stream_chunk(watcher->exchange, buf_view(&watcher->line));
    if (status == STATUS_OK) buf_reset(&watcher->line);
    if (status == STATUS_OVERLOADED)
        loop_timer_start(watcher->admin->config.loop, &watcher->retry, RETRY_MS, 0);
    return status == STATUS_OK; /* CANCELED: on_abort is on its way */
}

static bool on_change(void *ctx, const struct store_change *change)
{
    const struct source *source = ctx;
    json_t *rows = json_array();
    size_t offset = 0;
    for (struct write_entry entry; write_set_next(change->entries, &offset, &entry);)
    {
        json_t *row = entry_json(&entry);
        if (row) json_array_append_new(rows, row);
    }
    if (json_array_size(rows) == 0)
    {
        json_decref(rows);
        return true;
    }
    admin_append_line(&source->watcher->line,
                      json_pack("{s:I, s:i, s:I, s:o}", "seq", (json_int_t)change->seq, "partition",
                                (int)source->partition, "time_ms", (json_int_t)change->wall_ms, "changes",
                                rows));
    return line_flush(source->watcher);
}

/* The last line says why, when a feed cannot go on; then the stream ends, and true is returned. */
static bool source_read(struct source *source)
{
    struct watcher *watcher = source->watcher;
    struct err err = ERR_INIT;
    if (!line_flush(watcher)) return false;
    enum status status = store_feed_read(source->feed, on_change, source, &err);
    if (status == STATUS_OK) return false;
    admin_append_line(&watcher->line, admin_error_json(status, &err));
    (void)!http_stream_chunk(watcher->exchange, buf_view(&watcher->line)); /* the end is seen all the same */
    return true;
}

/* Reads may not close the feed inside of its callback, so the timer does that. */
static void on_ready(void *ctx)
{
    struct source *source = ctx;
    loop_timer_start(source->watcher->admin->config.loop, &source->watcher->retry, 0, 0);
}

static void on_retry(struct loop_timer *timer, void *ctx)
{
    struct watcher *watcher = ctx;
    bool over = false;
    for (uint32_t i = 0; i < watcher->source_count && !over && watcher->line.size == 0; i++)
        over = source_read(&watcher->sources[i]);
    if (!over && watcher->line.size > 0 && line_flush(watcher))
        loop_timer_start(watcher->admin->config.loop, &watcher->retry, 0, 0); /* there may be more */
    if (over) watcher_end(watcher);
}

/* ---- the request ---- */

static enum status source_open(struct watcher *watcher, struct admin_call *call, uint32_t partition,
                               uint64_t from, struct err *err)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct source *source = &watcher->sources[watcher->source_count];
    *source = (struct source){.watcher = watcher, .partition = partition};
    TRY(store_feed_open(ports->store(ports->ctx, call->app, partition), from, on_ready, source, &source->feed,
                        err));
    watcher->source_count++;
    return STATUS_OK;
}

static void watcher_begin(struct watcher *watcher)
{
    http_stream_begin(watcher->exchange, 200, &admin_ndjson_header, 1);
    http_exchange_on_abort(watcher->exchange, on_abort, watcher);
    for (uint32_t i = 0; i < watcher->source_count; i++)
        admin_append_line(&watcher->line, json_pack("{s:I, s:i}", "next",
                                                    (json_int_t)store_feed_next(watcher->sources[i].feed),
                                                    "partition", (int)watcher->sources[i].partition));
    loop_timer_start(watcher->admin->config.loop, &watcher->retry, 0, 0);
}

static void watcher_create(struct admin_call *call, uint64_t from, uint32_t first, uint32_t count)
{
    struct watcher *watcher = mem_zalloc(sizeof *watcher);
    struct err err = ERR_INIT;
    enum status status = STATUS_OK;
    watcher->admin = call->admin;
    watcher->exchange = call->exchange;
    watcher->app = mem_cstr(call->app);
    watcher->sources = mem_zalloc(count * sizeof *watcher->sources);
    loop_timer_init(&watcher->retry, on_retry, watcher);
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++)
        status = source_open(watcher, call, first + i, from, &err);
    list_push_back(&call->admin->watchers, &watcher->link);
    if (status == STATUS_OK)
    {
        watcher_begin(watcher);
        return;
    }
    list_remove(&watcher->link);
    for (uint32_t i = 0; i < watcher->source_count; i++) store_feed_close(watcher->sources[i].feed);
    admin_fail_err(call->exchange, status, &err);
    free(watcher->sources);
    free(watcher->app);
    free(watcher);
}

void admin_changes(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    uint32_t partitions = ports->partitions(ports->ctx, call->app);
    uint64_t from, partition;
    if (!admin_query_number(call, "from", 0, INT64_MAX / 2, &from) ||
        !admin_query_number(call, "partition", partitions, partitions, &partition))
        return;
    bool all = partition == partitions;
    if (call->admin->draining || call->admin->removals)
        admin_fail(call->exchange, call->admin->draining ? STATUS_DRAINING : STATUS_BUSY,
                   "stores are being closed");
    else if (from && all && partitions > 1)
        admin_fail(call->exchange, STATUS_INVALID_ARGUMENT,
                   "`from` needs a `partition`: each of the %u counts its own commits", partitions);
    else
        watcher_create(call, from, all ? 0 : (uint32_t)partition, all ? partitions : 1);
}

void admin_changes_end(struct admin *admin, struct slice app)
{
    LIST_FOREACH(link, &admin->watchers)
    {
        struct watcher *watcher = CONTAINER_OF(link, struct watcher, link);
        if (app.size == 0 || slice_is(app, watcher->app)) watcher_end(watcher);
    }
}
