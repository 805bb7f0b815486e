/* fx_trigger.c - the engine, a clock that stands still, and a router without a table. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/trigger/fx_trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

/* ---- the router ---- */

enum status router_invoke(struct router *router, struct slice app, struct slice function,
                          const struct invoke_request *request, invoke_done_fn done, void *ctx,
                          struct err *err)
{
    router->asked++;
    router->keyed = request->has_idempotency_key;
    assert_true(slice_is(app, "shop"));
    if (router->refusal != STATUS_OK) return err_set(err, router->refusal, "the test refuses");
    if (router->keeps)
    {
        assert_null(router->kept);
        router->kept = done;
        router->kept_ctx = ctx;
        return STATUS_OK;
    }
    struct fixture *fx = router->fx;
    assert_true(slice_is(function, fx->function.name));
    invoke_start(fx->engine, &fx->version, &fx->function, request, done, ctx);
    return STATUS_OK;
}

enum status router_invoke_in(struct router *router, struct slice app, uint32_t partition,
                             struct slice function, const struct invoke_request *request, invoke_done_fn done,
                             void *ctx, struct err *err)
{
    assert_int_equal(partition, 0);
    return router_invoke(router, app, function, request, done, ctx, err);
}

/* ---- life ---- */

void fx_trigger_init(struct fx_trigger *trigger, uint32_t index, uint32_t count)
{
    *trigger = (struct fx_trigger){.fault.status = STATUS_STORE_FULL};
    clock_manual_init(&trigger->clock, 1700000000000);
    void *state;
    assert_int_equal(setup_with(&state, &(struct fx_options){.index = index,
                                                             .count = count,
                                                             .clock = &trigger->clock.clock,
                                                             .fault = &trigger->fault}),
                     0);
    trigger->fx = state;
    trigger->fx->version.app = "shop";
    trigger->router.fx = trigger->fx;
}

void fx_trigger_fini(struct fx_trigger *trigger)
{
    void *state = trigger->fx;
    assert_int_equal(teardown(&state), 0);
}

void fx_advance_ms(struct fx_trigger *trigger, uint64_t ms)
{
    clock_manual_advance(&trigger->clock, ms * NS_PER_MS);
    for (int i = 0; i < 4; i++) loop_turn(trigger->fx->loop, false);
}

/* ---- runs ---- */

struct pool_run *fx_run(struct fx_trigger *trigger)
{
    return next_run(trigger->fx);
}

void fx_succeed(struct pool_run *run)
{
    struct wire_result result = {.http_status = 200};
    end(run, STATUS_OK, &result);
}

void fx_fail(struct pool_run *run, const char *words)
{
    struct wire_result result = {
        .outcome = WIRE_OUTCOME_ERROR, .failure = slice_cstr(words), .http_status = 500};
    end(run, STATUS_OK, &result);
}

void fx_kept_end(struct fx_trigger *trigger, enum status status)
{
    invoke_done_fn done = trigger->router.kept;
    assert_non_null(done);
    trigger->router.kept = NULL;
    done(trigger->router.kept_ctx, &(struct outcome){.status = status, .message = "the test ends it"});
}

struct fence {
    struct store_commit commit;
    bool is_over;
};

static void on_fence(struct store_commit *commit)
{
    CONTAINER_OF(commit, struct fence, commit)->is_over = true;
}

static void on_fence_applied(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_fence(commit);
}

static enum status write_and_wait(struct fx_trigger *trigger, struct slice set)
{
    struct fixture *fx = trigger->fx;
    struct fence fence = {.commit = {.writes = {set}, .applied = on_fence_applied, .durable = on_fence}};
    store_submit(fx->store, &fence.commit);
    store_push(fx->store);
    while (!fence.is_over) loop_turn(fx->loop, true);
    for (int i = 0; i < 4; i++) loop_turn(fx->loop, false);
    return fence.commit.status;
}

void fx_write(struct fx_trigger *trigger, struct slice set)
{
    assert_int_equal(write_and_wait(trigger, set), STATUS_OK);
}

/* A commit of its own row: those before it are told before it. What they begin in turn may commit too. */
void fx_fence(struct fx_trigger *trigger)
{
    struct buf key = BUF_INIT, set = BUF_INIT;
    assert_int_equal(keyspace_row(&key, SLICE("fence"), SLICE("n"), NULL), STATUS_OK);
    write_set_append(&set, &(struct write_entry){WRITE_PUT, buf_view(&key), SLICE("1")});
    for (int i = 0; i < 3; i++)
        (void)write_and_wait(trigger, buf_view(&set)); /* a store that takes nothing is told, too */
    buf_fini(&key);
    buf_fini(&set);
}

bool fx_quiet(struct fx_trigger *trigger)
{
    fx_fence(trigger);
    return list_empty(&submitted);
}

const char *fx_header(const struct pool_run *run, const char *name)
{
    static char text[100];
    text[0] = 0;
    for (size_t i = 0; i < run->invoke->headers.count; i++)
        if (slice_is(run->invoke->headers.items[i].name, name))
            snprintf(text, sizeof text, "%.*s", SLICE_FMT(run->invoke->headers.items[i].value));
    return text;
}
