/* loader.h - user code into the process: checked first, then loaded, then its handlers found; clear words when not. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/err.h"
#include "runtime/zygote/control.h"
#include "sdk/src/worker_loop.h"

/* Copies the artifact to where it cannot change any more and may be opened by any user: into the root of the sandbox, when
 * there is one (a directory, which becomes read-only), else into sealed memory, *copy is its descriptor; else it is -1.
 * `name` is for messages. NO_RESOURCES, IO, ARTIFACT_INVALID. */
MUST_CHECK enum status loader_copy(int fd, const char *name, int root, int *copy, struct err *err);
/* Loads it: static initialisers run. Fills handlers[i] for functions[i]. ARTIFACT_INVALID with the dynamic linker's words,
 * or which symbol is missing where. */
MUST_CHECK enum status loader_load(int copy, const char *name, const struct control_function *functions,
                                   size_t count, stead__handler_fn *handlers, struct err *err);
