/* cgroup.h - control groups for zygotes and their workers: made, filled and removed where the kernel lets us have any. */
// SPDX-License-Identifier: Apache-2.0
//
// A group holds one zygote and all that it forks, with limits for all of them together. It comes on top of what the
// processes' own sandbox does, which is all there is where no group can be had: cgroup_choice.h decides.
//
//     cgroups_open(&port, &cgroups)                  what is left of dead daemons is swept; cgroups_words()
//     cgroup_make(cgroups, "bank", &limits, &group, &err)
//     cgroup_enter(group, zygote)                    the process and its descendants; what they fork follows them
//     cgroup_remove(group)                           when they are dead
//     cgroups_close(cgroups)
//
// All of them wait for the kernel, moving a process for milliseconds: never on a loop's thread, except at the start.
// Groups are used by one thread at a time.
#pragma once

#include <sys/types.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/sandbox/cgroup_choice.h"

/* The system underneath. 0, or what is wrong as an errno. */
struct cgroup_port {
    void *ctx;
    pid_t self; /* this process */
    uint32_t uid;
    /* Appends a file of the kernel's. */
    int (*read)(void *ctx, const char *path, struct buf *text);
    int (*write)(void *ctx, const char *path, const char *text);
    int (*make)(void *ctx, const char *dir);
    int (*remove)(void *ctx, const char *dir);
    /* Appends the names of the groups in `dir`, each ended by a newline. */
    int (*list)(void *ctx, const char *dir, struct buf *names);
    void (*look)(void *ctx, const char *dir, struct cgroup_facts *facts);
};

/* The port of this system; on one without control groups nothing is ever there. */
void cgroup_port_init(struct cgroup_port *port);

/* What this machine gives to a process like this one; changes nothing. */
void cgroups_look(const struct cgroup_port *port, struct cgroup_choice choice[CGROUP_CONTROLLERS]);

struct cgroups;
struct cgroup;

/* Never fails: without a hierarchy no group can be made. Where version 2 asks for it, this process moves into a leaf
 * beside the groups to come. */
void cgroups_open(const struct cgroup_port *port, struct cgroups **cgroups);
/* NULL is fine. All groups have been removed. */
void cgroups_close(struct cgroups *cgroups);
/* Whether any group can be made. */
bool cgroups_usable(const struct cgroups *cgroups);
const struct cgroup_choice *cgroups_choice(const struct cgroups *cgroups, enum cgroup_controller controller);

/* For all processes of a group together; 0: no limit. */
struct cgroup_limits {
    uint64_t memory_bytes;
    uint32_t cpu_percent; /* of one processor */
    uint32_t processes;
};

/* A group in each hierarchy that is used, or nothing. UNSUPPORTED: none is; NO_RESOURCES, PERMISSION_DENIED. */
MUST_CHECK enum status cgroup_make(struct cgroups *cgroups, const char *app,
                                   const struct cgroup_limits *limits, struct cgroup **group,
                                   struct err *err);
/* Moves a child of this process and all that descend from it, parents first. What has ended meanwhile is left out;
 * UNAVAILABLE: the child itself has. */
MUST_CHECK enum status cgroup_enter(struct cgroup *group, pid_t child, struct err *err);
/* Removes and frees it; false: there are processes in it, or something of it stays, again later. */
bool cgroup_remove(struct cgroup *group);
/* Gives up a group that could not be removed: a later start sweeps it. */
void cgroup_abandon(struct cgroup *group);
const char *cgroup_name(const struct cgroup *group);
/* How many processes of it the kernel has killed because its memory was used up. Quick: may be asked on the loop. */
uint64_t cgroup_memory_kills(const struct cgroup *group);

/* Names of groups: `stead.<pid of the daemon>.<number>.<app>`. Returns 0 for the name of something else. Pure. */
pid_t cgroup_name_daemon(const char *name, size_t size);
