/* kv_lmdb.c - the data file: LMDB behind the key-value port, and the only file of the daemon that sees lmdb.h. */
// SPDX-License-Identifier: Apache-2.0
//
// The map size is fixed at open: readers in other processes have mapped it. Read transactions are not bound to threads
// (MDB_NOTLS), so a snapshot opened by the committer can be closed on the loop. The file is 0600: workers get a
// descriptor that can only read, and run under another user.
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "statestore/kv/kv.h"

/* Snapshots open at the same time: one for each group commit that a running invocation still reads. */
enum { READERS_MAX = 8192 };

/* A disk writes so much in about a millisecond. */
enum { WRITE_OUT_BYTES = 1 << 20 };

/* LMDB's meta page: a page head, then the record. mdb.c: MDB_meta; proved against the library when a store opens. */
enum {
    PAGE_HEAD_BYTES = 16,
    META_MAGIC_AT = 0,
    META_VERSION_AT = 4,
    META_PAGE_SIZE_AT = 24,
    META_TXN_AT = 128
};
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u

struct kv_lmdb {
    struct kv kv;
    MDB_env *env;
    MDB_dbi rows;
    MDB_txn *write; /* the open write transaction, or NULL */
    unsigned page_bytes;
    int read_fd;
    char path[]; /* of the data file, for messages */
};

struct snapshot_lmdb {
    struct kv_snapshot base;
    MDB_txn *txn;
};

static const struct kv_ops lmdb_ops;

static struct kv_lmdb *of(struct kv *kv)
{
    CHECK(kv->ops == &lmdb_ops);
    return (struct kv_lmdb *)kv;
}

static enum status status_from(int rc)
{
    switch (rc)
    {
    case MDB_SUCCESS:
        return STATUS_OK;
    case MDB_NOTFOUND:
        return STATUS_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
        return STATUS_STORE_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_BAD_TXN:
        return STATUS_STORE_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return STATUS_STORE_FORMAT;
    case MDB_BAD_VALSIZE:
        return STATUS_KEY_TOO_LONG;
    case MDB_READERS_FULL:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return STATUS_NO_RESOURCES;
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_STORE_UNWRITABLE;
    default:
        return STATUS_STORE_IO;
    }
}

/* Translates LMDB's code; the words name the file and what was tried. */
static enum status failed(const char *path, int rc, const char *what, struct err *err)
{
    if (rc == MDB_MAP_FULL)
        return err_set(err, STATUS_STORE_FULL, "%s: %s: the data file has reached its fixed size", path,
                       what);
    return err_set(err, status_from(rc), "%s: %s: %s", path, what, mdb_strerror(rc));
}

static MDB_val val(struct slice slice)
{
    return (MDB_val){slice.size, (void *)slice.data};
}

static struct slice slice_of(MDB_val value)
{
    return slice_make(value.mv_data, value.mv_size);
}

/* ---- open, close ---- */

static enum status rows_open(struct kv_lmdb *lmdb, struct err *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (rc) return failed(lmdb->path, rc, "first transaction", err);
    rc = mdb_dbi_open(txn, NULL, 0, &lmdb->rows);
    if (rc)
    {
        mdb_txn_abort(txn);
        return failed(lmdb->path, rc, "open rows", err);
    }
    rc = mdb_txn_commit(txn);
    return rc ? failed(lmdb->path, rc, "first commit", err) : STATUS_OK;
}

static enum status env_open(struct kv_lmdb *lmdb, const struct kv_config *config, struct err *err)
{
    int rc = mdb_env_create(&lmdb->env);
    if (rc) return failed(lmdb->path, rc, "create environment", err);
    rc = mdb_env_set_mapsize(lmdb->env, config->map_bytes);
    if (!rc) rc = mdb_env_set_maxreaders(lmdb->env, READERS_MAX);
    if (!rc) rc = mdb_env_open(lmdb->env, config->dir, MDB_NOTLS | (config->sync ? 0 : MDB_NOSYNC), 0600);
    if (rc) return failed(lmdb->path, rc, "open", err);
    MDB_stat stat;
    mdb_env_stat(lmdb->env, &stat);
    lmdb->page_bytes = stat.ms_psize;
    TRY(rows_open(lmdb, err));
    lmdb->read_fd = open(lmdb->path, O_RDONLY | O_CLOEXEC);
    if (lmdb->read_fd < 0) return err_errno(err, STATUS_STORE_IO, errno, "%s: open for reading", lmdb->path);
    return STATUS_OK;
}

static void lmdb_close(struct kv *kv)
{
    struct kv_lmdb *lmdb = of(kv);
    CHECK(!lmdb->write);
    if (lmdb->read_fd >= 0) close(lmdb->read_fd);
    if (lmdb->env) mdb_env_close(lmdb->env);
    free(lmdb);
}

static void data_path(struct buf *path, const char *dir)
{
    buf_printf(path, "%s/data.mdb", dir);
    (void)buf_cstr(path);
}

enum status kv_lmdb_open(struct kv **kv, const struct kv_config *config, struct err *err)
{
    struct kv_file_state state;
    TRY(kv_lmdb_file_state(config->dir, &state, err));
    struct buf path = BUF_INIT;
    data_path(&path, config->dir);
    struct kv_lmdb *lmdb = mem_zalloc(sizeof *lmdb + path.size + 1);
    memcpy(lmdb->path, path.data, path.size + 1);
    buf_fini(&path);
    lmdb->kv.ops = &lmdb_ops;
    lmdb->read_fd = -1;
    enum status status = env_open(lmdb, config, err);
    if (status != STATUS_OK)
    {
        lmdb_close(&lmdb->kv);
        return status;
    }
    *kv = &lmdb->kv;
    return STATUS_OK;
}

/* ---- writing ---- */

static enum status lmdb_begin(struct kv *kv, struct err *err)
{
    struct kv_lmdb *lmdb = of(kv);
    CHECK(!lmdb->write);
    int rc = mdb_txn_begin(lmdb->env, NULL, 0, &lmdb->write);
    return rc ? failed(lmdb->path, rc, "begin", err) : STATUS_OK;
}

static enum status lmdb_put(struct kv *kv, struct slice key, struct slice value, struct err *err)
{
    struct kv_lmdb *lmdb = of(kv);
    MDB_val k = val(key), v = val(value);
    int rc = mdb_put(lmdb->write, lmdb->rows, &k, &v, 0);
    return rc ? failed(lmdb->path, rc, "put", err) : STATUS_OK;
}

static enum status lmdb_remove(struct kv *kv, struct slice key, struct err *err)
{
    struct kv_lmdb *lmdb = of(kv);
    MDB_val k = val(key);
    int rc = mdb_del(lmdb->write, lmdb->rows, &k, NULL);
    return rc && rc != MDB_NOTFOUND ? failed(lmdb->path, rc, "delete", err) : STATUS_OK;
}

static enum status lmdb_commit(struct kv *kv, struct err *err)
{
    struct kv_lmdb *lmdb = of(kv);
    MDB_txn *txn = lmdb->write;
    lmdb->write = NULL;
    int rc = mdb_txn_commit(txn);
    return rc ? failed(lmdb->path, rc, "commit", err) : STATUS_OK;
}

static void lmdb_abort(struct kv *kv)
{
    struct kv_lmdb *lmdb = of(kv);
    mdb_txn_abort(lmdb->write);
    lmdb->write = NULL;
}

/* Writes the dirty pages out piece by piece, so that the log's own syncs get their turn at the disk in between: all at
 * once they would wait for a whole checkpoint's worth of pages. Proves nothing about durability, which is what the sync
 * after it is for; but an error told here is told only once, so it counts. */
static enum status write_out(struct kv_lmdb *lmdb, struct err *err)
{
    const unsigned how = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    mdb_filehandle_t fd;
    struct stat file;
    if (mdb_env_get_fd(lmdb->env, &fd) != MDB_SUCCESS || fstat(fd, &file) != 0) return STATUS_OK;
    for (off_t at = 0; at < file.st_size; at += WRITE_OUT_BYTES)
    {
        if (sync_file_range(fd, at, WRITE_OUT_BYTES, how) == 0) continue;
        if (errno != EIO && errno != ENOSPC) break; /* a file system that does not know it */
        return failed(lmdb->path, errno, "write out", err);
    }
    return STATUS_OK;
}

static enum status lmdb_sync(struct kv *kv, struct err *err)
{
    struct kv_lmdb *lmdb = of(kv);
    TRY(write_out(lmdb, err));
    int rc = mdb_env_sync(lmdb->env, 1);
    return rc ? failed(lmdb->path, rc, "sync", err) : STATUS_OK;
}

/* ---- snapshots ---- */

/* The meta page of the newest transaction stands still until the writer commits twice more, and the caller is the
 * writer: what is read here is exactly this snapshot. */
static enum status meta_read(struct kv_lmdb *lmdb, struct kv_snapshot *snapshot, struct err *err)
{
    off_t at = (off_t)(snapshot->txn & 1) * lmdb->page_bytes + PAGE_HEAD_BYTES;
    ssize_t got = pread(lmdb->read_fd, snapshot->meta, KV_META_BYTES, at);
    if (got < 0) return err_errno(err, STATUS_STORE_IO, errno, "%s: read meta page", lmdb->path);
    if (got != KV_META_BYTES || kv_meta_txn(snapshot->meta) != snapshot->txn)
        return err_set(err, STATUS_STORE_CORRUPT, "%s: meta page %u does not show transaction %llu",
                       lmdb->path, (unsigned)(snapshot->txn & 1), (unsigned long long)snapshot->txn);
    return STATUS_OK;
}

static enum status lmdb_snapshot_open(struct kv *kv, struct kv_snapshot **snapshot, struct err *err)
{
    struct kv_lmdb *lmdb = of(kv);
    struct snapshot_lmdb *made = mem_alloc(sizeof *made);
    int rc = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &made->txn);
    if (rc)
    {
        free(made);
        return failed(lmdb->path, rc, "begin reading", err);
    }
    made->base.kv = kv;
    made->base.txn = mdb_txn_id(made->txn);
    enum status status = meta_read(lmdb, &made->base, err);
    if (status != STATUS_OK)
    {
        mdb_txn_abort(made->txn);
        free(made);
        return status;
    }
    *snapshot = &made->base;
    return STATUS_OK;
}

static void lmdb_snapshot_close(struct kv_snapshot *snapshot)
{
    struct snapshot_lmdb *lmdb = (struct snapshot_lmdb *)snapshot;
    mdb_txn_abort(lmdb->txn);
    free(lmdb);
}

static enum status lmdb_get(struct kv_snapshot *snapshot, struct slice key, struct slice *value,
                            struct err *err)
{
    struct kv_lmdb *lmdb = of(snapshot->kv);
    MDB_val k = val(key), v;
    int rc = mdb_get(((struct snapshot_lmdb *)snapshot)->txn, lmdb->rows, &k, &v);
    if (rc == MDB_NOTFOUND || rc == MDB_BAD_VALSIZE) return err_set(err, STATUS_NOT_FOUND, "no such row");
    if (rc) return failed(lmdb->path, rc, "get", err);
    *value = slice_of(v);
    return STATUS_OK;
}

static enum status lmdb_scan(struct kv_snapshot *snapshot, struct slice low, struct slice high, kv_row_fn row,
                             void *ctx, struct err *err)
{
    struct kv_lmdb *lmdb = of(snapshot->kv);
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(((struct snapshot_lmdb *)snapshot)->txn, lmdb->rows, &cursor);
    if (rc) return failed(lmdb->path, rc, "scan", err);
    MDB_val key = val(low), value;
    rc = mdb_cursor_get(cursor, &key, &value, low.size > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (rc == 0 && (high.size == 0 || slice_compare(slice_of(key), high) < 0))
    {
        if (!row(ctx, slice_of(key), slice_of(value))) break;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc && rc != MDB_NOTFOUND ? failed(lmdb->path, rc, "scan", err) : STATUS_OK;
}

/* LMDB copies the newest state, not a chosen snapshot: close enough for callers that read the sequence number from
 * the copy. */
static enum status lmdb_copy(struct kv_snapshot *snapshot, int fd, struct err *err)
{
    struct kv_lmdb *lmdb = of(snapshot->kv);
    int rc = mdb_env_copyfd2(lmdb->env, fd, MDB_CP_COMPACT);
    return rc ? failed(lmdb->path, rc, "copy", err) : STATUS_OK;
}

static void lmdb_stats(struct kv *kv, struct kv_stats *stats)
{
    struct kv_lmdb *lmdb = of(kv);
    MDB_stat rows;
    struct stat file;
    *stats = (struct kv_stats){.rows = 0};
    if (mdb_env_stat(lmdb->env, &rows) == 0)
    {
        stats->rows = rows.ms_entries;
        stats->used_bytes =
            (rows.ms_branch_pages + rows.ms_leaf_pages + rows.ms_overflow_pages) * rows.ms_psize;
    }
    stats->data_bytes = fstat(lmdb->read_fd, &file) == 0 ? (uint64_t)file.st_size : 0;
}

static int lmdb_data_fd(struct kv *kv)
{
    return of(kv)->read_fd;
}

static const struct kv_ops lmdb_ops = {
    .begin = lmdb_begin,
    .put = lmdb_put,
    .remove = lmdb_remove,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .sync = lmdb_sync,
    .snapshot_open = lmdb_snapshot_open,
    .snapshot_close = lmdb_snapshot_close,
    .get = lmdb_get,
    .scan = lmdb_scan,
    .stats = lmdb_stats,
    .data_fd = lmdb_data_fd,
    .copy = lmdb_copy,
    .close = lmdb_close,
};

/* ---- the file while it is closed ---- */

static uint32_t read_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

uint64_t kv_meta_txn(const uint8_t meta[KV_META_BYTES])
{
    uint64_t txn;
    memcpy(&txn, meta + META_TXN_AT, sizeof txn);
    return txn;
}

/* Reads one meta page and proves that it is one. The size of a page stands in the first. */
static enum status meta_page_check(int fd, const char *path, unsigned page, unsigned page_bytes,
                                   uint8_t meta[KV_META_BYTES], struct err *err)
{
    off_t at = (off_t)page * page_bytes + PAGE_HEAD_BYTES;
    ssize_t got = pread(fd, meta, KV_META_BYTES, at);
    if (got < 0) return err_errno(err, STATUS_STORE_IO, errno, "%s: read meta page %u", path, page);
    if (got != KV_META_BYTES)
        return err_set(err, STATUS_STORE_CORRUPT, "%s: ends inside meta page %u, at byte %lld", path, page,
                       (long long)(at + got));
    if (read_u32(meta + META_MAGIC_AT) != META_MAGIC)
        return err_set(err, STATUS_STORE_CORRUPT,
                       "%s: byte %lld: meta page %u is damaged or this is not a data file", path,
                       (long long)at, page);
    if (read_u32(meta + META_VERSION_AT) != META_VERSION)
        return err_set(err, STATUS_STORE_FORMAT, "%s: byte %lld: data file version %u, this program reads %u",
                       path, (long long)at + META_VERSION_AT, read_u32(meta + META_VERSION_AT), META_VERSION);
    return STATUS_OK;
}

static enum status metas_read(int fd, const char *path, uint8_t metas[2][KV_META_BYTES], unsigned *page_bytes,
                              struct err *err)
{
    TRY(meta_page_check(fd, path, 0, 0, metas[0], err));
    *page_bytes = read_u32(metas[0] + META_PAGE_SIZE_AT);
    if (*page_bytes < 512 || *page_bytes > 65536 || (*page_bytes & (*page_bytes - 1)))
        return err_set(err, STATUS_STORE_CORRUPT, "%s: byte %d: a page size of %u", path,
                       PAGE_HEAD_BYTES + META_PAGE_SIZE_AT, *page_bytes);
    return meta_page_check(fd, path, 1, *page_bytes, metas[1], err);
}

static enum status file_state(int fd, const char *path, struct kv_file_state *state, struct err *err)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0) return err_errno(err, STATUS_STORE_IO, errno, "%s", path);
    if (stat.st_size == 0) return STATUS_OK; /* stopped between making the file and its first bytes */
    uint8_t metas[2][KV_META_BYTES];
    unsigned page_bytes;
    TRY(metas_read(fd, path, metas, &page_bytes, err));
    uint64_t first = kv_meta_txn(metas[0]), second = kv_meta_txn(metas[1]);
    state->exists = true;
    state->newest_txn = first > second ? first : second;
    state->file_bytes = (uint64_t)stat.st_size;
    memcpy(state->meta, metas[second > first], KV_META_BYTES);
    return STATUS_OK;
}

enum status kv_lmdb_file_state(const char *dir, struct kv_file_state *state, struct err *err)
{
    struct buf path = BUF_INIT;
    data_path(&path, dir);
    const char *text = buf_cstr(&path);
    *state = (struct kv_file_state){0};
    enum status status = STATUS_OK;
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
    {
        status = file_state(fd, text, state, err);
        close(fd);
    }
    else if (errno != ENOENT)
        status =
            err_errno(err, errno == EACCES ? STATUS_STORE_UNWRITABLE : STATUS_STORE_IO, errno, "%s", text);
    buf_fini(&path);
    return status;
}

static enum status rewind_fd(int fd, const char *path, const uint8_t meta[KV_META_BYTES], struct err *err)
{
    uint8_t metas[2][KV_META_BYTES];
    unsigned page_bytes;
    TRY(metas_read(fd, path, metas, &page_bytes, err));
    for (unsigned page = 0; page < 2; page++)
    {
        off_t at = (off_t)page * page_bytes + PAGE_HEAD_BYTES;
        if (pwrite(fd, meta, KV_META_BYTES, at) != KV_META_BYTES)
            return err_errno(err, STATUS_STORE_IO, errno, "%s: write meta page %u", path, page);
    }
    if (fdatasync(fd) != 0) return err_errno(err, STATUS_STORE_IO, errno, "%s: sync", path);
    return STATUS_OK;
}

enum status kv_lmdb_file_rewind(const char *dir, const uint8_t meta[KV_META_BYTES], struct err *err)
{
    struct buf path = BUF_INIT;
    data_path(&path, dir);
    const char *text = buf_cstr(&path);
    enum status status;
    int fd = open(text, O_RDWR | O_CLOEXEC);
    if (fd >= 0)
    {
        status = rewind_fd(fd, text, meta, err);
        close(fd);
    }
    else
        status = err_errno(err, STATUS_STORE_IO, errno, "%s", text);
    buf_fini(&path);
    return status;
}
