/* admin_job.c - the life of a long operation and the lines about it. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/admin_job.h"

#include "runtime/base/check.h"
#include "runtime/gateway/admin_call.h"

enum { BEAT_MS = 200 };

bool admin_job_may_start(struct admin_call *call)
{
    const struct admin *admin = call->admin;
    if (admin->draining)
        admin_fail(call->exchange, STATUS_DRAINING, "the node is stopping");
    else if (admin->job)
        admin_fail(call->exchange, STATUS_BUSY, "%s is under way", admin->job->what);
    else if (admin->removals)
        admin_fail(call->exchange, STATUS_BUSY, "an app is being removed");
    else
        return true;
    return false;
}

void admin_job_step(struct admin_job *job, const char *step)
{
    atomic_store(&job->progress.done_bytes, 0);
    atomic_store(&job->progress.total_bytes, 0);
    atomic_store(&job->step, step);
}

void admin_job_cancel(struct admin_job *job)
{
    atomic_store(&job->progress.cancel, true);
}

static void send(struct admin_job *job, json_t *object)
{
    struct buf line = BUF_INIT;
    admin_append_line(&line, object);
    /* A slow reader misses progress; that he has gone is told by on_abort. The last line has room: it comes once. */
    (void)!http_stream_chunk(job->exchange, buf_view(&line));
    buf_fini(&line);
}

static void on_beat(struct loop_timer *timer, void *ctx)
{
    struct admin_job *job = ctx;
    const char *step = atomic_load(&job->step);
    send(job, json_pack("{s:s, s:I, s:I}", "step", step ? step : "", "done_bytes",
                        (json_int_t)atomic_load(&job->progress.done_bytes), "total_bytes",
                        (json_int_t)atomic_load(&job->progress.total_bytes)));
}

static void on_abort(void *ctx)
{
    admin_job_cancel(ctx);
}

static void run(struct loop_work *work)
{
    struct admin_job *job = CONTAINER_OF(work, struct admin_job, work);
    job->status = job->run(job, &job->err);
}

static void on_done(struct loop_work *work)
{
    struct admin_job *job = CONTAINER_OF(work, struct admin_job, work);
    loop_timer_stop(&job->beat);
    if (job->status == STATUS_OK)
        send(job, json_pack("{s:o}", "done", job->result(job)));
    else
        send(job, admin_error_json(job->status, &job->err));
    http_stream_end(job->exchange);
    job->admin->job = NULL;
    job->end(job);
}

void admin_job_start(struct admin_call *call, struct admin_job *job)
{
    CHECK(!call->admin->job);
    job->admin = call->admin;
    job->exchange = call->exchange;
    job->admin->job = job;
    http_stream_begin(job->exchange, 200, &admin_ndjson_header, 1);
    http_exchange_on_abort(job->exchange, on_abort, job);
    loop_timer_init(&job->beat, on_beat, job);
    loop_timer_start(job->admin->config.loop, &job->beat, BEAT_MS, BEAT_MS);
    job->work = (struct loop_work){.run = run, .done = on_done};
    loop_work_start(job->admin->config.loop, &job->work);
}
