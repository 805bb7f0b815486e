/* work.h - blocking work off the loop: files, hashes, searches; runs on another thread, ends on the loop. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

struct loop;
struct loop_work;

typedef void (*loop_work_fn)(struct loop_work *work);

/* Embedded by the caller, who keeps it until `done`. */
struct loop_work {
    loop_work_fn run; /* on a thread of a small pool: may block, must touch nothing of the loop's */
    loop_work_fn done; /* on the loop, once, later; sees all that `run` wrote */
};

/* Never fails. The loop must not be destroyed before `done`. */
void loop_work_start(struct loop *loop, struct loop_work *work);
