/* deployment.c - one version of one app: runs to workers, workers from the zygote, and what happens when these fail. */
// SPDX-License-Identifier: Apache-2.0
//
// Events only note what has changed and touch the deployment; deployment_dispatch() then does what is due, once a turn,
// in the order: answer what failed, hand out runs, start what is missing, write, free what is dead.
#include "runtime/worker/deployment.h"

#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/fair_share.h"
#include "runtime/base/log.h"
#include "runtime/worker/ahead.h"

enum {
    LOOK_AGAIN_MS = 2, /* until a queue that nobody takes from is judged again */
    ZYGOTE_IDLE_FACTOR =
        10, /* a zygote without workers is kept longer than an idle worker: it costs more to make */
};

struct probe {
    struct list link;
    pool_on_probed_fn done;
    void *ctx;
};

static const struct zygote_handler zygote_handler;

void deployment_touch(struct pool_deployment *deployment)
{
    struct pool *pool = deployment->pool;
    if (list_empty(&deployment->dirty_link)) list_push_back(&pool->dirty, &deployment->dirty_link);
    loop_want(pool->config.loop, PHASE_DISPATCH);
}

static uint64_t now_ns(const struct pool_deployment *deployment)
{
    return loop_now_ns(deployment->pool->config.loop);
}

static struct pool_run *run_of(struct list *link)
{
    return CONTAINER_OF(link, struct pool_run, link);
}

static struct worker *worker_of(struct list *link)
{
    return CONTAINER_OF(link, struct worker, link);
}

/* ---- runs that end ---- */

/* Not its end by the pool, for want of work or at a stop. */
static bool is_fault(enum status status)
{
    return status == STATUS_FUNCTION_CRASHED || status == STATUS_FUNCTION_EXITED ||
           status == STATUS_FUNCTION_OUT_OF_MEMORY || status == STATUS_FUNCTION_PROTOCOL ||
           status == STATUS_FUNCTION_TIMEOUT;
}

static void answer(struct pool_deployment *deployment, struct pool_run *run, enum status status,
                   const struct wire_result *result, const struct err *err)
{
    deployment->stats.runs++;
    if (status != STATUS_OK) deployment->stats.failures++;
    if (is_fault(status))
        *(status == STATUS_FUNCTION_TIMEOUT ? &deployment->stats.timeouts : &deployment->stats.crashes) += 1;
    if (run->chain) run->chain->runs--;
    struct err plain = ERR_INIT;
    if (status != STATUS_OK && !err)
    {
        (void)err_set(&plain, status, "%s", status_text(status)); /* the caller gets it as words */
        err = &plain;
    }
    run->done(run, status, result, err);
}

void deployment_uncount(struct pool_deployment *deployment, const struct pool_run *run)
{
    deployment->queued--;
    deployment->queued_us -= run->expected_us;
}

void deployment_fail_run(struct pool_deployment *deployment, struct pool_run *run, enum status failure)
{
    run->failure = failure;
    list_push_back(&deployment->failed, &run->link);
    deployment_touch(deployment);
}

static void fail_all(struct pool_deployment *deployment, struct list *runs, enum status failure)
{
    struct list *link;
    while ((link = list_pop_front(runs)))
    {
        deployment_uncount(deployment, run_of(link));
        deployment_fail_run(deployment, run_of(link), failure);
    }
}

static void answer_failed(struct pool_deployment *deployment)
{
    struct list due; /* what fails meanwhile comes next time */
    list_init(&due);
    list_splice_back(&due, &deployment->failed);
    struct list *link;
    while ((link = list_pop_front(&due)))
    {
        struct pool_run *run = run_of(link);
        bool has_words = run->failure == STATUS_FUNCTION_START_FAILED;
        answer(deployment, run, run->failure, NULL, has_words ? &deployment->start_failure : NULL);
    }
}

void deployment_on_run_over(struct pool_deployment *deployment, struct pool_run *run, enum status status,
                            const struct wire_result *result, const struct err *err)
{
    deployment->running--;
    if (result)
    {
        /* The worker's own figure, within what we saw: it tells us about the function, nothing more. */
        uint64_t seen_us = (now_ns(deployment) - run->sent_ns) / NS_PER_US;
        policy_mean_add(&deployment->functions[run->function].mean,
                        result->run_us < seen_us ? result->run_us : seen_us);
    }
    deployment_touch(deployment);
    answer(deployment, run, status, result, err);
}

/* ---- runs to workers ---- */

static void hand_over(struct pool_deployment *deployment, struct worker *worker, struct pool_run *run)
{
    list_remove(&run->link);
    deployment_uncount(deployment, run);
    deployment->running++;
    run->expected_us = policy_expected_us(&deployment->functions[run->function].mean);
    worker_take(worker, run);
}

/* Runs of chains that live on a worker wait there for room, in order. */
static void hand_over_pending(struct pool_deployment *deployment, struct worker *worker)
{
    while (!list_empty(&worker->pending) && worker_may_take(worker))
        hand_over(deployment, worker, run_of(worker->pending.next));
}

static struct worker *hinted_worker(struct pool_deployment *deployment, uint64_t number)
{
    if (!number) return NULL;
    LIST_FOREACH(link, &deployment->workers)
    {
        struct worker *worker = worker_of(link);
        if (worker->number == number) return worker->state == WORKER_IDLE ? worker : NULL;
    }
    return NULL;
}

/* The first worker from *from on that takes another run; the ones before are full for this dispatch. */
static struct worker *next_worker(struct pool_deployment *deployment, struct list **from)
{
    for (; *from != &deployment->workers; *from = (*from)->next)
        if (worker_may_take(worker_of(*from))) return worker_of(*from);
    return NULL;
}

/* False when the run has to wait, and with it all behind it. */
static bool place(struct pool_deployment *deployment, struct pool_run *run, struct list **from)
{
    struct pool_chain *chain = run->chain;
    if (chain && chain->broken)
    {
        list_remove(&run->link);
        deployment_uncount(deployment, run);
        deployment_fail_run(deployment, run, STATUS_CONFLICT);
        return true;
    }
    if (chain && chain->worker)
    {
        list_remove(&run->link);
        list_push_back(&chain->worker->pending, &run->link);
        hand_over_pending(deployment, chain->worker);
        return true;
    }
    struct worker *worker = next_worker(deployment, from);
    if (!worker) return false;
    if (worker->depth == 0)
    {
        /* One has to be woken anyway: then the one that knows its entity. */
        struct worker *hinted = hinted_worker(deployment, run->worker_hint);
        if (hinted) worker = hinted;
    }
    if (chain)
    {
        chain->worker = worker;
        list_push_back(&worker->chains, &chain->link);
    }
    hand_over(deployment, worker, run);
    return true;
}

/* Those at the front have waited longest. */
static void expire(struct pool_deployment *deployment)
{
    uint64_t now = now_ns(deployment);
    while (!list_empty(&deployment->queue))
    {
        struct pool_run *run = run_of(deployment->queue.next);
        if (!run->start_before_ns || run->start_before_ns > now) return;
        list_remove(&run->link);
        deployment_uncount(deployment, run);
        deployment_fail_run(deployment, run, STATUS_DEADLINE_EXCEEDED);
    }
}

static void hand_out(struct pool_deployment *deployment)
{
    LIST_FOREACH(link, &deployment->workers) hand_over_pending(deployment, worker_of(link));
    struct list *from = deployment->workers.next;
    while (!list_empty(&deployment->queue))
        if (!place(deployment, run_of(deployment->queue.next), &from)) break;
    LIST_FOREACH(link, &deployment->workers) worker_flush(worker_of(link));
}

/* ---- starting ---- */

/* Nobody is there to do what waits, and starting somebody has just failed. */
static void start_failed(struct pool_deployment *deployment, const struct err *err)
{
    deployment->failures++;
    deployment->retry_at_ns = now_ns(deployment) + policy_backoff_ms(deployment->failures) * NS_PER_MS;
    deployment->start_failure = *err;
    if (deployment->serving + deployment->starting == 0)
        fail_all(deployment, &deployment->queue, STATUS_FUNCTION_START_FAILED);
    deployment_touch(deployment);
}

static void answer_probes(struct pool_deployment *deployment, enum status status, const struct err *err)
{
    struct list *link;
    while ((link = list_pop_front(&deployment->probes)))
    {
        struct probe *probe = CONTAINER_OF(link, struct probe, link);
        probe->done(probe->ctx, status, err);
        free(probe);
    }
}

void deployment_probe(struct pool_deployment *deployment, pool_on_probed_fn done, void *ctx)
{
    CHECK(!deployment->closing);
    struct probe *probe = mem_zalloc(sizeof *probe);
    probe->done = done;
    probe->ctx = ctx;
    list_push_back(&deployment->probes, &probe->link);
    deployment_touch(deployment);
}

/* The spare one, or one from the start: also when the spare one has died. */
static enum status make_zygote(struct pool_deployment *deployment, const struct zygote_config *config,
                               struct err *err)
{
    struct zygote *spare = zygote_fits(config) ? spare_take(&deployment->pool->spare) : NULL;
    if (spare && zygote_claim(spare, config, &zygote_handler, deployment, err) == STATUS_OK)
    {
        deployment->zygote = spare;
        return STATUS_OK;
    }
    zygote_close(spare);
    return zygote_start(config, &zygote_handler, deployment, &deployment->zygote, err);
}

static enum status start_zygote(struct pool_deployment *deployment, bool worker_follows, struct err *err)
{
    size_t count = deployment->function_count;
    const char **names = mem_alloc((count + 1) * sizeof *names);
    uint64_t *memory = mem_alloc((count + 1) * sizeof *memory);
    uint32_t *inside_ms = mem_alloc((count + 1) * sizeof *inside_ms);
    for (size_t i = 0; i < count; i++)
    {
        names[i] = deployment->functions[i].name;
        memory[i] = deployment->functions[i].memory_bytes;
        inside_ms[i] = deployment->functions[i].inside_ms;
    }
    struct zygote_config config = {
        .loop = deployment->pool->config.loop,
        .program = deployment->pool->config.zygote_program,
        .app = deployment->app,
        .artifact = deployment->artifact,
        .artifact_name = deployment->artifact_name,
        .data_fd = deployment->data_fd,
        .functions = names,
        .function_count = count,
        .memory_bytes = memory,
        .inside_ms = inside_ms,
        .env = (const char *const *)deployment->env,
        .env_count = deployment->env_count,
        .sandbox = deployment->sandbox,
        .load_timeout_ms = deployment->pool->config.start_timeout_ms,
        .worker_follows = worker_follows,
    };
    enum status status = make_zygote(deployment, &config, err);
    free(names);
    free(memory);
    free(inside_ms);
    deployment->zygote_proved = false;
    if (status == STATUS_OK) deployment->stats.zygotes_started++;
    return status;
}

/* Places for processes are shared by the apps of the node: one that has taken most of them leaves the rest. */
static bool has_place(const struct pool_deployment *deployment)
{
    const struct pool *pool = deployment->pool;
    const struct fair_share share = {deployment->shared->workers, pool->stats.workers,
                                     pool->config.workers_max};
    return fair_share_may_take(&share);
}

/* The one that was made ahead, or one from the start. */
static enum status make_worker(struct pool_deployment *deployment, struct worker **worker, struct err *err)
{
    struct pool *pool = deployment->pool;
    *worker = ahead_take(deployment);
    if (*worker) return STATUS_OK;
    uint32_t timeout_ms = pool->config.start_timeout_ms;
    if (!deployment->zygote_loaded)
        timeout_ms *= 2; /* the code may take the first half, which is watched elsewhere */
    return worker_start(deployment, pool->config.loop, deployment->zygote, ++pool->worker_numbers, timeout_ms,
                        worker, err);
}

static void start_workers(struct pool_deployment *deployment, uint32_t count)
{
    struct pool *pool = deployment->pool;
    for (uint32_t i = 0; i < count && has_place(deployment); i++)
    {
        struct err err = ERR_INIT;
        struct worker *worker;
        enum status status = make_worker(deployment, &worker, &err);
        if (status == STATUS_UNAVAILABLE) return; /* the zygote is dying: on_gone says why */
        if (status != STATUS_OK)
        {
            start_failed(deployment, &err);
            if (!deployment->zygote_loaded)
                zygote_condemn(deployment->zygote, err_text(&err)); /* it was promised one */
            return;
        }
        list_push_back(&deployment->workers, &worker->link);
        deployment->starting++;
        if (worker_serves(worker)) deployment_on_worker_ready(deployment, worker);
        deployment->stats.workers_started++;
        pool->stats.workers++;
        deployment->shared->workers++;
        pool_watch_idle(pool);
    }
}

static void count_hindered(const struct pool_deployment *deployment, struct policy_app *app)
{
    LIST_FOREACH(link, &deployment->workers)
    {
        struct policy_worker view;
        if (!worker_serves(worker_of(link)) || worker_of(link)->answers_due > 0) continue; /* it waits */
        worker_view(worker_of(link), &view);
        app->overdue += policy_overdue(&view);
        app->taken += policy_taken(&view);
    }
}

/* Those that wait for answers do nothing and need somebody to do it for them: others may take their places. */
static uint32_t workers_max(const struct pool_deployment *deployment)
{
    uint64_t extra = (uint64_t)deployment->workers_max * WAITING_FACTOR;
    return deployment->workers_max + (deployment->waiting < extra ? deployment->waiting : (uint32_t)extra) -
           deployment->waiting;
}

static uint32_t missing_workers(const struct pool_deployment *deployment)
{
    struct policy_app view = {
        .queued = deployment->queued,
        .queued_us = deployment->queued_us,
        .workers = deployment->serving - deployment->waiting,
        .starting = deployment->starting,
        .min = deployment->closing ? 0 : deployment->workers_min,
        .max = workers_max(deployment),
        .processors = deployment->pool->processors,
        .pressure = deployment->pool->pressure,
    };
    if (deployment->serving > 0 && !deployment->closing) count_hindered(deployment, &view);
    return policy_starts(&view);
}

/* Making a worker takes milliseconds of a processor, and so does its end: an app that uses them up as fast as they can be
 * made would have more of the machine than its share, and what it pays with is everybody's. */
static bool rests(struct pool_deployment *deployment)
{
    uint64_t now = now_ns(deployment);
    if (deployment->deaths.paid_ns <= now) deployment->deaths_said = false;
    if (policy_deaths_rest_until_ns(&deployment->deaths) <= now) return false;
    if (!deployment->deaths_said)
        log_warn(
            "pool.deaths",
            "app=%s more than %d of its workers have ended by its own fault: now one in %d ms is replaced",
            deployment->app, (int)POLICY_DEATHS_AT_ONCE, (int)POLICY_DEATH_MS);
    deployment->deaths_said = true;
    return true;
}

static void start_missing(struct pool_deployment *deployment)
{
    if (deployment->pool->stopping) return;
    bool backing_off = now_ns(deployment) < deployment->retry_at_ns;
    if (backing_off && deployment->serving + deployment->starting == 0)
        fail_all(deployment, &deployment->queue, STATUS_FUNCTION_START_FAILED);
    bool probed = !list_empty(&deployment->probes);
    uint32_t missing = missing_workers(deployment);
    bool starts = missing && !backing_off && !rests(deployment);
    if (deployment->zygote_loaded) answer_probes(deployment, STATUS_OK, NULL);
    if (!deployment->zygote && (starts || probed))
    {
        struct err err = ERR_INIT;
        enum status status = start_zygote(deployment, starts && has_place(deployment), &err);
        if (status != STATUS_OK)
        {
            answer_probes(deployment, status, &err);
            start_failed(deployment, &err);
            return;
        }
    }
    /* Also while the code is being loaded: the zygote finds the wish when it is done. */
    if (starts && !deployment->zygote_gone) start_workers(deployment, missing);
}

/* When nothing happens, a worker may become overdue, a back-off may end or a run may have waited too long. */
static void plan_next_look(struct pool_deployment *deployment)
{
    uint32_t have = deployment->serving + deployment->starting;
    bool warm = deployment->workers_min > have && !deployment->closing;
    if (deployment->queued == 0 && !warm)
    {
        loop_timer_stop(&deployment->look_again);
        return;
    }
    uint64_t now = now_ns(deployment);
    uint64_t at = now + LOOK_AGAIN_MS * NS_PER_MS;
    if (deployment->queued == 0 && deployment->retry_at_ns > at) at = deployment->retry_at_ns;
    loop_timer_start_at(deployment->pool->config.loop, &deployment->look_again, at);
}

/* ---- the zygote's words ---- */

static struct worker *find_worker(struct pool_deployment *deployment, uint64_t number)
{
    LIST_FOREACH(link, &deployment->workers)
    {
        if (worker_of(link)->number == number) return worker_of(link);
    }
    return deployment->ahead && deployment->ahead->number == number ? deployment->ahead : NULL;
}

static void on_loaded(void *ctx)
{
    struct pool_deployment *deployment = ctx;
    deployment->zygote_loaded = true;
    deployment->zygote_proved = deployment->serving > 0;
    deployment->zygote_idle_since_ns = now_ns(deployment);
    deployment->group = groups_enter(&deployment->pool->groups, deployment);
    pool_watch_idle(deployment->pool);
    answer_probes(deployment, STATUS_OK, NULL);
    deployment_touch(deployment);
}

static void on_spawned(void *ctx, uint64_t number, int pidfd)
{
    struct pool_deployment *deployment = ctx;
    struct worker *worker = find_worker(deployment, number);
    if (worker)
        worker_on_spawned(worker, pidfd, deployment->pool->config.start_timeout_ms);
    else
        close(pidfd); /* nobody we asked for */
}

static void on_spawn_failed(void *ctx, uint64_t number, const struct err *err)
{
    struct worker *worker = find_worker(ctx, number);
    if (worker) worker_on_spawn_failed(worker, err);
}

static void on_exited(void *ctx, uint64_t number, const struct zygote_exit *how)
{
    struct worker *worker = find_worker(ctx, number);
    if (worker) worker_on_exited(worker, how);
}

static void on_output(void *ctx, struct slice line)
{
    deployment_on_log(ctx, NULL, LOG_INFO, line);
}

static void on_gone(void *ctx, const struct err *err)
{
    struct pool_deployment *deployment = ctx;
    log_warn("pool.zygote_gone", "app=%s error=\"%s\"", deployment->app, err_text(err));
    deployment->zygote_gone = true;
    deployment->zygote_loaded = false;
    bool out_of_memory = group_take_memory_kill(deployment->group);
    LIST_FOREACH(link, &deployment->workers) worker_on_zygote_gone(worker_of(link), out_of_memory);
    if (deployment->ahead) worker_on_zygote_gone(deployment->ahead, out_of_memory);
    if (!deployment->zygote_proved)
    {
        answer_probes(deployment, err->status, err);
        start_failed(deployment, err);
    }
    deployment_touch(deployment);
}

static const struct zygote_handler zygote_handler = {
    .on_loaded = on_loaded,
    .on_spawned = on_spawned,
    .on_spawn_failed = on_spawn_failed,
    .on_exited = on_exited,
    .on_output = on_output,
    .on_gone = on_gone,
};

/* ---- the workers' words ---- */

void deployment_on_worker_ready(struct pool_deployment *deployment, struct worker *worker)
{
    if (worker->ahead) return; /* hand_out finds the others */
    deployment->starting--;
    deployment->serving++;
    deployment->failures = 0;
    deployment->zygote_proved = deployment->zygote_loaded; /* the first one may be earlier than it */
    spare_want(&deployment->pool->spare); /* this may have used it */
    deployment_touch(deployment);
}

void deployment_on_worker_dying(struct pool_deployment *deployment, const struct worker *worker, bool served)
{
    if (worker->ahead) return;
    if (served)
        deployment->serving--;
    else
        deployment->starting--;
    deployment->dying++;
    deployment_touch(deployment);
}

/* Chains lived in its memory. */
static void break_chains(struct worker *worker)
{
    struct list *link;
    while ((link = list_pop_front(&worker->chains)))
    {
        struct pool_chain *chain = CONTAINER_OF(link, struct pool_chain, link);
        chain->worker = NULL;
        chain->broken = true;
    }
}

/* The runs have not begun: those that depend on nothing in the dead process go back to the front of the queue. */
static void take_back(struct pool_deployment *deployment, struct list *runs)
{
    while (!list_empty(runs))
    {
        struct pool_run *run = run_of(runs->prev);
        list_remove(&run->link);
        run->worker = 0;
        run->process = NULL;
        list_push_front(&deployment->queue, &run->link);
        deployment->queued++;
        deployment->queued_us += run->expected_us;
    }
}

/* Other chains than the one of the run that waits cannot go on there, and what that run waits for may be one of them:
 * their runs begin new chains elsewhere. */
static void break_other_chains(struct pool_deployment *deployment, struct worker *worker,
                               const struct pool_chain *own)
{
    for (struct list *link = worker->chains.next, *next; link != &worker->chains; link = next)
    {
        next = link->next;
        struct pool_chain *chain = CONTAINER_OF(link, struct pool_chain, link);
        if (chain == own) continue;
        list_remove(link);
        chain->worker = NULL;
        chain->broken = true;
    }
    for (struct list *link = worker->pending.next, *next; link != &worker->pending; link = next)
    {
        next = link->next;
        if (run_of(link)->chain == own) continue;
        list_remove(link);
        deployment_uncount(deployment, run_of(link));
        deployment_fail_run(deployment, run_of(link), STATUS_CONFLICT);
    }
}

void deployment_on_worker_waits(struct pool_deployment *deployment, struct worker *worker)
{
    deployment->waiting++;
    while (worker->depth > 1)
    {
        struct pool_run *run = run_of(worker->sent.prev);
        list_remove(&run->link);
        run->process = NULL;
        run->worker = 0;
        worker->depth--;
        worker->ahead_us -= run->expected_us;
        deployment->running--;
        deployment->queued++;
        deployment->queued_us += run->expected_us;
        list_push_front(run->chain ? &worker->pending : &deployment->queue, &run->link);
    }
    break_other_chains(deployment, worker, run_of(worker->sent.next)->chain);
    worker->snapshot_known = false; /* it may have been in a frame that the worker drops */
    deployment_touch(deployment);
}

void deployment_on_worker_goes_on(struct pool_deployment *deployment)
{
    deployment->waiting--;
    deployment_touch(deployment);
}

/* Else who dies of it could log as much as it likes. */
static void note_fault(struct pool_deployment *deployment, const struct worker *worker)
{
    if (worker->runs_sent <= POLICY_DEATH_RUNS) policy_deaths_add(&deployment->deaths, now_ns(deployment));
    deployment->has_left = true;
    deployment->log_left = worker->log_budget;
    deployment->output_left = output_budget_left(worker->output);
}

void deployment_on_worker_dead(struct pool_deployment *deployment, struct worker *worker, bool started,
                               const struct err *err)
{
    struct pool *pool = deployment->pool;
    if (ahead_died(deployment, worker))
    {
        list_push_back(&deployment->dead, &worker->link);
        deployment_touch(deployment);
        return;
    }
    deployment->dying--;
    pool->stats.workers--;
    deployment->shared->workers--;
    deployment->running -= worker->depth;
    break_chains(worker);
    LIST_FOREACH(link, &worker->pending) deployment_uncount(deployment, run_of(link));
    take_back(deployment, &worker->pending);
    take_back(deployment, &worker->sent);
    worker->depth = 0;
    deployment->stats.log_lines_dropped += worker->log_loss.dropped;
    list_remove(&worker->link);
    list_push_back(&deployment->dead, &worker->link);
    if (started && !deployment->zygote_gone && is_fault(err->status)) note_fault(deployment, worker);
    if (list_empty(&deployment->workers))
    {
        deployment->zygote_idle_since_ns = now_ns(deployment);
        ahead_make(deployment);
    }
    if (pool->stopping) fail_all(deployment, &deployment->queue, STATUS_DRAINING);
    /* An orphan's end was told by its zygote's, and there may be a new one since. */
    if (!started && !worker->orphan && !deployment->zygote_gone && !deployment->closing && !pool->stopping)
        start_failed(deployment, err);
    deployment_touch(deployment);
}

void deployment_on_zygote_silent(struct pool_deployment *deployment)
{
    if (deployment->zygote)
        zygote_condemn(deployment->zygote, "the process that workers are forked from does not answer");
}

void deployment_on_log(struct pool_deployment *deployment, const struct pool_run *run, enum log_level level,
                       struct slice text)
{
    const struct pool_config *config = &deployment->pool->config;
    if (!config->on_log) return;
    config->on_log(config->log_ctx, &(struct pool_log){
                                        .app = deployment->app,
                                        .version = deployment->version,
                                        .function = run ? run->invoke->function : SLICE_EMPTY,
                                        .invocation = run ? run->invoke->ident : SLICE_EMPTY,
                                        .level = level,
                                        .text = text,
                                    });
}

/* ---- the end ---- */

static void free_dead(struct pool_deployment *deployment)
{
    struct list *link;
    while ((link = list_pop_front(&deployment->dead))) worker_free(worker_of(link));
    if (!deployment->zygote_gone) return;
    deployment_close_zygote(deployment);
    deployment->zygote_gone = false;
}

void deployment_close_zygote(struct pool_deployment *deployment)
{
    zygote_close(deployment->zygote);
    groups_leave(&deployment->pool->groups, deployment->group);
    deployment->zygote = NULL;
    deployment->group = NULL;
}

static bool nothing_left(const struct pool_deployment *deployment)
{
    return deployment->queued == 0 && deployment->running == 0 && list_empty(&deployment->failed) &&
           list_empty(&deployment->probes);
}

/* True when the deployment is gone. */
static bool finish_close(struct pool_deployment *deployment)
{
    if (!deployment->closing || !nothing_left(deployment)) return false;
    LIST_FOREACH(link, &deployment->workers)
    worker_kill(worker_of(link), STATUS_CANCELED, "its deployment is closed");
    ahead_drop(deployment, "its deployment is closed");
    if (!list_empty(&deployment->workers) || deployment->ahead) return false;
    void (*on_closed)(void *ctx) = deployment->on_closed;
    void *ctx = deployment->closed_ctx;
    deployment_free(deployment);
    if (on_closed) on_closed(ctx);
    return true;
}

void deployment_end_idle(struct pool_deployment *deployment, uint32_t *ends)
{
    uint64_t now = now_ns(deployment);
    uint32_t idle_max_ms = policy_idle_max_ms(deployment->idle_ms, deployment->pool->pressure);
    for (struct list *link = deployment->workers.prev, *before; *ends && link != &deployment->workers;
         link = before)
    {
        before = link->prev;
        struct worker *worker = worker_of(link);
        if (worker->state != WORKER_IDLE || !list_empty(&worker->chains)) continue;
        uint64_t idle_ms = (now - worker->idle_since_ns) / NS_PER_MS;
        if (!policy_idle_over(deployment->serving, deployment->workers_min, idle_ms, idle_max_ms)) continue;
        worker_kill(worker, STATUS_CANCELED, "it was idle");
        --*ends;
    }
    if (deployment->pool->pressure != PRESSURE_NONE) ahead_drop(deployment, "memory is short");
    bool unused = deployment->zygote_loaded && list_empty(&deployment->workers) && deployment->queued == 0;
    uint64_t unused_ms = (now - deployment->zygote_idle_since_ns) / NS_PER_MS;
    if (*ends && unused &&
        policy_idle_over(1, deployment->workers_min, unused_ms / ZYGOTE_IDLE_FACTOR, idle_max_ms))
    {
        --*ends;
        if (deployment->ahead) worker_on_zygote_gone(deployment->ahead, false);
        deployment->zygote_loaded = false;
        deployment->zygote_gone = true;
        deployment_touch(deployment);
    }
}

void deployment_stop(struct pool_deployment *deployment)
{
    struct err err = ERR_INIT;
    (void)err_set(&err, STATUS_DRAINING, "%s", status_text(STATUS_DRAINING)); /* words for the probes */
    answer_probes(deployment, STATUS_DRAINING, &err);
    fail_all(deployment, &deployment->queue, STATUS_DRAINING);
    LIST_FOREACH(link, &deployment->workers)
    worker_kill(worker_of(link), STATUS_DRAINING, "%s", err_text(&err));
    ahead_drop(deployment, err_text(&err));
    deployment_touch(deployment);
}

void deployment_dispatch(struct pool_deployment *deployment)
{
    free_dead(deployment);
    expire(deployment);
    answer_failed(deployment);
    hand_out(deployment);
    start_missing(deployment);
    if (finish_close(deployment)) return;
    plan_next_look(deployment);
}
