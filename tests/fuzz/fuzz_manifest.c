/* fuzz_manifest.c - manifests as they are uploaded: refused with words, or sound in all parts. */
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/catalog/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest *manifest;
    struct err err = ERR_INIT;
    enum status status = manifest_parse(slice_make(data, size), "stead.yaml", &manifest, &err);
    if (status != STATUS_OK)
    {
        CHECK(status == STATUS_MANIFEST_INVALID && err.status == status);
        CHECK(strncmp(err.text, "stead.yaml:", 11) == 0);
        return 0;
    }
    CHECK(manifest_app_name_valid(slice_cstr(manifest->app)) && manifest->code[0] != '/');
    CHECK(manifest->function_count > 0 && manifest->function_count <= BOUND_FUNCTIONS_PER_APP_MAX);
    for (size_t i = 0; i < manifest->function_count; i++)
    {
        const struct manifest_function *function = &manifest->functions[i];
        CHECK(manifest_function_name_valid(slice_cstr(function->name)));
        CHECK(function->timeout_ms > 0 && function->memory_mb > 0 &&
              function->pool.min <= function->pool.max);
    }
    for (size_t i = 0; i < manifest->route_count; i++)
        CHECK(manifest_function_find(manifest, slice_cstr(manifest->routes[i].function)));
    for (size_t i = 0; i < manifest->subscription_count; i++)
    {
        const struct manifest_subscription *subscription = &manifest->subscriptions[i];
        CHECK(manifest_channel_find(manifest, slice_cstr(subscription->channel)));
        CHECK(manifest_function_find(manifest, slice_cstr(subscription->function)));
        CHECK(subscription->batch > 0 && subscription->entity && subscription->from);
    }
    manifest_destroy(manifest);
    return 0;
}
