/* appends.h - messages get their offsets on the loop and become rows of the commit that brings them. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. Offsets are given when a commit is submitted, and commits are applied in that order: who sees an offset
// has seen, or will never see, every smaller one. A commit that is refused leaves its offsets out; the next try has new ones.
#pragma once

#include "messaging/channel/durable.h"
#include "messaging/wire/wire.h"
#include "runtime/base/map.h"
#include "runtime/invoke/idempotency.h"
#include "runtime/loop/loop.h"
#include "statestore/statestore.h"

struct invoke;
struct invoke_partition;
struct invoke_version;

/* ---- for the engine ---- */

struct appends {
    struct store *store;
    struct map channels; /* name -> struct durable_head: what is given next; first: as is kept */
    uint32_t pending; /* commits with appends that are neither durable nor refused */
};

void appends_init(struct appends *appends, struct store *store);
void appends_fini(struct appends *appends);
/* Where the channel stands; read from the store the first time. STORE_ statuses. */
MUST_CHECK enum status appends_channel(struct appends *appends, struct slice channel,
                                       struct durable_head **head, struct err *err);
/* The appends among checked effects, with their channels, in the order of their rows. `list` points into the effects. */
MUST_CHECK enum status appends_prepare(struct appends *appends, struct slice effects, struct buf *list,
                                       struct err *err);
size_t appends_count(const struct buf *list);
/* Gives them their offsets, and appends their rows as a write set. */
void appends_write_set(const struct buf *list, uint64_t now_ms, struct buf *set);

/* A commit with so many appends is durable. */
void appends_told(struct invoke_partition *partition, size_t count);
/* Listeners of the partitions that were told about; in each turn. */
void appends_hear(struct invoke *engine);
void appends_close(struct invoke_partition *partition);

/* ---- for upper layers ---- */

/* One message from outside of functions. Embedded by the caller, who keeps it and its bytes until `done`. */
struct invoke_append {
    struct slice channel, key, type, body; /* within their bounds; the key belongs to this partition */
    struct slice idempotency_key; /* checked; empty: none */
    /* Exactly once, never inside of invoke_append(): durable, or not there. */
    void (*done)(struct invoke_append *append);
    enum status status; /* OK; IDEMPOTENCY_MISMATCH, STATE_LIMIT, STORE_ statuses */
    struct err err;
    uint64_t offset;
    bool remembered; /* the same Idempotency-Key was there before: this is its offset */
    /* The engine's. */
    struct invoke_version *version;
    struct invoke_partition *partition;
    struct idempotency_request remember;
    struct buf record_key, set, remember_set;
    struct store_commit commit;
    struct store_waiter waiter;
    struct list joined; /* those with the same key that wait for this one; or the link among them */
    struct loop_task late;
};
/* In the partition of `version`, one of those of a router, which stays until `done`. */
void invoke_append(struct invoke_version *version, struct invoke_append *append);

/* Hears once of messages of a partition that are durable. Embedded by the caller until it is heard or invoke_unlisten(). */
struct invoke_listener {
    struct list link;
    /* `closing`: the partition closes, there will be none. May listen again otherwise. */
    void (*heard)(struct invoke_listener *listener, bool closing);
};
void invoke_listen(struct invoke_version *version, struct invoke_listener *listener);
void invoke_unlisten(struct invoke_listener *listener);
bool invoke_partition_listened(const struct invoke_partition *partition);

/* Where a channel stands: first offset kept, next offset to be given, bytes so far, time of the last message. */
MUST_CHECK enum status invoke_channel_head(struct invoke_partition *partition, struct slice channel,
                                           struct durable_head *head, struct err *err);
/* The offset of the first message that is not older; the next one to be given when all are. */
MUST_CHECK enum status invoke_channel_at(struct invoke_partition *partition, struct slice channel,
                                         uint64_t time_ms, uint64_t *offset, struct err *err);
/* Messages before `first` have been deleted. */
void invoke_channel_trimmed(struct invoke_partition *partition, struct slice channel, uint64_t first);
/* No append is under way: what has an offset is applied, or never will be. */
bool invoke_appends_settled(const struct invoke_partition *partition);
