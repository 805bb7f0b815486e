/* catalog.h - which apps, versions and functions exist: the structure in memory and its records in the system store. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The catalog decides and remembers; it starts nothing and knows no worker. A change has two steps, so that
// nothing is visible before it is durable:
//
//     catalog_plan_deploy(catalog, version, &change)     refused, or the write set that would do it
//     ... store_submit(change.writes), durable ...
//     catalog_apply(catalog, &change)                    now it is so
//
// One record per app (SPACE_CATALOG, "app/" name): docs/formats/catalog.md. At most one change is under way at a time.
#pragma once

#include <stdint.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/catalog/artifact.h"
#include "runtime/catalog/manifest.h"

struct catalog;
struct store_snapshot;

enum { CATALOG_VERSION_ID_BYTES = 12 };

/* One deployed content of an app: immutable, counted; whoever runs it holds a reference. */
struct catalog_version {
    char id[CATALOG_VERSION_ID_BYTES + 1]; /* the first hex digits of the BLAKE2b of manifest and code */
    struct artifact_id artifact;
    uint64_t deployed_ms; /* wall clock */
    struct manifest *manifest;
    struct slice manifest_text; /* as deployed */
    uint32_t refs;
};

/* Copies the text and takes the manifest. One reference, the caller's. */
struct catalog_version *catalog_version_create(const char *id, const struct artifact_id *artifact,
                                               uint64_t deployed_ms, struct slice manifest_text,
                                               struct manifest *manifest);
struct catalog_version *catalog_version_ref(struct catalog_version *version);
/* NULL is fine. */
void catalog_version_unref(struct catalog_version *version);
/* The id of a content. Pure. */
void catalog_version_id(char id[CATALOG_VERSION_ID_BYTES + 1], struct slice manifest_text, struct slice code);

struct catalog_app {
    char *name;
    struct catalog_version *versions[BOUND_VERSIONS_PER_APP_MAX]; /* oldest first */
    size_t version_count; /* at least 1 */
    size_t current;
};

static inline struct catalog_version *catalog_app_current(const struct catalog_app *app)
{
    return app->versions[app->current];
}

struct catalog *catalog_create(void);
void catalog_destroy(struct catalog *catalog);
/* Fills an empty catalog from the system store. STORE_CORRUPT names the app; STORE_FORMAT. */
MUST_CHECK enum status catalog_load(struct catalog *catalog, struct store_snapshot *snapshot,
                                    struct err *err);

/* Borrowed until the next catalog_apply(). NULL when there is none. */
const struct catalog_app *catalog_app_find(const struct catalog *catalog, struct slice name);
/* In the order of their names. */
size_t catalog_app_count(const struct catalog *catalog);
const struct catalog_app *catalog_app_at(const struct catalog *catalog, size_t index);
/* `id` may be shortened as long as it is unique; NULL when none or several match. */
struct catalog_version *catalog_version_find(const struct catalog_app *app, struct slice id);
/* The version deployed before the current one; NULL when there is none. */
struct catalog_version *catalog_version_before(const struct catalog_app *app);

/* A planned change: made by catalog_plan_*, then either applied or dropped. */
struct catalog_change {
    struct catalog_app *after; /* NULL: the app is removed */
    char *name;
    struct buf writes; /* the write set for the system store */
};

/* `version` becomes the current one of its app; past the bound the oldest is forgotten. ALREADY_EXISTS when a route
 * belongs to another app (both are named). */
MUST_CHECK enum status catalog_plan_deploy(const struct catalog *catalog, struct catalog_version *version,
                                           struct catalog_change *change, struct err *err);
/* A kept version becomes the current one. APP_NOT_FOUND, ALREADY_EXISTS as above. */
MUST_CHECK enum status catalog_plan_current(const struct catalog *catalog, struct slice app,
                                            struct catalog_version *version, struct catalog_change *change,
                                            struct err *err);
/* APP_NOT_FOUND. */
MUST_CHECK enum status catalog_plan_remove(const struct catalog *catalog, struct slice app,
                                           struct catalog_change *change, struct err *err);
/* Takes what the change holds. */
void catalog_apply(struct catalog *catalog, struct catalog_change *change);
void catalog_change_drop(struct catalog_change *change);
/* True when some version of some app needs the artifact. */
bool catalog_needs(const struct catalog *catalog, const struct artifact_id *artifact);
