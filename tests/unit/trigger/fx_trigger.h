/* fx_trigger.h - functions that something starts, over the engine of fx_invoke.h, by a router that the test plays. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/clock.h"
#include "runtime/router/router.h"
#include "statestore/kv/kv.h"
#include "tests/unit/invoke/fx_invoke.h"

/* Hands invocations to the engine, refuses them, or keeps them for the test. */
struct router {
    struct fixture *fx;
    enum status refusal; /* OK: none */
    bool keeps; /* the test ends them, by fx_kept_end(); at most one at a time */
    invoke_done_fn kept; /* NULL: none */
    void *kept_ctx;
    bool keyed; /* the last invocation had an Idempotency-Key */
    uint32_t asked;
};

struct fx_trigger {
    struct fixture *fx;
    struct clock_manual clock;
    struct store_fault fault;
    struct router router;
};

/* An engine whose time stands still, partition `index` of `count`. Its function is "add" of app "shop". */
void fx_trigger_init(struct fx_trigger *trigger, uint32_t index, uint32_t count);
/* After the part under test was closed. */
void fx_trigger_fini(struct fx_trigger *trigger);

void fx_advance_ms(struct fx_trigger *trigger, uint64_t ms);
/* The next run, waited for. */
struct pool_run *fx_run(struct fx_trigger *trigger);
/* Ends a run as a success that changes nothing, or as an error with words. */
void fx_succeed(struct pool_run *run);
void fx_fail(struct pool_run *run, const char *words);
void fx_kept_end(struct fx_trigger *trigger, enum status status);
/* All that was begun so far is done, durable and told; what waits for time waits on. */
void fx_fence(struct fx_trigger *trigger);
/* Nothing was submitted to the pool. */
bool fx_quiet(struct fx_trigger *trigger);
/* The value of a header, or "". */
const char *fx_header(const struct pool_run *run, const char *name);
/* Commits a write set by itself. */
void fx_write(struct fx_trigger *trigger, struct slice set);
