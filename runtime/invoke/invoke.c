/* invoke.c - the way of an invocation: remembered outcome, turn, worker, commit, gate, done. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/invoke.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/base/hash.h"
#include "runtime/invoke/asks.h"
#include "runtime/invoke/calls.h"
#include "runtime/invoke/effects.h"
#include "runtime/invoke/invocation.h"
#include "runtime/invoke/outbox.h"
#include "runtime/invoke/output_gate.h"
#include "runtime/invoke/retry.h"
#include "runtime/invoke/streams.h"
#include "runtime/invoke/usage.h"

static void invocation_over(struct invocation *invocation, enum status status);
static void lane_pump(struct invoke_partition *partition, struct lane *lane);
static void invocation_go(struct invocation *invocation);
static void invocation_send(struct invocation *invocation);

/* ---- beginning ---- */

static void ident_write(struct invoke *engine, char ident[INVOCATION_ID_CHARS + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t halves[2] = {engine->ident_high, engine->ident_low++};
    for (int i = 0; i < INVOCATION_ID_CHARS; i++)
        ident[i] = digits[halves[i / 16] >> (60 - 4 * (i % 16)) & 15];
    ident[INVOCATION_ID_CHARS] = 0;
}

static void on_timer(struct loop_timer *timer, void *ctx);
static void on_prepare(struct pool_run *run);
static void on_run_done(struct pool_run *run, enum status status, const struct wire_result *result,
                        const struct err *err);

static struct invocation *invocation_create(struct invoke *engine, struct invoke_version *version,
                                            struct invoke_function *function,
                                            const struct invoke_request *request, invoke_done_fn done,
                                            void *ctx)
{
    struct invocation *invocation = mem_alloc(sizeof *invocation);
    memset(invocation, 0, offsetof(struct invocation, run));
    invocation->engine = engine;
    invocation->partition = version->partition;
    invocation->version = version;
    invocation->function = function;
    invocation->request = *request;
    invocation->done = done;
    invocation->ctx = ctx;
    invocation->deadline_ns = loop_now_ns(engine->loop) + function->timeout_ms * NS_PER_MS;
    if (request->deadline_ns && request->deadline_ns < invocation->deadline_ns)
        invocation->deadline_ns = request->deadline_ns;
    loop_timer_init(&invocation->timer, on_timer, invocation);
    list_init(&invocation->joined);
    list_init(&invocation->calls);
    list_init(&invocation->over);
    list_init(&invocation->turn.link);
    ident_write(engine, invocation->ident);
    invoke_version_ref(version);
    function->in_flight++;
    invocation->partition->in_flight++;
    engine->stats.in_flight++;
    engine->stats.started++;
    return invocation;
}

/* What can be refused before anything is done for it. */
static enum status admit(struct invocation *invocation, struct err *err)
{
    const struct invoke_request *request = &invocation->request;
    struct invoke_function *function = invocation->function;
    if (request->entity.size > BOUND_ENTITY_BYTES_MAX)
        return err_set(err, STATUS_ENTITY_INVALID, "the entity key has %zu bytes; at most %d are allowed",
                       request->entity.size, BOUND_ENTITY_BYTES_MAX);
    if (request->entity.size > 0 && memchr(request->entity.data, 0, request->entity.size))
        return err_set(err, STATUS_ENTITY_INVALID, "the entity key has a zero byte");
    bool own_key =
        request->idempotency_key.size > 0 && *(const char *)request->idempotency_key.data == INVOKE_OWN_KEY;
    if (request->has_idempotency_key && !(own_key && request->origin != WIRE_ORIGIN_HTTP))
        TRY(idempotency_key_check(request->idempotency_key, err));
    struct admission_request wish = {
        .function = function->name,
        .in_flight = function->in_flight - 1, /* it is counted already */
        .body_bytes = request->body.size,
        .now_ns = loop_now_ns(invocation->engine->loop),
    };
    return admission_decide(&function->limits, &function->rate, &wish, &invocation->retry_after_s, err);
}

/* What it is for a call that its key was used for something else. */
static enum status mismatch_of(struct invocation *invocation)
{
    const struct invoke_request *request = &invocation->request;
    if (request->origin != WIRE_ORIGIN_CALL) return STATUS_IDEMPOTENCY_MISMATCH;
    const char *dot = memrchr(request->idempotency_key.data, '.', request->idempotency_key.size);
    size_t digits =
        (size_t)((const char *)request->idempotency_key.data + request->idempotency_key.size - dot - 1);
    return err_set(
        &invocation->err, STATUS_CALL_CHANGED,
        "call number %.*s was made in an earlier run, to another function or entity or with another payload",
        (int)digits, dot + 1);
}

/* Answers from the remembered outcome, or joins the invocation that has the same key. True when either was done. */
static bool answered_by_another(struct invocation *invocation)
{
    const struct invoke_request *request = &invocation->request;
    /* A call is the n-th of its caller, whatever function it is to. */
    bool is_call = request->origin == WIRE_ORIGIN_CALL;
    struct slice function = slice_cstr(invocation->function->name);
    invocation->remember = (struct idempotency_request){
        .function = is_call ? SLICE_EMPTY : function,
        .key = request->idempotency_key,
        .fingerprint = idempotency_fingerprint(is_call ? function : request->method, request->entity,
                                               request->query, request->body),
    };
    idempotency_record_key(&invocation->remember_key, &invocation->remember);
    struct slice key = buf_view(&invocation->remember_key);

    struct invocation *first = map_get(&invocation->partition->by_idempotency_key, key);
    if (first && first->remember.fingerprint != invocation->remember.fingerprint)
    {
        (void)err_set(&invocation->err, STATUS_IDEMPOTENCY_MISMATCH,
                      "Idempotency-Key '%.*s' is in use by a different request",
                      SLICE_FMT(request->idempotency_key)); /* below */
        invocation_over(invocation, mismatch_of(invocation));
        return true;
    }
    if (first)
    {
        list_push_back(&first->joined, &invocation->turn.link);
        return true;
    }

    struct store *store = invocation->partition->store;
    struct store_snapshot *snapshot = store_snapshot_take(store);
    enum status status =
        idempotency_find(snapshot, &invocation->remember, &invocation->result, &invocation->err);
    if (status == STATUS_OK)
    {
        output_gate_keep(invocation, &invocation->result);
        invocation->engine->stats.remembered++;
        invocation->remember.fingerprint = 0;
        /* The record may have been applied only just now: it is told when it is durable, like everything. */
        invocation->snapshot = snapshot;
        buf_fini(&invocation->remember_key);
        output_gate_wait(invocation, store_snapshot_seq(snapshot));
        return true;
    }
    store_snapshot_release(store, snapshot);
    if (status == STATUS_NOT_FOUND)
    {
        invocation->err = ERR_INIT;
        CHECK(map_put(&invocation->partition->by_idempotency_key, key, invocation) == NULL);
        return false;
    }
    buf_fini(&invocation->remember_key);
    invocation_over(invocation, status == STATUS_IDEMPOTENCY_MISMATCH ? mismatch_of(invocation) : status);
    return true;
}

static struct invocation *start(struct invoke *engine, struct invoke_version *version,
                                struct invoke_function *function, const struct invoke_request *request,
                                invoke_done_fn done, void *ctx, struct call *call)
{
    struct invocation *invocation = invocation_create(engine, version, function, request, done, ctx);
    invocation->call = call;
    enum status status = admit(invocation, &invocation->err);
    if (status != STATUS_OK)
    {
        engine->stats.refused++;
        invocation_over(invocation, status);
        return invocation;
    }
    if (request->has_idempotency_key && answered_by_another(invocation)) return invocation;
    if (request->entity.size == 0)
    {
        invocation->first = true;
        invocation_go(invocation);
        return invocation;
    }
    struct invoke_partition *partition = invocation->partition;
    invocation->lane = lanes_enter(&partition->lanes, request->entity, &invocation->turn, version);
    lane_pump(partition, invocation->lane);
    /* Still in the lane: its time runs while it waits. */
    if (invocation->attempts == 0)
        loop_timer_start_at(engine->loop, &invocation->timer, invocation->deadline_ns);
    return invocation;
}

void invoke_start(struct invoke *engine, struct invoke_version *version, struct invoke_function *function,
                  const struct invoke_request *request, invoke_done_fn done, void *ctx)
{
    (void)start(engine, version, function, request, done, ctx, NULL); /* its outcome tells */
}

struct invocation *invoke_start_call(struct invoke *engine, struct invoke_version *version,
                                     struct invoke_function *function, const struct invoke_request *request,
                                     invoke_done_fn done, struct call *call)
{
    return start(engine, version, function, request, done, call, call);
}

/* ---- its turn ---- */

/* The running chain is over: nothing of it is under way any more. */
static void chain_end(struct invoke_partition *partition, struct lane *lane)
{
    struct entity_chain *chain = lane->owner;
    if (!chain) return;
    CHECK(chain->slot_runs == 0);
    if (chain->snapshot) store_snapshot_release(partition->store, chain->snapshot);
    pool_chain_fini(&chain->pool);
    free(chain);
    lane->owner = NULL;
}

static void chain_begin(struct lane *lane)
{
    struct entity_chain *chain = mem_alloc(sizeof *chain);
    *chain = (struct entity_chain){.snapshot = NULL};
    pool_chain_init(&chain->pool);
    lane->owner = chain;
}

/* Sends all that may go; frees a lane that has become idle. */
static void lane_pump(struct invoke_partition *partition, struct lane *lane)
{
    for (;;)
    {
        struct lane_entry *entry = lane_peek(lane);
        if (entry && !slots_may_run(CONTAINER_OF(entry, struct invocation, turn))) return;
        enum lane_step step = lane_next(&partition->lanes, lane, &entry);
        if (step == LANE_NOTHING) return;
        if (step != LANE_SEND) chain_end(partition, lane);
        if (step == LANE_IDLE)
        {
            lanes_forget(&partition->lanes, lane);
            return;
        }
        struct invocation *invocation = CONTAINER_OF(entry, struct invocation, turn);
        invocation->first = step == LANE_NEW_CHAIN;
        if (invocation->first) chain_begin(lane);
        invocation->chain = lane->chain;
        loop_timer_stop(&invocation->timer);
        invocation_send(invocation);
    }
}

/* It left its lane for good: settle and go on with the next. */
static void lane_leave(struct invocation *invocation)
{
    struct lane *lane = invocation->lane;
    if (!lane) return;
    invocation->lane = NULL;
    lane_settled(lane);
    calls_pump(lane);
    streams_pump(lane);
    lane_pump(invocation->partition, lane);
}

/* The deadline of one that waits has come, or the delay of a retry is over. */
static void on_timer(struct loop_timer *timer, void *ctx)
{
    struct invocation *invocation = ctx;
    bool for_slot = slots_waits(invocation);
    struct lane *lane = invocation->lane;
    if (!lane && !for_slot)
    {
        invocation_go(invocation);
        return;
    }
    slots_give_up(invocation);
    if (lane)
    {
        list_remove(&invocation->turn.link);
        invocation->lane = NULL;
        lane_pump(invocation->partition, lane);
    }
    invocation_over(invocation, err_set(&invocation->err, STATUS_DEADLINE_EXCEEDED, "it waited %u ms for %s",
                                        invocation->function->timeout_ms,
                                        for_slot ? "others of its function, which has its `concurrency` or "
                                                   "`cpu_percent`"
                                                 : "earlier invocations of the same entity"));
}

/* One without an entity: now, or when its function has a slot. */
static void invocation_go(struct invocation *invocation)
{
    if (slots_may_run(invocation))
        invocation_send(invocation);
    else
        loop_timer_start_at(invocation->engine->loop, &invocation->timer, invocation->deadline_ns);
}

/* A slot of the function has become free. */
static void slots_serve(struct invoke *engine, struct invoke_function *function)
{
    struct invocation *next;
    while ((next = slots_next(function, loop_now_ns(engine->loop))))
    {
        if (!next->lane)
        {
            loop_timer_stop(&next->timer);
            invocation_send(next);
            continue;
        }
        /* Its lane may have come to a halt meanwhile: then it asks again when that goes on. */
        if (lane_peek(next->lane) == &next->turn)
            lane_pump(next->partition, next->lane);
        else
            slots_give_up(next);
    }
}

void invocation_on_paying(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* one of its kind */
    struct invoke *engine = ctx;
    struct list due; /* who still has to pay comes next time */
    list_init(&due);
    list_splice_back(&due, &engine->paying);
    struct list *link;
    while ((link = list_pop_front(&due)))
    {
        struct invoke_function *function = CONTAINER_OF(link, struct invoke_function, paying);
        slots_serve(engine, function);
        bool paid = admission_cpu_paid(&function->limits, &function->cpu, loop_now_ns(engine->loop));
        if (!paid && !list_empty(&function->waiting)) slots_pay(engine, function);
    }
}

/* The place where it is kept which worker had the entity last. */
static uint64_t *last_worker(const struct invocation *invocation)
{
    struct invoke_partition *partition = invocation->partition;
    if (!partition->last_workers)
        partition->last_workers = mem_zalloc(LAST_WORKERS * sizeof *partition->last_workers);
    return &partition->last_workers[hash_bytes(invocation->request.entity) % LAST_WORKERS];
}

static void invocation_send(struct invocation *invocation)
{
    const struct invoke_request *request = &invocation->request;
    uint64_t now_ns = loop_now_ns(invocation->engine->loop);
    /* One whose time is over gets a last millisecond rather than a path of its own: the pool will end it. */
    uint64_t left_ms = invocation->deadline_ns > now_ns ? (invocation->deadline_ns - now_ns) / NS_PER_MS : 0;
    if (left_ms == 0) left_ms = 1;
    invocation->attempts++;
    struct wire_invoke *frame = &invocation->frame;
    frame->ident = slice_cstr(invocation->ident);
    frame->function = slice_cstr(invocation->function->name);
    frame->entity = request->entity;
    frame->timeout_ms = (uint32_t)left_ms;
    frame->chain = invocation->chain;
    /* In one of several partitions reads are looked at too: rows of another one would seem not to exist. */
    frame->validate = !invocation->first || invocation->partition->count > 1;
    frame->follows = !invocation->first;
    frame->attempt = invocation->attempts;
    frame->origin = request->origin;
    frame->method = request->method;
    frame->path = request->path;
    frame->query = request->query;
    frame->headers.count = request->headers->count;
    memcpy(frame->headers.items, request->headers->items,
           request->headers->count * sizeof frame->headers.items[0]);
    frame->body = request->body;
    struct entity_chain *chain = invocation->lane ? invocation->lane->owner : NULL;
    invocation->run = (struct pool_run){
        .invoke = frame,
        .chain = chain ? &chain->pool : NULL,
        .worker_hint = chain ? *last_worker(invocation) : 0,
        .start_before_ns = invocation->deadline_ns,
        /* A call may wait for its worker, and may not outlast its caller for that. */
        .end_before_ns = request->deadline_ns,
        .prepare = on_prepare,
        .ask = asks_on_ask,
        .done = on_run_done,
    };
    invocation->calls_made = 0;
    invocation->calls_inside = 0;
    slots_take(invocation);
    pool_submit(invocation->version->deployment, &invocation->run);
}

/* The frame is about to be written: now, not when it was queued, is the time to choose what it reads. */
static void on_prepare(struct pool_run *run)
{
    struct invocation *invocation = CONTAINER_OF(run, struct invocation, run);
    struct store *store = invocation->partition->store;
    if (invocation->snapshot) return; /* prepared before, for a worker that died */
    struct entity_chain *chain = invocation->lane ? invocation->lane->owner : NULL;
    if (!chain)
    {
        invocation->snapshot = store_snapshot_take(store);
    }
    else
    {
        if (!chain->snapshot) chain->snapshot = store_snapshot_take(store);
        invocation->snapshot = store_snapshot_ref(chain->snapshot);
    }
    invocation->frame.snapshot = store_snapshot_seq(invocation->snapshot);
    invocation->frame.txn = store_snapshot_txn(invocation->snapshot);
    invocation->frame.meta = store_snapshot_meta(invocation->snapshot);
}

static void snapshot_drop(struct invocation *invocation)
{
    if (invocation->snapshot) store_snapshot_release(invocation->partition->store, invocation->snapshot);
    invocation->snapshot = NULL;
}

/* It has to run again, later: with its chain when it has a lane, else after a delay. */
static void invocation_again(struct invocation *invocation, uint32_t delay_ms)
{
    snapshot_drop(invocation);
    if (invocation->lane)
    {
        lane_return(invocation->lane, &invocation->turn);
        calls_pump(invocation->lane);
        streams_pump(invocation->lane);
        loop_timer_start_at(invocation->engine->loop, &invocation->timer, invocation->deadline_ns);
        lane_pump(invocation->partition, invocation->lane);
    }
    else
    {
        loop_timer_start(invocation->engine->loop, &invocation->timer, delay_ms, 0);
    }
}

/* ---- its effects ---- */

static void on_applied(struct store_commit *commit);

/* What it has to keep beside its rows. */
static bool has_sends(struct invocation *invocation)
{
    struct slice effects = invocation->result.effects;
    buf_reset(&invocation->outbox_set);
    return effects.size > 0 &&
           outbox_write_set(effects, clock_wall_ms(invocation->engine->clock),
                            &invocation->partition->outbox_number, &invocation->outbox_set) > 0;
}

static void invocation_commit(struct invocation *invocation)
{
    bool ok = invocation->status == STATUS_OK;
    if (ok) (void)has_sends(invocation); /* their set tells */
    buf_reset(&invocation->append_set);
    if (ok)
        appends_write_set(&invocation->append_list, clock_wall_ms(invocation->engine->clock),
                          &invocation->append_set);
    /* A call that only read may be read again: nothing has to be kept for a caller that repeats it. */
    bool acts = invocation->result.writes.size > 0 || invocation->result.effects.size > 0 ||
                invocation->request.origin != WIRE_ORIGIN_CALL;
    if (ok && acts && invocation->remember_key.size > 0)
    {
        buf_reset(&invocation->remember_set);
        idempotency_write_set(&invocation->remember_set, &invocation->remember, &invocation->result,
                              clock_wall_ms(invocation->engine->clock));
    }
    struct slice writes = ok ? invocation->result.writes : SLICE_EMPTY;
    struct slice outcome = ok ? buf_view(&invocation->remember_set) : SLICE_EMPTY;
    struct slice sends = ok ? buf_view(&invocation->outbox_set) : SLICE_EMPTY;
    struct slice appends = buf_view(&invocation->append_set);
    struct slice settle = ok ? invocation->request.settle : SLICE_EMPTY;
    bool acts_on_reads = writes.size > 0 || sends.size > 0 || appends.size > 0;
    bool pure_read = !acts_on_reads && outcome.size == 0 && settle.size == 0;
    usage_outcome(invocation, writes, ok ? invocation->result.effects : SLICE_EMPTY);
    if (invocation->first && pure_read)
    {
        /* It saw one exact snapshot and changes nothing: it stands where that snapshot stands. */
        uint64_t seq = store_snapshot_seq(invocation->snapshot);
        lane_leave(invocation);
        output_gate_wait(invocation, seq);
        return;
    }
    buf_reset(&invocation->meter_set);
    if (!pure_read)
        metering_write_set(invocation->partition->metering, slice_cstr(invocation->function->name),
                           &invocation->meter_set);
    invocation->commit = (struct store_commit){
        .snapshot = store_snapshot_seq(invocation->snapshot),
        .chain = invocation->chain,
        .reads = !acts_on_reads && invocation->first ? SLICE_EMPTY : invocation->result.reads,
        .writes = {writes, outcome, buf_view(&invocation->meter_set), sends,
                   invocation->engine->unsettled ? SLICE_EMPTY : settle, appends},
        .relaxed = invocation->function->relaxed,
        .applied = on_applied,
        .durable = output_gate_on_durable,
    };
    invocation->committing = true;
    invocation->partition->appends.pending += appends.size > 0;
    partition_submit(invocation->partition, &invocation->commit);
}

/* What the app may keep and send. */
static enum status limits_check(const struct invocation *invocation, struct err *err)
{
    const struct wire_result *result = &invocation->result;
    TRY(admission_reply(&invocation->function->limits, invocation->function->name, result->body.size, err));
    uint64_t bytes_max = invocation->version->state_bytes_max;
    if (bytes_max == 0 || (result->writes.size == 0 && appends_count(&invocation->append_list) == 0))
        return STATUS_OK;
    uint64_t used_bytes = store_used_bytes(invocation->partition->store);
    if (appends_count(&invocation->append_list)) TRY(admission_append(bytes_max, used_bytes, err));
    return admission_writes(bytes_max, used_bytes, result->writes, err);
}

static void run_over(struct invocation *invocation, enum status status, const struct wire_result *result,
                     const struct err *err)
{
    /* The worker of its chain died before it began, or has given up the writes of its chain: it has not run. */
    bool chain_lost =
        status == STATUS_OK && result->outcome == WIRE_OUTCOME_STATUS && result->status == STATUS_CONFLICT;
    uint32_t
        delay_ms; /* counted like a conflict, so that a worker that says so for ever is not believed for ever */
    if ((status == STATUS_CONFLICT || chain_lost) &&
        retry_conflict(++invocation->conflicts, &invocation->engine->prng, &delay_ms))
    {
        invocation->attempts--;
        invocation_again(invocation, delay_ms);
        return;
    }
    if (status == STATUS_OK && invocation->lane && invocation->lane->broken && !invocation->streamed)
    {
        /* An earlier one of its chain was not committed: what this one saw has never been. */
        invocation_again(invocation, 0);
        return;
    }
    if (status == STATUS_OK)
    {
        usage_run(invocation, result);
        usage_called(invocation, result->called);
        output_gate_keep(invocation, result);
        struct effects_place place = {
            .index = invocation->partition->index,
            .count = invocation->partition->count,
            .version = invocation->version,
        };
        status = effects_check(&place, &invocation->result, &invocation->err);
        if (status == STATUS_OK)
            status = appends_prepare(&invocation->partition->appends, invocation->result.effects,
                                     &invocation->append_list, &invocation->err);
        if (status == STATUS_OK) status = limits_check(invocation, &invocation->err);
        if (status == STATUS_OK)
        {
            if (result->outcome != WIRE_OUTCOME_OK)
                invocation->status =
                    err_set(&invocation->err,
                            result->outcome == WIRE_OUTCOME_STATUS ? result->status : STATUS_FUNCTION_ERROR,
                            "%.*s", SLICE_FMT(result->failure));
            invocation_commit(invocation);
            return;
        }
    }
    else
    {
        invocation->err = *err;
    }
    invocation->status = status;
    usage_outcome(invocation, SLICE_EMPTY, SLICE_EMPTY);
    if (invocation->lane) lane_break(invocation->lane);
    lane_leave(invocation);
    invocation_over(invocation, status);
}

/* ---- its end ---- */

/* Of a worker that died nothing is known but how long it had its run. */
static void cpu_used(struct invocation *invocation, const struct wire_result *result)
{
    const struct pool_run *run = &invocation->run;
    uint64_t used_us = 0;
    if (result)
        used_us = result->cpu_us;
    else if (run->worker && run->began_ns)
        used_us = (loop_now_ns(invocation->engine->loop) - run->began_ns) / NS_PER_US;
    admission_cpu_end(&invocation->function->limits, &invocation->function->cpu, invocation->cpu_taken_us,
                      used_us < UINT32_MAX ? (uint32_t)used_us : UINT32_MAX);
    invocation->cpu_taken_us = 0;
}

static void on_run_done(struct pool_run *run, enum status status, const struct wire_result *result,
                        const struct err *err)
{
    struct invocation *invocation = CONTAINER_OF(run, struct invocation, run);
    /* Others go after this one has found its place: it may have to go back to the front of its lane. */
    struct invoke_function *freed = slots_drop(invocation);
    struct invoke *engine = invocation->engine;
    cpu_used(invocation, result);
    if (result && run->chain) *last_worker(invocation) = run->worker;
    asks_over(invocation);
    invocation->cold |= run->cold;
    run_over(invocation, status, result, err);
    if (freed) slots_serve(engine, freed);
}

static void on_conflict(struct invocation *invocation)
{
    invocation->engine->stats.conflicts++;
    if (invocation->streamed)
    {
        if (invocation->lane) lane_break(invocation->lane);
        lane_leave(invocation);
        invocation_over(invocation, err_set(&invocation->err, STATUS_CONFLICT,
                                            "what it had read was changed, and the beginning of its reply "
                                            "has left: it is not run again"));
        return;
    }
    usage_repeat(invocation);
    uint32_t delay_ms = 0;
    /* One that failed because an earlier one of its chain did is not to blame for it. */
    bool own = !invocation->lane || !invocation->lane->broken;
    if (own && !retry_conflict(++invocation->conflicts, &invocation->engine->prng, &delay_ms))
    {
        if (invocation->lane) lane_break(invocation->lane);
        lane_leave(invocation);
        invocation_over(invocation, err_set(&invocation->err, STATUS_CONFLICT,
                                            "it ran %u times and each time what it had read was changed",
                                            invocation->attempts));
        return;
    }
    invocation->status = STATUS_OK;
    invocation->err = ERR_INIT;
    invocation_again(invocation, delay_ms);
}

/* Tests only: that it is done is noted too late, and a crash in between must be seen. */
struct late_settle {
    struct store_commit commit;
    struct buf set;
};

static void on_late_settle(struct store_commit *commit)
{
    struct late_settle *late = CONTAINER_OF(commit, struct late_settle, commit);
    buf_fini(&late->set);
    free(late);
}

static void on_late_settle_applied(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_late_settle(commit);
}

static void settle_late(struct invocation *invocation)
{
    struct late_settle *late = mem_zalloc(sizeof *late);
    buf_append(&late->set, invocation->request.settle);
    late->commit = (struct store_commit){
        .writes = {buf_view(&late->set)}, .applied = on_late_settle_applied, .durable = on_late_settle};
    partition_submit(invocation->partition, &late->commit);
}

static void on_applied(struct store_commit *commit)
{
    struct invocation *invocation = CONTAINER_OF(commit, struct invocation, commit);
    invocation->committing = commit->status == STATUS_OK;
    if (commit->status != STATUS_OK)
        invocation->partition->appends.pending -= invocation->append_set.size > 0;
    if (commit->status == STATUS_CONFLICT)
    {
        on_conflict(invocation);
        return;
    }
    snapshot_drop(invocation);
    if (commit->status != STATUS_OK)
    {
        if (invocation->lane) lane_break(invocation->lane);
        lane_leave(invocation);
        invocation->err = commit->err;
        invocation_over(invocation, commit->status);
        return;
    }
    lane_leave(invocation);
    bool settles = invocation->status == STATUS_OK && invocation->request.settle.size > 0;
    if (settles && invocation->engine->unsettled) settle_late(invocation);
    if (invocation->function->relaxed) output_gate_tell(invocation);
}

static void invocation_over(struct invocation *invocation, enum status status)
{
    invocation->status = status;
    snapshot_drop(invocation);
    list_push_back(&invocation->engine->over, &invocation->over);
    loop_want(invocation->engine->loop, PHASE_REPLY);
}
