/* fixture.h - versions and a store in memory for the tests of the catalog. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdio.h>

#include "runtime/base/check.h"
#include "runtime/catalog/catalog.h"

/* A version of `app` whose content is told apart by `number`; `route` may be NULL. */
static inline struct catalog_version *fx_version(const char *app, unsigned number, const char *route)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "app: %s\ncode: a.so # %u\nfunctions: [{name: f}]\n", app, number);
    if (route) buf_printf(&text, "routes: [{method: GET, path: '%s', function: f}]\n", route);
    struct manifest *manifest;
    struct err err = ERR_INIT;
    enum status status = manifest_parse(buf_view(&text), "stead.yaml", &manifest, &err);
    CHECK(status == STATUS_OK);
    char id[CATALOG_VERSION_ID_BYTES + 1];
    catalog_version_id(id, buf_view(&text), SLICE("code"));
    struct artifact_id artifact = artifact_id_of(slice_make(&number, sizeof number));
    struct catalog_version *version =
        catalog_version_create(id, &artifact, 1000 + number, buf_view(&text), manifest);
    buf_fini(&text);
    return version;
}

/* Plans and applies at once; returns the id, which lives as long as the version. */
static inline const char *fx_deploy(struct catalog *catalog, const char *app, unsigned number)
{
    struct catalog_change change;
    struct catalog_version *version = fx_version(app, number, NULL);
    enum status status = catalog_plan_deploy(catalog, version, &change, NULL);
    CHECK(status == STATUS_OK);
    catalog_apply(catalog, &change);
    catalog_version_unref(version);
    return catalog_app_current(catalog_app_find(catalog, slice_cstr(app)))->id;
}
