/* attacks.c - an app whose functions attack: each tries one thing and says "held" or what it got. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

static int pair[2];

static const char *state_path(void)
{
    const char *path = getenv("STEAD_TEST_STATE");
    return path ? path : "/nowhere";
}

/* The largest of all results: not negative when one descriptor gave way. */
static long on_each_fd(long (*attempt)(int fd))
{
    long best = -1;
    for (int fd = 0; fd < 256; fd++)
    {
        long got = attempt(fd);
        if (got > best) best = got;
    }
    return best;
}

static long truncate_fd(int fd)
{
    return ftruncate(fd, 0);
}

static long allocate_fd(int fd)
{
    return fallocate(fd, 0, 0, 4096);
}

static long lock_fd(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB);
}

static long map_fd(int fd)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}

static long reopen_fd(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR);
}

static long reopen_any(void)
{
    return on_each_fd(reopen_fd);
}

/* Where a row lies: a page of the mapped state. */
static void *state_memory(struct stead_ctx *ctx)
{
    struct stead_bytes value;
    if (stead_get(ctx, "row", &value) != STEAD_OK) return NULL;
    return (void *)((uintptr_t)value.data & ~(uintptr_t)4095);
}

static long remap_state(struct stead_ctx *ctx)
{
    void *page = state_memory(ctx);
    void *again = mremap(page, 0, 4096, MREMAP_MAYMOVE); /* a second mapping of the same page, when shared */
    if (again == MAP_FAILED) return -1;
    return mprotect(again, 4096, PROT_READ | PROT_WRITE);
}

static long send_descriptor(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } beside = {0};
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = beside.bytes,
                            .msg_controllen = sizeof beside.bytes};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
    *rights = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    return sendmsg(3, &packet, MSG_DONTWAIT);
}

static long receive_descriptor(void)
{
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    return recvmsg(3, &packet, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EPERM ? -1 : 0;
}

static long make_thread(void)
{
    return syscall(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0);
}

static long reach_into(long call)
{
    char byte = 0;
    struct iovec here = {&byte, 1}, there = {&pair, 1};
    return syscall(call, getppid(), &here, 1, &there, 1, 0);
}

static long raise_limit(void)
{
    static const int limits[] = {RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (setrlimit(limits[i], &(struct rlimit){1 << 20, 1 << 20}) == 0) return 0;
    return -1;
}

/* To the name that it has, should it come that far. */
static long rename_machine(void)
{
    struct utsname name;
    return uname(&name) < 0 ? 0 : sethostname(name.nodename, strlen(name.nodename));
}

/* Fails when it ends below what the worker may have. */
static long use_up_descriptors(void)
{
    for (int i = 0; i < 1000; i++)
        if (dup(1) < 0) return -1;
    return 0;
}

static long map_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                   MAP_FAILED
               ? -1
               : 0;
}

static void *page_of_code(void)
{
    return (void *)((uintptr_t)page_of_code & ~(uintptr_t)4095);
}

static enum stead_status tell(struct stead_ctx *ctx, long got)
{
    return got < 0 ? stead_reply(ctx, "held") : stead_reply(ctx, "broken: got %ld", got);
}

#define ATTACK(name, expression)              \
    STEAD_FUNCTION(name)                      \
    {                                         \
        return tell(ctx, (long)(expression)); \
    }
#include "tests/integration/sandbox/attacks.def"
#undef ATTACK

/* Those that do not come back when they are held. */

STEAD_FUNCTION(writes_into_the_state)
{
    *(volatile char *)state_memory(ctx) = 1;
    return stead_reply(ctx, "broken");
}

STEAD_FUNCTION(writes_into_its_code)
{
    *(volatile char *)page_of_code() = 1;
    return stead_reply(ctx, "broken");
}

#ifdef __x86_64__
STEAD_FUNCTION(uses_numbers_of_another_machine)
{
    syscall(0x40000000 + SYS_getpid);
    return stead_reply(ctx, "broken");
}
#endif
