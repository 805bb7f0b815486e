/* catalog_record.h - an app of the catalog as bytes of the system store: docs/formats/catalog.md. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/catalog/catalog.h"

/* Appends the record's key. */
void catalog_record_key(struct buf *key, struct slice app);
/* The name in a key; false when it is no key of an app. */
bool catalog_record_key_split(struct slice key, struct slice *app);
void catalog_record_encode(struct buf *record, const struct catalog_app *app);
/* Checks everything, the manifests too. STORE_CORRUPT; STORE_FORMAT when a newer program wrote it. */
MUST_CHECK enum status catalog_record_decode(struct slice name, struct slice record, struct catalog_app **app,
                                             struct err *err);

struct catalog_app *catalog_app_create(struct slice name);
/* The same versions, referenced once more. */
struct catalog_app *catalog_app_dup(const struct catalog_app *app);
void catalog_app_destroy(struct catalog_app *app);
