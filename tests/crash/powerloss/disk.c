/* disk.c - the model behind the wrapped calls. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/powerloss/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/prng.h"

enum {
    SECTOR = 512,
    FDS_MAX = 1024,
    NAME_MAX_BYTES = 64,
    INODES_MAX = 4096,
    NAMES_MAX = 64,
    CHANGES_MAX = 4096
};

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __real_writev(int fd, const struct iovec *parts, int count);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_ftruncate(int fd, off_t size);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);

/* One write that was not synced yet. */
struct pending {
    uint64_t at;
    size_t size;
    uint8_t *bytes;
};

struct inode {
    struct buf durable; /* what is on the disk for sure */
    struct pending *pending; /* oldest first */
    size_t count;
    size_t capacity;
};

/* The names of a directory tree at one moment. */
struct name {
    char text[NAME_MAX_BYTES]; /* below the root */
    struct inode *inode; /* NULL: this place is free */
};

enum change_kind { CHANGE_LINK, CHANGE_RENAME, CHANGE_UNLINK };

struct change {
    enum change_kind kind;
    char name[NAME_MAX_BYTES];
    char to[NAME_MAX_BYTES];
    struct inode *inode;
};

static struct {
    pthread_mutex_t lock;
    char root[256];
    struct name now[NAMES_MAX];
    struct name durable[NAMES_MAX];
    struct change changes[CHANGES_MAX]; /* of names, not on the disk for sure */
    size_t change_count;
    struct inode *fds[FDS_MAX]; /* of open files that are modelled */
    bool dirs[FDS_MAX]; /* open directories */
    bool dsync[FDS_MAX]; /* every write is synced */
    uint64_t left; /* calls until the cut; 0: none is planned */
    uint64_t seed;
    char image[256];
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- names ---- */

static const char *below_root(const char *path)
{
    size_t size = strlen(disk.root);
    if (size == 0 || strncmp(path, disk.root, size) != 0 || path[size] != '/') return NULL;
    const char *name = path + size + 1;
    return strcmp(name, "lock.mdb") == 0 || strcmp(name, "store.lock") == 0 ? NULL : name;
}

static struct name *find_name(struct name *names, const char *text)
{
    for (size_t i = 0; i < NAMES_MAX; i++)
        if (names[i].inode && strcmp(names[i].text, text) == 0) return &names[i];
    return NULL;
}

static void set_name(struct name *names, const char *text, struct inode *inode)
{
    struct name *name = find_name(names, text);
    for (size_t i = 0; !name && i < NAMES_MAX; i++)
        if (!names[i].inode) name = &names[i];
    CHECK(name && strlen(text) < NAME_MAX_BYTES);
    memcpy(name->text, text, strlen(text) + 1);
    name->inode = inode;
}

static void apply_change(struct name *names, const struct change *change)
{
    struct name *from = find_name(names, change->name);
    struct inode *inode = change->kind == CHANGE_LINK ? change->inode : from ? from->inode : NULL;
    if (from) from->inode = NULL;
    if (change->kind == CHANGE_LINK) set_name(names, change->name, inode);
    if (change->kind == CHANGE_RENAME && inode) set_name(names, change->to, inode);
}

static void note_change(enum change_kind kind, const char *name, const char *to, struct inode *inode)
{
    CHECK(disk.change_count < CHANGES_MAX);
    struct change *change = &disk.changes[disk.change_count++];
    *change = (struct change){.kind = kind, .inode = inode};
    snprintf(change->name, sizeof change->name, "%s", name);
    snprintf(change->to, sizeof change->to, "%s", to ? to : "");
    apply_change(disk.now, change);
}

static void names_reach_disk(void)
{
    for (size_t i = 0; i < disk.change_count; i++) apply_change(disk.durable, &disk.changes[i]);
    disk.change_count = 0;
}

/* ---- bytes ---- */

static void put_bytes(struct buf *content, const struct pending *write, uint64_t from, size_t size)
{
    if (content->size < from + size)
    {
        size_t more = from + size - content->size;
        memset(buf_reserve(content, more), 0, more);
        content->size += more;
    }
    memcpy(content->data + from, write->bytes + (from - write->at), size);
}

static void note_write(int fd, const void *bytes, size_t size, uint64_t at)
{
    struct inode *inode = disk.fds[fd];
    struct pending write = {.at = at, .size = size, .bytes = (uint8_t *)bytes};
    if (disk.dsync[fd])
    {
        put_bytes(&inode->durable, &write, at, size);
        return;
    }
    if (inode->count == inode->capacity)
    {
        inode->capacity = inode->capacity ? 2 * inode->capacity : 64;
        inode->pending = mem_realloc(inode->pending, inode->capacity * sizeof *inode->pending);
    }
    write.bytes = mem_dup(slice_make(bytes, size));
    inode->pending[inode->count++] = write;
}

/* The first `count` writes reach the disk as they are. */
static void bytes_reach_disk(struct inode *inode, size_t count)
{
    for (size_t i = 0; i < count; i++)
    {
        put_bytes(&inode->durable, &inode->pending[i], inode->pending[i].at, inode->pending[i].size);
        free(inode->pending[i].bytes);
    }
    inode->count -= count;
    if (inode->count > 0)
        memmove(inode->pending, inode->pending + count, inode->count * sizeof *inode->pending);
}

/* ---- the cut ---- */

static bool touches(const struct pending *write, uint64_t sector)
{
    return write->at < (sector + 1) * SECTOR && write->at + write->size > sector * SECTOR;
}

/* One sector: one of its versions, the durable one or that after any of the writes that touch it. */
static void tear_sector(struct buf *content, const struct inode *inode, uint64_t sector, size_t versions)
{
    for (size_t i = 0; i < inode->count && versions > 0; i++)
    {
        const struct pending *write = &inode->pending[i];
        if (!touches(write, sector)) continue;
        uint64_t from = sector * SECTOR > write->at ? sector * SECTOR : write->at;
        uint64_t end =
            (sector + 1) * SECTOR < write->at + write->size ? (sector + 1) * SECTOR : write->at + write->size;
        put_bytes(content, write, from, end - from);
        versions--;
    }
}

static size_t count_touching(const struct inode *inode, uint64_t sector)
{
    size_t count = 0;
    for (size_t i = 0; i < inode->count; i++) count += touches(&inode->pending[i], sector);
    return count;
}

/* How much of a file survives: mostly a bit of everything, sometimes nearly nothing or nearly all. */
static void tear(struct buf *content, const struct inode *inode, struct prng *prng)
{
    buf_reset(content);
    buf_append(content, buf_view(&inode->durable));
    static const unsigned odds[] = {0, 10, 50, 50, 50, 90, 100};
    unsigned odd = odds[prng_below(prng, sizeof odds / sizeof *odds)];
    uint64_t end = 0;
    for (size_t i = 0; i < inode->count; i++)
        if (inode->pending[i].at + inode->pending[i].size > end)
            end = inode->pending[i].at + inode->pending[i].size;
    for (uint64_t sector = 0; sector * SECTOR < end; sector++)
    {
        size_t versions = count_touching(inode, sector);
        if (versions == 0 || !prng_chance(prng, odd, 100)) continue;
        tear_sector(content, inode, sector,
                    prng_chance(prng, 2, 3) ? versions : 1 + prng_below(prng, versions));
    }
}

static void write_file(const char *name, struct slice content)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", disk.image, name);
    char *slash = strrchr(path + strlen(disk.image) + 1, '/');
    if (slash)
    {
        *slash = 0;
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    int fd = __real_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 &&
          __real_write(fd, content.data ? content.data : "", content.size) == (ssize_t)content.size);
    __real_close(fd);
}

static void write_image(bool keep_cache)
{
    struct prng prng;
    prng_init(&prng, disk.seed);
    size_t names = keep_cache ? disk.change_count : prng_below(&prng, disk.change_count + 1);
    for (size_t i = 0; i < names; i++) apply_change(disk.durable, &disk.changes[i]);
    struct buf content = BUF_INIT;
    for (size_t i = 0; i < NAMES_MAX; i++)
    {
        struct inode *inode = disk.durable[i].inode;
        if (!inode) continue;
        if (keep_cache) bytes_reach_disk(inode, inode->count);
        tear(&content, inode, &prng);
        write_file(disk.durable[i].text, buf_view(&content));
    }
    uint8_t garbage[8192];
    for (size_t i = 0; i < sizeof garbage; i++) garbage[i] = (uint8_t)prng_next(&prng);
    if (prng_chance(&prng, 1, 2)) write_file("lock.mdb", slice_make(garbage, sizeof garbage));
    buf_fini(&content);
}

/* Called with the lock held before each call that changes something: the other threads stop at theirs. */
static void count_down(void)
{
    if (disk.left == 0 || --disk.left > 0) return;
    write_image(false);
    _exit(DISK_EXIT_CUT);
}

void disk_cut_after(uint64_t calls, uint64_t seed, const char *image)
{
    pthread_mutex_lock(&disk.lock);
    disk.left = calls;
    disk.seed = seed;
    snprintf(disk.image, sizeof disk.image, "%s", image);
    pthread_mutex_unlock(&disk.lock);
}

void disk_cut_now(uint64_t seed, const char *image, bool keep_cache)
{
    pthread_mutex_lock(&disk.lock);
    disk.seed = seed;
    snprintf(disk.image, sizeof disk.image, "%s", image);
    write_image(keep_cache);
    _exit(DISK_EXIT_CUT);
}

/* ---- the beginning ---- */

static struct inode *load(const char *path)
{
    struct inode *inode = mem_zalloc(sizeof *inode);
    int fd = __real_open(path, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t got;
    while ((got = read(fd, buf_reserve(&inode->durable, 65536), 65536)) > 0)
        inode->durable.size += (size_t)got;
    __real_close(fd);
    return inode;
}

static void load_dir(const char *below)
{
    char path[400];
    snprintf(path, sizeof path, "%s%s", disk.root, below);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
    {
        snprintf(path, sizeof path, "%s%s/%s", disk.root, below, entry->d_name);
        struct stat stat;
        const char *name = below_root(path);
        if (!name || lstat(path, &stat) != 0 || !S_ISREG(stat.st_mode)) continue;
        struct inode *inode = load(path);
        set_name(disk.now, name, inode);
        set_name(disk.durable, name, inode);
    }
    if (dir) closedir(dir);
}

void disk_begin(const char *dir)
{
    snprintf(disk.root, sizeof disk.root, "%s", dir);
    load_dir("");
    load_dir("/log");
}

/* ---- the wrapped calls ---- */

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);

static void note_open(int fd, const char *path, int flags)
{
    CHECK(fd < FDS_MAX);
    const char *name = below_root(path);
    disk.fds[fd] = NULL;
    disk.dirs[fd] = (flags & O_DIRECTORY) && strncmp(path, disk.root, strlen(disk.root)) == 0;
    if (!name || (flags & O_DIRECTORY)) return;
    struct name *known = find_name(disk.now, name);
    if (!known)
    {
        note_change(CHANGE_LINK, name, NULL, mem_zalloc(sizeof(struct inode)));
        known = find_name(disk.now, name);
    }
    disk.fds[fd] = known->inode;
    disk.dsync[fd] = flags & O_DSYNC;
    if (flags & O_TRUNC)
    {
        bytes_reach_disk(known->inode, known->inode->count);
        buf_reset(&known->inode->durable);
    }
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    pthread_mutex_lock(&disk.lock);
    if ((flags & O_CREAT) && below_root(path)) count_down();
    int fd = __real_open(path, flags, mode);
    int code = errno;
    if (fd >= 0 && disk.root[0]) note_open(fd, path, flags);
    pthread_mutex_unlock(&disk.lock);
    errno = code;
    return fd;
}

int __wrap_close(int fd)
{
    pthread_mutex_lock(&disk.lock);
    if (fd >= 0 && fd < FDS_MAX)
    {
        disk.fds[fd] = NULL;
        disk.dirs[fd] = disk.dsync[fd] = false;
    }
    int rc = __real_close(fd);
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

static bool modelled(int fd)
{
    return fd >= 0 && fd < FDS_MAX && disk.fds[fd];
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    pthread_mutex_lock(&disk.lock);
    if (modelled(fd)) count_down();
    ssize_t wrote = __real_pwrite(fd, bytes, size, at);
    if (wrote > 0 && modelled(fd)) note_write(fd, bytes, (size_t)wrote, (uint64_t)at);
    pthread_mutex_unlock(&disk.lock);
    return wrote;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    pthread_mutex_lock(&disk.lock);
    bool ours = modelled(fd);
    if (ours) count_down();
    off_t at = ours ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t wrote = __real_write(fd, bytes, size);
    if (wrote > 0 && ours) note_write(fd, bytes, (size_t)wrote, (uint64_t)at);
    pthread_mutex_unlock(&disk.lock);
    return wrote;
}

ssize_t __wrap_writev(int fd, const struct iovec *parts, int count)
{
    pthread_mutex_lock(&disk.lock);
    bool ours = modelled(fd);
    if (ours) count_down();
    off_t at = ours ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t wrote = __real_writev(fd, parts, count);
    ssize_t left = ours ? wrote : 0;
    for (int i = 0; i < count && left > 0; i++)
    {
        size_t size = parts[i].iov_len < (size_t)left ? parts[i].iov_len : (size_t)left;
        note_write(fd, parts[i].iov_base, size, (uint64_t)at);
        at += (off_t)size;
        left -= (ssize_t)size;
    }
    pthread_mutex_unlock(&disk.lock);
    return wrote;
}

/* Other threads write and the power may fail while the disk is at it: both between the two halves. */
static int sync_file(int fd)
{
    pthread_mutex_lock(&disk.lock);
    bool ours = modelled(fd), dir = fd >= 0 && fd < FDS_MAX && disk.dirs[fd];
    if (ours || dir) count_down();
    struct inode *inode = ours ? disk.fds[fd] : NULL;
    size_t before = inode ? inode->count : 0;
    pthread_mutex_unlock(&disk.lock);
    usleep(100);
    pthread_mutex_lock(&disk.lock);
    if (ours || dir) count_down();
    if (inode) bytes_reach_disk(inode, before < inode->count ? before : inode->count);
    if (dir) names_reach_disk();
    pthread_mutex_unlock(&disk.lock);
    return 0;
}

int __wrap_fsync(int fd)
{
    return sync_file(fd);
}

int __wrap_fdatasync(int fd)
{
    return sync_file(fd);
}

/* Only ever done to files that hold nothing of value, so the model makes it durable at once. */
int __wrap_ftruncate(int fd, off_t size)
{
    pthread_mutex_lock(&disk.lock);
    if (modelled(fd)) count_down();
    int rc = __real_ftruncate(fd, size);
    if (rc == 0 && modelled(fd))
    {
        struct inode *inode = disk.fds[fd];
        bytes_reach_disk(inode, inode->count);
        if (inode->durable.size > (size_t)size) inode->durable.size = (size_t)size;
    }
    pthread_mutex_unlock(&disk.lock);
    return rc;
}

int __wrap_rename(const char *from, const char *to)
{
    pthread_mutex_lock(&disk.lock);
    bool ours = below_root(from) && below_root(to);
    if (ours) count_down();
    int rc = __real_rename(from, to);
    int code = errno;
    if (rc == 0 && ours) note_change(CHANGE_RENAME, below_root(from), below_root(to), NULL);
    pthread_mutex_unlock(&disk.lock);
    errno = code;
    return rc;
}

int __wrap_unlink(const char *path)
{
    pthread_mutex_lock(&disk.lock);
    bool ours = below_root(path);
    if (ours) count_down();
    int rc = __real_unlink(path);
    int code = errno;
    if (rc == 0 && ours) note_change(CHANGE_UNLINK, below_root(path), NULL, NULL);
    pthread_mutex_unlock(&disk.lock);
    errno = code;
    return rc;
}
