/* cgroup.c - groups over the port: their files in both versions, the order of moves, what is left of dead daemons. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

enum {
    NAME_BYTES = BOUND_NAME_BYTES_MAX + 32, /* of a group: "stead.", two numbers, the app */
    FILE_BYTES = CGROUP_PATH_MAX + NAME_BYTES + 64, /* path of a file in it */
    NAME_TRIES = 100, /* numbers in use, by somebody who knows our pattern */
    CPU_PERIOD_US = 100000, /* as the kernel has it: a group waits for at most so long */
};

struct cgroups {
    struct cgroup_port port;
    struct cgroup_choice choice[CGROUP_CONTROLLERS];
    unsigned numbers; /* the last one given */
};

struct cgroup {
    struct cgroups *cgroups;
    char name[NAME_BYTES];
    /* In the hierarchy of this controller; one that several share counts at its first. */
    bool there[CGROUP_CONTROLLERS];
};

/* ---- what is there ---- */

static const char *file_of(char path[FILE_BYTES], const char *dir, const char *name, const char *file)
{
    snprintf(path, FILE_BYTES, "%s%s%s%s%s", dir, *name ? "/" : "", name, *file ? "/" : "", file);
    return path;
}

/* Words of a file like cgroup.controllers as bits. */
static unsigned read_controllers(const struct cgroup_port *port, const char *dir, const char *file)
{
    char path[FILE_BYTES];
    struct buf text = BUF_INIT;
    unsigned bits = 0;
    if (port->read(port->ctx, file_of(path, dir, "", file), &text) == 0)
        for (const char *word = buf_cstr(&text); *word;)
        {
            size_t size = strcspn(word, " \n");
            bits |= cgroup_controller_bit(word, size);
            word += size + (word[size] != 0);
        }
    buf_fini(&text);
    return bits;
}

void cgroups_look(const struct cgroup_port *port, struct cgroup_choice choice[CGROUP_CONTROLLERS])
{
    struct buf self = BUF_INIT, mounts = BUF_INIT;
    struct cgroup_tree *trees = mem_zalloc(CGROUP_TREES_MAX * sizeof *trees);
    size_t count = 0;
    if (port->read(port->ctx, "/proc/self/cgroup", &self) == 0 &&
        port->read(port->ctx, "/proc/mounts", &mounts) == 0)
        count = cgroup_trees_parse(buf_cstr(&self), buf_cstr(&mounts), trees);
    for (size_t i = 0; i < count; i++)
    {
        struct cgroup_tree *tree = &trees[i];
        char dir[CGROUP_PATH_MAX] = "", above[CGROUP_PATH_MAX];
        if (cgroup_tree_dir(tree, false, dir)) port->look(port->ctx, dir, &tree->group);
        if (cgroup_tree_dir(tree, true, above)) port->look(port->ctx, above, &tree->above);
        /* A leaf has none when the one above passes none on, which is for us to change. */
        if (tree->version == 2 && tree->mount[0])
            tree->controllers =
                read_controllers(port, tree->above.delegated ? above : dir, "cgroup.controllers");
    }
    cgroup_choose(trees, count, port->uid, choice);
    free(trees);
    buf_fini(&self);
    buf_fini(&mounts);
}

/* ---- the start ---- */

/* Version 2 passes controllers on only from a group that has no processes (but for the machine's own root). */
static bool leave_alone(struct cgroups *cgroups, const char *dir)
{
    const struct cgroup_port *port = &cgroups->port;
    char path[FILE_BYTES], name[NAME_BYTES], self[32];
    struct buf members = BUF_INIT;
    snprintf(self, sizeof self, "%d\n", (int)port->self);
    bool alone = port->read(port->ctx, file_of(path, dir, "", "cgroup.procs"), &members) == 0 &&
                 slice_is(buf_view(&members), self);
    buf_fini(&members);
    if (!alone) return false; /* others are there, whom we may not move */
    snprintf(name, sizeof name, "stead.%d.node", (int)port->self);
    int error = port->make(port->ctx, file_of(path, dir, name, ""));
    if (error != 0 && error != EEXIST) return false;
    return port->write(port->ctx, file_of(path, dir, name, "cgroup.procs"), self) == 0;
}

static bool pass_on(struct cgroups *cgroups, enum cgroup_controller controller)
{
    const struct cgroup_port *port = &cgroups->port;
    const char *dir = cgroups->choice[controller].dir;
    if (read_controllers(port, dir, "cgroup.subtree_control") & (1U << controller)) return true;
    char path[FILE_BYTES], text[32];
    file_of(path, dir, "", "cgroup.subtree_control");
    snprintf(text, sizeof text, "+%s", cgroup_controller_name(controller));
    int error = port->write(port->ctx, path, text);
    if (error == EBUSY && leave_alone(cgroups, dir)) error = port->write(port->ctx, path, text);
    return error == 0;
}

pid_t cgroup_name_daemon(const char *name, size_t size)
{
    static const char prefix[] = "stead.";
    size_t at = sizeof prefix - 1;
    if (size <= at || memcmp(name, prefix, at) != 0) return 0;
    long pid = 0;
    for (; at < size && name[at] >= '0' && name[at] <= '9' && pid < INT32_MAX / 10; at++)
        pid = pid * 10 + (name[at] - '0');
    bool more = at + 1 < size && name[at] == '.';
    return more ? (pid_t)pid : 0;
}

static bool is_alive(const struct cgroup_port *port, pid_t pid)
{
    char path[64];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    bool alive = port->read(port->ctx, path, &text) == 0;
    buf_fini(&text);
    return alive;
}

/* The kernel removes no group that has processes, or groups, in it. A daemon with our own number is dead: we have made
 * none yet, and in a container the next daemon often gets the number of the last one. */
static void sweep(struct cgroups *cgroups, const char *dir)
{
    const struct cgroup_port *port = &cgroups->port;
    struct buf names = BUF_INIT;
    char path[FILE_BYTES], name[NAME_BYTES];
    if (port->list(port->ctx, dir, &names) != 0) names.size = 0;
    for (const char *at = buf_cstr(&names); *at;)
    {
        size_t size = strcspn(at, "\n");
        pid_t daemon = cgroup_name_daemon(at, size);
        if (daemon > 0 && size < sizeof name && (daemon == port->self || !is_alive(port, daemon)))
        {
            snprintf(name, sizeof name, "%.*s", (int)size, at);
            (void)port->remove(port->ctx, file_of(path, dir, name, "")); /* EBUSY: it is in use after all */
        }
        at += size + (at[size] != 0);
    }
    buf_fini(&names);
}

/* The first of the controllers with its hierarchy stands for all of them. */
static bool is_first(const struct cgroups *cgroups, unsigned controller)
{
    for (unsigned i = 0; i < controller; i++)
        if (strcmp(cgroups->choice[i].dir, cgroups->choice[controller].dir) == 0) return false;
    return cgroup_is_used(&cgroups->choice[controller]);
}

void cgroups_open(const struct cgroup_port *port, struct cgroups **out)
{
    struct cgroups *cgroups = mem_zalloc(sizeof *cgroups);
    cgroups->port = *port;
    cgroups_look(port, cgroups->choice);
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
        if (is_first(cgroups, i)) sweep(cgroups, cgroups->choice[i].dir);
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
    {
        struct cgroup_choice *choice = &cgroups->choice[i];
        if (!cgroup_is_used(choice) || choice->version == 1 || pass_on(cgroups, i)) continue;
        choice->why = CGROUP_NOT_ENABLED;
        choice->dir[0] = 0;
    }
    *out = cgroups;
}

void cgroups_close(struct cgroups *cgroups)
{
    free(cgroups);
}

bool cgroups_usable(const struct cgroups *cgroups)
{
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
        if (cgroup_is_used(&cgroups->choice[i])) return true;
    return false;
}

const struct cgroup_choice *cgroups_choice(const struct cgroups *cgroups, enum cgroup_controller controller)
{
    return &cgroups->choice[controller];
}

/* ---- one group ---- */

static int write_limit(const struct cgroup *group, enum cgroup_controller controller, const char *file,
                       const char *text)
{
    const struct cgroup_port *port = &group->cgroups->port;
    char path[FILE_BYTES];
    return port->write(port->ctx, file_of(path, group->cgroups->choice[controller].dir, group->name, file),
                       text);
}

/* Whoever serves all apps comes before any of them: an app's processes get an eighth of what a process of the daemon does
 * while there is not enough for both. Apps are equals. */
static int set_weight(const struct cgroup *group, bool second)
{
    return write_limit(group, CGROUP_CPU, second ? "cpu.weight" : "cpu.shares", second ? "12" : "128");
}

static int set_limit(const struct cgroup *group, enum cgroup_controller controller,
                     const struct cgroup_limits *limits)
{
    bool second = group->cgroups->choice[controller].version == 2;
    unsigned long long quota_us = limits->cpu_percent * (CPU_PERIOD_US / 100ULL);
    char text[64];
    int error;
    switch (controller)
    {
    case CGROUP_CPU:
        error = set_weight(group, second);
        if (error != 0 || !limits->cpu_percent) return error;
        snprintf(text, sizeof text, second ? "%llu %d" : "%llu", quota_us, (int)CPU_PERIOD_US);
        error = write_limit(group, controller, second ? "cpu.max" : "cpu.cfs_quota_us", text);
        return error == EINVAL && !second ? 0 : error; /* the group above, a container's, has less anyway */
    case CGROUP_MEMORY:
        if (!limits->memory_bytes) return 0;
        snprintf(text, sizeof text, "%llu", (unsigned long long)limits->memory_bytes);
        return write_limit(group, controller, second ? "memory.max" : "memory.limit_in_bytes", text);
    case CGROUP_PIDS:
        if (!limits->processes) return 0;
        snprintf(text, sizeof text, "%u", limits->processes);
        return write_limit(group, controller, "pids.max", text);
    case CGROUP_CONTROLLERS:
        break;
    }
    UNREACHABLE("no controller");
}

/* The directory of the group where this controller's hierarchy is its first. */
static const char *dir_of(const struct cgroup *group, unsigned controller, char path[FILE_BYTES])
{
    return file_of(path, group->cgroups->choice[controller].dir, group->name, "");
}

static int make_dirs(struct cgroup *group)
{
    struct cgroups *cgroups = group->cgroups;
    char path[FILE_BYTES];
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
    {
        if (!is_first(cgroups, i)) continue;
        int error = cgroups->port.make(cgroups->port.ctx, dir_of(group, i, path));
        if (error != 0) return error;
        group->there[i] = true;
    }
    return 0;
}

/* True when nothing of it is left. */
static bool remove_dirs(struct cgroup *group)
{
    const struct cgroup_port *port = &group->cgroups->port;
    char path[FILE_BYTES];
    bool gone = true;
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
    {
        if (!group->there[i]) continue;
        int error = port->remove(port->ctx, dir_of(group, i, path));
        group->there[i] = error != 0 && error != ENOENT;
        gone &= !group->there[i];
    }
    return gone;
}

static int make_named(struct cgroup *group, const char *app)
{
    struct cgroups *cgroups = group->cgroups;
    int error = EEXIST;
    for (int tries = 0; tries < NAME_TRIES && error == EEXIST; tries++)
    {
        snprintf(group->name, sizeof group->name, "stead.%d.%u.%.*s", (int)cgroups->port.self,
                 ++cgroups->numbers, BOUND_NAME_BYTES_MAX, app);
        error = make_dirs(group);
        if (error != 0) (void)remove_dirs(group); /* nobody can be in it yet */
    }
    return error;
}

enum status cgroup_make(struct cgroups *cgroups, const char *app, const struct cgroup_limits *limits,
                        struct cgroup **out, struct err *err)
{
    if (!cgroups_usable(cgroups))
        return err_set(err, STATUS_UNSUPPORTED, "no control groups can be made here");
    struct cgroup *group = mem_zalloc(sizeof *group);
    group->cgroups = cgroups;
    int error = make_named(group, app);
    enum status failure =
        error == EACCES || error == EPERM || error == EROFS ? STATUS_PERMISSION_DENIED : STATUS_NO_RESOURCES;
    if (error != 0)
    {
        (void)err_errno(err, failure, error, "make the control group %s", group->name);
        free(group);
        return failure;
    }
    for (unsigned i = 0; i < CGROUP_CONTROLLERS && error == 0; i++)
    {
        if (!cgroup_is_used(&cgroups->choice[i])) continue;
        error = set_limit(group, i, limits);
        if (error != 0)
            (void)err_errno(err, STATUS_NO_RESOURCES, error, "limit %s of the control group %s",
                            cgroup_controller_name(i), group->name);
    }
    if (error == 0)
    {
        *out = group;
        return STATUS_OK;
    }
    (void)remove_dirs(group); /* nobody can be in it yet */
    free(group);
    return STATUS_NO_RESOURCES;
}

/* ---- who is in it ---- */

static pid_t parent_of(const struct cgroup_port *port, pid_t pid)
{
    char path[64];
    struct buf text = BUF_INIT;
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (port->read(port->ctx, path, &text) == 0)
    {
        const char *name_end = strrchr(buf_cstr(&text), ')'); /* the name may hold anything */
        if (!name_end || sscanf(name_end, ") %*c %d", &parent) != 1) parent = 0;
    }
    buf_fini(&text);
    return parent;
}

struct member {
    pid_t pid;
    pid_t parent;
};

/* Those that it forked before it was moved; later ones are born in the group. */
static void append_children(const struct cgroup_port *port, pid_t pid, struct buf *members)
{
    char path[64];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    if (port->read(port->ctx, path, &text) == 0)
    {
        char *end;
        for (const char *at = buf_cstr(&text);; at = end)
        {
            struct member child = {(pid_t)strtol(at, &end, 10), pid};
            if (end == at) break;
            buf_append(members, slice_make(&child, sizeof child));
        }
    }
    buf_fini(&text);
}

/* Only when the process is still whom we mean: the number of one that ended may be another one's, whose parent is not the
 * same. ESRCH: it has ended. */
static int move(const struct cgroup *group, const struct member *member)
{
    const struct cgroup_port *port = &group->cgroups->port;
    char path[FILE_BYTES], text[32];
    snprintf(text, sizeof text, "%d", (int)member->pid);
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
    {
        if (!group->there[i]) continue;
        if (parent_of(port, member->pid) != member->parent) return ESRCH;
        file_of(path, group->cgroups->choice[i].dir, group->name, "cgroup.procs");
        int error = port->write(port->ctx, path, text);
        if (error != 0) return error;
    }
    return 0;
}

enum status cgroup_enter(struct cgroup *group, pid_t child, struct err *err)
{
    const struct cgroup_port *port = &group->cgroups->port;
    struct buf members = BUF_INIT;
    struct member first = {child, port->self};
    buf_append(&members, slice_make(&first, sizeof first));
    enum status status = STATUS_OK;
    for (size_t at = 0; at < members.size && status == STATUS_OK; at += sizeof first)
    {
        struct member member;
        memcpy(&member, members.data + at, sizeof member);
        int error = move(group, &member);
        if (error == 0)
            append_children(port, member.pid, &members);
        else if (error != ESRCH)
            status = err_errno(err, STATUS_NO_RESOURCES, error, "move process %d into the control group %s",
                               (int)member.pid, group->name);
        else if (at == 0)
            status = err_set(err, STATUS_UNAVAILABLE, "process %d has ended", (int)child);
    }
    buf_fini(&members);
    return status;
}

bool cgroup_remove(struct cgroup *group)
{
    if (!remove_dirs(group)) return false;
    free(group);
    return true;
}

void cgroup_abandon(struct cgroup *group)
{
    free(group);
}

const char *cgroup_name(const struct cgroup *group)
{
    return group->name;
}

uint64_t cgroup_memory_kills(const struct cgroup *group)
{
    const struct cgroup_choice *choice = &group->cgroups->choice[CGROUP_MEMORY];
    if (!cgroup_is_used(choice)) return 0;
    const struct cgroup_port *port = &group->cgroups->port;
    char path[FILE_BYTES];
    struct buf text = BUF_INIT;
    unsigned long long kills = 0;
    file_of(path, choice->dir, group->name, choice->version == 2 ? "memory.events" : "memory.oom_control");
    if (port->read(port->ctx, path, &text) == 0)
    {
        static const char key[] = "oom_kill "; /* both versions; "oom_kill_disable" is another one */
        const char *line = buf_cstr(&text);
        for (; line && strncmp(line, key, sizeof key - 1) != 0;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            continue;
        if (line) kills = strtoull(line + sizeof key - 1, NULL, 10);
    }
    buf_fini(&text);
    return kills;
}
