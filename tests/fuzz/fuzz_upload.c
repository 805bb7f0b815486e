/* fuzz_upload.c - what a deployment reads of strangers: the bundle, the header of its code, records of the catalog. */
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "runtime/base/check.h"
#include "runtime/catalog/artifact.h"
#include "runtime/catalog/bundle.h"
#include "runtime/catalog/catalog_record.h"

static bool inside(struct slice part, const uint8_t *data, size_t size)
{
    const uint8_t *begin = part.data;
    return part.size == 0 ||
           (begin >= data && part.size <= size && begin - data <= (ptrdiff_t)(size - part.size));
}

static void check_bundle(const uint8_t *data, size_t size)
{
    struct bundle bundle;
    if (bundle_decode(slice_make(data, size), &bundle, NULL) != STATUS_OK) return;
    CHECK(inside(bundle.manifest, data, size) && bundle.file_count <= BUNDLE_FILES_MAX);
    for (size_t i = 0; i < bundle.file_count; i++)
    {
        CHECK(bundle.files[i].name.size > 0 && inside(bundle.files[i].name, data, size));
        CHECK(inside(bundle.files[i].content, data, size));
    }
}

static void check_record(const uint8_t *data, size_t size)
{
    struct catalog_app *app;
    struct buf again = BUF_INIT;
    if (catalog_record_decode(SLICE("bank"), slice_make(data, size), &app, NULL) != STATUS_OK) return;
    CHECK(app->version_count > 0 && app->current < app->version_count);
    catalog_record_encode(&again, app); /* what was read can be written */
    catalog_app_destroy(app);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    enum status status = artifact_check(bytes, NULL);
    CHECK(status == STATUS_OK || status == STATUS_ARTIFACT_INVALID);
    check_bundle(data, size);
    check_record(data, size);
    return 0;
}
