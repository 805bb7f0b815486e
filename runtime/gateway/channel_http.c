/* channel_http.c - exchanges of durable channels. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/channel_http.h"

#include <stdio.h>
#include <stdlib.h>

#include "messaging/channel/durable.h"
#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/catalog/catalog.h"
#include "runtime/gateway/admin_call.h"
#include "runtime/gateway/gateway.h"
#include "runtime/invoke/appends.h"
#include "runtime/loop/loop.h"
#include "runtime/router/router.h"
#include "statestore/statestore.h"

enum {
    LIMIT_DEFAULT = 100,
    WAIT_S_MAX = 30,
    BYTES_MAX = 4 * 1024 * 1024, /* of keys and bodies in one answer, the last message aside */
    HEARTBEAT_MS = 15000, /* so that both sides notice when the other has gone */
};

struct channel_http {
    struct channel_http_config config;
    struct list readers;
    struct channel_http_stats stats;
};

struct channel_http *channel_http_create(const struct channel_http_config *config)
{
    struct channel_http *channels = mem_zalloc(sizeof *channels);
    channels->config = *config;
    list_init(&channels->readers);
    return channels;
}

void channel_http_destroy(struct channel_http *channels)
{
    if (!channels) return;
    CHECK(list_empty(&channels->readers));
    free(channels);
}

void channel_http_stats(const struct channel_http *channels, struct channel_http_stats *stats)
{
    *stats = channels->stats;
}

static const struct manifest_channel *channel_find(const struct channel_http *channels, struct slice app,
                                                   struct slice name)
{
    const struct catalog_app *found = catalog_app_find(channels->config.catalog, app);
    return found ? manifest_channel_find(catalog_app_current(found)->manifest, name) : NULL;
}

bool channel_http_knows(const struct channel_http *channels, struct slice app, struct slice channel)
{
    const struct manifest_channel *found = channel_find(channels, app, channel);
    return found && found->kind == CHANNEL_DURABLE;
}

static void fail(struct http_exchange *exchange, enum status status, const struct err *err)
{
    http_fail(exchange, &(struct http_failure){.status = status, .message = err_text(err)});
}

/* ---- append ---- */

struct appending {
    struct channel_http *channels;
    struct http_exchange *exchange;
    struct invoke_append append;
    struct buf bytes; /* channel and key */
};

static void on_appended(struct invoke_append *append)
{
    struct appending *appending = CONTAINER_OF(append, struct appending, append);
    if (append->status != STATUS_OK)
    {
        fail(appending->exchange, append->status, &append->err);
    }
    else
    {
        struct buf body = BUF_INIT;
        struct http_header headers[2] = {{SLICE("Content-Type"), SLICE("application/json")},
                                         {SLICE("Idempotency-Replayed"), SLICE("true")}};
        appending->channels->stats.appended += !append->remembered;
        buf_printf(&body, "{\"offset\":%llu}\n", (unsigned long long)append->offset);
        http_reply(appending->exchange, 200, headers, append->remembered ? 2 : 1, buf_view(&body));
        buf_fini(&body);
    }
    buf_fini(&appending->bytes);
    free(appending);
}

static enum status append_check(const struct http_request *http, struct invoke_append *append,
                                struct err *err)
{
    if (append->body.size > BOUND_MESSAGE_BYTES_MAX || append->key.size > BOUND_MESSAGE_KEY_BYTES_MAX ||
        append->type.size > BOUND_CONTENT_TYPE_BYTES_MAX)
        return err_set(err, STATUS_MESSAGE_TOO_LARGE,
                       "a message of %zu bytes with a key of %zu and a content type of %zu; at most %llu, %d "
                       "and %d are allowed",
                       append->body.size, append->key.size, append->type.size, BOUND_MESSAGE_BYTES_MAX,
                       BOUND_MESSAGE_KEY_BYTES_MAX, BOUND_CONTENT_TYPE_BYTES_MAX);
    if (append->key.size && memchr(append->key.data, 0, append->key.size))
        return err_set(err, STATUS_INVALID_ARGUMENT, "the key has a zero byte");
    struct slice header = http_request_header(http, "idempotency-key");
    if (!header.data) return STATUS_OK;
    append->idempotency_key = header;
    return idempotency_key_check(header, err);
}

static void append(struct channel_http *channels, struct http_exchange *exchange, struct slice app,
                   const struct manifest_channel *channel)
{
    const struct http_request *http = http_exchange_request(exchange);
    struct appending *appending = mem_zalloc(sizeof *appending);
    appending->channels = channels;
    appending->exchange = exchange;
    struct err err = ERR_INIT;
    size_t name_size = strlen(channel->name);
    char *bytes = buf_reserve(&appending->bytes, name_size + http->query.size);
    memcpy(bytes, channel->name, name_size);
    struct slice key = SLICE_EMPTY;
    (void)http_query_get(http->query, "key", bytes + name_size, &key); /* without one: none */
    appending->append = (struct invoke_append){
        .channel = slice_make(bytes, name_size),
        .key = key,
        .type = http_request_header(http, "content-type"),
        .body = http->body,
        .done = on_appended,
    };
    enum status status = append_check(http, &appending->append, &err);
    if (status == STATUS_OK) status = router_append(channels->config.router, app, &appending->append, &err);
    if (status == STATUS_OK) return;
    fail(exchange, status, &err);
    buf_fini(&appending->bytes);
    free(appending);
}

/* ---- read ---- */

struct reader {
    struct list link;
    struct channel_http *channels;
    struct http_exchange *exchange;
    char *app, *channel;
    uint32_t partition;
    uint64_t from;
    uint32_t limit;
    uint64_t wait_until_ns; /* long-poll; 0: not at all */
    bool events; /* server-sent */
    bool gone; /* the client */
    bool waiting; /* for its snapshot to be durable */
    bool listening;
    struct invoke_listener listener;
    struct loop_timer timer;
    struct store_waiter waiter;
    /* What was read and is not told yet. */
    struct buf out;
    uint32_t count;
    uint64_t bytes, next;
    bool more;
};

static void reader_step(struct reader *reader);

static void reader_free(struct reader *reader)
{
    if (reader->listening) invoke_unlisten(&reader->listener);
    loop_timer_stop(&reader->timer);
    list_remove(&reader->link);
    reader->channels->stats.waiting--;
    buf_fini(&reader->out);
    free(reader->app);
    free(reader->channel);
    free(reader);
}

/* The answer is over. */
static void reader_end(struct reader *reader)
{
    if (reader->events)
        http_stream_end(reader->exchange);
    else
    {
        struct buf body = BUF_INIT;
        struct http_header type = {SLICE("Content-Type"), SLICE("application/json")};
        buf_printf(&body, "{\"channel\":\"%s\",\"partition\":%u,\"next\":%llu,\"messages\":[",
                   reader->channel, reader->partition, (unsigned long long)reader->next);
        buf_append(&body, buf_view(&reader->out));
        buf_append_cstr(&body, "]}\n");
        reader->channels->stats.read += reader->count;
        http_reply(reader->exchange, 200, &type, 1, buf_view(&body));
        buf_fini(&body);
    }
    reader_free(reader);
}

static void reader_fail(struct reader *reader, enum status status, const struct err *err)
{
    if (reader->events)
        http_stream_end(reader->exchange);
    else
        fail(reader->exchange, status, err);
    reader_free(reader);
}

struct reading {
    struct reader *reader;
    struct err err; /* of the row that cannot be read: what is told ends before it */
};

static bool on_message(void *ctx, struct slice key, struct slice value)
{
    struct reading *reading = ctx;
    struct reader *reader = reading->reader;
    struct durable_message message;
    uint64_t offset;
    if (durable_key_offset(key, &offset, &reading->err) != STATUS_OK) return false;
    if (durable_message_decode(value, &message, &reading->err) != STATUS_OK)
    {
        (void)err_wrap(&reading->err, STATUS_STORE_CORRUPT, "offset %llu", (unsigned long long)offset);
        return false;
    }
    json_t *row =
        json_pack("{s:I, s:I}", "offset", (json_int_t)offset, "time_ms", (json_int_t)message.time_ms);
    if (message.key.size) admin_put_bytes(row, "key", message.key);
    if (message.type.size) admin_put_bytes(row, "content_type", message.type);
    admin_put_bytes(row, "body", message.body);
    if (reader->events)
        buf_printf(&reader->out, "id: %llu\ndata: ", (unsigned long long)offset);
    else if (reader->count)
        buf_append_byte(&reader->out, ',');
    admin_append_line(&reader->out, row);
    if (reader->events) buf_append_byte(&reader->out, '\n');
    reader->count++;
    reader->bytes += durable_message_bytes(&message);
    reader->next = offset + 1;
    reader->more = reader->count == reader->limit || reader->bytes >= BYTES_MAX;
    return !reader->more;
}

static enum status range_check(const struct reader *reader, const struct durable_head *head, struct err *err)
{
    if (reader->from >= head->first && reader->from <= head->next) return STATUS_OK;
    if (reader->from > head->next)
        return err_set(err, STATUS_INVALID_ARGUMENT,
                       "offset %llu of channel '%s' has not been given yet; the next is %llu",
                       (unsigned long long)reader->from, reader->channel, (unsigned long long)head->next);
    return err_set(err, STATUS_OFFSET_GONE,
                   "offset %llu of channel '%s' is gone; it keeps offsets from %llu on, the next is %llu",
                   (unsigned long long)reader->from, reader->channel, (unsigned long long)head->first,
                   (unsigned long long)head->next);
}

/* Tells what was read; true when it may read on. */
static bool reader_tell(struct reader *reader)
{
    if (!reader->events)
    {
        reader_end(reader);
        return false;
    }
    enum status status = http_stream_chunk(reader->exchange, buf_view(&reader->out));
    if (status == STATUS_OVERLOADED) return false; /* on_room */
    if (status != STATUS_OK)
    {
        reader_end(reader);
        return false;
    }
    reader->channels->stats.read += reader->count;
    reader->from = reader->next;
    buf_reset(&reader->out);
    reader->count = 0;
    loop_timer_start(reader->channels->config.loop, &reader->timer, HEARTBEAT_MS, 0);
    return true;
}

static void on_durable(struct store_waiter *waiter)
{
    struct reader *reader = CONTAINER_OF(waiter, struct reader, waiter);
    reader->waiting = false;
    struct err err = ERR_INIT;
    if (reader->gone)
        reader_end(reader); /* into the void */
    else if (waiter->status != STATUS_OK)
        reader_fail(reader, waiter->status,
                    (err_set(&err, waiter->status, "what was read could not be made durable"), &err));
    else if (reader_tell(reader))
        reader_step(reader);
}

static void on_heard(struct invoke_listener *listener, bool closing)
{
    struct reader *reader = CONTAINER_OF(listener, struct reader, listener);
    reader->listening = false;
    if (closing)
        reader_end(reader);
    else
        reader_step(reader);
}

static void reader_listen(struct reader *reader, struct invoke_version *version)
{
    struct loop *loop = reader->channels->config.loop;
    if (!reader->events && loop_now_ns(loop) >= reader->wait_until_ns)
    {
        reader_end(reader);
        return;
    }
    if (!reader->events) loop_timer_start_at(loop, &reader->timer, reader->wait_until_ns);
    reader->listening = true;
    reader->listener.heard = on_heard;
    invoke_listen(version, &reader->listener);
}

/* Reads once; true when it may read on. */
static bool reader_read(struct reader *reader)
{
    struct invoke_version *version;
    struct durable_head head;
    struct err err = ERR_INIT;
    enum status status = router_version(reader->channels->config.router, slice_cstr(reader->app),
                                        reader->partition, &version, &err);
    if (status == STATUS_OK)
        status = invoke_version_channel(version, slice_cstr(reader->channel), true, &err);
    if (status == STATUS_OK)
        status = invoke_channel_head(version->partition, slice_cstr(reader->channel), &head, &err);
    if (status == STATUS_OK && reader->from == UINT64_MAX)
        reader->from = reader->events ? head.next : head.first;
    /* A stream that is slower than retention goes on with what there is; its ids tell. */
    if (status == STATUS_OK && reader->events && reader->from < head.first && reader->next > 0)
        reader->from = head.first;
    if (status == STATUS_OK) status = range_check(reader, &head, &err);
    if (status != STATUS_OK)
    {
        reader_fail(reader, status, &err);
        return false;
    }
    reader->next = reader->from;
    reader->bytes = 0;
    struct store *store = invoke_partition_store(version->partition);
    struct buf low = BUF_INIT, high = BUF_INIT;
    durable_message_key(&low, slice_cstr(reader->channel), reader->from);
    durable_message_key(&high, slice_cstr(reader->channel), UINT64_MAX);
    struct store_snapshot *snapshot = store_snapshot_take(store);
    struct reading reading = {.reader = reader, .err = ERR_INIT};
    status = store_scan(snapshot, buf_view(&low), buf_view(&high), on_message, &reading, &err);
    uint64_t seq = store_snapshot_seq(snapshot);
    store_snapshot_release(store, snapshot);
    buf_fini(&low);
    buf_fini(&high);
    if (status == STATUS_OK && reader->count == 0 && reading.err.status != STATUS_OK)
    {
        err = reading.err;
        status = err_wrap(&err, err.status, "channel '%s'", reader->channel);
    }
    if (status != STATUS_OK)
    {
        reader_fail(reader, status, &err);
        return false;
    }
    if (reader->count == 0)
    {
        reader_listen(reader, version);
        return false;
    }
    reader->waiter = (struct store_waiter){.seq = seq, .durable = on_durable};
    reader->waiting = !store_wait_durable(store, &reader->waiter);
    return !reader->waiting && reader_tell(reader);
}

/* Reads on from where it is, until it waits or ends. */
static void reader_step(struct reader *reader)
{
    while (reader_read(reader))
    {
    }
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct reader *reader = ctx;
    if (!reader->events)
    {
        reader_end(reader); /* only started while it waits */
        return;
    }
    loop_timer_start(reader->channels->config.loop, timer, HEARTBEAT_MS, 0);
    /* One that does not fit is not needed: the client has something to read. */
    if (!reader->waiting && reader->count == 0) (void)!http_stream_chunk(reader->exchange, SLICE(":\n\n"));
}

static void on_abort(void *ctx)
{
    struct reader *reader = ctx;
    reader->gone = true;
    if (!reader->waiting) reader_end(reader);
}

static void on_room(void *ctx)
{
    struct reader *reader = ctx;
    if (reader->count > 0 && !reader->waiting && !reader->gone && reader_tell(reader)) reader_step(reader);
}

static void on_drain(void *ctx)
{
    struct reader *reader = ctx;
    if (reader->waiting)
        reader->gone = true; /* ends when that is over */
    else
        reader_end(reader);
}

static const struct http_stream_events stream_events = {.on_room = on_room, .on_drain = on_drain};

static bool number_get(const struct http_request *http, const char *name, uint64_t fallback, uint64_t max,
                       uint64_t *number, struct err *err)
{
    struct slice text;
    char *room = mem_alloc(http->query.size + 1);
    bool found = http_query_get(http->query, name, room, &text), valid = !found || text.size > 0;
    *number = found ? 0 : fallback;
    for (size_t i = 0; found && valid && i < text.size; i++)
    {
        char digit = ((const char *)text.data)[i];
        valid = digit >= '0' && digit <= '9' && *number <= (UINT64_MAX - 9) / 10;
        if (valid) *number = *number * 10 + (uint64_t)(digit - '0');
    }
    free(room);
    if (valid && (!found || *number <= max)) return true;
    (void)err_set(err, STATUS_INVALID_ARGUMENT, "`%s` must be a number from 0 to %llu", name,
                  (unsigned long long)max); /* false tells */
    return false;
}

static bool last_event_id(const struct http_request *http, uint64_t *from)
{
    struct slice header = http_request_header(http, "last-event-id");
    char text[24], *end;
    if (header.size == 0 || header.size >= sizeof text) return false;
    memcpy(text, header.data, header.size);
    text[header.size] = 0;
    uint64_t id = strtoull(text, &end, 10);
    if (*end || text[0] == '-') return false;
    *from = id + 1;
    return true;
}

static void read_begin(struct channel_http *channels, struct http_exchange *exchange, struct slice app,
                       const struct manifest_channel *channel)
{
    const struct http_request *http = http_exchange_request(exchange);
    struct err err = ERR_INIT;
    uint64_t from, limit, wait_s, partition;
    if (!number_get(http, "from", UINT64_MAX, UINT64_MAX - 1, &from, &err) ||
        !number_get(http, "limit", LIMIT_DEFAULT, BOUND_BATCH_MESSAGES_MAX, &limit, &err) ||
        !number_get(http, "wait", 0, WAIT_S_MAX, &wait_s, &err) ||
        !number_get(http, "partition", 0, BOUND_PARTITIONS_MAX - 1, &partition, &err))
    {
        fail(exchange, STATUS_INVALID_ARGUMENT, &err);
        return;
    }
    struct reader *reader = mem_zalloc(sizeof *reader);
    struct slice accept = http_request_header(http, "accept");
    reader->channels = channels;
    reader->exchange = exchange;
    reader->app = mem_cstr(app);
    reader->channel = mem_strdup(channel->name);
    reader->partition = (uint32_t)partition;
    reader->events = accept.size && memmem(accept.data, accept.size, "text/event-stream", 17);
    reader->from = from;
    reader->limit = limit ? (uint32_t)limit : 1;
    if (wait_s) reader->wait_until_ns = loop_now_ns(channels->config.loop) + wait_s * NS_PER_S;
    if (reader->events) (void)last_event_id(http, &reader->from); /* else as `from` says */
    loop_timer_init(&reader->timer, on_timer, reader);
    list_push_back(&channels->readers, &reader->link);
    channels->stats.waiting++;
    http_exchange_on_abort(exchange, on_abort, reader);
    http_stream_watch(exchange, &stream_events, reader);
    if (!reader->events)
    {
        reader_step(reader);
        return;
    }
    struct invoke_version *version;
    struct durable_head head;
    enum status status = router_version(channels->config.router, app, reader->partition, &version, &err);
    if (status == STATUS_OK)
        status = invoke_channel_head(version->partition, slice_cstr(reader->channel), &head, &err);
    if (status == STATUS_OK && reader->from != UINT64_MAX) status = range_check(reader, &head, &err);
    if (status != STATUS_OK)
    {
        fail(exchange, status, &err);
        reader_free(reader);
        return;
    }
    static const struct http_header headers[] = {{{"Content-Type", 12}, {"text/event-stream", 17}},
                                                 {{"Cache-Control", 13}, {"no-store", 8}}};
    http_stream_begin(exchange, 200, headers, 2);
    loop_timer_start(channels->config.loop, &reader->timer, HEARTBEAT_MS, 0);
    reader_step(reader);
}

/* Operators may do everything, anybody else what the manifest opens. */
static enum status permit(const struct manifest_channel *channel, enum channel_access what, bool trusted,
                          struct err *err)
{
    if (trusted || (channel->http & what)) return STATUS_OK;
    return err_set(err, STATUS_PERMISSION_DENIED,
                   "channel '%s' may not be %s over HTTP: its manifest says `http: %s`, not `%s` or `both`",
                   channel->name, what == CHANNEL_HTTP_READ ? "read" : "appended to",
                   manifest_channel_http_word(channel->http), manifest_channel_http_word(what));
}

void channel_http_request(struct channel_http *channels, struct http_exchange *exchange, struct slice app,
                          struct slice name, bool trusted)
{
    const struct http_request *http = http_exchange_request(exchange);
    const struct manifest_channel *channel = channel_find(channels, app, name);
    struct err err = ERR_INIT;
    if (!channel)
        fail(exchange,
             err_set(&err, STATUS_CHANNEL_NOT_FOUND, "app '%.*s' has no channel '%.*s'", SLICE_FMT(app),
                     SLICE_FMT(name)),
             &err);
    else if (channel->kind != CHANNEL_DURABLE)
        fail(exchange, err_set(&err, STATUS_CHANNEL_KIND, "'%s' is a live channel", channel->name), &err);
    else if (slice_is(http->method, "POST"))
    {
        if (permit(channel, CHANNEL_HTTP_APPEND, trusted, &err) == STATUS_OK)
            append(channels, exchange, app, channel);
        else
            fail(exchange, STATUS_PERMISSION_DENIED, &err);
    }
    else if (slice_is(http->method, "GET"))
    {
        if (permit(channel, CHANNEL_HTTP_READ, trusted, &err) == STATUS_OK)
            read_begin(channels, exchange, app, channel);
        else
            fail(exchange, STATUS_PERMISSION_DENIED, &err);
    }
    else
        http_fail(exchange,
                  &(struct http_failure){.status = STATUS_METHOD_NOT_ALLOWED, .allow = "GET, POST"});
}
