/* appends.c - giving offsets, finding out where a channel stands, and messages from outside. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/appends.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/invoke/invocation.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

void appends_init(struct appends *appends, struct store *store)
{
    *appends = (struct appends){.store = store};
}

void appends_fini(struct appends *appends)
{
    struct map_entry entry;
    for (size_t place = 0; map_next(&appends->channels, &place, &entry);) free(entry.value);
    map_fini(&appends->channels);
}

/* ---- where a channel stands ---- */

struct probe {
    bool found;
    uint64_t offset;
    struct slice value;
};

struct probing {
    struct probe *result;
    enum status status;
    struct err *err;
};

static bool on_probe(void *ctx, struct slice key, struct slice value)
{
    struct probing *probing = ctx;
    uint64_t offset;
    probing->status = durable_key_offset(key, &offset, probing->err);
    if (probing->status == STATUS_OK) *probing->result = (struct probe){true, offset, value};
    return false;
}

/* The first message at or behind `offset`. */
static enum status probe(struct store_snapshot *snapshot, struct slice channel, uint64_t offset,
                         struct probe *result, struct err *err)
{
    struct buf low = BUF_INIT, high = BUF_INIT;
    durable_message_key(&low, channel, offset);
    durable_message_key(&high, channel, UINT64_MAX); /* never given */
    result->found = false;
    struct probing probing = {.result = result, .status = STATUS_OK, .err = err};
    enum status status = store_scan(snapshot, buf_view(&low), buf_view(&high), on_probe, &probing, err);
    buf_fini(&low);
    buf_fini(&high);
    return status == STATUS_OK ? probing.status : status;
}

/* The last message, when `last` is one: ever farther ahead, then ever nearer. Stores are read forwards only. */
static enum status find_last(struct store_snapshot *snapshot, struct slice channel, struct probe *last,
                             struct err *err)
{
    uint64_t end = UINT64_MAX; /* nothing is at or behind it */
    struct probe next;
    for (uint64_t step = 1; last->offset < end - step; step *= 2)
    {
        TRY(probe(snapshot, channel, last->offset + step, &next, err));
        if (!next.found)
        {
            end = last->offset + step;
            break;
        }
        *last = next;
    }
    while (end - last->offset > 1)
    {
        uint64_t middle = last->offset + (end - last->offset) / 2;
        TRY(probe(snapshot, channel, middle, &next, err));
        if (next.found)
            *last = next;
        else
            end = middle;
    }
    return STATUS_OK;
}

static enum status head_read(struct store_snapshot *snapshot, struct slice channel, struct durable_head *head,
                             struct err *err)
{
    struct buf key = BUF_INIT;
    struct slice value;
    durable_head_key(&key, channel);
    enum status status = store_get(snapshot, buf_view(&key), &value, NULL);
    buf_fini(&key);
    if (status == STATUS_OK) return durable_head_decode(value, head, err);
    if (status != STATUS_NOT_FOUND) return err_set(err, status, "head of the channel");
    *head = (struct durable_head){0};
    return STATUS_OK;
}

static bool on_cursor(void *ctx, struct slice key, struct slice value)
{
    struct durable_head *head = ctx;
    struct slice channel, group;
    uint64_t cursor;
    if (durable_cursor_split(key, &channel, &group) &&
        durable_cursor_decode(value, &cursor, NULL) == STATUS_OK && cursor > head->next)
        head->next = cursor;
    return true;
}

/* A group may have gone past offsets that no message got in the end: none may get one of them now. */
static enum status cursors_load(struct store_snapshot *snapshot, struct slice channel,
                                struct durable_head *head, struct err *err)
{
    struct buf low = BUF_INIT, high = BUF_INIT;
    durable_head_key(&low, channel);
    CHECK(keyspace_successor(&high, buf_view(&low)));
    enum status status = store_scan(snapshot, buf_view(&low), buf_view(&high), on_cursor, head, err);
    buf_fini(&low);
    buf_fini(&high);
    return status;
}

static enum status head_load(struct store_snapshot *snapshot, struct slice channel, struct durable_head *head,
                             struct err *err)
{
    TRY(head_read(snapshot, channel, head, err));
    TRY(cursors_load(snapshot, channel, head, err));
    struct probe last;
    TRY(probe(snapshot, channel, head->first, &last, err));
    if (!last.found) return STATUS_OK;
    TRY(find_last(snapshot, channel, &last, err));
    struct durable_message message;
    TRY(durable_message_decode(last.value, &message, err));
    if (last.offset >= head->next) head->next = last.offset + 1;
    head->bytes = message.bytes_before + durable_message_bytes(&message);
    head->time_ms = message.time_ms;
    return STATUS_OK;
}

enum status appends_channel(struct appends *appends, struct slice channel, struct durable_head **head,
                            struct err *err)
{
    *head = map_get(&appends->channels, channel);
    if (*head) return STATUS_OK;
    struct durable_head loaded;
    struct store_snapshot *snapshot = store_snapshot_take(appends->store);
    enum status status = head_load(snapshot, channel, &loaded, err);
    store_snapshot_release(appends->store, snapshot);
    if (status != STATUS_OK) return err_wrap(err, status, "channel '%.*s'", SLICE_FMT(channel));
    *head = mem_dup(slice_make(&loaded, sizeof loaded));
    map_put(&appends->channels, channel, *head);
    return STATUS_OK;
}

/* ---- rows ---- */

static void row_put(struct durable_head *head, struct slice channel, struct durable_message *message,
                    uint64_t now_ms, struct buf *set)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    if (now_ms > head->time_ms) head->time_ms = now_ms; /* the clock may be set back */
    message->offset = head->next++;
    message->bytes_before = head->bytes;
    message->time_ms = head->time_ms;
    head->bytes += durable_message_bytes(message);
    durable_message_key(&key, channel, message->offset);
    durable_message_encode(&value, message);
    write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    buf_fini(&key);
    buf_fini(&value);
}

/* One among the effects of an invocation. */
struct appended {
    struct wire_effect effect; /* `number` is its place among them */
    struct durable_head *head; /* of its channel */
};

size_t appends_count(const struct buf *list)
{
    return list->size / sizeof(struct appended);
}

static int by_channel(const void *a, const void *b)
{
    const struct wire_effect *left = &((const struct appended *)a)->effect,
                             *right = &((const struct appended *)b)->effect;
    int order = slice_compare(left->name, right->name);
    return order ? order : (left->number > right->number) - (left->number < right->number);
}

enum status appends_prepare(struct appends *appends, struct slice effects, struct buf *list, struct err *err)
{
    struct appended next;
    bool found;
    buf_reset(list);
    for (size_t offset = 0;;)
    {
        TRY(wire_effect_next(effects, &offset, &next.effect, &found, err));
        if (!found) break;
        if (next.effect.kind != WIRE_EFFECT_APPEND) continue;
        next.effect.number = appends_count(list); /* those of a channel keep their order */
        TRY(appends_channel(appends, next.effect.name, &next.head, err));
        buf_append(list, slice_make(&next, sizeof next));
    }
    if (appends_count(list) > 1) qsort(list->data, appends_count(list), sizeof next, by_channel);
    return STATUS_OK;
}

void appends_write_set(const struct buf *list, uint64_t now_ms, struct buf *set)
{
    const struct appended *all = (const struct appended *)list->data;
    for (size_t i = 0; i < appends_count(list); i++)
    {
        const struct wire_effect *effect = &all[i].effect;
        struct durable_message message = {.key = effect->key, .type = effect->type, .body = effect->body};
        row_put(all[i].head, effect->name, &message, now_ms, set);
    }
}

/* ---- those who wait for messages ---- */

void appends_told(struct invoke_partition *partition, size_t count)
{
    struct invoke *engine = partition->engine;
    engine->stats.appended += count;
    if (engine->ports.appended) engine->ports.appended(engine->ports.ctx, partition);
    if (list_empty(&partition->listeners) || !list_empty(&partition->hearing)) return;
    list_push_back(&engine->hearing, &partition->hearing);
    loop_want(engine->loop, PHASE_REPLY);
}

static void hear(struct invoke_partition *partition, bool closing)
{
    struct list heard, *link;
    list_init(&heard);
    list_splice_back(&heard, &partition->listeners); /* who listens again waits for the next */
    while ((link = list_pop_front(&heard)))
    {
        struct invoke_listener *listener = CONTAINER_OF(link, struct invoke_listener, link);
        listener->heard(listener, closing);
    }
}

void appends_hear(struct invoke *engine)
{
    struct list *link;
    while ((link = list_pop_front(&engine->hearing)))
        hear(CONTAINER_OF(link, struct invoke_partition, hearing), false);
}

void appends_close(struct invoke_partition *partition)
{
    list_remove(&partition->hearing);
    hear(partition, true);
}

void invoke_listen(struct invoke_version *version, struct invoke_listener *listener)
{
    list_push_back(&version->partition->listeners, &listener->link);
}

void invoke_unlisten(struct invoke_listener *listener)
{
    list_remove(&listener->link);
}

bool invoke_partition_listened(const struct invoke_partition *partition)
{
    return !list_empty(&partition->listeners);
}

/* ---- from outside ---- */

static void append_end(struct invoke_append *append, enum status status)
{
    struct invoke_partition *partition = append->partition;
    if (append->record_key.size && map_get(&partition->appending, buf_view(&append->record_key)) == append)
    {
        (void)map_remove(&partition->appending, buf_view(&append->record_key));
        struct list *link;
        while ((link = list_pop_front(&append->joined)))
        {
            struct invoke_append *joined = CONTAINER_OF(link, struct invoke_append, joined);
            joined->offset = append->offset;
            joined->remembered = true;
            joined->err = append->err;
            append_end(joined, status);
        }
    }
    buf_fini(&append->record_key);
    buf_fini(&append->set);
    buf_fini(&append->remember_set);
    append->status = status;
    partition->in_flight--;
    struct invoke_version *version = append->version;
    append->done(append);
    invoke_version_unref(version);
}

static void on_late(struct loop_task *task, void *ctx)
{
    struct invoke_append *append = ctx;
    append_end(append, append->status);
}

static void end_later(struct invoke_append *append, enum status status)
{
    append->status = status;
    loop_task_init(&append->late, on_late, append);
    loop_post(append->partition->engine->loop, &append->late);
}

static void on_append_durable(struct store_commit *commit)
{
    struct invoke_append *append = CONTAINER_OF(commit, struct invoke_append, commit);
    struct invoke_partition *partition = append->partition;
    partition->appends.pending--;
    append->err = commit->err;
    if (commit->status == STATUS_OK) appends_told(partition, 1);
    append_end(append, commit->status);
}

static void on_append_applied(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_append_durable(commit); /* nothing was written */
}

static void on_found_durable(struct store_waiter *waiter)
{
    struct invoke_append *append = CONTAINER_OF(waiter, struct invoke_append, waiter);
    append_end(append, waiter->status);
}

/* What an earlier one with the same key got; true when there was one, or it cannot be told. */
static bool append_found(struct invoke_append *append)
{
    struct store *store = append->partition->store;
    append->remember = (struct idempotency_request){
        .key = append->idempotency_key,
        .fingerprint = idempotency_fingerprint(SLICE("append"), append->key, append->type, append->body),
    };
    buf_append_byte(&append->record_key, INVOKE_OWN_KEY); /* no function has such a name */
    buf_append(&append->record_key, append->channel);
    buf_append_byte(&append->record_key, 0);
    buf_append(&append->record_key, append->idempotency_key);
    append->remember.function = slice_make(append->record_key.data, append->channel.size + 1);

    struct invoke_append *first = map_get(&append->partition->appending, buf_view(&append->record_key));
    if (first)
    {
        if (first->remember.fingerprint == append->remember.fingerprint)
            list_push_back(&first->joined, &append->joined);
        else
            end_later(append, err_set(&append->err, STATUS_IDEMPOTENCY_MISMATCH,
                                      "Idempotency-Key '%.*s' is in use by a different message",
                                      SLICE_FMT(append->idempotency_key)));
        return true;
    }
    struct wire_result result;
    struct store_snapshot *snapshot = store_snapshot_take(store);
    enum status status = idempotency_find(snapshot, &append->remember, &result, &append->err);
    if (status == STATUS_OK && result.body.size != sizeof append->offset)
        status = err_set(&append->err, STATUS_STORE_CORRUPT, "outcome record: its offset has %zu bytes",
                         result.body.size);
    if (status == STATUS_OK) memcpy(&append->offset, result.body.data, sizeof append->offset);
    uint64_t seq = store_snapshot_seq(snapshot);
    store_snapshot_release(store, snapshot);
    if (status == STATUS_NOT_FOUND)
    {
        append->err = ERR_INIT;
        CHECK(map_put(&append->partition->appending, buf_view(&append->record_key), append) == NULL);
        return false;
    }
    append->remembered = status == STATUS_OK;
    append->waiter = (struct store_waiter){.seq = seq, .durable = on_found_durable};
    if (status != STATUS_OK)
        end_later(append, status);
    else if (store_wait_durable(store, &append->waiter))
        end_later(append, STATUS_OK);
    return true;
}

void invoke_append(struct invoke_version *version, struct invoke_append *append)
{
    struct invoke_partition *partition = version->partition;
    invoke_version_ref(version);
    append->version = version;
    append->partition = partition;
    append->status = STATUS_OK;
    append->err = ERR_INIT;
    append->remembered = false;
    append->record_key = append->set = append->remember_set = BUF_INIT;
    list_init(&append->joined);
    partition->in_flight++;
    if (append->idempotency_key.size && append_found(append)) return;
    struct durable_head *head;
    enum status status =
        admission_append(version->state_bytes_max, store_used_bytes(partition->store), &append->err);
    if (status == STATUS_OK)
        status = appends_channel(&partition->appends, append->channel, &head, &append->err);
    if (status != STATUS_OK)
    {
        end_later(append, status);
        return;
    }
    uint64_t now_ms = clock_wall_ms(partition->engine->clock);
    struct durable_message message = {.key = append->key, .type = append->type, .body = append->body};
    row_put(head, append->channel, &message, now_ms, &append->set);
    append->offset = message.offset;
    if (append->idempotency_key.size)
    {
        struct wire_result result = {.http_status = 200,
                                     .body = slice_make(&append->offset, sizeof append->offset)};
        idempotency_write_set(&append->remember_set, &append->remember, &result, now_ms);
    }
    append->commit = (struct store_commit){
        .snapshot = store_applied_seq(partition->store),
        .writes = {buf_view(&append->set), buf_view(&append->remember_set)},
        .applied = on_append_applied,
        .durable = on_append_durable,
    };
    partition->appends.pending++;
    partition_submit(partition, &append->commit);
}

enum status invoke_channel_head(struct invoke_partition *partition, struct slice channel,
                                struct durable_head *head, struct err *err)
{
    struct durable_head *kept;
    TRY(appends_channel(&partition->appends, channel, &kept, err));
    *head = *kept;
    return STATUS_OK;
}

enum status invoke_channel_at(struct invoke_partition *partition, struct slice channel, uint64_t time_ms,
                              uint64_t *offset, struct err *err)
{
    struct durable_head *head;
    TRY(appends_channel(&partition->appends, channel, &head, err));
    uint64_t low = head->first, high = head->next; /* times never go down */
    struct store_snapshot *snapshot = store_snapshot_take(partition->store);
    enum status status = STATUS_OK;
    while (low < high && status == STATUS_OK)
    {
        struct probe found;
        struct durable_message message;
        uint64_t middle = low + (high - low) / 2;
        status = probe(snapshot, channel, middle, &found, err);
        if (status == STATUS_OK && found.found) status = durable_message_decode(found.value, &message, err);
        if (status == STATUS_OK && found.found && message.time_ms < time_ms)
            low = found.offset + 1;
        else
            high = middle;
    }
    store_snapshot_release(partition->store, snapshot);
    if (status == STATUS_OK) *offset = low;
    return status;
}

void invoke_channel_trimmed(struct invoke_partition *partition, struct slice channel, uint64_t first)
{
    struct durable_head *head = map_get(&partition->appends.channels, channel);
    if (head && first > head->first) head->first = first;
}

bool invoke_appends_settled(const struct invoke_partition *partition)
{
    return partition->appends.pending == 0;
}
