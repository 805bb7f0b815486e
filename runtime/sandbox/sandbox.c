/* sandbox.c - the profiles by name. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/sandbox.h"

#include <string.h>

#include "runtime/base/hash.h"

static const char *const profile_names[] = {
    [SANDBOX_STRICT] = "strict",
    [SANDBOX_NONE] = "none",
};

bool sandbox_profile_from_name(const char *name, enum sandbox_profile *profile)
{
    for (size_t i = 0; i < sizeof profile_names / sizeof *profile_names; i++)
    {
        if (strcmp(name, profile_names[i]) != 0) continue;
        *profile = (enum sandbox_profile)i;
        return true;
    }
    return false;
}

const char *sandbox_profile_name(enum sandbox_profile profile)
{
    return profile_names[profile];
}

uint32_t sandbox_uid_of(const char *app)
{
    return SANDBOX_UID_FIRST + (uint32_t)(hash_stable(slice_cstr(app)) & 0xffff);
}
