/* groups.c - zygotes into groups and groups away, a batch at a time, on another thread. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker/groups.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/worker/deployment.h"

enum {
    ENTER_MS = 1000, /* after loading: callers that waited for the start have their answers */
    TOGETHER_MS = 500, /* what is due so soon is done at once */
    RETRY_MS = 20, /* until a group that still has processes is looked at again */
    TRIES_MAX = 250, /* then it is left to the next start of a node */
    OTHER_PROCESSES = 32, /* beside the workers: zygote, broker, those that are dead and not reaped */
};

struct group {
    struct list link; /* of `due` or `batch` */
    char *app;
    pid_t zygote;
    struct cgroup_limits limits;
    uint64_t due_ns;
    struct cgroup *cgroup; /* NULL: not made, or it cannot be had */
    uint64_t kills_told;
    unsigned tries; /* of removing it */
    bool working; /* in the batch; the fields below are the other thread's then */
    bool leaving;
    /* ---- */
    bool removes;
    struct cgroup *made;
    enum status status;
};

static void on_timer(struct loop_timer *timer, void *ctx);
static void run(struct loop_work *work);
static void done(struct loop_work *work);

void groups_init(struct groups *groups, struct loop *loop, struct cgroups *cgroups)
{
    *groups = (struct groups){.loop = loop, .work = {.run = run, .done = done}};
    if (cgroups && cgroups_usable(cgroups)) groups->cgroups = cgroups;
    list_init(&groups->due);
    list_init(&groups->batch);
    loop_timer_init(&groups->timer, on_timer, groups);
}

bool groups_idle(const struct groups *groups)
{
    return groups->count == 0 && !groups->busy;
}

void groups_fini(struct groups *groups)
{
    CHECK(groups_idle(groups));
    loop_timer_stop(&groups->timer);
}

/* ---- when ---- */

static struct group *group_of(struct list *link)
{
    return CONTAINER_OF(link, struct group, link);
}

static void plan(struct groups *groups)
{
    uint64_t first = UINT64_MAX;
    LIST_FOREACH(link, &groups->due) if (group_of(link)->due_ns < first) first = group_of(link)->due_ns;
    if (groups->busy || first == UINT64_MAX)
        loop_timer_stop(&groups->timer);
    else
        loop_timer_start_at(groups->loop, &groups->timer, first);
}

static void is_due(struct groups *groups, struct group *group, uint64_t delay_ms)
{
    group->due_ns = loop_now_ns(groups->loop) + delay_ms * NS_PER_MS;
    list_push_back(&groups->due, &group->link);
    plan(groups);
}

static void on_timer(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one of its kind */
    struct groups *groups = ctx;
    uint64_t now = loop_now_ns(groups->loop);
    for (struct list *link = groups->due.next, *next; link != &groups->due; link = next)
    {
        next = link->next;
        struct group *group = group_of(link);
        uint64_t early_ms =
            group->leaving ? RETRY_MS / 2 : TOGETHER_MS; /* each try of removing is to be worth one */
        if (group->due_ns > now + early_ms * NS_PER_MS) continue;
        list_remove(link);
        list_push_back(&groups->batch, link);
        group->working = true;
        group->removes = group->leaving;
    }
    CHECK(!groups->busy && !list_empty(&groups->batch));
    groups->busy = true;
    groups->failure = ERR_INIT;
    loop_work_start(groups->loop, &groups->work);
}

/* ---- on the other thread ---- */

static void enter(struct groups *groups, struct group *group)
{
    struct err err = ERR_INIT;
    group->status = cgroup_make(groups->cgroups, group->app, &group->limits, &group->made, &err);
    if (group->status == STATUS_OK) group->status = cgroup_enter(group->made, group->zygote, &err);
    bool failed = group->status != STATUS_OK && group->status != STATUS_UNAVAILABLE; /* it had ended */
    if (failed && groups->failure.status == STATUS_OK) groups->failure = err;
}

static void run(struct loop_work *work)
{
    struct groups *groups = CONTAINER_OF(work, struct groups, work);
    LIST_FOREACH(link, &groups->batch)
    {
        struct group *group = group_of(link);
        if (!group->removes)
            enter(groups, group);
        else if (cgroup_remove(group->made))
            group->made = NULL;
    }
}

/* ---- on the loop again ---- */

static void drop(struct groups *groups, struct group *group)
{
    list_remove(&group->link);
    free(group->app);
    free(group);
    if (--groups->count == 0) loop_want(groups->loop, PHASE_DISPATCH); /* the pool may wait for it to stop */
}

static void settle(struct groups *groups, struct group *group)
{
    group->working = false;
    group->cgroup = group->made;
    if (!group->leaving) return;
    if (!group->cgroup)
        drop(groups, group);
    else if (!group->removes || ++group->tries < TRIES_MAX)
        is_due(groups, group, group->removes ? RETRY_MS : 0);
    else
    {
        log_warn("pool.cgroup", "app=%s group=%s is not empty, leaving it behind", group->app,
                 cgroup_name(group->cgroup));
        cgroup_abandon(group->cgroup);
        drop(groups, group);
    }
}

static void done(struct loop_work *work)
{
    struct groups *groups = CONTAINER_OF(work, struct groups, work);
    groups->busy = false;
    if (groups->failure.status != STATUS_OK && !groups->failure_said)
        log_warn("pool.cgroup", "error=\"%s\", going on without a group; said once",
                 err_text(&groups->failure));
    groups->failure_said |= groups->failure.status != STATUS_OK;
    struct list *link;
    while ((link = list_pop_front(&groups->batch))) settle(groups, group_of(link));
    plan(groups);
    if (groups_idle(groups)) loop_want(groups->loop, PHASE_DISPATCH);
}

/* ---- what the deployment says ---- */

struct cgroup_limits group_limits(uint64_t worker_bytes, uint32_t cpu_percent, uint32_t workers,
                                  bool may_fork)
{
    uint64_t processes = (uint64_t)workers + OTHER_PROCESSES;
    bool has_memory = worker_bytes > 0 && worker_bytes < UINT64_MAX / (processes + 1);
    return (struct cgroup_limits){
        .memory_bytes = has_memory ? worker_bytes * ((uint64_t)workers + 1) : 0,
        .cpu_percent = cpu_percent,
        .processes = may_fork || processes > INT32_MAX ? 0 : (uint32_t)processes,
    };
}

/* A part of a processor is the app's only when each of its functions has one: any worker runs any of them. */
static uint32_t cpu_percent_of(const struct pool_deployment *deployment)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < deployment->function_count; i++)
    {
        if (!deployment->functions[i].cpu_percent) return 0;
        sum += deployment->functions[i].cpu_percent;
    }
    return sum >= (uint64_t)deployment->pool->processors * 100 ? 0 : (uint32_t)sum; /* all there is */
}

struct group *groups_enter(struct groups *groups, const struct pool_deployment *deployment)
{
    if (!groups->cgroups) return NULL;
    struct group *group = mem_zalloc(sizeof *group);
    size_t worker_bytes = worker_memory_max(deployment);
    group->app = mem_strdup(deployment->app);
    group->zygote = zygote_pid(deployment->zygote);
    group->limits = group_limits(worker_bytes == SIZE_MAX ? 0 : worker_bytes, cpu_percent_of(deployment),
                                 deployment->workers_max * (1 + WAITING_FACTOR),
                                 deployment->sandbox.profile == SANDBOX_NONE);
    list_init(&group->link);
    groups->count++;
    is_due(groups, group, ENTER_MS);
    return group;
}

void groups_leave(struct groups *groups, struct group *group)
{
    if (!group) return;
    group->leaving = true;
    if (group->working) return; /* settle() goes on */
    list_remove(&group->link);
    if (group->cgroup)
        is_due(groups, group, RETRY_MS);
    else
    {
        drop(groups, group);
        plan(groups);
    }
}

bool group_take_memory_kill(struct group *group)
{
    if (!group || group->working || !group->cgroup) return false;
    if (cgroup_memory_kills(group->cgroup) <= group->kills_told) return false;
    group->kills_told++;
    return true;
}
