/* main.c - the program stead-zygote: loads one version of an app and forks its workers. */
// SPDX-License-Identifier: Apache-2.0
//
// One thread, no event loop library. The order of the steps is the point:
//
//     set-up from the daemon -> namespaces and a root of its own
//     open the state -> copy the artifact                             still trusted, with the daemon's rights
//     enter the sandbox                                               no way back
//     load user code                                                  its static initialisers run
//     serve: fork a worker for each SPAWN, reap, report
//
// Started without the name of an app it is a spare: it makes namespaces and root, which are the same for most apps, and
// then waits for the set-up. So does a child of it, the first worker: when somebody waits for one it gets set-up and SPAWN at
// once, goes the same way down to user code, beside the zygote and not after it, and serves. A fork of the loaded zygote
// would come later by loading and fork, and would touch all its pages anew; from the second worker on there are only forks.
//
// It ends when the daemon closes the control socket or dies, and its workers die with it.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/map.h"
#include "runtime/sandbox/broker.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/zygote/control.h"
#include "runtime/zygote/loader.h"
#include "sdk/src/snapshot_lmdb.h"
#include "sdk/src/worker_loop.h"

enum {
    WORKERS_MAX = 4096,
    /* Data that the SDK needs beside what user code allocates: frames with the largest body, in and out. */
    SDK_DATA_BYTES = 48 * 1024 * 1024,
    LOADED_BYTES = 1024 * 1024 * 1024, /* what libraries and initialisers of user code may have */
    REHEARSED_STACK_BYTES = 32 * 1024,
    REHEARSED_HEAP_BYTES = 32 * 1024,
    REHEARSED_STEP = 4096, /* the smallest page that there is */
    HEAD_START_MS = 10, /* for the first worker of a spare, before the zygote loads the code, too */
    MAPPED_BYTES = 32 * 1024 * 1024, /* that are no data: stacks, moves of large blocks */
};

struct zygote_worker {
    pid_t pid; /* 0: free place */
    uint64_t number; /* 0: nobody has asked for it */
};

/* What it was started as. */
struct program {
    bool spare;
    char *name; /* where the name of an app goes */
    size_t name_room;
};

struct app {
    struct control_setup setup;
    bool with_state;
    stead__handler_fn *handlers; /* of setup.functions, in their order */
    struct map functions; /* name -> 1 + index */
    struct stead__snapshot *snapshot; /* NULL: no state */
    int broker; /* socket to it; -1: none */
    struct sandbox_config
        sandbox; /* of the workers; setup.functions[].memory_bytes are totals after loading */
};

struct service {
    struct app app;
    pid_t pid;
    int reaper; /* signalfd of SIGCHLD */
    struct zygote_worker workers[WORKERS_MAX];
    /* Shared with the workers: a byte for each place, set by a worker that crashes for want of memory. */
    volatile uint8_t *refused_memory;
    struct zygote_worker *first; /* of a spare, until it is asked for or sent away; NULL: none */
    int first_socket; /* to it */
};

/* ---- the worker ---- */

struct worker_self {
    struct app *app;
    uint64_t memory_bytes; /* the limit that was set last; UINT64_MAX: none yet */
    volatile uint8_t *refused_memory;
};

static stead__handler_fn lookup(void *ctx, struct slice function)
{
    struct worker_self *self = ctx;
    uintptr_t place = (uintptr_t)map_get(&self->app->functions, function);
    if (!place) return NULL;
    /* Only when it changes: two system calls would be a tenth of a short run. */
    uint64_t memory_bytes = self->app->setup.functions[place - 1].memory_bytes;
    if (memory_bytes != self->memory_bytes) sandbox_limit_memory(memory_bytes);
    self->memory_bytes = memory_bytes;
    errno = 0; /* so that ENOMEM in a crash means that this run was refused memory */
    return self->app->handlers[place - 1];
}

/* Inside of a caller's worker it has the caller's memory: and its time, so only one with the same limit and no less time may. */
static stead__handler_fn lookup_inside(void *ctx, struct slice caller, struct slice function,
                                       uint32_t left_ms)
{
    struct worker_self *self = ctx;
    uintptr_t from = (uintptr_t)map_get(&self->app->functions, caller);
    uintptr_t to = (uintptr_t)map_get(&self->app->functions, function);
    const struct control_function *functions = self->app->setup.functions;
    bool may = from && to && functions[to - 1].inside_ms >= left_ms && left_ms > 0 &&
               functions[from - 1].memory_bytes == functions[to - 1].memory_bytes;
    return may ? self->app->handlers[to - 1] : NULL;
}

/* In the signal handler. Code that does not look at what malloc returned crashes with errno as malloc left it; code that
 * did other things since is recognised by having no room left at all. */
static void on_fatal(void *ctx, int signal)
{
    struct worker_self *self = ctx;
    bool refused = errno == ENOMEM;
    if (!refused)
    {
        void *probe = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        refused = probe == MAP_FAILED;
        if (!refused) munmap(probe, MIB);
    }
    if (refused) *self->refused_memory = 1;
    (void)signal; /* any: what counts is why */
}

static _Noreturn void become_worker(struct service *service, volatile uint8_t *refused_memory, const int *fds,
                                    int broker)
{
    dup2(fds[1], STDOUT_FILENO);
    dup2(fds[1], STDERR_FILENO);
    dup2(fds[0], WORKER_FD_LINK);
    if (broker >= 0) dup2(broker, WORKER_FD_BROKER); /* the lower ones are taken: it is not in the way */
    /* Control socket, artifact and the state's file, too: it is mapped. */
    sandbox_close_from(broker >= 0 ? WORKER_FD_BROKER + 1 : WORKER_FD_BROKER);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    struct err err = ERR_INIT;
    if (sandbox_enter_worker(&service->app.sandbox, service->pid, &err) != STATUS_OK)
    {
        fprintf(stderr, "worker: %s\n", err_text(&err));
        _exit(127);
    }
    struct worker_self self = {
        .app = &service->app, .memory_bytes = UINT64_MAX, .refused_memory = refused_memory};
    int status = stead__worker_run(&(struct stead__worker_config){
        .link_fd = WORKER_FD_LINK,
        .broker_fd = broker >= 0 ? WORKER_FD_BROKER : 0,
        .snapshot = service->app.snapshot,
        .lookup = lookup,
        .lookup_inside = lookup_inside,
        .lookup_ctx = &self,
        .on_fatal = on_fatal,
        .fatal_ctx = &self,
    });
    fflush(NULL);
    _exit(status); /* static destructors of user code belong to no invocation */
}

/* ---- the service ---- */

static void tell(const struct control_message *message, const int *fds, size_t count)
{
    struct err err = ERR_INIT;
    if (control_send(ZYGOTE_FD_CONTROL, message, fds, count, &err) == STATUS_OK) return;
    _exit(0); /* the daemon has gone */
}

static void tell_failure(enum control_kind kind, uint64_t number, const struct err *err)
{
    struct control_message message = {.kind = kind, .number = number, .status = err->status};
    const char *text = err_text(err);
    message.text_size = (uint32_t)strnlen(text, CONTROL_TEXT_MAX);
    memcpy(message.text, text, message.text_size);
    tell(&message, NULL, 0);
}

static struct zygote_worker *free_place(struct service *service)
{
    for (size_t i = 0; i < WORKERS_MAX; i++)
        if (!service->workers[i].pid) return &service->workers[i];
    return NULL;
}

static enum status tell_of(struct zygote_worker *worker, uint64_t number, struct err *err)
{
    worker->number = number;
    int pidfd = pidfd_open(worker->pid, 0); /* it is not reaped yet: this is the one that we forked */
    if (pidfd < 0) /* nobody could watch it; it ends by itself when the daemon closes its link */
        return err_errno(err, STATUS_NO_RESOURCES, errno, "watch a worker");
    tell(&(struct control_message){.kind = CONTROL_SPAWNED, .number = number}, &pidfd, 1);
    close(pidfd);
    return STATUS_OK;
}

static enum status fork_worker(struct service *service, uint64_t number, const int *fds, struct err *err)
{
    struct zygote_worker *worker = free_place(service);
    if (!worker) return err_set(err, STATUS_NO_RESOURCES, "the app has %d workers already", (int)WORKERS_MAX);
    int broker = -1;
    if (service->app.broker >= 0) TRY(broker_open(service->app.broker, &broker, err));
    volatile uint8_t *refused_memory = &service->refused_memory[worker - service->workers];
    *refused_memory = 0;
    fflush(NULL); /* what is buffered must not come out twice */
    pid_t pid = fork();
    if (pid == 0) become_worker(service, refused_memory, fds, broker);
    int failure = errno;
    if (broker >= 0) close(broker);
    if (pid < 0) return err_errno(err, STATUS_NO_RESOURCES, failure, "fork a worker");
    worker->pid = pid;
    return tell_of(worker, number, err);
}

static void reap(struct service *service)
{
    struct signalfd_siginfo info;
    while (read(service->reaper, &info, sizeof info) > 0) continue;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    {
        size_t i = 0;
        while (i < WORKERS_MAX && service->workers[i].pid != pid) i++;
        if (i == WORKERS_MAX) continue; /* a child that an initialiser of user code made */
        service->workers[i].pid = 0;
        if (service->workers[i].number == 0) continue;
        tell(
            &(struct control_message){
                .kind = CONTROL_EXITED,
                .number = service->workers[i].number,
                .code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                .out_of_memory = service->refused_memory[i] != 0,
            },
            NULL, 0);
        service->workers[i].number = 0;
    }
}

static bool receive_spawn(struct control_message *request, int fds[CONTROL_FDS_MAX])
{
    enum control_event event = control_receive(ZYGOTE_FD_CONTROL, request, fds);
    if (event == CONTROL_NOTHING) return false;
    if (event != CONTROL_MESSAGE || request->kind != CONTROL_SPAWN || fds[1] < 0)
        _exit(0); /* who sends it has gone */
    return true;
}

static void spawn(struct service *service, const struct control_message *request, const int *fds)
{
    struct err err = ERR_INIT;
    if (fork_worker(service, request->number, fds, &err) != STATUS_OK)
        tell_failure(CONTROL_SPAWN_FAILED, request->number, &err);
}

static void serve_request(struct service *service)
{
    struct control_message request;
    int fds[CONTROL_FDS_MAX];
    if (!receive_spawn(&request, fds)) return;
    spawn(service, &request, fds);
    close(fds[0]);
    close(fds[1]);
}

static _Noreturn void serve(struct service *service)
{
    struct pollfd watched[] = {
        {.fd = ZYGOTE_FD_CONTROL, .events = POLLIN},
        {.fd = service->reaper, .events = POLLIN},
    };
    reap(service); /* of what has ended meanwhile */
    for (;;)
    {
        if (poll(watched, 2, -1) < 0 && errno != EINTR) _exit(1);
        if (watched[1].revents) reap(service);
        if (watched[0].revents) serve_request(service);
    }
}

/* ---- the way there ---- */

/* What comes with the set-up gets these numbers, and nothing else meanwhile. */
static void reserve_fds(void)
{
    (void)dup2(STDERR_FILENO, ZYGOTE_FD_ARTIFACT); /* it may fail only for want of numbers: these are low */
    (void)dup2(STDERR_FILENO, ZYGOTE_FD_DATA);
}

static void move_fd(int from, int to)
{
    if (from >= 0)
        (void)dup2(from, to); /* as above */
    else
        close(to);
    if (from >= 0) close(from);
}

static enum status receive_setup(struct app *app, struct slice *packet, pid_t daemon, struct err *err)
{
    int fds[CONTROL_FDS_MAX];
    if (control_receive_setup(ZYGOTE_FD_CONTROL, packet, fds) != CONTROL_MESSAGE)
        _exit(0); /* the daemon has gone */
    move_fd(fds[0], ZYGOTE_FD_ARTIFACT);
    move_fd(fds[1], ZYGOTE_FD_DATA);
    app->with_state = fds[1] >= 0;
    TRY(control_setup_decode(*packet, &app->setup, err)); /* borrows the packet for ever */
    if (app->setup.daemon == daemon) return STATUS_OK;
    return err_set(err, STATUS_UNAVAILABLE, "the parent process has gone");
}

/* A spare had room for the name of its app among its arguments. */
static void show_name(const struct program *self, const struct app *app)
{
    const char *name = app->setup.app, *kind = app->with_state ? "state" : "stateless";
    size_t name_size = strlen(name) + 1, kind_size = strlen(kind) + 1;
    if (!self->spare || name_size + kind_size > self->name_room) return;
    memset(self->name, 0, self->name_room);
    memcpy(self->name, name, name_size);
    memcpy(self->name + name_size, kind, kind_size);
}

/* Limits of user code count from what the process has after loading. */
static void set_memory_limits(struct app *app, int usage_fd)
{
    struct sandbox_usage usage;
    sandbox_usage_read(usage_fd, &usage);
    uint64_t base = usage.data_bytes + SDK_DATA_BYTES;
    uint64_t largest = 0;
    bool unlimited = app->setup.function_count == 0;
    for (size_t i = 0; i < app->setup.function_count; i++)
    {
        uint64_t *bytes = &app->setup.functions[i].memory_bytes;
        if (!*bytes)
        {
            unlimited = true;
            continue;
        }
        *bytes += base;
        if (*bytes > largest) largest = *bytes;
    }
    app->sandbox = app->setup.sandbox;
    app->sandbox.memory_bytes = unlimited ? 0 : largest;
    if (!unlimited && usage.address_bytes)
        app->sandbox.address_bytes = usage.address_bytes + largest + MAPPED_BYTES;
}

/* Initialisers of user code have no limit of their own in the manifest; this one holds whatever they do. */
static enum status cap_loading(const struct control_setup *setup, int usage_fd, struct err *err)
{
    struct sandbox_usage usage;
    sandbox_usage_read(usage_fd, &usage);
    uint64_t largest = 0;
    for (size_t i = 0; i < setup->function_count; i++)
    {
        if (!setup->functions[i].memory_bytes) return STATUS_OK;
        if (setup->functions[i].memory_bytes > largest) largest = setup->functions[i].memory_bytes;
    }
    if (setup->function_count == 0 || setup->sandbox.profile == SANDBOX_NONE) return STATUS_OK;
    return sandbox_cap_memory(usage.data_bytes + SDK_DATA_BYTES + largest + LOADED_BYTES, err);
}

/* Into namespaces and a root of its own. */
static enum status move_in(const struct sandbox_config *config, struct sandbox_place *place, struct err *err)
{
    TRY(sandbox_isolate(config, place, err));
    return sandbox_build_root(config, place, err);
}

/* Through the machine's /proc, from within a root that has none. */
static enum status open_state(struct app *app, const struct sandbox_place *place, struct err *err)
{
    if (!app->with_state) return STATUS_OK;
    if (place->proc < 0) return stead__snapshot_open(&app->snapshot, ZYGOTE_FD_DATA, "/proc", err);
    if (fchdir(place->proc) != 0) return err_errno(err, STATUS_UNSUPPORTED, errno, "enter /proc");
    TRY(stead__snapshot_open(&app->snapshot, ZYGOTE_FD_DATA, ".", err));
    return chdir("/") == 0 ? STATUS_OK : err_errno(err, STATUS_UNSUPPORTED, errno, "enter the root");
}

/* From here on nothing is trusted. `copy`: of the artifact, -1: it lies in the root. */
static enum status load_code(struct app *app, struct sandbox_place *place, int copy, struct err *err)
{
    struct control_setup *setup = &app->setup;
    int usage = sandbox_usage_open(place);
    TRY(cap_loading(setup, usage, err));
    TRY(sandbox_enter_zygote(&setup->sandbox, place, err));
    for (size_t i = 0; i < setup->env_count; i++) putenv((char *)setup->env[i]);
    app->handlers = mem_zalloc((setup->function_count + 1) * sizeof *app->handlers);
    TRY(loader_load(copy, setup->artifact, setup->functions, setup->function_count, app->handlers, err));
    if (copy >= 0) close(copy);
    close(ZYGOTE_FD_ARTIFACT);
    for (size_t i = 0; i < setup->function_count; i++)
        (void)map_put(&app->functions, slice_cstr(setup->functions[i].name), (void *)(uintptr_t)(i + 1));
    set_memory_limits(app, usage);
    close(usage);
    return STATUS_OK;
}

/* ---- the first worker of a spare ---- */

/* The first use of a page in a process is a fault, which costs more than most system calls: so what the way to user code uses
 * is used once while nobody waits. */
static void rehearse(const struct sandbox_place *place)
{
    volatile char stack[REHEARSED_STACK_BYTES];
    for (size_t i = 0; i < sizeof stack; i += REHEARSED_STEP) stack[i] = 0;
    volatile char *heap = mem_alloc(REHEARSED_HEAP_BYTES);
    for (size_t i = 0; i < REHEARSED_HEAP_BYTES; i += REHEARSED_STEP) heap[i] = 0;
    free((void *)heap);
    struct err err = ERR_INIT;
    struct app nothing = {.with_state = true};
    enum status status = open_state(&nothing, place, &err);
    if (status != STATUS_OK) status = loader_load(-1, "", NULL, 0, NULL, &err);
    (void)status; /* there is neither state nor code */
    int usage = sandbox_usage_open(place);
    sandbox_usage_read(usage, &(struct sandbox_usage){0});
    close(usage);
    if (chdir("/") != 0) _exit(1);
}

/* The zygote, in the place of the daemon, has sent its set-up, and sends its SPAWN when the artifact is in the root. The
 * socket is closed before user code could have it. What fails here fails in the zygote, too, which tells it better. */
static enum status become_ready(struct service *service, const struct program *self,
                                struct sandbox_place *place, pid_t daemon, int fds[CONTROL_FDS_MAX],
                                struct err *err)
{
    struct slice packet;
    rehearse(place);
    TRY(receive_setup(&service->app, &packet, daemon, err));
    show_name(self, &service->app);
    TRY(open_state(&service->app, place, err));
    struct control_message request;
    if (!receive_spawn(&request, fds)) _exit(0);
    close(ZYGOTE_FD_CONTROL);
    dup2(fds[1], STDOUT_FILENO); /* initialisers print, too */
    dup2(fds[1], STDERR_FILENO);
    place->parent = service->pid;
    return load_code(&service->app, place, -1, err);
}

static _Noreturn void become_first(struct service *service, const struct program *self,
                                   struct sandbox_place *place, pid_t daemon, int socket)
{
    dup2(socket, ZYGOTE_FD_CONTROL);
    close(socket);
    service->app.broker = -1;
    int fds[CONTROL_FDS_MAX];
    struct err err = ERR_INIT;
    if (become_ready(service, self, place, daemon, fds, &err) != STATUS_OK)
    {
        fprintf(stderr, "worker: %s\n", err_text(&err));
        _exit(127);
    }
    become_worker(service, &service->refused_memory[service->first - service->workers], fds, -1);
}

/* Without one the first worker is forked like the others. */
static void fork_first(struct service *service, const struct program *self, struct sandbox_place *place,
                       pid_t daemon)
{
    int ends[2];
    if (!place->inside || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
    service->first = free_place(service);
    fflush(NULL); /* what is buffered must not come out twice */
    pid_t pid = fork();
    if (pid == 0)
    {
        close(ends[0]);
        become_first(service, self, place, daemon, ends[1]);
    }
    close(ends[1]);
    if (pid < 0)
    {
        close(ends[0]);
        service->first = NULL;
        return;
    }
    service->first->pid = pid;
    service->first_socket = ends[0];
}

/* It goes its way from here on, or ends because nobody needs it. */
static void leave_first(struct service *service)
{
    if (service->first) close(service->first_socket);
    service->first = NULL;
}

static bool send_first_setup(struct service *service, struct slice packet)
{
    if (!service->first || !service->app.setup.worker_follows) return false;
    int fds[] = {ZYGOTE_FD_ARTIFACT, ZYGOTE_FD_DATA};
    return control_send_setup(service->first_socket, packet, fds, service->app.with_state ? 2 : 1, NULL) ==
           STATUS_OK;
}

/* The daemon's next message is a SPAWN: a promise. */
static void start_first(struct service *service)
{
    struct control_message request;
    int fds[CONTROL_FDS_MAX];
    if (!receive_spawn(&request, fds)) return;
    struct err err = ERR_INIT;
    if (control_send(service->first_socket, &request, fds, 2, &err) != STATUS_OK ||
        tell_of(service->first, request.number, &err) != STATUS_OK)
        tell_failure(CONTROL_SPAWN_FAILED, request.number, &err);
    close(fds[0]);
    close(fds[1]);
    leave_first(service);
    /* Whoever waits, waits for that one: the zygote would only take its processor. But a second wish does not wait. */
    struct pollfd more = {.fd = ZYGOTE_FD_CONTROL, .events = POLLIN};
    (void)poll(&more, 1, HEAD_START_MS); /* interrupted: earlier than meant */
}

/* ---- the zygote itself ---- */

static enum status load(const struct program *self, struct service *service, struct err *err)
{
    struct app *app = &service->app;
    pid_t daemon = getppid();
    struct sandbox_place place = {.parent = daemon};
    struct slice packet;
    if (self->spare)
    {
        TRY(move_in(&(struct sandbox_config){.profile = SANDBOX_STRICT}, &place, err));
        service->pid = getpid();
        fork_first(service, self, &place, daemon);
        TRY(receive_setup(app, &packet, daemon, err));
        show_name(self, app);
    }
    else
    {
        TRY(receive_setup(app, &packet, daemon, err));
        TRY(move_in(&app->setup.sandbox, &place, err));
        service->pid = getpid();
    }
    app->broker = place.broker;
    bool first = send_first_setup(service, packet);
    int copy = -1;
    TRY(loader_copy(ZYGOTE_FD_ARTIFACT, app->setup.artifact, place.root, &copy, err));
    if (first) start_first(service);
    leave_first(service); /* who was not asked for ends */
    TRY(open_state(app, &place, err));
    return load_code(app, &place, copy, err);
}

static enum status prepare_service(struct service *service, struct err *err)
{
    void *shared = mmap(NULL, WORKERS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return err_errno(err, STATUS_NO_RESOURCES, errno, "map shared memory");
    service->refused_memory = shared;
    return STATUS_OK;
}

static enum status watch_workers(struct service *service, struct err *err)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    service->reaper = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return service->reaper >= 0 ? STATUS_OK
                                : err_errno(err, STATUS_NO_RESOURCES, errno, "watch for ended workers");
}

#if defined(__SANITIZE_ADDRESS__)
/* The search for leaks forks, which a worker may not, and would turn its exit code into another one. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3)
    {
        fputs("stead-zygote is started by steadd; it is of no use by itself\n", stderr);
        return 2;
    }
    /* The arguments are for `ps`: the app, and whether it has state; of a spare one, which has room for these. */
    struct program self = {.spare = argc == 2, .name = argv[1], .name_room = strlen(argv[1]) + 1};
    /* Symbols were bound at the start: else each worker would look up and write the same ones again. */
    unsetenv("LD_BIND_NOW");
    sandbox_close_from(ZYGOTE_FD_CONTROL + 1);
    reserve_fds();
    setvbuf(stdout, NULL, _IOLBF, 0); /* a crash must not eat the lines before it */

    struct service *service = mem_zalloc(sizeof *service);
    struct err err = ERR_INIT;
    enum status status = prepare_service(service, &err);
    if (status == STATUS_OK) status = load(&self, service, &err);
    if (status == STATUS_OK) status = watch_workers(service, &err);
    if (status != STATUS_OK)
    {
        tell_failure(CONTROL_FAILED, 0, &err);
        return 1;
    }
    tell(&(struct control_message){.kind = CONTROL_LOADED}, NULL, 0);
    serve(service);
}
