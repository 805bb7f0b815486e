/* work_uv.c - blocking work on libuv's pool of threads. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop/work.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/loop/loop_uv.h"

static void on_run(uv_work_t *request)
{
    struct loop_work *work = request->data;
    work->run(work);
}

static void on_done(uv_work_t *request, int status)
{
    struct loop_work *work = request->data;
    CHECK(status == 0); /* nobody cancels */
    free(request);
    work->done(work);
}

void loop_work_start(struct loop *loop, struct loop_work *work)
{
    uv_work_t *request = mem_zalloc(sizeof *request);
    request->data = work;
    CHECK(uv_queue_work(loop_uv(loop), request, on_run, on_done) == 0);
}
