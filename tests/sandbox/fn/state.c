/* state.c - attacks on the app's own state, which a function may read but not write past the log. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { PAGE = 4096 };

static long reopen_fd(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR);
}

static long truncate_fd(int fd)
{
    return ftruncate(fd, 0);
}

static long allocate_fd(int fd)
{
    return fallocate(fd, 0, 0, PAGE);
}

static long punch_fd(int fd)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE);
}

static long flock_fd(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB);
}

static long lock_range_fd(int fd)
{
    return fcntl(fd, F_SETLK, &(struct flock){.l_type = F_RDLCK});
}

static long lease_fd(int fd)
{
    return fcntl(fd, F_SETLEASE, F_RDLCK);
}

static long mode_fd(int fd)
{
    return fchmod(fd, 0666);
}

static long dup_fd(int fd)
{
    return dup(fd);
}

static long dup_fcntl_fd(int fd)
{
    return fcntl(fd, F_DUPFD, 0);
}

static long write_fd(int fd)
{
    return write(fd, "x", 1);
}

static long pwrite_fd(int fd)
{
    return pwrite(fd, "x", 1, 0);
}

static long splice_fd(int fd)
{
    return sendfile(fd, 3, NULL, 1);
}

static long map_fd(int fd)
{
    return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}

static long read_fd(int fd)
{
    char byte;
    return pread(fd, &byte, 1, 0);
}

/* The page of the mapped state in which a row lies. */
static char *state_page(struct stead_ctx *ctx)
{
    struct stead_bytes value;
    if (stead_get_of(ctx, "target", "row", &value) != STEAD_OK) abort();
    return (char *)((uintptr_t)value.data & ~(uintptr_t)(PAGE - 1));
}

static long remap(struct stead_ctx *ctx)
{
    void *again = mremap(state_page(ctx), 0, PAGE, MREMAP_MAYMOVE); /* the same page once more */
    if (again == MAP_FAILED) return -1;
    return mprotect(again, PAGE, PROT_READ | PROT_WRITE);
}

static long write_by_process_vm(struct stead_ctx *ctx)
{
    struct iovec from = {"x", 1}, to = {state_page(ctx), 1};
    return process_vm_writev(getpid(), &from, 1, &to, 1, 0);
}

ATTACK(reopens, on_each_fd(reopen_fd))
ATTACK(truncates_fds, on_each_fd(truncate_fd))
ATTACK(allocates_in_fds, on_each_fd(allocate_fd))
ATTACK(punches_holes_in_fds, on_each_fd(punch_fd))
ATTACK(flocks_fds, on_each_fd(flock_fd))
ATTACK(locks_ranges_of_fds, on_each_fd(lock_range_fd))
ATTACK(leases_fds, on_each_fd(lease_fd))
ATTACK(changes_modes_of_fds, on_each_fd(mode_fd))
ATTACK(dups_fds, on_each_fd(dup_fd))
ATTACK(dups_fds_by_fcntl, on_each_fd(dup_fcntl_fd))
ATTACK(writes_fds, on_each_fd(write_fd))
ATTACK(pwrites_fds, on_each_fd(pwrite_fd))
ATTACK(sends_into_fds, on_each_fd(splice_fd))
ATTACK(maps_fds_for_writing, on_each_fd(map_fd))
ATTACK(reads_fds, on_each_fd(read_fd))
ATTACK(makes_mapping_writable, mprotect(state_page(ctx), PAGE, PROT_READ | PROT_WRITE))
ATTACK(maps_it_again, remap(ctx))
ATTACK(punches_the_mapping, madvise(state_page(ctx), PAGE, MADV_REMOVE))
ATTACK(writes_by_process_vm, write_by_process_vm(ctx))
ATTACK(writes_by_proc_mem, open("/proc/self/mem", O_RDWR))
ATTACK(syncs_the_mapping, msync(state_page(ctx), PAGE, MS_INVALIDATE))

STEAD_FUNCTION(puts)
{
    return stead_put_text_of(ctx, "target", "row", "as it was");
}

STEAD_FUNCTION(row)
{
    return stead_reply(ctx, "%s", stead_get_text_of(ctx, "target", "row"));
}

/* ---- these do not come back ---- */

STEAD_FUNCTION(writes_into_the_mapping)
{
    *(volatile char *)state_page(ctx) = 'x';
    return stead_reply(ctx, "got through");
}

STEAD_FUNCTION(crashes)
{
    abort();
}

/* ---- these may succeed, for they hurt nobody but this process ---- */

/* Its private copies of the meta pages, which lie in front of everything else. */
STEAD_FUNCTION(scribbles_over_its_meta_pages)
{
    static const char magic[] = {'\xde', '\xc0', '\xef', '\xbe'};
    char *page = state_page(ctx);
    for (int found = 0; found < 2; page -= PAGE)
    {
        if (memcmp(page + 16, magic, sizeof magic) != 0) continue;
        memset(page, 0xee, PAGE);
        found++;
    }
    return stead_reply(ctx, "scribbled");
}

/* Memory of its own in place of the state's: it reads nonsense from then on. */
STEAD_FUNCTION(replaces_the_mapping)
{
    char *page = state_page(ctx);
    if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
        return tell(ctx, -1);
    memset(page, 0xee, PAGE);
    return stead_reply(ctx, "replaced: %zu", strlen(stead_get_text_of(ctx, "target", "row") ?: ""));
}

STEAD_FUNCTION(unmaps_the_state)
{
    char *page = state_page(ctx);
    munmap(page, PAGE);
    return stead_reply(ctx, "unmapped: %s", stead_get_text_of(ctx, "target", "row"));
}
