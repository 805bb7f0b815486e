/* log_scan.c - reading a log from a given LSN to its end. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/log_scan.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

struct scan {
    const struct log_file_config *config;
    struct list *segments;
    struct log_segment *segment; /* the one that is mapped */
    struct slice bytes; /* of it */
    struct log_tail tail; /* behind the last good record */
    bool found; /* at least one good record */
};

static enum status map_segment(struct scan *scan, struct log_segment *segment, struct err *err)
{
    if (scan->bytes.data && scan->segment == segment) return STATUS_OK;
    if (scan->bytes.data) munmap((void *)scan->bytes.data, scan->bytes.size);
    scan->bytes = SLICE_EMPTY;
    scan->segment = segment;
    void *bytes = mmap(NULL, segment->bytes, PROT_READ, MAP_PRIVATE, segment->fd, 0);
    if (bytes == MAP_FAILED)
        return err_errno(err, STATUS_STORE_IO, errno, "log/%016" PRIx64 ".log: map", segment->number);
    scan->bytes = slice_make(bytes, segment->bytes);
    return STATUS_OK;
}

static bool decode_at(const struct scan *scan, uint64_t offset, struct log_record *record)
{
    if (offset > scan->bytes.size) return false;
    struct slice rest = slice_make((const uint8_t *)scan->bytes.data + offset, scan->bytes.size - offset);
    return log_record_decode(rest, scan->segment->salt, scan->config->ignore_checksums, record);
}

static struct log_segment *next_of(const struct scan *scan, const struct log_segment *segment)
{
    if (segment->link.next == scan->segments) return NULL;
    return CONTAINER_OF(segment->link.next, struct log_segment, link);
}

/* Learns where each segment begins; returns the last that begins at or before the first LSN that is needed. */
static enum status find_start(struct scan *scan, struct log_segment **start, struct err *err)
{
    *start = CONTAINER_OF(scan->segments->next, struct log_segment, link);
    LIST_FOREACH(link, scan->segments)
    {
        struct log_segment *segment = CONTAINER_OF(link, struct log_segment, link);
        TRY(map_segment(scan, segment, err));
        struct log_record record;
        if (!decode_at(scan, SEGMENT_HEAD_BYTES, &record)) continue;
        segment->first_lsn = record.entry.first_lsn;
        if (segment->first_lsn <= scan->config->from) *start = segment;
    }
    return STATUS_OK;
}

/* Does the record continue what was read so far? The first one has nothing to continue. */
static bool follows(const struct scan *scan, const struct log_record *record)
{
    if (!scan->found) return true;
    return record->entry.first_lsn == scan->tail.last_lsn + 1 && record->previous == scan->tail.checksum;
}

/* Reads the mapped segment from the tail on, as far as it is whole. */
static enum status read_segment(struct scan *scan, log_entry_fn entry, void *ctx, struct err *err)
{
    struct log_record record;
    while (decode_at(scan, scan->tail.offset, &record) && follows(scan, &record))
    {
        if (log_entry_last(&record.entry) >= scan->config->from)
        {
            enum status status = entry(ctx, &record.entry, err);
            if (status != STATUS_OK)
                return err_wrap(err, status, "log/%016" PRIx64 ".log: offset %" PRIu64, scan->segment->number,
                                scan->tail.offset);
        }
        scan->found = true;
        scan->tail.last_lsn = log_entry_last(&record.entry);
        scan->tail.checksum = record.checksum;
        scan->tail.offset += record.size;
    }
    return STATUS_OK;
}

/* Reads on from segment to segment. */
static enum status read_all(struct scan *scan, struct log_segment *start, log_entry_fn entry, void *ctx,
                            struct err *err)
{
    for (struct log_segment *segment = start; segment; segment = next_of(scan, segment))
    {
        TRY(map_segment(scan, segment, err));
        struct log_record record;
        if (segment != start && !(decode_at(scan, SEGMENT_HEAD_BYTES, &record) && follows(scan, &record)))
            break;
        scan->tail.segment = segment;
        scan->tail.offset = SEGMENT_HEAD_BYTES;
        TRY(read_segment(scan, entry, ctx, err));
    }
    return STATUS_OK;
}

/* The segment that a mark at `offset` names; 0: there is no mark. */
static uint64_t end_at(const struct scan *scan, uint64_t offset)
{
    const uint8_t *at = (const uint8_t *)scan->bytes.data + offset;
    return segment_end_decode(slice_make(at, scan->bytes.size - offset), scan->segment->salt);
}

/* What lies behind the end of the log. */
struct rest {
    uint64_t proven; /* highest LSN that something proves to have been durable */
    uint64_t lowest; /* first LSN of any whole record; UINT64_MAX: there is none */
    uint64_t segment; /* highest number of a segment that is known to exist */
};

/* The first place from `offset` on where something may begin: records and marks begin with bytes that are not zero, and
 * most of a segment was never written. */
static uint64_t skip_zeros(const struct scan *scan, uint64_t offset)
{
    static_assert(RECORD_ALIGNMENT >= sizeof(uint64_t), "a whole word is looked at");
    const uint8_t *bytes = scan->bytes.data;
    uint64_t word = 0;
    for (; offset + SEGMENT_END_BYTES <= scan->bytes.size; offset += RECORD_ALIGNMENT)
    {
        memcpy(&word, bytes + offset, sizeof word);
        if (word) break;
    }
    return offset;
}

/* Looks through the mapped segment from `offset` on. True when there is any whole record. */
static bool rest_of_segment(const struct scan *scan, uint64_t offset, struct rest *rest)
{
    bool any = false;
    while ((offset = skip_zeros(scan, offset)) + SEGMENT_END_BYTES <= scan->bytes.size)
    {
        struct log_record record;
        bool whole = decode_at(scan, offset, &record);
        uint64_t next = whole ? 0 : end_at(scan, offset);
        if (next > rest->segment) rest->segment = next;
        offset += whole ? record.size : RECORD_ALIGNMENT;
        if (!whole) continue;
        any = true;
        if (record.entry.durable > rest->proven) rest->proven = record.entry.durable;
        if (record.entry.first_lsn < rest->lowest) rest->lowest = record.entry.first_lsn;
    }
    return any;
}

/* Names the place where the log breaks off: the end of the last good record, or the next segment's begin when this one
 * ends there. */
static enum status broken(const struct scan *scan, uint64_t proven, struct err *err)
{
    const struct log_segment *segment = scan->tail.segment;
    const struct log_segment *next = next_of(scan, segment);
    uint64_t offset = scan->tail.offset;
    uint8_t head[RECORD_HEAD_BYTES];
    bool begun = pread(segment->fd, head, sizeof head, (off_t)offset) == sizeof head &&
                 log_record_size(head, segment->salt) > 0;
    if (!begun && next)
    {
        segment = next;
        offset = SEGMENT_HEAD_BYTES;
    }
    return err_set(err, STATUS_STORE_CORRUPT,
                   "log/%016" PRIx64 ".log: offset %" PRIu64 ": the record of LSN %" PRIu64
                   " is damaged or missing, but everything up to LSN %" PRIu64 " was durable",
                   segment->number, offset, scan->tail.last_lsn + 1, proven);
}

/* Behind the end there must be nothing that proves that the log went on. Whole records that were never durable are
 * blanked, so that nobody takes them for a part of the log later. */
static enum status end_check(struct scan *scan, struct err *err)
{
    struct rest rest = {.proven = scan->config->proven, .lowest = UINT64_MAX};
    for (struct log_segment *segment = scan->tail.segment; segment; segment = next_of(scan, segment))
    {
        bool first = segment == scan->tail.segment;
        TRY(map_segment(scan, segment, err));
        segment->has_rest = rest_of_segment(scan, first ? scan->tail.offset : SEGMENT_HEAD_BYTES, &rest);
    }
    /* Those before the last one have it behind them, whatever their marks say. */
    if (rest.segment > scan->segment->number)
        return err_set(err, STATUS_STORE_CORRUPT,
                       "log/%016" PRIx64
                       ".log: this segment is missing; the one before says that it was made",
                       rest.segment);
    if (rest.proven > scan->tail.last_lsn || rest.lowest <= rest.proven)
        return broken(scan, rest.proven, err);
    return STATUS_OK;
}

static enum status cut_tail(struct scan *scan, struct err *err)
{
    for (struct log_segment *segment = scan->tail.segment; segment; segment = next_of(scan, segment))
    {
        bool first = segment == scan->tail.segment;
        uint64_t offset = first ? scan->tail.offset : SEGMENT_HEAD_BYTES;
        if (segment->has_rest) TRY(log_segment_blank(segment, offset, err));
        if (offset == SEGMENT_HEAD_BYTES) segment->first_lsn = 0;
    }
    return STATUS_OK;
}

/* The log must reach back to the first LSN that is needed; nothing is replayed before that is sure. A first segment
 * without any record is the log of a store that was just made. */
static enum status begin_check(const struct scan *scan, const struct log_segment *start, struct err *err)
{
    if (start->first_lsn > 0 && start->first_lsn <= scan->config->from) return STATUS_OK;
    if (start->first_lsn == 0 && start->number == 1) return STATUS_OK;
    if (start->first_lsn == 0)
        return err_set(err, STATUS_STORE_CORRUPT,
                       "log/%016" PRIx64 ".log: offset %d: the record of LSN %" PRIu64
                       " is damaged or missing",
                       start->number, SEGMENT_HEAD_BYTES, scan->config->from);
    return err_set(err, STATUS_STORE_CORRUPT,
                   "log/%016" PRIx64 ".log: missing: LSN %" PRIu64
                   " is needed, the log begins with LSN %" PRIu64,
                   start->number - 1, scan->config->from, start->first_lsn);
}

static enum status scan_run(struct scan *scan, log_entry_fn entry, void *ctx, struct err *err)
{
    struct log_segment *start = NULL;
    TRY(find_start(scan, &start, err));
    TRY(begin_check(scan, start, err));
    scan->tail = (struct log_tail){.segment = start, .offset = SEGMENT_HEAD_BYTES};
    scan->tail.last_lsn = scan->config->from - 1; /* when there is no record at all */
    TRY(read_all(scan, start, entry, ctx, err));
    TRY(end_check(scan, err));
    return cut_tail(scan, err);
}

enum status log_scan(const struct log_file_config *config, struct list *segments, log_entry_fn entry,
                     void *ctx, struct log_tail *tail, struct err *err)
{
    struct scan scan = {.config = config, .segments = segments};
    enum status status = scan_run(&scan, entry, ctx, err);
    if (scan.bytes.data) munmap((void *)scan.bytes.data, scan.bytes.size);
    if (status == STATUS_OK) *tail = scan.tail;
    return status;
}
