/* deployment.h - one version of one app in the pool: its zygote, its workers, its queue. Internal to the pool. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/map.h"
#include "runtime/worker/groups.h"
#include "runtime/worker/pool.h"
#include "runtime/worker/spare.h"
#include "runtime/worker/worker.h"

/* So many times workers_max may exist beside it, while their runs wait for answers. */
enum { WAITING_FACTOR = 3 };

struct pool;
/* There are processes now, which will be idle some time. */
void pool_watch_idle(struct pool *pool);

/* What the deployments of one app share. */
struct pool_app {
    uint32_t deployments;
    uint32_t workers; /* all that are there, whatever they do */
};

struct pool {
    struct pool_config config;
    struct list deployments;
    struct map apps; /* name -> struct pool_app */
    struct list dirty; /* deployments with something to do in the next dispatch */
    struct list answering; /* workers that were given answers in this turn */
    struct loop_timer tick; /* ends what is idle; runs while there are processes */
    bool ends_pause; /* the last tick left some to the next one, which comes soon */
    uint64_t worker_numbers; /* the last one given */
    uint32_t processors;
    enum policy_pressure pressure; /* at the last tick */
    struct spare spare;
    struct groups groups;
    struct pool_stats stats; /* of the deployments that are gone, and `workers` of all */
    bool stopping;
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
};

struct deployment_function {
    char *name;
    uint64_t memory_bytes;
    uint32_t cpu_percent;
    uint32_t inside_ms;
    struct policy_mean mean;
};

struct pool_deployment {
    struct list link; /* the pool's */
    struct list dirty_link;
    struct pool *pool;
    struct pool_app *shared;
    char *app, *version, *artifact, *artifact_name;
    int data_fd;
    struct deployment_function *functions;
    size_t function_count;
    struct map function_places; /* name -> 1 + index */
    char **env;
    size_t env_count;
    uint32_t workers_min, workers_max, idle_ms, queue_max;
    struct sandbox_config sandbox;

    struct zygote *zygote; /* NULL: none */
    struct group *group; /* that it is in, or will be; NULL: none */
    bool zygote_loaded;
    bool zygote_proved; /* a worker of it has served: its death is no failure to start */
    bool zygote_gone; /* dead, to be closed in the next dispatch */
    uint64_t zygote_idle_since_ns; /* when its last worker ended */
    uint32_t failures; /* starts that failed in a row */
    uint64_t retry_at_ns; /* no start before */
    struct policy_deaths deaths;
    bool has_left; /* a worker has ended by its fault: the next one goes on with what it had left */
    struct output_budget log_left, output_left;
    bool deaths_said;
    struct err start_failure; /* the words of the last one */

    struct list workers; /* all but the dead ones, the oldest first */
    struct worker *ahead; /* made before it is needed, none of `workers`; NULL: none */
    struct list dead; /* to be freed in the next dispatch */
    uint32_t serving, starting, dying; /* counts of `workers` by state */
    uint32_t waiting; /* of `serving`: their runs wait for answers */

    struct list queue; /* runs that no worker has been chosen for */
    struct list failed; /* runs whose done is due, with run.failure */
    uint32_t queued; /* of `queue` and of the workers' `pending` */
    uint64_t queued_us; /* their expected times together */
    uint32_t running; /* in links of workers */
    struct loop_timer look_again; /* the queue must not wait for an event that does not come */

    struct list probes;
    bool closing;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
    struct pool_stats stats;
};

/* Everything of the deployment that is due: the middle of the pool. May free it. */
void deployment_dispatch(struct pool_deployment *deployment);
/* It is looked at in the next dispatch. */
void deployment_touch(struct pool_deployment *deployment);
/* See pool_deployment_probe. */
void deployment_probe(struct pool_deployment *deployment, pool_on_probed_fn done, void *ctx);
/* Ends workers, and the zygote, that have been idle for long enough: so many, and *ends is what is left then. */
void deployment_end_idle(struct pool_deployment *deployment, uint32_t *ends);
/* Kills all its workers; their runs end with DRAINING, as do those that wait. */
void deployment_stop(struct pool_deployment *deployment);
/* Puts a run that waits, or is new, onto the list of the failed. */
void deployment_fail_run(struct pool_deployment *deployment, struct pool_run *run, enum status failure);
/* The counterpart of queueing. */
void deployment_uncount(struct pool_deployment *deployment, const struct pool_run *run);
void deployment_free(struct pool_deployment *deployment);
/* Kills the zygote, if there is one. */
void deployment_close_zygote(struct pool_deployment *deployment);
