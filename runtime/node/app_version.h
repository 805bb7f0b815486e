/* app_version.h - a catalog version that runs, in each partition of its app. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The node holds references until app_version_drop(), each invocation one; with the last its deployments are
// closed, and when these are gone `ended` tells, and it is freed.
#pragma once

#include "runtime/base/err.h"
#include "runtime/catalog/catalog.h"
#include "runtime/catalog/deploy.h"
#include "runtime/invoke/invoke.h"

struct app_part;
struct app_version;
struct apps_config;

typedef void (*app_version_ended_fn)(struct app_version *version, void *ctx);

struct app_version {
    struct catalog_version *catalog; /* referenced */
    app_version_ended_fn ended;
    void *ctx;
    /* Who waits for its trial load; for the opener. */
    deploy_on_probed_fn probed;
    void *probed_ctx;
    struct invoke_function *functions; /* the partitions share them, and so their limits */
    struct invoke_channel *channels;
    uint32_t opened; /* parts that have a deployment */
    uint32_t running; /* of these, those that have not ended yet */
    struct app_version_part {
        struct invoke_version invoke;
        struct app_version *version;
    } parts[]; /* as many as its manifest has partitions */
};

/* `states` are the open partitions of its app, which stay until it has ended, like the names in them. `ended` comes once,
 * also when this fails, and then perhaps inside of it. Those of pool_deployment_open(). */
MUST_CHECK enum status app_version_open(struct app_version **version, const struct apps_config *config,
                                        struct catalog_version *catalog, const struct app_part *states,
                                        app_version_ended_fn ended, void *ctx, struct err *err);
/* Drops the node's references: it ends with its last invocation. */
void app_version_drop(struct app_version *version);
