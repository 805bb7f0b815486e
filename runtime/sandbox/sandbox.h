/* sandbox.h - what a zygote and its workers may touch: profiles, and how a process enters them. */
// SPDX-License-Identifier: Apache-2.0
//
// A sandbox is entered by the process itself, in steps, and cannot be left again:
//
//     zygote: sandbox_isolate() -> sandbox_build_root() -> open the state, put the artifact into the root
//             -> sandbox_enter_zygote() -> load user code, fork workers
//     worker: sandbox_enter_worker() -> run user code
//
// The first two need no knowledge of the app, unless it has mounts or the network: they may be done in advance.
// User code runs in the zygote too (static initialisers), so all that needs no knowledge of one worker happens there,
// once; a worker adds the rest, which is kept cheap because it is part of every cold start. Single-threaded processes
// only. Each step says what it defends in sandbox_linux.c. sandbox_none.c is the port for systems without mechanisms.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/err.h"

enum sandbox_profile {
    /* Another user (root) or a user namespace; own process, mount, network, ipc and uts namespaces with a root where
     * nothing is but system libraries, read-only; no new privileges, landlock as far as the kernel has it, system calls by
     * the lists of seccomp.def, limits. Entering fails where the kernel refuses one of these. */
    SANDBOX_STRICT = 0,
    SANDBOX_NONE = 1, /* only the limits and the death with the parent: no defence against hostile code */
    SANDBOX_NETWORK =
        2, /* strict, and connections to what is listed, made by a broker outside: see broker.h */
};

/* A file or directory of the machine that an app may read. Both paths are absolute. */
struct sandbox_mount {
    const char *from;
    const char *to;
};

struct sandbox_config {
    enum sandbox_profile profile;
    /* Whom a root daemon's zygotes become; 0: SANDBOX_UID. Without root they keep the uid inside a user namespace.
     * Apps of different users cannot even see each other's processes: see sandbox_uid_of. */
    uint32_t uid;
    uint32_t gid;
    uint64_t memory_bytes; /* data of a worker (heap, private mappings) in all; 0: no limit */
    uint64_t address_bytes; /* all that a worker maps, the state included; 0: no limit */
    const struct sandbox_mount *mounts;
    size_t mount_count;
    const char *const *allow; /* "host:port" that SANDBOX_NETWORK may reach */
    size_t allow_count;
};

/* Where a zygote stands between the steps. */
struct sandbox_place {
    pid_t parent; /* whose death must end it; in: the daemon */
    bool inside; /* in namespaces of its own */
    int root; /* its own one, not read-only yet; -1: it keeps the machine's */
    int proc; /* the machine's /proc, which its own root does not have; -1: it has the machine's root */
    int broker; /* socket to its broker; -1: none */
};

enum {
    SANDBOX_UID_FIRST = 0x7ead0000, /* 65,536 users that nobody else uses, one for each app by its hash */
    SANDBOX_UID = 65534, /* "nobody": owns no file */
    SANDBOX_FILES_MAX = 64, /* descriptors of one worker */
    SANDBOX_PROCESSES_MAX = 4352, /* of one app, when its initialisers fork: more than a zygote has workers */
    SANDBOX_STACK_BYTES = 8 * 1024 * 1024, /* as systems have it; a function cannot move it */
};

/* Where the artifact lies in a root of its own: the owner puts it into place->root without the slash. */
#define SANDBOX_ARTIFACT "/app.so"

/* The user that an app's processes run as when the daemon is root. Always the same for the same name. */
uint32_t sandbox_uid_of(const char *app);

/* The zygote becomes the first process of namespaces of its own: what user code in it forks can neither see other processes
 * nor outlive it. To that end the process splits: the inner one returns, the outer one waits and ends as the inner one
 * ends; `network` has a broker beside them. place->parent is whom the inner one dies with, for the next step. Where root
 * may not make namespaces (in a container) it goes on without, and says so on stderr, unless mounts or the network need
 * them; without root that is UNSUPPORTED. */
MUST_CHECK enum status sandbox_isolate(const struct sandbox_config *config, struct sandbox_place *place,
                                       struct err *err);
/* Builds the root, system libraries and what is mounted, and moves there. Until the sandbox is entered the owner may put
 * files into place->root, and see the machine's /proc by place->proc. NOT_FOUND names a mount that is not there. */
MUST_CHECK enum status sandbox_build_root(const struct sandbox_config *config, struct sandbox_place *place,
                                          struct err *err);
/* UNSUPPORTED names the missing mechanism, PERMISSION_DENIED. */
MUST_CHECK enum status sandbox_enter_zygote(const struct sandbox_config *config, struct sandbox_place *place,
                                            struct err *err);
/* `parent`: the process whose death must end this one. */
MUST_CHECK enum status sandbox_enter_worker(const struct sandbox_config *config, pid_t parent,
                                            struct err *err);
/* Moves the worker's memory limit within the one that it entered with (0: back to that): functions of one app have
 * their own limits. In all, as memory_bytes is. */
void sandbox_limit_memory(uint64_t data_bytes);
/* What this process has mapped now: limits for user code are counted on top of it. Zeros when the system does not tell. The
 * descriptor is of the process that opens it, before it enters the sandbox, where nothing can be opened; -1 is taken, too. */
struct sandbox_usage {
    uint64_t data_bytes;
    uint64_t address_bytes;
};
int sandbox_usage_open(const struct sandbox_place *place);
void sandbox_usage_read(int fd, struct sandbox_usage *usage);
/* Ends this process's claim to more data than that, for ever: it and what it forks. */
MUST_CHECK enum status sandbox_cap_memory(uint64_t data_bytes, struct err *err);
/* Closes every descriptor from `first` up. */
void sandbox_close_from(int first);

/* By name, as in manifests: "strict", "network", "none". */
bool sandbox_profile_from_name(const char *name, enum sandbox_profile *profile);
const char *sandbox_profile_name(enum sandbox_profile profile);

/* Own copies of the lists that `config` borrows; sandbox_lists_free() gives them back. */
void sandbox_lists_copy(struct sandbox_config *config);
void sandbox_lists_free(struct sandbox_config *config);
