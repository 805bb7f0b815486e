/* app_spec.h - what a manifest asks of the pool and of the engine. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/worker/pool.h"

struct invoke_channel;
struct invoke_function;
struct manifest;

/* For the pool, one partition: its workers are shared by the functions of the app, so the widest limits count. `pool` points
 * into the struct and into the manifest: neither moves nor goes before app_spec_fini(). App, version, artifact and data_fd
 * are the caller's to set. */
struct app_spec {
    struct pool_spec pool;
    struct pool_function *functions;
    struct buf env_texts;
    const char **env;
    struct sandbox_mount mounts[BOUND_MOUNTS_MAX];
};
void app_spec_init(struct app_spec *spec, const struct manifest *manifest);
void app_spec_fini(struct app_spec *spec);

/* For the engine: as many as the manifest has, in its order. The caller frees the list. */
struct invoke_function *app_spec_functions(const struct manifest *manifest);
struct invoke_channel *app_spec_channels(const struct manifest *manifest);

/* An app that wants workers at all times stays awake. */
bool app_spec_may_sleep(const struct manifest *manifest);
