/* log_file.c - the log in files of its own: append, group sync, recycling, reading back. */
// SPDX-License-Identifier: Apache-2.0
//
// Segments are numbered without gaps. The list holds them in order: history behind the last checkpoint, what recovery
// needs, the current one, and perhaps one made ahead. A segment is synced before the writer leaves it, so that a sync
// needs to look at the current one only. Before that it gets a mark that the next one exists: without it the newest
// segment could be missing after a power cut and the log would just seem to end earlier.
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "statestore/log_scan.h"

/* The first segment of a store is small: most stores never need more, and it is made while somebody waits. */
#define FIRST_SEGMENT_BYTES (1 * MIB)

struct log_file {
    struct log log;
    char *dir;
    struct store_id id;
    uint64_t segment_bytes;
    uint64_t keep_bytes;

    /* The writer's. */
    struct log_tail before; /* the end before the last record, for take_back */
    bool broken; /* a write has failed: what is behind the tail is not known */

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t prepared; /* signalled when `preparing` ends */
    struct log_tail tail; /* changed by the writer only, who reads it without the lock */
    struct list segments;
    struct list spare; /* taken out of the list, to be recycled */
    struct log_segment *syncing; /* must not be recycled */
    uint64_t durable; /* LSN */
    uint32_t checkpoint;
    bool preparing; /* somebody makes the next segment */
    uint64_t appended_bytes;
    uint64_t syncs;
};

static struct log_file *of(struct log *log)
{
    return (struct log_file *)log;
}

static struct log_segment *next_of(const struct log_file *file, const struct log_segment *segment)
{
    if (segment->link.next == &file->segments) return NULL;
    return CONTAINER_OF(segment->link.next, struct log_segment, link);
}

/* ---- writing ---- */

/* The segment behind `current`. When there is none and nobody is at it, the caller has to make it: `preparing` is set. */
static struct log_segment *wait_next(struct log_file *file, const struct log_segment *current)
{
    pthread_mutex_lock(&file->lock);
    while (file->preparing) pthread_cond_wait(&file->prepared, &file->lock);
    struct log_segment *next = next_of(file, current);
    if (!next) file->preparing = true;
    pthread_mutex_unlock(&file->lock);
    return next;
}

/* Ends `preparing`; `next` may be NULL. */
static void add_next(struct log_file *file, struct log_segment *next)
{
    pthread_mutex_lock(&file->lock);
    if (next) list_push_back(&file->segments, &next->link);
    file->preparing = false;
    pthread_cond_broadcast(&file->prepared);
    pthread_mutex_unlock(&file->lock);
}

/* Made while the writer waits, hence not filled: slower to flush, and the file grows as it is written. */
static enum status make_late(struct log_file *file, uint64_t number, struct log_segment **next,
                             struct err *err)
{
    struct log_segment *made = NULL;
    enum status status = log_segment_create(&made, file->dir, &file->id, number, SEGMENT_HEAD_BYTES, err);
    if (made) made->bytes = file->segment_bytes;
    add_next(file, made);
    *next = made;
    return status;
}

static enum status write_end(const struct log_file *file, const struct log_segment *next, struct err *err)
{
    const struct log_segment *current = file->tail.segment;
    uint8_t bytes[SEGMENT_END_BYTES];
    segment_end_encode(bytes, current->salt, next->number);
    return log_segment_write(current, slice_make(bytes, sizeof bytes), file->tail.offset, err);
}

/* Goes on to the next segment, which was made ahead or is made now. That one is durable before the mark that names it,
 * and the mark before any record in it. */
static enum status roll(struct log_file *file, struct err *err)
{
    struct log_segment *current = file->tail.segment;
    struct log_segment *next = wait_next(file, current);
    if (!next) TRY(make_late(file, current->number + 1, &next, err));
    TRY(write_end(file, next, err));
    TRY(log_segment_sync(current, err));
    pthread_mutex_lock(&file->lock);
    file->tail.segment = next;
    file->tail.offset = SEGMENT_HEAD_BYTES;
    file->durable = file->tail.last_lsn;
    pthread_mutex_unlock(&file->lock);
    return STATUS_OK;
}

/* A record that does not even fit an empty segment makes that one longer, and so does the mark behind it. */
static bool fits(const struct log_file *file, size_t size)
{
    return file->tail.offset + size + SEGMENT_END_BYTES <= file->tail.segment->bytes ||
           file->tail.offset == SEGMENT_HEAD_BYTES;
}

static enum status file_append(struct log *log, struct buf *record, const struct log_entry *entry,
                               struct err *err)
{
    struct log_file *file = of(log);
    CHECK(entry->first_lsn == file->tail.last_lsn + 1);
    if (file->broken) return err_set(err, STATUS_STORE_IO, "the log has failed before");
    if (!fits(file, record->size + RECORD_ALIGNMENT)) TRY(roll(file, err));
    struct log_entry sealed = *entry;
    pthread_mutex_lock(&file->lock);
    sealed.durable = file->durable;
    sealed.checkpoint = file->checkpoint;
    pthread_mutex_unlock(&file->lock);
    struct log_segment *segment = file->tail.segment;
    uint64_t checksum = log_record_seal(record, &sealed, segment->salt, file->tail.checksum);
    enum status status = log_segment_write(segment, buf_view(record), file->tail.offset, err);
    if (status != STATUS_OK)
    {
        file->broken = status != STATUS_STORE_FULL; /* a part of a record is overwritten by the next one */
        return status;
    }
    log_segment_begin_sync(segment, file->tail.offset, record->size); /* rows are applied meanwhile */
    file->before = file->tail;
    pthread_mutex_lock(&file->lock);
    file->tail.offset += record->size;
    file->tail.checksum = checksum;
    file->tail.last_lsn = log_entry_last(&sealed);
    if (segment->first_lsn == 0) segment->first_lsn = sealed.first_lsn;
    if (file->tail.offset > segment->bytes) segment->bytes = file->tail.offset;
    file->appended_bytes += record->size;
    pthread_mutex_unlock(&file->lock);
    return STATUS_OK;
}

static enum status file_take_back(struct log *log, struct err *err)
{
    struct log_file *file = of(log);
    static const uint8_t zeros[RECORD_HEAD_BYTES];
    struct log_segment *segment = file->tail.segment;
    CHECK(file->before.segment == segment && file->before.last_lsn < file->tail.last_lsn);
    enum status status =
        log_segment_write(segment, slice_make(zeros, sizeof zeros), file->before.offset, err);
    if (status == STATUS_OK) status = log_segment_sync(segment, err);
    if (status != STATUS_OK)
    {
        file->broken = true;
        return STATUS_STORE_IO;
    }
    pthread_mutex_lock(&file->lock);
    file->tail = file->before;
    if (file->tail.offset == SEGMENT_HEAD_BYTES) segment->first_lsn = 0;
    file->durable = file->tail.last_lsn;
    pthread_mutex_unlock(&file->lock);
    return STATUS_OK;
}

static enum status file_sync(struct log *log, uint64_t *durable, struct err *err)
{
    struct log_file *file = of(log);
    pthread_mutex_lock(&file->lock);
    CHECK(!file->syncing);
    file->syncing = file->tail.segment;
    uint64_t target = file->tail.last_lsn;
    pthread_mutex_unlock(&file->lock);
    enum status status = log_segment_sync(file->syncing, err);
    pthread_mutex_lock(&file->lock);
    file->syncing = NULL;
    file->syncs++;
    if (status == STATUS_OK && target > file->durable) file->durable = target;
    pthread_mutex_unlock(&file->lock);
    if (status == STATUS_OK) *durable = target;
    return status;
}

/* ---- room ---- */

static bool wants_prepare_locked(const struct log_file *file)
{
    const struct log_segment *current = file->tail.segment;
    return !file->preparing && !next_of(file, current) && file->tail.offset > current->bytes / 2;
}

static bool file_wants_prepare(struct log *log)
{
    struct log_file *file = of(log);
    pthread_mutex_lock(&file->lock);
    bool wants = wants_prepare_locked(file);
    pthread_mutex_unlock(&file->lock);
    return wants;
}

static enum status make_next(struct log_file *file, struct log_segment *old, uint64_t number,
                             struct log_segment **next, struct err *err)
{
    if (!old) return log_segment_create(next, file->dir, &file->id, number, file->segment_bytes, err);
    enum status status = log_segment_recycle(&old, file->dir, &file->id, number, file->segment_bytes, err);
    if (status == STATUS_OK) *next = old;
    return status;
}

static enum status file_prepare(struct log *log, struct err *err)
{
    struct log_file *file = of(log);
    pthread_mutex_lock(&file->lock);
    bool wants = wants_prepare_locked(file);
    uint64_t number = file->tail.segment->number + 1;
    struct list *spare = wants ? list_pop_front(&file->spare) : NULL;
    if (wants) file->preparing = true;
    pthread_mutex_unlock(&file->lock);
    if (!wants) return STATUS_OK;
    struct log_segment *next = NULL;
    struct log_segment *old = spare ? CONTAINER_OF(spare, struct log_segment, link) : NULL;
    enum status status = make_next(file, old, number, &next, err);
    add_next(file, next);
    return status;
}

/* Bytes of the segments that hold nothing but records up to `lsn`. One is needed until a record behind it is durable: a
 * power cut would leave a log without any record, as if they had been lost. */
static uint64_t history_bytes(const struct log_file *file, uint64_t lsn)
{
    uint64_t bytes = 0;
    LIST_FOREACH(link, &file->segments)
    {
        const struct log_segment *segment = CONTAINER_OF(link, struct log_segment, link);
        const struct log_segment *next = next_of(file, segment);
        if (segment == file->tail.segment || !next || next->first_lsn == 0 || next->first_lsn > lsn + 1 ||
            next->first_lsn > file->durable)
            break;
        bytes += segment->bytes;
    }
    return bytes;
}

/* Takes the oldest segment out of the log when there is more history than is kept. */
static struct log_segment *take_oldest(struct log_file *file, uint64_t lsn, bool *spare_wanted)
{
    pthread_mutex_lock(&file->lock);
    struct log_segment *oldest = CONTAINER_OF(file->segments.next, struct log_segment, link);
    if (history_bytes(file, lsn) <= file->keep_bytes || oldest == file->syncing) oldest = NULL;
    if (oldest) list_remove(&oldest->link);
    *spare_wanted = list_empty(&file->spare);
    pthread_mutex_unlock(&file->lock);
    return oldest;
}

/* Oldest first, each with its name on disk before the next: what is left has no gaps at any moment. */
static void file_trim(struct log *log, uint64_t lsn, uint32_t checkpoint)
{
    struct log_file *file = of(log);
    pthread_mutex_lock(&file->lock);
    file->checkpoint = checkpoint;
    pthread_mutex_unlock(&file->lock);
    struct log_segment *oldest;
    bool spare_wanted;
    while ((oldest = take_oldest(file, lsn, &spare_wanted)))
    {
        if (!spare_wanted || log_segment_set_aside(oldest, file->dir, NULL) != STATUS_OK)
        {
            log_segment_remove(oldest, file->dir);
            continue;
        }
        pthread_mutex_lock(&file->lock);
        list_push_back(&file->spare, &oldest->link);
        pthread_mutex_unlock(&file->lock);
    }
}

static void file_stats(struct log *log, struct log_stats *stats)
{
    struct log_file *file = of(log);
    pthread_mutex_lock(&file->lock);
    *stats = (struct log_stats){
        .last_lsn = file->tail.last_lsn,
        .first_lsn = file->tail.last_lsn + 1,
        .appended_bytes = file->appended_bytes,
        .syncs = file->syncs,
    };
    bool first = true;
    LIST_FOREACH(link, &file->segments)
    {
        const struct log_segment *segment = CONTAINER_OF(link, struct log_segment, link);
        if (first && segment->first_lsn > 0) stats->first_lsn = segment->first_lsn;
        first = first && segment->first_lsn == 0;
        stats->bytes += segment->bytes;
    }
    LIST_FOREACH(link, &file->spare) stats->bytes += CONTAINER_OF(link, struct log_segment, link)->bytes;
    pthread_mutex_unlock(&file->lock);
}

/* ---- reading back ---- */

/* A segment as its reader knows it: the file may be recycled under its hands, which the salt tells. */
struct reading {
    uint64_t number;
    uint64_t salt;
    int fd;
};

static enum status gone(uint64_t lsn, struct err *err)
{
    return err_set(err, STATUS_NOT_FOUND, "the log does not reach back to LSN %" PRIu64, lsn);
}

/* Finds the segment that holds the cursor's LSN and opens a descriptor of the reader's own. */
static enum status reading_open(struct log_file *file, const struct log_cursor *cursor,
                                struct reading *reading, struct err *err)
{
    *reading = (struct reading){.fd = -1};
    pthread_mutex_lock(&file->lock);
    LIST_FOREACH(link, &file->segments)
    {
        const struct log_segment *segment = CONTAINER_OF(link, struct log_segment, link);
        if (segment->first_lsn == 0 || segment->first_lsn > cursor->lsn) continue;
        reading->number = segment->number;
        reading->salt = segment->salt;
        if (reading->fd >= 0) close(reading->fd);
        reading->fd = dup(segment->fd);
    }
    pthread_mutex_unlock(&file->lock);
    if (reading->fd < 0) return gone(cursor->lsn, err);
    return STATUS_OK;
}

static bool still_there(struct log_file *file, const struct reading *reading)
{
    bool there = false;
    pthread_mutex_lock(&file->lock);
    LIST_FOREACH(link, &file->segments)
    {
        const struct log_segment *segment = CONTAINER_OF(link, struct log_segment, link);
        there = there || (segment->number == reading->number && segment->salt == reading->salt);
    }
    pthread_mutex_unlock(&file->lock);
    return there;
}

static enum status record_read(const struct reading *reading, uint64_t offset, struct buf *bytes,
                               struct log_record *record, struct err *err)
{
    buf_reset(bytes);
    uint8_t *at = buf_reserve(bytes, RECORD_HEAD_BYTES);
    ssize_t got = pread(reading->fd, at, RECORD_HEAD_BYTES, (off_t)offset);
    size_t size = got == RECORD_HEAD_BYTES ? log_record_size(at, reading->salt) : 0;
    if (size > 0)
    {
        at = buf_reserve(bytes, size);
        got = pread(reading->fd, at, size, (off_t)offset);
    }
    if (got < 0)
        return err_errno(err, STATUS_STORE_IO, errno, "log/%016" PRIx64 ".log: read", reading->number);
    if (size > 0 && log_record_decode(slice_make(at, (size_t)got), reading->salt, false, record))
        return STATUS_OK;
    return err_set(err, STATUS_STORE_CORRUPT,
                   "log/%016" PRIx64 ".log: offset %" PRIu64 ": the record is damaged", reading->number,
                   offset);
}

/* Reads one segment until `to` or its end; the LSN that follows is known to be in the next one then. */
static enum status read_segment(const struct reading *reading, struct log_cursor *cursor, uint64_t to,
                                uint64_t segment_end, struct buf *bytes, log_entry_fn entry, void *ctx,
                                struct err *err)
{
    if (cursor->segment != reading->number) cursor->offset = SEGMENT_HEAD_BYTES;
    cursor->segment = reading->number;
    while (cursor->lsn <= to && cursor->lsn < segment_end)
    {
        struct log_record record;
        TRY(record_read(reading, cursor->offset, bytes, &record, err));
        uint64_t last = log_entry_last(&record.entry);
        if (last >= cursor->lsn) TRY(entry(ctx, &record.entry, err));
        cursor->offset += record.size;
        if (last >= cursor->lsn) cursor->lsn = last + 1;
    }
    return STATUS_OK;
}

/* First LSN behind the segment; UINT64_MAX for the last one that has records. */
static uint64_t segment_end(struct log_file *file, uint64_t number)
{
    uint64_t end = UINT64_MAX;
    pthread_mutex_lock(&file->lock);
    LIST_FOREACH(link, &file->segments)
    {
        const struct log_segment *segment = CONTAINER_OF(link, struct log_segment, link);
        if (segment->number == number + 1 && segment->first_lsn > 0) end = segment->first_lsn;
    }
    pthread_mutex_unlock(&file->lock);
    return end;
}

static enum status file_read(struct log *log, struct log_cursor *cursor, uint64_t to, log_entry_fn entry,
                             void *ctx, struct err *err)
{
    struct log_file *file = of(log);
    struct buf bytes = BUF_INIT;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && cursor->lsn <= to)
    {
        struct reading reading;
        status = reading_open(file, cursor, &reading, err);
        if (status != STATUS_OK) break;
        uint64_t end = segment_end(file, reading.number);
        status = read_segment(&reading, cursor, to, end, &bytes, entry, ctx, err);
        if (status == STATUS_STORE_CORRUPT && !still_there(file, &reading)) status = gone(cursor->lsn, err);
        close(reading.fd);
    }
    buf_fini(&bytes);
    return status;
}

/* ---- open, close ---- */

static void file_close(struct log *log)
{
    struct log_file *file = of(log);
    LIST_FOREACH(link, &file->segments) log_segment_close(CONTAINER_OF(link, struct log_segment, link));
    LIST_FOREACH(link, &file->spare)
    log_segment_remove(CONTAINER_OF(link, struct log_segment, link), file->dir);
    pthread_cond_destroy(&file->prepared);
    pthread_mutex_destroy(&file->lock);
    free(file->dir);
    free(file);
}

static const struct log_ops file_ops = {
    .append = file_append,
    .take_back = file_take_back,
    .sync = file_sync,
    .read = file_read,
    .trim = file_trim,
    .prepare = file_prepare,
    .wants_prepare = file_wants_prepare,
    .stats = file_stats,
    .close = file_close,
};

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The numbers of all segment files, sorted, appended to `numbers` as uint64_t. */
static enum status list_numbers(const char *path, struct buf *numbers, struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return err_errno(err, errno == ENOENT ? STATUS_STORE_CORRUPT : STATUS_STORE_IO, errno, "%s", path);
    for (struct dirent *entry; (entry = readdir(dir));)
    {
        uint64_t number;
        if (log_segment_number(entry->d_name, &number))
            buf_append(numbers, slice_make(&number, sizeof number));
    }
    closedir(dir);
    if (numbers->size > 0)
        qsort(numbers->data, numbers->size / sizeof(uint64_t), sizeof(uint64_t), by_number);
    return STATUS_OK;
}

static enum status open_numbers(struct log_file *file, const uint64_t *numbers, size_t count, struct err *err)
{
    if (count == 0) return err_set(err, STATUS_STORE_CORRUPT, "%s/log: there is no segment", file->dir);
    for (size_t i = 0; i < count; i++)
    {
        if (i > 0 && numbers[i] != numbers[i - 1] + 1)
            return err_set(err, STATUS_STORE_CORRUPT, "log/%016" PRIx64 ".log: this segment is missing",
                           numbers[i - 1] + 1);
        struct log_segment *segment;
        TRY(log_segment_open(&segment, file->dir, &file->id, numbers[i], err));
        list_push_back(&file->segments, &segment->link);
    }
    return STATUS_OK;
}

static enum status open_segments(struct log_file *file, const char *path, struct err *err)
{
    struct buf numbers = BUF_INIT;
    enum status status = list_numbers(path, &numbers, err);
    if (status == STATUS_OK)
        status = open_numbers(file, (const uint64_t *)numbers.data, numbers.size / sizeof(uint64_t), err);
    buf_fini(&numbers);
    return status;
}

static enum status make_first(struct log_file *file, const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_errno(err, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_STORE_IO, errno, "%s", path);
    uint64_t bytes = file->segment_bytes < FIRST_SEGMENT_BYTES ? file->segment_bytes : FIRST_SEGMENT_BYTES;
    struct log_segment *first;
    TRY(log_segment_create(&first, file->dir, &file->id, 1, bytes, err));
    list_push_back(&file->segments, &first->link);
    return STATUS_OK;
}

enum status log_file_open(struct log **log, const struct log_file_config *config, log_entry_fn entry,
                          void *ctx, struct err *err)
{
    struct log_file *file = mem_zalloc(sizeof *file);
    file->log.ops = &file_ops;
    file->dir = mem_strdup(config->dir);
    file->id = config->id;
    file->segment_bytes = config->segment_bytes;
    file->keep_bytes = config->keep_bytes;
    pthread_mutex_init(&file->lock, NULL);
    pthread_cond_init(&file->prepared, NULL);
    list_init(&file->segments);
    list_init(&file->spare);
    log_segment_remove_leftovers(config->dir);
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/log", config->dir);
    enum status status =
        config->create ? make_first(file, buf_cstr(&path), err) : open_segments(file, buf_cstr(&path), err);
    buf_fini(&path);
    if (status == STATUS_OK) status = log_scan(config, &file->segments, entry, ctx, &file->tail, err);
    if (status != STATUS_OK)
    {
        file_close(&file->log);
        return status;
    }
    file->durable = config->proven; /* the caller syncs what was found beyond that */
    *log = &file->log;
    return STATUS_OK;
}
