/* admin_logs.c - what functions logged, as lines of JSON: the newest ones, and the coming ones while the client stays. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/catalog/catalog.h"
#include "runtime/gateway/admin_call.h"
#include "runtime/observe/fnlog.h"

enum { TAIL_DEFAULT = 100, TAIL_MAX = 100000 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct follower {
    struct list link; /* of the admin's */
    struct fnlog_reader reader;
    struct http_exchange *exchange;
    char *app;
    char *function;
    uint64_t dropped; /* lines that the client was too slow for, since the last one that it got */
};

/* Bytes that are no UTF-8 are shown as '?', so that every line stays JSON. */
static json_t *line_text(struct slice text)
{
    json_t *json = admin_text(text);
    if (json) return json;
    struct buf clean = BUF_INIT;
    for (size_t i = 0; i < text.size; i++)
    {
        uint8_t byte = ((const uint8_t *)text.data)[i];
        buf_append_byte(&clean, byte > 0 && byte < 0x80 ? byte : '?');
    }
    json = admin_text(buf_view(&clean));
    buf_fini(&clean);
    return json;
}

static void append_line(void *ctx, const struct fnlog_line *line)
{
    admin_append_line(ctx, json_pack("{s:I, s:o, s:o, s:o, s:s, s:o}", "time_ms", (json_int_t)line->time_ms,
                                     "app", line_text(line->app), "function", line_text(line->function),
                                     "invocation", line_text(line->invocation), "level",
                                     level_names[line->level], "text", line_text(line->text)));
}

/* ---- following ---- */

static void follower_end(struct follower *follower)
{
    fnlog_unsubscribe(&follower->reader);
    list_remove(&follower->link);
    http_stream_end(follower->exchange);
    free(follower->app);
    free(follower->function);
    free(follower);
}

static void on_abort(void *ctx)
{
    follower_end(ctx);
}

static void on_line(void *ctx, const struct fnlog_line *line)
{
    struct follower *follower = ctx;
    struct buf out = BUF_INIT;
    if (follower->dropped)
        admin_append_line(&out, json_pack("{s:I, s:I}", "time_ms", (json_int_t)line->time_ms, "dropped",
                                          (json_int_t)follower->dropped));
    append_line(&out, line);
    enum status status = http_stream_chunk(follower->exchange, buf_view(&out));
    /* CANCELED: on_abort is on its way. */
    follower->dropped = status == STATUS_OK ? 0 : follower->dropped + 1;
    buf_fini(&out);
}

static void follow(struct admin_call *call, struct slice app, struct slice function, const struct buf *tail)
{
    struct follower *follower = mem_zalloc(sizeof *follower);
    follower->exchange = call->exchange;
    follower->app = mem_cstr(app);
    follower->function = mem_cstr(function);
    follower->reader = (struct fnlog_reader){.app = slice_cstr(follower->app),
                                             .function = slice_cstr(follower->function),
                                             .on_line = on_line,
                                             .ctx = follower};
    list_init(&follower->reader.link);
    list_push_back(&call->admin->followers, &follower->link);
    http_stream_begin(call->exchange, 200, &admin_ndjson_header, 1);
    http_exchange_on_abort(call->exchange, on_abort, follower);
    if (tail->size && http_stream_chunk(call->exchange, buf_view(tail)) != STATUS_OK) follower->dropped++;
    fnlog_subscribe(call->admin->config.fnlog, &follower->reader);
}

void admin_logs_drain(struct admin *admin)
{
    while (!list_empty(&admin->followers))
        follower_end(CONTAINER_OF(admin->followers.next, struct follower, link));
}

/* ---- the request ---- */

static void query_dup(struct admin_call *call, const char *name, struct buf *out)
{
    struct slice value;
    if (admin_query(call, name, &value)) buf_append(out, value);
}

void admin_logs(struct admin_call *call)
{
    uint64_t count, following;
    if (!admin_query_number(call, "tail", TAIL_DEFAULT, TAIL_MAX, &count) ||
        !admin_query_number(call, "follow", 0, 1, &following))
        return;
    struct buf app = BUF_INIT, function = BUF_INIT, tail = BUF_INIT;
    query_dup(call, "app", &app);
    query_dup(call, "function", &function);
    fnlog_tail(call->admin->config.fnlog, buf_view(&app), buf_view(&function), count, append_line, &tail);
    bool unknown = app.size && !tail.size && !catalog_app_find(call->admin->config.catalog, buf_view(&app));
    if (unknown)
        admin_fail(call->exchange, STATUS_APP_NOT_FOUND, "there is no app named `%.80s`", buf_cstr(&app));
    else if (following && call->admin->draining)
        admin_fail(call->exchange, STATUS_DRAINING, "the node is stopping");
    else if (following)
        follow(call, buf_view(&app), buf_view(&function), &tail);
    else
        http_reply(call->exchange, 200, &admin_ndjson_header, 1, buf_view(&tail));
    buf_fini(&app);
    buf_fini(&function);
    buf_fini(&tail);
}
