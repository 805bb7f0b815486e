/* deploy.h - deploy, roll back and remove apps: verify, try, commit, switch; one after another. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. A deployment runs
//
//     check manifest -> check and keep the code (off the loop) -> probe -> commit to the system store -> switch
//
// and whatever fails before the switch leaves everything as it was: the version before goes on serving. The switch is one
// call on the loop, after the commit is durable; no request falls between two versions.
#pragma once

#include "runtime/base/err.h"
#include "runtime/base/list.h"
#include "runtime/base/slice.h"
#include "runtime/catalog/catalog.h"

struct clock;
struct deployer;
struct loop;
struct store;

typedef void (*deploy_on_probed_fn)(void *ctx, enum status status, const struct err *err);
typedef void (*deploy_on_erased_fn)(void *ctx, enum status status, const struct err *err);

/* What the node does for deployments. All are called on the loop; the callbacks come once, later, on the loop. */
struct deploy_ports {
    void *ctx;
    /* Loads the code as a worker would, in a sandbox, and looks for every function of the manifest; leaves nothing
     * running. ARTIFACT_INVALID, FUNCTION_START_FAILED with the loader's words. `version` and `path` are borrowed until
     * the callback. */
    void (*probe)(void *ctx, struct catalog_version *version, const char *path, deploy_on_probed_fn done,
                  void *done_ctx);
    /* From now on new invocations of `app` run `version` (take a reference); NULL: the app is gone, answer
     * APP_NOT_FOUND. Invocations that run finish as they began. Must not fail. */
    void (*on_switch)(void *ctx, const char *app, struct catalog_version *version);
    /* Deletes the state of an app that has been switched to NULL, once its last invocation is over. */
    void (*erase_state)(void *ctx, const char *app, deploy_on_erased_fn done, void *done_ctx);
};

struct deploy_config {
    struct loop *loop;
    struct clock *clock;
    struct catalog *catalog; /* loaded */
    struct store *store; /* the system store */
    const char *artifacts; /* directory; copied */
    struct deploy_ports ports;
};

struct deployer *deployer_create(const struct deploy_config *config);
/* Requests that wait end with DRAINING; `closed` comes later, when the one under way has ended, and frees. */
void deployer_close(struct deployer *deployer, void (*closed)(void *ctx), void *ctx);

enum deploy_kind { DEPLOY_NEW, DEPLOY_ROLLBACK, DEPLOY_REMOVE };

/* Embedded by the caller, who keeps it and its slices until `done`. */
struct deploy_request {
    struct list link; /* the deployer's */
    enum deploy_kind kind;
    struct slice app;
    struct slice manifest_text; /* DEPLOY_NEW */
    struct slice code; /* DEPLOY_NEW */
    struct slice version; /* DEPLOY_ROLLBACK: its id, or empty for the one before */
    bool erase_state; /* DEPLOY_REMOVE */
    void (*done)(struct deploy_request *request);

    /* The result, at `done`. */
    enum status status;
    struct err err;
    struct catalog_version *current; /* held until `done` returns; NULL after a removal */
    char previous[CATALOG_VERSION_ID_BYTES + 1]; /* "" when there was none */
    bool unchanged; /* this very content was current already: nothing was done */
};

/* OVERLOADED through `done` when too many wait. */
void deployer_submit(struct deployer *deployer, struct deploy_request *request);
