/* log_mem.c - the log in memory: sealed records in an array. */
// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <stdlib.h>

#include "runtime/base/check.h"
#include "statestore/log.h"

struct log_mem {
    struct log log;
    pthread_mutex_t lock;
    struct buf *records; /* array of `count` */
    size_t count;
    size_t capacity;
    uint64_t last_lsn;
    uint64_t durable;
    uint32_t checkpoint;
    uint64_t bytes;
    uint64_t syncs;
};

static struct log_mem *of(struct log *log)
{
    return (struct log_mem *)log;
}

static enum status mem_append(struct log *log, struct buf *record, const struct log_entry *entry,
                              struct err *err)
{
    struct log_mem *mem = of(log);
    pthread_mutex_lock(&mem->lock);
    CHECK(entry->first_lsn == mem->last_lsn + 1);
    if (mem->count == mem->capacity)
    {
        mem->capacity = mem->capacity ? 2 * mem->capacity : 64;
        mem->records = mem_realloc(mem->records, mem->capacity * sizeof *mem->records);
    }
    struct log_entry sealed = *entry;
    sealed.durable = mem->durable;
    sealed.checkpoint = mem->checkpoint;
    (void)log_record_seal(record, &sealed, 0, 0);
    mem->records[mem->count] = BUF_INIT;
    buf_append(&mem->records[mem->count++], buf_view(record));
    mem->last_lsn = log_entry_last(entry);
    mem->bytes += record->size;
    pthread_mutex_unlock(&mem->lock);
    return STATUS_OK;
}

static enum status mem_take_back(struct log *log, struct err *err)
{
    struct log_mem *mem = of(log);
    pthread_mutex_lock(&mem->lock);
    CHECK(mem->count > 0);
    struct log_record record;
    struct buf *last = &mem->records[--mem->count];
    bool whole = log_record_decode(buf_view(last), 0, false, &record);
    CHECK(whole);
    mem->last_lsn = record.entry.first_lsn - 1;
    if (mem->durable > mem->last_lsn) mem->durable = mem->last_lsn;
    buf_fini(last);
    pthread_mutex_unlock(&mem->lock);
    return STATUS_OK;
}

static enum status mem_sync(struct log *log, uint64_t *durable, struct err *err)
{
    struct log_mem *mem = of(log);
    pthread_mutex_lock(&mem->lock);
    *durable = mem->durable = mem->last_lsn;
    mem->syncs++;
    pthread_mutex_unlock(&mem->lock);
    return STATUS_OK;
}

/* Copies the record out, because the array may move while the caller's function runs. */
static bool copy_record(struct log_mem *mem, uint64_t lsn, struct buf *copy, struct log_record *record)
{
    bool found = false;
    pthread_mutex_lock(&mem->lock);
    for (size_t i = mem->count; i > 0 && !found; i--)
    {
        bool whole = log_record_decode(buf_view(&mem->records[i - 1]), 0, false, record);
        CHECK(whole);
        found = record->entry.first_lsn <= lsn;
        if (!found) continue;
        buf_reset(copy);
        buf_append(copy, buf_view(&mem->records[i - 1]));
    }
    pthread_mutex_unlock(&mem->lock);
    return found && log_record_decode(buf_view(copy), 0, false, record);
}

static enum status mem_read(struct log *log, struct log_cursor *cursor, uint64_t to, log_entry_fn entry,
                            void *ctx, struct err *err)
{
    struct buf copy = BUF_INIT;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && cursor->lsn <= to)
    {
        struct log_record record;
        if (!copy_record(of(log), cursor->lsn, &copy, &record))
        {
            status = err_set(err, STATUS_NOT_FOUND, "the log does not reach back that far");
            break;
        }
        status = entry(ctx, &record.entry, err);
        if (status == STATUS_OK) cursor->lsn = log_entry_last(&record.entry) + 1;
    }
    buf_fini(&copy);
    return status;
}

static void mem_trim(struct log *log, uint64_t lsn, uint32_t checkpoint)
{
    struct log_mem *mem = of(log);
    pthread_mutex_lock(&mem->lock);
    mem->checkpoint = checkpoint;
    pthread_mutex_unlock(&mem->lock);
}

static enum status mem_prepare(struct log *log, struct err *err)
{
    return STATUS_OK;
}

static bool mem_wants_prepare(struct log *log)
{
    return false;
}

static void mem_stats(struct log *log, struct log_stats *stats)
{
    struct log_mem *mem = of(log);
    pthread_mutex_lock(&mem->lock);
    *stats = (struct log_stats){
        .first_lsn = mem->count ? 1 : mem->last_lsn + 1,
        .last_lsn = mem->last_lsn,
        .bytes = mem->bytes,
        .appended_bytes = mem->bytes,
        .syncs = mem->syncs,
    };
    pthread_mutex_unlock(&mem->lock);
}

static void mem_close(struct log *log)
{
    struct log_mem *mem = of(log);
    for (size_t i = 0; i < mem->count; i++) buf_fini(&mem->records[i]);
    free(mem->records);
    pthread_mutex_destroy(&mem->lock);
    free(mem);
}

static const struct log_ops mem_ops = {
    .append = mem_append,
    .take_back = mem_take_back,
    .sync = mem_sync,
    .read = mem_read,
    .trim = mem_trim,
    .prepare = mem_prepare,
    .wants_prepare = mem_wants_prepare,
    .stats = mem_stats,
    .close = mem_close,
};

struct log *log_mem_open(void)
{
    struct log_mem *mem = mem_zalloc(sizeof *mem);
    mem->log.ops = &mem_ops;
    pthread_mutex_init(&mem->lock, NULL);
    return &mem->log;
}
