/* pool.c - the pool's surface: deployments and runs come in, the dispatch of a turn works on what was touched. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/worker/deployment.h"

enum {
    START_TIMEOUT_MS = 10000,
    IDLE_MS = 60000,
    TICK_MS = 1000,
    /* The end of a process costs the machine some milliseconds: not all that are idle at once, for who comes meanwhile. */
    ENDS_AT_ONCE = 2,
    ENDS_PAUSE_MS = 25,
};

static struct pool_deployment *deployment_of(struct list *link)
{
    return CONTAINER_OF(link, struct pool_deployment, link);
}

/* ---- the pool ---- */

static void on_dispatch(void *ctx)
{
    struct pool *pool = ctx;
    struct list due; /* what is touched meanwhile comes in the next turn */
    list_init(&due);
    list_splice_back(&due, &pool->dirty);
    struct list *link;
    while ((link = list_pop_front(&due)))
        deployment_dispatch(CONTAINER_OF(link, struct pool_deployment, dirty_link));

    if (!pool->stopping || !list_empty(&pool->deployments) || !pool->on_stopped) return;
    if (!groups_idle(&pool->groups)) return; /* the last ones empty in a moment */
    void (*on_stopped)(void *ctx) = pool->on_stopped;
    pool->on_stopped = NULL;
    loop_timer_stop(&pool->tick);
    on_stopped(pool->stopped_ctx);
}

static void on_write(void *ctx)
{
    struct pool *pool = ctx;
    struct list *link;
    while ((link = list_pop_front(&pool->answering)))
    {
        struct worker *worker = CONTAINER_OF(link, struct worker, answering);
        if (worker_serves(worker)) worker_link_flush(worker->wire);
    }
}

static void look_at_memory(struct pool *pool)
{
    static const char *const words[] = {"none", "high", "critical"};
    struct machine_memory memory;
    pool->config.memory(&memory);
    enum policy_pressure pressure = policy_pressure(memory.available_bytes, memory.total_bytes);
    if (pressure != pool->pressure)
        log_warn("pool.memory", "pressure=%s available_mb=%llu total_mb=%llu", words[pressure],
                 (unsigned long long)(memory.available_bytes / MIB),
                 (unsigned long long)(memory.total_bytes / MIB));
    pool->pressure = pressure;
    if (pressure == PRESSURE_CRITICAL)
        spare_drop(&pool->spare);
    else
        spare_want(&pool->spare);
}

static void on_tick(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one of its kind */
    struct pool *pool = ctx;
    if (!pool->ends_pause) look_at_memory(pool);
    uint32_t ends = pool->pressure == PRESSURE_NONE ? ENDS_AT_ONCE : UINT32_MAX;
    bool processes = false;
    LIST_FOREACH(link, &pool->deployments)
    {
        deployment_end_idle(deployment_of(link), &ends);
        processes |= deployment_of(link)->zygote != NULL;
    }
    pool->ends_pause = ends == 0;
    if (processes)
        loop_timer_start(pool->config.loop, &pool->tick, pool->ends_pause ? ENDS_PAUSE_MS : TICK_MS, 0);
}

void pool_watch_idle(struct pool *pool)
{
    if (!loop_timer_started(&pool->tick)) loop_timer_start(pool->config.loop, &pool->tick, TICK_MS, 0);
}

enum status pool_create(struct pool **out, const struct pool_config *config, struct err *err)
{
    char *program = realpath(config->zygote_program, NULL); /* it is started in another directory */
    if (!program || access(program, X_OK) != 0)
    {
        free(program);
        return err_errno(err, STATUS_CONFIG_INVALID, errno, "the program of the zygotes, %s",
                         config->zygote_program);
    }
    struct pool *pool = mem_zalloc(sizeof *pool);
    pool->config = *config;
    pool->config.zygote_program = program;
    if (!pool->config.start_timeout_ms) pool->config.start_timeout_ms = START_TIMEOUT_MS;
    if (!pool->config.memory) pool->config.memory = machine_memory_read;
    if (!pool->config.workers_max) pool->config.workers_max = POOL_WORKERS_MAX;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    pool->processors = processors > 0 ? (uint32_t)processors : 1;
    list_init(&pool->deployments);
    list_init(&pool->dirty);
    list_init(&pool->answering);
    spare_init(&pool->spare, config->loop, program, config->spare_zygote);
    groups_init(&pool->groups, config->loop, config->cgroups);
    loop_timer_init(&pool->tick, on_tick, pool);
    loop_on_turn(config->loop, PHASE_DISPATCH, on_dispatch, pool);
    loop_on_turn(config->loop, PHASE_WRITE, on_write, pool);
    *out = pool;
    return STATUS_OK;
}

void pool_stop(struct pool *pool, void (*on_stopped)(void *ctx), void *ctx)
{
    CHECK(!pool->stopping);
    pool->stopping = true;
    spare_drop(&pool->spare);
    pool->spare.enabled = false;
    pool->on_stopped = on_stopped;
    pool->stopped_ctx = ctx;
    LIST_FOREACH(link, &pool->deployments) deployment_stop(deployment_of(link));
    loop_want(pool->config.loop, PHASE_DISPATCH);
}

void pool_destroy(struct pool *pool)
{
    if (!pool) return;
    CHECK(list_empty(&pool->deployments));
    groups_fini(&pool->groups);
    spare_drop(&pool->spare);
    loop_timer_stop(&pool->tick);
    loop_off_turn(pool->config.loop, PHASE_WRITE, on_write, pool);
    loop_off_turn(pool->config.loop, PHASE_DISPATCH, on_dispatch, pool);
    map_fini(&pool->apps);
    free((char *)pool->config.zygote_program);
    free(pool);
}

/* ---- deployments ---- */

static void on_look_again(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one of its kind */
    deployment_touch(ctx);
}

static void copy_spec(struct pool_deployment *deployment, const struct pool_spec *spec)
{
    deployment->app = mem_strdup(spec->app);
    deployment->version = mem_strdup(spec->version);
    deployment->artifact = mem_strdup(spec->artifact);
    struct buf name = BUF_INIT;
    buf_printf(&name, "%s%s", spec->artifact_name ? spec->artifact_name : spec->app,
               spec->artifact_name ? "" : ".so");
    deployment->artifact_name = mem_strdup(buf_cstr(&name));
    buf_fini(&name);
    deployment->data_fd = spec->data_fd;
    deployment->sandbox = spec->sandbox;
    sandbox_lists_copy(&deployment->sandbox);
    deployment->workers_min = spec->workers_min;
    deployment->workers_max = spec->workers_max ? spec->workers_max : POOL_DEPLOYMENT_WORKERS;
    deployment->idle_ms = spec->idle_ms ? spec->idle_ms : IDLE_MS;
    deployment->queue_max = spec->queue_max ? spec->queue_max : BOUND_QUEUE_PER_FUNCTION_MAX;

    deployment->function_count = spec->function_count;
    deployment->functions = mem_zalloc((spec->function_count + 1) * sizeof *deployment->functions);
    for (size_t i = 0; i < spec->function_count; i++)
    {
        deployment->functions[i].name = mem_strdup(spec->functions[i].name);
        deployment->functions[i].memory_bytes = spec->functions[i].memory_mb * MIB;
        deployment->functions[i].cpu_percent = spec->functions[i].cpu_percent;
        deployment->functions[i].inside_ms = spec->functions[i].inside_ms;
        (void)map_put(&deployment->function_places, slice_cstr(spec->functions[i].name),
                      (void *)(uintptr_t)(i + 1));
    }
    deployment->env_count = spec->env_count;
    deployment->env = mem_zalloc((spec->env_count + 1) * sizeof *deployment->env);
    for (size_t i = 0; i < spec->env_count; i++) deployment->env[i] = mem_strdup(spec->env[i]);
}

static enum status check_spec(const struct pool *pool, const struct pool_spec *spec, struct err *err)
{
    if (pool->stopping) return err_set(err, STATUS_DRAINING, "the pool is stopping");
    if (spec->function_count > BOUND_FUNCTIONS_PER_APP_MAX)
        return err_set(err, STATUS_INVALID_ARGUMENT, "%zu functions; at most %d are allowed",
                       spec->function_count, BOUND_FUNCTIONS_PER_APP_MAX);
    for (size_t i = 0; i < spec->function_count; i++)
        if (strlen(spec->functions[i].name) > BOUND_NAME_BYTES_MAX)
            return err_set(err, STATUS_INVALID_ARGUMENT, "the function name `%s` exceeds %d bytes",
                           spec->functions[i].name, BOUND_NAME_BYTES_MAX);
    if (spec->workers_max && spec->workers_min > spec->workers_max)
        return err_set(err, STATUS_INVALID_ARGUMENT, "workers_min is %u, more than workers_max, %u",
                       spec->workers_min, spec->workers_max);
    return STATUS_OK;
}

static struct pool_app *app_ref(struct pool *pool, const char *name)
{
    struct pool_app *app = map_get(&pool->apps, slice_cstr(name));
    if (!app)
    {
        app = mem_zalloc(sizeof *app);
        (void)map_put(&pool->apps, slice_cstr(name), app);
    }
    app->deployments++;
    return app;
}

static void app_unref(struct pool *pool, const char *name, struct pool_app *app)
{
    if (--app->deployments > 0) return;
    CHECK(app->workers == 0);
    (void)map_remove(&pool->apps, slice_cstr(name));
    free(app);
}

enum status pool_deployment_open(struct pool *pool, const struct pool_spec *spec,
                                 struct pool_deployment **out, struct err *err)
{
    TRY(check_spec(pool, spec, err));
    struct pool_deployment *deployment = mem_zalloc(sizeof *deployment);
    deployment->pool = pool;
    copy_spec(deployment, spec);
    deployment->shared = app_ref(pool, spec->app);
    list_init(&deployment->dirty_link);
    list_init(&deployment->workers);
    list_init(&deployment->dead);
    list_init(&deployment->queue);
    list_init(&deployment->failed);
    list_init(&deployment->probes);
    loop_timer_init(&deployment->look_again, on_look_again, deployment);
    list_push_back(&pool->deployments, &deployment->link);
    if (deployment->workers_min) deployment_touch(deployment);
    spare_want(&pool->spare);
    *out = deployment;
    return STATUS_OK;
}

void pool_deployment_close(struct pool_deployment *deployment, void (*done)(void *ctx), void *ctx)
{
    CHECK(!deployment->on_closed);
    deployment->closing = true;
    deployment->on_closed = done;
    deployment->closed_ctx = ctx;
    deployment_touch(deployment);
}

void deployment_free(struct pool_deployment *deployment)
{
    CHECK(list_empty(&deployment->workers) && !deployment->ahead && list_empty(&deployment->queue));
    struct pool_stats *sums = &deployment->pool->stats;
    sums->runs += deployment->stats.runs;
    sums->failures += deployment->stats.failures;
    sums->timeouts += deployment->stats.timeouts;
    sums->crashes += deployment->stats.crashes;
    sums->zygotes_started += deployment->stats.zygotes_started;
    sums->workers_started += deployment->stats.workers_started;
    sums->log_lines_dropped += deployment->stats.log_lines_dropped;
    list_remove(&deployment->link);
    list_remove(&deployment->dirty_link);
    loop_timer_stop(&deployment->look_again);
    deployment_close_zygote(deployment);
    app_unref(deployment->pool, deployment->app, deployment->shared);
    map_fini(&deployment->function_places);
    for (size_t i = 0; i < deployment->function_count; i++) free(deployment->functions[i].name);
    for (size_t i = 0; i < deployment->env_count; i++) free(deployment->env[i]);
    free(deployment->functions);
    free(deployment->env);
    sandbox_lists_free(&deployment->sandbox);
    free(deployment->app);
    free(deployment->version);
    free(deployment->artifact);
    free(deployment->artifact_name);
    free(deployment);
}

void pool_deployment_probe(struct pool_deployment *deployment, pool_on_probed_fn done, void *ctx)
{
    deployment_probe(deployment, done, ctx);
}

/* ---- runs ---- */

void pool_chain_init(struct pool_chain *chain)
{
    *chain = (struct pool_chain){.worker = NULL};
    list_init(&chain->link);
}

void pool_chain_fini(struct pool_chain *chain)
{
    CHECK(chain->runs == 0);
    list_remove(&chain->link);
}

/* It would be told DEADLINE_EXCEEDED, only later. */
static bool comes_too_late(const struct pool_deployment *deployment, const struct pool_run *run)
{
    if (!run->start_before_ns || deployment->queued == 0) return false;
    struct policy_app view = {
        .queued = deployment->queued,
        .queued_us = deployment->queued_us,
        .max = deployment->workers_max,
        .processors = deployment->pool->processors,
    };
    uint64_t now = loop_now_ns(deployment->pool->config.loop);
    uint64_t left_us = run->start_before_ns > now ? (run->start_before_ns - now) / NS_PER_US : 0;
    return !policy_worth_waiting(policy_wait_us(&view), left_us);
}

void pool_submit(struct pool_deployment *deployment, struct pool_run *run)
{
    CHECK(!deployment->closing || deployment->pool->stopping);
    uintptr_t place = (uintptr_t)map_get(&deployment->function_places, run->invoke->function);
    CHECK(place);
    run->deployment = deployment;
    run->function = (uint32_t)(place - 1);
    run->worker = 0;
    run->process = NULL;
    run->cold = false;
    run->submitted_ns = loop_now_ns(deployment->pool->config.loop);
    run->failure = STATUS_OK;
    run->expected_us = policy_expected_us(&deployment->functions[run->function].mean);
    if (run->chain) run->chain->runs++;

    if (deployment->pool->stopping)
        deployment_fail_run(deployment, run, STATUS_DRAINING);
    else if (run->chain && run->chain->broken)
        deployment_fail_run(deployment, run, STATUS_CONFLICT);
    else if (deployment->queued >= deployment->queue_max || comes_too_late(deployment, run))
        deployment_fail_run(deployment, run, STATUS_QUEUE_FULL);
    else
    {
        list_push_back(&deployment->queue, &run->link);
        deployment->queued++;
        deployment->queued_us += run->expected_us;
        deployment_touch(deployment);
    }
}

bool pool_cancel(struct pool_run *run)
{
    if (run->worker || run->failure != STATUS_OK) return false;
    list_remove(&run->link);
    deployment_uncount(run->deployment, run);
    deployment_fail_run(run->deployment, run, STATUS_CANCELED);
    return true;
}

void pool_answer(struct pool_run *run, const struct wire_answer *answer)
{
    if (run->process) worker_answer(run->process, answer);
}

/* ---- figures ---- */

void pool_deployment_stats(const struct pool_deployment *deployment, struct pool_stats *stats)
{
    *stats = deployment->stats;
    stats->zygotes = deployment->zygote != NULL;
    stats->workers = deployment->serving + deployment->starting + deployment->dying;
    stats->queued = deployment->queued;
    stats->running = deployment->running;
    stats->workers_waiting = deployment->waiting;
    for (const struct list *link = deployment->workers.next; link != &deployment->workers; link = link->next)
        stats->workers_busy += CONTAINER_OF(link, struct worker, link)->state == WORKER_BUSY;
}

void pool_stats(const struct pool *pool, struct pool_stats *stats)
{
    *stats = pool->stats;
    for (const struct list *link = pool->deployments.next; link != &pool->deployments; link = link->next)
    {
        struct pool_stats one;
        pool_deployment_stats(CONTAINER_OF(link, struct pool_deployment, link), &one);
        stats->runs += one.runs;
        stats->failures += one.failures;
        stats->timeouts += one.timeouts;
        stats->crashes += one.crashes;
        stats->zygotes_started += one.zygotes_started;
        stats->workers_started += one.workers_started;
        stats->log_lines_dropped += one.log_lines_dropped;
        stats->zygotes += one.zygotes;
        stats->workers_busy += one.workers_busy;
        stats->workers_waiting += one.workers_waiting;
        stats->queued += one.queued;
        stats->running += one.running;
    }
}
