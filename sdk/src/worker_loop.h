/* worker_loop.h - the life of a worker: frames in, handlers run one at a time, results out. */
// SPDX-License-Identifier: Apache-2.0
//
// Called by the zygote's child when its sandbox is up; single-threaded, waits for the daemon, no event loop.
// Results are collected and written together while more work is waiting; see worker_loop.c for when that
// may not be.
#pragma once

#include "runtime/base/slice.h"
#include "sdk/include/stead/stead.h"

struct stead__snapshot;

typedef enum stead_status (*stead__handler_fn)(struct stead_ctx *ctx);

struct stead__worker_config {
    int link_fd; /* stream socket to the daemon; stays the caller's. Cheaper when it does not block, see worker_loop.c */
    int broker_fd; /* socket to the broker of connections; 0: the app has no network */
    struct stead__snapshot *snapshot; /* opened before the fork; NULL: the app has no rows */
    /* The handler of a function of the manifest; NULL when the code has none of this name. */
    stead__handler_fn (*lookup)(void *ctx, struct slice function);
    /* The handler of a function that may run inside of a run of `caller`, for so long; NULL when it may not. NULL: none
     * may. */
    stead__handler_fn (*lookup_inside)(void *ctx, struct slice caller, struct slice function,
                                       uint32_t left_ms);
    void *lookup_ctx;
    /* Called first of all in the handler of a fatal signal, with errno as the failing code left it
     * (ENOMEM tells that it was refused memory). Must be async-signal-safe. NULL: none. */
    void (*on_fatal)(void *ctx, int signal);
    void *fatal_ctx;
};

/* Sends READY, then works until the daemon closes the link. Returns the process's exit status: 0 at the
 * end of the link, 1 when the daemon sent what is no frame (said on stderr). Installs handlers for
 * SIGPIPE and for fatal signals, which send what is finished and then let the signal end the process. */
int stead__worker_run(const struct stead__worker_config *config);
