/* backup.c - a copy of the data file at one commit, the log behind it, and stores made from both. */
// SPDX-License-Identifier: Apache-2.0
//
// A backup directory has three files: `data.mdb`, a compact copy; `log.records`, records as in the log, one behind the
// other; and `backup`, which says how much of both counts and is replaced as the last step of everything. So what a call
// that failed has left behind does not count. docs/formats/backup.md has it byte by byte.
#include "statestore/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"
#include "statestore/apply.h"
#include "statestore/le.h"
#include "statestore/recover.h"
#include "statestore/store_internal.h"

#define BACKUP_FORMAT_VERSION 1u
#define BACKUP_MAGIC 0x504b4253u /* "SBKP" */
#define BACKUP_SALT \
    0x7075636b6162u /* of all records: no other life of the file has to be told from this one */

enum { COPY_BLOCK_BYTES = MIB, MANIFEST_BYTES = 128 };
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_ID = 8,
    AT_BASE_SEQ = 24,
    AT_BASE_WALL = 32,
    AT_DATA_BYTES = 40,
    AT_DATA_CHECKSUM = 48,
    AT_LAST_SEQ = 56,
    AT_LAST_WALL = 64,
    AT_LOG_BYTES = 72,
    AT_LOG_CHECKSUM = 80,
    AT_CHECKSUM = 88,
};

struct manifest {
    struct store_id id;
    uint64_t base_seq;
    uint64_t base_wall_ms;
    uint64_t data_bytes;
    uint64_t data_checksum;
    uint64_t last_seq;
    uint64_t last_wall_ms;
    uint64_t log_bytes;
    uint64_t log_checksum; /* of the last record, which vouches for those before it */
};

/* ---- small things ---- */

static enum status disk_failed(struct err *err, int code, const char *path)
{
    bool full = code == ENOSPC || code == EDQUOT;
    return err_errno(err, full ? STATUS_STORE_FULL : STATUS_IO, code, "%s", path);
}

static char *path_in(const char *dir, const char *name)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/%s", dir, name);
    char *text = mem_strdup(buf_cstr(&path));
    buf_fini(&path);
    return text;
}

static enum status open_in(const char *dir, const char *name, int flags, int *fd, struct err *err)
{
    char *path = path_in(dir, name);
    *fd = open(path, flags | O_CLOEXEC, 0600);
    enum status status = STATUS_OK;
    if (*fd < 0 && errno == ENOENT)
        status = err_set(err, STATUS_NOT_FOUND, "%s is missing", path);
    else if (*fd < 0)
        status = disk_failed(err, errno, path);
    free(path);
    return status;
}

static void remove_in(const char *dir, const char *name)
{
    char *path = path_in(dir, name);
    (void)unlink(path); /* absent is fine; else the caller's own failure is what counts */
    free(path);
}

static enum status write_at(int fd, const char *name, struct slice bytes, uint64_t offset, struct err *err)
{
    const uint8_t *at = bytes.data;
    while (bytes.size > 0)
    {
        ssize_t wrote = pwrite(fd, at, bytes.size, (off_t)offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0)
        {
            enum status status = disk_failed(err, wrote < 0 ? errno : ENOSPC, "write");
            return err_wrap(err, status, "%s: offset %llu", name, (unsigned long long)offset);
        }
        at += wrote;
        offset += (uint64_t)wrote;
        bytes.size -= (size_t)wrote;
    }
    return STATUS_OK;
}

static enum status sync_fd(int fd, const char *name, struct err *err)
{
    return fsync(fd) == 0 ? STATUS_OK : disk_failed(err, errno, name);
}

static enum status sync_dir(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return disk_failed(err, errno, dir);
    enum status status = sync_fd(fd, dir, err);
    close(fd);
    return status;
}

/* One checksum for a file: of each block together with that of the blocks before. */
static uint64_t fold(uint64_t before, struct slice block)
{
    uint64_t parts[2] = {before, hash_stable(block)};
    return hash_stable(slice_make(parts, sizeof parts));
}

static enum status canceled(const struct store_progress *progress, struct err *err)
{
    if (!atomic_load(&progress->cancel)) return STATUS_OK;
    return err_set(err, STATUS_CANCELED, "canceled");
}

/* The directory exists afterwards; `made`: by this call. ALREADY_EXISTS when there is anything in it. */
static enum status empty_dir(const char *dir, bool *made, struct err *err)
{
    *made = mkdir(dir, 0700) == 0;
    if (*made) return STATUS_OK;
    if (errno != EEXIST) return disk_failed(err, errno, dir);
    DIR *listing = opendir(dir);
    if (!listing) return disk_failed(err, errno, dir);
    bool empty = true;
    for (struct dirent *entry; (entry = readdir(listing));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) empty = false;
    closedir(listing);
    return empty ? STATUS_OK : err_set(err, STATUS_ALREADY_EXISTS, "%s is not empty", dir);
}

/* ---- the manifest ---- */

static void manifest_encode(uint8_t bytes[MANIFEST_BYTES], const struct manifest *manifest)
{
    memset(bytes, 0, MANIFEST_BYTES);
    le_put(bytes + AT_MAGIC, BACKUP_MAGIC, 4);
    le_put(bytes + AT_VERSION, BACKUP_FORMAT_VERSION, 4);
    memcpy(bytes + AT_ID, manifest->id.bytes, STORE_ID_BYTES);
    le_put(bytes + AT_BASE_SEQ, manifest->base_seq, 8);
    le_put(bytes + AT_BASE_WALL, manifest->base_wall_ms, 8);
    le_put(bytes + AT_DATA_BYTES, manifest->data_bytes, 8);
    le_put(bytes + AT_DATA_CHECKSUM, manifest->data_checksum, 8);
    le_put(bytes + AT_LAST_SEQ, manifest->last_seq, 8);
    le_put(bytes + AT_LAST_WALL, manifest->last_wall_ms, 8);
    le_put(bytes + AT_LOG_BYTES, manifest->log_bytes, 8);
    le_put(bytes + AT_LOG_CHECKSUM, manifest->log_checksum, 8);
    le_put(bytes + AT_CHECKSUM, hash_stable(slice_make(bytes, AT_CHECKSUM)), 8);
}

static enum status manifest_decode(const uint8_t bytes[MANIFEST_BYTES], const char *dir,
                                   struct manifest *manifest, struct err *err)
{
    if (le_get(bytes + AT_MAGIC, 4) != BACKUP_MAGIC)
        return err_set(err, STATUS_STORE_CORRUPT, "%s/backup: offset 0: this is not a backup", dir);
    if (le_get(bytes + AT_VERSION, 4) != BACKUP_FORMAT_VERSION)
        return err_set(err, STATUS_STORE_FORMAT, "%s/backup: backup format %u, this program reads %u", dir,
                       (unsigned)le_get(bytes + AT_VERSION, 4), BACKUP_FORMAT_VERSION);
    if (le_get(bytes + AT_CHECKSUM, 8) != hash_stable(slice_make(bytes, AT_CHECKSUM)))
        return err_set(err, STATUS_STORE_CORRUPT, "%s/backup: offset 0: damaged", dir);
    memcpy(manifest->id.bytes, bytes + AT_ID, STORE_ID_BYTES);
    manifest->base_seq = le_get(bytes + AT_BASE_SEQ, 8);
    manifest->base_wall_ms = le_get(bytes + AT_BASE_WALL, 8);
    manifest->data_bytes = le_get(bytes + AT_DATA_BYTES, 8);
    manifest->data_checksum = le_get(bytes + AT_DATA_CHECKSUM, 8);
    manifest->last_seq = le_get(bytes + AT_LAST_SEQ, 8);
    manifest->last_wall_ms = le_get(bytes + AT_LAST_WALL, 8);
    manifest->log_bytes = le_get(bytes + AT_LOG_BYTES, 8);
    manifest->log_checksum = le_get(bytes + AT_LOG_CHECKSUM, 8);
    return STATUS_OK;
}

/* NOT_FOUND: there is no backup. */
static enum status manifest_read(const char *dir, struct manifest *manifest, struct err *err)
{
    int fd;
    TRY(open_in(dir, "backup", O_RDONLY, &fd, err));
    uint8_t bytes[MANIFEST_BYTES] = {0};
    ssize_t got = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    if (got < 0) return disk_failed(err, errno, dir);
    return manifest_decode(bytes, dir, manifest, err);
}

/* Written aside and put in place at once. */
static enum status manifest_write(const char *dir, const struct manifest *manifest, struct err *err)
{
    int fd;
    TRY(open_in(dir, "backup.new", O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    uint8_t bytes[MANIFEST_BYTES];
    manifest_encode(bytes, manifest);
    enum status status = write_at(fd, "backup", slice_make(bytes, sizeof bytes), 0, err);
    if (status == STATUS_OK) status = sync_fd(fd, "backup.new", err);
    close(fd);
    if (status != STATUS_OK) return status;
    char *from = path_in(dir, "backup.new"), *to = path_in(dir, "backup");
    if (rename(from, to) != 0) status = disk_failed(err, errno, to);
    free(from);
    free(to);
    return status == STATUS_OK ? sync_dir(dir, err) : status;
}

/* ---- the data file ---- */

/* The copy comes through a pipe, so that it can be counted, summed and stopped. */
struct copier {
    struct kv_snapshot *snapshot;
    int fd; /* to write to */
    enum status status;
    struct err err;
};

static void *copier_run(void *argument)
{
    struct copier *copier = argument;
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    copier->status = copier->snapshot->kv->ops->copy(copier->snapshot, copier->fd, &copier->err);
    close(copier->fd);
    return NULL;
}

/* Fills the block as far as there is anything. */
static ssize_t read_block(int fd, uint8_t *block)
{
    size_t have = 0;
    while (have < COPY_BLOCK_BYTES)
    {
        ssize_t got = read(fd, block + have, COPY_BLOCK_BYTES - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return got;
        if (got == 0) break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/* Copies until the end of `from`; `bytes` and `checksum` are of what was copied. */
static enum status copy_stream(int from, int to, const char *name, struct store_progress *progress,
                               uint64_t *bytes, uint64_t *checksum, struct err *err)
{
    uint8_t *block = mem_alloc(COPY_BLOCK_BYTES);
    enum status status = STATUS_OK;
    *bytes = *checksum = 0;
    for (;;)
    {
        status = canceled(progress, err);
        if (status != STATUS_OK) break;
        ssize_t got = read_block(from, block);
        if (got < 0) status = err_errno(err, STATUS_IO, errno, "%s: read", name);
        if (got <= 0) break;
        status = write_at(to, "data.mdb", slice_make(block, (size_t)got), *bytes, err);
        if (status != STATUS_OK) break;
        *checksum = fold(*checksum, slice_make(block, (size_t)got));
        *bytes += (uint64_t)got;
        atomic_fetch_add(&progress->done_bytes, (uint64_t)got);
    }
    free(block);
    return status;
}

static enum status copy_snapshot(struct kv_snapshot *snapshot, int to, struct store_progress *progress,
                                 struct manifest *manifest, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return err_errno(err, STATUS_NO_RESOURCES, errno, "pipe");
    struct copier copier = {.snapshot = snapshot, .fd = ends[1], .err = ERR_INIT};
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, copier_run, &copier);
    CHECK(rc == 0);
    enum status status =
        copy_stream(ends[0], to, "data.mdb", progress, &manifest->data_bytes, &manifest->data_checksum, err);
    close(ends[0]); /* stops the copier, when it is not done */
    pthread_join(thread, NULL);
    if (status == STATUS_OK && copier.status != STATUS_OK)
        status = err_set(err, copier.status, "%s", err_text(&copier.err));
    return status == STATUS_OK ? sync_fd(to, "data.mdb", err) : status;
}

/* Which commit the copy shows stands in it. */
static enum status read_copied_seq(const char *dir, struct manifest *manifest, struct err *err)
{
    struct kv_config config = {.dir = dir, .map_bytes = manifest->data_bytes + MIB};
    struct kv *kv;
    struct kv_snapshot *snapshot;
    TRY(kv_lmdb_open(&kv, &config, err));
    enum status status = kv->ops->snapshot_open(kv, &snapshot, err);
    if (status == STATUS_OK)
    {
        struct store_identity identity;
        status = format_read(snapshot, &identity, err);
        manifest->base_seq = manifest->last_seq = identity.seq;
        kv->ops->snapshot_close(snapshot);
    }
    kv->ops->close(kv);
    remove_in(dir, "lock.mdb");
    return status;
}

static enum status copy_data(struct store *store, const char *dir, struct store_progress *progress,
                             struct manifest *manifest, struct err *err)
{
    int fd;
    TRY(open_in(dir, "data.mdb", O_RDWR | O_CREAT | O_TRUNC, &fd, err));
    struct store_snapshot *snapshot = pins_take_newest(&store->pins);
    enum status status = copy_snapshot(snapshot->kv, fd, progress, manifest, err);
    pins_unref(&store->pins, snapshot);
    close(fd);
    manifest->base_wall_ms = manifest->last_wall_ms = clock_wall_ms(store->config.clock);
    return status;
}

/* ---- the log ---- */

struct log_copy {
    int fd;
    struct manifest *manifest;
    struct store_progress *progress;
    struct buf record;
};

static enum status copy_entry(void *ctx, const struct log_entry *entry, struct err *err)
{
    struct log_copy *copy = ctx;
    struct manifest *manifest = copy->manifest;
    TRY(canceled(copy->progress, err));
    log_record_begin(&copy->record);
    buf_append(&copy->record, entry->body);
    uint64_t checksum = log_record_seal(&copy->record, entry, BACKUP_SALT, manifest->log_checksum);
    TRY(write_at(copy->fd, "log.records", buf_view(&copy->record), manifest->log_bytes, err));
    manifest->log_checksum = checksum;
    manifest->log_bytes += copy->record.size;
    manifest->last_seq = log_entry_last(entry);
    manifest->last_wall_ms = entry->wall_ms;
    atomic_fetch_add(&copy->progress->done_bytes, copy->record.size);
    return STATUS_OK;
}

/* Everything durable behind manifest->last_seq. */
static enum status copy_log(struct store *store, const char *dir, struct store_progress *progress,
                            struct manifest *manifest, struct err *err)
{
    struct log_copy copy = {.manifest = manifest, .progress = progress, .record = BUF_INIT};
    TRY(open_in(dir, "log.records", O_RDWR | O_CREAT, &copy.fd, err));
    struct log_cursor cursor = {.lsn = manifest->last_seq + 1};
    uint64_t durable = store_durable_seq(store);
    enum status status = STATUS_OK;
    if (cursor.lsn <= durable)
        status = store->log->ops->read(store->log, &cursor, durable, copy_entry, &copy, err);
    if (status == STATUS_OK) status = sync_fd(copy.fd, "log.records", err);
    buf_fini(&copy.record);
    close(copy.fd);
    return status;
}

/* ---- backup ---- */

static void info_from(struct store_backup_info *info, const struct manifest *manifest,
                      const struct store_progress *progress, bool added)
{
    *info = (struct store_backup_info){
        .base_seq = manifest->base_seq,
        .last_seq = manifest->last_seq,
        .last_wall_ms = manifest->last_wall_ms,
        .bytes = progress ? atomic_load(&progress->done_bytes) : 0,
        .added = added,
    };
}

static enum status backup_parts(struct store *store, const char *dir, struct store_progress *progress,
                                struct manifest *manifest, struct err *err)
{
    struct store_stats stats;
    store_stats(store, &stats);
    atomic_store(&progress->total_bytes, stats.data_bytes);
    TRY(copy_data(store, dir, progress, manifest, err));
    TRY(read_copied_seq(dir, manifest, err));
    /* What was copied was applied, but perhaps not durable yet. */
    if (committer_sync_to(store, manifest->base_seq) != STATUS_OK) return store_health(store, err);
    enum status status = copy_log(store, dir, progress, manifest, err);
    /* So long a copy that its log was recycled meanwhile: a backup of one commit is one too. */
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) return status;
    return manifest_write(dir, manifest, err);
}

static enum status backup_new(struct store *store, const char *dir, struct store_progress *progress,
                              struct store_backup_info *info, struct err *err)
{
    bool made;
    TRY(empty_dir(dir, &made, err));
    struct manifest manifest = {.id = store->identity.id};
    enum status status = backup_parts(store, dir, progress, &manifest, err);
    if (status == STATUS_OK)
    {
        info_from(info, &manifest, progress, false);
        return status;
    }
    static const char *const parts[] = {"data.mdb", "lock.mdb", "log.records", "backup.new", "backup"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) remove_in(dir, parts[i]);
    if (made) (void)rmdir(dir); /* something foreign came into it: it stays */
    return status;
}

static enum status backup_add(struct store *store, const char *dir, struct manifest *manifest,
                              struct store_progress *progress, struct store_backup_info *info,
                              struct err *err)
{
    if (memcmp(manifest->id.bytes, store->identity.id.bytes, STORE_ID_BYTES) != 0)
        return err_set(err, STATUS_ALREADY_EXISTS, "%s has a backup of another store", dir);
    enum status status = copy_log(store, dir, progress, manifest, err);
    if (status == STATUS_NOT_FOUND)
        return err_set(err, status,
                       "the log does not reach back to LSN %" PRIu64 ", where the backup in %s ends",
                       manifest->last_seq, dir);
    if (status == STATUS_OK) status = manifest_write(dir, manifest, err);
    if (status == STATUS_OK) info_from(info, manifest, progress, true);
    return status;
}

enum status store_backup(struct store *store, const char *dir, struct store_progress *progress,
                         struct store_backup_info *info, struct err *err)
{
    if (!store->log) return err_set(err, STATUS_UNSUPPORTED, "this store has no log");
    struct manifest manifest;
    struct err local = ERR_INIT;
    enum status status = manifest_read(dir, &manifest, &local);
    if (status == STATUS_OK)
        status = backup_add(store, dir, &manifest, progress, info, &local);
    else if (status == STATUS_NOT_FOUND)
        status = backup_new(store, dir, progress, info, &local);
    if (status == STATUS_OK) return status;
    (void)err_set(err, status, "%s", err_text(&local));
    return err_wrap(err, status, "backup to %s", dir);
}

enum status store_backup_read_info(const char *dir, struct store_backup_info *info, struct err *err)
{
    struct manifest manifest;
    TRY(manifest_read(dir, &manifest, err));
    info_from(info, &manifest, NULL, false);
    return STATUS_OK;
}

/* ---- restore ---- */

struct restore {
    const char *backup;
    const char *dir;
    const struct store_restore_to *to;
    struct store_progress *progress;
    struct manifest manifest;
    uint64_t seq; /* of the last commit applied */
    uint64_t wall_ms;
};

static enum status restore_data(struct restore *restore, int from, int to, struct err *err)
{
    const struct manifest *manifest = &restore->manifest;
    uint64_t bytes, checksum;
    TRY(copy_stream(from, to, "data.mdb", restore->progress, &bytes, &checksum, err));
    if (bytes != manifest->data_bytes)
        return err_set(err, STATUS_STORE_CORRUPT, "%s/data.mdb has %" PRIu64 " bytes instead of %" PRIu64,
                       restore->backup, bytes, manifest->data_bytes);
    if (checksum != manifest->data_checksum)
        return err_set(err, STATUS_STORE_CORRUPT,
                       "%s/data.mdb: the checksum of its %" PRIu64 " bytes is wrong", restore->backup, bytes);
    return sync_fd(to, "data.mdb", err);
}

static enum status restore_files(void *ctx, struct err *err)
{
    struct restore *restore = ctx;
    int from, to;
    TRY(open_in(restore->backup, "data.mdb", O_RDONLY, &from, err));
    enum status status = open_in(restore->dir, "data.mdb", O_RDWR | O_CREAT | O_TRUNC, &to, err);
    if (status == STATUS_OK)
    {
        status = restore_data(restore, from, to, err);
        close(to);
    }
    close(from);
    return status;
}

/* Is this commit still wanted? */
static bool wanted(const struct restore *restore, uint64_t seq, uint64_t wall_ms)
{
    if (restore->to->seq > 0 && seq > restore->to->seq) return false;
    return restore->to->wall_ms == 0 || wall_ms <= restore->to->wall_ms;
}

/* The commits of one record that are wanted, in a transaction of their own. False in `more` when some are not. */
static enum status restore_record(struct restore *restore, struct kv *kv, const struct log_entry *entry,
                                  bool *more, struct err *err)
{
    TRY(kv->ops->begin(kv, err));
    enum status status = STATUS_OK;
    struct slice entries;
    size_t offset = 0;
    for (uint64_t lsn = entry->first_lsn; *more && lsn <= log_entry_last(entry) && status == STATUS_OK; lsn++)
    {
        if (!log_commit_next(entry->body, &offset, &entries))
            status = err_set(err, STATUS_STORE_CORRUPT, "the commit of LSN %" PRIu64 " is malformed", lsn);
        if (status != STATUS_OK || lsn <= restore->seq) continue;
        *more = wanted(restore, lsn, entry->wall_ms);
        if (!*more) break;
        status = apply_entries(kv, entries, err);
        restore->seq = lsn;
        restore->wall_ms = entry->wall_ms;
    }
    if (status == STATUS_OK) status = format_write_seq(kv, restore->seq, err);
    if (status == STATUS_OK) return kv->ops->commit(kv, err);
    kv->ops->abort(kv);
    return status;
}

static enum status record_damaged(const struct restore *restore, uint64_t offset, struct err *err)
{
    return err_set(err, STATUS_STORE_CORRUPT, "%s/log.records: offset %" PRIu64 ": the record is damaged",
                   restore->backup, offset);
}

static enum status restore_log(struct restore *restore, struct kv *kv, int fd, struct buf *bytes,
                               struct err *err)
{
    uint64_t offset = 0, previous = 0;
    bool more = true;
    while (more && offset < restore->manifest.log_bytes)
    {
        TRY(canceled(restore->progress, err));
        buf_reset(bytes);
        uint8_t *at = buf_reserve(bytes, RECORD_HEAD_BYTES);
        if (pread(fd, at, RECORD_HEAD_BYTES, (off_t)offset) != RECORD_HEAD_BYTES)
            return record_damaged(restore, offset, err);
        size_t size = log_record_size(at, BACKUP_SALT);
        if (size == 0 || size > restore->manifest.log_bytes - offset)
            return record_damaged(restore, offset, err);
        at = buf_reserve(bytes, size);
        struct log_record record;
        if (pread(fd, at, size, (off_t)offset) != (ssize_t)size ||
            !log_record_decode(slice_make(at, size), BACKUP_SALT, false, &record) ||
            record.previous != previous)
            return record_damaged(restore, offset, err);
        TRY(restore_record(restore, kv, &record.entry, &more, err));
        previous = record.checksum;
        offset += size;
        atomic_fetch_add(&restore->progress->done_bytes, size);
    }
    if (more && previous != restore->manifest.log_checksum) return record_damaged(restore, offset, err);
    return STATUS_OK;
}

static enum status restore_rows(void *ctx, struct kv *kv, uint64_t *seq, struct err *err)
{
    struct restore *restore = ctx;
    restore->seq = restore->manifest.base_seq;
    restore->wall_ms = restore->manifest.base_wall_ms;
    if (restore->manifest.log_bytes > 0)
    {
        int fd;
        struct buf bytes = BUF_INIT;
        TRY(open_in(restore->backup, "log.records", O_RDONLY, &fd, err));
        enum status status = restore_log(restore, kv, fd, &bytes, err);
        buf_fini(&bytes);
        close(fd);
        if (status != STATUS_OK) return status;
    }
    *seq = restore->seq;
    return STATUS_OK;
}

static enum status point_check(const struct restore *restore, struct err *err)
{
    const struct manifest *manifest = &restore->manifest;
    const struct store_restore_to *to = restore->to;
    if (to->seq > 0 && (to->seq < manifest->base_seq || to->seq > manifest->last_seq))
        return err_set(err, STATUS_INVALID_ARGUMENT,
                       "LSN %" PRIu64 " is not in this backup, which has %" PRIu64 " to %" PRIu64, to->seq,
                       manifest->base_seq, manifest->last_seq);
    if (to->wall_ms > 0 && to->wall_ms < manifest->base_wall_ms)
        return err_set(err, STATUS_INVALID_ARGUMENT,
                       "the backup begins at %" PRIu64 " ms since 1970, later than %" PRIu64,
                       manifest->base_wall_ms, to->wall_ms);
    return STATUS_OK;
}

enum status store_restore(const char *backup, const char *dir, const struct store_restore_to *to,
                          struct store_progress *progress, struct store_backup_info *info, struct err *err)
{
    struct restore restore = {.backup = backup, .dir = dir, .to = to, .progress = progress};
    TRY(manifest_read(backup, &restore.manifest, err));
    TRY(point_check(&restore, err));
    atomic_store(&progress->total_bytes, restore.manifest.data_bytes + restore.manifest.log_bytes);
    bool made;
    TRY(empty_dir(dir, &made, err));
    struct store_config config = {.dir = dir, .clock = clock_real()};
    struct recover_seed seed = {.files = restore_files, .rows = restore_rows, .ctx = &restore};
    enum status status = recover_make(&config, &seed, err);
    if (status != STATUS_OK)
    {
        recover_unmake(dir);
        if (made) (void)rmdir(dir); /* something foreign came into it: it stays */
        return err_wrap(err, status, "restore from %s", backup);
    }
    info_from(info, &restore.manifest, progress, false);
    info->last_seq = restore.seq;
    info->last_wall_ms = restore.wall_ms;
    return STATUS_OK;
}
