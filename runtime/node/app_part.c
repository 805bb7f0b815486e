/* app_part.c - opening, stopping and figures of a partition. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/app_part.h"

#include "runtime/invoke/appends.h"
#include "runtime/invoke/invoke.h"
#include "runtime/node/apps.h"
#include "runtime/node/state_dir.h"
#include "runtime/node/store_words.h"
#include "runtime/observe/metrics.h"
#include "runtime/trigger/consumers.h"
#include "runtime/trigger/outbox.h"
#include "statestore/statestore.h"

static void part_name(const struct app_part *part, struct buf *name)
{
    buf_reset(name);
    buf_printf(name, "apps/%s/p%u", part->app, part->index);
}

static void on_reap(struct loop_task *task, void *ctx)
{
    struct app_part *part = ctx;
    if (!part->store) return;
    store_reap(part->store);
    if (part->failure_said || store_health(part->store, NULL) == STATUS_OK) return;
    struct buf name = BUF_INIT;
    part_name(part, &name);
    store_words_health(part->store, buf_cstr(&name), &part->failure_said);
    buf_fini(&name);
}

static void on_store_wake(void *ctx)
{
    struct app_part *part = ctx;
    loop_post(part->config->loop, &part->reap);
}

enum status app_part_open(struct app_part *part, const struct apps_config *config, const char *app,
                          uint32_t index, uint32_t count, struct err *err)
{
    part->config = config;
    part->app = app;
    part->index = index;
    loop_task_init(&part->reap, on_reap, part);
    struct buf path = BUF_INIT;
    state_dir_path(&path, config->dir, app, index);
    struct store_config store = {
        .dir = buf_cstr(&path),
        .map_bytes = config->map_bytes,
        .clock = config->clock,
        .wake = on_store_wake,
        .wake_ctx = part,
        .corked = true,
        .unchecked = config->unchecked,
    };
    enum status status = store_open(&part->store, &store, err);
    buf_fini(&path);
    if (status != STATUS_OK) return err_wrap(err, status, "partition %u", index);
    struct buf name = BUF_INIT;
    part_name(part, &name);
    store_words_opened(part->store, buf_cstr(&name));
    buf_fini(&name);
    part->partition = invoke_partition_open(config->engine, part->store, index, count);
    part->outbox = outbox_open(config->outbox, app, part->partition);
    part->consumers = consumers_open(config->consumers, app, part->partition);
    return STATUS_OK;
}

void app_part_stop(struct app_part *part)
{
    if (!part->partition) return;
    outbox_stop(part->outbox);
    consumers_stop(part->consumers);
    invoke_partition_close(part->partition); /* and its store */
    part->store = NULL;
}

void app_part_close(struct app_part *part)
{
    outbox_close(part->outbox);
    consumers_close(part->consumers);
}

bool app_part_busy(const struct app_part *part)
{
    return outbox_busy(part->outbox) || consumers_busy(part->consumers);
}

bool app_part_quiet(const struct app_part *part)
{
    if (invoke_partition_in_flight(part->partition) || app_part_busy(part)) return false;
    if (invoke_partition_listened(part->partition)) return false;
    if (store_health(part->store, NULL) != STATUS_OK) return false; /* opened again it would look healthy */
    struct store_stats store;
    store_stats(part->store, &store);
    return store.checkpoint_seq == store_applied_seq(part->store);
}

void app_part_stats(const struct app_part *part, struct buf *json)
{
    struct store_stats stats;
    store_stats(part->store, &stats);
    buf_printf(json,
               "{\"app\":\"%s\",\"partition\":%u,\"in_flight\":%u,\"commits\":%llu,\"conflicts\":%llu,"
               "\"batches\":%llu,\"syncs\":%llu,\"bytes_written\":%llu,\"rows\":%llu,\"data_bytes\":%llu,"
               "\"durable_seq\":%llu}",
               part->app, part->index, invoke_partition_in_flight(part->partition),
               (unsigned long long)stats.commits, (unsigned long long)stats.conflicts,
               (unsigned long long)stats.batches, (unsigned long long)stats.syncs,
               (unsigned long long)stats.bytes_written, (unsigned long long)stats.rows,
               (unsigned long long)stats.data_bytes, (unsigned long long)store_durable_seq(part->store));
}

void app_part_metrics(const struct app_part *part, struct buf *stores)
{
    struct store_stats stats;
    store_stats(part->store, &stats);
    struct metrics_store one = {
        .app = part->app,
        .partition = part->index,
        .commits = stats.commits,
        .conflicts = stats.conflicts,
        .syncs = stats.syncs,
        .bytes_written = stats.bytes_written,
        .rows = stats.rows,
        .data_bytes = stats.data_bytes,
        .log_bytes = stats.log_bytes,
    };
    buf_append(stores, slice_make(&one, sizeof one));
}
