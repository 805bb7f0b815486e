/* kv_check.c - proves the structure of a data file, page by page, before LMDB follows its pointers. */
// SPDX-License-Identifier: Apache-2.0
//
// LMDB's pages have no checksums, and it trusts what it reads: a damaged page can end the process. So before a file is
// opened after an unclean stop, every page that a snapshot reaches is read with plain reads: its number, its kind, its
// bounds, the order of its keys, its depth, that nobody else points to it, and in the end all the counts. Damage inside
// of a value is not seen.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "statestore/kv/kv.h"

/* mdb.c: MDB_meta, MDB_db, MDB_page, MDB_node of 64-bit little-endian machines. */
enum { META_PAGE_BYTES_AT = 24, META_DBS_AT = 24, DB_BYTES = 48, META_LAST_PAGE_AT = 120 };
enum {
    DB_DEPTH_AT = 6,
    DB_BRANCHES_AT = 8,
    DB_LEAVES_AT = 16,
    DB_OVERFLOW_AT = 24,
    DB_ENTRIES_AT = 32,
    DB_ROOT_AT = 40
};
enum { PAGE_FLAGS_AT = 10, PAGE_LOWER_AT = 12, PAGE_UPPER_AT = 14, PAGE_RUN_AT = 12, PAGE_HEAD_BYTES = 16 };
enum { NODE_FLAGS_AT = 4, NODE_KEY_SIZE_AT = 6, NODE_HEAD_BYTES = 8 };
enum { KIND_BRANCH = 1, KIND_LEAF = 2, KIND_OVERFLOW = 4, NODE_BIG = 1, DEPTH_MAX = 32 };
#define NO_PAGE UINT64_MAX

struct check {
    int fd;
    const char *path;
    unsigned page_bytes;
    uint64_t pages; /* numbers from here on belong to nobody */
    uint8_t *seen; /* a bit per page */
    bool keys_are_numbers; /* the table of free pages */
    uint64_t branches, leaves, overflow, entries; /* of the tree at work */
    unsigned depth; /* that its leaves must have */
    struct err *err;
};

static uint64_t get(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static enum status damaged(const struct check *check, uint64_t page, const char *what)
{
    return err_set(check->err, STATUS_STORE_CORRUPT,
                   "%s: offset %" PRIu64 ": page %" PRIu64 " is damaged: %s", check->path,
                   page * check->page_bytes, page, what);
}

/* Notes that somebody points to the page; nobody else may. */
static enum status claim(struct check *check, uint64_t page, uint64_t from)
{
    if (page < 2 || page >= check->pages) return damaged(check, from, "it points outside of the file");
    if (check->seen[page / 8] & (1u << (page % 8)))
        return damaged(check, from, "it points to a page of another");
    check->seen[page / 8] |= (uint8_t)(1u << (page % 8));
    return STATUS_OK;
}

static enum status read_page(const struct check *check, uint64_t page, uint8_t *bytes, size_t size)
{
    ssize_t got = pread(check->fd, bytes, size, (off_t)(page * check->page_bytes));
    if (got < 0)
        return err_errno(check->err, STATUS_STORE_IO, errno, "%s: read page %" PRIu64, check->path, page);
    if ((size_t)got < size) return damaged(check, page, "the file ends before it");
    return get(bytes, 8) == page ? STATUS_OK : damaged(check, page, "it has the number of another");
}

/* A value on pages of its own: `size` bytes behind one page head. The run may be longer than the value, when that was
 * overwritten by a shorter one. */
static enum status check_overflow(struct check *check, uint64_t page, uint64_t size, uint64_t from)
{
    if (page < 2 || page >= check->pages) return damaged(check, from, "it points outside of the file");
    uint8_t head[PAGE_HEAD_BYTES];
    TRY(read_page(check, page, head, sizeof head));
    if (get(head + PAGE_FLAGS_AT, 2) != KIND_OVERFLOW)
        return damaged(check, page, "it should hold a large value");
    uint64_t needed = (PAGE_HEAD_BYTES + size + check->page_bytes - 1) / check->page_bytes;
    uint64_t run = get(head + PAGE_RUN_AT, 4);
    if (run < needed || run > check->pages - page)
        return damaged(check, page, "its length does not fit its value");
    for (uint64_t i = 0; i < run; i++) TRY(claim(check, page + i, from));
    check->overflow += run;
    return STATUS_OK;
}

struct node {
    const uint8_t *at;
    struct slice key;
    uint64_t size_or_page; /* of the value, or of the child */
    unsigned flags;
};

/* Node number `index` of a page whose head was checked. */
static enum status read_node(const struct check *check, const uint8_t *bytes, uint64_t page, size_t index,
                             bool leaf, struct node *node)
{
    size_t upper = get(bytes + PAGE_UPPER_AT, 2), at = get(bytes + PAGE_HEAD_BYTES + 2 * index, 2);
    if (at < upper || at + NODE_HEAD_BYTES > check->page_bytes)
        return damaged(check, page, "an entry lies outside");
    node->at = bytes + at;
    node->flags = (unsigned)get(node->at + NODE_FLAGS_AT, 2);
    size_t key_size = get(node->at + NODE_KEY_SIZE_AT, 2);
    node->size_or_page = leaf ? get(node->at, 4) : get(node->at, 6);
    uint64_t inside = key_size;
    if (leaf) inside += node->flags & NODE_BIG ? 8 : node->size_or_page;
    if (inside > check->page_bytes - at - NODE_HEAD_BYTES)
        return damaged(check, page, "an entry is too long");
    if (leaf && node->flags > NODE_BIG) return damaged(check, page, "an entry of an unknown kind");
    node->key = slice_make(node->at + NODE_HEAD_BYTES, key_size);
    return STATUS_OK;
}

static bool in_order(const struct check *check, struct slice before, struct slice key)
{
    if (!check->keys_are_numbers) return slice_compare(before, key) < 0;
    return before.size == 8 && key.size == 8 && get(before.data, 8) < get(key.data, 8);
}

static enum status check_page(struct check *check, uint64_t page, uint64_t from, unsigned depth);

static enum status check_nodes(struct check *check, const uint8_t *bytes, uint64_t page, bool leaf,
                               unsigned depth)
{
    size_t count = (get(bytes + PAGE_LOWER_AT, 2) - PAGE_HEAD_BYTES) / 2;
    struct node node = {0}, before = {0};
    for (size_t i = 0; i < count; i++)
    {
        TRY(read_node(check, bytes, page, i, leaf, &node));
        /* The first key of a branch stands for everything below the second and is empty. */
        bool first = i == 0 || (!leaf && i == 1);
        if (!first && !in_order(check, before.key, node.key))
            return damaged(check, page, "its keys are not in order");
        if (!leaf)
            TRY(check_page(check, node.size_or_page, page, depth + 1));
        else if (node.flags & NODE_BIG)
            TRY(check_overflow(check, get((const uint8_t *)node.key.data + node.key.size, 8),
                               node.size_or_page, page));
        before = node;
    }
    if (leaf) check->entries += count;
    return STATUS_OK;
}

static enum status check_bytes(struct check *check, uint8_t *bytes, uint64_t page, unsigned depth)
{
    TRY(read_page(check, page, bytes, check->page_bytes));
    bool leaf = depth == check->depth;
    if (get(bytes + PAGE_FLAGS_AT, 2) != (leaf ? KIND_LEAF : KIND_BRANCH))
        return damaged(check, page, leaf ? "it should be a leaf" : "it should be a branch");
    size_t lower = get(bytes + PAGE_LOWER_AT, 2), upper = get(bytes + PAGE_UPPER_AT, 2);
    if (lower < PAGE_HEAD_BYTES || lower % 2 || lower > upper || upper > check->page_bytes)
        return damaged(check, page, "its bounds are wrong");
    if (leaf)
        check->leaves++;
    else
        check->branches++;
    return check_nodes(check, bytes, page, leaf, depth);
}

static enum status check_page(struct check *check, uint64_t page, uint64_t from, unsigned depth)
{
    TRY(claim(check, page, from));
    uint8_t *bytes = mem_alloc(check->page_bytes);
    enum status status = check_bytes(check, bytes, page, depth);
    free(bytes);
    return status;
}

static enum status check_tree(struct check *check, const uint8_t *db, uint64_t meta_page)
{
    uint64_t root = get(db + DB_ROOT_AT, 8);
    check->depth = (unsigned)get(db + DB_DEPTH_AT, 2);
    check->branches = check->leaves = check->overflow = check->entries = 0;
    if (root != NO_PAGE)
    {
        if (check->depth < 1 || check->depth > DEPTH_MAX)
            return damaged(check, meta_page, "the depth of a tree");
        TRY(check_page(check, root, meta_page, 1));
    }
    bool right =
        check->branches == get(db + DB_BRANCHES_AT, 8) && check->leaves == get(db + DB_LEAVES_AT, 8) &&
        check->overflow == get(db + DB_OVERFLOW_AT, 8) && check->entries == get(db + DB_ENTRIES_AT, 8);
    return right ? STATUS_OK : damaged(check, meta_page, "its counts do not fit the pages");
}

static enum status check_fd(struct check *check, const uint8_t meta[KV_META_BYTES])
{
    struct stat stat;
    if (fstat(check->fd, &stat) != 0) return err_errno(check->err, STATUS_STORE_IO, errno, "%s", check->path);
    uint64_t in_file = (uint64_t)stat.st_size / check->page_bytes, meta_page = kv_meta_txn(meta) & 1;
    check->pages = get(meta + META_LAST_PAGE_AT, 8) + 1;
    /* The last pages of a transaction need not have been written when it gave them back itself. */
    if (check->pages > in_file) check->pages = in_file;
    check->seen = mem_zalloc(check->pages / 8 + 1);
    check->keys_are_numbers = true;
    enum status status = check_tree(check, meta + META_DBS_AT, meta_page);
    check->keys_are_numbers = false;
    if (status == STATUS_OK) status = check_tree(check, meta + META_DBS_AT + DB_BYTES, meta_page);
    free(check->seen);
    return status;
}

enum status kv_lmdb_file_check(const char *dir, const uint8_t meta[KV_META_BYTES], struct err *err)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/data.mdb", dir);
    struct check check = {
        .path = buf_cstr(&path), .err = err, .page_bytes = (unsigned)get(meta + META_PAGE_BYTES_AT, 4)};
    check.fd = open(check.path, O_RDONLY | O_CLOEXEC);
    enum status status;
    if (check.fd < 0)
        status = err_errno(err, STATUS_STORE_IO, errno, "%s", check.path);
    else if (check.page_bytes < 512 || check.page_bytes > 65536)
        status = err_set(err, STATUS_STORE_CORRUPT, "%s: a page size of %u", check.path, check.page_bytes);
    else
        status = check_fd(&check, meta);
    if (check.fd >= 0) close(check.fd);
    buf_fini(&path);
    return status;
}
