/* loop_uv.c - the loop on libuv: one check handle runs timers and phases after the I/O of each turn. */
// SPDX-License-Identifier: Apache-2.0
//
// libuv runs its own timers before it polls. Ours run after, together with the phases, so that what a timer enqueues is
// worked on in the same turn: libuv's one timer only ends the wait in time, its callback does nothing.
#include "runtime/loop/loop_uv.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/loop/timers.h"

struct hook {
    struct list link;
    loop_on_turn_fn fn; /* NULL: removed while hooks were running */
    void *ctx;
};

struct signal_watch {
    struct list link;
    uv_signal_t handle;
    loop_on_signal_fn on_signal;
    void *ctx;
};

struct loop {
    uv_loop_t uv;
    uv_check_t after_io;
    uv_async_t wake; /* posts from other threads */
    uv_timer_t alarm; /* ends the wait when the first timer is due */
    uv_idle_t no_wait; /* started: the next turn does not wait */
    uv_prepare_t before_io;
    struct clock *clock;
    uint64_t now_ns; /* when `now_known` */
    bool now_known;
    uint64_t armed_ns; /* deadline for which `alarm` is set; UINT64_MAX: not set */
    struct timers timers;
    struct list hooks[PHASE_COUNT];
    struct list signals;
    struct loop_task *posted; /* atomic; a stack, newest first */
    int phase; /* whose hooks run; -1: in this turn they are still to come; PHASE_COUNT: they are over */
    bool hooks_removed;
    bool stopping;
};

struct loop_watch {
    uv_poll_t handle;
    loop_on_ready_fn on_ready;
    void *ctx;
    unsigned events;
    bool closed;
};

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

enum status uv_failure(struct err *err, int uv_error, const char *format, ...)
{
    static const struct {
        int error;
        enum status status;
    } known[] = {
        {UV_EADDRINUSE, STATUS_ADDRESS_IN_USE},
        {UV_EACCES, STATUS_PERMISSION_DENIED},
        {UV_EPERM, STATUS_PERMISSION_DENIED},
        {UV_EMFILE, STATUS_NO_RESOURCES},
        {UV_ENFILE, STATUS_NO_RESOURCES},
        {UV_ENOMEM, STATUS_NO_RESOURCES},
        {UV_EAGAIN, STATUS_NO_RESOURCES},
        {UV_ENOENT, STATUS_NOT_FOUND},
        {UV_EADDRNOTAVAIL, STATUS_INVALID_ARGUMENT},
    };
    enum status status = STATUS_IO;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    {
        if (known[i].error == uv_error) status = known[i].status;
    }
    char what[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return err_set(err, status, "%s: %s", what, uv_strerror(uv_error));
}

/* ---- timers ---- */

void loop_timer_init(struct loop_timer *timer, loop_on_timer_fn on_timer, void *ctx)
{
    *timer = (struct loop_timer){.on_timer = on_timer, .ctx = ctx};
}

void loop_timer_start_at(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns)
{
    loop_timer_stop(timer);
    timer->loop = loop;
    timer->deadline_ns = deadline_ns;
    timer->period_ns = 0;
    timers_add(&loop->timers, timer);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms, uint64_t period_ms)
{
    /* From the real now, not from the turn's: a long turn must not eat the delay. What lies behind the end of time must
     * not come round to its beginning. */
    uint64_t now_ns = clock_monotonic_ns(loop->clock);
    bool never = delay_ms > (UINT64_MAX - now_ns) / NS_PER_MS;
    loop_timer_start_at(loop, timer, never ? UINT64_MAX : now_ns + delay_ms * NS_PER_MS);
    timer->period_ns = period_ms * NS_PER_MS;
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (!timer->loop) return;
    timers_remove(&timer->loop->timers, timer);
    timer->loop = NULL;
}

static void timers_run(struct loop *loop)
{
    struct loop_timer *timer;
    uint64_t now_ns = loop_now_ns(loop);
    while ((timer = timers_first(&loop->timers)) && timer->deadline_ns <= now_ns)
    {
        uint64_t period_ns = timer->period_ns;
        loop_timer_stop(timer);
        if (period_ns)
        {
            /* The next beat after now: those missed are not made up. */
            uint64_t late_ns = now_ns - timer->deadline_ns;
            loop_timer_start_at(loop, timer, now_ns + period_ns - late_ns % period_ns);
            timer->period_ns = period_ns;
        }
        timer->on_timer(timer, timer->ctx);
    }
}

static void on_alarm(uv_timer_t *alarm)
{
    struct loop *loop = alarm->data;
    loop->armed_ns = UINT64_MAX;
}

/* Sets libuv's timer to the first deadline, if it is not already. */
static void alarm_set(struct loop *loop)
{
    const struct loop_timer *first = timers_first(&loop->timers);
    uint64_t deadline_ns = first ? first->deadline_ns : UINT64_MAX;
    if (deadline_ns == loop->armed_ns) return;
    if (!first)
    {
        uv_timer_stop(&loop->alarm);
        loop->armed_ns = UINT64_MAX;
        return;
    }
    uint64_t now_ns = clock_monotonic_ns(loop->clock);
    if (deadline_ns <= now_ns)
    {
        loop_turn_again(loop);
        return;
    }
    /* A manual clock does not move while we wait: only what happens elsewhere ends the wait. */
    if (loop->clock != clock_real()) return;
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->alarm, on_alarm, (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
    loop->armed_ns = deadline_ns;
}

/* ---- posts ---- */

void loop_task_init(struct loop_task *task, loop_on_task_fn on_task, void *ctx)
{
    *task = (struct loop_task){.on_task = on_task, .ctx = ctx};
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    if (__atomic_exchange_n(&task->queued, true, __ATOMIC_ACQ_REL)) return;
    struct loop_task *head = __atomic_load_n(&loop->posted, __ATOMIC_RELAXED);
    do
    {
        task->next = head;
    } while (
        !__atomic_compare_exchange_n(&loop->posted, &head, task, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    /* Who pushes onto a non-empty stack knows that a wake-up is on its way. */
    if (!head) uv_async_send(&loop->wake);
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;
    struct loop_task *newest = __atomic_exchange_n(&loop->posted, NULL, __ATOMIC_ACQUIRE);
    struct loop_task *oldest = NULL;
    while (newest)
    {
        struct loop_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest)
    {
        struct loop_task *task = oldest;
        oldest = task->next; /* the callback may free or post the task */
        __atomic_store_n(&task->queued, false, __ATOMIC_RELEASE);
        task->on_task(task, task->ctx);
    }
}

/* ---- turns ---- */

void loop_on_turn(struct loop *loop, enum loop_phase phase, loop_on_turn_fn fn, void *ctx)
{
    CHECK(phase < PHASE_COUNT);
    struct hook *hook = mem_alloc(sizeof *hook);
    hook->fn = fn;
    hook->ctx = ctx;
    list_push_back(&loop->hooks[phase], &hook->link);
}

/* Frees the hooks that were removed; not while they are being walked. */
static void hooks_sweep(struct loop *loop)
{
    for (int phase = 0; phase < PHASE_COUNT; phase++)
    {
        LIST_FOREACH(link, &loop->hooks[phase])
        {
            struct hook *hook = CONTAINER_OF(link, struct hook, link);
            if (hook->fn) continue;
            list_remove(link);
            free(hook);
        }
    }
    loop->hooks_removed = false;
}

void loop_off_turn(struct loop *loop, enum loop_phase phase, loop_on_turn_fn fn, void *ctx)
{
    LIST_FOREACH(link, &loop->hooks[phase])
    {
        struct hook *hook = CONTAINER_OF(link, struct hook, link);
        if (hook->fn != fn || hook->ctx != ctx) continue;
        hook->fn = NULL;
        loop->hooks_removed = true;
        break;
    }
    if (loop->phase < 0 || loop->phase == PHASE_COUNT) hooks_sweep(loop);
}

static void on_no_wait(uv_idle_t *no_wait)
{
    (void)no_wait; /* being started is all it does */
}

void loop_turn_again(struct loop *loop)
{
    if (!loop->stopping) uv_idle_start(&loop->no_wait, on_no_wait);
}

void loop_want(struct loop *loop, enum loop_phase phase)
{
    if ((int)phase <= loop->phase) loop_turn_again(loop);
}

/* Before the wait: deadlines set since the last turn, also outside of any. */
static void on_before_io(uv_prepare_t *before_io)
{
    struct loop *loop = before_io->data;
    alarm_set(loop);
    loop->now_known = false;
    loop->phase = -1;
}

static void on_after_io(uv_check_t *after_io)
{
    struct loop *loop = after_io->data;
    uv_idle_stop(&loop->no_wait);
    timers_run(loop);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
    {
        loop->phase = phase;
        for (struct list *link = loop->hooks[phase].next; link != &loop->hooks[phase]; link = link->next)
        {
            struct hook *hook = CONTAINER_OF(link, struct hook, link);
            if (hook->fn) hook->fn(hook->ctx);
        }
    }
    loop->phase = PHASE_COUNT;
    if (loop->hooks_removed) hooks_sweep(loop);
}

enum status loop_create(struct loop **out, struct clock *clock, struct err *err)
{
    /* A write to a connection whose other side has gone is an error of that write, not the end of the process. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0);
    struct loop *loop = mem_zalloc(sizeof *loop);
    int rc = uv_loop_init(&loop->uv);
    if (rc)
    {
        free(loop);
        return uv_failure(err, rc, "create event loop");
    }
    loop->clock = clock;
    loop->armed_ns = UINT64_MAX;
    loop->phase = PHASE_COUNT;
    for (int phase = 0; phase < PHASE_COUNT; phase++) list_init(&loop->hooks[phase]);
    list_init(&loop->signals);
    /* Only uv_async_init can fail: it opens an eventfd. */
    rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (rc)
    {
        uv_loop_close(&loop->uv);
        free(loop);
        return uv_failure(err, rc, "create event loop");
    }
    uv_check_init(&loop->uv, &loop->after_io);
    uv_prepare_init(&loop->uv, &loop->before_io);
    uv_timer_init(&loop->uv, &loop->alarm);
    uv_idle_init(&loop->uv, &loop->no_wait);
    loop->wake.data = loop->after_io.data = loop->before_io.data = loop->alarm.data = loop;
    uv_check_start(&loop->after_io, on_after_io);
    uv_prepare_start(&loop->before_io, on_before_io);
    *out = loop;
    return STATUS_OK;
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_signal_t *)handle, struct signal_watch, handle));
}

void loop_destroy(struct loop *loop)
{
    if (!loop) return;
    loop->stopping = true;
    struct list *link;
    while ((link = list_pop_front(&loop->signals)))
        uv_close((uv_handle_t *)&CONTAINER_OF(link, struct signal_watch, link)->handle, on_signal_closed);
    uv_close((uv_handle_t *)&loop->after_io, NULL);
    uv_close((uv_handle_t *)&loop->before_io, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->no_wait, NULL);
    uv_walk(&loop->uv, child_forget, NULL);
    /* Closes need a turn; one that must wait for a signal in libuv's pipe needs another. */
    for (int turn = 0; turn < 8 && uv_run(&loop->uv, UV_RUN_NOWAIT); turn++)
        ;
    /* A handle that its owner forgot shows here. */
    CHECK(uv_loop_close(&loop->uv) == 0);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
    {
        while ((link = list_pop_front(&loop->hooks[phase]))) free(CONTAINER_OF(link, struct hook, link));
    }
    timers_fini(&loop->timers);
    free(loop);
}

void loop_run(struct loop *loop)
{
    loop_turn_again(loop); /* work may have been enqueued before */
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_turn(struct loop *loop, bool wait)
{
    uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

uint64_t loop_now_ns(struct loop *loop)
{
    if (!loop->now_known)
    {
        loop->now_ns = clock_monotonic_ns(loop->clock);
        loop->now_known = true;
    }
    return loop->now_ns;
}

struct clock *loop_clock(const struct loop *loop)
{
    return loop->clock;
}

/* ---- descriptors ---- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct loop_watch *watch = CONTAINER_OF(handle, struct loop_watch, handle);
    if (watch->closed) return;
    /* An error on the descriptor is read from it, by the owner. */
    unsigned ready = status < 0 ? LOOP_READABLE | LOOP_HANGUP : 0;
    if (events & UV_READABLE) ready |= LOOP_READABLE;
    if (events & UV_WRITABLE) ready |= LOOP_WRITABLE;
    if (events & UV_DISCONNECT) ready |= LOOP_READABLE | LOOP_HANGUP;
    watch->on_ready(watch->ctx, ready);
}

enum status loop_watch_open(struct loop *loop, int fd, loop_on_ready_fn on_ready, void *ctx,
                            struct loop_watch **out, struct err *err)
{
    struct loop_watch *watch = mem_zalloc(sizeof *watch);
    watch->on_ready = on_ready;
    watch->ctx = ctx;
    int rc = uv_poll_init(&loop->uv, &watch->handle, fd);
    if (rc)
    {
        free(watch);
        return uv_failure(err, rc, "watch descriptor %d", fd);
    }
    *out = watch;
    return STATUS_OK;
}

void loop_watch_set(struct loop_watch *watch, unsigned events)
{
    if (watch->events == events) return;
    watch->events = events;
    int wanted = 0;
    if (events & LOOP_READABLE) wanted |= UV_READABLE | UV_DISCONNECT;
    if (events & LOOP_WRITABLE) wanted |= UV_WRITABLE;
    if (events & LOOP_HANGUP) wanted |= UV_DISCONNECT;
    int rc = wanted ? uv_poll_start(&watch->handle, wanted, on_poll) : uv_poll_stop(&watch->handle);
    CHECK(rc == 0);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_poll_t *)handle, struct loop_watch, handle));
}

void loop_watch_close(struct loop_watch *watch)
{
    if (!watch) return;
    watch->closed = true;
    uv_close((uv_handle_t *)&watch->handle, on_watch_closed); /* takes the descriptor out of epoll at once */
}

/* ---- signals ---- */

static void on_uv_signal(uv_signal_t *handle, int signal)
{
    struct signal_watch *watch = CONTAINER_OF(handle, struct signal_watch, handle);
    watch->on_signal(watch->ctx, signal);
}

enum status loop_on_signal(struct loop *loop, int signal, loop_on_signal_fn on_signal, void *ctx,
                           struct err *err)
{
    struct signal_watch *watch = mem_zalloc(sizeof *watch);
    watch->on_signal = on_signal;
    watch->ctx = ctx;
    CHECK(uv_signal_init(&loop->uv, &watch->handle) ==
          0); /* fails only when the loop's pipe cannot be made */
    list_push_back(&loop->signals, &watch->link);
    int rc = uv_signal_start(&watch->handle, on_uv_signal, signal);
    return rc ? uv_failure(err, rc, "watch signal %d", signal) : STATUS_OK;
}
