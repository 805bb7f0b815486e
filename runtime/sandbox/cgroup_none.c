/* cgroup_none.c - the port for systems without control groups: nothing is there. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <unistd.h>

#include "runtime/sandbox/cgroup.h"

static int no_text(void *ctx, const char *path, struct buf *text)
{
    (void)ctx; /* no mechanism */
    (void)path;
    (void)text;
    return ENOENT;
}

static int no_write(void *ctx, const char *path, const char *text)
{
    (void)ctx; /* the same */
    (void)path;
    (void)text;
    return ENOENT;
}

static int no_dir(void *ctx, const char *dir)
{
    (void)ctx; /* the same */
    (void)dir;
    return ENOENT;
}

static void no_facts(void *ctx, const char *dir, struct cgroup_facts *facts)
{
    (void)ctx; /* the same */
    (void)dir;
    *facts = (struct cgroup_facts){.there = false};
}

void cgroup_port_init(struct cgroup_port *port)
{
    *port = (struct cgroup_port){
        .self = getpid(),
        .uid = geteuid(),
        .read = no_text,
        .write = no_write,
        .make = no_dir,
        .remove = no_dir,
        .list = no_text,
        .look = no_facts,
    };
}
