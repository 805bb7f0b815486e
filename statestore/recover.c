/* recover.c - decides what kind of stop it was and makes data file and log agree. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "statestore/apply.h"

/* ---- deciding ---- */

enum status recovery_decide(const struct checkpoint *checkpoint, const struct kv_file_state *data,
                            const struct boot_id *boot, enum recovery *recovery, struct err *err)
{
    if (!data->exists)
        return err_set(err, STATUS_STORE_CORRUPT,
                       "data.mdb: missing or empty, but checkpoint %u says there is one", checkpoint->number);
    uint64_t txn = kv_meta_txn(checkpoint->meta);
    if (data->newest_txn < txn)
        return err_set(err, STATUS_STORE_CORRUPT,
                       "data.mdb is older than checkpoint %u: it ends with transaction %" PRIu64
                       ", the checkpoint is of transaction %" PRIu64,
                       checkpoint->number, data->newest_txn, txn);
    if (checkpoint->clean)
        *recovery = RECOVERY_NONE;
    else
        *recovery = boot_id_same(&checkpoint->boot, boot) ? RECOVERY_REPLAY : RECOVERY_REWIND;
    return STATUS_OK;
}

/* ---- small things in the directory ---- */

/* While a store is made it has this file: what a stop leaves behind then was never anybody's. */
#define MAKING "making"

static void path_in(struct buf *path, const char *dir, const char *name)
{
    buf_reset(path);
    buf_printf(path, "%s/%s", dir, name);
    (void)buf_cstr(path);
}

static bool exists(const char *dir, const char *name)
{
    struct buf path = BUF_INIT;
    path_in(&path, dir, name);
    bool found = access(buf_cstr(&path), F_OK) == 0;
    buf_fini(&path);
    return found;
}

static enum status dir_sync(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status status = STATUS_OK;
    if (fd < 0 || fsync(fd) != 0) status = err_errno(err, STATUS_STORE_IO, errno, "%s: sync", dir);
    if (fd >= 0) close(fd);
    return status;
}

static void remove_in(const char *dir, const char *name)
{
    struct buf path = BUF_INIT;
    path_in(&path, dir, name);
    (void)unlink(buf_cstr(&path)); /* absent: fine; else making it anew fails with a reason */
    buf_fini(&path);
}

static void remove_half_made(const char *dir)
{
    struct buf path = BUF_INIT;
    path_in(&path, dir, "log");
    char *log = mem_strdup(buf_cstr(&path));
    DIR *listing = opendir(log);
    for (struct dirent *entry; listing && (entry = readdir(listing));) remove_in(log, entry->d_name);
    if (listing) closedir(listing);
    free(log);
    buf_fini(&path);
    remove_in(dir, "data.mdb");
    remove_in(dir, "lock.mdb");
    remove_in(dir, "checkpoint");
}

static enum status mark_making(const char *dir, struct err *err)
{
    struct buf path = BUF_INIT;
    path_in(&path, dir, MAKING);
    int fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    enum status status = STATUS_OK;
    if (fd < 0)
        status = err_errno(err, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_STORE_UNWRITABLE, errno, "%s",
                           buf_cstr(&path));
    else
        close(fd);
    buf_fini(&path);
    return status == STATUS_OK ? dir_sync(dir, err) : status;
}

/* A mark that stays would have the store made anew at the next open. */
static enum status unmark_making(const char *dir, struct err *err)
{
    struct buf path = BUF_INIT;
    path_in(&path, dir, MAKING);
    int rc = unlink(buf_cstr(&path));
    buf_fini(&path);
    return rc == 0 ? STATUS_OK : err_errno(err, STATUS_STORE_IO, errno, "%s/" MAKING ": remove", dir);
}

/* ---- the parts ---- */

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

static enum status open_kv(const struct store_config *config, struct recovered *recovered, struct err *err)
{
    struct kv_config kv_config = {
        .dir = config->dir,
        .map_bytes = or_default(config->map_bytes, BOUND_MAP_BYTES),
    };
    TRY(kv_lmdb_open(&recovered->kv, &kv_config, err));
    if (config->fault) recovered->kv = kv_fault_open(recovered->kv, config->fault);
    return STATUS_OK;
}

static enum status open_log(const struct store_config *config, struct recovered *recovered, bool create,
                            uint64_t proven, log_entry_fn entry, void *ctx, struct err *err)
{
    struct log_file_config log_config = {
        .create = create,
        .dir = config->dir,
        .id = recovered->identity.id,
        .segment_bytes = or_default(config->log_segment_bytes, BOUND_LOG_SEGMENT_BYTES),
        .keep_bytes = or_default(config->log_keep_bytes, BOUND_LOG_KEEP_BYTES),
        .from = recovered->identity.seq + 1,
        .proven = proven,
        .ignore_checksums = config->sabotage & STORE_SABOTAGE_CHECKSUM,
    };
    TRY(log_file_open(&recovered->log, &log_config, entry, ctx, err));
    if (config->fault) recovered->log = log_fault_open(recovered->log, config->fault);
    return STATUS_OK;
}

/* ---- a new store ---- */

static enum status no_entry(void *ctx, const struct log_entry *entry, struct err *err)
{
    return err_set(err, STATUS_INTERNAL, "a log that was just made has a record");
}

/* A new store has an id of its own, also when its rows come from a backup: its log goes another way from here. */
static enum status write_identity(struct recovered *recovered, uint64_t seq, struct err *err)
{
    struct kv *kv = recovered->kv;
    recovered->identity =
        (struct store_identity){.version = STORE_FORMAT_VERSION, .id = store_id_make(), .seq = seq};
    TRY(kv->ops->begin(kv, err));
    enum status status = format_write(kv, &recovered->identity, err);
    if (status != STATUS_OK)
    {
        kv->ops->abort(kv);
        return status;
    }
    TRY(kv->ops->commit(kv, err));
    return kv->ops->sync(kv, err);
}

static enum status first_checkpoint(const struct store_config *config, struct recovered *recovered,
                                    struct err *err)
{
    struct kv_snapshot *snapshot;
    TRY(recovered->kv->ops->snapshot_open(recovered->kv, &snapshot, err));
    recovered->checkpoint =
        (struct checkpoint){.number = 1, .id = recovered->identity.id, .seq = recovered->identity.seq};
    memcpy(recovered->checkpoint.meta, snapshot->meta, KV_META_BYTES);
    snapshot->kv->ops->snapshot_close(snapshot);
    return checkpoint_file_create(config->dir, &recovered->checkpoint, &recovered->checkpoint_fd, err);
}

/* Everything is durable before the mark is taken away. */
static enum status make_new(const struct store_config *config, const struct recover_seed *seed,
                            struct recovered *recovered, struct err *err)
{
    TRY(mark_making(config->dir, err));
    remove_half_made(config->dir);
    if (seed) TRY(seed->files(seed->ctx, err));
    TRY(open_kv(config, recovered, err));
    uint64_t seq = 0;
    if (seed) TRY(seed->rows(seed->ctx, recovered->kv, &seq, err));
    TRY(write_identity(recovered, seq, err));
    TRY(open_log(config, recovered, true, seq, no_entry, NULL, err));
    TRY(first_checkpoint(config, recovered, err));
    TRY(dir_sync(config->dir, err));
    TRY(unmark_making(config->dir, err));
    return dir_sync(config->dir, err);
}

/* ---- an old store ---- */

/* Rows of the log that go into one transaction while replaying. */
#define REPLAY_BYTES (8 * MIB)

struct replay {
    struct recovered *recovered;
    bool open; /* a transaction is */
    size_t bytes; /* in it */
    uint64_t seq; /* of its last commit */
};

static enum status replay_flush(struct replay *replay, struct err *err)
{
    if (!replay->open) return STATUS_OK;
    struct kv *kv = replay->recovered->kv;
    replay->open = false;
    replay->bytes = 0;
    enum status status = format_write_seq(kv, replay->seq, err);
    if (status == STATUS_OK) return kv->ops->commit(kv, err);
    kv->ops->abort(kv);
    return status;
}

/* A slot that was whole once and is not any more: the older one's snapshot may have lost pages since. */
static enum status check_entry(void *ctx, const struct log_entry *entry, struct err *err)
{
    const struct recovered *recovered = ctx;
    if (entry->checkpoint <= recovered->checkpoint.number) return STATUS_OK;
    return err_set(
        err, STATUS_STORE_CORRUPT,
        "checkpoint %u was complete, but the newest whole slot of the file checkpoint is number %u",
        entry->checkpoint, recovered->checkpoint.number);
}

static enum status replay_entry(void *ctx, const struct log_entry *entry, struct err *err)
{
    struct replay *replay = ctx;
    TRY(check_entry(replay->recovered, entry, err));
    if (entry->first_lsn > replay->seq + 1)
        return err_set(err, STATUS_STORE_CORRUPT, "LSN %" PRIu64 " follows LSN %" PRIu64, entry->first_lsn,
                       replay->seq);
    struct kv *kv = replay->recovered->kv;
    if (!replay->open) TRY(kv->ops->begin(kv, err));
    replay->open = true;
    struct slice entries;
    size_t offset = 0;
    for (uint64_t lsn = entry->first_lsn; lsn <= log_entry_last(entry); lsn++)
    {
        if (!log_commit_next(entry->body, &offset, &entries))
            return err_set(err, STATUS_STORE_CORRUPT, "the commit of LSN %" PRIu64 " is malformed", lsn);
        if (lsn <= replay->seq) continue;
        TRY(apply_entries(kv, entries, err));
        replay->seq++;
        replay->recovered->replayed++;
    }
    replay->bytes += entry->body.size;
    return replay->bytes >= REPLAY_BYTES ? replay_flush(replay, err) : STATUS_OK;
}

static enum status read_identity(struct recovered *recovered, struct err *err)
{
    const struct checkpoint *checkpoint = &recovered->checkpoint;
    struct kv_snapshot *snapshot;
    TRY(recovered->kv->ops->snapshot_open(recovered->kv, &snapshot, err));
    enum status status = format_read(snapshot, &recovered->identity, err);
    snapshot->kv->ops->snapshot_close(snapshot);
    if (status == STATUS_NOT_FOUND)
        return err_set(err, STATUS_STORE_CORRUPT, "data.mdb lacks the store's own rows");
    if (status != STATUS_OK) return status;
    if (memcmp(recovered->identity.id.bytes, checkpoint->id.bytes, STORE_ID_BYTES) != 0)
        return err_set(err, STATUS_STORE_CORRUPT, "data.mdb and checkpoint are not of the same store");
    uint64_t seq = recovered->identity.seq;
    bool exact = recovered->recovery != RECOVERY_REPLAY;
    if (seq < checkpoint->seq || (exact && seq != checkpoint->seq))
        return err_set(err, STATUS_STORE_CORRUPT,
                       "data.mdb ends with LSN %" PRIu64 ", but checkpoint %u is of LSN %" PRIu64, seq,
                       checkpoint->number, checkpoint->seq);
    return STATUS_OK;
}

/* The log from behind the data file's last commit into the data file; both durable afterwards. */
static enum status replay_log(const struct store_config *config, struct recovered *recovered, struct err *err)
{
    struct replay replay = {.recovered = recovered, .seq = recovered->identity.seq};
    enum status status =
        open_log(config, recovered, false, recovered->identity.seq, replay_entry, &replay, err);
    if (status == STATUS_OK) status = replay_flush(&replay, err);
    if (replay.open) recovered->kv->ops->abort(recovered->kv);
    if (status != STATUS_OK) return status;
    recovered->identity.seq = replay.seq;
    if (recovered->recovery == RECOVERY_NONE && recovered->replayed == 0) return STATUS_OK;
    uint64_t durable;
    TRY(recovered->log->ops->sync(recovered->log, &durable, err));
    return recovered->kv->ops->sync(recovered->kv, err);
}

/* Proves that all of the log is there before the data file is changed. */
static enum status check_log(const struct store_config *config, struct recovered *recovered, struct err *err)
{
    recovered->identity =
        (struct store_identity){.id = recovered->checkpoint.id, .seq = recovered->checkpoint.seq};
    TRY(open_log(config, recovered, false, recovered->checkpoint.seq, check_entry, recovered, err));
    recovered->log->ops->close(recovered->log);
    recovered->log = NULL;
    return STATUS_OK;
}

/* The pages that will be relied on. After a clean stop nobody has touched them but the disk itself: looked at only when
 * that is quick. */
static enum status check_data(const char *dir, const struct recovered *recovered,
                              const struct kv_file_state *data, struct err *err)
{
    bool clean = recovered->recovery == RECOVERY_NONE;
    if (clean && data->file_bytes > BOUND_QUICK_CHECK_BYTES) return STATUS_OK;
    bool rewind = recovered->recovery == RECOVERY_REWIND;
    return kv_lmdb_file_check(dir, rewind ? recovered->checkpoint.meta : data->meta, err);
}

static enum status open_old(const struct store_config *config, struct recovered *recovered, struct err *err)
{
    enum status status =
        checkpoint_file_open(config->dir, &recovered->checkpoint, &recovered->checkpoint_fd, err);
    if (status == STATUS_NOT_FOUND)
        return err_set(err, STATUS_STORE_CORRUPT,
                       "checkpoint: missing; without it data.mdb cannot be trusted");
    if (status != STATUS_OK) return status;
    struct kv_file_state data;
    TRY(kv_lmdb_file_state(config->dir, &data, err));
    struct boot_id boot = config->boot_id ? boot_id_from_text(config->boot_id) : boot_id_current();
    TRY(recovery_decide(&recovered->checkpoint, &data, &boot, &recovered->recovery, err));
    bool rewind = recovered->recovery == RECOVERY_REWIND;
    if (rewind) TRY(check_log(config, recovered, err));
    TRY(check_data(config->dir, recovered, &data, err));
    if (rewind)
    {
        remove_in(config->dir, "lock.mdb"); /* LMDB's table of readers: nobody reads, and it may be torn */
        TRY(kv_lmdb_file_rewind(config->dir, recovered->checkpoint.meta, err));
    }
    TRY(open_kv(config, recovered, err));
    TRY(read_identity(recovered, err));
    return replay_log(config, recovered, err);
}

/* ---- both ---- */

void recovered_close(struct recovered *recovered)
{
    if (recovered->log) recovered->log->ops->close(recovered->log);
    if (recovered->kv) recovered->kv->ops->close(recovered->kv);
    if (recovered->checkpoint_fd >= 0) close(recovered->checkpoint_fd);
    *recovered = (struct recovered){.checkpoint_fd = -1};
}

enum status recover(const struct store_config *config, struct recovered *recovered, struct err *err)
{
    *recovered = (struct recovered){.checkpoint_fd = -1};
    bool empty =
        !exists(config->dir, "data.mdb") && !exists(config->dir, "checkpoint") && !exists(config->dir, "log");
    bool fresh = empty || exists(config->dir, MAKING);
    enum status status = fresh ? make_new(config, NULL, recovered, err) : open_old(config, recovered, err);
    if (status != STATUS_OK) recovered_close(recovered);
    return status;
}

enum status recover_make(const struct store_config *config, const struct recover_seed *seed, struct err *err)
{
    struct recovered recovered = {.checkpoint_fd = -1};
    enum status status = make_new(config, seed, &recovered, err);
    recovered_close(&recovered);
    return status;
}

void recover_unmake(const char *dir)
{
    remove_half_made(dir);
    struct buf path = BUF_INIT;
    path_in(&path, dir, "log");
    (void)rmdir(buf_cstr(&path)); /* not there yet, or something foreign is in it */
    buf_fini(&path);
    remove_in(dir, MAKING);
}
