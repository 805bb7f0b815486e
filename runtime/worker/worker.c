/* worker.c - one worker process. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/worker/deployment.h"

enum {
    REPORT_MS = 1000, /* for the zygote to tell how a worker died, before we go on without */
    INSIST_MS = 20, /* for a worker to end by itself at its deadline */
    FRAME_MEMORY_BYTES = 48 * 1024 * 1024, /* that the SDK has beside the function's own memory */
    LOG_LINE_COST = 64, /* bytes of the log budget beside its text, so that empty lines are not free */
    LOG_REST_US =
        100, /* for each line that is dropped, before more is read: whoever writes it waits, not the others */
};

static const struct worker_link_handler link_handler;
static void on_timer(struct loop_timer *timer, void *ctx);

static void enter(struct worker *worker, enum worker_state state)
{
    CHECK(worker_edge_legal(worker->state, state));
    log_debug("worker.state", "worker=%llu from=%s to=%s", (unsigned long long)worker->number,
              worker_state_name(worker->state), worker_state_name(state));
    worker->state = state;
}

static struct pool_run *head_of(const struct worker *worker)
{
    return list_empty(&worker->sent) ? NULL : CONTAINER_OF(worker->sent.next, struct pool_run, link);
}

static void on_output_line(void *ctx, struct slice line)
{
    struct worker *worker = ctx;
    if (!worker->served) snprintf(worker->last_line, sizeof worker->last_line, "%.*s", SLICE_FMT(line));
    deployment_on_log(worker->deployment, head_of(worker), LOG_INFO, line);
}

/* ---- the beginning ---- */

size_t worker_memory_max(const struct pool_deployment *deployment)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < deployment->function_count; i++)
    {
        uint64_t bytes = deployment->functions[i].memory_bytes;
        if (!bytes) return SIZE_MAX; /* a function without a limit */
        if (bytes > largest) largest = bytes;
    }
    return (size_t)largest + FRAME_MEMORY_BYTES;
}

enum status worker_start(struct pool_deployment *deployment, struct loop *loop, struct zygote *zygote,
                         uint64_t number, uint32_t start_timeout_ms, struct worker **out, struct err *err)
{
    struct worker *worker = mem_zalloc(sizeof *worker);
    *worker = (struct worker){
        .deployment = deployment,
        .loop = loop,
        .number = number,
        .state = WORKER_SPAWNING,
        .pidfd = -1,
        .cause = ERR_INIT,
    };
    list_init(&worker->link);
    list_init(&worker->sent);
    list_init(&worker->pending);
    list_init(&worker->answering);
    list_init(&worker->chains);
    output_budget_init(&worker->log_budget, loop_now_ns(loop));
    loop_timer_init(&worker->timer, on_timer, worker);

    int peer = -1, writer = -1;
    enum status status = worker_link_open(loop, &link_handler, worker, &worker->wire, &peer, err);
    if (status == STATUS_OK)
        worker_link_limit(worker->wire, worker_memory_max(deployment)); /* what it sends was in its memory */
    if (status == STATUS_OK)
        status = output_open(loop, on_output_line, worker, &worker->output, &writer, err);
    if (status == STATUS_OK && deployment->has_left)
    {
        worker->log_budget = deployment->log_left;
        output_set_budget(worker->output, &deployment->output_left);
    }
    if (status == STATUS_OK) status = zygote_spawn(zygote, number, peer, writer, err);
    if (peer >= 0) close(peer);
    if (writer >= 0) close(writer);
    if (status != STATUS_OK)
    {
        worker->state = WORKER_DEAD;
        worker_free(worker);
        return status;
    }
    loop_timer_start(loop, &worker->timer, start_timeout_ms, 0);
    *out = worker;
    return STATUS_OK;
}

static void become_ready(struct worker *worker)
{
    if (worker->state != WORKER_GREETING) return; /* dying */
    loop_timer_stop(&worker->timer);
    enter(worker, WORKER_IDLE);
    worker->idle_since_ns = loop_now_ns(worker->loop);
    deployment_on_worker_ready(worker->deployment, worker);
}

static void on_process_ended(void *ctx, unsigned events);

void worker_on_spawned(struct worker *worker, int pidfd, uint32_t start_timeout_ms)
{
    struct err err = ERR_INIT;
    if (worker->pidfd >= 0) /* told twice */
    {
        close(pidfd);
        return;
    }
    worker->pidfd = pidfd;
    if (worker->state == WORKER_SPAWNING) enter(worker, WORKER_GREETING);
    if (loop_watch_open(worker->loop, pidfd, on_process_ended, worker, &worker->death, &err) != STATUS_OK)
    {
        /* Without eyes on it we do not use it: it dies with its zygote at the latest. */
        pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        worker_on_spawn_failed(worker, &err);
        return;
    }
    loop_watch_set(worker->death, LOOP_READABLE);
    if (worker->state == WORKER_DYING)
        pidfd_send_signal(pidfd, SIGKILL, NULL, 0); /* it was condemned before it was born */
    else if (worker->served)
        become_ready(worker);
    else
        loop_timer_start(worker->loop, &worker->timer, start_timeout_ms, 0);
}

static void on_link_ready(void *ctx, const struct wire_ready *ready)
{
    struct worker *worker = ctx;
    if (worker->served || ready->version != WIRE_VERSION)
    {
        worker_kill(worker, STATUS_FUNCTION_PROTOCOL, "the worker said READY %s",
                    worker->served ? "twice" : "in another version");
        return;
    }
    worker->served = true;
    if (worker->state == WORKER_SPAWNING) return; /* faster than the zygote's word: on_spawned goes on */
    become_ready(worker);
}

/* ---- runs ---- */

void worker_view(const struct worker *worker, struct policy_worker *view)
{
    *view = (struct policy_worker){.depth = worker->depth, .ahead_us = worker->ahead_us};
    const struct pool_run *head = head_of(worker);
    if (!head) return;
    view->head_us = head->expected_us;
    view->head_age_us = (loop_now_ns(worker->loop) - head->began_ns) / NS_PER_US;
}

bool worker_may_take(const struct worker *worker)
{
    if (!worker_serves(worker) || worker->answers_due > 0) return false;
    if (worker->depth == 0) return true;
    if (worker_link_backlog(worker->wire) > MIB) return false; /* it does not even read */
    struct policy_worker view;
    worker_view(worker, &view);
    return policy_may_send(&view);
}

/* The first run of the link has the worker for itself from now on. */
static void begin_head(struct worker *worker)
{
    struct pool_run *head = head_of(worker);
    if (!head)
    {
        loop_timer_stop(&worker->timer);
        enter(worker, WORKER_IDLE);
        worker->idle_since_ns = loop_now_ns(worker->loop);
        return;
    }
    worker->asks = 0;
    head->began_ns = loop_now_ns(worker->loop);
    uint64_t end_ns = head->began_ns + head->invoke->timeout_ms * NS_PER_MS;
    if (head->end_before_ns && head->end_before_ns < end_ns) end_ns = head->end_before_ns;
    loop_timer_start_at(worker->loop, &worker->timer, end_ns);
    if (head->started) head->started(head);
}

void worker_take(struct worker *worker, struct pool_run *run)
{
    CHECK(worker_serves(worker));
    run->worker = worker->number;
    run->process = worker;
    /* Nothing has run yet: the worker is idle since it was ready. */
    run->cold = worker->runs_sent == 0 && (worker->was_ahead || run->submitted_ns < worker->idle_since_ns);
    if (run->prepare) run->prepare(run);
    struct wire_invoke *invoke = run->invoke;
    invoke->id = (worker->number << 32) | ++worker->runs_sent; /* never the id of another run or worker */

    /* The snapshot of the frame before need not travel again. */
    struct slice meta = invoke->meta;
    if (worker->snapshot_known && worker->snapshot_txn == invoke->txn) invoke->meta = SLICE_EMPTY;
    worker_link_send(worker->wire, invoke);
    invoke->meta = meta;
    worker->snapshot_txn = invoke->txn;
    worker->snapshot_known = meta.size > 0;

    run->sent_ns = loop_now_ns(worker->loop);
    list_push_back(&worker->sent, &run->link);
    worker->ahead_us += run->expected_us;
    worker->flush = true;
    if (worker->depth++ > 0) return;
    enter(worker, WORKER_BUSY);
    begin_head(worker);
}

void worker_flush(struct worker *worker)
{
    if (!worker->flush) return;
    worker->flush = false;
    if (worker_serves(worker)) worker_link_flush(worker->wire);
}

static void leave(struct worker *worker, struct pool_run *run)
{
    list_remove(&run->link);
    run->process = NULL;
    worker->depth--;
    worker->ahead_us -= run->expected_us;
}

static void on_link_result(void *ctx, const struct wire_result *result)
{
    struct worker *worker = ctx;
    struct pool_run *run = head_of(worker);
    if (!run || result->id != run->invoke->id)
    {
        worker_kill(worker, STATUS_FUNCTION_PROTOCOL,
                    "the worker sent a result for a run that it was not at");
        return;
    }
    if (result->body.size > BOUND_REPLY_BODY_BYTES_MAX) /* the SDK does not send such */
    {
        worker_kill(worker, STATUS_FUNCTION_PROTOCOL,
                    "the worker sent a reply of %zu bytes; at most %llu are allowed", result->body.size,
                    BOUND_REPLY_BODY_BYTES_MAX);
        return;
    }
    if (worker->answers_due > 0)
    {
        worker_kill(worker, STATUS_FUNCTION_PROTOCOL,
                    "the worker sent a result before it had the answers that it had asked for");
        return;
    }
    leave(worker, run);
    if (worker->blamed == run) worker->blamed = NULL; /* it was killed for this one, just too late */
    if (worker->state == WORKER_BUSY) begin_head(worker);
    deployment_on_run_over(worker->deployment, run, STATUS_OK, result, NULL);
}

static void tell_log_loss(struct worker *worker)
{
    char words[128];
    int size = snprintf(words, sizeof words,
                        "(too many log lines: what exceeds %d KiB per second is dropped, %llu lines so far)",
                        (int)(OUTPUT_BYTES_PER_S / KIB), (unsigned long long)worker->log_loss.dropped);
    deployment_on_log(worker->deployment, head_of(worker), LOG_WARN, slice_make(words, (size_t)size));
}

static void on_link_log(void *ctx, const struct wire_log *log)
{
    struct worker *worker = ctx;
    const struct pool_run *run = head_of(worker);
    if (log->id && (!run || log->id != run->invoke->id))
    {
        worker_kill(worker, STATUS_FUNCTION_PROTOCOL, "the worker logged for a run that it was not at");
        return;
    }
    size_t cost = log->text.size + LOG_LINE_COST;
    uint64_t now = loop_now_ns(worker->loop);
    if (output_budget_take(&worker->log_budget, now, cost) < cost)
    {
        worker_link_rest(worker->wire, LOG_REST_US);
        output_loss_add(&worker->log_loss, 1);
        if (output_loss_due(&worker->log_loss, now)) tell_log_loss(worker);
        return;
    }
    enum log_level level = log->level <= LOG_ERROR ? (enum log_level)log->level : LOG_ERROR;
    deployment_on_log(worker->deployment, log->id ? run : NULL, level, log->text);
}

/* ---- what a running handler asks for ---- */

static void on_link_ask(void *ctx, const struct wire_ask *ask)
{
    struct worker *worker = ctx;
    struct pool_run *run = head_of(worker);
    if (worker->state != WORKER_BUSY && worker->state != WORKER_IDLE) return; /* condemned */
    if (!run || ask->id != run->invoke->id || ask->ask != worker->asks + 1)
    {
        worker_kill(worker, STATUS_FUNCTION_PROTOCOL, "the worker asked for something out of turn");
        return;
    }
    worker->asks++;
    bool waits = ask->kind != WIRE_ASK_PUBLISH;
    if (waits && worker->answers_due == BOUND_ASKS_AT_ONCE_MAX)
    {
        worker_kill(worker, STATUS_FUNCTION_PROTOCOL, "the worker asked for more than %d things at once",
                    BOUND_ASKS_AT_ONCE_MAX);
        return;
    }
    if (waits && worker->answers_due++ == 0) deployment_on_worker_waits(worker->deployment, worker);
    if (run->ask)
        run->ask(run, ask);
    else if (waits)
        worker_answer(worker, &(struct wire_answer){
                                  .ask = ask->ask,
                                  .status = STATUS_UNSUPPORTED,
                                  .failure = SLICE("nothing can be asked for here"),
                              });
}

void worker_answer(struct worker *worker, const struct wire_answer *answer)
{
    struct pool_run *run = head_of(worker);
    if (!run || !worker_serves(worker)) return; /* it dies: the run is about to end */
    CHECK(worker->answers_due > 0);
    struct wire_answer message = *answer;
    message.id = run->invoke->id;
    worker_link_answer(worker->wire, &message);
    if (list_empty(&worker->answering))
        list_push_back(&worker->deployment->pool->answering, &worker->answering);
    loop_want(worker->loop, PHASE_WRITE);
    if (--worker->answers_due == 0) deployment_on_worker_goes_on(worker->deployment);
}

/* ---- the end ---- */

/* Something told that it has ended, or is about to: it gets no more work. */
static void expect_death(struct worker *worker)
{
    if (worker->state == WORKER_DYING) return;
    bool served = worker_serves(worker);
    loop_timer_stop(&worker->timer);
    enter(worker, WORKER_DYING);
    if (worker->answers_due > 0) deployment_on_worker_goes_on(worker->deployment);
    worker->answers_due = 0;
    deployment_on_worker_dying(worker->deployment, worker, served);
}

/* Notes why, whom it is for, and kills. */
static void condemn(struct worker *worker, enum status status, const char *words)
{
    (void)err_set(&worker->cause, status, "%s", words); /* kept for when it is dead */
    if (status != STATUS_CANCELED) worker->blamed = head_of(worker);
    if (status == STATUS_FUNCTION_PROTOCOL) worker_link_mute(worker->wire);
    if (worker->pidfd < 0 || worker->gone) return;
    /* Its loop answers SIGXCPU with the results that are finished but not sent, and dies of it: so no run is blamed that
     * was done. Whoever has blocked the signal gets the other one. */
    bool gently = status == STATUS_FUNCTION_TIMEOUT;
    pidfd_send_signal(worker->pidfd, gently ? SIGXCPU : SIGKILL, NULL,
                      0); /* fails only when it is dead already */
    if (gently) loop_timer_start(worker->loop, &worker->timer, INSIST_MS, 0);
}

void worker_kill(struct worker *worker, enum status status, const char *format, ...)
{
    if (worker->state == WORKER_DYING || worker->state == WORKER_DEAD) return;
    char words[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    expect_death(worker);
    condemn(worker, status, words);
}

/* How a process that nobody killed came to its end. */
static enum status explain(const struct worker *worker, struct err *err)
{
    bool killed = worker->reported && worker->how.signal == SIGKILL; /* not by us: then nobody asks */
    if (worker->orphan_of_memory || (killed && group_take_memory_kill(worker->deployment->group)))
        return err_set(
            err, STATUS_FUNCTION_OUT_OF_MEMORY,
            "the workers of the app used more memory than they may have together, and the system ended "
            "this one");
    if (!worker->reported)
        return err_set(err, STATUS_FUNCTION_CRASHED, "the worker died %s",
                       worker->orphan ? "with the process that it was forked from"
                                      : "and nothing is known about how");
    const struct zygote_exit *how = &worker->how;
    if (how->out_of_memory)
    {
        const struct pool_run *run = head_of(worker);
        uint64_t limit = run ? worker->deployment->functions[run->function].memory_bytes : 0;
        if (!limit)
            return err_set(err, STATUS_FUNCTION_OUT_OF_MEMORY,
                           "the function was refused memory and did not survive it");
        return err_set(err, STATUS_FUNCTION_OUT_OF_MEMORY,
                       "the function was refused memory beyond its %llu MiB and did not survive it",
                       (unsigned long long)(limit >> 20));
    }
    if (how->signal == 0)
        return err_set(err, STATUS_FUNCTION_EXITED, "the function ended its process with exit code %d",
                       how->code);
    const char *name = sigabbrev_np(how->signal);
    return err_set(err, STATUS_FUNCTION_CRASHED, "the function was killed by signal %d (SIG%s%s%s)",
                   how->signal, name ? name : "?", name ? ": " : "", name ? strsignal(how->signal) : "");
}

/* The process is dead and we know what can be known. */
static void settle(struct worker *worker)
{
    loop_timer_stop(&worker->timer);
    expect_death(worker);
    enter(worker, WORKER_DEAD);

    struct err err = worker->cause;
    struct pool_run *victim = worker->blamed;
    if (err.status == STATUS_OK)
    {
        (void)explain(worker, &err); /* it died by itself: the run that it was at did it */
        victim = head_of(worker);
    }
    if (victim)
    {
        leave(worker, victim);
        deployment_on_run_over(worker->deployment, victim, err.status, NULL, &err);
    }
    if (!worker->served && worker->last_line[0])
        (void)err_set(&err, err.status, "%s", worker->last_line); /* it said itself what hindered it */
    deployment_on_worker_dead(worker->deployment, worker, worker->served, &err);
}

/* What it wrote before it died counts. */
static void collect_last_words(struct worker *worker)
{
    worker_link_drain(worker->wire);
    output_drain(worker->output);
    if (output_loss_left(&worker->log_loss)) tell_log_loss(worker);
}

static void on_process_ended(void *ctx, unsigned events)
{
    (void)events; /* a pidfd tells nothing else */
    struct worker *worker = ctx;
    worker->gone = true;
    loop_watch_close(worker->death);
    worker->death = NULL;
    collect_last_words(worker);
    worker_link_mute(worker->wire);
    expect_death(worker);
    if (worker->reported || worker->orphan)
        settle(worker);
    else
        loop_timer_start(worker->loop, &worker->timer, REPORT_MS, 0);
}

void worker_on_exited(struct worker *worker, const struct zygote_exit *how)
{
    if (worker->reported) return;
    worker->reported = true;
    worker->how = *how;
    if (worker->gone)
        settle(worker);
    else if (worker->pidfd >= 0)
        expect_death(worker); /* its pidfd tells in a moment */
}

void worker_on_spawn_failed(struct worker *worker, const struct err *err)
{
    if (worker->state == WORKER_DEAD || worker->gone) return;
    if (worker->cause.status == STATUS_OK)
        (void)err_set(&worker->cause, STATUS_FUNCTION_START_FAILED, "%s", err_text(err)); /* for settle */
    settle(worker);
}

void worker_on_zygote_gone(struct worker *worker, bool out_of_memory)
{
    worker->orphan_of_memory = out_of_memory;
    if (worker->pidfd < 0 || worker->gone) /* never born, or dead without a report */
    {
        settle(worker);
        return;
    }
    /* The kernel kills it; we do, too, in case that it changed whom it dies with. Its pidfd will tell. */
    worker->orphan = true;
    expect_death(worker);
    pidfd_send_signal(worker->pidfd, SIGKILL, NULL, 0);
}

static void on_link_end(void *ctx, enum status status, const struct err *err)
{
    struct worker *worker = ctx;
    if (status != STATUS_OK)
    {
        worker_kill(worker, STATUS_FUNCTION_PROTOCOL, "%s", err_text(err));
        return;
    }
    /* One that was never born is dead while its link still stands. */
    if (worker->gone || worker->state == WORKER_DYING || worker->state == WORKER_DEAD) return;
    /* Mostly because it is ending, which its pidfd tells in a moment; else it has cut itself off. */
    expect_death(worker);
    loop_timer_start(worker->loop, &worker->timer, REPORT_MS, 0);
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one for all that it waits for; the state tells for what */
    struct worker *worker = ctx;
    switch (worker->state)
    {
    case WORKER_SPAWNING:
        worker_kill(worker, STATUS_FUNCTION_START_FAILED, "no worker was forked in time");
        deployment_on_zygote_silent(worker->deployment);
        return;
    case WORKER_GREETING:
        worker_kill(worker, STATUS_FUNCTION_START_FAILED, "the worker did not get ready in time");
        return;
    case WORKER_BUSY:
        worker_kill(worker, STATUS_FUNCTION_TIMEOUT, "the function did not finish within %u ms",
                    head_of(worker)->invoke->timeout_ms);
        return;
    case WORKER_DYING:
        if (worker->gone)
            settle(worker);
        else if (worker->cause.status != STATUS_OK)
            pidfd_send_signal(worker->pidfd, SIGKILL, NULL, 0);
        else
            condemn(worker, STATUS_FUNCTION_PROTOCOL, "the worker closed its link but went on");
        return;
    case WORKER_IDLE:
    case WORKER_DEAD:
    case WORKER_STATE_COUNT:
        break;
    }
    UNREACHABLE("no timer runs in this state");
}

void worker_free(struct worker *worker)
{
    CHECK(worker->state == WORKER_DEAD && list_empty(&worker->sent) && list_empty(&worker->pending));
    list_remove(&worker->link);
    list_remove(&worker->answering);
    loop_timer_stop(&worker->timer);
    loop_watch_close(worker->death);
    worker_link_close(worker->wire);
    output_close(worker->output);
    if (worker->pidfd >= 0) close(worker->pidfd);
    free(worker);
}

static const struct worker_link_handler link_handler = {
    .on_ready = on_link_ready,
    .on_result = on_link_result,
    .on_log = on_link_log,
    .on_ask = on_link_ask,
    .on_end = on_link_end,
};
