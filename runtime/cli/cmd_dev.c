/* cmd_dev.c - the loop of development: a node, build, deploy, watch, again; logs meanwhile. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/cli/client.h"
#include "runtime/cli/cmd_deploy.h"
#include "runtime/cli/place.h"
#include "runtime/cli/watch.h"

enum { SETTLE_MS = 150 /* an editor writes several files at once */, NODE_START_MS = 10000 };

struct dev {
    struct cli_line *line;
    const char *dir;
    struct buf socket; /* of the node, for the programs that are started */
    pid_t node; /* 0: it was there before */
    int node_log; /* its standard error; -1 */
    struct buf node_text; /* of it, before the address is known */
    char address[128];
    pid_t logs;
    int signals;
    struct watch *watch;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("-- ", stdout);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* ---- programs ---- */

/* Starts a program beside this one; it ends with us. `log` may be the write end of a pipe for its standard error. */
static pid_t start(const char *name, const char *const *argv, int log)
{
    struct buf path = BUF_INIT;
    program_beside(&path, name);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
    {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(EXIT_LOCAL);
        setpgid(0, 0); /* Ctrl-C is ours: children are ended in order */
        if (log >= 0) dup2(log, STDERR_FILENO);
        execv(buf_cstr(&path), (char *const *)argv);
        _exit(EXIT_LOCAL);
    }
    buf_fini(&path);
    return pid;
}

static void end(pid_t *pid)
{
    if (*pid <= 0) return;
    kill(*pid, SIGTERM);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *pid = 0;
}

static void start_logs(struct dev *dev, const char *app)
{
    const char *argv[] = {"stead", "logs", app, "--follow", "--tail", "0", "--admin", buf_cstr(&dev->socket),
                          NULL};
    dev->logs = start("stead", argv, -1);
}

/* ---- the node ---- */

/* Looks for the address in the node's log and passes the log on. False at its end. */
static bool node_log_read(struct dev *dev)
{
    char bytes[4096];
    ssize_t size = read(dev->node_log, bytes, sizeof bytes);
    if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EINTR);
    (void)!write(STDERR_FILENO, bytes, (size_t)size); /* a closed terminal is no reason to end */
    if (dev->address[0]) return true;
    buf_append(&dev->node_text, slice_make(bytes, (size_t)size));
    const char *text = buf_cstr(&dev->node_text);
    const char *listening = strstr(text, "node.listening");
    const char *address = listening ? strstr(listening, "address=") : NULL;
    if (address && strchr(address, '\n'))
        snprintf(dev->address, sizeof dev->address, "%.*s", (int)strcspn(address + 8, " \n"), address + 8);
    return true;
}

static enum cli_exit node_start(struct dev *dev)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) return cli_complain(EXIT_LOCAL, "pipe: %s", strerror(errno));
    const char *listen = cli_option(dev->line, "listen");
    const char *argv[] = {"steadd",
                          "--data",
                          cli_data_dir(dev->line),
                          "--admin",
                          buf_cstr(&dev->socket),
                          "--listen",
                          listen ? listen : "127.0.0.1:8080",
                          NULL};
    dev->node = start("steadd", argv, pipe_ends[1]);
    close(pipe_ends[1]);
    dev->node_log = pipe_ends[0];
    while (!dev->address[0])
    {
        struct pollfd wait = {.fd = dev->node_log, .events = POLLIN};
        if (poll(&wait, 1, NODE_START_MS) == 0)
            return cli_complain(EXIT_UNREACHABLE, "the node did not get ready within %d s",
                                NODE_START_MS / 1000);
        if (!node_log_read(dev)) return cli_complain(EXIT_UNREACHABLE, "the node ended; its words are above");
    }
    return EXIT_DONE;
}

static void node_find(struct dev *dev)
{
    json_t *json = NULL;
    if (client_json(dev->line, &(struct client_request){.method = "GET", .path = "/v1/health"}, &json) ==
        EXIT_DONE)
    {
        const char *listen = json_string_value(json_object_get(json, "listen"));
        if (listen) snprintf(dev->address, sizeof dev->address, "%s", listen);
    }
    json_decref(json);
}

/* ---- build and deploy ---- */

static void show_addresses(const struct dev *dev, const struct manifest *manifest)
{
    if (!dev->address[0]) return;
    for (size_t i = 0; i < manifest->function_count; i++)
        say("curl -X POST http://%s/%s/%s", dev->address, manifest->app, manifest->functions[i].name);
    for (size_t i = 0; i < manifest->route_count; i++)
        say("%-6s http://%s%s", manifest->routes[i].method, dev->address, manifest->routes[i].path);
}

/* What fails is said, and the next change tries again. */
static void round_run(struct dev *dev)
{
    struct app_dir app;
    json_t *json = NULL;
    if (app_dir_open(&app, dev->dir) != EXIT_DONE) return;
    if (app_dir_build(&app) == EXIT_DONE && app_dir_upload(dev->line, &app, &json) == EXIT_DONE)
    {
        app_dir_report(dev->line, json);
        if (!dev->logs)
        {
            show_addresses(dev, app.manifest);
            start_logs(dev, app.manifest->app);
        }
    }
    fflush(stdout);
    json_decref(json);
    app_dir_close(&app);
}

/* ---- the loop ---- */

static bool ended_by_signal(struct dev *dev)
{
    struct signalfd_siginfo info;
    while (read(dev->signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD) return true;
    if (dev->logs && waitpid(dev->logs, NULL, WNOHANG) == dev->logs) dev->logs = 0;
    if (dev->node && waitpid(dev->node, NULL, WNOHANG) == dev->node)
    {
        dev->node = 0;
        say("the node has ended");
        return true;
    }
    return false;
}

static void watch_loop(struct dev *dev)
{
    bool changed = false;
    for (;;)
    {
        struct pollfd waits[] = {{.fd = dev->signals, .events = POLLIN},
                                 {.fd = watch_fd(dev->watch), .events = POLLIN},
                                 {.fd = dev->node_log, .events = POLLIN}};
        int ready = poll(waits, 3, changed ? SETTLE_MS : -1);
        if (ready < 0 && errno != EINTR) return;
        if (ready == 0 && changed)
        {
            changed = false;
            round_run(dev);
            (void)watch_read(dev->watch); /* what the build itself wrote is no change */
        }
        if (waits[0].revents && ended_by_signal(dev)) return;
        if (waits[1].revents) changed |= watch_read(dev->watch);
        if (waits[2].revents && !node_log_read(dev)) dev->node_log = -1;
    }
}

static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

enum cli_exit cmd_dev(struct cli_line *line)
{
    struct dev dev = {.line = line, .dir = line->arg_count ? line->args[0] : ".", .node_log = -1};
    struct app_dir app;
    enum cli_exit code = app_dir_open(&app, dev.dir); /* before anything is started */
    if (code != EXIT_DONE) return code;
    app_dir_close(&app);
    client_socket(line, &dev.socket);
    dev.signals = signals_open();
    dev.watch = watch_open(dev.dir);
    if (!dev.watch)
        code = EXIT_LOCAL;
    else if (client_alive(line))
        node_find(&dev);
    else
        code = node_start(&dev);
    if (code == EXIT_DONE)
    {
        round_run(&dev);
        (void)watch_read(dev.watch);
        say("watching %s; Ctrl-C ends", dev.dir);
        watch_loop(&dev);
    }
    end(&dev.logs);
    end(&dev.node);
    watch_close(dev.watch);
    if (dev.node_log >= 0) close(dev.node_log);
    close(dev.signals);
    buf_fini(&dev.node_text);
    buf_fini(&dev.socket);
    return code;
}
