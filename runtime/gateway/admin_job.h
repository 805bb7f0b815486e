/* admin_job.h - a long operation of the admin API: it runs off the loop, its progress is streamed, one at a time. */
// SPDX-License-Identifier: Apache-2.0
//
// The answer is a stream of JSON lines: {"step","done_bytes","total_bytes"} while it runs, then {"done": ...} or
// {"error": ...}. A client that goes away cancels the operation.
#pragma once

#include <jansson.h>
#include <stdatomic.h>

#include "runtime/base/err.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/work.h"
#include "statestore/backup.h"

struct admin_call;

/* Embedded by the operation. */
struct admin_job {
    const char *what; /* "a backup" */
    enum status (*run)(struct admin_job *job, struct err *err); /* on another thread */
    json_t *(*result)(struct admin_job *job); /* on the loop, after success; a new reference */
    void (*end)(struct admin_job *job); /* on the loop, last: frees the operation */
    struct store_progress progress; /* of the present step */
    _Atomic(const char *) step; /* for people: "bank/p0"; lives as long as the job */
    atomic_bool holds_catalog; /* no deployment meanwhile */

    /* admin_job.c's. */
    struct admin *admin;
    struct http_exchange *exchange;
    struct loop_work work;
    struct loop_timer beat;
    enum status status;
    struct err err;
};

/* True when nothing else is under way; else answers with BUSY or DRAINING. Asked before a job is made. */
bool admin_job_may_start(struct admin_call *call);
/* Takes the job, which is made with `what`, `run`, `result` and `end`. */
void admin_job_start(struct admin_call *call, struct admin_job *job);
void admin_job_cancel(struct admin_job *job);
/* From `run`: the next step begins. */
void admin_job_step(struct admin_job *job, const char *step);
