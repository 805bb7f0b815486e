/* groups.h - control groups of the pool's zygotes: entered a while after they have loaded, removed after their end. */
// SPDX-License-Identifier: Apache-2.0
//
// Internal to the pool. Moving a process keeps everybody in the kernel from forking for milliseconds: so nothing of it is done
// on the loop or while callers wait for a start, and what is due at about the same time is done together. A group is a
// further bound, not a condition: where one cannot be had the zygote goes on without, and the log says so once.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/list.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/work.h"
#include "runtime/sandbox/cgroup.h"

struct pool_deployment;
struct group;

struct groups {
    struct loop *loop;
    struct cgroups *cgroups; /* borrowed; NULL: there are none */
    struct list due; /* groups with something to do, in any order */
    struct list batch; /* in the hands of the other thread */
    struct loop_timer timer;
    struct loop_work work;
    struct err failure; /* the first one of the batch */
    bool busy;
    bool failure_said;
    uint32_t count; /* of groups, with those that could not be made */
};

void groups_init(struct groups *groups, struct loop *loop, struct cgroups *cgroups);
/* Nothing is there any more, and nothing to do. The pool's dispatch is wanted when that comes true. */
bool groups_idle(const struct groups *groups);
/* All must be idle. */
void groups_fini(struct groups *groups);

/* The deployment's zygote has loaded. NULL when there are no groups. */
struct group *groups_enter(struct groups *groups, const struct pool_deployment *deployment);
/* The zygote is being ended: the group goes when its processes have gone. NULL is fine. */
void groups_leave(struct groups *groups, struct group *group);
/* Whether the kernel has killed a process of it for its memory that nobody has been told of yet. NULL is fine. */
bool group_take_memory_kill(struct group *group);

/* What the limits of one worker come to for a zygote and `workers` of them. Pure. 0: no limit. */
struct cgroup_limits group_limits(uint64_t worker_bytes, uint32_t cpu_percent, uint32_t workers,
                                  bool may_fork);
