/* child_uv.c - child processes on libuv, which reaps exactly the ones that it started. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop/child.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/loop/loop_uv.h"

struct child {
    uv_process_t process;
    child_on_exit_fn on_exit;
    void *ctx;
    bool exited;
    bool orphan; /* closed by its owner while it ran: stays until it is reaped */
};

static void on_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_process_t *)handle, struct child, process));
}

static void on_exit_reaped(uv_process_t *process, int64_t exit_code, int signal)
{
    struct child *child = CONTAINER_OF(process, struct child, process);
    child->exited = true;
    if (child->orphan)
        uv_close((uv_handle_t *)process, on_closed);
    else
        child->on_exit(child->ctx, (int)exit_code, signal);
}

enum status child_start(struct loop *loop, const struct child_config *config, child_on_exit_fn on_exit,
                        void *ctx, struct child **out, struct err *err)
{
    CHECK(config->fd_count <= CHILD_FDS_MAX);
    uv_stdio_container_t fds[CHILD_FDS_MAX];
    for (size_t i = 0; i < config->fd_count; i++)
    {
        fds[i].flags = config->fds[i] < 0 ? UV_IGNORE : UV_INHERIT_FD;
        fds[i].data.fd = config->fds[i];
    }
    uv_process_options_t options = {
        .exit_cb = on_exit_reaped,
        .file = config->program,
        .args = (char **)config->argv,
        .env = (char **)config->envp,
        .cwd = config->dir,
        .stdio = fds,
        .stdio_count = (int)config->fd_count,
    };
    struct child *child = mem_zalloc(sizeof *child);
    child->on_exit = on_exit;
    child->ctx = ctx;
    int rc = uv_spawn(loop_uv(loop), &child->process, &options);
    if (rc)
    {
        child->exited = true;
        child_close(child);
        return uv_failure(err, rc, "start %s", config->program);
    }
    *out = child;
    return STATUS_OK;
}

pid_t child_pid(const struct child *child)
{
    return child->process.pid;
}

void child_kill(struct child *child, int signal)
{
    if (!child->exited)
        (void)uv_process_kill(&child->process, signal); /* fails only when it has just ended */
}

void child_close(struct child *child)
{
    if (!child) return;
    if (child->exited)
        uv_close((uv_handle_t *)&child->process, on_closed);
    else
        child->orphan = true;
}

void child_forget(uv_handle_t *handle, void *ctx)
{
    (void)ctx; /* uv_walk wants it */
    if (handle->type == UV_PROCESS && !uv_is_closing(handle) &&
        CONTAINER_OF((uv_process_t *)handle, struct child, process)->orphan)
        uv_close(handle, on_closed);
}
