/* seccomp_filter.h - the table of system calls as programs for the kernel. Pure: builds, does not install. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

enum { SECCOMP_CODE_MAX = 512 };

struct seccomp_filter {
    struct sock_filter code[SECCOMP_CODE_MAX];
    unsigned short count;
};

/* Everything but what the table refuses. */
void seccomp_filter_zygote(struct seccomp_filter *filter);
/* What a worker may do besides: parts of the table. */
enum { SECCOMP_MOUNTS = 1, SECCOMP_NETWORK = 2 };
/* Only what the table allows; `self` is the process that will have it. */
void seccomp_filter_worker(struct seccomp_filter *filter, pid_t self, unsigned also);
