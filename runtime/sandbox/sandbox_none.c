/* sandbox_none.c - the port for systems without our mechanisms: it refuses `strict` instead of pretending. */
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "runtime/sandbox/sandbox.h"

enum status sandbox_isolate(const struct sandbox_config *config, struct sandbox_place *place, struct err *err)
{
    place->inside = false;
    place->root = place->proc = place->broker = -1;
    if (!config->mount_count) return STATUS_OK; /* sandbox_enter_zygote refuses what else cannot be had */
    return err_set(err, STATUS_UNSUPPORTED, "mounts: this system has no mechanism for them");
}

enum status sandbox_build_root(const struct sandbox_config *config, struct sandbox_place *place,
                               struct err *err)
{
    (void)config; /* there is none */
    (void)place;
    (void)err;
    return STATUS_OK;
}

static enum status only_none(const struct sandbox_config *config, struct err *err)
{
    if (config->profile == SANDBOX_NONE) return STATUS_OK;
    return err_set(err, STATUS_UNSUPPORTED, "sandbox `%s`: this system has no mechanism for it; use `none`",
                   sandbox_profile_name(config->profile));
}

enum status sandbox_enter_zygote(const struct sandbox_config *config, struct sandbox_place *place,
                                 struct err *err)
{
    (void)place; /* the daemon's death is seen at the control socket */
    return only_none(config, err);
}

enum status sandbox_enter_worker(const struct sandbox_config *config, pid_t parent, struct err *err)
{
    (void)parent; /* the same */
    return only_none(config, err);
}

void sandbox_limit_memory(uint64_t data_bytes)
{
    (void)data_bytes; /* no mechanism: `none` promises no limit here */
}

int sandbox_usage_open(const struct sandbox_place *place)
{
    (void)place; /* whatever it stands in: nothing is read */
    return -1;
}

void sandbox_usage_read(int fd, struct sandbox_usage *usage)
{
    (void)fd; /* no mechanism, see above */
    *usage = (struct sandbox_usage){0};
}

enum status sandbox_cap_memory(uint64_t data_bytes, struct err *err)
{
    (void)data_bytes; /* the same */
    (void)err;
    return STATUS_OK;
}

void sandbox_close_from(int first)
{
    int end = (int)sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd < end; fd++) close(fd);
}
