/* child_uv.c - child processes: started without a copy of this process, their end seen by the loop as a descriptor. */
// SPDX-License-Identifier: Apache-2.0
//
// uv_spawn() forks: that copies the page tables of the daemon, and all that it writes afterwards is copied again, for a
// process which replaces itself at once. posix_spawn() borrows the memory until then.
#include "runtime/loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/loop/loop_uv.h"

struct child {
    uv_poll_t end; /* readable when the process has ended */
    pid_t pid;
    int pidfd;
    child_on_exit_fn on_exit;
    void *ctx;
    bool exited;
    bool orphan; /* closed by its owner while it ran: stays until it is reaped */
};

static const char child_mark; /* uv_poll_t.data of children, to tell them from other descriptors */

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct child *child = CONTAINER_OF((uv_poll_t *)handle, struct child, end);
    close(child->pidfd);
    free(child);
}

static void on_end(uv_poll_t *end, int poll_status, int events)
{
    (void)poll_status; /* an error of the descriptor is an end, too: waitpid() decides */
    (void)events;
    struct child *child = CONTAINER_OF(end, struct child, end);
    int status = 0;
    if (waitpid(child->pid, &status, WNOHANG) != child->pid) return;
    child->exited = true;
    (void)uv_poll_stop(end); /* cannot fail */
    if (child->orphan)
        uv_close((uv_handle_t *)end, on_closed);
    else
        child->on_exit(child->ctx, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* ---- the beginning ---- */

/* The descriptors of the child are filled from 0 upwards; one that is still to be handed on must not lie there. */
static int fds_lift(const struct child_config *config, int lifted[CHILD_FDS_MAX])
{
    int failure = 0;
    for (size_t i = 0; i < config->fd_count; i++)
    {
        lifted[i] = -1;
        bool in_the_way = config->fds[i] >= 0 && config->fds[i] < (int)config->fd_count;
        if (!in_the_way || failure) continue;
        lifted[i] = fcntl(config->fds[i], F_DUPFD_CLOEXEC, CHILD_FDS_MAX);
        if (lifted[i] < 0) failure = errno;
    }
    return failure;
}

static int actions_add(posix_spawn_file_actions_t *actions, const struct child_config *config,
                       const int lifted[CHILD_FDS_MAX])
{
    int failure = 0;
    for (size_t i = 0; i < config->fd_count && !failure; i++)
    {
        int from = lifted[i] >= 0 ? lifted[i] : config->fds[i];
        if (from >= 0)
            failure = posix_spawn_file_actions_adddup2(actions, from, (int)i);
        else if (i <= STDERR_FILENO)
            failure =
                posix_spawn_file_actions_addopen(actions, (int)i, "/dev/null", i ? O_RDWR : O_RDONLY, 0);
    }
    if (config->dir && !failure) failure = posix_spawn_file_actions_addchdir_np(actions, config->dir);
    return failure;
}

static int spawn(const struct child_config *config, const int lifted[CHILD_FDS_MAX], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions); /* these fail never in the C library of Linux */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int failure = actions_add(&actions, config, lifted);
    if (!failure)
        failure = posix_spawn(pid, config->program, &actions, &attributes, config->argv,
                              config->envp ? config->envp : environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

/* Nobody could watch it: it must not live. */
static enum status give_up(pid_t pid, int pidfd, struct err *err, int failure)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (pidfd >= 0) close(pidfd);
    return uv_failure(err, -failure, "watch a process");
}

enum status child_start(struct loop *loop, const struct child_config *config, child_on_exit_fn on_exit,
                        void *ctx, struct child **out, struct err *err)
{
    CHECK(config->fd_count <= CHILD_FDS_MAX);
    int lifted[CHILD_FDS_MAX];
    pid_t pid = 0;
    int failure = fds_lift(config, lifted);
    if (!failure) failure = spawn(config, lifted, &pid);
    for (size_t i = 0; i < config->fd_count; i++)
        if (lifted[i] >= 0) close(lifted[i]);
    if (failure) return uv_failure(err, -failure, "start %s", config->program);

    int pidfd = pidfd_open(pid, 0); /* it is not reaped: this is the one that we started */
    if (pidfd < 0) return give_up(pid, -1, err, errno);
    struct child *child = mem_zalloc(sizeof *child);
    *child = (struct child){.pid = pid, .pidfd = pidfd, .on_exit = on_exit, .ctx = ctx};
    int rc = uv_poll_init(loop_uv(loop), &child->end, pidfd);
    if (rc)
    {
        free(child);
        return give_up(pid, pidfd, err, -rc);
    }
    child->end.data = (void *)&child_mark;
    CHECK(uv_poll_start(&child->end, UV_READABLE, on_end) == 0);
    *out = child;
    return STATUS_OK;
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

void child_kill(struct child *child, int signal)
{
    if (!child->exited) (void)kill(child->pid, signal); /* not reaped, so nobody else has its number */
}

void child_close(struct child *child)
{
    if (!child) return;
    if (child->exited)
        uv_close((uv_handle_t *)&child->end, on_closed);
    else
        child->orphan = true;
}

void child_forget(uv_handle_t *handle, void *ctx)
{
    (void)ctx; /* uv_walk wants it */
    if (handle->type == UV_POLL && handle->data == &child_mark && !uv_is_closing(handle) &&
        CONTAINER_OF((uv_poll_t *)handle, struct child, end)->orphan)
        uv_close(handle, on_closed);
}
