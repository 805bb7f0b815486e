/* channels.c - listings, replays and dead letters of durable channels. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/channels.h"

#include <stdlib.h>

#include "runtime/catalog/catalog.h"
#include "runtime/gateway/gateway.h"
#include "runtime/invoke/appends.h"
#include "runtime/node/apps.h"
#include "runtime/trigger/consumers.h"

/* ---- listing ---- */

struct listing {
    struct buf *json;
    const char *channel; /* only its groups */
    uint32_t partition;
    const char *comma;
};

/* Names need no escapes. */
static void on_group(void *ctx, const struct consumers_group *group)
{
    struct listing *listing = ctx;
    if (!slice_is(slice_cstr(group->channel), listing->channel)) return;
    buf_printf(listing->json,
               "%s{\"group\":\"%s\",\"function\":\"%s\",\"partition\":%u,\"cursor\":%llu,\"lag\":%llu,"
               "\"in_flight\":%u,\"delivered\":%llu,\"failed\":%llu,\"dead\":%llu,\"lost\":%llu}",
               listing->comma, group->group, group->function, listing->partition,
               (unsigned long long)group->cursor, (unsigned long long)group->lag, group->in_flight,
               (unsigned long long)group->delivered, (unsigned long long)group->failed,
               (unsigned long long)group->dead, (unsigned long long)group->lost);
    listing->comma = ",";
}

static enum status list_partitions(const struct channels *channels, struct slice app, const char *channel,
                                   struct buf *json, struct err *err)
{
    uint32_t count = apps_partitions(channels->apps, app);
    buf_append_cstr(json, ",\"partitions\":[");
    for (uint32_t i = 0; i < count; i++)
    {
        struct durable_head head;
        TRY(invoke_channel_head(apps_partition(channels->apps, app, i), slice_cstr(channel), &head, err));
        buf_printf(json, "%s{\"partition\":%u,\"first\":%llu,\"next\":%llu,\"time_ms\":%llu}", i ? "," : "",
                   i, (unsigned long long)head.first, (unsigned long long)head.next,
                   (unsigned long long)head.time_ms);
    }
    buf_append_cstr(json, "],\"groups\":[");
    struct listing listing = {.json = json, .channel = channel, .comma = ""};
    for (; listing.partition < count; listing.partition++)
        consumers_groups(apps_consumers(channels->apps, app, listing.partition), on_group, &listing);
    buf_append_cstr(json, "]");
    return STATUS_OK;
}

enum status channels_list(const struct channels *channels, struct slice app, struct buf *json,
                          struct err *err)
{
    const struct catalog_app *found = catalog_app_find(channels->catalog, app);
    if (!found) return err_set(err, STATUS_APP_NOT_FOUND, "no app '%.*s' is deployed", SLICE_FMT(app));
    const struct manifest *manifest = catalog_app_current(found)->manifest;
    buf_append_cstr(json, "{\"channels\":[");
    for (size_t i = 0; i < manifest->channel_count; i++)
    {
        const struct manifest_channel *channel = &manifest->channels[i];
        bool durable = channel->kind == CHANNEL_DURABLE;
        buf_printf(json, "%s{\"channel\":\"%s\",\"kind\":\"%s\",\"from_outside\":%s,\"http\":\"%s\"",
                   i ? "," : "", channel->name, durable ? "durable" : "live",
                   channel->from_outside ? "true" : "false", manifest_channel_http_word(channel->http));
        if (durable) TRY(list_partitions(channels, app, channel->name, json, err));
        buf_append_byte(json, '}');
    }
    buf_append_cstr(json, "]}\n");
    return STATUS_OK;
}

/* ---- acts ---- */

static void on_done(void *ctx, enum status status, uint64_t count, const struct err *err)
{
    struct http_exchange *exchange = ctx;
    if (status != STATUS_OK)
    {
        http_fail(exchange, &(struct http_failure){.status = status, .message = err_text(err)});
        return;
    }
    struct buf body = BUF_INIT;
    struct http_header type = {SLICE("Content-Type"), SLICE("application/json")};
    buf_printf(&body, "{\"count\":%llu}\n", (unsigned long long)count);
    http_reply(exchange, 200, &type, 1, buf_view(&body));
    buf_fini(&body);
}

void channels_act(const struct channels *channels, struct http_exchange *exchange,
                  const struct admin_channel_act *act)
{
    struct consumers_part *part = apps_consumers(channels->apps, act->app, act->partition);
    struct err err = ERR_INIT;
    uint64_t offset = act->offset;
    enum status status = STATUS_OK;
    if (!part)
        status = err_set(&err, STATUS_NOT_FOUND, "app '%.*s' has no partition %u that could be opened",
                         SLICE_FMT(act->app), act->partition);
    else if (act->kind == ADMIN_CHANNEL_REPLAY_TIME)
        status = invoke_channel_at(apps_partition(channels->apps, act->app, act->partition), act->channel,
                                   act->offset, &offset, &err);
    if (status != STATUS_OK)
    {
        on_done(exchange, status, 0, &err);
        return;
    }
    switch (act->kind)
    {
    case ADMIN_CHANNEL_REPLAY:
    case ADMIN_CHANNEL_REPLAY_TIME:
        consumers_replay(part, act->channel, act->group, offset, on_done, exchange);
        break;
    case ADMIN_CHANNEL_DEAD_RETRY:
        consumers_dead_retry(part, act->channel, act->group, offset, on_done, exchange);
        break;
    case ADMIN_CHANNEL_DEAD_DROP:
        consumers_dead_drop(part, act->channel, act->group, offset, on_done, exchange);
        break;
    }
}

/* ---- metrics ---- */

struct lags {
    struct buf *text;
    const char *app;
    uint32_t partition;
};

static void on_lag(void *ctx, const struct consumers_group *group)
{
    struct lags *lags = ctx;
    buf_printf(lags->text,
               "stead_channel_lag{app=\"%s\",partition=\"%u\",channel=\"%s\",group=\"%s\"} %llu\n", lags->app,
               lags->partition, group->channel, group->group, (unsigned long long)group->lag);
}

static void on_part(void *ctx, const char *app, uint32_t partition, const struct consumers_part *part)
{
    consumers_groups(part, on_lag, &(struct lags){.text = ctx, .app = app, .partition = partition});
}

void channels_metrics(const struct apps *apps, struct buf *text)
{
    buf_append_cstr(text,
                    "# HELP stead_channel_lag messages of durable channels that a group has not done yet\n"
                    "# TYPE stead_channel_lag gauge\n");
    apps_each_consumers(apps, on_part, text);
}
