/* log_format.h - segment heads and records of the log as bytes; pure. docs/formats/log.md has them byte by byte. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "statestore/format.h"

#define LOG_FORMAT_VERSION 1u

enum {
    SEGMENT_HEAD_BYTES = 4096, /* a page of its own: it is written once and never with a record */
    RECORD_HEAD_BYTES = 64,
    RECORD_ALIGNMENT = 8,
    SEGMENT_END_BYTES = 32, /* smaller than any record, so that one written over it leaves nothing of it */
};

struct segment_head {
    uint32_t version;
    struct store_id id;
    uint64_t number; /* 1, 2, ... without gaps */
    uint64_t salt; /* in every record of this life of the file: older ones are strangers */
};

void segment_head_encode(uint8_t bytes[SEGMENT_HEAD_BYTES], const struct segment_head *head);
enum head_state {
    HEAD_OK,
    HEAD_NONE, /* not the head of a segment */
    HEAD_DAMAGED, /* was one */
    HEAD_NEWER, /* of a newer format; only `version` is set */
};
enum head_state segment_head_decode(const uint8_t bytes[SEGMENT_HEAD_BYTES], struct segment_head *head);

/* One record: the commits of one batch. */
struct log_entry {
    uint64_t first_lsn;
    uint32_t count; /* of commits, at least 1 */
    uint32_t checkpoint; /* number of the last checkpoint that was complete when this was written */
    uint64_t durable; /* LSN that was durable when this was written: a proof for everything up to there */
    uint64_t wall_ms; /* when it was committed */
    struct slice body;
};

static inline uint64_t log_entry_last(const struct log_entry *entry)
{
    return entry->first_lsn + entry->count - 1;
}

/* Empties `record` and leaves room for the head; then commits are added in order; then it is sealed. */
void log_record_begin(struct buf *record);
void log_record_add(struct buf *record, const struct slice *parts, size_t count);
/* Writes the head; `entry->body` is not looked at. Returns the checksum. */
uint64_t log_record_seal(struct buf *record, const struct log_entry *entry, uint64_t salt, uint64_t previous);

struct log_record {
    struct log_entry entry;
    uint64_t checksum;
    uint64_t previous; /* checksum of the record before */
    size_t size; /* of the whole, with its padding */
};

/* The record at the beginning of `bytes`. False when there is none that is whole and has this salt. */
bool log_record_decode(struct slice bytes, uint64_t salt, bool ignore_checksum, struct log_record *record);
/* Bytes of the record whose head this is, when it looks like one, else 0. Nothing is proved. */
size_t log_record_size(const uint8_t head[RECORD_HEAD_BYTES], uint64_t salt);

/* The mark behind the last record of a segment, written when the next one exists: that one was never lost by a stop. */
void segment_end_encode(uint8_t bytes[SEGMENT_END_BYTES], uint64_t salt, uint64_t next_number);
/* The number of the next segment when `bytes` begin with a whole mark of this salt, else 0. */
uint64_t segment_end_decode(struct slice bytes, uint64_t salt);

/* The next commit of a body as write entries (see write_set.h; in the order of application, not sorted): start with
 * *offset = 0. False at the end, and when the body is malformed, which its checksum excludes. */
bool log_commit_next(struct slice body, size_t *offset, struct slice *entries);
