/* app_version.c - deployments are opened in each partition, and end one by one. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/app_version.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/catalog/artifact.h"
#include "runtime/node/app_part.h"
#include "runtime/node/app_spec.h"
#include "runtime/node/apps.h"
#include "runtime/worker/pool.h"
#include "statestore/statestore.h"

static void version_part_ended(struct app_version *version)
{
    if (--version->running > 0) return;
    version->ended(version, version->ctx);
    for (size_t i = 0; i < version->catalog->manifest->function_count; i++)
        list_remove(&version->functions[i].paying);
    free(version->functions);
    free(version->channels);
    catalog_version_unref(version->catalog);
    free(version);
}

static void on_deployment_closed(void *ctx)
{
    struct app_version_part *part = ctx;
    version_part_ended(part->version);
}

static void on_version_unused(struct invoke_version *invoke)
{
    struct app_version *version = CONTAINER_OF(invoke, struct app_version_part, invoke)->version;
    for (uint32_t i = 0; i < version->opened; i++)
        pool_deployment_close(version->parts[i].invoke.deployment, on_deployment_closed, &version->parts[i]);
}

static struct invoke_version *part_of_version(struct invoke_version *invoke, uint32_t partition)
{
    struct app_version *version = CONTAINER_OF(invoke, struct app_version_part, invoke)->version;
    CHECK(partition < version->catalog->manifest->partitions);
    return &version->parts[partition].invoke;
}

static enum status deployment_open(const struct apps_config *config, const struct app_part *state,
                                   const struct catalog_version *catalog, struct pool_deployment **deployment,
                                   struct err *err)
{
    struct buf path = BUF_INIT;
    artifact_path(&path, config->artifacts, &catalog->artifact);
    struct app_spec spec;
    app_spec_init(&spec, catalog->manifest);
    spec.pool.app = state->app;
    spec.pool.version = catalog->id;
    spec.pool.artifact = buf_cstr(&path);
    spec.pool.data_fd = store_data_fd(state->store);
    enum status status = pool_deployment_open(config->pool, &spec.pool, deployment, err);
    app_spec_fini(&spec);
    buf_fini(&path);
    return status;
}

static enum status version_part_open(struct app_version *version, const struct apps_config *config,
                                     const struct app_part *state, struct err *err)
{
    const struct manifest *manifest = version->catalog->manifest;
    struct app_version_part *part = &version->parts[state->index];
    part->version = version;
    TRY(deployment_open(config, state, version->catalog, &part->invoke.deployment, err));
    part->invoke.app = state->app;
    part->invoke.id = version->catalog->id;
    part->invoke.part = part_of_version;
    part->invoke.partition = state->partition;
    version->parts[0].invoke.refs++;
    part->invoke.on_unused = on_version_unused;
    part->invoke.functions = version->functions;
    part->invoke.state_bytes_max = manifest->limits.state_bytes_max / manifest->partitions;
    part->invoke.functions_count = manifest->function_count;
    part->invoke.channels = version->channels;
    part->invoke.channels_count = manifest->channel_count;
    version->opened++;
    version->running++;
    return STATUS_OK;
}

void app_version_drop(struct app_version *version)
{
    uint32_t parts = version->opened;
    for (uint32_t i = 0; i < parts; i++) invoke_version_unref(&version->parts[i].invoke);
}

enum status app_version_open(struct app_version **out, const struct apps_config *config,
                             struct catalog_version *catalog, const struct app_part *states,
                             app_version_ended_fn ended, void *ctx, struct err *err)
{
    uint32_t partitions = catalog->manifest->partitions;
    struct app_version *version = mem_zalloc(sizeof *version + partitions * sizeof version->parts[0]);
    version->ended = ended;
    version->ctx = ctx;
    version->catalog = catalog_version_ref(catalog);
    version->functions = app_spec_functions(catalog->manifest);
    version->channels = app_spec_channels(catalog->manifest);
    for (uint32_t i = 0; i < partitions; i++)
    {
        enum status status = version_part_open(version, config, &states[i], err);
        if (status == STATUS_OK) continue;
        version->running++; /* held until what was opened has been told to go */
        for (uint32_t opened = 0; opened < i; opened++) invoke_version_unref(&version->parts[opened].invoke);
        version_part_ended(version);
        return status;
    }
    if (catalog->manifest->sandbox == SANDBOX_NONE)
        log_warn("apps.sandbox",
                 "app=%s version=%s runs WITHOUT A SANDBOX, as its manifest says: its code may do what the "
                 "node's user may",
                 states[0].app, catalog->id);
    *out = version;
    return STATUS_OK;
}
