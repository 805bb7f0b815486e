/* calls.c - from a wish to an invocation, from its outcome to the answer; and who waits for whom. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/calls.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/invoke/invocation.h"
#include "statestore/kv/keyspace.h"

enum {
    MARGIN_MS_MAX = 20, /* what a caller has left to answer with when its call runs into the deadline */
    SEARCH_STEPS_MAX = 10000, /* of who waits for whom; more are taken for no cycle: the deadline ends it */
};

/* One call under way. */
struct call {
    struct list link; /* of its caller's calls */
    struct invocation *caller; /* NULL: its run is over */
    struct invocation *callee; /* NULL: held back, or refused */
    uint32_t ask;
    bool held;
    struct invoke_request request;
    struct wire_headers headers; /* none */
    struct invoke_version *version;
    struct invoke_function *function;
    struct slice function_name;
    char bytes[]; /* key, function name, entity and body */
};

/* ---- answers ---- */

static void answer_failure(struct invocation *caller, uint32_t ask, enum status status, const char *words)
{
    pool_answer(&caller->run, &(struct wire_answer){
                                  .ask = ask,
                                  .status = status,
                                  .failure = slice_cstr(words),
                                  .http_status = (uint32_t)status_http(status),
                              });
}

static void call_end(struct call *call)
{
    list_remove(&call->link);
    free(call);
}

static void on_outcome(void *ctx, const struct outcome *outcome)
{
    struct call *call = ctx;
    if (!call->caller)
    {
        free(call);
        return;
    }
    struct wire_answer answer = {
        .ask = call->ask,
        .status = outcome->status,
        .http_status = outcome->http_status,
    };
    if (outcome->status != STATUS_OK)
    {
        answer.failure = slice_cstr(outcome->message);
        if (answer.http_status == 0) answer.http_status = (uint32_t)status_http(outcome->status);
    }
    else
    {
        answer.body = outcome->body;
        for (size_t i = 0; i < outcome->headers->count; i++)
            if (slice_is(outcome->headers->items[i].name, "content-type"))
                answer.type = outcome->headers->items[i].value;
    }
    pool_answer(&call->caller->run, &answer);
    call_end(call);
}

/* ---- who waits for whom ---- */

/* The one that runs in the lane of this entity and waits for answers; NULL: none, so that the lane will move. */
static struct invocation *asking_in(struct lane *lane)
{
    struct entity_chain *chain = lane ? lane->owner : NULL;
    return chain ? chain->asking : NULL;
}

static struct invocation *caller_of(const struct invocation *invocation)
{
    return invocation->call ? invocation->call->caller : NULL;
}

static bool is_above(const struct invocation *invocation, const struct invocation *caller)
{
    for (; caller; caller = caller_of(caller))
        if (caller == invocation) return true;
    return false;
}

/* Does `invocation` wait, by its calls, for `caller` or for one that waits for `caller`? */
static bool waits_for(const struct invocation *invocation, const struct invocation *caller, int *steps)
{
    if (!invocation || ++*steps > SEARCH_STEPS_MAX) return false;
    if (is_above(invocation, caller)) return true;
    for (struct list *link = invocation->calls.next; link != &invocation->calls; link = link->next)
    {
        const struct invocation *callee = CONTAINER_OF(link, struct call, link)->callee;
        if (!callee || callee->committing) continue; /* the disk ends that */
        /* In a lane it is the one that asks, or waits behind it: in the lane itself or in the link of its worker. */
        if (waits_for(callee->lane ? asking_in(callee->lane) : callee, caller, steps)) return true;
    }
    return false;
}

static void place_print(struct buf *out, struct slice function, struct slice entity)
{
    buf_append(out, function);
    buf_printf(out, entity.size ? "/%.*s" : "", SLICE_FMT(entity));
}

static void chain_print(struct buf *out, const struct invocation *caller)
{
    if (caller_of(caller)) chain_print(out, caller_of(caller));
    place_print(out, slice_cstr(caller->function->name), caller->request.entity);
    buf_append_cstr(out, " -> ");
}

/* Words for the chain of calls that would never end. */
static enum status refuse(const struct call *call, enum status status, const char *why, struct err *err)
{
    struct buf text = BUF_INIT;
    chain_print(&text, call->caller);
    place_print(&text, call->function_name, call->request.entity);
    (void)err_set(err, status, "%s: %s", buf_cstr(&text), why);
    buf_fini(&text);
    return status;
}

static uint32_t depth_of(const struct invocation *caller)
{
    uint32_t depth = 1;
    while ((caller = caller_of(caller))) depth++;
    return depth;
}

static enum status check_cycle(const struct call *call, struct err *err)
{
    const struct invocation *caller = call->caller;
    if (depth_of(caller) > BOUND_CALL_DEPTH_MAX)
        return refuse(call, STATUS_CALL_TOO_DEEP, "at most 16 calls may wait for one another", err);
    for (const struct invocation *above = caller; above; above = caller_of(above))
    {
        bool full = call->function->limits.running_max &&
                    call->function->running >= call->function->limits.running_max;
        if (full && above->function == call->function && above->slot != SLOT_NONE)
            return refuse(call, STATUS_CALL_CYCLE,
                          "the last one waits for the `concurrency` of a function that waits for it", err);
    }
    struct slice entity = call->request.entity;
    if (entity.size == 0) return STATUS_OK;
    struct lane *lane = map_get(&call->version->partition->lanes.by_key, entity);
    int steps = 0;
    if (waits_for(asking_in(lane), caller, &steps))
        return refuse(call, STATUS_CALL_CYCLE,
                      "the last one's entity is busy with an invocation that waits for it", err);
    return STATUS_OK;
}

/* ---- the call ---- */

/* The caller's part of the key of its calls: the same in every run of what is the same to the outside. */
static void base_print(struct buf *out, const struct invocation *caller)
{
    const struct invoke_request *request = &caller->request;
    if (request->origin == WIRE_ORIGIN_CALL)
        buf_append(out, slice_make((const char *)request->idempotency_key.data + 1,
                                   request->idempotency_key.size - 1));
    else if (request->has_idempotency_key)
        buf_printf(out, "%s/%.*s", caller->function->name, SLICE_FMT(request->idempotency_key));
    else
        buf_append_cstr(out, caller->ident);
}

static struct slice keep(char **place, struct slice bytes)
{
    struct slice kept = slice_make(*place, bytes.size);
    if (bytes.size) memcpy(*place, bytes.data, bytes.size);
    *place += bytes.size;
    return kept;
}

static struct call *call_create(struct invocation *caller, const struct wire_ask *ask)
{
    struct buf key = BUF_INIT;
    buf_append_byte(&key, INVOKE_OWN_KEY);
    base_print(&key, caller);
    buf_printf(&key, ".%u", ++caller->calls_made);
    struct call *call = mem_alloc(sizeof *call + key.size + ask->name.size + ask->key.size + ask->body.size);
    memset(call, 0, offsetof(struct call, headers));
    call->headers.count = 0;
    call->caller = caller;
    call->ask = ask->ask;
    char *place = call->bytes;
    struct slice kept_key = keep(&place, buf_view(&key));
    call->function_name = keep(&place, ask->name);
    call->request = (struct invoke_request){
        .origin = WIRE_ORIGIN_CALL,
        .entity = keep(&place, ask->key),
        .headers = &call->headers,
        .body = keep(&place, ask->body),
        .has_idempotency_key = true,
        .idempotency_key = kept_key,
    };
    buf_fini(&key);
    uint64_t left_ns = caller->deadline_ns - loop_now_ns(caller->engine->loop);
    if (caller->deadline_ns < loop_now_ns(caller->engine->loop)) left_ns = 0;
    uint64_t margin_ns = left_ns / 8 < MARGIN_MS_MAX * NS_PER_MS ? left_ns / 8 : MARGIN_MS_MAX * NS_PER_MS;
    call->request.deadline_ns = caller->deadline_ns - margin_ns;
    list_push_back(&caller->calls, &call->link);
    return call;
}

static enum status find_function(struct call *call, struct err *err)
{
    struct invocation *caller = call->caller;
    uint32_t index = keyspace_partition(call->request.entity, caller->partition->count);
    call->version = invoke_version_part(caller->version, index);
    call->function = invoke_version_function(call->version, call->function_name);
    if (call->function) return STATUS_OK;
    return err_set(err, STATUS_FUNCTION_NOT_FOUND, "version %s of app '%s' has no function '%.*s'",
                   caller->version->id ? caller->version->id : "", caller->version->app,
                   SLICE_FMT(call->function_name));
}

static void call_start(struct call *call)
{
    call->held = false;
    struct err err = ERR_INIT;
    enum status status = check_cycle(call, &err);
    if (status != STATUS_OK)
    {
        answer_failure(call->caller, call->ask, status, err_text(&err));
        call_end(call);
        return;
    }
    call->callee = invoke_start_call(call->caller->engine, call->version, call->function, &call->request,
                                     on_outcome, call);
}

/* Is it alone in its lane, with everything before it committed? */
static bool may_call(const struct invocation *caller)
{
    return caller->first || !caller->lane || (caller->lane->sent == 1 && !caller->lane->broken);
}

void calls_ask(struct invocation *caller, const struct wire_ask *ask)
{
    struct call *call = call_create(caller, ask);
    struct err err = ERR_INIT;
    if (find_function(call, &err) != STATUS_OK)
    {
        answer_failure(caller, ask->ask, err.status, err_text(&err));
        call_end(call);
        return;
    }
    struct entity_chain *chain = caller->lane ? caller->lane->owner : NULL;
    if (chain) chain->asking = caller;
    call->held = !may_call(caller);
    if (!call->held)
        call_start(call);
    else if (caller->lane->broken)
        calls_pump(caller->lane);
}

void calls_pump(struct lane *lane)
{
    struct invocation *caller = asking_in(lane);
    if (!caller) return;
    for (struct list *link = caller->calls.next, *next; link != &caller->calls; link = next)
    {
        next = link->next;
        struct call *call = CONTAINER_OF(link, struct call, link);
        if (!call->held) continue;
        if (lane->broken)
        {
            /* What it saw has never been: it will run again. */
            answer_failure(caller, call->ask, STATUS_CONFLICT,
                           "an earlier invocation of the entity was not committed");
            call_end(call);
        }
        else if (may_call(caller))
            call_start(call);
    }
}

void calls_abandon(struct invocation *caller)
{
    struct list *link;
    while ((link = list_pop_front(&caller->calls)))
    {
        struct call *call = CONTAINER_OF(link, struct call, link);
        call->caller = NULL;
        if (!call->callee) free(call);
    }
    struct entity_chain *chain = caller->lane ? caller->lane->owner : NULL;
    if (chain && chain->asking == caller) chain->asking = NULL;
}
