/* worker_loop.c - frames in, handlers run one at a time, results out; and what happens to results when one dies. */
// SPDX-License-Identifier: Apache-2.0
//
// When results are written. One write for several results halves the cost of a short invocation, so they
// are collected while more frames are at hand. But the daemon takes the first invocation without a
// result for the one that a worker died of or hangs in, so nothing that is finished may be held back by
// what comes after it:
// - before a handler runs, all is written, unless the function was short the last time (RUN_SHORT_NS) and
//   the oldest result waits for less than HOLD_NS;
// - a fatal signal and exit() in a handler write what is finished before the process ends.
//
// Asking. A handler that waits for an answer reads on, into a buffer of its own: the frame that it runs from stays where it is. What
// was behind that frame goes with it, since it is void from the first wish on (wire.h): the daemon has taken it back.
#include "sdk/src/worker_loop.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "messaging/wire/wire.h"
#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "sdk/src/ctx.h"
#include "sdk/src/snapshot_lmdb.h"

enum {
    READ_BYTES = 64 * KIB,
    WRITE_AT_BYTES = 64 * KIB,
    BUFFER_BYTES_KEPT = 1 * MIB,
    RUN_SHORT_NS = 50 * 1000,
    HOLD_NS = 100 * 1000,
    METER_NS = 100 * 1000, /* shorter runs: wall time is taken for CPU time, see measure() */
    SIGNAL_STACK_BYTES = 64 * KIB,
};

struct worker {
    const struct stead__worker_config *config;
    struct stead_ctx ctx;
    struct wire_invoke invoke;
    struct wire_result result;
    struct buf in;
    size_t in_taken; /* bytes of `in` that were worked on */
    size_t in_running; /* bytes of `in` up to the end of the frame that is being run */
    struct buf mail; /* read while a handler waits: answers, and frames that come after */
    size_t mail_taken;
    uint32_t asks; /* of the running handler */
    uint32_t answers_due;
    struct buf out; /* whole frames, not yet written */
    uint64_t out_since_ns; /* when the oldest result in `out` was finished; 0: none waits */
    char short_function[BOUND_NAME_BYTES_MAX + 1]; /* whose last run was short; "" for none */
    uint64_t cpu_mark_ns; /* CPU time of the process at the last look */
    uint64_t cpu_counted_ns; /* counted for short runs since then */
    uint32_t peak_kib;
    volatile sig_atomic_t in_handler; /* a handler runs: `out` is whole and at rest */
    struct err err;
    char *signal_stack; /* not a part of this: nobody shall touch its pages before it is needed */
};

_Static_assert((int)STEAD_DEBUG == LOG_DEBUG && (int)STEAD_ERROR == LOG_ERROR &&
                   (int)LOG_ERROR == (int)WIRE_LOG_LEVEL_MAX,
               "levels of functions, of frames and of the node are the same numbers");

/* The one worker of this process, for signal and exit handlers, which get no argument. */
static struct worker *the_worker;

/* ---- the link ---- */

/* The daemon is gone when the link fails: nobody is left to tell. */
static void link_lost(void)
{
    _exit(0);
}

/* A read(2) that blocks is also woken when the daemon takes a result, since that gives room in the other direction: for
 * nothing, once in every invocation. poll(2) is woken only by what it waits for. Where the link blocks nobody comes here. */
static void wait_for_link(int fd, short events)
{
    struct pollfd link = {.fd = fd, .events = events};
    (void)poll(&link, 1, -1); /* whatever it says, the call that follows says it better */
}

static void write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0)
    {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN)
        {
            wait_for_link(fd, POLLOUT);
            continue;
        }
        if (written <= 0) link_lost();
        bytes += written;
        size -= (size_t)written;
    }
}

static void flush(struct worker *worker)
{
    write_all(worker->config->link_fd, worker->out.data, worker->out.size);
    if (worker->out.capacity > BUFFER_BYTES_KEPT)
        buf_fini(&worker->out);
    else
        buf_reset(&worker->out);
    worker->out_since_ns = 0;
}

/* Makes room and reads once. False at the end of the link. `need` is the size of the frame that has
 * begun behind the `taken` bytes. */
static bool read_more(struct worker *worker, struct buf *buf, size_t *taken, size_t need)
{
    buf_consume(buf, *taken);
    *taken = 0;
    if (buf->size == 0 && buf->capacity > BUFFER_BYTES_KEPT) buf_fini(buf);
    size_t room = need > buf->size + READ_BYTES ? need - buf->size : READ_BYTES;
    uint8_t *at = buf_reserve(buf, room);
    for (;;)
    {
        ssize_t got = read(worker->config->link_fd, at, room);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN)
        {
            wait_for_link(worker->config->link_fd, POLLIN);
            continue;
        }
        if (got <= 0) return false;
        buf->size += (size_t)got;
        return true;
    }
}

static bool receive(struct worker *worker, size_t need)
{
    return read_more(worker, &worker->in, &worker->in_taken, need);
}

/* ---- what a handler can do to the process ---- */

/* Sends what is finished; only write(2), poll(2) and reads of memory that is at rest, since it runs inside of
 * signals. */
static void send_finished(void)
{
    struct worker *worker = the_worker;
    if (!worker || !worker->in_handler) return;
    worker->in_handler = 0;
    write_all(worker->config->link_fd, worker->out.data, worker->out.size);
}

/* Which function it was at, when that is another than the one that the node knows of. */
static void say_inside(const char *function)
{
    static const char before[] = "stead: it was in the function ", after[] = ", which was called\n";
    ssize_t ignored = write(STDERR_FILENO, before, sizeof before - 1);
    ignored += write(STDERR_FILENO, function, strlen(function));
    ignored += write(STDERR_FILENO, after, sizeof after - 1);
    (void)ignored; /* last words, heard or not */
}

/* Ends by the same signal afterwards: SA_RESETHAND has put the default action back, and the instruction
 * that failed runs again, or abort() raises it again, or it is pending from this raise. */
static void on_fatal_signal(int number)
{
    const struct worker *worker = the_worker;
    const char *inside = worker && worker->in_handler ? worker->ctx.inside_state.running : NULL;
    if (inside) say_inside(inside);
    if (worker && worker->config->on_fatal) worker->config->on_fatal(worker->config->fatal_ctx, number);
    send_finished();
    raise(number);
}

static void catch_signals(struct worker *worker)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGXCPU};
    worker->signal_stack = mem_alloc(SIGNAL_STACK_BYTES);
    stack_t stack = {.ss_sp = worker->signal_stack, .ss_size = SIGNAL_STACK_BYTES};
    CHECK(sigaltstack(&stack, NULL) == 0); /* for handlers that ran out of stack */
    struct sigaction action = {.sa_handler = on_fatal_signal, .sa_flags = SA_RESETHAND | SA_ONSTACK};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        CHECK(sigaction(fatal[i], &action, NULL) == 0);
    CHECK(sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) == 0);
}

static void on_log(void *owner, uint64_t invocation, enum stead_log_level level, struct slice text)
{
    struct worker *worker = owner;
    worker->in_handler = 0; /* `out` is not at rest */
    wire_log_encode(&worker->out,
                    &(struct wire_log){.id = invocation, .level = (uint8_t)level, .text = text});
    flush(worker);
    worker->in_handler = 1;
}

/* ---- what a handler asks for ---- */

/* Nobody can go on with a daemon that does not speak the language. */
static _Noreturn void link_nonsense(const struct err *err)
{
    fprintf(stderr, "stead: worker: %s\n", err_text(err));
    _exit(1);
}

/* What has come behind the running frame, the beginning of another one perhaps, belongs to the mail. */
static void mail_behind(struct worker *worker)
{
    if (worker->in.size == worker->in_running) return;
    CHECK(worker->mail.size == 0);
    buf_append(&worker->mail,
               slice_make(worker->in.data + worker->in_running, worker->in.size - worker->in_running));
    worker->in.size = worker->in_running;
}

static uint32_t on_ask(void *owner, struct wire_ask *ask)
{
    struct worker *worker = owner;
    ask->id = worker->invoke.id;
    ask->ask = ++worker->asks;
    worker->in_handler = 0; /* `out` is not at rest */
    wire_ask_encode(&worker->out, ask);
    if (ask->kind == WIRE_ASK_PUBLISH)
        flush(worker); /* nothing waits for it, so nothing else would send it */
    else
    {
        worker->answers_due++;
        mail_behind(worker);
        if (worker->out.size >= WRITE_AT_BYTES) flush(worker);
    }
    worker->in_handler = 1;
    return ask->ask;
}

/* The next frame of the mail; waits for it. */
static struct slice next_mail(struct worker *worker)
{
    size_t need = 0;
    for (;;)
    {
        struct slice rest = {worker->mail.data + worker->mail_taken, worker->mail.size - worker->mail_taken};
        struct slice payload;
        bool whole;
        if (wire_frame_next(rest, &payload, &need, &whole, &worker->err) != STATUS_OK)
            link_nonsense(&worker->err);
        if (whole)
        {
            worker->mail_taken += need;
            return payload;
        }
        if (!read_more(worker, &worker->mail, &worker->mail_taken, need)) link_lost();
    }
}

static void on_answer(void *owner, struct wire_answer *answer)
{
    struct worker *worker = owner;
    CHECK(worker->answers_due > 0);
    worker->in_handler = 0;
    flush(worker);
    worker->in_handler = 1;
    for (;;)
    {
        struct slice payload = next_mail(worker);
        enum wire_type type;
        enum status status = wire_type_of(payload, &type, &worker->err);
        if (status == STATUS_OK && type == WIRE_INVOKE) continue; /* void: the daemon has taken it back */
        if (status == STATUS_OK) status = wire_answer_decode(payload, answer, &worker->err);
        if (status == STATUS_OK && (answer->id != worker->invoke.id || answer->ask > worker->asks))
            status = err_set(&worker->err, STATUS_FUNCTION_PROTOCOL, "an answer to nothing that was asked");
        if (status != STATUS_OK) link_nonsense(&worker->err);
        break;
    }
    worker->answers_due--;
}

/* After an answer the world may have moved on from the snapshot of this run: what is called then has to see that. */
static stead__handler_fn on_inside(void *owner, struct slice function, uint32_t left_ms)
{
    struct worker *worker = owner;
    const struct stead__worker_config *config = worker->config;
    if (!config->lookup_inside || worker->asks > 0 || worker->invoke.follows) return NULL;
    return config->lookup_inside(config->lookup_ctx, worker->invoke.function, function, left_ms);
}

/* What came while the handler waited is what comes next. */
static void open_mail(struct worker *worker)
{
    if (worker->mail.size == 0) return;
    struct buf done = worker->in;
    worker->in = worker->mail;
    worker->in_taken = worker->mail_taken;
    worker->mail = done;
    worker->mail_taken = 0;
    buf_reset(&worker->mail);
}

/* ---- usage ---- */

static uint64_t process_cpu_ns(void)
{
    struct timespec time;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void look_at_usage(struct worker *worker)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    worker->peak_kib = (uint32_t)usage.ru_maxrss;
    worker->cpu_mark_ns = process_cpu_ns();
    worker->cpu_counted_ns = 0;
}

/* Both figures cost a system call, more than a short run itself. Who runs shorter than METER_NS was
 * hardly ever interrupted, so its wall time is its CPU time; for the others the kernel is asked. */
static void measure(struct worker *worker, struct wire_result *result)
{
    uint64_t wall_ns = result->run_us * NS_PER_US;
    uint64_t cpu_ns = wall_ns;
    if (wall_ns >= METER_NS)
    {
        uint64_t since = worker->cpu_mark_ns + worker->cpu_counted_ns;
        look_at_usage(worker);
        cpu_ns = worker->cpu_mark_ns > since ? worker->cpu_mark_ns - since : 0;
        if (cpu_ns > wall_ns) cpu_ns = wall_ns;
    }
    else
        worker->cpu_counted_ns += cpu_ns;
    result->cpu_us = (uint32_t)(cpu_ns / NS_PER_US);
    result->peak_kib = worker->peak_kib;
}

/* ---- invocations ---- */

/* See the head of this file. */
static void flush_before_run(struct worker *worker)
{
    if (worker->out.size == 0) return;
    bool is_short = slice_is(worker->invoke.function, worker->short_function);
    if (is_short && clock_monotonic_ns(worker->ctx.clock) - worker->out_since_ns < HOLD_NS) return;
    flush(worker);
}

static void remember_if_short(struct worker *worker)
{
    struct slice name = worker->invoke.function;
    bool is_short = worker->result.run_us < RUN_SHORT_NS / NS_PER_US && name.size <= BOUND_NAME_BYTES_MAX;
    if (is_short && slice_is(name, worker->short_function)) return;
    if (!is_short) name = SLICE_EMPTY;
    if (name.size > 0) memcpy(worker->short_function, name.data, name.size);
    worker->short_function[name.size] = 0;
}

static enum status install_snapshot(struct worker *worker)
{
    if (!worker->config->snapshot || worker->invoke.meta.size == 0) return STATUS_OK;
    return stead__snapshot_install(worker->config->snapshot, worker->invoke.meta, worker->invoke.txn,
                                   &worker->err);
}

static enum status run_invocation(struct worker *worker)
{
    TRY(install_snapshot(worker));
    flush_before_run(worker);
    stead__handler_fn handler = worker->config->lookup(worker->config->lookup_ctx, worker->invoke.function);
    worker->asks = 0;
    worker->in_handler = 1;
    stead__ctx_run(&worker->ctx, &worker->invoke, handler, &worker->result);
    worker->in_handler = 0;
    measure(worker, &worker->result);
    remember_if_short(worker);
    if (worker->out_since_ns == 0) worker->out_since_ns = clock_monotonic_ns(worker->ctx.clock);
    wire_result_encode(&worker->out, &worker->result);
    stead__ctx_reset(&worker->ctx);
    if (worker->out.size >= WRITE_AT_BYTES) flush(worker);
    return STATUS_OK;
}

static enum status work_on(struct worker *worker, struct slice payload)
{
    enum wire_type type;
    TRY(wire_type_of(payload, &type, &worker->err));
    if (type != WIRE_INVOKE)
        return err_set(&worker->err, STATUS_FUNCTION_PROTOCOL, "a worker was sent a message of type %d",
                       type);
    TRY(wire_invoke_decode(payload, &worker->invoke, &worker->err));
    return run_invocation(worker);
}

/* Works on all whole frames; *need is then the size of the one that has begun. */
static enum status work(struct worker *worker, size_t *need)
{
    for (;;)
    {
        struct slice rest = {worker->in.data + worker->in_taken, worker->in.size - worker->in_taken};
        struct slice payload;
        bool whole;
        TRY(wire_frame_next(rest, &payload, need, &whole, &worker->err));
        if (!whole) return STATUS_OK;
        worker->in_running = worker->in_taken + *need;
        TRY(work_on(worker, payload));
        worker->in_taken = worker->in_running;
        open_mail(worker);
    }
}

/* ---- life ---- */

static void start(struct worker *worker, const struct stead__worker_config *config)
{
    worker->config = config;
    stead__ctx_init(&worker->ctx, config->snapshot);
    worker->ctx.owner = worker;
    worker->ctx.broker_fd = config->broker_fd;
    worker->ctx.log = on_log;
    worker->ctx.ask = on_ask;
    worker->ctx.answer = on_answer;
    worker->ctx.inside = on_inside;
    the_worker = worker;
    catch_signals(worker);
    CHECK(atexit(send_finished) == 0);
    setvbuf(stdout, NULL, _IOLBF, 0); /* what handlers print appears line by line, as with a terminal */
    wire_ready_encode(&worker->out, &(struct wire_ready){.version = WIRE_VERSION, .pid = (uint32_t)getpid()});
    flush(worker);
}

static void finish(struct worker *worker)
{
    the_worker = NULL;
    CHECK(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL) == 0);
    stead__ctx_fini(&worker->ctx);
    buf_fini(&worker->in);
    buf_fini(&worker->mail);
    buf_fini(&worker->out);
    free(worker->signal_stack);
    free(worker);
}

int stead__worker_run(const struct stead__worker_config *config)
{
    struct worker *worker = mem_zalloc(sizeof *worker);
    start(worker, config);
    size_t need = 0;
    enum status status = STATUS_OK;
    while (receive(worker, need))
    {
        look_at_usage(worker);
        status = work(worker, &need);
        flush(worker);
        if (status != STATUS_OK) break;
    }
    if (status != STATUS_OK) fprintf(stderr, "stead: worker: %s\n", err_text(&worker->err));
    finish(worker);
    return status == STATUS_OK ? 0 : 1;
}
