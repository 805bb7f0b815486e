/* consumers_tidy.c - notes of cursors, done rows that have served, and messages that are old enough to go. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/catalog/manifest.h"
#include "runtime/invoke/appends.h"
#include "runtime/trigger/consumers_internal.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum {
    TIDY_ROWS_MAX = 1000, /* deleted in one commit, of each group or channel */
    TRIM_FIRST_MS = 2000,
    TRIM_PERIOD_MS = 10000,
    TRIM_NEXT_MS = 20, /* while there is more to go */
};

/* One commit after another: a later one is decided when the one before has told. */
static void tidy_submit(struct consumers_part *part)
{
    if (part->tidy_set.size == 0) return;
    part->tidying = true;
    part->tidy_commit.writes[0] = buf_view(&part->tidy_set);
    store_submit(part->store, &part->tidy_commit);
    store_push(part->store);
}

static void on_tidied_durable(struct store_commit *commit)
{
    struct consumers_part *part = CONTAINER_OF(commit, struct consumers_part, tidy_commit);
    bool ok = commit->status == STATUS_OK;
    part->tidying = false;
    buf_reset(&part->tidy_set);
    LIST_FOREACH(link, &part->all)
    {
        struct consumer *consumer = CONTAINER_OF(link, struct consumer, link);
        if (ok && consumer->tidy_noted)
        {
            consumer->unkept = false;
            if (consumer->tidy_cursor > consumer->group.kept) consumer->group.kept = consumer->tidy_cursor;
        }
        if (ok) consumer->group.done_rows -= consumer->tidy_rows;
        consumer->tidy_noted = false;
        consumer->tidy_rows = 0;
        consumer_pump(consumer); /* a move may have waited for this */
    }
}

static void on_tidied(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_tidied_durable(commit); /* the next beat tries again */
}

/* ---- cursors ---- */

struct sweep {
    struct buf *set;
    uint32_t count;
};

static bool on_done_row(void *ctx, struct slice key, struct slice value)
{
    struct sweep *sweep = ctx;
    write_set_append(sweep->set, &(struct write_entry){WRITE_DELETE, key, SLICE_EMPTY});
    return ++sweep->count < TIDY_ROWS_MAX;
}

/* Done rows before the cursor. */
static uint32_t sweep_done(struct consumer *consumer, struct store_snapshot *snapshot, uint64_t cursor,
                           struct buf *set)
{
    struct sweep sweep = {.set = set};
    struct buf low = BUF_INIT, high = BUF_INIT;
    struct slice channel = slice_cstr(consumer->group.channel), group = slice_cstr(consumer->group.name);
    durable_done_key(&low, channel, group, 0);
    durable_done_key(&high, channel, group, cursor);
    enum status ignored =
        store_scan(snapshot, buf_view(&low), buf_view(&high), on_done_row, &sweep, NULL); /* next time */
    (void)ignored;
    buf_fini(&low);
    buf_fini(&high);
    return sweep.count;
}

void consumers_tidy(struct consumers_part *part)
{
    if (part->tidying || part->stopped) return;
    struct store_snapshot *snapshot = store_snapshot_take(part->store);
    LIST_FOREACH(link, &part->all)
    {
        struct consumer *consumer = CONTAINER_OF(link, struct consumer, link);
        struct group *group = &consumer->group;
        uint64_t cursor = group_cursor(group);
        /* While a run that moves the cursor is under way its commit may be behind this one in the store already. */
        if (!consumer->subscribed || consumer->moving || group->front_busy) continue;
        if (consumer->unkept || cursor > group->kept)
        {
            group_cursor_set(group, cursor, &part->tidy_set);
            consumer->tidy_cursor = cursor;
            consumer->tidy_noted = true;
        }
        if (group->done_rows > 0)
        {
            uint32_t swept = sweep_done(consumer, snapshot, cursor, &part->tidy_set);
            /* Fewer than counted: some were before the snapshot. */
            consumer->tidy_rows = swept < group->done_rows ? swept : group->done_rows;
            if (swept == 0 && group->messages == 0 && group->runs_count == 0)
                consumer->tidy_rows = group->done_rows;
        }
    }
    store_snapshot_release(part->store, snapshot);
    tidy_submit(part);
}

/* ---- retention ---- */

struct trim {
    struct buf *set;
    uint64_t before_ms; /* older ones go */
    uint64_t bytes_before; /* and those that begin before this many bytes */
    uint32_t count; /* in the set */
    /* As of the last one that told its age; a damaged one goes with a later one that is too old. */
    uint32_t gone;
    size_t gone_size; /* of the set */
    uint64_t first; /* that stays, as far as is known */
    bool more;
};

static bool on_old(void *ctx, struct slice key, struct slice value)
{
    struct trim *trim = ctx;
    struct durable_message message;
    uint64_t offset;
    bool damaged = durable_key_offset(key, &offset, NULL) != STATUS_OK ||
                   durable_message_decode(value, &message, NULL) != STATUS_OK; /* readers complain */
    if (!damaged && message.time_ms >= trim->before_ms && message.bytes_before >= trim->bytes_before)
        return false;
    write_set_append(trim->set, &(struct write_entry){WRITE_DELETE, key, SLICE_EMPTY});
    trim->more = ++trim->count == TIDY_ROWS_MAX;
    if (damaged) return !trim->more;
    trim->gone = trim->count;
    trim->gone_size = trim->set->size;
    trim->first = offset + 1;
    return !trim->more;
}

static bool trim_channel(struct consumers_part *part, const struct retention *keep,
                         struct store_snapshot *snapshot)
{
    struct durable_head head;
    struct slice channel = slice_cstr(keep->channel);
    if (invoke_channel_head(part->partition, channel, &head, NULL) != STATUS_OK) return false;
    uint64_t now_ms = clock_wall_ms(part->consumers->config.clock);
    uint64_t keep_ms = (uint64_t)keep->keep_hours * 3600 * 1000, keep_bytes = (uint64_t)keep->keep_mb * MIB;
    struct buf deletes = BUF_INIT, low = BUF_INIT, high = BUF_INIT;
    struct trim trim = {
        .set = &deletes,
        .before_ms = keep_ms && now_ms > keep_ms ? now_ms - keep_ms : 0,
        .bytes_before = keep_bytes && head.bytes > keep_bytes ? head.bytes - keep_bytes : 0,
    };
    durable_message_key(&low, channel, 0);
    durable_message_key(&high, channel, UINT64_MAX);
    enum status ignored =
        store_scan(snapshot, buf_view(&low), buf_view(&high), on_old, &trim, NULL); /* the next beat */
    (void)ignored;
    deletes.size = trim.gone_size;
    if (trim.gone > 0)
    {
        /* Readers count it as gone from here on: none may see the hole and take it for refused appends. */
        invoke_channel_trimmed(part->partition, channel, trim.first);
        head.first = trim.first;
        part->consumers->stats.trimmed += trim.gone;
        buf_reset(&low);
        buf_reset(&high);
        durable_head_key(&low, channel);
        durable_head_encode(&high, &head);
        write_set_append(&part->tidy_set, &(struct write_entry){WRITE_PUT, buf_view(&low), buf_view(&high)});
        buf_append(&part->tidy_set, buf_view(&deletes));
    }
    buf_fini(&deletes);
    buf_fini(&low);
    buf_fini(&high);
    return trim.more && trim.gone > 0;
}

static void on_trim(struct loop_timer *timer, void *ctx)
{
    struct consumers_part *part = ctx;
    bool more = part->tidying;
    if (!part->tidying)
    {
        struct store_snapshot *snapshot = store_snapshot_take(part->store);
        /* One channel in a commit: its set stays in the order of keys, and short. */
        for (size_t i = 0; i < part->retention_count && part->tidy_set.size == 0; i++)
            more |= trim_channel(part, &part->retention[i], snapshot);
        store_snapshot_release(part->store, snapshot);
        more |= part->tidy_set.size > 0;
        tidy_submit(part);
    }
    loop_timer_start(part->consumers->config.loop, timer, more ? TRIM_NEXT_MS : TRIM_PERIOD_MS, 0);
}

/* ---- life ---- */

void consumers_tidy_init(struct consumers_part *part)
{
    loop_timer_init(&part->trim, on_trim, part);
    part->tidy_commit = (struct store_commit){.applied = on_tidied, .durable = on_tidied_durable};
}

void consumers_tidy_stop(struct consumers_part *part)
{
    loop_timer_stop(&part->trim);
}

static void retention_clear(struct consumers_part *part)
{
    for (size_t i = 0; i < part->retention_count; i++) free(part->retention[i].channel);
    free(part->retention);
    part->retention = NULL;
    part->retention_count = 0;
}

void consumers_tidy_fini(struct consumers_part *part)
{
    retention_clear(part);
    buf_fini(&part->tidy_set);
}

void consumers_keep(struct consumers_part *part, const struct manifest *manifest)
{
    retention_clear(part);
    loop_timer_stop(&part->trim);
    if (!manifest) return;
    part->retention = mem_zalloc((manifest->channel_count + 1) * sizeof part->retention[0]);
    for (size_t i = 0; i < manifest->channel_count; i++)
    {
        const struct manifest_channel *channel = &manifest->channels[i];
        if (channel->kind != CHANNEL_DURABLE) continue;
        part->retention[part->retention_count++] =
            (struct retention){mem_strdup(channel->name), channel->keep_hours, channel->keep_mb};
    }
    if (part->retention_count) loop_timer_start(part->consumers->config.loop, &part->trim, TRIM_FIRST_MS, 0);
}
