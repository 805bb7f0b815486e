/* group.c - lanes of keys, the order of offsets, and the cursor that follows from it. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/channel/group.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "statestore/kv/write_set.h"

/* Messages of one key, which go one after another; or some without a key that go together. */
struct group_lane {
    struct list link; /* of ready or later, when it is not running */
    struct list messages;
    bool keyed, running;
    uint32_t count; /* of messages that were put in, when it has no key */
    uint64_t due_ms;
    size_t key_size;
    char key[];
};

void group_init(struct group *group, struct slice channel, struct slice name, uint64_t cursor)
{
    *group = (struct group){
        .channel = mem_cstr(channel),
        .name = mem_cstr(name),
        .keys = mem_strdup(""),
        .batch = 1,
        .next = cursor,
        .kept = cursor,
    };
    list_init(&group->order);
    list_init(&group->runs);
    list_init(&group->ready);
    list_init(&group->later);
}

void group_configure(struct group *group, const char *keys, uint32_t batch)
{
    free(group->keys);
    group->keys = mem_strdup(keys ? keys : "");
    group->batch = batch ? batch : 1;
}

static void lane_drop(struct group *group, struct group_lane *lane)
{
    list_remove(&lane->link);
    if (lane->keyed) (void)map_remove(&group->lanes, slice_make(lane->key, lane->key_size));
    if (group->open == lane) group->open = NULL;
    free(lane);
}

static void message_drop(struct group *group, struct group_message *message)
{
    list_remove(&message->order);
    list_remove(&message->in_lane);
    group->messages--;
    group->bytes -= message->row.size;
    free(message);
}

void group_move(struct group *group, uint64_t cursor)
{
    CHECK(group->runs_count == 0);
    LIST_FOREACH(link, &group->order)
    {
        struct group_message *message = CONTAINER_OF(link, struct group_message, order);
        struct group_lane *lane = message->lane;
        message_drop(group, message);
        if (list_empty(&lane->messages)) lane_drop(group, lane);
    }
    CHECK(group->messages == 0 && group->lanes.count == 0);
    group->next = group->kept = cursor;
    group->done_rows = 0;
}

void group_fini(struct group *group)
{
    group_move(group, 0);
    map_fini(&group->lanes);
    free(group->channel);
    free(group->name);
    free(group->keys);
}

/* ---- what waits ---- */

uint64_t group_cursor(const struct group *group)
{
    if (list_empty(&group->order)) return group->next;
    return CONTAINER_OF(group->order.next, struct group_message, order)->message.offset;
}

bool group_has_room(const struct group *group)
{
    return group->messages < GROUP_MESSAGES_MAX && group->bytes < GROUP_BYTES_MAX &&
           group->next - group_cursor(group) < GROUP_SPAN_MAX;
}

void group_pass(struct group *group, uint64_t offset)
{
    if (offset > group->next) group->next = offset;
}

static struct group_lane *lane_create(struct slice key)
{
    struct group_lane *lane = mem_zalloc(sizeof *lane + key.size);
    list_init(&lane->link);
    list_init(&lane->messages);
    lane->keyed = key.size > 0;
    lane->key_size = key.size;
    if (key.size) memcpy(lane->key, key.data, key.size);
    return lane;
}

static struct group_lane *lane_for(struct group *group, struct slice key)
{
    struct group_lane *lane;
    if (key.size)
    {
        lane = map_get(&group->lanes, key);
        if (lane) return lane;
        lane = lane_create(key);
        map_put(&group->lanes, key, lane);
    }
    else
    {
        if (group->open && group->open->count++ < group->batch) return group->open;
        lane = group->open = lane_create(key);
        lane->count = 1;
    }
    list_push_back(&group->ready, &lane->link);
    return lane;
}

enum status group_offer(struct group *group, uint64_t offset, struct slice row, struct err *err)
{
    struct durable_message seen;
    CHECK(offset >= group->next);
    TRY(durable_message_decode(row, &seen, err));
    group->next = offset + 1;
    if (!slice_starts_with(seen.key, slice_cstr(group->keys))) return STATUS_OK;
    struct group_message *message = mem_alloc(sizeof *message + row.size);
    *message = (struct group_message){.row = slice_make(message + 1, row.size)};
    memcpy(message + 1, row.data, row.size);
    CHECK(durable_message_decode(message->row, &message->message, NULL) == STATUS_OK);
    message->message.offset = offset;
    message->lane = lane_for(group, message->message.key);
    list_push_back(&group->order, &message->order);
    list_push_back(&message->lane->messages, &message->in_lane);
    group->messages++;
    group->bytes += row.size;
    return STATUS_OK;
}

/* ---- delivery ---- */

uint64_t group_due_ms(const struct group *group)
{
    uint64_t due_ms = UINT64_MAX;
    LIST_FOREACH(link, &group->later)
    {
        const struct group_lane *lane = CONTAINER_OF(link, struct group_lane, link);
        if (lane->due_ms < due_ms) due_ms = lane->due_ms;
    }
    return due_ms;
}

static struct group_lane *lane_due(struct group *group, uint64_t now_ms)
{
    LIST_FOREACH(link, &group->later)
    {
        struct group_lane *lane = CONTAINER_OF(link, struct group_lane, link);
        if (lane->due_ms <= now_ms) return lane;
    }
    return list_empty(&group->ready) ? NULL : CONTAINER_OF(group->ready.next, struct group_lane, link);
}

/* Where the cursor will be when the run is done, if it is in front: at the first message that is not of the run. */
static void run_place(struct group_run *run)
{
    struct group *group = run->group;
    struct list *at = &group->order;
    LIST_FOREACH(link, &run->messages)
    {
        if (at->next != &CONTAINER_OF(link, struct group_message, in_lane)->order) return;
        at = at->next;
    }
    run->in_front = true;
    run->cursor = at->next == &group->order
                      ? group->next
                      : CONTAINER_OF(at->next, struct group_message, order)->message.offset;
    group->front_busy = true;
}

struct group_run *group_next(struct group *group, uint64_t now_ms)
{
    if (group->runs_count >= GROUP_RUNS_MAX) return NULL;
    struct group_lane *lane = lane_due(group, now_ms);
    if (!lane) return NULL;
    struct group_run *run = mem_zalloc(sizeof *run);
    *run = (struct group_run){.group = group, .lane = lane};
    list_init(&run->messages);
    list_push_back(&group->runs, &run->link);
    group->runs_count++;
    list_remove(&lane->link);
    lane->running = true;
    if (group->open == lane) group->open = NULL;
    LIST_FOREACH(link, &lane->messages)
    {
        const struct group_message *message = CONTAINER_OF(link, struct group_message, in_lane);
        if (run->count == group->batch || (run->count > 0 && (run->attempts > 0 || message->attempts > 0)))
            break;
        if (run->count == 0) run->attempts = message->attempts;
        list_remove(link);
        list_push_back(&run->messages, link);
        run->count++;
    }
    run_place(run);
    return run;
}

static void run_end(struct group_run *run)
{
    struct group *group = run->group;
    struct group_lane *lane = run->lane;
    list_remove(&run->link);
    group->runs_count--;
    if (run->in_front) group->front_busy = false;
    lane->running = false;
    if (list_empty(&lane->messages))
        lane_drop(group, lane);
    else
        list_push_back(lane->due_ms ? &group->later : &group->ready, &lane->link);
    free(run);
}

void group_done(struct group_run *run)
{
    struct group *group = run->group;
    if (run->in_front && run->cursor > group->kept) group->kept = run->cursor;
    if (!run->in_front) group->done_rows += run->count;
    LIST_FOREACH(link, &run->messages)
    message_drop(group, CONTAINER_OF(link, struct group_message, in_lane));
    run->lane->due_ms = 0;
    run_end(run);
}

static void run_return(struct group_run *run, uint64_t at_ms, uint32_t attempts)
{
    struct list *before = run->lane->messages.next;
    LIST_FOREACH(link, &run->messages)
    {
        CONTAINER_OF(link, struct group_message, in_lane)->attempts += attempts;
        list_remove(link);
        list_insert_before(before, link);
    }
    run->lane->due_ms = at_ms ? at_ms : 1;
    run_end(run);
}

void group_retry(struct group_run *run, uint64_t at_ms)
{
    run_return(run, at_ms, 1);
}

void group_return(struct group_run *run, uint64_t at_ms)
{
    run_return(run, at_ms, 0);
}

/* ---- write sets ---- */

void group_cursor_set(const struct group *group, uint64_t cursor, struct buf *set)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    durable_cursor_key(&key, slice_cstr(group->channel), slice_cstr(group->name));
    durable_cursor_encode(&value, cursor);
    write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    buf_fini(&key);
    buf_fini(&value);
}

void group_settle_set(const struct group_run *run, struct buf *set)
{
    const struct group *group = run->group;
    if (run->in_front)
    {
        group_cursor_set(group, run->cursor, set);
        return;
    }
    struct buf key = BUF_INIT;
    LIST_FOREACH(link, &run->messages)
    {
        buf_reset(&key);
        durable_done_key(&key, slice_cstr(group->channel), slice_cstr(group->name),
                         CONTAINER_OF(link, struct group_message, in_lane)->message.offset);
        write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&key), SLICE_EMPTY});
    }
    buf_fini(&key);
}

void group_bury_set(const struct group_run *run, struct slice error, uint64_t now_ms, struct buf *set)
{
    const struct group *group = run->group;
    group_settle_set(run, set);
    struct buf key = BUF_INIT, value = BUF_INIT;
    LIST_FOREACH(link, &run->messages)
    {
        const struct group_message *message = CONTAINER_OF(link, struct group_message, in_lane);
        buf_reset(&key);
        buf_reset(&value);
        durable_dead_key(&key, slice_cstr(group->channel), slice_cstr(group->name), message->message.offset);
        durable_dead_encode(&value, &(struct durable_dead){.attempts = message->attempts + 1,
                                                           .time_ms = now_ms,
                                                           .error = error,
                                                           .row = message->row});
        write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    }
    buf_fini(&key);
    buf_fini(&value);
}
