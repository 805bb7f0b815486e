/* live_http.c - event streams of live channels. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/live_http.h"

#include <stdlib.h>

#include "messaging/channel/live.h"
#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/catalog/catalog.h"
#include "runtime/gateway/admin_call.h"
#include "runtime/gateway/gateway.h"
#include "runtime/loop/loop.h"

enum {
    HEARTBEAT_MS = 15000, /* so that both sides notice when the other has gone */
    CHUNK_BYTES = 64 * 1024, /* of messages that go together; a larger one goes alone */
};

struct live_http {
    struct live_http_config config;
    struct list readers;
    struct list ready; /* whose queue is no longer empty */
    struct buf frames; /* scratch */
    uint32_t count;
};

struct reader {
    struct list link, ready;
    struct live_http *self;
    struct http_exchange *exchange;
    char *app, *channel;
    struct live_subscriber subscriber;
    struct loop_timer timer;
    struct buf
        out; /* events that had no room yet; while there are some the queue fills, and at its bound loses */
};

static void on_turn(void *ctx);

struct live_http *live_http_create(const struct live_http_config *config)
{
    struct live_http *self = mem_zalloc(sizeof *self);
    self->config = *config;
    list_init(&self->readers);
    list_init(&self->ready);
    loop_on_turn(config->loop, PHASE_ADMIT, on_turn, self);
    return self;
}

void live_http_destroy(struct live_http *self)
{
    if (!self) return;
    CHECK(list_empty(&self->readers));
    loop_off_turn(self->config.loop, PHASE_ADMIT, on_turn, self);
    buf_fini(&self->frames);
    free(self);
}

uint32_t live_http_readers(const struct live_http *self)
{
    return self->count;
}

/* ---- telling ---- */

static void reader_free(struct reader *reader)
{
    live_unsubscribe(&reader->subscriber);
    loop_timer_stop(&reader->timer);
    list_remove(&reader->ready);
    list_remove(&reader->link);
    reader->self->count--;
    buf_fini(&reader->out);
    free(reader->app);
    free(reader->channel);
    free(reader);
}

static void reader_end(struct reader *reader)
{
    http_stream_end(reader->exchange);
    reader_free(reader);
}

static void event_append(struct buf *out, const struct wire_message *message)
{
    json_t *row = json_pack("{s:I, s:I}", "sequence", (json_int_t)message->sequence, "time_ms",
                            (json_int_t)message->time_ms);
    if (message->key.size) admin_put_bytes(row, "key", message->key);
    if (message->type.size) admin_put_bytes(row, "content_type", message->type);
    admin_put_bytes(row, "body", message->body);
    buf_printf(out, "id: %llu\ndata: ", (unsigned long long)message->sequence);
    admin_append_line(out, row);
    buf_append_byte(out, '\n');
}

/* Takes what goes into the next chunk; false when there is nothing. */
static bool reader_fill(struct reader *reader)
{
    struct buf *frames = &reader->self->frames;
    uint64_t missed;
    buf_reset(frames);
    if (live_take(&reader->subscriber, BOUND_BATCH_MESSAGES_MAX, CHUNK_BYTES, frames, &missed) == 0)
        return false;
    if (missed)
        buf_printf(&reader->out, "event: gap\ndata: {\"missed\":%llu}\n\n", (unsigned long long)missed);
    struct wire_message message;
    bool found;
    for (size_t at = 0;
         wire_message_next(buf_view(frames), &at, &message, &found, NULL) == STATUS_OK && found;)
        event_append(&reader->out, &message);
    return true;
}

/* What its queue has, until there is nothing left or no room. */
static void reader_tell(struct reader *reader)
{
    while (reader->out.size > 0 || reader_fill(reader))
    {
        enum status status = http_stream_chunk(reader->exchange, buf_view(&reader->out));
        if (status == STATUS_OVERLOADED) return; /* on_room */
        if (status != STATUS_OK) return; /* gone: on_abort */
        buf_reset(&reader->out);
        loop_timer_start(reader->self->config.loop, &reader->timer, HEARTBEAT_MS, 0);
    }
}

static void on_ready(struct live_subscriber *subscriber)
{
    struct reader *reader = CONTAINER_OF(subscriber, struct reader, subscriber);
    list_remove(&reader->ready);
    list_push_back(&reader->self->ready, &reader->ready);
    loop_want(reader->self->config.loop, PHASE_ADMIT);
}

/* Everything that this turn has brought for one goes together. */
static void on_turn(void *ctx)
{
    struct live_http *self = ctx;
    struct list *link;
    while ((link = list_pop_front(&self->ready))) reader_tell(CONTAINER_OF(link, struct reader, ready));
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct reader *reader = ctx;
    loop_timer_start(reader->self->config.loop, timer, HEARTBEAT_MS, 0);
    /* One that does not fit is not needed: the client has something to read. */
    if (reader->out.size == 0) (void)!http_stream_chunk(reader->exchange, SLICE(":\n\n"));
}

static void on_room(void *ctx)
{
    reader_tell(ctx);
}

/* Both: the client has gone, or the node goes. */
static void on_over(void *ctx)
{
    reader_end(ctx);
}

static const struct http_stream_events stream_events = {.on_room = on_room, .on_drain = on_over};

/* ---- requests ---- */

static bool is_open(const struct manifest_channel *channel)
{
    return channel->http & CHANNEL_HTTP_READ;
}

static const struct manifest_channel *live_find(const struct manifest *manifest, struct slice name)
{
    const struct manifest_channel *channel = manifest_channel_find(manifest, name);
    return channel && channel->kind == CHANNEL_LIVE ? channel : NULL;
}

void live_http_switch(struct live_http *self, const char *app, const struct manifest *manifest)
{
    LIST_FOREACH(link, &self->readers)
    {
        struct reader *reader = CONTAINER_OF(link, struct reader, link);
        if (strcmp(reader->app, app) != 0) continue;
        const struct manifest_channel *channel =
            manifest ? live_find(manifest, slice_cstr(reader->channel)) : NULL;
        if (!channel || !is_open(channel)) reader_end(reader);
    }
}

static enum status listen(struct reader *reader, struct err *err)
{
    const struct http_request *http = http_exchange_request(reader->exchange);
    struct live_http *self = reader->self;
    struct buf name = BUF_INIT;
    char *room = mem_alloc(http->query.size + 1);
    struct slice keys = SLICE_EMPTY;
    (void)http_query_get(http->query, "keys", room, &keys); /* without it: all */
    buf_printf(&name, "%s/%s", reader->app, reader->channel);
    enum status status =
        keys.size <= BOUND_MESSAGE_KEY_BYTES_MAX
            ? self->config.listen(self->config.ctx, buf_view(&name), keys, &reader->subscriber, on_ready, err)
            : err_set(err, STATUS_INVALID_ARGUMENT, "`keys` has at most %d bytes",
                      BOUND_MESSAGE_KEY_BYTES_MAX);
    free(room);
    buf_fini(&name);
    return status;
}

static enum status read_begin(struct live_http *self, struct http_exchange *exchange, struct slice app,
                              const struct manifest_channel *channel, struct err *err)
{
    struct slice accept = http_request_header(http_exchange_request(exchange), "accept");
    if (!is_open(channel))
        return err_set(err, STATUS_PERMISSION_DENIED,
                       "channel '%s' may not be read over HTTP: its manifest says `http: %s`, not `read`",
                       channel->name, manifest_channel_http_word(channel->http));
    if (!accept.size || !memmem(accept.data, accept.size, "text/event-stream", 17))
        return err_set(err, STATUS_INVALID_ARGUMENT,
                       "a live channel keeps nothing: follow it with `Accept: text/event-stream`");
    struct reader *reader = mem_zalloc(sizeof *reader);
    reader->self = self;
    reader->exchange = exchange;
    reader->app = mem_cstr(app);
    reader->channel = mem_strdup(channel->name);
    list_init(&reader->ready);
    list_push_back(&self->readers, &reader->link);
    self->count++;
    loop_timer_init(&reader->timer, on_timer, reader);
    enum status status = listen(reader, err);
    if (status != STATUS_OK)
    {
        reader_free(reader);
        return status;
    }
    static const struct http_header headers[] = {{{"Content-Type", 12}, {"text/event-stream", 17}},
                                                 {{"Cache-Control", 13}, {"no-store", 8}}};
    http_exchange_on_abort(exchange, on_over, reader);
    http_stream_watch(exchange, &stream_events, reader);
    http_stream_begin(exchange, 200, headers, 2);
    loop_timer_start(self->config.loop, &reader->timer, HEARTBEAT_MS, 0);
    return STATUS_OK;
}

bool live_http_request(struct live_http *self, struct http_exchange *exchange, struct slice app,
                       struct slice name)
{
    const struct catalog_app *found = catalog_app_find(self->config.catalog, app);
    const struct manifest_channel *channel =
        found ? live_find(catalog_app_current(found)->manifest, name) : NULL;
    if (!channel) return false;
    struct err err = ERR_INIT;
    if (!slice_is(http_exchange_request(exchange)->method, "GET"))
        http_fail(exchange, &(struct http_failure){.status = STATUS_METHOD_NOT_ALLOWED, .allow = "GET"});
    else if (read_begin(self, exchange, app, channel, &err) != STATUS_OK)
        http_fail(exchange, &(struct http_failure){.status = err.status, .message = err_text(&err)});
    return true;
}
