/* fx_cgroups.c - a machine with control groups in memory. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/sandbox/fx_cgroups.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/check.h"

static const struct {
    const char *controller;
    unsigned version;
    const char *files[3]; /* with '=' and the text of a new group */
} files_of[] = {
    {"cpu", 1, {"cpu.cfs_quota_us=-1", "cpu.shares=1024"}},
    {"memory",
     1,
     {"memory.limit_in_bytes=9223372036854771712",
      "memory.oom_control=oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"}},
    {"pids", 1, {"pids.max=max"}},
    {"cpu", 2, {"cpu.max=max 100000", "cpu.weight=100"}},
    {"memory", 2, {"memory.max=max", "memory.events=low 0\noom 0\noom_kill 0\noom_group_kill 0\n"}},
    {"pids", 2, {"pids.max=max"}},
};

/* ---- groups ---- */

struct fx_group *fx_group(struct fx_cgroups *fx, const char *dir)
{
    for (size_t i = 0; i < FX_GROUPS_MAX; i++)
        if (fx->groups[i].dir[0] && strcmp(fx->groups[i].dir, dir) == 0) return &fx->groups[i];
    return NULL;
}

static struct fx_file *file_in(struct fx_group *group, const char *name)
{
    for (size_t i = 0; i < FX_FILES_MAX; i++)
        if (strcmp(group->files[i].name, name) == 0) return &group->files[i];
    return NULL;
}

static void add_file(struct fx_group *group, const char *name_and_text)
{
    const char *text = strchr(name_and_text, '=');
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)(text - name_and_text), name_and_text);
    if (file_in(group, name)) return;
    struct fx_file *file = file_in(group, "");
    CHECK(file);
    memcpy(file->name, name, sizeof name);
    snprintf(file->text, sizeof file->text, "%s", text + 1);
}

static void add_files(struct fx_group *group, unsigned version, const char *controllers)
{
    for (size_t i = 0; i < sizeof files_of / sizeof *files_of; i++)
    {
        if (files_of[i].version != version || !strstr(controllers, files_of[i].controller)) continue;
        for (size_t f = 0; f < 3 && files_of[i].files[f]; f++) add_file(group, files_of[i].files[f]);
    }
}

struct fx_group *fx_group_add(struct fx_cgroups *fx, size_t tree, unsigned version, const char *dir,
                              const char *controllers)
{
    struct fx_group *group = NULL;
    for (size_t i = 0; i < FX_GROUPS_MAX && !group; i++)
        if (!fx->groups[i].dir[0]) group = &fx->groups[i];
    CHECK(group);
    *group = (struct fx_group){.tree = tree, .facts = {.there = true, .writable = true}};
    snprintf(group->dir, sizeof group->dir, "%s", dir);
    fx->versions[tree] = version;
    if (version == 2)
    {
        add_file(group, "cgroup.controllers=");
        add_file(group, "cgroup.subtree_control=");
        snprintf(file_in(group, "cgroup.controllers")->text, 256, "%s", controllers);
    }
    add_files(group, version, controllers);
    return group;
}

/* The group and the name of a file in it; NULL: no such group. */
static struct fx_group *locate(struct fx_cgroups *fx, const char *path, const char **name)
{
    char dir[256];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    *name = slash + 1;
    return fx_group(fx, dir);
}

const char *fx_text(struct fx_cgroups *fx, const char *path)
{
    const char *name;
    struct fx_group *group = locate(fx, path, &name);
    const struct fx_file *file = group ? file_in(group, name) : NULL;
    return file ? file->text : "-";
}

size_t fx_count(struct fx_cgroups *fx, const char *dir)
{
    size_t count = 0, size = strlen(dir);
    for (size_t i = 0; i < FX_GROUPS_MAX; i++)
        count += strncmp(fx->groups[i].dir, dir, size) == 0 && fx->groups[i].dir[size] == '/';
    return count;
}

/* ---- processes ---- */

static struct fx_process *process(struct fx_cgroups *fx, pid_t pid)
{
    for (size_t i = 0; i < FX_PROCESSES_MAX; i++)
        if (fx->processes[i].pid == pid) return &fx->processes[i];
    return NULL;
}

void fx_fork(struct fx_cgroups *fx, pid_t parent, pid_t pid)
{
    struct fx_process *child = process(fx, 0);
    CHECK(child && pid > 0);
    *child = *process(fx, parent);
    child->pid = pid;
    child->parent = parent;
}

void fx_end(struct fx_cgroups *fx, pid_t pid)
{
    process(fx, pid)->pid = 0;
}

void fx_put(struct fx_cgroups *fx, pid_t pid, const char *dir)
{
    struct fx_group *group = fx_group(fx, dir);
    process(fx, pid)->in[group->tree] = (size_t)(group - fx->groups);
}

static bool is_there(const struct fx_cgroups *fx, const struct fx_process *one)
{
    return one->pid && !(fx->real && kill(one->pid, 0) != 0);
}

static size_t members(struct fx_cgroups *fx, const struct fx_group *group, struct buf *text)
{
    size_t count = 0;
    for (size_t i = 0; i < FX_PROCESSES_MAX; i++)
    {
        const struct fx_process *one = &fx->processes[i];
        if (!is_there(fx, one) || one->in[group->tree] != (size_t)(group - fx->groups)) continue;
        count++;
        if (text) buf_printf(text, "%d\n", (int)one->pid);
    }
    return count;
}

/* ---- the port ---- */

static int read_proc(struct fx_cgroups *fx, const char *path, struct buf *text)
{
    int pid;
    char rest[64];
    if (sscanf(path, "/proc/%d/%63s", &pid, rest) != 2) return ENOENT;
    if (fx->real && pid != FX_SELF && !process(fx, pid) && kill(pid, 0) == 0) fx_fork(fx, FX_SELF, pid);
    if (!process(fx, pid)) return ENOENT;
    if (strcmp(rest, "stat") == 0)
        buf_printf(text, "%d (a) b) S %d 1 1", pid, (int)process(fx, pid)->parent);
    else
        for (size_t i = 0; i < FX_PROCESSES_MAX; i++)
            if (fx->processes[i].pid && fx->processes[i].parent == pid)
                buf_printf(text, "%d ", (int)fx->processes[i].pid);
    return 0;
}

static int port_read(void *ctx, const char *path, struct buf *text)
{
    struct fx_cgroups *fx = ctx;
    const char *name;
    if (strcmp(path, "/proc/self/cgroup") == 0) return buf_append_cstr(text, fx->self_cgroup), 0;
    if (strcmp(path, "/proc/mounts") == 0) return buf_append_cstr(text, fx->mounts), 0;
    if (strncmp(path, "/proc/", 6) == 0) return read_proc(fx, path, text);
    struct fx_group *group = locate(fx, path, &name);
    if (!group) return ENOENT;
    if (strcmp(name, "cgroup.procs") == 0) return members(fx, group, text), 0;
    struct fx_file *file = file_in(group, name);
    if (!file) return ENOENT;
    buf_append_cstr(text, file->text);
    return 0;
}

static bool fails(const struct fx_cgroups *fx, const char *path)
{
    return fx->fail_at && strstr(path, fx->fail_at);
}

static int write_member(struct fx_cgroups *fx, struct fx_group *group, const char *text)
{
    struct fx_process *moved = process(fx, (pid_t)strtol(text, NULL, 10));
    const struct fx_file *control = file_in(group, "cgroup.subtree_control");
    if (!moved) return ESRCH;
    if (control && control->text[0] && !group->machine_root) return EBUSY;
    moved->in[group->tree] = (size_t)(group - fx->groups);
    size_t used = strlen(fx->moves);
    snprintf(fx->moves + used, sizeof fx->moves - used, "%d>%s ", (int)moved->pid, group->dir);
    return 0;
}

static int write_control(struct fx_cgroups *fx, struct fx_group *group, struct fx_file *file,
                         const char *text)
{
    if (!strstr(file_in(group, "cgroup.controllers")->text, text + 1)) return ENOENT;
    if (!group->machine_root && members(fx, group, NULL) > 0) return EBUSY;
    size_t used = strlen(file->text);
    snprintf(file->text + used, sizeof file->text - used, "%s%s", used ? " " : "", text + 1);
    for (size_t i = 0; i < FX_GROUPS_MAX; i++)
    {
        const char *name;
        struct fx_group *below = &fx->groups[i];
        if (below->dir[0] && locate(fx, below->dir, &name) == group) add_files(below, 2, text + 1);
    }
    return 0;
}

static int port_write(void *ctx, const char *path, const char *text)
{
    struct fx_cgroups *fx = ctx;
    const char *name;
    struct fx_group *group = locate(fx, path, &name);
    if (fails(fx, path)) return fx->fail_with;
    if (!group) return ENOENT;
    if (strcmp(name, "cgroup.procs") == 0) return write_member(fx, group, text);
    struct fx_file *file = file_in(group, name);
    if (!file) return ENOENT;
    if (strcmp(name, "cgroup.subtree_control") == 0) return write_control(fx, group, file, text);
    snprintf(file->text, sizeof file->text, "%s", text);
    return 0;
}

static int port_make(void *ctx, const char *dir)
{
    struct fx_cgroups *fx = ctx;
    const char *name;
    struct fx_group *above = locate(fx, dir, &name);
    if (fails(fx, dir)) return fx->fail_with;
    if (!above) return ENOENT;
    if (fx_group(fx, dir)) return EEXIST;
    unsigned version = fx->versions[above->tree];
    const struct fx_file *control = file_in(above, "cgroup.subtree_control");
    char controllers[64];
    if (version == 2)
        snprintf(controllers, sizeof controllers, "%.60s", control->text);
    else
        /* The last part of the mount is the controller's name. */
        snprintf(controllers, sizeof controllers, "%.60s", strrchr(above->dir, '/') + 1);
    (void)fx_group_add(fx, above->tree, version, dir, controllers);
    return 0;
}

static int port_remove(void *ctx, const char *dir)
{
    struct fx_cgroups *fx = ctx;
    struct fx_group *group = fx_group(fx, dir);
    if (fails(fx, dir)) return fx->fail_with;
    if (!group) return ENOENT;
    if (members(fx, group, NULL) > 0 || fx_count(fx, dir) > 0) return EBUSY;
    group->dir[0] = 0;
    return 0;
}

static int port_list(void *ctx, const char *dir, struct buf *names)
{
    struct fx_cgroups *fx = ctx;
    for (size_t i = 0; i < FX_GROUPS_MAX; i++)
    {
        const char *name;
        if (!fx->groups[i].dir[0] || locate(fx, fx->groups[i].dir, &name) != fx_group(fx, dir)) continue;
        if (fx_group(fx, dir)) buf_printf(names, "%s\n", name);
    }
    return fx_group(fx, dir) ? 0 : ENOENT;
}

static void port_look(void *ctx, const char *dir, struct cgroup_facts *facts)
{
    const struct fx_group *group = fx_group(ctx, dir);
    *facts = group ? group->facts : (struct cgroup_facts){.there = false};
}

void fx_cgroups_init(struct fx_cgroups *fx)
{
    memset(fx, 0, sizeof *fx);
    fx->port = (struct cgroup_port){
        .ctx = fx,
        .self = FX_SELF,
        .read = port_read,
        .write = port_write,
        .make = port_make,
        .remove = port_remove,
        .list = port_list,
        .look = port_look,
    };
    fx->processes[0] =
        (struct fx_process){FX_SELF, 1, {FX_GROUPS_MAX, FX_GROUPS_MAX, FX_GROUPS_MAX, FX_GROUPS_MAX}};
}

void fx_machine_v1(struct fx_cgroups *fx)
{
    fx_cgroups_init(fx);
    snprintf(fx->self_cgroup, sizeof fx->self_cgroup,
             "7:freezer:/\n4:memory:/theirs/a1\n2:pids:/\n1:cpu:/\n0::/\n");
    snprintf(fx->mounts, sizeof fx->mounts,
             "tmpfs /cg tmpfs rw 0 0\ncgroup /cg/cpu cgroup rw,relatime,cpu 0 0\n"
             "cgroup /cg/memory cgroup rw,relatime,memory 0 0\ncgroup /cg/pids cgroup rw,pids 0 0\n");
    (void)fx_group_add(fx, 0, 1, "/cg/cpu", "cpu");
    (void)fx_group_add(fx, 1, 1, "/cg/memory/theirs/a1", "memory");
    (void)fx_group_add(fx, 2, 1, "/cg/pids", "pids");
    fx_put(fx, FX_SELF, "/cg/cpu");
    fx_put(fx, FX_SELF, "/cg/memory/theirs/a1");
    fx_put(fx, FX_SELF, "/cg/pids");
}

void fx_machine_v2(struct fx_cgroups *fx)
{
    fx_cgroups_init(fx);
    snprintf(fx->self_cgroup, sizeof fx->self_cgroup, "0::/service\n");
    snprintf(fx->mounts, sizeof fx->mounts, "cgroup2 /cg cgroup2 rw,nosuid,nsdelegate 0 0\n");
    fx_group_add(fx, 0, 2, "/cg", "cpu memory pids io")->machine_root = true;
    fx_group_add(fx, 0, 2, "/cg/service", "cpu memory pids io")->facts.delegated = true;
    fx_put(fx, FX_SELF, "/cg/service");
}
