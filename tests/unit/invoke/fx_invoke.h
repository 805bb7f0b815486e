/* fx_invoke.h - the engine over a real store, with a pool that the test plays by hand: runs are taken, asked for, ended. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/invoke/invoke.h"

/* ---- the pool ---- */

enum { FX_ANSWERS_MAX = 16 };

/* What a running handler was given. */
struct given_answer {
    struct pool_run *run;
    uint32_t ask;
    enum status status;
    uint64_t number;
    size_t size; /* of the body */
    char text[300]; /* body, or words of a failure */
};

struct fixture;
/* Runs that no worker has taken yet, of pool_run.link. */
extern struct list submitted;
/* The oldest submitted run, handed to a worker. */
struct pool_run *taken(void);
/* The same, waited for. */
struct pool_run *next_run(struct fixture *fx);
void end(struct pool_run *run, enum status status, const struct wire_result *result);

/* The oldest answer, waited for. */
struct given_answer *fx_answer(struct fixture *fx);
bool fx_unanswered(void);

/* ---- the engine ---- */

struct fixture {
    char dir[64];
    struct clock *clock; /* of the loop and the engine */
    struct loop *loop;
    struct store *store;
    struct loop_task reap;
    struct invoke *engine;
    struct invoke_partition *partition;
    struct invoke_function function;
    struct invoke_version version;
    bool version_unused;
};

struct fx_options {
    uint32_t index, count; /* of the partition; count 0: the only one */
    struct clock *clock; /* NULL: the real one */
    struct store_fault *fault;
};
int setup_with(void **state, const struct fx_options *options);
int setup(void **state);
int setup_partition(void **state, uint32_t index, uint32_t count);
/* A partition to which entity "x" does not belong. */
int setup_foreign(void **state);
int teardown(void **state);

/* ---- callers ---- */

struct caller {
    struct wire_headers headers;
    int answers;
    enum status status;
    uint32_t http_status;
    bool remembered;
    char body[64];
    char message[200];
    char ident[INVOCATION_ID_CHARS + 1];
};

void start_with_key(struct fixture *fx, struct caller *caller, const char *entity, const char *key,
                    const char *body);
void start(struct fixture *fx, struct caller *caller, const char *entity);
void until_answered(struct fixture *fx, struct caller *caller);

/* ---- results ---- */

/* Results that read and write the row `name` of entity "x". */
struct effects {
    struct buf key, reads, writes;
    struct wire_result result;
};
struct wire_result *effects(struct effects *effects, const char *name, const char *value, const char *body);
void effects_fini(struct effects *effects);
/* Answers a run with these words; it has read row "n" of entity "x", and written it unless `value` is NULL. */
void end_with(struct pool_run *run, const char *value, const char *body);
/* Answers the oldest run with a read and a write. */
void run_writes(const char *name, const char *value);
void assert_row(struct fixture *fx, const char *name, const char *want);
/* Commits a write set by itself, and waits until it is durable. */
void commit_set(struct fixture *fx, struct buf *set);
