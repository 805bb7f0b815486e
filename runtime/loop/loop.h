/* loop.h - the event loop as the rest of the code sees it: turns with phases, timers, posts, descriptors, signals. */
// SPDX-License-Identifier: Apache-2.0
//
// One thread runs a loop and owns everything that hangs on it; only loop_post() may be called from other threads.
//
// A turn: wait for I/O; run the callbacks of streams, watches, children, signals and posts; run the timers that are
// due; run the hooks of each phase in the order of enum loop_phase. So callbacks only enqueue, and the hooks work
// through what one turn brought as a batch. Whoever enqueues outside of these callbacks, or for a phase that may have run
// already in this turn, says loop_want(), else the work may wait for the next event.
//
//     loop_create(&loop, clock_real(), &err)
//     loop_on_turn(loop, PHASE_COMMIT, store_hook, store)
//     loop_run(loop)                  until loop_stop()
//     ... everything closed ...
//     loop_destroy(loop)
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"

struct loop;

/* `clock` drives the timers. With a manual clock the loop never waits for time to pass: see loop_turn().
 * SIGPIPE is ignored in this process from here on (child_start() gives children the default back). */
MUST_CHECK enum status loop_create(struct loop **loop, struct clock *clock, struct err *err);
/* Finishes the closes under way and frees. All watches, streams and listeners must have been closed,
 * all timers stopped. */
void loop_destroy(struct loop *loop);

/* Runs turns until loop_stop(). */
void loop_run(struct loop *loop);
/* The current turn becomes the last. On the loop's thread. */
void loop_stop(struct loop *loop);
/* Runs one turn: waiting for an event if `wait`, else only with what is there. For tests and tools. */
void loop_turn(struct loop *loop, bool wait);

/* The time of this turn, from the loop's clock: read once, when the first callback of the turn asks. */
uint64_t loop_now_ns(struct loop *loop);
struct clock *loop_clock(const struct loop *loop);

/* ---- phases of a turn ---- */

enum loop_phase {
    PHASE_ADMIT, /* requests that arrived are admitted, routed and queued */
    PHASE_DISPATCH, /* queued invocations go to workers, one write for each worker */
    PHASE_COMMIT, /* results of this turn go to the committer as one batch */
    PHASE_REPLY, /* answers are given to their exchanges */
    PHASE_WRITE, /* what is to be sent leaves, one write for each connection */
    PHASE_COUNT
};

typedef void (*loop_on_turn_fn)(void *ctx);
/* Calls `hook` in each turn; hooks of one phase run in the order in which they were added. */
void loop_on_turn(struct loop *loop, enum loop_phase phase, loop_on_turn_fn hook, void *ctx);
/* Undoes the loop_on_turn() with the same arguments. May be called inside of hooks. */
void loop_off_turn(struct loop *loop, enum loop_phase phase, loop_on_turn_fn hook, void *ctx);
/* The hooks of `phase` run soon: in this turn when they are still to come, else in a next one that does not wait. Cheap. */
void loop_want(struct loop *loop, enum loop_phase phase);
/* The next turn does not wait for an event. */
void loop_turn_again(struct loop *loop);

/* ---- timers: embedded by the caller, cheap to start, move and stop (a heap, no system call) ---- */

struct loop_timer;
typedef void (*loop_on_timer_fn)(struct loop_timer *timer, void *ctx);

struct loop_timer {
    loop_on_timer_fn on_timer;
    void *ctx;
    struct loop *loop; /* NULL: not started */
    uint64_t deadline_ns;
    uint64_t period_ns; /* 0: fires once */
    uint64_t order; /* equal deadlines fire in the order of their starts */
    size_t place; /* in the loop's heap */
};

void loop_timer_init(struct loop_timer *timer, loop_on_timer_fn on_timer, void *ctx);
/* Fires once, in the first turn at or after `deadline_ns` of the loop's clock (precision about 1 ms). Starting a
 * started timer moves it. */
void loop_timer_start_at(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);
/* Fires once after `delay_ms`, and then every `period_ms` when that is not 0; beats that were missed are not made up. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms, uint64_t period_ms);
/* No callback after this; stopping a stopped timer does nothing. The memory may be freed at once. */
void loop_timer_stop(struct loop_timer *timer);
static inline bool loop_timer_started(const struct loop_timer *timer)
{
    return timer->loop != NULL;
}

/* ---- posts: the only way in from other threads ---- */

struct loop_task;
typedef void (*loop_on_task_fn)(struct loop_task *task, void *ctx);

struct loop_task {
    loop_on_task_fn on_task;
    void *ctx;
    struct loop_task *next;
    bool queued; /* atomic */
};

void loop_task_init(struct loop_task *task, loop_on_task_fn on_task, void *ctx);
/* Runs the task once on the loop, soon, after those posted before, never inside of this call; wakes the loop. While it is queued, posting it again
 * does nothing; inside of its callback it counts as not queued. Any thread. Never blocks, never fails, allocates
 * nothing. The caller keeps the memory until the callback. */
void loop_post(struct loop *loop, struct loop_task *task);

/* ---- raw descriptors: worker links, pipes, control sockets ---- */

enum loop_events {
    LOOP_READABLE = 1,
    LOOP_WRITABLE = 2,
    LOOP_HANGUP = 4, /* reported together with READABLE when the other side has gone; need not be asked for */
};

struct loop_watch;
/* Level-triggered: called in each turn as long as the condition holds. */
typedef void (*loop_on_ready_fn)(void *ctx, unsigned events);

/* Watches nothing until loop_watch_set(). The descriptor stays the caller's and is made non-blocking. */
MUST_CHECK enum status loop_watch_open(struct loop *loop, int fd, loop_on_ready_fn on_ready, void *ctx,
                                       struct loop_watch **watch, struct err *err);
/* A set of enum loop_events, 0 to pause. Cheap when nothing changes. */
void loop_watch_set(struct loop_watch *watch, unsigned events);
/* No callback after this; the descriptor may be closed at once after it. NULL is fine. */
void loop_watch_close(struct loop_watch *watch);

/* ---- signals ---- */

typedef void (*loop_on_signal_fn)(void *ctx, int signal);
/* Calls back on the loop for each delivery, until the loop is destroyed. */
MUST_CHECK enum status loop_on_signal(struct loop *loop, int signal, loop_on_signal_fn on_signal, void *ctx,
                                      struct err *err);
