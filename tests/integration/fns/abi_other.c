/* abi_other.c - a function built against another version of the SDK's ABI. */
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

__attribute__((visibility("default"))) extern const uint32_t stead_abi_version;
const uint32_t stead_abi_version = 99;

__attribute__((visibility("default"))) int stead_fn_ok(void *ctx);
int stead_fn_ok(void *ctx)
{
    (void)ctx;
    return 0;
}
