/* log_fault.c - a log that fails when a test tells it to. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "statestore/log.h"

struct log_fault {
    struct log log;
    struct log *inner;
    struct store_fault *fault;
};

static struct log_fault *of(struct log *log)
{
    return (struct log_fault *)log;
}

static enum status injected(struct log_fault *self, const char *what, struct err *err)
{
    return err_set(err, self->fault->status, "log: %s: injected fault", what);
}

static enum status fault_append(struct log *log, struct buf *record, const struct log_entry *entry,
                                struct err *err)
{
    struct log_fault *self = of(log);
    if (store_fault_hits(self->fault, STORE_FAULT_LOG_WRITE)) return injected(self, "write", err);
    return self->inner->ops->append(self->inner, record, entry, err);
}

static enum status fault_take_back(struct log *log, struct err *err)
{
    return of(log)->inner->ops->take_back(of(log)->inner, err);
}

/* With `after` the disk has done it and yet says that it has not. */
static enum status fault_sync(struct log *log, uint64_t *durable, struct err *err)
{
    struct log_fault *self = of(log);
    bool hit = store_fault_hits(self->fault, STORE_FAULT_LOG_SYNC);
    uint64_t reached = 0;
    if (!hit || self->fault->after) TRY(self->inner->ops->sync(self->inner, &reached, err));
    if (hit) return injected(self, "sync", err);
    *durable = reached;
    return STATUS_OK;
}

static enum status fault_read(struct log *log, struct log_cursor *cursor, uint64_t to, log_entry_fn entry,
                              void *ctx, struct err *err)
{
    return of(log)->inner->ops->read(of(log)->inner, cursor, to, entry, ctx, err);
}

static void fault_trim(struct log *log, uint64_t lsn, uint32_t checkpoint)
{
    of(log)->inner->ops->trim(of(log)->inner, lsn, checkpoint);
}

static enum status fault_prepare(struct log *log, struct err *err)
{
    struct log_fault *self = of(log);
    if (store_fault_hits(self->fault, STORE_FAULT_LOG_SPACE)) return injected(self, "new segment", err);
    return self->inner->ops->prepare(self->inner, err);
}

static bool fault_wants_prepare(struct log *log)
{
    return of(log)->inner->ops->wants_prepare(of(log)->inner);
}

static void fault_stats(struct log *log, struct log_stats *stats)
{
    of(log)->inner->ops->stats(of(log)->inner, stats);
}

static void fault_close(struct log *log)
{
    of(log)->inner->ops->close(of(log)->inner);
    free(log);
}

static const struct log_ops fault_ops = {
    .append = fault_append,
    .take_back = fault_take_back,
    .sync = fault_sync,
    .read = fault_read,
    .trim = fault_trim,
    .prepare = fault_prepare,
    .wants_prepare = fault_wants_prepare,
    .stats = fault_stats,
    .close = fault_close,
};

struct log *log_fault_open(struct log *inner, struct store_fault *fault)
{
    struct log_fault *made = mem_alloc(sizeof *made);
    *made = (struct log_fault){.log = {&fault_ops}, .inner = inner, .fault = fault};
    return &made->log;
}
