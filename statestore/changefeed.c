/* changefeed.c - a cursor into the log, and the news that there is more. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/changefeed.h"

#include <inttypes.h>
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "statestore/store_internal.h"

struct store_feed {
    struct list link;
    struct store *store;
    struct log_cursor cursor; /* of records; may be before `next` */
    uint64_t next; /* sequence number */
    uint64_t told; /* `ready` was called for everything up to here */
    void (*ready)(void *ctx);
    void *ctx;
};

enum status store_feed_open(struct store *store, uint64_t from, void (*ready)(void *ctx), void *ctx,
                            struct store_feed **feed, struct err *err)
{
    if (!store->log) return err_set(err, STATUS_UNSUPPORTED, "this store has no log to read changes from");
    uint64_t durable = store_durable_seq(store);
    if (from == 0) from = durable + 1;
    if (from > store_applied_seq(store) + 1)
        return err_set(err, STATUS_INVALID_ARGUMENT,
                       "sequence number %" PRIu64 " is ahead of the store, which is at %" PRIu64, from,
                       store_applied_seq(store));
    struct log_stats log;
    store->log->ops->stats(store->log, &log);
    if (from < log.first_lsn)
        return err_set(err, STATUS_NOT_FOUND, "the log begins with sequence number %" PRIu64, log.first_lsn);
    struct store_feed *made = mem_alloc(sizeof *made);
    *made = (struct store_feed){
        .store = store, .cursor = {.lsn = from}, .next = from, .told = from - 1, .ready = ready, .ctx = ctx};
    list_init(&made->link);
    list_push_back(&store->feeds, &made->link);
    if (durable >= from && store->config.wake)
        store->config.wake(store->config.wake_ctx); /* there is something */
    *feed = made;
    return STATUS_OK;
}

void store_feed_close(struct store_feed *feed)
{
    if (!feed) return;
    list_remove(&feed->link);
    free(feed);
}

uint64_t store_feed_next(const struct store_feed *feed)
{
    return feed->next;
}

void feeds_tell(struct store *store, uint64_t durable_seq)
{
    LIST_FOREACH(link, &store->feeds)
    {
        struct store_feed *feed = CONTAINER_OF(link, struct store_feed, link);
        if (feed->told >= durable_seq) continue;
        feed->told = durable_seq;
        feed->ready(feed->ctx);
    }
}

struct reading {
    struct store_feed *feed;
    store_change_fn change;
    void *ctx;
    bool enough; /* the reader has said so */
};

static enum status show_entry(void *ctx, const struct log_entry *entry, struct err *err)
{
    struct reading *reading = ctx;
    struct store_feed *feed = reading->feed;
    struct store_change change = {.wall_ms = entry->wall_ms};
    size_t offset = 0;
    for (change.seq = entry->first_lsn; change.seq <= log_entry_last(entry); change.seq++)
    {
        if (!log_commit_next(entry->body, &offset, &change.entries))
            return err_set(err, STATUS_STORE_CORRUPT, "the commit of LSN %" PRIu64 " is malformed",
                           change.seq);
        if (change.seq < feed->next) continue;
        if (reading->enough) return STATUS_CANCELED; /* the cursor stays at this record */
        feed->next = change.seq + 1;
        reading->enough = !reading->change(reading->ctx, &change);
    }
    return STATUS_OK;
}

enum status store_feed_read(struct store_feed *feed, store_change_fn change, void *ctx, struct err *err)
{
    struct reading reading = {.feed = feed, .change = change, .ctx = ctx};
    struct log *log = feed->store->log;
    uint64_t durable = store_durable_seq(feed->store);
    if (feed->next > durable) return STATUS_OK;
    enum status status = log->ops->read(log, &feed->cursor, durable, show_entry, &reading, err);
    return status == STATUS_CANCELED ? STATUS_OK : status;
}
