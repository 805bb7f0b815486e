/* zygote_client.c - the daemon's side of a zygote: its process, its control socket, its output. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/loop/child.h"
#include "runtime/loop/loop.h"
#include "runtime/zygote/control.h"
#include "runtime/zygote/output.h"
#include "runtime/zygote/zygote.h"

enum { END_MS = 1000 }; /* for a zygote to end after the end of its control socket */

struct zygote {
    struct loop *loop;
    const struct zygote_handler *handler; /* NULL: it is a spare one */
    void *ctx;
    struct child *child;
    int control;
    struct loop_watch *watch;
    struct output *output;
    struct loop_timer timer; /* loading; the exit after the end of the control socket */
    char *artifact; /* its name, for messages */
    uint32_t load_timeout_ms;
    bool loaded;
    bool dead; /* before it was claimed */
    bool cut_off; /* its end of the control socket is closed */
    bool failed; /* `failure` has words, the process is being killed */
    struct err failure;
    char last_line[200]; /* of its output: an initialiser that ends the process often says why */
};

/* ---- the end ---- */

/* Keeps the first words and kills; on_gone follows when the process is dead. */
static void fail(struct zygote *zygote, enum status status, const char *words)
{
    if (!zygote->failed) (void)err_set(&zygote->failure, status, "%s", words); /* the caller goes on */
    zygote->failed = true;
    child_kill(zygote->child, SIGKILL);
}

/* Words for an end that nobody explained. */
static void explain_exit(struct zygote *zygote, int code, int signal)
{
    char how[64];
    if (signal)
        snprintf(how, sizeof how, "was killed by SIG%s", sigabbrev_np(signal) ? sigabbrev_np(signal) : "?");
    else
        snprintf(how, sizeof how, "ended with exit code %d", code);
    (void)err_set(&zygote->failure, STATUS_FUNCTION_START_FAILED, "`%s`: %s %s%s%s", zygote->artifact,
                  zygote->loaded ? "the process that its workers are forked from"
                                 : "while a static initialiser ran, the process",
                  how, zygote->last_line[0] ? "; its last line: " : "", zygote->last_line);
}

static void receive_all(struct zygote *zygote);

static void on_exit_of_process(void *ctx, int code, int signal)
{
    struct zygote *zygote = ctx;
    if (!zygote->handler)
    {
        zygote->dead = true;
        return;
    }
    output_drain(zygote->output);
    receive_all(zygote); /* its last words may still be under way */
    loop_watch_set(zygote->watch, 0);
    loop_timer_stop(&zygote->timer);
    if (!zygote->failed) explain_exit(zygote, code, signal);
    zygote->handler->on_gone(zygote->ctx, &zygote->failure);
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one of its kind */
    struct zygote *zygote = ctx;
    if (zygote->cut_off)
    {
        fail(zygote, STATUS_FUNCTION_PROTOCOL, "the zygote closed its control socket but went on");
        return;
    }
    char words[ERR_TEXT_MAX];
    snprintf(words, sizeof words, "`%s` was not loaded within %u ms: a static initialiser hangs",
             zygote->artifact, zygote->load_timeout_ms);
    fail(zygote, STATUS_FUNCTION_START_FAILED, words);
}

/* ---- what it says ---- */

/* The first 1,023 bytes of a small file under /proc as text; empty when it cannot be read. */
static void read_proc(const char *path, char text[1024])
{
    text[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t size = read(fd, text, 1023);
    close(fd);
    text[size > 0 ? size : 0] = 0;
}

/* The process that a pidfd stands for: its number, 0 when it is none or out of our sight, -1 when it is dead. */
static int pid_of_pidfd(int pidfd)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    read_proc(path, text);
    const char *line = strstr(text, "\nPid:");
    return line ? (int)strtol(line + strlen("\nPid:"), NULL, 10) : 0;
}

static int parent_of(int pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    read_proc(path, text);
    const char *name_end = strrchr(text, ')'); /* the name may hold anything */
    int parent = 0;
    return name_end && sscanf(name_end, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* We will signal this descriptor with our rights: user code that took over the zygote must not make us kill another
 * process. So the kernel is asked whether it is a child of the zygote, whose process splits when it enters its namespace:
 * then it is a grandchild of the one that we started. One that is dead already does no harm. */
static bool is_pidfd_of_worker(const struct zygote *zygote, int pidfd)
{
    int pid = pid_of_pidfd(pidfd);
    if (pid <= 0) return pid < 0;
    int ours = child_pid(zygote->child), parent = parent_of(pid);
    if (parent > 0 && (parent == ours || parent_of(parent) == ours)) return true;
    return pid_of_pidfd(pidfd) < 0; /* it died between the looks */
}

static void on_spawned(struct zygote *zygote, const struct control_message *message, int pidfd)
{
    if (pidfd < 0 || !is_pidfd_of_worker(zygote, pidfd))
    {
        if (pidfd >= 0) close(pidfd);
        fail(zygote, STATUS_FUNCTION_PROTOCOL, "the zygote named a process that is not its child");
        return;
    }
    zygote->handler->on_spawned(zygote->ctx, message->number, pidfd);
}

static void handle(struct zygote *zygote, struct control_message *message, int *fds)
{
    char text[CONTROL_TEXT_MAX + 1];
    memcpy(text, message->text, message->text_size);
    text[message->text_size] = 0;
    switch ((enum control_kind)message->kind)
    {
    case CONTROL_LOADED:
        if (zygote->loaded) break;
        zygote->loaded = true;
        loop_timer_stop(&zygote->timer);
        zygote->handler->on_loaded(zygote->ctx);
        return;
    case CONTROL_FAILED:
        fail(zygote, message->status == STATUS_OK ? STATUS_FUNCTION_START_FAILED : message->status, text);
        return;
    case CONTROL_SPAWNED: {
        int pidfd = fds[0];
        fds[0] = -1;
        on_spawned(zygote, message, pidfd);
        return;
    }
    case CONTROL_SPAWN_FAILED: {
        struct err err = ERR_INIT;
        (void)err_set(&err, STATUS_NO_RESOURCES, "%s", text); /* only the words are wanted */
        zygote->handler->on_spawn_failed(zygote->ctx, message->number, &err);
        return;
    }
    case CONTROL_EXITED: {
        struct zygote_exit how = {message->code, message->signal, message->out_of_memory != 0};
        zygote->handler->on_exited(zygote->ctx, message->number, &how);
        return;
    }
    case CONTROL_SPAWN:
        break;
    }
    fail(zygote, STATUS_FUNCTION_PROTOCOL, "the zygote sent a message out of turn");
}

static void receive_all(struct zygote *zygote)
{
    while (!zygote->failed)
    {
        struct control_message message;
        int fds[CONTROL_FDS_MAX];
        switch (control_receive(zygote->control, &message, fds))
        {
        case CONTROL_MESSAGE:
            handle(zygote, &message, fds);
            for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
                if (fds[i] >= 0) close(fds[i]);
            break;
        case CONTROL_NOTHING:
            return;
        case CONTROL_END:
            /* Mostly because it is ending, and how is told by its exit in a moment; else it has cut itself off. */
            loop_watch_set(zygote->watch, 0);
            zygote->cut_off = true;
            loop_timer_start(zygote->loop, &zygote->timer, END_MS, 0);
            return;
        case CONTROL_NONSENSE:
            fail(zygote, STATUS_FUNCTION_PROTOCOL, "the zygote sent something that is not a message");
            return;
        }
    }
}

static void on_control(void *ctx, unsigned events)
{
    (void)events; /* receiving tells more */
    struct zygote *zygote = ctx;
    if (zygote->failed)
        loop_watch_set(zygote->watch, 0);
    else
        receive_all(zygote);
}

static void on_line(void *ctx, struct slice line)
{
    struct zygote *zygote = ctx;
    snprintf(zygote->last_line, sizeof zygote->last_line, "%.*s", SLICE_FMT(line));
    zygote->handler->on_output(zygote->ctx, line);
}

/* ---- the beginning ---- */

static enum status encode_setup(const struct zygote_config *config, struct buf *packet, struct err *err)
{
    struct control_setup setup = {
        .daemon = getpid(),
        .worker_follows = config->worker_follows,
        .sandbox = config->sandbox,
        .app = config->app,
        .artifact = config->artifact_name,
        .functions = mem_zalloc((config->function_count + 1) * sizeof *setup.functions),
        .function_count = config->function_count,
        .env = (const char **)config->env,
        .env_count = config->env_count,
    };
    if (!setup.sandbox.uid) setup.sandbox.uid = setup.sandbox.gid = sandbox_uid_of(config->app);
    for (size_t i = 0; i < config->function_count; i++)
        setup.functions[i] = (struct control_function){config->functions[i], config->memory_bytes[i],
                                                       config->inside_ms ? config->inside_ms[i] : 0};
    enum status status = control_setup_encode(packet, &setup, err);
    free(setup.functions);
    return status;
}

static enum status send_setup(struct zygote *zygote, const struct zygote_config *config, struct err *err)
{
    int artifact = open(config->artifact, O_RDONLY | O_CLOEXEC);
    if (artifact < 0) return err_errno(err, STATUS_ARTIFACT_INVALID, errno, "open %s", config->artifact);
    int fds[] = {artifact, config->data_fd};
    struct buf packet = BUF_INIT;
    enum status status = encode_setup(config, &packet, err);
    if (status == STATUS_OK)
        status =
            control_send_setup(zygote->control, buf_view(&packet), fds, config->data_fd >= 0 ? 2 : 1, err);
    buf_fini(&packet);
    close(artifact);
    return status;
}

static enum status start_process(struct zygote *zygote, const char *program, const char *app,
                                 const char *state, int control, int output, struct err *err)
{
    char *argv[] = {(char *)program, (char *)app, (char *)state, NULL};
    /* Nothing of the daemon's environment, where secrets may be; a fixed one, the same on each machine. */
    char *envp[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "LD_BIND_NOW=1", NULL};
    struct child_config child = {
        .program = program,
        .argv = argv,
        .envp = envp,
        .dir = "/",
        .fds = {-1, output, output, control},
        .fd_count = ZYGOTE_FD_CONTROL + 1,
    };
    return child_start(zygote->loop, &child, on_exit_of_process, zygote, &zygote->child, err);
}

/* A process that waits for its set-up; nobody listens to it. */
static enum status start(struct loop *loop, const char *program, const char *app, const char *state,
                         struct zygote **out, struct err *err)
{
    struct zygote *zygote = mem_zalloc(sizeof *zygote);
    zygote->loop = loop;
    zygote->control = -1;
    loop_timer_init(&zygote->timer, on_timer, zygote);

    int ends[2] = {-1, -1}, writer = -1;
    enum status status = output_open(loop, on_line, zygote, &zygote->output, &writer, err);
    if (status == STATUS_OK) output_listen(zygote->output, false);
    if (status == STATUS_OK && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        status = err_errno(err, STATUS_NO_RESOURCES, errno, "make a socket pair");
    zygote->control = ends[0];
    if (status == STATUS_OK)
        status = loop_watch_open(loop, zygote->control, on_control, zygote, &zygote->watch, err);
    if (status == STATUS_OK) status = start_process(zygote, program, app, state, ends[1], writer, err);
    if (ends[1] >= 0) close(ends[1]);
    if (writer >= 0) close(writer);
    if (status == STATUS_OK)
        *out = zygote;
    else
        zygote_close(zygote);
    return status;
}

enum status zygote_prepare(struct loop *loop, const char *program, struct zygote **spare, struct err *err)
{
    /* Room for the longest name of an app. */
    char name[BOUND_NAME_BYTES_MAX + sizeof "stateless"];
    memset(name, '-', sizeof name - 1);
    memcpy(name, "spare", strlen("spare"));
    name[sizeof name - 1] = 0;
    return start(loop, program, name, NULL, spare, err);
}

bool zygote_is_dead(const struct zygote *zygote)
{
    return zygote->dead;
}

bool zygote_fits(const struct zygote_config *config)
{
    return config->sandbox.profile == SANDBOX_STRICT && config->sandbox.mount_count == 0;
}

enum status zygote_claim(struct zygote *zygote, const struct zygote_config *config,
                         const struct zygote_handler *handler, void *ctx, struct err *err)
{
    CHECK(!zygote->handler);
    if (zygote->dead) return err_set(err, STATUS_UNAVAILABLE, "the zygote has gone");
    TRY(send_setup(zygote, config, err));
    zygote->handler = handler;
    zygote->ctx = ctx;
    zygote->artifact = mem_strdup(config->artifact_name);
    zygote->load_timeout_ms = config->load_timeout_ms;
    output_listen(zygote->output, true);
    loop_watch_set(zygote->watch, LOOP_READABLE);
    loop_timer_start(zygote->loop, &zygote->timer, config->load_timeout_ms, 0);
    return STATUS_OK;
}

enum status zygote_start(const struct zygote_config *config, const struct zygote_handler *handler, void *ctx,
                         struct zygote **out, struct err *err)
{
    struct zygote *zygote;
    TRY(start(config->loop, config->program, config->app, config->data_fd >= 0 ? "state" : "stateless",
              &zygote, err));
    enum status status = zygote_claim(zygote, config, handler, ctx, err);
    if (status == STATUS_OK)
        *out = zygote;
    else
        zygote_close(zygote);
    return status;
}

enum status zygote_spawn(struct zygote *zygote, uint64_t number, int link_fd, int output_fd, struct err *err)
{
    if (zygote->failed) return err_set(err, STATUS_UNAVAILABLE, "the zygote has gone");
    struct control_message message = {.kind = CONTROL_SPAWN, .number = number};
    int fds[] = {link_fd, output_fd};
    return control_send(zygote->control, &message, fds, 2, err);
}

void zygote_condemn(struct zygote *zygote, const char *words)
{
    fail(zygote, STATUS_FUNCTION_START_FAILED, words);
}

pid_t zygote_pid(const struct zygote *zygote)
{
    return child_pid(zygote->child);
}

void zygote_close(struct zygote *zygote)
{
    if (!zygote) return;
    if (zygote->child) child_kill(zygote->child, SIGKILL);
    child_close(zygote->child);
    loop_timer_stop(&zygote->timer);
    loop_watch_close(zygote->watch);
    if (zygote->control >= 0) close(zygote->control);
    output_close(zygote->output);
    free(zygote->artifact);
    free(zygote);
}
