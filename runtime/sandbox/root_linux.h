/* root_linux.h - the file tree that a zygote sees: system libraries and what its manifest mounts, all read-only. */
// SPDX-License-Identifier: Apache-2.0
//
// In a mount namespace of the caller's own. root_build() makes the tree beside the machine's, root_enter() moves there and
// lets go of the machine's for ever (its slowest step: the kernel waits for all who may be looking at a mount);
// root_seal() makes it read-only.
#pragma once

#include "runtime/sandbox/sandbox.h"

/* *dir is a descriptor of the tree, writable until it is sealed. */
MUST_CHECK enum status root_build(const struct sandbox_config *config, int *dir, struct err *err);
MUST_CHECK enum status root_enter(int dir, struct err *err);
/* Closes `dir`. */
MUST_CHECK enum status root_seal(int dir, struct err *err);

/* Calls `visit` with each path inside that may be read. */
void root_each_path(const struct sandbox_config *config, void (*visit)(void *ctx, const char *path),
                    void *ctx);
