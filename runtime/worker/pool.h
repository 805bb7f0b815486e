/* pool.h - all workers of the node: give it runs, it finds or makes the processes that do them. */
// SPDX-License-Identifier: Apache-2.0
//
// A *deployment* is one version of one app. It has one zygote, started when first needed, and workers that run any
// function of the app. A *run* is one attempt of one invocation. Loop thread only; no callback runs inside of a call
// of the owner.
//
//     pool_create(&pool, &config, &err)
//     pool_deployment_open(pool, &spec, &deployment, &err)
//     pool_submit(deployment, &run)                  run.done(...) comes exactly once
//     pool_deployment_close(deployment, on_closed)   what was submitted finishes, then its processes go
//     pool_stop(pool, on_stopped)                    everything at once
//     pool_destroy(pool)
//
// What a run can end with (`status` of done):
//     OK                      `result` tells, also an error that the handler returned (result->outcome)
//     FUNCTION_CRASHED        a signal, named                 FUNCTION_EXITED          its exit code
//     FUNCTION_TIMEOUT        killed at run.timeout_ms        FUNCTION_OUT_OF_MEMORY   memory was refused to it
//     FUNCTION_PROTOCOL       its worker sent nonsense        FUNCTION_START_FAILED    no worker: the loader's words
//   and without having been started:
//     QUEUE_FULL              too many wait, or for too long
//     DEADLINE_EXCEEDED       run.start_before_ns passed
//     CONFLICT                the worker of its chain is gone: begin a new chain on a new snapshot
//     CANCELED                pool_cancel                     DRAINING                 pool_stop
// When one of the first kinds is told the process that ran it is dead: its snapshot may be released.
#pragma once

#include <stdint.h>

#include "messaging/wire/wire.h"
#include "runtime/base/list.h"
#include "runtime/base/log.h"
#include "runtime/loop/memory.h"
#include "runtime/sandbox/sandbox.h"

struct cgroups;
struct loop;
struct pool;
struct pool_deployment;
struct worker;

/* One line that user code wrote: by stead_log, or to stdout or stderr. Borrowed for the call. */
struct pool_log {
    const char *app;
    const char *version;
    struct slice function; /* empty: outside of an invocation */
    struct slice invocation; /* wire_invoke.ident; empty likewise */
    enum log_level level;
    struct slice text; /* one line, without its end */
};

struct pool_config {
    struct loop *loop;
    const char *zygote_program; /* path of stead-zygote */
    void (*on_log)(void *ctx, const struct pool_log *line);
    void *log_ctx;
    void (*memory)(struct machine_memory *memory); /* asked once a second; NULL: machine_memory_read() */
    uint32_t start_timeout_ms; /* of zygotes (with static initialisers) and of workers; 0: 10 s */
    struct cgroups *cgroups; /* for groups of zygotes and workers, borrowed; NULL: none */
    bool spare_zygote; /* one process is kept ready for the next cold app */
    uint32_t workers_max; /* of the whole node, shared by its apps (fair_share.h); 0: POOL_WORKERS_MAX */
};

enum { POOL_WORKERS_MAX = 4096, POOL_DEPLOYMENT_WORKERS = 32 };

/* Copies what it needs. */
MUST_CHECK enum status pool_create(struct pool **pool, const struct pool_config *config, struct err *err);
/* Kills every process; what was submitted and has not run ends with DRAINING; what runs, too. `on_stopped`
 * once all processes are dead, each callback has come and the owner has closed each deployment. */
void pool_stop(struct pool *pool, void (*on_stopped)(void *ctx), void *ctx);
/* After on_stopped, or when no deployment is open and there are no control groups. NULL is fine. */
void pool_destroy(struct pool *pool);

/* ---- deployments ---- */

struct pool_function {
    const char *name;
    uint32_t memory_mb; /* 0: no limit */
    uint32_t cpu_percent; /* 0: no limit; a bound when all functions have one and there are control groups */
    /* Its time, when nothing else limits it: a call may run it inside of the worker of a caller that has no more. 0: none
     * may. */
    uint32_t inside_ms;
};

struct pool_spec {
    const char *app;
    const char *version; /* for messages and logs */
    const char *artifact; /* path of the shared object */
    const char *artifact_name; /* how messages call it; NULL: the app's name and ".so" */
    int data_fd; /* store_data_fd() of its partition, borrowed as long as the deployment; -1: no state */
    const struct pool_function *functions;
    size_t function_count;
    const char *const *env; /* "NAME=value" for user code */
    size_t env_count;
    uint32_t workers_min; /* kept warm also without work; 0: scale to zero */
    uint32_t workers_max; /* 0: POOL_DEPLOYMENT_WORKERS */
    uint32_t idle_ms; /* a worker beyond workers_min without work for so long is ended; 0: 60 s */
    uint32_t queue_max; /* waiting runs; 0: BOUND_QUEUE_PER_FUNCTION_MAX */
    struct sandbox_config sandbox; /* memory_bytes is not used: see functions */
};

/* Copies what it needs; starts nothing unless workers_min asks for it. INVALID_ARGUMENT. */
MUST_CHECK enum status pool_deployment_open(struct pool *pool, const struct pool_spec *spec,
                                            struct pool_deployment **deployment, struct err *err);
/* Trial load: starts the zygote now, unless it runs. OK, or ARTIFACT_INVALID or FUNCTION_START_FAILED with the words of
 * the loader. */
typedef void (*pool_on_probed_fn)(void *ctx, enum status status, const struct err *err);
void pool_deployment_probe(struct pool_deployment *deployment, pool_on_probed_fn done, void *ctx);
/* Nothing may be submitted any more. What was submitted finishes; then its workers and its zygote are ended and `done`
 * comes; it is gone then. `done` may be NULL. */
void pool_deployment_close(struct pool_deployment *deployment, void (*done)(void *ctx), void *ctx);

/* ---- runs ---- */

/* Runs that build on each other's writes before these are committed: they go to one worker, in the order of their
 * submission, and all carry the same wire_invoke.chain. Embedded by the caller. */
struct pool_chain {
    struct list link; /* of the worker's chains */
    struct worker *worker; /* NULL until the first run is placed */
    bool broken; /* its worker is gone: further runs end with CONFLICT */
    size_t runs; /* in the pool */
};
void pool_chain_init(struct pool_chain *chain);
/* No run of it may be in the pool. */
void pool_chain_fini(struct pool_chain *chain);

/* Embedded by the caller; it and the bytes it points to stay until done. The fields above the line are the caller's. */
struct pool_run {
    /* `id` is set by the pool. `timeout_ms` and the snapshot's `meta` must be set; the pool leaves out a meta that the
     * worker has already. */
    struct wire_invoke *invoke;
    struct pool_chain *chain; /* NULL: none */
    uint64_t
        worker_hint; /* `worker` of an earlier run: taken when it is free and no busy one has room; 0: any */
    uint64_t start_before_ns; /* of the loop's clock; 0: waits as long as it takes */
    uint64_t
        end_before_ns; /* of the loop's clock, when that is sooner than its timeout_ms; 0: nobody waits for so long only */
    /* Its frame is about to be encoded for a worker: the last moment to choose the snapshot that it reads and to fill in
     * the frame. Again when that worker died before it got to the run. NULL when not wanted. */
    void (*prepare)(struct pool_run *run);
    /* It was handed to a worker that does nothing else now; NULL when not wanted. Not twice, except after a
     * worker died before it got to the run. */
    void (*started)(struct pool_run *run);
    /* Its handler wants something before its end; borrowed for the call. All kinds but publish wait for one pool_answer(),
     * inside of this call or later; `done` may come before. NULL: nothing can be asked for. */
    void (*ask)(struct pool_run *run, const struct wire_ask *ask);
    /* Exactly once; `result` is borrowed for the call and NULL unless `status` is OK. The last use of the run. */
    void (*done)(struct pool_run *run, enum status status, const struct wire_result *result,
                 const struct err *err);
    /* ---- */
    uint64_t worker; /* number of the worker that took it, 0 before; still set in done */
    struct worker *process; /* the same while it is in its link, else NULL */
    bool cold; /* it waited for a worker to be made, and was the first that this one took */
    uint64_t submitted_ns;
    struct list link;
    struct pool_deployment *deployment;
    uint64_t sent_ns; /* when it was put into the link of its worker */
    uint64_t began_ns; /* when the one before it in that link was done */
    uint32_t expected_us;
    uint32_t function; /* index in the spec */
    enum status failure; /* what `done` will say, for those that wait for it */
};

/* The function must be one of the deployment's. */
void pool_submit(struct pool_deployment *deployment, struct pool_run *run);
/* Gives up a run that has not been handed to a worker yet: true, done(CANCELED) follows. False: too late. */
bool pool_cancel(struct pool_run *run);
/* Gives a handler what it asked for; `ask` is the number of its wish, `id` is filled in. Only before `done`. */
void pool_answer(struct pool_run *run, const struct wire_answer *answer);

/* ---- figures ---- */

struct pool_stats {
    uint64_t runs; /* done, all kinds */
    uint64_t failures; /* done with another status than OK */
    uint64_t timeouts;
    uint64_t crashes; /* signals, exits, out of memory, protocol */
    uint64_t zygotes_started;
    uint64_t workers_started;
    uint64_t log_lines_dropped;
    uint32_t zygotes; /* now */
    uint32_t workers; /* now, with those that start or die */
    uint32_t workers_busy;
    uint32_t workers_waiting; /* of the busy ones: for answers */
    uint32_t queued; /* not yet in the hands of a worker */
    uint32_t running; /* in the hands of workers */
};
void pool_stats(const struct pool *pool, struct pool_stats *stats);
void pool_deployment_stats(const struct pool_deployment *deployment, struct pool_stats *stats);
