/* group.h - a consumer group of a durable channel: which message may be delivered now, and what is done. Pure. */
// SPDX-License-Identifier: Apache-2.0
//
// Messages are offered in the order of their offsets and leave when they are done. Messages of one key are delivered one
// after another, in batches when the group wants them; keys and messages without a key go beside each other. What waits
// is bounded, so a group never reads far ahead of what it gets done.
//
//     while (group_has_room(group)) group_offer(group, offset, row)      or group_pass() for one that it does not want
//     while ((run = group_next(group, now_ms))) ... deliver run->messages ...
//     group_settle_set(...)                                              what makes the run done, for its commit
//     group_done(run)   group_retry(run, at_ms)   group_bury_set(...) and group_done(run)
//
// A message that fails waits, and what has the same key behind it; the others go on, until GROUP_MESSAGES_MAX wait or the
// group has read GROUP_SPAN_MAX offsets beyond the oldest message that is not done.
#pragma once

#include <stdint.h>

#include "messaging/channel/durable.h"
#include "runtime/base/list.h"
#include "runtime/base/map.h"

enum {
    GROUP_RUNS_MAX = 64, /* delivered and not done; more do not make workers faster */
    GROUP_MESSAGES_MAX = 4096,
    GROUP_BYTES_MAX = 8 * 1024 * 1024, /* of messages that are kept here */
    GROUP_SPAN_MAX = 65536, /* offsets */
};

struct group_lane;

struct group_message {
    struct list order; /* of the group, by offset */
    struct list in_lane; /* of its lane, or of the run that it is in */
    struct group_lane *lane;
    uint32_t attempts; /* that have failed */
    struct durable_message message; /* points into the bytes behind this struct */
    struct slice row; /* the same as it is stored */
};

/* A delivery under way. */
struct group_run {
    struct list link;
    struct group *group;
    struct group_lane *lane;
    struct list messages; /* group_message.in_lane, oldest first */
    uint32_t count;
    uint32_t attempts; /* of its first message, that have failed */
    bool in_front; /* nothing before it was undone when it began: its commit moves the cursor */
    uint64_t cursor; /* then: where to */
    void *owner; /* the deliverer's */
};

struct group {
    char *channel, *name;
    char *keys; /* only messages whose keys begin so */
    uint32_t batch;
    struct list order; /* all messages that are here */
    struct list runs;
    struct list ready; /* lanes that may be delivered */
    struct list later; /* lanes that failed and wait */
    struct map lanes; /* by key */
    struct group_lane *open; /* the lane of keyless messages that still takes some; NULL: none */
    uint64_t next; /* the offset to read from */
    uint64_t kept; /* the cursor in the store, as far as is known */
    uint32_t messages, runs_count;
    size_t bytes;
    uint32_t done_rows; /* that were written since they were last tidied up */
    bool front_busy; /* a run that moves the cursor is under way */
};

/* Every smaller offset than `cursor` is done. */
void group_init(struct group *group, struct slice channel, struct slice name, uint64_t cursor);
/* What the manifest says; NULL or "" for all keys. */
void group_configure(struct group *group, const char *keys, uint32_t batch);
/* No run may be under way. */
void group_fini(struct group *group);
/* Forgets what waits and goes on at `cursor`. No run may be under way. */
void group_move(struct group *group, uint64_t cursor);

bool group_has_room(const struct group *group);
/* The row of a message at `offset`, at or behind group->next. Copied. STORE_CORRUPT. */
MUST_CHECK enum status group_offer(struct group *group, uint64_t offset, struct slice row, struct err *err);
/* There is nothing for this group before `offset` any more. */
void group_pass(struct group *group, uint64_t offset);

/* Something to deliver now, NULL when there is nothing. A message that has failed comes alone. */
struct group_run *group_next(struct group *group, uint64_t now_ms);
/* When the first of what waits after a failure may be delivered; UINT64_MAX: nothing waits. */
uint64_t group_due_ms(const struct group *group);
/* Ends a run: its messages are done, */
void group_done(struct group_run *run);
/* or have failed and will be delivered again. */
void group_retry(struct group_run *run, uint64_t at_ms);
/* or were not delivered at all: the same without counting. */
void group_return(struct group_run *run, uint64_t at_ms);

/* Every smaller offset is done. */
uint64_t group_cursor(const struct group *group);

/* Write sets, appended. What commits together with the effects of the run: */
void group_settle_set(const struct group_run *run, struct buf *set);
/* What gives its messages up: dead letters, and they are done. */
void group_bury_set(const struct group_run *run, struct slice error, uint64_t now_ms, struct buf *set);
/* The cursor alone. */
void group_cursor_set(const struct group *group, uint64_t cursor, struct buf *set);
