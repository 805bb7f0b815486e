/* sandbox.c - the profiles by name, and copies of their lists. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/sandbox.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/hash.h"

static const char *const profile_names[] = {
    [SANDBOX_STRICT] = "strict",
    [SANDBOX_NONE] = "none",
    [SANDBOX_NETWORK] = "network",
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

void sandbox_lists_copy(struct sandbox_config *config)
{
    struct sandbox_mount *mounts = mem_zalloc((config->mount_count + 1) * sizeof *mounts);
    for (size_t i = 0; i < config->mount_count; i++)
        mounts[i] =
            (struct sandbox_mount){mem_strdup(config->mounts[i].from), mem_strdup(config->mounts[i].to)};
    char **allow = mem_zalloc((config->allow_count + 1) * sizeof *allow);
    for (size_t i = 0; i < config->allow_count; i++) allow[i] = mem_strdup(config->allow[i]);
    config->mounts = mounts;
    config->allow = (const char *const *)allow;
}

void sandbox_lists_free(struct sandbox_config *config)
{
    for (size_t i = 0; i < config->mount_count; i++)
    {
        free((char *)config->mounts[i].from);
        free((char *)config->mounts[i].to);
    }
    for (size_t i = 0; i < config->allow_count; i++) free((char *)config->allow[i]);
    free((struct sandbox_mount *)config->mounts);
    free((char **)config->allow);
    config->mounts = NULL;
    config->allow = NULL;
    config->mount_count = config->allow_count = 0;
}
