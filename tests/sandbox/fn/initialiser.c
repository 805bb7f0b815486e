/* initialiser.c - attacks from a static initialiser, which runs in the zygote; one -D says which, the function what gave way. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utime.h>

#include <stead/stead.h>

#include "runtime/zygote/control.h"

static char broken[1024];

STEAD_FUNCTION(told)
{
    return stead_reply(ctx, "%s", broken);
}

static void attempt(const char *name, long got)
{
    size_t used = strlen(broken);
    if (got >= 0) snprintf(broken + used, sizeof broken - used, "%s ", name);
}

static long reopen(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR);
}

static void __attribute__((unused)) try_all(void)
{
    attempt("shadow", open("/etc/shadow", O_RDONLY));
    attempt("passwd", open("/etc/passwd", O_RDONLY));
    attempt("environ", open("/proc/1/environ", O_RDONLY));
    attempt("state", open(STATE, O_RDONLY));
    attempt("state-write", open(STATE, O_RDWR));
    attempt("state-truncate", truncate(STATE, 0));
    attempt("own-state-reopen", reopen(ZYGOTE_FD_DATA));
    attempt("artifact-reopen", reopen(ZYGOTE_FD_ARTIFACT));
    attempt("own-state-truncate", ftruncate(ZYGOTE_FD_DATA, 0));
    attempt("own-state-fchmod", fchmod(ZYGOTE_FD_DATA, 0666));
    attempt("file-read", open(FILE_OF_USER, O_RDONLY));
    attempt("file-chmod", chmod(FILE_OF_USER, 0666));
    attempt("file-fchmodat2", syscall(452, AT_FDCWD, FILE_OF_USER, 0666, 0));
    attempt("file-utime", utime(FILE_OF_USER, NULL));
    attempt("file-utimes", utimes(FILE_OF_USER, NULL));
    attempt("file-setxattrat", syscall(463, AT_FDCWD, FILE_OF_USER, 0, "user.x", &(long[2]){0}, 16L));
    attempt("file-unlink", unlink(FILE_OF_USER));
    attempt("create", open("/tmp/stead-attack", O_CREAT | O_WRONLY, 0600));
    attempt("socket", socket(AF_INET, SOCK_STREAM, 0));
    attempt("unix", socket(AF_UNIX, SOCK_STREAM, 0));
    attempt("kill", kill(DAEMON, SIGKILL));
    attempt("kill-canary", kill(CANARY, SIGKILL));
    attempt("tgkill", syscall(SYS_tgkill, DAEMON, DAEMON, SIGKILL));
    attempt("ptrace", ptrace(PTRACE_ATTACH, CANARY, NULL, NULL));
    attempt("limit", prlimit(CANARY, RLIMIT_NOFILE, &(struct rlimit){0, 0}, NULL));
    attempt("renice", setpriority(PRIO_PROCESS, CANARY, 19));
    attempt("unshare", unshare(CLONE_NEWUSER));
    attempt("clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    attempt("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    attempt("chroot", chroot("/usr"));
    attempt("exec", execl("/bin/true", "true", (char *)NULL));
    attempt("setuid", setuid(0));
    attempt("bpf", syscall(SYS_bpf, 0, NULL, 0));
    attempt("io_uring", syscall(SYS_io_uring_setup, 8, NULL));
}

/* A worker that is none of ours: the daemon would kill it with its own rights. */
static void __attribute__((unused)) name_another(int pid)
{
    struct control_message message = {.kind = CONTROL_SPAWNED, .number = 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } beside = {0};
    struct iovec part = {&message, sizeof message - sizeof message.text};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = beside.bytes,
                            .msg_controllen = sizeof beside.bytes};
    int pidfd = pidfd_open(pid, 0);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
    *rights = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(rights), &pidfd, sizeof pidfd);
    sendmsg(ZYGOTE_FD_CONTROL, &packet, 0);
}

__attribute__((constructor)) static void begin(void)
{
#if defined(ESCAPES)
    try_all();
#elif defined(CRASHES)
    *(volatile int *)(uintptr_t)8 = 1;
#elif defined(EXITS)
    _exit(0);
#elif defined(HANGS)
    for (;;) poll(NULL, 0, 1000);
#elif defined(LIES_ABOUT_A_WORKER)
    name_another(DAEMON);
    name_another(CANARY);
    name_another(getppid());
#elif defined(SENDS_RUBBISH)
    send(ZYGOTE_FD_CONTROL, "rubbish", 7, 0);
#elif defined(CLOSES_ALL)
    for (int fd = 0; fd < 64; fd++) close(fd);
#elif defined(FORKS)
    for (int i = 0; i < 300; i++)
        if (fork() == 0)
            for (;;) poll(NULL, 0, 1000);
#elif defined(GRABS_MEMORY)
    for (int i = 0; i < 4096; i++) memset(malloc(1 << 20), 1, 1 << 20);
#endif
}
