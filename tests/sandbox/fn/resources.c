/* resources.c - attacks by using up what all share: memory, processors, disk, logs, time. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { BLOCK = 1 << 20, MUCH = 256 }; /* MUCH blocks are far more than any limit of these functions */

static void deafen(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
}

/* How many blocks of memory it gets; it stops when it is told to. */
static enum stead_status grab(struct stead_ctx *ctx, int protection, int flags)
{
    long got = 0;
    for (; got < MUCH; got++)
    {
        char *block = mmap(NULL, BLOCK, protection, flags | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) break;
        for (size_t at = 0; at < BLOCK && protection & PROT_WRITE; at += 4096) block[at] = 1;
    }
    return stead_reply(ctx, "%ld", got);
}

STEAD_FUNCTION(grabs_private_memory)
{
    return grab(ctx, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

/* Shared memory is no data to the kernel's limit of data. */
STEAD_FUNCTION(grabs_shared_memory)
{
    return grab(ctx, PROT_READ | PROT_WRITE, MAP_SHARED);
}

/* Nor is what may grow downwards. */
STEAD_FUNCTION(grabs_stacks)
{
    return grab(ctx, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_GROWSDOWN);
}

/* Read-only at first, writable later. */
STEAD_FUNCTION(grabs_by_changing_rights)
{
    long got = 0;
    for (; got < MUCH; got++)
    {
        char *block = mmap(NULL, BLOCK, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED || mprotect(block, BLOCK, PROT_READ | PROT_WRITE) < 0) break;
        for (size_t at = 0; at < BLOCK; at += 4096) block[at] = 1;
    }
    return stead_reply(ctx, "%ld", got);
}

/* A page of the kernel's own for every 2 MiB that are only looked at. */
STEAD_FUNCTION(grabs_page_tables)
{
    enum { STRIDE = 2 << 20 };
    size_t size = (size_t)64 << 30;
    volatile char *space = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) return stead_reply(ctx, "0");
    madvise((void *)space, size, MADV_NOHUGEPAGE);
    long pages = 0;
    for (size_t at = 0; at < size; at += STRIDE, pages++) (void)space[at];
    return stead_reply(ctx, "%ld", pages);
}

static long deeper(long level, long end)
{
    volatile char page[65536];
    for (size_t at = 0; at < sizeof page; at += 4096) page[at] = (char)level;
    return level == end ? level : deeper(level + 1, end) + page[0] - page[0];
}

/* The stack, after its limit is moved away. */
STEAD_FUNCTION(grabs_by_its_stack)
{
    setrlimit(RLIMIT_STACK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    return stead_reply(ctx, "%ld", deeper(0, 64L * 16) / 16); /* 64 MiB */
}

STEAD_FUNCTION(believes_malloc)
{
    for (;;) memset(malloc(BLOCK), 1, BLOCK);
}

STEAD_FUNCTION(locks_memory)
{
    return tell(ctx, mlockall(MCL_CURRENT | MCL_FUTURE));
}

STEAD_FUNCTION(uses_up_descriptors)
{
    long got = 0;
    while (got < 100000 && dup(1) >= 0) got++;
    return tell(ctx, got ? got : -1);
}

STEAD_FUNCTION(fills_the_disk)
{
    static const char *const places[] = {"/tmp", "/dev/shm", "/var/tmp", ".", "/run"};
    long written = -1;
    int reason = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    {
        char path[64];
        snprintf(path, sizeof path, "%s/stead-attack-fill", places[i]);
        int file = open(path, O_CREAT | O_WRONLY, 0600);
        if (file < 0) reason = errno;
        if (file >= 0) written = write(file, path, sizeof path);
    }
    errno = reason;
    return tell(ctx, written);
}

static enum stead_status flood(int fd)
{
    static char block[BLOCK];
    memset(block, 'x', sizeof block);
    for (size_t at = 99; at < sizeof block; at += 100) block[at] = '\n';
    for (;;)
        if (write(fd, block, sizeof block) <= 0) return STEAD_OK;
}

STEAD_FUNCTION(floods_stdout)
{
    return flood(STDOUT_FILENO);
}

STEAD_FUNCTION(floods_stderr)
{
    return flood(STDERR_FILENO);
}

STEAD_FUNCTION(floods_the_log)
{
    for (long i = 0;; i++) stead_log(ctx, STEAD_ERROR, "%ld and so on and on", i);
}

STEAD_FUNCTION(loops)
{
    for (volatile int i = 0;; i++) continue;
}

STEAD_FUNCTION(loops_deaf)
{
    deafen();
    for (volatile int i = 0;; i++) continue;
}

/* The snapshot that it was given stays pinned as long as it does not answer. */
STEAD_FUNCTION(holds_its_snapshot)
{
    deafen();
    for (;;) poll(NULL, 0, 1000000);
}

STEAD_FUNCTION(answers_its_end_by_going_on)
{
    signal(SIGXCPU, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    for (volatile int i = 0;; i++) continue;
}

STEAD_FUNCTION(closes_all)
{
    for (int fd = 0; fd < 1024; fd++) close(fd);
    return stead_reply(ctx, "closed");
}

STEAD_FUNCTION(closes_all_and_goes_on)
{
    deafen();
    for (int fd = 0; fd < 1024; fd++) close(fd);
    for (volatile int i = 0;; i++) continue;
}

/* It never reads what it is sent meanwhile. */
STEAD_FUNCTION(does_not_read)
{
    poll(NULL, 0, (int)stead_query_i64(ctx, "ms", 500));
    return stead_reply(ctx, "%zu", stead_body(ctx).size);
}

STEAD_FUNCTION(crashes)
{
    *(volatile int *)(uintptr_t)8 = 1;
    return STEAD_OK;
}

STEAD_FUNCTION(exits)
{
    exit(0);
}
