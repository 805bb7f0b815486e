/* fx_cgroups.h - a machine with control groups in memory: hierarchies, processes and the kernel's rules for both. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/sandbox/cgroup.h"

enum { FX_GROUPS_MAX = 32, FX_FILES_MAX = 8, FX_PROCESSES_MAX = 32, FX_SELF = 4000 };

struct fx_file {
    char name[32];
    char text[256];
};

struct fx_group {
    char dir[256]; /* empty: unused */
    size_t tree; /* index of its hierarchy */
    bool
        machine_root; /* of the machine itself: the kernel lets it have both processes and controllers to pass on */
    struct cgroup_facts facts;
    struct fx_file files[FX_FILES_MAX];
};

struct fx_process {
    pid_t pid; /* 0: unused */
    pid_t parent;
    size_t in[4]; /* its group in each hierarchy; FX_GROUPS_MAX: in none that is known */
};

struct fx_cgroups {
    struct cgroup_port port;
    char self_cgroup[512];
    char mounts[1024];
    unsigned versions[4]; /* of the hierarchies */
    struct fx_group groups[FX_GROUPS_MAX];
    struct fx_process processes[FX_PROCESSES_MAX];
    const char *fail_at; /* what `write`, `make` and `remove` refuse: paths that contain this */
    int fail_with;
    bool
        real; /* the processes are those of the real machine, each a child of this one; one that has ended leaves its group */
    char moves[512]; /* "pid>dir " in the order of the moves */
};

/* Nothing is there but this process, FX_SELF, a child of 1. */
void fx_cgroups_init(struct fx_cgroups *fx);
/* A group that is there; files by its controllers ("cpu memory pids", of version 1 one of them). */
struct fx_group *fx_group_add(struct fx_cgroups *fx, size_t tree, unsigned version, const char *dir,
                              const char *controllers);
/* NULL when there is none. */
struct fx_group *fx_group(struct fx_cgroups *fx, const char *dir);
/* Text of a file; "-" when there is none. */
const char *fx_text(struct fx_cgroups *fx, const char *path);
/* A process in its parent's groups. */
void fx_fork(struct fx_cgroups *fx, pid_t parent, pid_t pid);
void fx_end(struct fx_cgroups *fx, pid_t pid);
void fx_put(struct fx_cgroups *fx, pid_t pid, const char *dir);
/* How many groups below `dir` are there. */
size_t fx_count(struct fx_cgroups *fx, const char *dir);

/* Version 1 as root: /cg/cpu and /cg/pids at `/`, /cg/memory in somebody else's group. */
void fx_machine_v1(struct fx_cgroups *fx);
/* Version 2, /cg/service given to us by systemd with all controllers. */
void fx_machine_v2(struct fx_cgroups *fx);
