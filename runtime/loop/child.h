/* child.h - child processes on the loop: start a program with chosen descriptors, hear of its end once. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "runtime/base/err.h"

struct loop;
struct child;

enum { CHILD_FDS_MAX = 16 };

struct child_config {
    const char *program; /* path, not searched in PATH */
    char *const *argv; /* with argv[0], ended by NULL */
    char *const *envp; /* ended by NULL; NULL: this process's own */
    const char *dir; /* NULL: this process's own */
    int fds
        [CHILD_FDS_MAX]; /* fds[i] becomes descriptor i of the child; -1: /dev/null for 0..2, nothing above */
    size_t fd_count;
};

/* The process has ended and is reaped. `exit_code` counts when `signal` is 0. */
typedef void (*child_on_exit_fn)(void *ctx, int exit_code, int signal);

/* All but `fds` must be close-on-exec. Signals are unblocked and at their defaults in the child. Exactly one on_exit
 * follows, unless the child is closed before. NO_RESOURCES, NOT_FOUND, PERMISSION_DENIED, IO. */
MUST_CHECK enum status child_start(struct loop *loop, const struct child_config *config,
                                   child_on_exit_fn on_exit, void *ctx, struct child **child,
                                   struct err *err);
pid_t child_pid(const struct child *child);
/* Nothing happens when it has ended already (its pid is never reused while we hold it). */
void child_kill(struct child *child, int signal);
/* Frees; no callback after this. It does not end a running process (it is reaped in silence). NULL is fine. */
void child_close(struct child *child);
