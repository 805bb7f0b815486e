/* init_attacks.c - an app that attacks from its static initialiser, in the zygote; its function tells what gave way. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char broken[1024];

static void attempt(const char *name, long got)
{
    size_t used = strlen(broken);
    if (got >= 0) snprintf(broken + used, sizeof broken - used, "%s ", name);
}

static long reopen(int fd)
{
    char path[] = "/proc/self/fd/0";
    path[sizeof path - 2] = (char)('0' + fd);
    return open(path, O_RDWR);
}

__attribute__((constructor)) static void attack(void)
{
    const char *state = getenv("STEAD_TEST_STATE");
    attempt("shadow", open("/etc/shadow", O_RDONLY));
    attempt("passwd", open("/etc/passwd", O_RDONLY));
    attempt("environ", open("/proc/1/environ", O_RDONLY));
    attempt("create", open("/tmp/stead-escape", O_CREAT | O_WRONLY, 0600));
    attempt("state", open(state, O_RDONLY));
    attempt("state-write", open(state, O_RDWR));
    attempt("reopen-state", reopen(5));
    attempt("truncate", truncate(state, 0));
    attempt("chmod", chmod(state, 0666));
    attempt("fchmod", fchmod(5, 0666));
    attempt("unlink", unlink(state));
    attempt("socket", socket(AF_INET, SOCK_STREAM, 0));
    attempt("unix", socket(AF_UNIX, SOCK_STREAM, 0));
    attempt("ptrace", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
    attempt("kill", kill(getppid(), SIGKILL));
    attempt("kill-all", kill(-1, 0)); /* nothing is sent, should it come that far */
    attempt("tgkill", syscall(SYS_tgkill, getppid(), getppid(), SIGKILL));
    attempt("pidfd", syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, getppid(), 0), SIGKILL, NULL, 0));
    attempt("unshare", unshare(CLONE_NEWUSER));
    attempt("clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    attempt("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    attempt("chroot", chroot("/usr"));
    attempt("exec", execl("/bin/true", "true", (char *)NULL));
    attempt("setuid", setuid(0));
    attempt("bpf", syscall(SYS_bpf, 0, NULL, 0));
    attempt("io_uring", syscall(SYS_io_uring_setup, 8, NULL));
    attempt("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    struct iovec part = {broken, 1};
    attempt("vm_writev", syscall(SYS_process_vm_writev, getppid(), &part, 1, &part, 1, 0));
}

STEAD_FUNCTION(told)
{
    return stead_reply(ctx, "%s", broken);
}
