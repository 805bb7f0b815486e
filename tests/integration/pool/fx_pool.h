/* fx_pool.h - a pool with real processes for tests: one deployment at a time, runs and what became of them. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include "runtime/loop/loop.h"
#include "runtime/worker/pool.h"

enum { FX_LOG_LINES = 64 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FX_SANITIZED = 1 };
#else
enum { FX_SANITIZED = 0 };
#endif

/* The functions of faults.c. */
extern const char *const fx_faults[];

/* What the pools of this test are told of the machine. */
extern struct machine_memory fx_memory;
/* Whether the next pool keeps a zygote ready. */
extern bool fx_spare;
/* Control groups of the next pool; NULL: none. */
extern struct cgroups *fx_groups;

struct fx_pool {
    struct loop *loop;
    struct pool *pool;
    struct pool_deployment *deployment;
    uint64_t log_bytes;
    uint64_t log_lines;
    char log[FX_LOG_LINES][128]; /* "function text" of the first ones */
    bool closed;
    bool stopped;
};

struct fx_run {
    struct pool_run run; /* first */
    struct wire_invoke invoke;
    unsigned started;
    bool done;
    enum status status;
    char text[1024]; /* the body of the reply, or the words of the failure */
    enum wire_outcome outcome;
    uint64_t finished; /* the how many-th run that was done */
};

/* `object` names a built function ("faults"); functions ends with NULL. */
void fx_pool_open(struct fx_pool *fx, const char *object, const char *const *functions);
/* The same with a changed spec. */
void fx_pool_open_spec(struct fx_pool *fx, const char *object, const char *const *functions,
                       void (*change)(struct pool_spec *spec));
/* Another file than a built function. */
void fx_pool_open_file(struct fx_pool *fx, const char *path, const char *const *functions);
/* Stops the pool; all must have been answered by then. */
void fx_pool_close(struct fx_pool *fx);

void fx_run_init(struct fx_run *run, const char *function, const char *body);
void fx_submit(struct fx_pool *fx, struct fx_run *run);
/* Turns the loop until it is done. */
void fx_wait(struct fx_pool *fx, struct fx_run *run);
/* init, submit, wait. */
void fx_do(struct fx_pool *fx, struct fx_run *run, const char *function, const char *body);
/* The process id of the zygote; 0 when there is none. */
pid_t fx_zygote(struct fx_pool *fx);
/* The zygote, then all that descend from it, by the numbers that this process knows them by: what a worker says of itself
 * is its number in its own namespace. */
enum { FX_FAMILY_MAX = 16 };
struct fx_family {
    pid_t all[FX_FAMILY_MAX];
    int count;
};
struct fx_family fx_family(struct fx_pool *fx);
struct fx_family fx_family_of(pid_t first);
/* Of a worker of this pool; 0: it has none. */
pid_t fx_pid_of(const struct worker *worker);
/* The text of the run has this part. */
void fx_expect_text(const struct fx_run *run, const char *part);
/* The outcome of the trial load; words into `text`. */
enum status fx_probe(struct fx_pool *fx, char text[1024]);
/* Turns until the condition holds; fails the test after ten seconds. */
void fx_until(struct fx_pool *fx, bool (*holds)(struct fx_pool *fx));
