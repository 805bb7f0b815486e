/* log_segment.h - one file of the log: made zero-filled, opened, used again. */
// SPDX-License-Identifier: Apache-2.0
//
// Zero-filled, because a flush of blocks that were never written has to commit the file system's journal as well; used
// again, so that zeros are written once. A new or recycled file gets its final name only when its head is durable:
// whatever has a segment's name has a whole head.
#pragma once

#include <stdint.h>

#include "runtime/base/list.h"
#include "statestore/log_format.h"

struct log_segment {
    struct list link; /* in order of numbers */
    int fd;
    uint64_t number;
    uint64_t salt;
    uint64_t bytes; /* size of the file */
    uint64_t first_lsn; /* of its first record; 0: it has none */
    bool aside; /* the file has another name: it is not in the log any more */
    bool has_rest; /* while the log is opened: whole records behind its end */
};

/* "<dir>/log/0000000000000001.log" */
void log_segment_path(struct buf *path, const char *dir, uint64_t number);
/* The number in a file name; false when it is not the name of a segment. */
bool log_segment_number(const char *name, uint64_t *number);

/* Removes what a stop left behind while a segment was made. */
void log_segment_remove_leftovers(const char *dir);

/* A new file of `bytes` bytes. STORE_FULL, STORE_IO. */
MUST_CHECK enum status log_segment_create(struct log_segment **segment, const char *dir,
                                          const struct store_id *id, uint64_t number, uint64_t bytes,
                                          struct err *err);
/* Takes the file of an old segment out of the log, to be used again. */
MUST_CHECK enum status log_segment_set_aside(struct log_segment *segment, const char *dir, struct err *err);
/* Gives a file that was set aside a new number; `segment` is changed, or closed, removed and NULL on failure. */
MUST_CHECK enum status log_segment_recycle(struct log_segment **segment, const char *dir,
                                           const struct store_id *id, uint64_t number, uint64_t bytes,
                                           struct err *err);
/* Opens an existing one. STORE_CORRUPT, STORE_FORMAT, STORE_IO. */
MUST_CHECK enum status log_segment_open(struct log_segment **segment, const char *dir,
                                        const struct store_id *id, uint64_t number, struct err *err);
void log_segment_close(struct log_segment *segment);
/* Removes its file and closes it. */
void log_segment_remove(struct log_segment *segment, const char *dir);
/* Writes all of it. STORE_FULL, STORE_IO. */
MUST_CHECK enum status log_segment_write(const struct log_segment *segment, struct slice bytes,
                                         uint64_t offset, struct err *err);
/* Has the disk begin with these bytes while the caller does other things. Only the sync makes them durable. */
void log_segment_begin_sync(const struct log_segment *segment, uint64_t offset, uint64_t bytes);
MUST_CHECK enum status log_segment_sync(const struct log_segment *segment, struct err *err);
/* Zeros from `offset` to the end, where there is anything else; durable. */
MUST_CHECK enum status log_segment_blank(const struct log_segment *segment, uint64_t offset, struct err *err);
/* Makes renamed, made and removed files durable. */
MUST_CHECK enum status log_dir_sync(const char *dir, struct err *err);
