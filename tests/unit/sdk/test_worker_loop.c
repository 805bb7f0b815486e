/* test_worker_loop.c - a real worker process at the other end of a socket pair, over a real store. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "messaging/wire/wire.h"
#include "runtime/base/bounds.h"
#include "sdk/src/snapshot_lmdb.h"
#include "sdk/src/worker_loop.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/sdk/fx_store.h"

/* ---- handlers ---- */

STEAD_FUNCTION(hello)
{
    return stead_reply(ctx, "hello %s\n", stead_entity(ctx));
}

STEAD_FUNCTION(count)
{
    return stead_reply(ctx, "%lld", (long long)stead_add(ctx, "n", 1));
}

STEAD_FUNCTION(count_and_fail)
{
    stead_add(ctx, "n", 1);
    return stead_fail(ctx, "no, %s", "really");
}

STEAD_FUNCTION(too_large)
{
    static const char byte;
    stead_put(ctx, "x", &byte, BOUND_VALUE_BYTES_MAX + 1); /* ignored, and still nothing may be kept */
    stead_put_text(ctx, "y", "kept?");
    return STEAD_OK;
}

STEAD_FUNCTION(log_and_crash)
{
    stead_log(ctx, STEAD_WARN, "about to crash: %d", 42);
    abort();
}

STEAD_FUNCTION(leave)
{
    exit(7);
}

static int recurse(volatile char *above)
{
    volatile char page[4096];
    page[0] = above ? *above : 0;
    return page[0] == 1 ? 0 : recurse(page) + page[0];
}

STEAD_FUNCTION(overrun_stack)
{
    return recurse(NULL) == 1 ? STEAD_OK : STEAD_FAILED;
}

STEAD_FUNCTION(exhaust)
{
    (void)stead_alloc(ctx, SIZE_MAX / 4);
    return STEAD_OK;
}

STEAD_FUNCTION(spin)
{
    uint32_t left = stead_time_left_ms(ctx);
    while (stead_time_left_ms(ctx) + 3 > left)
    {
    }
    return stead_reply_bytes(ctx, stead_alloc(ctx, 100000), 100000);
}

STEAD_FUNCTION(reads)
{
    return stead_reply(ctx, "%lld for %s as %s", (long long)stead_get_i64(ctx, "n", 0), stead_entity(ctx),
                       stead_origin(ctx));
}

STEAD_FUNCTION(reads_through)
{
    struct stead_answer answer;
    if (stead_call(ctx, "reads", "e", NULL, 0, &answer) != STEAD_OK) return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%.*s, %s", STEAD_FMT(answer.body), answer.content_type);
}

STEAD_FUNCTION(reads_deep)
{
    struct stead_answer answer;
    stead_put_i64(ctx, "n", 1); /* which those inside do not see */
    if (stead_call(ctx, "reads_through", "x", NULL, 0, &answer) != STEAD_OK) return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%.*s", STEAD_FMT(answer.body));
}

STEAD_FUNCTION(writes_through)
{
    struct stead_answer answer;
    if (stead_call(ctx, "count", "e", "up", 2, &answer) != STEAD_OK) return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%.*s", STEAD_FMT(answer.body));
}

STEAD_FUNCTION(rejects)
{
    return stead_reject(ctx, 404, "no such thing");
}

STEAD_FUNCTION(forgives)
{
    struct stead_answer answer;
    enum stead_status status = stead_call(ctx, "rejects", STEAD_APP, NULL, 0, &answer);
    stead_failure_clear(ctx);
    return stead_reply(ctx, "%d %d %s", status == STEAD_CALL_FAILED, answer.http_status, answer.error);
}

STEAD_FUNCTION(calls_two)
{
    struct stead_call calls[] = {{.function = "far", .entity = "a"}, {.function = "far", .entity = "b"}};
    if (stead_call_all(ctx, calls, 2) != STEAD_OK) return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%.*s %.*s", STEAD_FMT(calls[0].answer.body), STEAD_FMT(calls[1].answer.body));
}

/* What its heap has grown by meanwhile. */
STEAD_FUNCTION(calls_without_end)
{
    for (int i = 0; i < 100; i++) stead_call(ctx, "reads", "e", NULL, 0, NULL);
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 20000; i++)
        if (stead_call(ctx, "reads", "e", NULL, 0, NULL) != STEAD_OK) return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%s", mallinfo2().uordblks < before + 65536 ? "little" : "much");
}

STEAD_FUNCTION(sends)
{
    stead_send(ctx, "count", "far", "hello", 5);
    stead_send_at(ctx, 12345, "count", STEAD_APP, NULL, 0);
    return STEAD_OK;
}

static stead__handler_fn lookup(void *ctx, struct slice function)
{
    static const struct {
        const char *name;
        stead__handler_fn handler;
    } all[] = {
        {"hello", stead_fn_hello},
        {"count", stead_fn_count},
        {"count_and_fail", stead_fn_count_and_fail},
        {"too_large", stead_fn_too_large},
        {"log_and_crash", stead_fn_log_and_crash},
        {"leave", stead_fn_leave},
        {"overrun_stack", stead_fn_overrun_stack},
        {"exhaust", stead_fn_exhaust},
        {"spin", stead_fn_spin},
        {"reads", stead_fn_reads},
        {"reads_through", stead_fn_reads_through},
        {"reads_deep", stead_fn_reads_deep},
        {"writes_through", stead_fn_writes_through},
        {"rejects", stead_fn_rejects},
        {"forgives", stead_fn_forgives},
        {"calls_two", stead_fn_calls_two},
        {"calls_without_end", stead_fn_calls_without_end},
        {"sends", stead_fn_sends},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (slice_is(function, all[i].name)) return all[i].handler;
    return NULL;
}

static stead__handler_fn lookup_inside(void *ctx, struct slice caller, struct slice function,
                                       uint32_t left_ms)
{
    return lookup(ctx, function);
}

/* ---- fixture: the daemon's side ---- */

struct daemon_side {
    struct fx_store store;
    int link;
    int store_ready; /* pipe to the worker that waits for the store */
    int last_words; /* pipe from the worker's on_fatal */
    pid_t worker;
    struct buf in;
    size_t taken; /* the frame that was read last */
    struct buf out;
    struct wire_invoke invoke; /* what the next one is like */
    struct wire_result result;
};

static void on_fatal(void *ctx, int number)
{
    int words[] = {number, errno};
    if (write(*(int *)ctx, words, sizeof words) < 0) _exit(1);
}

/* Forks the worker, which waits until `store_ready` tells it where the data file is. It is forked before the store has
 * threads: what one of them had locked in that moment, in the sanitizer's allocator for example, would stay locked in
 * the child for ever. */
static void start_worker(struct daemon_side *side)
{
    int pair[2], words[2], ready[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0); /* as the daemon makes it */
    assert_int_equal(pipe(words), 0);
    side->worker = fork();
    assert_true(side->worker >= 0);
    if (side->worker == 0)
    {
        close(pair[0]);
        close(ready[1]);
        char data_file[PATH_MAX] = "";
        if (read(ready[0], data_file, sizeof data_file - 1) <= 0) _exit(1);
        struct stead__snapshot *snapshot;
        int fd = open(data_file, O_RDONLY | O_CLOEXEC);
        if (stead__snapshot_open(&snapshot, fd, "/proc", NULL) != STATUS_OK) _exit(1);
        close(fd);
        struct stead__worker_config config = {.link_fd = pair[1],
                                              .snapshot = snapshot,
                                              .lookup = lookup,
                                              .lookup_inside = lookup_inside,
                                              .on_fatal = on_fatal,
                                              .fatal_ctx = &words[1]};
        _exit(stead__worker_run(&config));
    }
    close(pair[1]);
    close(words[1]);
    close(ready[0]);
    side->link = pair[0];
    side->last_words = words[0];
    side->store_ready = ready[1];
}

static void tell_where_the_data_is(struct daemon_side *side)
{
    char link[40], data_file[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", store_data_fd(side->store.store));
    ssize_t length = readlink(link, data_file, sizeof data_file);
    assert_true(length > 0);
    assert_int_equal(write(side->store_ready, data_file, (size_t)length), length);
    close(side->store_ready);
}

static struct slice next_frame(struct daemon_side *side)
{
    buf_consume(&side->in, side->taken);
    side->taken = 0;
    for (;;)
    {
        struct slice payload;
        size_t need;
        bool whole;
        assert_int_equal(wire_frame_next(buf_view(&side->in), &payload, &need, &whole, NULL), STATUS_OK);
        if (whole)
        {
            side->taken = need;
            return payload;
        }
        ssize_t got = read(side->link, buf_reserve(&side->in, 65536), 65536);
        if (got <= 0) return SLICE_EMPTY;
        side->in.size += (size_t)got;
    }
}

static int set_up(void **state)
{
    struct daemon_side *side = calloc(1, sizeof *side);
    start_worker(side);
    fx_store_open(&side->store);
    tell_where_the_data_is(side);
    side->invoke =
        (struct wire_invoke){.ident = SLICE("01ID"), .timeout_ms = 1000, .attempt = 1, .entity = SLICE("e")};
    struct wire_ready ready;
    assert_int_equal(wire_ready_decode(next_frame(side), &ready, NULL), STATUS_OK);
    assert_int_equal(ready.version, WIRE_VERSION);
    assert_int_equal(ready.pid, side->worker);
    *state = side;
    return 0;
}

static int wait_for_worker(struct daemon_side *side)
{
    int status;
    assert_int_equal(waitpid(side->worker, &status, 0), side->worker);
    side->worker = 0;
    return status;
}

static int tear_down(void **state)
{
    struct daemon_side *side = *state;
    close(side->link);
    close(side->last_words);
    if (side->worker != 0) (void)wait_for_worker(side); /* the end of the link ends it */
    fx_store_close(&side->store);
    buf_fini(&side->in);
    buf_fini(&side->out);
    free(side);
    return 0;
}

/* Queues one invocation on the newest snapshot. */
static void queue(struct daemon_side *side, uint64_t id, const char *function)
{
    struct store_snapshot *snapshot = side->store.snapshot;
    side->invoke.id = id;
    side->invoke.function = slice_cstr(function);
    side->invoke.meta = store_snapshot_meta(snapshot);
    side->invoke.txn = store_snapshot_txn(snapshot);
    side->invoke.snapshot = store_snapshot_seq(snapshot);
    wire_invoke_encode(&side->out, &side->invoke);
}

static void send_queued(struct daemon_side *side)
{
    assert_int_equal(write(side->link, side->out.data, side->out.size), side->out.size);
    buf_reset(&side->out);
}

static void expect_result(struct daemon_side *side, uint64_t id)
{
    struct err err = ERR_INIT;
    if (wire_result_decode(next_frame(side), &side->result, &err) != STATUS_OK)
        fail_msg("%s", err_text(&err));
    assert_int_equal(side->result.id, id);
}

static void call(struct daemon_side *side, uint64_t id, const char *function)
{
    queue(side, id, function);
    send_queued(side);
    expect_result(side, id);
}

static void assert_body(struct daemon_side *side, const char *expected)
{
    assert_int_equal(side->result.outcome, WIRE_OUTCOME_OK);
    if (!slice_is(side->result.body, expected))
        fail_msg("body `%.*s`, expected `%s`", SLICE_FMT(side->result.body), expected);
}

static void assert_failure(struct daemon_side *side, enum wire_outcome outcome, enum status status,
                           const char *words)
{
    assert_int_equal(side->result.outcome, outcome);
    assert_int_equal(side->result.status, status);
    if (!slice_is(side->result.failure, words))
        fail_msg("failure `%.*s`, expected `%s`", SLICE_FMT(side->result.failure), words);
    assert_int_equal(side->result.writes.size, 0);
}

/* ---- promises ---- */

static void an_invocation_gets_its_reply(void **state)
{
    struct daemon_side *side = *state;
    call(side, 1, "hello");
    assert_body(side, "hello e\n");
    assert_int_equal(side->result.http_status, 200);
    assert_int_equal(side->result.headers.count, 1);
    assert_true(slice_is(side->result.headers.items[0].name, "content-type"));
    assert_true(slice_is(side->result.headers.items[0].value, "text/plain; charset=utf-8"));
    assert_int_equal(side->result.reads.size, 0);
    assert_int_equal(side->result.writes.size, 0);
    assert_true(side->result.peak_kib > 0);
}

static void a_write_carries_what_it_read(void **state)
{
    struct daemon_side *side = *state;
    fx_store_put(&side->store, "e", "n", "41");
    call(side, 1, "count");
    assert_body(side, "42");
    size_t offset = 0;
    struct read_entry read;
    assert_true(read_set_next(side->result.reads, &offset, &read));
    assert_int_equal(read.kind, READ_KEY);
    offset = 0;
    struct write_entry write;
    assert_true(write_set_next(side->result.writes, &offset, &write));
    assert_true(slice_equal(write.key, read.low));
    assert_true(slice_is(write.value, "42"));
    assert_false(write_set_next(side->result.writes, &offset, &write));
    assert_int_equal(side->result.rows_read, 1);
    assert_int_equal(side->result.bytes_read, 2);
}

static void a_chain_sees_the_writes_of_its_earlier_runs(void **state)
{
    struct daemon_side *side = *state;
    side->invoke.chain = 5;
    for (uint64_t id = 1; id <= 3; id++) queue(side, id, "count");
    queue(side, 4, "count_and_fail"); /* leaves nothing to the chain */
    queue(side, 5, "count");
    side->invoke.chain = 6; /* another one in between */
    queue(side, 6, "count");
    side->invoke.chain = 0;
    queue(side, 7, "count");
    queue(side, 8, "count");
    side->invoke.chain = 5;
    side->invoke.validate = side->invoke.follows = true;
    queue(side, 9, "count");
    send_queued(side);
    static const char *const expected[] = {"1", "2", "3", NULL, "4", "1", "1", "1", "5"};
    for (uint64_t id = 1; id <= 9; id++)
    {
        expect_result(side, id);
        if (expected[id - 1])
            assert_body(side, expected[id - 1]);
        else
            assert_failure(side, WIRE_OUTCOME_ERROR, STATUS_OK, "no, really");
    }
}

static void a_run_whose_chain_is_unknown_is_not_run(void **state)
{
    struct daemon_side *side = *state;
    side->invoke.chain = 5;
    side->invoke.validate = side->invoke.follows = true;
    call(side, 1, "count");
    assert_failure(side, WIRE_OUTCOME_STATUS, STATUS_CONFLICT,
                   "earlier writes of its chain are not in this worker any more");
}

static void reads_come_without_writes_when_asked_for(void **state)
{
    struct daemon_side *side = *state;
    side->invoke.validate = true;
    call(side, 1, "count_and_fail");
    assert_failure(side, WIRE_OUTCOME_ERROR, STATUS_OK, "no, really");
    assert_true(side->result.reads.size > 0);
}

static void a_failure_that_the_handler_ignores_still_counts(void **state)
{
    struct daemon_side *side = *state;
    call(side, 1, "too_large");
    assert_failure(side, WIRE_OUTCOME_STATUS, STATUS_VALUE_TOO_LARGE,
                   "stead_put: the value has 67108865 bytes, at most 64 MiB are allowed");
    call(side, 2, "hello");
    assert_body(side, "hello e\n");
}

static void an_unknown_function_is_named(void **state)
{
    struct daemon_side *side = *state;
    call(side, 1, "nope");
    assert_failure(side, WIRE_OUTCOME_STATUS, STATUS_FUNCTION_NOT_FOUND, "the code has no function `nope`");
}

static void what_was_logged_and_finished_before_a_crash_arrives(void **state)
{
    struct daemon_side *side = *state;
    queue(side, 1, "hello");
    queue(side, 2, "hello");
    queue(side, 3, "log_and_crash");
    queue(side, 4, "hello");
    send_queued(side);
    expect_result(side, 1);
    expect_result(side, 2);
    struct wire_log log;
    assert_int_equal(wire_log_decode(next_frame(side), &log, NULL), STATUS_OK);
    assert_int_equal(log.id, 3);
    assert_int_equal(log.level, STEAD_WARN);
    assert_true(slice_is(log.text, "about to crash: 42"));
    assert_int_equal(next_frame(side).size, 0);
    int status = wait_for_worker(side);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* Also a stack overflow, where the signal's handler needs a stack of its own. */
static void dies_after(struct daemon_side *side, const char *function)
{
    for (uint64_t id = 1; id <= 20; id++) queue(side, id, "hello");
    queue(side, 21, function);
    send_queued(side);
    for (uint64_t id = 1; id <= 20; id++) expect_result(side, id);
    assert_int_equal(next_frame(side).size, 0);
}

static void finished_results_survive_a_stack_overflow(void **state)
{
    struct daemon_side *side = *state;
    dies_after(side, "overrun_stack");
    int status = wait_for_worker(side);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    assert_int_not_equal(status, 0); /* the sanitizer ends it in its own way */
#else
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
#endif
}

static void finished_results_survive_an_exit(void **state)
{
    struct daemon_side *side = *state;
    dies_after(side, "leave");
    int status = wait_for_worker(side);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void exhausted_memory_is_told_from_a_crash(void **state)
{
    struct daemon_side *side = *state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizer ends the process itself when an allocation is refused */
#endif
    dies_after(side, "exhaust");
    assert_true(WIFSIGNALED(wait_for_worker(side)));
    struct {
        int signal, reason;
    } last_words;
    assert_int_equal(read(side->last_words, &last_words, sizeof last_words), sizeof last_words);
    assert_int_equal(last_words.signal, SIGABRT);
    assert_int_equal(last_words.reason, ENOMEM);
}

static void long_runs_and_large_replies_are_measured_and_whole(void **state)
{
    struct daemon_side *side = *state;
    queue(side, 1, "spin");
    queue(side, 2, "spin");
    send_queued(side);
    for (uint64_t id = 1; id <= 2; id++)
    {
        expect_result(side, id);
        assert_int_equal(side->result.outcome, WIRE_OUTCOME_OK);
        assert_int_equal(side->result.body.size, 100000);
        assert_true(side->result.run_us >= 2000);
        assert_in_range(side->result.cpu_us, 1, side->result.run_us);
    }
}

static void frames_may_arrive_byte_by_byte(void **state)
{
    struct daemon_side *side = *state;
    queue(side, 1, "hello");
    queue(side, 2, "count");
    for (size_t i = 0; i < side->out.size; i++) assert_int_equal(write(side->link, side->out.data + i, 1), 1);
    buf_reset(&side->out);
    expect_result(side, 1);
    expect_result(side, 2);
    assert_body(side, "1");
}

static void a_frame_without_meta_reads_the_snapshot_of_the_one_before(void **state)
{
    struct daemon_side *side = *state;
    fx_store_put(&side->store, "e", "n", "10");
    queue(side, 1, "count");
    side->invoke.meta = SLICE_EMPTY;
    side->invoke.id = 2;
    wire_invoke_encode(&side->out, &side->invoke);
    send_queued(side);
    expect_result(side, 1);
    expect_result(side, 2);
    assert_body(side, "11");
}

static void the_end_of_the_link_ends_the_worker(void **state)
{
    struct daemon_side *side = *state;
    shutdown(side->link, SHUT_RDWR);
    assert_int_equal(wait_for_worker(side), 0);
}

static void what_is_no_frame_ends_the_worker(void **state)
{
    struct daemon_side *side = *state;
    assert_int_equal(write(side->link, "\0\0\0\0", 4), 4);
    assert_int_equal(next_frame(side).size, 0);
    int status = wait_for_worker(side);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void expect_ask(struct daemon_side *side, struct wire_ask *ask)
{
    struct err err = ERR_INIT;
    if (wire_ask_decode(next_frame(side), ask, &err) != STATUS_OK) fail_msg("%s", err_text(&err));
}

static void answer(struct daemon_side *side, const struct wire_ask *ask, const char *body)
{
    wire_answer_encode(&side->out,
                       &(struct wire_answer){.id = ask->id, .ask = ask->ask, .body = slice_cstr(body)});
}

static void a_function_that_only_reads_runs_inside_of_its_caller(void **state)
{
    struct daemon_side *side = *state;
    fx_store_put(&side->store, "e", "n", "41");
    call(side, 1, "reads_through"); /* no ASK comes before its result */
    assert_body(side, "41 for e as call, text/plain; charset=utf-8");
    struct wire_effect called;
    size_t offset = 0;
    bool found;
    assert_int_equal(wire_effect_next(side->result.called, &offset, &called, &found, NULL), STATUS_OK);
    assert_true(found && called.kind == WIRE_EFFECT_CALLED && called.number == 1);
    assert_true(slice_is(called.name, "reads"));
}

static void calls_whose_answers_nobody_wants_take_no_memory(void **state)
{
    struct daemon_side *side = *state;
    fx_store_put(&side->store, "e", "n", "41");
    side->invoke.timeout_ms = 30000;
    call(side, 1, "calls_without_end");
    assert_body(side, "little");
}

static void one_inside_may_call_another_and_sees_nothing_uncommitted(void **state)
{
    struct daemon_side *side = *state;
    fx_store_put(&side->store, "e", "n", "41");
    call(side, 1, "reads_deep"); /* two levels; it has written before */
    assert_body(side, "41 for e as call, text/plain; charset=utf-8");
    size_t offset = 0;
    struct write_entry write;
    assert_true(write_set_next(side->result.writes, &offset, &write));
    assert_int_equal(side->result.reads.size, 0); /* what it called stands for itself */
}

static void a_function_that_writes_is_asked_for_and_nothing_of_a_first_try_is_left(void **state)
{
    struct daemon_side *side = *state;
    for (uint64_t id = 1; id <= 2; id++)
    {
        queue(side, id, "writes_through");
        send_queued(side);
        struct wire_ask ask;
        expect_ask(side, &ask);
        assert_int_equal(ask.id, id);
        assert_int_equal(ask.kind, WIRE_ASK_CALL);
        assert_true(slice_is(ask.name, "count") && slice_is(ask.key, "e") && slice_is(ask.body, "up"));
        answer(side, &ask, "7");
        send_queued(side);
        expect_result(side, id);
        assert_body(side, "7");
        assert_int_equal(side->result.writes.size, 0);
        assert_int_equal(side->result.called.size, 0);
    }
}

static void a_rejection_of_what_was_called_can_be_forgiven(void **state)
{
    struct daemon_side *side = *state;
    call(side, 1, "forgives");
    assert_body(side, "1 404 no such thing");
}

static void answers_may_come_in_any_order(void **state)
{
    struct daemon_side *side = *state;
    queue(side, 1, "calls_two");
    send_queued(side);
    struct wire_ask a, b;
    expect_ask(side, &a);
    assert_true(slice_is(a.key, "a"));
    a.body = SLICE_EMPTY;
    expect_ask(side, &b);
    assert_int_equal(b.ask, a.ask + 1);
    answer(side, &b, "second");
    answer(side, &a, "first");
    send_queued(side);
    expect_result(side, 1);
    assert_body(side, "first second");
}

static void what_is_behind_one_that_asks_is_dropped_until_its_last_answer(void **state)
{
    struct daemon_side *side = *state;
    queue(side, 1, "calls_two");
    queue(side, 2, "hello"); /* behind it in the same packet */
    send_queued(side);
    struct wire_ask a, b;
    expect_ask(side, &a);
    expect_ask(side, &b);
    answer(side, &a, "one");
    queue(side, 3, "hello"); /* between the answers */
    answer(side, &b, "two");
    queue(side, 4, "hello"); /* behind the last one: this one counts */
    send_queued(side);
    expect_result(side, 1);
    assert_body(side, "one two");
    expect_result(side, 4);
    assert_body(side, "hello e\n");
    call(side, 5, "hello");
}

static void a_frame_that_had_begun_behind_one_that_asks_is_read_on(void **state)
{
    struct daemon_side *side = *state;
    queue(side, 1, "calls_two");
    size_t first = side->out.size;
    queue(side, 2, "hello");
    size_t cut = first + (side->out.size - first) / 2;
    struct buf rest = BUF_INIT;
    buf_append(&rest, slice_make(side->out.data + cut, side->out.size - cut));
    side->out.size = cut;
    send_queued(side);
    struct wire_ask a, b;
    expect_ask(side, &a);
    expect_ask(side, &b);
    buf_append(&side->out, buf_view(&rest));
    answer(side, &a, "one");
    answer(side, &b, "two");
    send_queued(side);
    expect_result(side, 1);
    assert_body(side, "one two");
    call(side, 3, "hello");
    buf_fini(&rest);
}

static void sends_leave_with_the_result(void **state)
{
    struct daemon_side *side = *state;
    call(side, 1, "sends");
    struct wire_effect send;
    size_t offset = 0;
    bool found;
    assert_int_equal(wire_effect_next(side->result.effects, &offset, &send, &found, NULL), STATUS_OK);
    assert_true(found && send.kind == WIRE_EFFECT_SEND && send.number == 0);
    assert_true(slice_is(send.name, "count") && slice_is(send.key, "far") && slice_is(send.body, "hello"));
    assert_int_equal(wire_effect_next(side->result.effects, &offset, &send, &found, NULL), STATUS_OK);
    assert_true(found && send.number == 12345 && send.key.size == 0);
    assert_int_equal(wire_effect_next(side->result.effects, &offset, &send, &found, NULL), STATUS_OK);
    assert_false(found);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_invocation_gets_its_reply),
        TEST(a_write_carries_what_it_read),
        TEST(a_chain_sees_the_writes_of_its_earlier_runs),
        TEST(a_run_whose_chain_is_unknown_is_not_run),
        TEST(reads_come_without_writes_when_asked_for),
        TEST(a_failure_that_the_handler_ignores_still_counts),
        TEST(an_unknown_function_is_named),
        TEST(what_was_logged_and_finished_before_a_crash_arrives),
        TEST(finished_results_survive_a_stack_overflow),
        TEST(finished_results_survive_an_exit),
        TEST(exhausted_memory_is_told_from_a_crash),
        TEST(long_runs_and_large_replies_are_measured_and_whole),
        TEST(frames_may_arrive_byte_by_byte),
        TEST(a_frame_without_meta_reads_the_snapshot_of_the_one_before),
        TEST(the_end_of_the_link_ends_the_worker),
        TEST(what_is_no_frame_ends_the_worker),
        TEST(a_function_that_only_reads_runs_inside_of_its_caller),
        TEST(calls_whose_answers_nobody_wants_take_no_memory),
        TEST(one_inside_may_call_another_and_sees_nothing_uncommitted),
        TEST(a_function_that_writes_is_asked_for_and_nothing_of_a_first_try_is_left),
        TEST(a_rejection_of_what_was_called_can_be_forgiven),
        TEST(answers_may_come_in_any_order),
        TEST(what_is_behind_one_that_asks_is_dropped_until_its_last_answer),
        TEST(a_frame_that_had_begun_behind_one_that_asks_is_read_on),
        TEST(sends_leave_with_the_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
