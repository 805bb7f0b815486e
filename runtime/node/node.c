/* node.c - the composition root: reads as a picture of the whole. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/node.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/base/prng.h"
#include "runtime/catalog/catalog.h"
#include "runtime/catalog/deploy.h"
#include "runtime/gateway/admin.h"
#include "runtime/gateway/channel_http.h"
#include "runtime/gateway/front.h"
#include "runtime/gateway/gateway.h"
#include "runtime/gateway/live_http.h"
#include "runtime/gateway/routes.h"
#include "runtime/gateway/sockets.h"
#include "runtime/invoke/invoke.h"
#include "runtime/loop/loop.h"
#include "runtime/node/apps.h"
#include "runtime/node/channels.h"
#include "runtime/node/ports.h"
#include "runtime/node/sends.h"
#include "runtime/node/store_words.h"
#include "runtime/node/usage.h"
#include "runtime/observe/fnlog.h"
#include "runtime/observe/metrics.h"
#include "runtime/router/router.h"
#include "runtime/sandbox/cgroup.h"
#include "runtime/trigger/live_bus.h"
#include "runtime/trigger/live_delivery.h"
#include "runtime/trigger/consumers.h"
#include "runtime/trigger/outbox.h"
#include "runtime/worker/pool.h"
#include "statestore/statestore.h"

enum { FNLOG_BYTES_PER_APP = 256 * 1024, ADMIN_DRAIN_MS = 2000, SYSTEM_MAP_BYTES = 1 << 30 };

struct node {
    const struct config *config;
    struct loop *loop;
    struct clock *clock;

    struct store *system; /* what the daemon must remember */
    struct loop_task system_reap;
    bool system_failure_said; /* in the log, that it takes no writes */
    struct catalog *catalog;
    struct deployer *deployer;

    struct fnlog *fnlog;
    struct cgroups *cgroups; /* NULL: not wanted */
    struct pool *pool;
    struct invoke *engine;
    struct router *router;
    struct outbox *outbox;
    struct live_delivery *live;
    struct live_bus *bus;
    struct consumers *consumers;
    struct channel_http *channels;
    struct live_http *live_http;
    struct channels operated;
    struct ports ports;
    struct apps *apps;

    struct gateway *public;
    struct gateway *private;
    struct front *front;
    struct sockets *sockets;
    struct admin *admin;

    bool draining;
};

/* ---- the parts' wishes to each other ---- */

static void on_system_reap(struct loop_task *task, void *ctx)
{
    struct node *node = ctx;
    store_reap(node->system);
    store_words_health(node->system, "system", &node->system_failure_said);
}

static void on_system_wake(void *ctx)
{
    struct node *node = ctx;
    loop_post(node->loop, &node->system_reap);
}

static void on_published(void *ctx, const struct wire_message *message)
{
    struct node *node = ctx;
    if (node->bus) live_bus_publish(node->bus, message);
}

static void on_log(void *ctx, const struct pool_log *line)
{
    struct node *node = ctx;
    fnlog_append(node->fnlog, &(struct fnlog_line){
                                  .app = slice_cstr(line->app),
                                  .function = line->function,
                                  .invocation = line->invocation,
                                  .level = line->level,
                                  .text = line->text,
                              });
}

/* The routes of all current versions, as a new table. */
static void routes_rebuild(struct node *node)
{
    struct routes *routes = routes_create();
    for (size_t i = 0; i < catalog_app_count(node->catalog); i++)
    {
        const struct catalog_app *app = catalog_app_at(node->catalog, i);
        const struct manifest *manifest = catalog_app_current(app)->manifest;
        routes_add_app(routes, app->name);
        for (size_t f = 0; f < manifest->function_count; f++)
            routes_add_function(routes, app->name, manifest->functions[f].name);
        for (size_t r = 0; r < manifest->route_count; r++)
        {
            const struct manifest_route *route = &manifest->routes[r];
            struct buf origins = BUF_INIT;
            for (size_t o = 0; o < route->origin_count; o++)
                buf_printf(&origins, "%s%s", o ? " " : "", route->origins[o]);
            struct route_spec spec = {
                .app = app->name,
                .function = route->function,
                .method = route->method,
                .pattern = route->path,
                .socket = route->socket,
                .origins = route->origin_count ? buf_cstr(&origins) : NULL,
            };
            struct err err = ERR_INIT;
            if (routes_add(routes, &spec, &err) != STATUS_OK)
                log_error("node.route", "app=%s %s, ignoring", app->name, err_text(&err));
            buf_fini(&origins);
        }
    }
    front_set_routes(node->front, routes);
}

static void port_probe(void *ctx, struct catalog_version *version, const char *path, deploy_on_probed_fn done,
                       void *done_ctx)
{
    struct node *node = ctx;
    apps_probe(node->apps, version, path, done, done_ctx);
}

static void port_on_switch(void *ctx, const char *app, struct catalog_version *version)
{
    struct node *node = ctx;
    apps_on_switch(node->apps, app, version);
    live_delivery_switch(node->live, app, version ? version->manifest : NULL);
    live_http_switch(node->live_http, app, version ? version->manifest : NULL);
    routes_rebuild(node);
}

static void port_erase_state(void *ctx, const char *app, deploy_on_erased_fn done, void *done_ctx)
{
    struct node *node = ctx;
    apps_erase_state(node->apps, app, done, done_ctx);
}

static uint32_t port_partitions(void *ctx, struct slice app)
{
    struct node *node = ctx;
    return apps_partitions(node->apps, app);
}

static struct store *port_store(void *ctx, struct slice app, uint32_t partition)
{
    struct node *node = ctx;
    return apps_store(node->apps, app, partition);
}

static void port_invoke(void *ctx, struct http_exchange *exchange, struct slice app, struct slice function,
                        struct slice entity)
{
    struct node *node = ctx;
    front_invoke(node->front, exchange, app, function, entity);
}

static enum status port_listen(void *ctx, struct slice channel, struct slice keys,
                               struct live_subscriber *subscriber,
                               void (*on_ready)(struct live_subscriber *subscriber), struct err *err)
{
    struct node *node = ctx;
    return live_delivery_listen(node->live, channel, keys, subscriber, on_ready, err);
}

static bool port_channel(void *ctx, struct http_exchange *exchange, struct slice app, struct slice channel)
{
    struct node *node = ctx;
    if (live_http_request(node->live_http, exchange, app, channel)) return true;
    if (!channel_http_knows(node->channels, app, channel)) return false;
    channel_http_request(node->channels, exchange, app, channel, false);
    return true;
}

static void port_admin_channel(void *ctx, struct http_exchange *exchange, struct slice app,
                               struct slice channel)
{
    struct node *node = ctx;
    channel_http_request(node->channels, exchange, app, channel, true);
}

static enum status port_channels(void *ctx, struct slice app, struct buf *json, struct err *err)
{
    struct node *node = ctx;
    return channels_list(&node->operated, app, json, err);
}

static void port_channel_act(void *ctx, struct http_exchange *exchange, const struct admin_channel_act *act)
{
    struct node *node = ctx;
    channels_act(&node->operated, exchange, act);
}

static enum status port_explain(void *ctx, struct slice app, struct slice function, struct slice entity,
                                struct buf *json, struct err *err)
{
    struct node *node = ctx;
    struct router_explanation why;
    TRY(router_explain(node->router, app, function, entity, &why, err));
    buf_printf(json,
               "{\"node\":\"%s\",\"partition\":%u,\"partitions\":%u,\"hashed_bytes\":%zu,\"warm\":%s,"
               "\"in_flight\":%u,\"reason\":\"%s\"}",
               why.node, why.decision.partition, why.partitions, why.hash_tag.size,
               why.decision.warm ? "true" : "false", why.in_flight, route_reason_text(why.decision.reason));
    return STATUS_OK;
}

static enum status port_usage(void *ctx, struct slice app, struct buf *json, struct err *err)
{
    struct node *node = ctx;
    return usage_json(node->apps, node->catalog, node->config, app, json, err);
}

static enum status port_sends(void *ctx, struct slice app, bool dead, admin_send_fn row, void *row_ctx,
                              struct err *err)
{
    struct node *node = ctx;
    return sends_list(node->apps, app, dead, row, row_ctx, err);
}

static void port_sends_move(void *ctx, struct slice app, struct slice ident, bool retry,
                            void (*done)(void *ctx, enum status status, size_t count, const struct err *err),
                            void *done_ctx)
{
    struct node *node = ctx;
    sends_move(node->apps, app, ident, retry, done, done_ctx);
}

static void port_stats(void *ctx, struct buf *json)
{
    struct node *node = ctx;
    struct invoke_stats invoke;
    struct pool_stats pool;
    struct gateway_stats http;
    invoke_stats(node->engine, &invoke);
    pool_stats(node->pool, &pool);
    gateway_stats(node->public, &http);
    buf_printf(json,
               "{\"invocations\":{\"started\":%llu,\"succeeded\":%llu,\"failed\":%llu,\"conflicts\":%llu,"
               "\"remembered\":%llu,\"refused\":%llu,\"in_flight\":%u},",
               (unsigned long long)invoke.started, (unsigned long long)invoke.succeeded,
               (unsigned long long)invoke.failed, (unsigned long long)invoke.conflicts,
               (unsigned long long)invoke.remembered, (unsigned long long)invoke.refused, invoke.in_flight);
    buf_printf(json,
               "\"workers\":{\"zygotes\":%u,\"workers\":%u,\"busy\":%u,\"queued\":%u,\"started\":%llu,"
               "\"crashes\":%llu,\"timeouts\":%llu,\"log_lines_dropped\":%llu},",
               pool.zygotes, pool.workers, pool.workers_busy, pool.queued,
               (unsigned long long)pool.workers_started, (unsigned long long)pool.crashes,
               (unsigned long long)pool.timeouts, (unsigned long long)pool.log_lines_dropped);
    buf_printf(json,
               "\"http\":{\"connections\":%u,\"accepted\":%llu,\"refused\":%llu,\"requests\":%llu,"
               "\"malformed\":%llu,"
               "\"aborted\":%llu},\"apps\":",
               http.connections, (unsigned long long)http.accepted, (unsigned long long)http.refused,
               (unsigned long long)http.requests, (unsigned long long)http.malformed,
               (unsigned long long)http.aborted);
    apps_stats(node->apps, json);
    buf_printf(json, ",\"apps_asleep\":%zu}", apps_asleep(node->apps));
}

static void port_metrics(void *ctx, struct buf *text)
{
    struct node *node = ctx;
    struct invoke_stats invoke;
    struct pool_stats pool;
    struct gateway_stats http;
    invoke_stats(node->engine, &invoke);
    pool_stats(node->pool, &pool);
    gateway_stats(node->public, &http);
    struct outbox_stats sends;
    outbox_stats(node->outbox, &sends);
    struct live_delivery_stats live;
    struct live_bus_stats bus = {.malformed = 0};
    live_delivery_stats(node->live, &live);
    if (node->bus) live_bus_stats(node->bus, &bus);
    struct consumers_stats messages;
    consumers_stats(node->consumers, &messages);
    struct channel_http_stats channels;
    channel_http_stats(node->channels, &channels);
    struct sockets_stats sockets;
    sockets_stats(node->sockets, &sockets);
    struct metrics metrics = {
        .invocations_started = invoke.started,
        .invocations_succeeded = invoke.succeeded,
        .invocations_failed = invoke.failed,
        .invocations_refused = invoke.refused,
        .invocations_remembered = invoke.remembered,
        .conflicts = invoke.conflicts,
        .invocations_in_flight = invoke.in_flight,
        .workers = pool.workers,
        .workers_busy = pool.workers_busy,
        .zygotes = pool.zygotes,
        .runs_queued = pool.queued,
        .workers_started = pool.workers_started,
        .worker_crashes = pool.crashes,
        .run_timeouts = pool.timeouts,
        .log_lines_dropped = pool.log_lines_dropped,
        .sends_delivered = sends.delivered,
        .sends_failed = sends.failed,
        .sends_dead = sends.dead,
        .sends_in_flight = sends.in_flight,
        .durable_appended = invoke.appended,
        .durable_consumed = messages.delivered,
        .durable_failed = messages.failed,
        .durable_dead = messages.dead,
        .durable_lost = messages.lost,
        .durable_trimmed = messages.trimmed,
        .durable_in_flight = messages.in_flight,
        .channel_readers = channels.waiting + live_http_readers(node->live_http),
        .workers_waiting = pool.workers_waiting,
        .http_connections = http.connections,
        .http_accepted = http.accepted,
        .http_refused = http.refused,
        .http_requests = http.requests,
        .http_malformed = http.malformed,
        .http_aborted = http.aborted,
        .http_paced = http.paced,
        .http_streams_cut = http.streams_cut,
        .sockets_open = sockets.open,
        .sockets_opened = sockets.opened,
        .sockets_messages_in = sockets.messages_in,
        .sockets_messages_out = sockets.messages_out,
        .sockets_pushes_lost = sockets.pushes_lost,
        .sockets_overflowed = sockets.overflowed,
        .sockets_silent = sockets.silent,
        .sockets_protocol_errors = sockets.protocol_errors,
        .http_bytes_in = http.bytes_in,
        .http_bytes_out = http.bytes_out,
        .messages_published = live.hub.published,
        .messages_delivered = live.hub.delivered,
        .messages_lost = live.hub.lost,
        .messages_missed = live.hub.upstream_lost,
        .messages_refused = live.refused,
        .messages_started = live.started,
        .messages_failed = live.failed,
        .subscriptions = live.receivers,
        .bus_received = bus.bus.received,
        .bus_refused = live.foreign_refused + bus.malformed,
        .bus_unsent = bus.bus.send_failed,
        .bus_sent = bus.bus.sent,
        .apps_asleep = apps_asleep(node->apps),
    };
    struct buf stores = BUF_INIT;
    apps_metrics(node->apps, &stores);
    metrics_print(text, &metrics, (const struct metrics_store *)stores.data,
                  stores.size / sizeof(struct metrics_store));
    buf_fini(&stores);
    channels_metrics(node->apps, text);
}

/* ---- opening ---- */

static void path_in_data(const struct node *node, const char *name, struct buf *path)
{
    buf_printf(path, "%s/%s", node->config->data, name);
}

static enum status open_data(struct node *node, struct err *err)
{
    const char *data = node->config->data;
    if (mkdir(data, 0700) != 0 && errno != EEXIST)
        return err_errno(err, STATUS_STORE_UNWRITABLE, errno, "make data directory %s", data);
    struct stat info;
    if (stat(data, &info) != 0)
        return err_errno(err, STATUS_STORE_UNWRITABLE, errno, "data directory %s", data);
    if (!S_ISDIR(info.st_mode))
        return err_set(err, STATUS_STORE_UNWRITABLE, "data directory %s: it is not a directory", data);
    return STATUS_OK;
}

static enum status open_system(struct node *node, struct err *err)
{
    loop_task_init(&node->system_reap, on_system_reap, node);
    struct buf path = BUF_INIT;
    path_in_data(node, "system", &path);
    struct store_config config = {
        .dir = buf_cstr(&path),
        .map_bytes = SYSTEM_MAP_BYTES,
        .clock = node->clock,
        .wake = on_system_wake,
        .wake_ctx = node,
    };
    enum status status = store_open(&node->system, &config, err);
    buf_fini(&path);
    if (status != STATUS_OK) return err_wrap(err, status, "system store");
    store_words_opened(node->system, "system");

    node->catalog = catalog_create();
    struct store_snapshot *snapshot = store_snapshot_take(node->system);
    status = catalog_load(node->catalog, snapshot, err);
    store_snapshot_release(node->system, snapshot);
    return status == STATUS_OK ? STATUS_OK : err_wrap(err, status, "catalog");
}

/* The zygote program: the setting, else the one beside this program. */
static void zygote_path(const struct node *node, struct buf *path)
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (node->config->zygote[0] || size < 0)
    {
        buf_append_cstr(path, node->config->zygote[0] ? node->config->zygote : "stead-zygote");
        return;
    }
    self[size] = 0;
    buf_printf(path, "%s/stead-zygote", dirname(self));
}

/* Says once what there is and what is missing; `stead doctor` says what follows. */
static enum status open_cgroups(struct node *node, struct err *err)
{
    const char *wish = node->config->cgroup;
    if (strcmp(wish, "off") == 0) return STATUS_OK;
    if (strcmp(wish, "auto") != 0)
        return err_set(err, STATUS_CONFIG_INVALID, "cgroup: expected auto or off, got '%s'", wish);
    struct cgroup_port port;
    cgroup_port_init(&port);
    cgroups_open(&port, &node->cgroups);
    struct buf line = BUF_INIT;
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
    {
        char words[CGROUP_PATH_MAX + 128];
        cgroup_choice_words(cgroups_choice(node->cgroups, i), words, sizeof words);
        buf_printf(&line, "%s%s=\"%s\"", i ? " " : "", cgroup_controller_name(i), words);
    }
    log_info("node.cgroups", "%s", buf_cstr(&line));
    buf_fini(&line);
    return STATUS_OK;
}

static enum status open_pool(struct node *node, struct err *err)
{
    TRY(open_cgroups(node, err));
    struct buf path = BUF_INIT;
    zygote_path(node, &path);
    struct pool_config config = {
        .loop = node->loop,
        .zygote_program = buf_cstr(&path),
        .on_log = on_log,
        .log_ctx = node,
        .cgroups = node->cgroups,
        .spare_zygote = node->config->zygote_spare > 0,
        .workers_max = (uint32_t)node->config->workers_max,
    };
    enum status status =
        access(config.zygote_program, X_OK) == 0
            ? pool_create(&node->pool, &config, err)
            : err_errno(err, STATUS_NOT_FOUND, errno, "zygote program %s", config.zygote_program);
    buf_fini(&path);
    return status;
}

static enum status open_apps(struct node *node, struct err *err)
{
    node->fnlog = fnlog_create(node->clock, FNLOG_BYTES_PER_APP);
    TRY(open_pool(node, err));
    node->engine = invoke_create(&(struct invoke_config){
        .loop = node->loop,
        .clock = node->clock,
        .seed = prng_entropy(),
        .unsettled = node->config->unsafe_unsettled,
    });
    node->router = router_create(node->engine, (uint32_t)node->config->invocations_max);
    node->outbox = outbox_create(&(struct outbox_config){
        .loop = node->loop,
        .clock = node->clock,
        .router = node->router,
        .seed = prng_entropy(),
    });
    node->live = live_delivery_create(&(struct live_delivery_config){
        .loop = node->loop,
        .clock = node->clock,
        .router = node->router,
        .on_published = on_published,
        .ctx = node,
    });
    node->bus = live_bus_create(node->live);
    node->ports.live = node->live;
    node->consumers = consumers_create(&(struct consumers_config){
        .loop = node->loop,
        .clock = node->clock,
        .router = node->router,
        .seed = prng_entropy(),
    });
    node->channels = channel_http_create(
        &(struct channel_http_config){.loop = node->loop, .router = node->router, .catalog = node->catalog});
    node->live_http = live_http_create(&(struct live_http_config){
        .loop = node->loop, .catalog = node->catalog, .listen = port_listen, .ctx = node});
    node->sockets = sockets_create(&(struct sockets_config){.loop = node->loop, .router = node->router});
    node->ports.sockets = node->sockets;
    ports_connect(&node->ports, node->engine);
    struct buf dir = BUF_INIT, artifacts = BUF_INIT;
    path_in_data(node, "apps", &dir);
    path_in_data(node, "artifacts", &artifacts);
    node->apps = apps_create(&(struct apps_config){
        .loop = node->loop,
        .clock = node->clock,
        .engine = node->engine,
        .router = node->router,
        .outbox = node->outbox,
        .consumers = node->consumers,
        .pool = node->pool,
        .dir = buf_cstr(&dir),
        .artifacts = buf_cstr(&artifacts),
        .map_bytes = node->config->state_map_bytes,
        .unchecked = node->config->unsafe_unchecked,
    });
    node->operated = (struct channels){.apps = node->apps, .catalog = node->catalog};
    node->deployer = deployer_create(&(struct deploy_config){
        .loop = node->loop,
        .clock = node->clock,
        .catalog = node->catalog,
        .store = node->system,
        .artifacts = buf_cstr(&artifacts),
        .ports =
            {.ctx = node, .probe = port_probe, .on_switch = port_on_switch, .erase_state = port_erase_state},
    });
    buf_fini(&dir);
    buf_fini(&artifacts);
    for (size_t i = 0; i < catalog_app_count(node->catalog); i++)
    {
        const struct catalog_app *app = catalog_app_at(node->catalog, i);
        apps_start(node->apps, app->name, catalog_app_current(app));
        live_delivery_switch(node->live, app->name, catalog_app_current(app)->manifest);
    }
    return STATUS_OK;
}

/* Without an address no thread of it is started. */
static enum status open_bus(struct node *node, struct err *err)
{
    const struct config *config = node->config;
    struct bus *bus;
    if (!config->bus_publish[0] && !config->bus_intake[0] && !config->bus_peers[0]) return STATUS_OK;
    struct bus_nng_config settings = {
        .loop = node->loop,
        .handler = live_bus_handler(node->bus),
        .publish = config->bus_publish,
        .intake = config->bus_intake,
        .peers = config->bus_peers,
        .intake_per_second = (uint32_t)config->bus_intake_per_second,
    };
    TRY(bus_nng_open(&settings, &bus, err));
    live_bus_attach(node->bus, bus);
    log_info("bus.open", "publish=%s intake=%s peers=%s", config->bus_publish, config->bus_intake,
             config->bus_peers);
    return STATUS_OK;
}

/* "host:port", "[::1]:port" or ":port". */
static enum status parse_address(const char *text, char *host, size_t host_size, unsigned *port,
                                 struct err *err)
{
    const char *colon = strrchr(text, ':');
    char *end;
    unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || end == colon + 1 || *end != 0 || number > 65535 || (size_t)(colon - text) >= host_size)
        return err_set(err, STATUS_CONFIG_INVALID, "listen: expected HOST:PORT, got '%s'", text);
    const char *begin = text;
    size_t size = (size_t)(colon - text);
    if (size >= 2 && begin[0] == '[' && begin[size - 1] == ']')
    {
        begin++;
        size -= 2;
    }
    memcpy(host, begin, size);
    host[size] = 0;
    if (size == 0) snprintf(host, host_size, "0.0.0.0");
    *port = (unsigned)number;
    return STATUS_OK;
}

static enum status open_public(struct node *node, const char **address, struct err *err)
{
    const struct config *config = node->config;
    struct gateway_config gateway = {
        .loop = node->loop,
        .limits = {.header_bytes_max = (uint32_t)config->http_header_bytes_max,
                   .header_count_max = (uint32_t)config->http_header_count_max,
                   .body_bytes_max = config->http_body_bytes_max,
                   .connections_max = (uint32_t)config->http_connections_max,
                   .head_timeout_ms = (uint32_t)config->http_request_timeout_ms,
                   .body_timeout_ms = (uint32_t)config->http_request_timeout_ms,
                   .idle_timeout_ms = (uint32_t)config->http_idle_timeout_ms},
    };
    char host[256];
    unsigned port = 0;
    node->front = front_create(&(struct front_config){.router = node->router,
                                                      .sockets = node->sockets,
                                                      .channel = port_channel,
                                                      .channel_ctx = node,
                                                      .metrics = port_metrics,
                                                      .metrics_ctx = node});
    routes_rebuild(node);
    TRY(parse_address(config->listen, host, sizeof host, &port, err));
    TRY(gateway_open(&node->public, &gateway, err));
    return gateway_listen_tcp(node->public, host, port, front_on_request, node->front, address, err);
}

static enum status open_private(struct node *node, struct buf *path, struct err *err)
{
    struct gateway_config gateway = {
        .loop = node->loop,
        .limits = {.body_bytes_max = BOUND_ARTIFACT_BYTES_MAX + BOUND_MANIFEST_BYTES_MAX},
    };
    node->admin = admin_create(&(struct admin_config){
        .loop = node->loop,
        .clock = node->clock,
        .catalog = node->catalog,
        .deployer = node->deployer,
        .fnlog = node->fnlog,
        .system = node->system,
        .data = node->config->data,
        .ports = {.ctx = node,
                  .partitions = port_partitions,
                  .store = port_store,
                  .invoke = port_invoke,
                  .channels = port_channels,
                  .channel = port_admin_channel,
                  .channel_act = port_channel_act,
                  .explain = port_explain,
                  .usage = port_usage,
                  .sends = port_sends,
                  .sends_move = port_sends_move,
                  .stats = port_stats},
    });
    if (node->config->admin[0])
        buf_append_cstr(path, node->config->admin);
    else
        path_in_data(node, "admin.sock", path);
    TRY(gateway_open(&node->private, &gateway, err));
    enum status status =
        gateway_listen_unix(node->private, buf_cstr(path), 0600, admin_on_request, node->admin, err);
    return status == STATUS_OK ? STATUS_OK : err_wrap(err, status, "admin socket");
}

static enum status open_gateways(struct node *node, struct err *err)
{
    const char *address = NULL;
    struct buf path = BUF_INIT;
    enum status status = open_public(node, &address, err);
    if (status == STATUS_OK) status = open_private(node, &path, err);
    if (status == STATUS_OK) admin_listening(node->admin, address);
    if (status == STATUS_OK)
        log_info("node.listening", "address=%s admin=%s data=%s apps=%zu", address, buf_cstr(&path),
                 node->config->data, catalog_app_count(node->catalog));
    buf_fini(&path);
    return status;
}

enum status node_open(struct node **out, struct loop *loop, const struct config *config, struct err *err)
{
    struct node *node = mem_zalloc(sizeof *node);
    node->config = config;
    node->loop = loop;
    node->clock = loop_clock(loop);
    if (config->unsafe_unchecked)
        log_warn("node.unsafe", "validation is off: this node loses updates and exists for tests only");
    if (config->unsafe_unsettled)
        log_warn("node.unsafe", "messages may come twice after a crash: this node exists for tests only");
    /* A node that cannot start ends its process: nothing that it has opened needs a careful end. */
    TRY(open_data(node, err));
    TRY(open_system(node, err));
    TRY(open_apps(node, err));
    TRY(open_bus(node, err));
    TRY(open_gateways(node, err));
    front_set_ready(node->front, true);
    *out = node;
    return STATUS_OK;
}

/* ---- closing: requests first, then what runs them, then what they wrote ---- */

static void on_private_closed(void *ctx)
{
    struct node *node = ctx;
    loop_stop(node->loop);
}

static void on_private_drained(void *ctx)
{
    struct node *node = ctx;
    gateway_close(node->private, on_private_closed, node);
}

/* Who asked for a deployment or a backup still hears how it ended. */
static void on_public_closed(void *ctx)
{
    struct node *node = ctx;
    gateway_drain(node->private, ADMIN_DRAIN_MS, on_private_drained, node);
}

static void on_pool_stopped(void *ctx)
{
    struct node *node = ctx;
    gateway_close(node->public, on_public_closed, node);
}

/* No version is current any more: each ends with its last invocation, and those are ended now. */
static void on_deployer_closed(void *ctx)
{
    struct node *node = ctx;
    router_clear(node->router);
    pool_stop(node->pool, on_pool_stopped, node);
}

/* Everything has been answered, or the time is over. */
static void on_gateway_drained(void *ctx)
{
    struct node *node = ctx;
    live_bus_destroy(node->bus); /* now: its end takes a turn of the loop */
    node->bus = NULL;
    admin_drain(node->admin);
    deployer_close(node->deployer, on_deployer_closed, node);
}

void node_drain(struct node *node)
{
    if (node->draining)
    {
        log_warn("node.stopping", "asked twice: ending at once");
        _exit(1); /* what was acknowledged is durable; the workers die with us */
    }
    node->draining = true;
    front_set_ready(node->front, false);
    router_drain(node->router);
    live_delivery_drain(node->live);
    gateway_drain(node->public, node->config->drain_timeout_ms, on_gateway_drained, node);
}

void node_destroy(struct node *node)
{
    front_destroy(node->front);
    sockets_destroy(node->sockets);
    admin_destroy(node->admin);
    router_destroy(node->router);
    apps_destroy(node->apps);
    outbox_destroy(node->outbox);
    live_http_destroy(node->live_http);
    live_delivery_destroy(node->live);
    consumers_destroy(node->consumers);
    channel_http_destroy(node->channels);
    invoke_destroy(node->engine);
    pool_destroy(node->pool);
    cgroups_close(node->cgroups);
    fnlog_destroy(node->fnlog);
    catalog_destroy(node->catalog);
    store_close(node->system);
    free(node);
}
