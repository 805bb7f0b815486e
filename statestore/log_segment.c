/* log_segment.c - segment files. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/log_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/prng.h"

enum { FILL_BYTES = MIB };

void log_segment_path(struct buf *path, const char *dir, uint64_t number)
{
    buf_reset(path);
    buf_printf(path, "%s/log/%016" PRIx64 ".log", dir, number);
    (void)buf_cstr(path);
}

bool log_segment_number(const char *name, uint64_t *number)
{
    if (strlen(name) != 20 || strcmp(name + 16, ".log") != 0) return false;
    char *end;
    *number = strtoull(name, &end, 16);
    return end == name + 16 && *number > 0;
}

static enum status disk_failed(struct err *err, int code, const char *what, uint64_t number)
{
    bool full = code == ENOSPC || code == EDQUOT;
    return err_errno(err, full ? STATUS_STORE_FULL : STATUS_STORE_IO, code, "log/%016" PRIx64 ".log: %s",
                     number, what);
}

static enum status write_all(int fd, uint64_t number, struct slice bytes, uint64_t offset, struct err *err)
{
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    while (left > 0)
    {
        ssize_t wrote = pwrite(fd, at, left, (off_t)offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return disk_failed(err, wrote < 0 ? errno : ENOSPC, "write", number);
        at += wrote;
        offset += (uint64_t)wrote;
        left -= (size_t)wrote;
    }
    return STATUS_OK;
}

enum status log_segment_write(const struct log_segment *segment, struct slice bytes, uint64_t offset,
                              struct err *err)
{
    return write_all(segment->fd, segment->number, bytes, offset, err);
}

void log_segment_begin_sync(const struct log_segment *segment, uint64_t offset, uint64_t bytes)
{
    /* What fails here is told by the sync, which waits for it: nothing is waited for and no error taken. */
    (void)sync_file_range(segment->fd, (off_t)offset, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
}

enum status log_segment_sync(const struct log_segment *segment, struct err *err)
{
    if (fdatasync(segment->fd) == 0) return STATUS_OK;
    /* Whatever the reason: a sync that failed may have thrown away what it could not write. */
    return err_errno(err, STATUS_STORE_IO, errno, "log/%016" PRIx64 ".log: sync", segment->number);
}

/* Zeros from `offset` to `end`, overwriting what is there. */
static enum status fill(int fd, uint64_t number, uint64_t offset, uint64_t end, struct err *err)
{
    void *zeros = mem_zalloc(FILL_BYTES);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && offset < end)
    {
        size_t size = end - offset < FILL_BYTES ? end - offset : FILL_BYTES;
        status = write_all(fd, number, slice_make(zeros, size), offset, err);
        offset += size;
    }
    free(zeros);
    return status;
}

/* ---- making ---- */

#define SPARE_PREFIX "spare."

static void spare_path(struct buf *path, const char *dir, uint64_t number)
{
    buf_reset(path);
    buf_printf(path, "%s/log/" SPARE_PREFIX "%" PRIx64, dir, number);
    (void)buf_cstr(path);
}

void log_segment_remove_leftovers(const char *dir)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/log", dir);
    DIR *listing = opendir(buf_cstr(&path));
    for (struct dirent *entry; listing && (entry = readdir(listing));)
    {
        if (strncmp(entry->d_name, SPARE_PREFIX, strlen(SPARE_PREFIX)) != 0) continue;
        buf_reset(&path);
        buf_printf(&path, "%s/log/%s", dir, entry->d_name);
        (void)unlink(buf_cstr(&path)); /* still there: in nobody's way */
    }
    if (listing) closedir(listing);
    buf_fini(&path);
}

enum status log_dir_sync(const char *dir, struct err *err)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/log", dir);
    int fd = open(buf_cstr(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status status = STATUS_OK;
    if (fd < 0 || fsync(fd) != 0)
        status = err_errno(err, STATUS_STORE_IO, errno, "%s: sync", buf_cstr(&path));
    if (fd >= 0) close(fd);
    buf_fini(&path);
    return status;
}

/* Writes a fresh head into the file called spare.<spare>, makes it durable and gives the file its final name. */
static enum status name_spare(struct log_segment *segment, uint64_t spare, const char *dir,
                              const struct store_id *id, struct err *err)
{
    segment->salt = prng_entropy();
    segment->first_lsn = 0;
    struct segment_head head = {
        .version = LOG_FORMAT_VERSION, .id = *id, .number = segment->number, .salt = segment->salt};
    uint8_t *bytes = mem_alloc(SEGMENT_HEAD_BYTES);
    segment_head_encode(bytes, &head);
    enum status status = log_segment_write(segment, slice_make(bytes, SEGMENT_HEAD_BYTES), 0, err);
    free(bytes);
    if (status == STATUS_OK) status = log_segment_sync(segment, err);
    if (status != STATUS_OK) return status;
    struct buf from = BUF_INIT, to = BUF_INIT;
    spare_path(&from, dir, spare);
    log_segment_path(&to, dir, segment->number);
    if (rename(buf_cstr(&from), buf_cstr(&to)) != 0)
        status = disk_failed(err, errno, "rename", segment->number);
    buf_fini(&from);
    buf_fini(&to);
    if (status != STATUS_OK) return status;
    segment->aside = false;
    return log_dir_sync(dir, err);
}

static enum status create_filled(struct log_segment *segment, const char *dir, const struct store_id *id,
                                 struct err *err)
{
    TRY(fill(segment->fd, segment->number, 0, segment->bytes, err));
    return name_spare(segment, segment->number, dir, id, err);
}

enum status log_segment_create(struct log_segment **segment, const char *dir, const struct store_id *id,
                               uint64_t number, uint64_t bytes, struct err *err)
{
    struct buf path = BUF_INIT;
    spare_path(&path, dir, number);
    int fd = open(buf_cstr(&path), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
    {
        enum status status = disk_failed(err, errno, "create", number);
        buf_fini(&path);
        return status;
    }
    struct log_segment *made = mem_alloc(sizeof *made);
    *made = (struct log_segment){.fd = fd, .number = number, .bytes = bytes};
    list_init(&made->link);
    enum status status = create_filled(made, dir, id, err);
    if (status != STATUS_OK)
    {
        (void)unlink(buf_cstr(&path)); /* gives the space back; gone already when it was renamed */
        log_segment_close(made);
    }
    else
        *segment = made;
    buf_fini(&path);
    return status;
}

enum status log_segment_set_aside(struct log_segment *segment, const char *dir, struct err *err)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    log_segment_path(&from, dir, segment->number);
    spare_path(&to, dir, segment->number);
    int rc = rename(buf_cstr(&from), buf_cstr(&to));
    enum status status = rc == 0 ? STATUS_OK : disk_failed(err, errno, "rename", segment->number);
    segment->aside = rc == 0;
    buf_fini(&from);
    buf_fini(&to);
    return status;
}

/* Makes the file as long as a usual segment. */
static enum status resize(struct log_segment *segment, uint64_t bytes, struct err *err)
{
    uint64_t had = segment->bytes;
    segment->bytes = bytes;
    if (had < bytes) return fill(segment->fd, segment->number, had, bytes, err);
    if (had > bytes && ftruncate(segment->fd, (off_t)bytes) != 0)
        return disk_failed(err, errno, "shorten", segment->number);
    return STATUS_OK;
}

enum status log_segment_recycle(struct log_segment **segment, const char *dir, const struct store_id *id,
                                uint64_t number, uint64_t bytes, struct err *err)
{
    struct log_segment *old = *segment;
    uint64_t spare = old->number;
    enum status status = resize(old, bytes, err);
    /* Its old name must be gone for sure before its head says otherwise. */
    if (status == STATUS_OK) status = log_dir_sync(dir, err);
    if (status == STATUS_OK)
    {
        old->number = number;
        status = name_spare(old, spare, dir, id, err);
    }
    if (status == STATUS_OK) return status;
    if (old->aside) old->number = spare;
    log_segment_remove(old, dir);
    *segment = NULL;
    return status;
}

/* ---- opening, closing ---- */

static enum status head_check(struct log_segment *segment, const char *path, const struct store_id *id,
                              struct err *err)
{
    uint8_t *bytes = mem_alloc(SEGMENT_HEAD_BYTES);
    ssize_t got = pread(segment->fd, bytes, SEGMENT_HEAD_BYTES, 0);
    struct segment_head head = {0};
    enum head_state state = got == SEGMENT_HEAD_BYTES ? segment_head_decode(bytes, &head) : HEAD_NONE;
    free(bytes);
    if (got < 0) return err_errno(err, STATUS_STORE_IO, errno, "%s: read", path);
    if (state == HEAD_NEWER)
        return err_set(err, STATUS_STORE_FORMAT, "%s: log format %u, this program reads %u", path,
                       head.version, LOG_FORMAT_VERSION);
    if (state != HEAD_OK)
        return err_set(err, STATUS_STORE_CORRUPT, "%s: offset 0: the segment's head is damaged", path);
    if (memcmp(head.id.bytes, id->bytes, STORE_ID_BYTES) != 0)
        return err_set(err, STATUS_STORE_CORRUPT, "%s: offset 8: this segment belongs to another store",
                       path);
    if (head.number != segment->number)
        return err_set(err, STATUS_STORE_CORRUPT, "%s: offset 24: the head says segment %" PRIu64, path,
                       head.number);
    segment->salt = head.salt;
    return STATUS_OK;
}

enum status log_segment_open(struct log_segment **segment, const char *dir, const struct store_id *id,
                             uint64_t number, struct err *err)
{
    struct buf path = BUF_INIT;
    log_segment_path(&path, dir, number);
    struct log_segment *made = mem_alloc(sizeof *made);
    *made = (struct log_segment){.number = number, .fd = open(buf_cstr(&path), O_RDWR | O_CLOEXEC)};
    list_init(&made->link);
    struct stat stat;
    enum status status = STATUS_OK;
    if (made->fd < 0 || fstat(made->fd, &stat) != 0)
        status = err_errno(err, STATUS_STORE_IO, errno, "%s", buf_cstr(&path));
    else
    {
        made->bytes = (uint64_t)stat.st_size;
        status = head_check(made, buf_cstr(&path), id, err);
    }
    buf_fini(&path);
    if (status != STATUS_OK)
        log_segment_close(made);
    else
        *segment = made;
    return status;
}

void log_segment_close(struct log_segment *segment)
{
    if (!segment) return;
    list_remove(&segment->link);
    if (segment->fd >= 0) close(segment->fd);
    free(segment);
}

void log_segment_remove(struct log_segment *segment, const char *dir)
{
    struct buf path = BUF_INIT;
    if (segment->aside)
        spare_path(&path, dir, segment->number);
    else
        log_segment_path(&path, dir, segment->number);
    (void)unlink(buf_cstr(&path)); /* still there: it is found and removed at the next open */
    buf_fini(&path);
    log_segment_close(segment);
}

/* Offset of the first byte that is not zero in [offset, bytes), or `bytes`. */
static uint64_t first_nonzero(const struct log_segment *segment, uint64_t offset, uint8_t *block,
                              struct err *err, enum status *status)
{
    while (offset < segment->bytes)
    {
        ssize_t got = pread(segment->fd, block, FILL_BYTES, (off_t)offset);
        if (got < 0)
            *status = err_errno(err, STATUS_STORE_IO, errno, "log/%016" PRIx64 ".log: read", segment->number);
        if (got <= 0) break;
        for (ssize_t i = 0; i < got; i++)
            if (block[i]) return offset + (uint64_t)i;
        offset += (uint64_t)got;
    }
    return segment->bytes;
}

enum status log_segment_blank(const struct log_segment *segment, uint64_t offset, struct err *err)
{
    uint8_t *block = mem_alloc(FILL_BYTES);
    enum status status = STATUS_OK;
    uint64_t from = first_nonzero(segment, offset, block, err, &status);
    free(block);
    if (status != STATUS_OK || from >= segment->bytes) return status;
    TRY(fill(segment->fd, segment->number, from, segment->bytes, err));
    return log_segment_sync(segment, err);
}
