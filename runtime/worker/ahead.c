/* ahead.c - one worker that is ready and not yet needed. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker/ahead.h"

#include "runtime/base/log.h"
#include "runtime/worker/deployment.h"

void ahead_make(struct pool_deployment *deployment)
{
    struct pool *pool = deployment->pool;
    bool wanted = deployment->zygote_loaded && !deployment->closing && !pool->stopping &&
                  deployment->queued == 0 && pool->pressure == PRESSURE_NONE;
    if (!wanted || deployment->ahead) return;
    struct err err = ERR_INIT;
    struct worker *worker;
    if (worker_start(deployment, pool->config.loop, deployment->zygote, ++pool->worker_numbers,
                     pool->config.start_timeout_ms, &worker, &err) != STATUS_OK)
    {
        log_debug("pool.ahead", "app=%s error=\"%s\"", deployment->app, err_text(&err));
        return; /* whoever needs a worker will hear why there is none */
    }
    worker->ahead = true;
    deployment->ahead = worker;
}

struct worker *ahead_take(struct pool_deployment *deployment)
{
    struct worker *worker = deployment->ahead;
    if (!worker || worker->state == WORKER_DYING) return NULL;
    deployment->ahead = NULL;
    worker->ahead = false;
    worker->was_ahead = true;
    return worker;
}

void ahead_drop(struct pool_deployment *deployment, const char *why)
{
    if (deployment->ahead) worker_kill(deployment->ahead, STATUS_CANCELED, "%s", why);
}

bool ahead_died(struct pool_deployment *deployment, struct worker *worker)
{
    if (deployment->ahead != worker) return false;
    deployment->ahead = NULL;
    return true;
}
