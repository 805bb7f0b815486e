/* zygote.h - the daemon's side of a zygote: start it, let it fork workers, hear of their ends. */
// SPDX-License-Identifier: Apache-2.0
//
// A zygote is one process of the program stead-zygote for one version of an app. It has loaded the user's code (so its
// static initialisers have run in it) and is therefore not trusted: what it says is checked, what must be certain comes
// from the kernel. It dies with the daemon, and its workers die with it.
//
//     zygote_start(&config, &handler, self, &zygote, &err)
//     on_loaded(OK)
//     zygote_spawn(zygote, 7, link_fd, output_fd)   on_spawned(7, pidfd) ... on_exited(7, how)
//     zygote_close(zygote)                          killed with all its workers; no callback after this
//
// What takes longest until then is the same for most apps, and may be done before it is known for which one:
//
//     zygote_prepare(loop, program, &spare, &err)
//     zygote_claim(spare, &config, &handler, self, &err)      from here on as if zygote_start had made it
//
// Loop thread only. No callback runs inside of a call of the owner.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"
#include "runtime/sandbox/sandbox.h"

struct loop;
struct zygote;

struct zygote_config {
    struct loop *loop;
    const char *program; /* path of stead-zygote */
    const char *app; /* for messages */
    const char *artifact; /* path of the shared object */
    const char *artifact_name; /* how messages call it */
    int data_fd; /* read-only descriptor of the partition's data file, borrowed; -1: no state */
    const char *const *functions; /* names that the object must define */
    size_t function_count;
    const uint64_t *memory_bytes; /* limit of each function */
    const uint32_t *inside_ms; /* of each: see control_function */
    const char *const *env; /* "NAME=value" for user code */
    size_t env_count;
    struct sandbox_config sandbox;
    uint32_t load_timeout_ms; /* static initialisers included */
    bool worker_follows; /* zygote_spawn() comes at once: a spare one has the process for it */
};

/* How a worker ended. */
struct zygote_exit {
    int code; /* when `signal` is 0 */
    int signal;
    bool out_of_memory; /* it crashed because memory was refused */
};

struct zygote_handler {
    /* Once, unless on_gone comes first. */
    void (*on_loaded)(void *ctx);
    /* The worker runs. The callee owns `pidfd`, which is proved to be a child of the zygote. */
    void (*on_spawned)(void *ctx, uint64_t number, int pidfd);
    void (*on_spawn_failed)(void *ctx, uint64_t number, const struct err *err);
    /* After the worker's pidfd has become readable, or at about the same time. */
    void (*on_exited)(void *ctx, uint64_t number, const struct zygote_exit *how);
    /* Something that it, or an initialiser of user code, has written to stdout or stderr. */
    void (*on_output)(void *ctx, struct slice line);
    /* The process is dead. The words say why; before on_loaded they are the loader's own (ARTIFACT_INVALID,
     * FUNCTION_START_FAILED). The kernel kills its workers. Only zygote_close() may follow. */
    void (*on_gone)(void *ctx, const struct err *err);
};

/* `handler` is static; `config` and what it points to are borrowed for the call. NO_RESOURCES, NOT_FOUND, IO, ... */
MUST_CHECK enum status zygote_start(const struct zygote_config *config, const struct zygote_handler *handler,
                                    void *ctx, struct zygote **zygote, struct err *err);
/* Starts a process that goes as far as it can without its app. It says nothing and waits. NO_RESOURCES, ... */
MUST_CHECK enum status zygote_prepare(struct loop *loop, const char *program, struct zygote **spare,
                                      struct err *err);
/* Whether a spare one has died meanwhile. */
bool zygote_is_dead(const struct zygote *spare);
/* Whether a spare one can become the zygote of this: of profile `strict`, without mounts. */
bool zygote_fits(const struct zygote_config *config);
/* As zygote_start. After a failure the spare one is of no use any more: UNAVAILABLE, it has died. */
MUST_CHECK enum status zygote_claim(struct zygote *spare, const struct zygote_config *config,
                                    const struct zygote_handler *handler, void *ctx, struct err *err);
/* Asks for a worker, which is forked when the code is loaded; `number` is the owner's name for it and not in use. Both
 * descriptors stay the caller's. After a success exactly one of on_spawned and on_spawn_failed follows, unless on_gone comes. NO_RESOURCES. */
MUST_CHECK enum status zygote_spawn(struct zygote *zygote, uint64_t number, int link_fd, int output_fd,
                                    struct err *err);
/* Kills it because it does not do what it should; on_gone follows with these words. */
void zygote_condemn(struct zygote *zygote, const char *words);
pid_t zygote_pid(const struct zygote *zygote);
/* Kills and frees. NULL is fine. */
void zygote_close(struct zygote *zygote);
