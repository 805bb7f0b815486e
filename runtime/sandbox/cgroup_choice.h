/* cgroup_choice.h - which of the machine's hierarchies of control groups the node may make groups in, and why not. Pure. */
// SPDX-License-Identifier: Apache-2.0
//
// A hierarchy is used only where nobody else's groups are touched: our own group in it is `/`, so the machine or the
// container is ours, or the group was given to us: systemd says so (Delegate=), or its directory belongs to our user, who
// is not root.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cgroup_controller { CGROUP_CPU, CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CONTROLLERS };

enum {
    CGROUP_TREES_MAX = 32, /* hierarchies of a machine; the kernel has some fifteen controllers */
    CGROUP_PATH_MAX = 512, /* of a group's directory; deeper ones are not used */
};

/* What is known of the directory of a group. */
struct cgroup_facts {
    bool there;
    bool writable; /* this process may make groups in it */
    bool delegated; /* marked so by systemd */
    uint32_t owner;
};

/* One hierarchy. */
struct cgroup_tree {
    unsigned version; /* 1 or 2 */
    unsigned controllers; /* those of the enum that it has: bits */
    bool read_only;
    char own[CGROUP_PATH_MAX]; /* our group in it: "/", "/system.slice/stead.service" */
    char mount[CGROUP_PATH_MAX]; /* where it is mounted; empty: nowhere */
    struct cgroup_facts group; /* of our group, and of the one above it */
    struct cgroup_facts above;
};

enum cgroup_why {
    CGROUP_IS_ROOT, /* used: our own group is `/` */
    CGROUP_IS_DELEGATED, /* used: systemd gave it to us */
    CGROUP_IS_OWN, /* used: it belongs to our user */
    CGROUP_NO_CONTROLLER, /* from here on: not used */
    CGROUP_NOT_MOUNTED,
    CGROUP_READ_ONLY,
    CGROUP_NOT_THERE,
    CGROUP_FOREIGN,
    CGROUP_NOT_WRITABLE,
    CGROUP_NOT_ENABLED, /* version 2 does not let us pass the controller on to groups of ours */
    CGROUP_OFF, /* by the node's setting */
};

struct cgroup_choice {
    enum cgroup_why why;
    unsigned version;
    char dir[CGROUP_PATH_MAX]; /* groups are made in it; empty: not used */
    char own[CGROUP_PATH_MAX]; /* our own group; empty when there is no hierarchy */
};

static inline bool cgroup_is_used(const struct cgroup_choice *choice)
{
    return choice->why < CGROUP_NO_CONTROLLER;
}

const char *cgroup_controller_name(enum cgroup_controller controller);
/* The bit of a controller by the kernel's name; 0: none that we use. */
unsigned cgroup_controller_bit(const char *name, size_t size);
/* The hierarchies in /proc/self/cgroup with their places from /proc/mounts. Neither the facts of directories nor the
 * controllers of version 2 are in these files: the caller adds them. What is malformed or too long is left out. */
size_t cgroup_trees_parse(const char *self_cgroup, const char *mounts,
                          struct cgroup_tree trees[CGROUP_TREES_MAX]);
/* The directory of our own group, or of the one above; false when there is none or it is too long. */
bool cgroup_tree_dir(const struct cgroup_tree *tree, bool above, char dir[CGROUP_PATH_MAX]);
/* `uid`: whom we run as. */
void cgroup_choose(const struct cgroup_tree *trees, size_t count, uint32_t uid,
                   struct cgroup_choice choice[CGROUP_CONTROLLERS]);
/* "version 1 at /sys/fs/cgroup/cpu", "not used: ...", with what can be done about it. */
void cgroup_choice_words(const struct cgroup_choice *choice, char *text, size_t size);
