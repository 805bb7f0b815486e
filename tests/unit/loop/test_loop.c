/* test_loop.c - turns, phases, timers, posts, watches, signals and children of the loop. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/prng.h"
#include "runtime/loop/child.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/timers.h"

struct fixture {
    struct clock_manual clock;
    struct loop *loop;
    char trace[256]; /* what happened, one letter each */
};

static void trace(struct fixture *fx, char letter)
{
    size_t size = strlen(fx->trace);
    assert_true(size + 1 < sizeof fx->trace);
    fx->trace[size] = letter;
}

static int setup(void **state)
{
    struct fixture *fx = test_calloc(1, sizeof *fx);
    clock_manual_init(&fx->clock, 0);
    assert_int_equal(loop_create(&fx->loop, &fx->clock.clock, NULL), STATUS_OK);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    loop_destroy(fx->loop);
    test_free(fx);
    return 0;
}

/* ---- phases ---- */

static void hook_admit(void *ctx)
{
    trace(ctx, 'a');
}

static void hook_reply(void *ctx)
{
    trace(ctx, 'r');
}

static void hook_commit_once(void *ctx)
{
    struct fixture *fx = ctx;
    trace(fx, 'c');
    loop_off_turn(fx->loop, PHASE_COMMIT, hook_commit_once, fx);
}

static void phases_run_in_their_order_in_every_turn(void **state)
{
    struct fixture *fx = *state;
    loop_on_turn(fx->loop, PHASE_REPLY, hook_reply, fx);
    loop_on_turn(fx->loop, PHASE_COMMIT, hook_commit_once, fx);
    loop_on_turn(fx->loop, PHASE_ADMIT, hook_admit, fx);
    loop_turn(fx->loop, false);
    loop_turn(fx->loop, false);
    assert_string_equal(fx->trace, "acrar");
}

static void a_turn_asked_for_does_not_wait(void **state)
{
    struct fixture *fx = *state;
    loop_on_turn(fx->loop, PHASE_ADMIT, hook_admit, fx);
    loop_turn_again(fx->loop);
    loop_turn(fx->loop, true);
    assert_string_equal(fx->trace, "a");
}

static void hook_want_admit_once(void *ctx)
{
    struct fixture *fx = ctx;
    if (strlen(fx->trace) < 2) loop_want(fx->loop, PHASE_ADMIT);
    loop_want(fx->loop, PHASE_REPLY); /* still to come: no other turn for it */
}

static void a_phase_that_is_wanted_after_it_has_run_gets_another_turn(void **state)
{
    struct fixture *fx = *state;
    loop_on_turn(fx->loop, PHASE_ADMIT, hook_admit, fx);
    loop_on_turn(fx->loop, PHASE_DISPATCH, hook_want_admit_once, fx);
    loop_on_turn(fx->loop, PHASE_REPLY, hook_reply, fx);
    loop_want(fx->loop, PHASE_REPLY); /* outside of any turn */
    loop_turn(fx->loop, true);
    assert_string_equal(fx->trace, "ar");
    loop_want(fx->loop, PHASE_REPLY);
    loop_turn(fx->loop, true);
    assert_string_equal(fx->trace, "arar");
}

/* ---- timers ---- */

struct named_timer {
    struct loop_timer timer;
    struct fixture *fx;
    char name;
};

static void on_named(struct loop_timer *timer, void *ctx)
{
    struct named_timer *named = ctx;
    assert_ptr_equal(timer, &named->timer);
    trace(named->fx, named->name);
}

static void named_init(struct named_timer *named, struct fixture *fx, char name)
{
    named->fx = fx;
    named->name = name;
    loop_timer_init(&named->timer, on_named, named);
}

static void timers_fire_in_the_order_of_their_deadlines_and_before_the_phases(void **state)
{
    struct fixture *fx = *state;
    struct named_timer x, y, z;
    named_init(&x, fx, 'x');
    named_init(&y, fx, 'y');
    named_init(&z, fx, 'z');
    loop_on_turn(fx->loop, PHASE_ADMIT, hook_admit, fx);
    loop_timer_start(fx->loop, &x.timer, 20, 0);
    loop_timer_start(fx->loop, &y.timer, 10, 0);
    loop_timer_start(fx->loop, &z.timer, 20, 0);
    loop_turn(fx->loop, false);
    assert_string_equal(fx->trace, "a");
    clock_manual_advance(&fx->clock, 20 * NS_PER_MS);
    loop_turn(fx->loop, true); /* due: must not wait */
    assert_string_equal(fx->trace, "ayxza");
    assert_false(loop_timer_started(&x.timer));
}

static void a_stopped_timer_does_not_fire_and_a_restarted_one_moves(void **state)
{
    struct fixture *fx = *state;
    struct named_timer x, y;
    named_init(&x, fx, 'x');
    named_init(&y, fx, 'y');
    loop_timer_start(fx->loop, &x.timer, 10, 0);
    loop_timer_start(fx->loop, &y.timer, 10, 0);
    loop_timer_stop(&x.timer);
    loop_timer_stop(&x.timer);
    loop_timer_start(fx->loop, &y.timer, 30, 0);
    clock_manual_advance(&fx->clock, 29 * NS_PER_MS);
    loop_turn(fx->loop, false);
    assert_string_equal(fx->trace, "");
    clock_manual_advance(&fx->clock, NS_PER_MS);
    loop_turn(fx->loop, false);
    assert_string_equal(fx->trace, "y");
}

static void a_timer_for_later_than_time_can_tell_never_fires(void **state)
{
    struct fixture *fx = *state;
    /* The second one would be at 1 ms, counted in nanoseconds that come round. */
    static const uint64_t delays_ms[] = {UINT64_MAX, UINT64_MAX / NS_PER_MS + 2};
    struct named_timer x;
    named_init(&x, fx, 'x');
    for (size_t i = 0; i < sizeof delays_ms / sizeof delays_ms[0]; i++)
    {
        loop_timer_start(fx->loop, &x.timer, delays_ms[i], 0);
        clock_manual_advance(&fx->clock, 1000 * NS_PER_MS);
        loop_turn(fx->loop, false);
        assert_true(loop_timer_started(&x.timer));
    }
    assert_string_equal(fx->trace, "");
    loop_timer_stop(&x.timer);
}

static void a_repeating_timer_keeps_its_beat_and_makes_up_for_nothing(void **state)
{
    struct fixture *fx = *state;
    struct named_timer x;
    named_init(&x, fx, 'x');
    loop_timer_start(fx->loop, &x.timer, 10, 10);
    clock_manual_advance(&fx->clock, 35 * NS_PER_MS);
    loop_turn(fx->loop, false);
    assert_string_equal(fx->trace, "x");
    assert_int_equal(x.timer.deadline_ns, 40 * NS_PER_MS);
    clock_manual_advance(&fx->clock, 5 * NS_PER_MS);
    loop_turn(fx->loop, false);
    assert_string_equal(fx->trace, "xx");
    loop_timer_stop(&x.timer);
}

static void any_mix_of_starts_and_stops_leaves_the_heap_in_order(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct prng prng;
    prng_init(&prng, 7);
    static struct loop_timer all[COUNT];
    struct timers timers = TIMERS_INIT;
    bool in[COUNT] = {false};
    for (int step = 0; step < 20000; step++)
    {
        size_t i = prng_below(&prng, COUNT);
        if (in[i])
            timers_remove(&timers, &all[i]);
        else
        {
            all[i].deadline_ns = prng_below(&prng, 50);
            timers_add(&timers, &all[i]);
        }
        in[i] = !in[i];
    }
    uint64_t last = 0;
    for (struct loop_timer *first; (first = timers_first(&timers)); last = first->deadline_ns)
    {
        assert_true(first->deadline_ns >= last);
        timers_remove(&timers, first);
    }
    timers_fini(&timers);
}

static void on_stop_timer(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    loop_stop(ctx);
}

static void with_the_real_clock_the_wait_ends_when_a_timer_is_due(void **state)
{
    (void)state;
    struct loop *loop;
    assert_int_equal(loop_create(&loop, clock_real(), NULL), STATUS_OK);
    struct loop_timer timer;
    loop_timer_init(&timer, on_stop_timer, loop);
    uint64_t start_ns = clock_monotonic_ns(clock_real());
    loop_timer_start(loop, &timer, 5, 0);
    loop_run(loop);
    assert_true(clock_monotonic_ns(clock_real()) - start_ns >= 5 * NS_PER_MS);
    loop_destroy(loop);
}

/* ---- posts ---- */

struct counting_task {
    struct loop_task task;
    struct loop *loop;
    int runs;
    int stop_at;
};

static void on_count(struct loop_task *task, void *ctx)
{
    struct counting_task *counting = ctx;
    (void)task;
    if (++counting->runs == counting->stop_at) loop_stop(counting->loop);
}

static void a_task_posted_many_times_before_it_runs_runs_once(void **state)
{
    struct fixture *fx = *state;
    struct counting_task counting = {.loop = fx->loop};
    loop_task_init(&counting.task, on_count, &counting);
    loop_post(fx->loop, &counting.task);
    loop_post(fx->loop, &counting.task);
    assert_int_equal(counting.runs, 0);
    loop_turn(fx->loop, true);
    assert_int_equal(counting.runs, 1);
    loop_post(fx->loop, &counting.task);
    loop_turn(fx->loop, true);
    assert_int_equal(counting.runs, 2);
}

enum { THREAD_TASKS = 2000, THREADS = 4 };

struct poster {
    struct loop *loop;
    struct counting_task *shared;
    struct loop_task tasks[THREAD_TASKS];
};

static void on_shared(struct loop_task *task, void *ctx)
{
    struct poster *poster = ctx;
    on_count(task, poster->shared);
}

static void *poster_main(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < THREAD_TASKS; i++) loop_post(poster->loop, &poster->tasks[i]);
    return NULL;
}

static void every_task_of_every_thread_runs_exactly_once(void **state)
{
    struct fixture *fx = *state;
    struct counting_task shared = {.loop = fx->loop, .stop_at = THREADS * THREAD_TASKS};
    static struct poster posters[THREADS];
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++)
    {
        posters[t].loop = fx->loop;
        posters[t].shared = &shared;
        for (int i = 0; i < THREAD_TASKS; i++) loop_task_init(&posters[t].tasks[i], on_shared, &posters[t]);
        assert_int_equal(pthread_create(&threads[t], NULL, poster_main, &posters[t]), 0);
    }
    loop_run(fx->loop);
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    assert_int_equal(shared.runs, THREADS * THREAD_TASKS);
}

/* ---- descriptors, signals, children ---- */

struct seen_events {
    unsigned events;
};

static void on_ready(void *ctx, unsigned events)
{
    ((struct seen_events *)ctx)->events = events;
}

static void a_watch_tells_of_bytes_and_of_the_end(void **state)
{
    struct fixture *fx = *state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct seen_events seen = {0};
    struct loop_watch *watch;
    assert_int_equal(loop_watch_open(fx->loop, ends[0], on_ready, &seen, &watch, NULL), STATUS_OK);
    loop_watch_set(watch, LOOP_READABLE);
    loop_turn(fx->loop, false);
    assert_int_equal(seen.events, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    loop_turn(fx->loop, true);
    assert_int_equal(seen.events, LOOP_READABLE);
    seen.events = 0;
    loop_watch_set(watch, 0);
    loop_turn(fx->loop, false);
    assert_int_equal(seen.events, 0);
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    loop_watch_set(watch, LOOP_READABLE);
    close(ends[1]);
    loop_turn(fx->loop, true);
    assert_true(seen.events & LOOP_HANGUP);
    loop_watch_close(watch);
    close(ends[0]);
}

static void on_signal_trace(void *ctx, int signal)
{
    trace(ctx, signal == SIGUSR1 ? 'u' : '?');
}

static void a_signal_is_heard_on_the_loop(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(loop_on_signal(fx->loop, SIGUSR1, on_signal_trace, fx, NULL), STATUS_OK);
    raise(SIGUSR1);
    assert_string_equal(fx->trace, "");
    loop_turn(fx->loop, true);
    assert_string_equal(fx->trace, "u");
}

struct ended {
    struct loop *loop;
    int count;
    int exit_code;
    int signal;
};

static void on_child_exit(void *ctx, int exit_code, int signal)
{
    struct ended *ended = ctx;
    ended->count++;
    ended->exit_code = exit_code;
    ended->signal = signal;
    loop_stop(ended->loop);
}

static void a_child_inherits_what_it_was_given_and_its_exit_code_is_told_once(void **state)
{
    struct fixture *fx = *state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct ended ended = {.loop = fx->loop};
    struct child_config config = {
        .program = "/bin/sh",
        .argv = (char *[]){"sh", "-c", "printf hello >&3; exit 7", NULL},
        .fds = {-1, -1, 2, ends[1]},
        .fd_count = 4,
    };
    struct child *child;
    assert_int_equal(child_start(fx->loop, &config, on_child_exit, &ended, &child, NULL), STATUS_OK);
    close(ends[1]);
    loop_run(fx->loop);
    assert_int_equal(ended.count, 1);
    assert_int_equal(ended.exit_code, 7);
    assert_int_equal(ended.signal, 0);
    char text[8] = "";
    assert_int_equal(read(ends[0], text, sizeof text), 5);
    assert_string_equal(text, "hello");
    child_kill(child, SIGKILL); /* gone: nothing happens */
    child_close(child);
    close(ends[0]);
}

static void a_killed_child_tells_the_signal_and_a_closed_one_nothing(void **state)
{
    struct fixture *fx = *state;
    struct ended first = {.loop = fx->loop}, second = {.loop = fx->loop};
    struct child_config config = {.program = "/bin/sleep", .argv = (char *[]){"sleep", "100", NULL}};
    struct child *a, *b;
    assert_int_equal(child_start(fx->loop, &config, on_child_exit, &first, &a, NULL), STATUS_OK);
    assert_int_equal(child_start(fx->loop, &config, on_child_exit, &second, &b, NULL), STATUS_OK);
    child_kill(b, SIGKILL);
    child_close(b);
    child_kill(a, SIGKILL);
    loop_run(fx->loop);
    assert_int_equal(first.signal, SIGKILL);
    assert_int_equal(second.count, 0);
    child_close(a);
}

static void a_program_that_does_not_exist_is_an_error_that_names_it(void **state)
{
    struct fixture *fx = *state;
    struct child_config config = {.program = "/nonexistent/program", .argv = (char *[]){"program", NULL}};
    struct child *child;
    struct err err = ERR_INIT;
    assert_int_equal(child_start(fx->loop, &config, on_child_exit, NULL, &child, &err), STATUS_NOT_FOUND);
    assert_string_equal(err.text, "start /nonexistent/program: no such file or directory");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(phases_run_in_their_order_in_every_turn),
        TEST(a_turn_asked_for_does_not_wait),
        TEST(a_phase_that_is_wanted_after_it_has_run_gets_another_turn),
        TEST(timers_fire_in_the_order_of_their_deadlines_and_before_the_phases),
        TEST(a_stopped_timer_does_not_fire_and_a_restarted_one_moves),
        TEST(a_timer_for_later_than_time_can_tell_never_fires),
        TEST(a_repeating_timer_keeps_its_beat_and_makes_up_for_nothing),
        cmocka_unit_test(any_mix_of_starts_and_stops_leaves_the_heap_in_order),
        cmocka_unit_test(with_the_real_clock_the_wait_ends_when_a_timer_is_due),
        TEST(a_task_posted_many_times_before_it_runs_runs_once),
        TEST(every_task_of_every_thread_runs_exactly_once),
        TEST(a_watch_tells_of_bytes_and_of_the_end),
        TEST(a_signal_is_heard_on_the_loop),
        TEST(a_child_inherits_what_it_was_given_and_its_exit_code_is_told_once),
        TEST(a_killed_child_tells_the_signal_and_a_closed_one_nothing),
        TEST(a_program_that_does_not_exist_is_an_error_that_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
