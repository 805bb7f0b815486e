/* snapshot_lmdb.c - LMDB read-only with the meta pages replaced; the only file on this side that sees lmdb.h. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/snapshot_lmdb.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/buf.h"

/* LMDB 0.9's data file begins with two meta pages, each a page header and then this record of 136 bytes;
 * the page header's size and the record's layout are the same in all of 0.9. */
enum {
    META_PAGES = 2,
    META_OFFSET = 16, /* in its page */
    META_TXN_OFFSET = 128, /* in the record: the last field */
    META_MAGIC = 0xBEEFC0DE, /* its first 4 bytes */
    MAPPINGS_MAX = 16, /* a worker has one; tests that also have the store open have more */
};

struct stead__snapshot {
    MDB_env *env;
    MDB_dbi rows;
    MDB_txn *txn; /* of this process; NULL before the first install */
    uint8_t *meta_pages; /* private memory in place of the first pages of the mapping */
    size_t page_size;
    struct stead__cursor *idle; /* cursors to use again */
};

struct stead__cursor {
    struct stead__snapshot *snapshot;
    MDB_cursor *cursor;
    struct stead__cursor *next_idle;
};

/* What LMDB says to a reader is a damaged file, or a system that refuses something. */
static enum status lmdb_failed(struct err *err, int code, const char *what)
{
    bool corrupt = code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
                   code == MDB_VERSION_MISMATCH || code == MDB_PANIC;
    return err_set(err, corrupt ? STATUS_STORE_CORRUPT : STATUS_STORE_IO, "%s: %s", what, mdb_strerror(code));
}

/* ---- open ---- */

/* Where the begin of the file is mapped in this process. */
struct mappings {
    uint64_t begin[MAPPINGS_MAX];
    int count;
};

static enum status list_mappings(int fd, const char *proc, struct mappings *mappings, struct err *err)
{
    struct stat file;
    if (fstat(fd, &file) < 0) return err_errno(err, STATUS_STORE_IO, errno, "data file");
    char path[64];
    snprintf(path, sizeof path, "%s/self/maps", proc);
    FILE *maps = fopen(path, "re");
    if (!maps) return err_errno(err, STATUS_UNSUPPORTED, errno, "%s", path);
    char line[4096 + 128];
    mappings->count = 0;
    while (fgets(line, sizeof line, maps) && mappings->count < MAPPINGS_MAX)
    {
        uint64_t begin, offset, inode;
        int fields = sscanf(line, "%" SCNx64 "-%*x %*s %" SCNx64 " %*s %" SCNu64, &begin, &offset, &inode);
        if (fields == 3 && inode == file.st_ino && offset == 0) mappings->begin[mappings->count++] = begin;
    }
    fclose(maps);
    return STATUS_OK;
}

static bool has_mapping(const struct mappings *mappings, uint64_t begin)
{
    for (int i = 0; i < mappings->count; i++)
        if (mappings->begin[i] == begin) return true;
    return false;
}

/* LMDB does not tell where its mapping is. It is the one that was not there before. */
static enum status find_mapping(int fd, const char *proc, const struct mappings *before, uint8_t **mapping,
                                struct err *err)
{
    struct mappings now;
    TRY(list_mappings(fd, proc, &now, err));
    for (int i = 0; i < now.count; i++)
    {
        if (has_mapping(before, now.begin[i])) continue;
        *mapping = (uint8_t *)(uintptr_t)now.begin[i];
        uint32_t magic;
        memcpy(&magic, *mapping + META_OFFSET, sizeof magic);
        if (magic == META_MAGIC) return STATUS_OK;
    }
    return err_set(err, STATUS_UNSUPPORTED, "the mapping of the data file is not in /proc/self/maps");
}

/* Puts private memory with the same content where the shared meta pages were: what the daemon's commits
 * write there is not seen any more, and what install writes is seen by this process only. */
static enum status hide_meta_pages(struct stead__snapshot *snapshot, struct err *err)
{
    size_t size = META_PAGES * snapshot->page_size;
    void *content = mem_dup(slice_make(snapshot->meta_pages, size));
    void *private_pages = mmap(snapshot->meta_pages, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (private_pages != MAP_FAILED) memcpy(private_pages, content, size);
    int failed = errno;
    free(content);
    if (private_pages == MAP_FAILED) return err_errno(err, STATUS_NO_RESOURCES, failed, "mmap");
    return STATUS_OK;
}

static enum status open_env(struct stead__snapshot *snapshot, int fd, const char *proc, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "%s/self/fd/%d", proc, fd);
    int code = mdb_env_create(&snapshot->env);
    if (code != 0) return lmdb_failed(err, code, "create environment");
    code = mdb_env_open(snapshot->env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0600);
    if (code != 0) return lmdb_failed(err, code, "open");
    MDB_txn *txn;
    code = mdb_txn_begin(snapshot->env, NULL, MDB_RDONLY, &txn);
    if (code != 0) return lmdb_failed(err, code, "begin");
    MDB_stat stat = {0};
    code = mdb_dbi_open(txn, NULL, 0, &snapshot->rows);
    if (code == 0) code = mdb_stat(txn, snapshot->rows, &stat);
    mdb_txn_abort(txn);
    snapshot->page_size = stat.ms_psize;
    return code == 0 ? STATUS_OK : lmdb_failed(err, code, "open the rows");
}

enum status stead__snapshot_open(struct stead__snapshot **out, int fd, const char *proc, struct err *err)
{
    struct stead__snapshot *snapshot = mem_zalloc(sizeof *snapshot);
    struct mappings before;
    enum status status = list_mappings(fd, proc, &before, err);
    if (status == STATUS_OK) status = open_env(snapshot, fd, proc, err);
    if (status == STATUS_OK) status = find_mapping(fd, proc, &before, &snapshot->meta_pages, err);
    if (status == STATUS_OK) status = hide_meta_pages(snapshot, err);
    if (status != STATUS_OK)
    {
        stead__snapshot_close(snapshot);
        return err_wrap(err, status, "open state");
    }
    *out = snapshot;
    return STATUS_OK;
}

void stead__snapshot_close(struct stead__snapshot *snapshot)
{
    if (!snapshot) return;
    while (snapshot->idle)
    {
        struct stead__cursor *cursor = snapshot->idle;
        snapshot->idle = cursor->next_idle;
        mdb_cursor_close(cursor->cursor);
        free(cursor);
    }
    if (snapshot->txn) mdb_txn_abort(snapshot->txn);
    if (snapshot->env) mdb_env_close(snapshot->env);
    free(snapshot);
}

/* ---- install ---- */

static enum status check_meta(const struct stead__snapshot *snapshot, struct slice meta, uint64_t txn,
                              struct err *err)
{
    if (meta.size != STEAD__META_BYTES)
        return err_set(err, STATUS_FUNCTION_PROTOCOL, "a snapshot's meta has %zu bytes, not %d", meta.size,
                       STEAD__META_BYTES);
    const uint8_t *bytes = meta.data;
    uint64_t meta_txn;
    memcpy(&meta_txn, bytes + META_TXN_OFFSET, sizeof meta_txn);
    if (memcmp(bytes, snapshot->meta_pages + META_OFFSET, 8) != 0) /* magic and format version */
        return err_set(err, STATUS_FUNCTION_PROTOCOL, "a snapshot's meta is of another format");
    if (meta_txn != txn)
        return err_set(err, STATUS_FUNCTION_PROTOCOL,
                       "a snapshot's meta is of transaction %" PRIu64 ", not %" PRIu64, meta_txn, txn);
    return STATUS_OK;
}

enum status stead__snapshot_install(struct stead__snapshot *snapshot, struct slice meta, uint64_t txn,
                                    struct err *err)
{
    TRY(check_meta(snapshot, meta, txn, err));
    if (snapshot->txn) mdb_txn_reset(snapshot->txn);
    for (int page = 0; page < META_PAGES; page++)
        memcpy(snapshot->meta_pages + page * snapshot->page_size + META_OFFSET, meta.data, STEAD__META_BYTES);
    int code = snapshot->txn ? mdb_txn_renew(snapshot->txn)
                             : mdb_txn_begin(snapshot->env, NULL, MDB_RDONLY, &snapshot->txn);
    if (code != 0) return lmdb_failed(err, code, "begin to read");
    if (mdb_txn_id(snapshot->txn) != txn)
        return err_set(err, STATUS_INTERNAL, "the snapshot of transaction %" PRIu64 " was not installed",
                       txn);
    return STATUS_OK;
}

/* ---- read ---- */

static MDB_val to_val(struct slice bytes)
{
    return (MDB_val){.mv_size = bytes.size, .mv_data = (void *)bytes.data};
}

static struct slice from_val(MDB_val val)
{
    return slice_make(val.mv_data, val.mv_size);
}

enum status stead__snapshot_get(struct stead__snapshot *snapshot, struct slice key, struct slice *value,
                                struct err *err)
{
    if (!snapshot->txn) return err_set(err, STATUS_FUNCTION_PROTOCOL, "no snapshot was named");
    MDB_val find = to_val(key), got;
    int code = mdb_get(snapshot->txn, snapshot->rows, &find, &got);
    if (code == MDB_NOTFOUND) return STATUS_NOT_FOUND;
    if (code != 0) return lmdb_failed(err, code, "get");
    *value = from_val(got);
    return STATUS_OK;
}

enum status stead__cursor_take(struct stead__snapshot *snapshot, struct stead__cursor **out, struct err *err)
{
    if (!snapshot->txn) return err_set(err, STATUS_FUNCTION_PROTOCOL, "no snapshot was named");
    struct stead__cursor *cursor = snapshot->idle;
    if (cursor)
    {
        int code = mdb_cursor_renew(snapshot->txn, cursor->cursor);
        if (code != 0) return lmdb_failed(err, code, "renew cursor");
        snapshot->idle = cursor->next_idle;
        *out = cursor;
        return STATUS_OK;
    }
    MDB_cursor *opened;
    int code = mdb_cursor_open(snapshot->txn, snapshot->rows, &opened);
    if (code != 0) return lmdb_failed(err, code, "open cursor");
    cursor = mem_alloc(sizeof *cursor);
    *cursor = (struct stead__cursor){.snapshot = snapshot, .cursor = opened};
    *out = cursor;
    return STATUS_OK;
}

void stead__cursor_release(struct stead__cursor *cursor)
{
    cursor->next_idle = cursor->snapshot->idle;
    cursor->snapshot->idle = cursor;
}

static enum status move(struct stead__cursor *cursor, MDB_cursor_op op, MDB_val key, struct slice *found,
                        struct slice *value, struct err *err)
{
    MDB_val got;
    int code = mdb_cursor_get(cursor->cursor, &key, &got, op);
    if (code == MDB_NOTFOUND) return STATUS_NOT_FOUND;
    if (code != 0) return lmdb_failed(err, code, "scan");
    *found = from_val(key);
    *value = from_val(got);
    return STATUS_OK;
}

enum status stead__cursor_seek(struct stead__cursor *cursor, struct slice key, bool reverse,
                               struct slice *found, struct slice *value, struct err *err)
{
    /* An empty key is the end of all keys for a walk backwards; LMDB does not look for empty keys. */
    if (reverse && key.size == 0) return move(cursor, MDB_LAST, (MDB_val){0}, found, value, err);
    enum status status = move(cursor, MDB_SET_RANGE, to_val(key), found, value, err);
    if (!reverse) return status;
    if (status == STATUS_NOT_FOUND) return move(cursor, MDB_LAST, (MDB_val){0}, found, value, err);
    return status == STATUS_OK ? move(cursor, MDB_PREV, (MDB_val){0}, found, value, err) : status;
}

enum status stead__cursor_step(struct stead__cursor *cursor, bool reverse, struct slice *found,
                               struct slice *value, struct err *err)
{
    return move(cursor, reverse ? MDB_PREV : MDB_NEXT, (MDB_val){0}, found, value, err);
}
