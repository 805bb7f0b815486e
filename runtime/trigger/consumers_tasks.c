/* consumers_tasks.c - what operators do to groups: cursors moved, dead letters tried again or dropped. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/invoke/appends.h"
#include "runtime/trigger/consumers_internal.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum { DEAD_TASK_MAX = 1000 /* letters at a time */ };

/* ---- failures that are known at once and told later ---- */

struct late {
    struct loop_task task;
    consumers_done_fn done;
    void *ctx;
    struct err err;
};

static void on_late(struct loop_task *task, void *ctx)
{
    struct late *late = ctx;
    late->done(late->ctx, late->err.status, 0, &late->err);
    free(late);
}

static void tell_later(struct consumers_part *part, consumers_done_fn done, void *ctx, const struct err *err)
{
    struct late *late = mem_alloc(sizeof *late);
    *late = (struct late){.done = done, .ctx = ctx, .err = *err};
    loop_task_init(&late->task, on_late, late);
    loop_post(part->consumers->config.loop, &late->task);
}

/* ---- cursors ---- */

static void move_end(struct move_task *move, enum status status, const struct err *err)
{
    struct consumer *consumer = move->consumer;
    consumer->moving = NULL;
    if (status == STATUS_OK)
    {
        struct map_entry entry;
        size_t place = 0;
        while (map_next(&consumer->done, &place, &entry))
        {
            (void)map_remove(&consumer->done, entry.key);
            place = 0;
        }
        group_move(&consumer->group, move->cursor);
        consumer->unkept = false;
        log_info("consumers.moved", "app=%s channel=%s group=%s cursor=%llu", consumer->part->app,
                 consumer->group.channel, consumer->group.name, (unsigned long long)move->cursor);
    }
    move->done(move->ctx, status, 0, err);
    buf_fini(&move->set);
    free(move);
    consumer_pump(consumer);
}

static void on_moved_durable(struct store_commit *commit)
{
    move_end(CONTAINER_OF(commit, struct move_task, commit), commit->status, &commit->err);
}

static void on_moved(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_moved_durable(commit); /* nothing was written */
}

static bool on_done_row(void *ctx, struct slice key, struct slice value)
{
    write_set_append(ctx, &(struct write_entry){WRITE_DELETE, key, SLICE_EMPTY});
    return true;
}

void consumers_move_step(struct consumer *consumer)
{
    struct move_task *move = consumer->moving;
    struct consumers_part *part = consumer->part;
    if (!move || move->submitted || consumer->in_flight > 0) return;
    if (part->stopped)
    {
        struct err err = ERR_INIT;
        move_end(move, err_set(&err, STATUS_DRAINING, "the app is closing"), &err);
        return;
    }
    if (part->tidying) return; /* its end asks again */
    move->submitted = true;
    struct slice channel = slice_cstr(consumer->group.channel), group = slice_cstr(consumer->group.name);
    struct buf low = BUF_INIT, high = BUF_INIT;
    durable_done_key(&low, channel, group, 0);
    durable_done_key(&high, channel, group, UINT64_MAX);
    group_cursor_set(&consumer->group, move->cursor, &move->set);
    struct store_snapshot *snapshot = store_snapshot_take(part->store);
    struct err err = ERR_INIT;
    enum status status = store_scan(snapshot, buf_view(&low), buf_view(&high), on_done_row, &move->set, &err);
    store_snapshot_release(part->store, snapshot);
    buf_fini(&low);
    buf_fini(&high);
    if (status != STATUS_OK)
    {
        move_end(move, status, &err);
        return;
    }
    move->commit = (struct store_commit){
        .writes = {buf_view(&move->set)}, .applied = on_moved, .durable = on_moved_durable};
    store_submit(part->store, &move->commit);
    store_push(part->store);
}

void consumers_replay(struct consumers_part *part, struct slice channel, struct slice group, uint64_t cursor,
                      consumers_done_fn done, void *ctx)
{
    struct err err = ERR_INIT;
    struct durable_head head;
    struct consumer *consumer = consumers_find(part, channel, group, &err);
    if (consumer && (consumer->moving || consumer->redrive))
    {
        (void)err_set(&err, STATUS_BUSY, "the group is being moved, or its dead letters are tried again");
        consumer = NULL;
    }
    if (consumer && invoke_channel_head(part->partition, channel, &head, &err) != STATUS_OK) consumer = NULL;
    if (consumer && (cursor < head.first || cursor > head.next))
    {
        (void)err_set(
            &err, STATUS_OFFSET_GONE,
            "offset %llu of channel '%.*s' is not there; it keeps %llu to %llu, and %llu is the next",
            (unsigned long long)cursor, SLICE_FMT(channel), (unsigned long long)head.first,
            (unsigned long long)(head.next ? head.next - 1 : 0), (unsigned long long)head.next);
        consumer = NULL;
    }
    if (!consumer)
    {
        tell_later(part, done, ctx, &err);
        return;
    }
    struct move_task *move = mem_zalloc(sizeof *move);
    *move = (struct move_task){.cursor = cursor, .done = done, .ctx = ctx, .consumer = consumer};
    consumer->moving = move;
    consumer_pump(consumer);
}

/* ---- dead letters ---- */

static bool on_dead(void *ctx, struct slice key, struct slice value)
{
    struct dead_task *task = ctx;
    uint64_t offset;
    if (durable_key_offset(key, &offset, task->drop ? NULL : &task->err) == STATUS_OK)
        buf_append(&task->offsets, slice_make(&offset, sizeof offset));
    else if (!task->drop)
        return true; /* nothing can be tried; it can be dropped with all others */
    write_set_append(&task->set, &(struct write_entry){WRITE_DELETE, key, SLICE_EMPTY});
    return ++task->count < DEAD_TASK_MAX;
}

static void task_free(struct dead_task *task)
{
    buf_fini(&task->offsets);
    buf_fini(&task->set);
    free(task);
}

/* NULL, and told: there are none, or they cannot be read. */
static struct dead_task *task_create(struct consumers_part *part, struct slice channel, struct slice group,
                                     uint64_t offset, bool drop, consumers_done_fn done, void *ctx)
{
    struct dead_task *task = mem_zalloc(sizeof *task);
    *task = (struct dead_task){.part = part, .done = done, .ctx = ctx, .drop = drop};
    struct buf low = BUF_INIT, high = BUF_INIT;
    bool all = offset == UINT64_MAX;
    durable_dead_key(&low, channel, group, all ? 0 : offset);
    durable_dead_key(&high, channel, group, all ? UINT64_MAX : offset + 1);
    struct store_snapshot *snapshot = store_snapshot_take(part->store);
    enum status status = store_scan(snapshot, buf_view(&low), buf_view(&high), on_dead, task, &task->err);
    store_snapshot_release(part->store, snapshot);
    buf_fini(&low);
    buf_fini(&high);
    if (status == STATUS_OK && task->count > 0) return task;
    if (status == STATUS_OK && !all && task->err.status == STATUS_OK)
        (void)err_set(&task->err, STATUS_NOT_FOUND, "group '%.*s' of channel '%.*s' has no dead letter %llu",
                      SLICE_FMT(group), SLICE_FMT(channel), (unsigned long long)offset);
    tell_later(part, done, ctx, &task->err);
    task_free(task);
    return NULL;
}

static void on_dropped_durable(struct store_commit *commit)
{
    struct dead_task *task = CONTAINER_OF(commit, struct dead_task, commit);
    bool ok = commit->status == STATUS_OK;
    task->done(task->ctx, commit->status, ok ? task->count : 0, &commit->err);
    task_free(task);
}

static void on_dropped(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_dropped_durable(commit); /* nothing was written */
}

void consumers_dead_drop(struct consumers_part *part, struct slice channel, struct slice group,
                         uint64_t offset, consumers_done_fn done, void *ctx)
{
    struct dead_task *task = task_create(part, channel, group, offset, true, done, ctx);
    if (!task) return;
    task->commit = (struct store_commit){
        .writes = {buf_view(&task->set)}, .applied = on_dropped, .durable = on_dropped_durable};
    store_submit(part->store, &task->commit);
    store_push(part->store);
}

void consumers_dead_retry(struct consumers_part *part, struct slice channel, struct slice group,
                          uint64_t offset, consumers_done_fn done, void *ctx)
{
    struct err err = ERR_INIT;
    struct consumer *consumer = consumers_find(part, channel, group, &err);
    if (consumer && (consumer->moving || consumer->redrive))
    {
        (void)err_set(&err, STATUS_BUSY, "the group is being moved, or its dead letters are tried again");
        consumer = NULL;
    }
    if (!consumer)
    {
        tell_later(part, done, ctx, &err);
        return;
    }
    struct dead_task *task = task_create(part, channel, group, offset, false, done, ctx);
    if (!task) return;
    buf_fini(&task->set); /* each goes with its own success */
    consumer->redrive = task;
    consumer_pump(consumer);
}
