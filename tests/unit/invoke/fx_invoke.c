/* fx_invoke.c - the engine over a real store, with a pool that the test plays by hand. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/invoke/fx_invoke.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

/* ---- a pool that keeps what is submitted until the test answers it ---- */

struct list submitted;

void pool_chain_init(struct pool_chain *chain)
{
    *chain = (struct pool_chain){.worker = NULL};
}

void pool_chain_fini(struct pool_chain *chain)
{
    assert_int_equal(chain->runs, 0);
}

static struct given_answer answers[FX_ANSWERS_MAX];
static size_t answers_count;

void pool_answer(struct pool_run *run, const struct wire_answer *answer)
{
    assert_true(answers_count < FX_ANSWERS_MAX);
    struct given_answer *given = &answers[answers_count++];
    given->run = run;
    given->ask = answer->ask;
    given->status = answer->status;
    given->number = answer->number;
    given->size = answer->body.size;
    snprintf(given->text, sizeof given->text, "%.*s",
             SLICE_FMT(answer->status == STATUS_OK ? answer->body : answer->failure));
}

struct given_answer *fx_answer(struct fixture *fx)
{
    while (answers_count == 0) loop_turn(fx->loop, true);
    static struct given_answer first;
    first = answers[0];
    memmove(answers, answers + 1, --answers_count * sizeof answers[0]);
    return &first;
}

bool fx_unanswered(void)
{
    return answers_count == 0;
}

void pool_submit(struct pool_deployment *deployment, struct pool_run *run)
{
    if (run->chain) run->chain->runs++;
    list_push_back(&submitted, &run->link);
}

/* The oldest submitted run, handed to a worker. */
struct pool_run *taken(void)
{
    struct list *link = list_pop_front(&submitted);
    assert_non_null(link);
    struct pool_run *run = CONTAINER_OF(link, struct pool_run, link);
    run->prepare(run);
    return run;
}

struct pool_run *next_run(struct fixture *fx)
{
    while (list_empty(&submitted)) loop_turn(fx->loop, true);
    return taken();
}

void end(struct pool_run *run, enum status status, const struct wire_result *result)
{
    struct err err = {.status = status, .text = "the test ends it"};
    if (run->chain) run->chain->runs--;
    run->done(run, status, result, &err);
}

/* ---- the fixture ---- */

static void on_reap(struct loop_task *task, void *ctx)
{
    store_reap(((struct fixture *)ctx)->store);
}

static void on_wake(void *ctx)
{
    struct fixture *fx = ctx;
    loop_post(fx->loop, &fx->reap);
}

static void on_version_unused(struct invoke_version *version)
{
    CONTAINER_OF(version, struct fixture, version)->version_unused = true;
}

int setup_with(void **state, const struct fx_options *options)
{
    struct fixture *fx = mem_zalloc(sizeof *fx);
    struct err err = ERR_INIT;
    list_init(&submitted);
    answers_count = 0;
    snprintf(fx->dir, sizeof fx->dir, "/tmp/stead-invoke-XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    fx->clock = options->clock ? options->clock : clock_real();
    assert_int_equal(loop_create(&fx->loop, fx->clock, &err), STATUS_OK);
    loop_task_init(&fx->reap, on_reap, fx);
    struct store_config config = {.dir = fx->dir,
                                  .clock = clock_real(),
                                  .wake = on_wake,
                                  .wake_ctx = fx,
                                  .corked = true,
                                  .fault = options->fault};
    assert_int_equal(store_open(&fx->store, &config, &err), STATUS_OK);
    fx->engine = invoke_create(&(struct invoke_config){.loop = fx->loop, .clock = fx->clock, .seed = 1});
    fx->partition =
        invoke_partition_open(fx->engine, fx->store, options->index, options->count ? options->count : 1);
    fx->function = (struct invoke_function){
        .name = "add", .timeout_ms = 60000, .memory_mb = 64, .limits.in_flight_max = 50};
    list_init(&fx->function.waiting);
    list_init(&fx->function.paying);
    fx->version = (struct invoke_version){
        .partition = fx->partition,
        .functions = &fx->function,
        .functions_count = 1,
        .refs = 1,
        .on_unused = on_version_unused,
    };
    *state = fx;
    return 0;
}

int setup_partition(void **state, uint32_t index, uint32_t count)
{
    return setup_with(state, &(struct fx_options){.index = index, .count = count});
}

int setup(void **state)
{
    return setup_partition(state, 0, 1);
}

/* A partition to which entity "x" does not belong. */
int setup_foreign(void **state)
{
    return setup_partition(state, 1 - keyspace_partition(SLICE("x"), 2), 2);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    return remove(path);
}

int teardown(void **state)
{
    struct fixture *fx = *state;
    invoke_version_unref(&fx->version);
    assert_true(fx->version_unused);
    invoke_partition_close(fx->partition);
    invoke_destroy(fx->engine);
    loop_destroy(fx->loop);
    assert_int_equal(nftw(fx->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(fx);
    return 0;
}

/* ---- callers ---- */

static void on_done(void *ctx, const struct outcome *outcome)
{
    struct caller *caller = ctx;
    caller->answers++;
    caller->status = outcome->status;
    caller->http_status = outcome->http_status;
    caller->remembered = outcome->remembered;
    snprintf(caller->body, sizeof caller->body, "%.*s",
             SLICE_FMT(outcome->status == STATUS_OK ? outcome->body : SLICE_EMPTY));
    snprintf(caller->message, sizeof caller->message, "%s", outcome->message);
    snprintf(caller->ident, sizeof caller->ident, "%s", outcome->ident);
}

void start_with_key(struct fixture *fx, struct caller *caller, const char *entity, const char *key,
                    const char *body)
{
    *caller = (struct caller){.answers = 0};
    struct invoke_request request = {
        .entity = slice_cstr(entity),
        .method = SLICE("POST"),
        .path = SLICE("/x"),
        .headers = &caller->headers,
        .body = slice_cstr(body),
        .has_idempotency_key = key != NULL,
        .idempotency_key = key ? slice_cstr(key) : SLICE_EMPTY,
    };
    invoke_start(fx->engine, &fx->version, &fx->function, &request, on_done, caller);
    assert_int_equal(caller->answers, 0); /* never inside the call */
}

void start(struct fixture *fx, struct caller *caller, const char *entity)
{
    start_with_key(fx, caller, entity, NULL, "");
}

void until_answered(struct fixture *fx, struct caller *caller)
{
    while (!caller->answers) loop_turn(fx->loop, true);
    assert_int_equal(caller->answers, 1);
}

struct wire_result *effects(struct effects *effects, const char *name, const char *value, const char *body)
{
    *effects = (struct effects){.key = BUF_INIT};
    assert_int_equal(keyspace_row(&effects->key, SLICE("x"), slice_cstr(name), NULL), STATUS_OK);
    read_set_append(&effects->reads, &(struct read_entry){READ_KEY, buf_view(&effects->key), SLICE_EMPTY});
    if (value)
        write_set_append(&effects->writes,
                         &(struct write_entry){WRITE_PUT, buf_view(&effects->key), slice_cstr(value)});
    effects->result.http_status = 200;
    effects->result.body = slice_cstr(body);
    effects->result.reads = buf_view(&effects->reads);
    effects->result.writes = buf_view(&effects->writes);
    return &effects->result;
}

void effects_fini(struct effects *effects)
{
    buf_fini(&effects->key);
    buf_fini(&effects->reads);
    buf_fini(&effects->writes);
}

void end_with(struct pool_run *run, const char *value, const char *body)
{
    struct effects e;
    end(run, STATUS_OK, effects(&e, "n", value, body));
    effects_fini(&e);
}

/* Answers the oldest run with a read and a write. */
void run_writes(const char *name, const char *value)
{
    struct effects e;
    end(taken(), STATUS_OK, effects(&e, name, value, value));
    effects_fini(&e);
}

void assert_row(struct fixture *fx, const char *name, const char *want)
{
    struct buf key = BUF_INIT;
    assert_int_equal(keyspace_row(&key, SLICE("x"), slice_cstr(name), NULL), STATUS_OK);
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    struct slice value = SLICE_EMPTY;
    enum status status = store_get(snapshot, buf_view(&key), &value, NULL);
    if (want)
    {
        assert_int_equal(status, STATUS_OK);
        assert_int_equal(value.size, strlen(want));
        assert_memory_equal(value.data, want, value.size);
    }
    else
    {
        assert_int_equal(status, STATUS_NOT_FOUND);
    }
    store_snapshot_release(fx->store, snapshot);
    buf_fini(&key);
}

/* ---- rows ---- */

struct one_commit {
    struct store_commit commit;
    bool done;
};

static void on_one(struct store_commit *commit)
{
    assert_int_equal(commit->status, STATUS_OK);
}

static void on_one_durable(struct store_commit *commit)
{
    CONTAINER_OF(commit, struct one_commit, commit)->done = true;
}

void commit_set(struct fixture *fx, struct buf *set)
{
    struct one_commit one = {
        .commit = {.writes = {buf_view(set)}, .applied = on_one, .durable = on_one_durable}};
    store_submit(fx->store, &one.commit);
    store_push(fx->store);
    while (!one.done) loop_turn(fx->loop, true);
}
