/* export.c - rows as a file: sorted puts in chunks, each with a checksum that covers those before it. */
// SPDX-License-Identifier: Apache-2.0
//
//     head    "SEXP", version u32, sequence number u64, wall clock ms u64, zeros, checksum u64 at 56: 64 bytes
//     chunk   size u32, rows u32, checksum u64 of these 8 bytes, the checksum before and the content; then the content:
//             write entries (write_set.h), puts only, sorted over all chunks
//     end     size 0, rows 0, checksum u64 of the same; then rows u64, bytes u64, checksum u64 of both and that before
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/hash.h"
#include "statestore/backup.h"
#include "statestore/kv/write_set.h"
#include "statestore/le.h"
#include "statestore/store_internal.h"

#define EXPORT_FORMAT_VERSION 1u
#define EXPORT_MAGIC 0x50584553u /* "SEXP" */
#define CHUNK_BYTES (1 * MIB) /* a chunk ends with the row that reaches it */
#define CHUNK_BYTES_MAX (CHUNK_BYTES + BOUND_VALUE_BYTES_MAX + KIB)

enum { HEAD_BYTES = 64, CHUNK_HEAD_BYTES = 16, END_BYTES = 24, HEAD_CHECKSUM_AT = 56 };

static uint64_t chunk_checksum(const uint8_t head[8], uint64_t before, struct slice content)
{
    uint8_t parts[24];
    memcpy(parts, head, 8);
    le_put(parts + 8, before, 8);
    le_put(parts + 16, hash_stable(content), 8);
    return hash_stable(slice_make(parts, sizeof parts));
}

/* ---- export ---- */

struct exporter {
    int fd;
    struct store_progress *progress;
    struct store_export_info *info;
    struct buf chunk; /* its head and its content */
    uint32_t rows;
    uint64_t checksum;
    enum status status;
    struct err *err;
};

static enum status write_all(int fd, struct slice bytes, struct err *err)
{
    const uint8_t *at = bytes.data;
    while (bytes.size > 0)
    {
        ssize_t wrote = write(fd, at, bytes.size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0)
            return err_errno(err, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_IO, errno, "write the export");
        at += wrote;
        bytes.size -= (size_t)wrote;
    }
    return STATUS_OK;
}

static void chunk_begin(struct exporter *exporter)
{
    buf_reset(&exporter->chunk);
    memset(buf_reserve(&exporter->chunk, CHUNK_HEAD_BYTES), 0, CHUNK_HEAD_BYTES);
    exporter->chunk.size = CHUNK_HEAD_BYTES;
    exporter->rows = 0;
}

static enum status chunk_flush(struct exporter *exporter, struct err *err)
{
    uint8_t *head = exporter->chunk.data;
    struct slice content = slice_make(head + CHUNK_HEAD_BYTES, exporter->chunk.size - CHUNK_HEAD_BYTES);
    le_put(head, content.size, 4);
    le_put(head + 4, exporter->rows, 4);
    exporter->checksum = chunk_checksum(head, exporter->checksum, content);
    le_put(head + 8, exporter->checksum, 8);
    TRY(write_all(exporter->fd, buf_view(&exporter->chunk), err));
    atomic_fetch_add(&exporter->progress->done_bytes, exporter->chunk.size);
    chunk_begin(exporter);
    return STATUS_OK;
}

static bool export_row(void *ctx, struct slice key, struct slice value)
{
    struct exporter *exporter = ctx;
    write_set_append(&exporter->chunk, &(struct write_entry){WRITE_PUT, key, value});
    exporter->rows++;
    exporter->info->rows++;
    exporter->info->bytes += key.size + value.size;
    if (exporter->chunk.size < CHUNK_BYTES) return true;
    exporter->status = chunk_flush(exporter, exporter->err);
    if (exporter->status == STATUS_OK && atomic_load(&exporter->progress->cancel))
        exporter->status = err_set(exporter->err, STATUS_CANCELED, "canceled");
    return exporter->status == STATUS_OK;
}

static enum status write_head(struct exporter *exporter, struct err *err)
{
    uint8_t head[HEAD_BYTES] = {0};
    le_put(head, EXPORT_MAGIC, 4);
    le_put(head + 4, EXPORT_FORMAT_VERSION, 4);
    le_put(head + 8, exporter->info->seq, 8);
    le_put(head + 16, clock_wall_ms(clock_real()), 8);
    exporter->checksum = hash_stable(slice_make(head, HEAD_CHECKSUM_AT));
    le_put(head + HEAD_CHECKSUM_AT, exporter->checksum, 8);
    return write_all(exporter->fd, slice_make(head, sizeof head), err);
}

static enum status write_end(struct exporter *exporter, struct err *err)
{
    if (exporter->rows > 0) TRY(chunk_flush(exporter, err));
    TRY(chunk_flush(exporter, err)); /* the empty one */
    uint8_t end[END_BYTES];
    le_put(end, exporter->info->rows, 8);
    le_put(end + 8, exporter->info->bytes, 8);
    le_put(end + 16, chunk_checksum(end, exporter->checksum, slice_make(end + 8, 8)), 8);
    return write_all(exporter->fd, slice_make(end, sizeof end), err);
}

enum status store_export(struct store_snapshot *snapshot, struct slice low, struct slice high, int fd,
                         struct store_progress *progress, struct store_export_info *info, struct err *err)
{
    *info = (struct store_export_info){.seq = snapshot->seq};
    struct exporter exporter = {.fd = fd, .progress = progress, .info = info, .chunk = BUF_INIT, .err = err};
    chunk_begin(&exporter);
    enum status status = write_head(&exporter, err);
    if (status == STATUS_OK) status = store_scan(snapshot, low, high, export_row, &exporter, err);
    if (status == STATUS_OK) status = exporter.status;
    if (status == STATUS_OK) status = write_end(&exporter, err);
    buf_fini(&exporter.chunk);
    return status;
}

/* ---- import ---- */

struct importer {
    int fd;
    uint8_t space;
    struct store_progress *progress;
    struct store_export_info *info;
    uint64_t offset; /* in the file */
    uint64_t checksum;
    struct buf chunk;
    struct buf last_key; /* of the chunk before */
};

static enum status damaged(const struct importer *importer, const char *what, struct err *err)
{
    return err_set(err, STATUS_STORE_CORRUPT, "the file of rows is damaged: offset %" PRIu64 ": %s",
                   importer->offset, what);
}

static enum status read_exactly(struct importer *importer, void *to, size_t size, struct err *err)
{
    uint8_t *at = to;
    size_t have = 0;
    while (have < size)
    {
        ssize_t got = pread(importer->fd, at + have, size - have, (off_t)(importer->offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return err_errno(err, STATUS_IO, errno, "read the file of rows");
        if (got == 0) return damaged(importer, "it ends here", err);
        have += (size_t)got;
    }
    importer->offset += size;
    return STATUS_OK;
}

static enum status read_head(struct importer *importer, struct err *err)
{
    uint8_t head[HEAD_BYTES];
    TRY(read_exactly(importer, head, sizeof head, err));
    importer->offset = 0;
    if (le_get(head, 4) != EXPORT_MAGIC) return damaged(importer, "this is not an exported file", err);
    if (le_get(head + 4, 4) != EXPORT_FORMAT_VERSION)
        return err_set(err, STATUS_STORE_FORMAT, "the file of rows has format %u, this program reads %u",
                       (unsigned)le_get(head + 4, 4), EXPORT_FORMAT_VERSION);
    importer->checksum = hash_stable(slice_make(head, HEAD_CHECKSUM_AT));
    if (importer->checksum != le_get(head + HEAD_CHECKSUM_AT, 8))
        return damaged(importer, "wrong checksum", err);
    *importer->info = (struct store_export_info){.seq = le_get(head + 8, 8)};
    importer->offset = HEAD_BYTES;
    return STATUS_OK;
}

/* The next chunk into importer->chunk, proved to be what was exported. Empty at the end. */
static enum status read_chunk(struct importer *importer, uint32_t *rows, struct err *err)
{
    uint64_t begin = importer->offset;
    uint8_t head[CHUNK_HEAD_BYTES];
    TRY(read_exactly(importer, head, sizeof head, err));
    uint64_t size = le_get(head, 4);
    *rows = (uint32_t)le_get(head + 4, 4);
    buf_reset(&importer->chunk);
    enum status status = size > CHUNK_BYTES_MAX ? STATUS_STORE_CORRUPT : STATUS_OK;
    if (status == STATUS_OK) status = read_exactly(importer, buf_reserve(&importer->chunk, size), size, err);
    importer->chunk.size = status == STATUS_OK ? size : 0;
    bool same = status == STATUS_OK &&
                chunk_checksum(head, importer->checksum, buf_view(&importer->chunk)) == le_get(head + 8, 8);
    if (!same && status != STATUS_IO)
    {
        importer->offset = begin;
        return damaged(importer, "the checksum of the chunk that begins here is wrong", err);
    }
    importer->checksum = le_get(head + 8, 8);
    atomic_fetch_add(&importer->progress->done_bytes, importer->offset - begin);
    return status;
}

/* Sums are right, but who made the file? It may still be no write set, of another space, or out of order. */
static enum status check_rows(struct importer *importer, uint32_t rows, struct err *err)
{
    struct slice chunk = buf_view(&importer->chunk);
    struct err why = ERR_INIT;
    if (write_set_check(chunk, importer->space, &why) != STATUS_OK)
        return damaged(importer, err_text(&why), err);
    struct write_entry entry;
    size_t offset = 0;
    while (write_set_next(chunk, &offset, &entry))
    {
        if (entry.op != WRITE_PUT) return damaged(importer, "not a row", err);
        if (offset > 0 && slice_compare(buf_view(&importer->last_key), entry.key) >= 0)
            return damaged(importer, "rows are not in order", err);
        buf_reset(&importer->last_key);
        buf_append(&importer->last_key, entry.key);
        importer->info->rows++;
        importer->info->bytes += entry.key.size + entry.value.size;
        rows--;
    }
    return rows == 0 ? STATUS_OK : damaged(importer, "wrong number of rows", err);
}

static enum status read_end(struct importer *importer, struct err *err)
{
    uint8_t end[END_BYTES];
    TRY(read_exactly(importer, end, sizeof end, err));
    bool same = le_get(end, 8) == importer->info->rows && le_get(end + 8, 8) == importer->info->bytes &&
                le_get(end + 16, 8) == chunk_checksum(end, importer->checksum, slice_make(end + 8, 8));
    return same ? STATUS_OK : damaged(importer, "its end does not fit its rows", err);
}

/* One reading of the whole file; `rows` NULL: only to prove it. */
static enum status read_file(struct importer *importer, store_import_fn rows, void *ctx, struct err *err)
{
    importer->offset = 0;
    buf_reset(&importer->last_key);
    TRY(read_head(importer, err));
    for (;;)
    {
        if (atomic_load(&importer->progress->cancel)) return err_set(err, STATUS_CANCELED, "canceled");
        uint32_t count;
        TRY(read_chunk(importer, &count, err));
        if (importer->chunk.size == 0) return read_end(importer, err);
        TRY(check_rows(importer, count, err));
        if (rows) TRY(rows(ctx, buf_view(&importer->chunk), err));
    }
}

enum status store_import(int fd, uint8_t space, store_import_fn rows, void *ctx,
                         struct store_progress *progress, struct store_export_info *info, struct err *err)
{
    struct importer importer = {.fd = fd, .space = space, .progress = progress, .info = info};
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0) return err_errno(err, STATUS_IO, errno, "the file of rows must be a file");
    atomic_store(&progress->total_bytes, 2 * (uint64_t)size);
    enum status status = read_file(&importer, NULL, NULL, err);
    if (status == STATUS_OK) status = read_file(&importer, rows, ctx, err);
    buf_fini(&importer.chunk);
    buf_fini(&importer.last_key);
    return status;
}
