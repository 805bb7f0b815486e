/* worker.h - one worker process: its link, its output, its clock, and certainty about its death. Internal to the pool. */
// SPDX-License-Identifier: Apache-2.0
//
// What is in a worker's link runs there in order. When the process dies, the run that it was at gets the blame; the ones
// behind it have never begun and go back to their deployment. Death is certain when the kernel says so (pidfd); the
// zygote tells how it came about.
#pragma once

#include "runtime/loop/loop.h"
#include "runtime/worker/pool.h"
#include "runtime/worker/pool_policy.h"
#include "runtime/worker/worker_fsm.h"
#include "runtime/worker/worker_link.h"
#include "runtime/zygote/output.h"
#include "runtime/zygote/zygote.h"

struct worker {
    struct list link; /* the deployment's */
    struct pool_deployment *deployment;
    struct loop *loop;
    uint64_t number; /* unique in the node, from 1 */
    enum worker_state state;
    struct worker_link *wire;
    struct output *output;
    struct output_budget log_budget;
    int pidfd; /* -1 before it is known and after its death */
    struct loop_watch *death;
    struct loop_timer timer; /* READY; the head's deadline; the zygote's report after death */
    struct list sent; /* runs in its link; the first is being run */
    struct list pending; /* runs that only it may take, when there is room */
    struct list answering; /* the pool's: answers of this turn are to be written */
    struct list chains; /* that live on it */
    uint32_t depth; /* of `sent` */
    uint64_t ahead_us; /* expected times of `sent` together */
    uint64_t snapshot_txn; /* that it was told last */
    bool snapshot_known;
    uint32_t runs_sent; /* numbers its frames */
    uint32_t asks; /* of the run that it is at */
    uint32_t answers_due; /* not 0: it waits, and nothing is behind the run that it is at */
    bool flush; /* something was sent in this turn */
    bool served; /* it said READY */
    bool ahead; /* nobody needs it yet, see ahead.h */
    bool was_ahead; /* its first run is a cold one, though it finds it ready */
    struct output_loss log_loss; /* in lines */
    uint64_t idle_since_ns;
    /* The end. */
    struct pool_run *blamed; /* the run for which it was killed; NULL: none */
    struct err cause; /* why it was killed; STATUS_OK: it was not, it died */
    bool gone; /* the kernel says so */
    bool reported; /* `how` is known */
    bool orphan; /* its zygote died */
    bool orphan_of_memory; /* for the memory of their control group */
    char last_line[200]; /* of its output before READY */
    struct zygote_exit how;
};

/* Asks the zygote for a process. */
MUST_CHECK enum status worker_start(struct pool_deployment *deployment, struct loop *loop,
                                    struct zygote *zygote, uint64_t number, uint32_t start_timeout_ms,
                                    struct worker **worker, struct err *err);
/* What its present run has asked for; goes out at the end of the turn. */
void worker_answer(struct worker *worker, const struct wire_answer *answer);
/* What the zygote tells about it. */
void worker_on_spawned(struct worker *worker, int pidfd, uint32_t start_timeout_ms);
void worker_on_spawn_failed(struct worker *worker, const struct err *err);
void worker_on_exited(struct worker *worker, const struct zygote_exit *how);
/* `out_of_memory`: for the memory of its control group. */
void worker_on_zygote_gone(struct worker *worker, bool out_of_memory);

static inline bool worker_serves(const struct worker *worker)
{
    return worker->state == WORKER_IDLE || worker->state == WORKER_BUSY;
}
void worker_view(const struct worker *worker, struct policy_worker *view);
bool worker_may_take(const struct worker *worker);
/* Puts a run into its link; it must serve. Goes out with worker_flush(). */
void worker_take(struct worker *worker, struct pool_run *run);
void worker_flush(struct worker *worker);

/* Condemns it. When `status` is not CANCELED its present run ends with it. Nothing happens when it is dying already. */
void worker_kill(struct worker *worker, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* All that its functions and the SDK may have together; SIZE_MAX: one of them has no limit. */
size_t worker_memory_max(const struct pool_deployment *deployment);
/* Only when DEAD. */
void worker_free(struct worker *worker);

/* ---- what the deployment is told; worker.c calls these ---- */

/* It can take runs. */
void deployment_on_worker_ready(struct pool_deployment *deployment, struct worker *worker);
/* A run of it is over; it is out of the worker's lists. `result` with STATUS_OK only. */
void deployment_on_run_over(struct pool_deployment *deployment, struct pool_run *run, enum status status,
                            const struct wire_result *result, const struct err *err);
/* It begins to wait for answers: the runs behind its head have to go elsewhere; or it goes on. */
void deployment_on_worker_waits(struct pool_deployment *deployment, struct worker *worker);
void deployment_on_worker_goes_on(struct pool_deployment *deployment);
/* It takes no more runs; `served`: it did. */
void deployment_on_worker_dying(struct pool_deployment *deployment, const struct worker *worker, bool served);
/* It is DEAD; `started`: it had come as far as serving, else `err` tells. Its runs that have not begun are in `sent` and
 * `pending`, in order. It is to be freed, but not inside of this call. */
void deployment_on_worker_dead(struct pool_deployment *deployment, struct worker *worker, bool started,
                               const struct err *err);
/* The zygote does not do what it was asked for. */
void deployment_on_zygote_silent(struct pool_deployment *deployment);
void deployment_on_log(struct pool_deployment *deployment, const struct pool_run *run, enum log_level level,
                       struct slice text);
