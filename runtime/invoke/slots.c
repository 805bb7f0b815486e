/* slots.c - counting, waiting, handing on. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/slots.h"

#include "runtime/base/check.h"
#include "runtime/invoke/invocation.h"

enum { PAYING_LOOK_MS = 5 }; /* until it is asked again whether what was used has been paid */

static struct entity_chain *chain_of(const struct invocation *invocation)
{
    return invocation->lane ? invocation->lane->owner : NULL;
}

static bool limited(const struct invoke_function *function)
{
    return function->limits.running_max > 0 || function->limits.cpu_percent > 0;
}

static bool has_slot(const struct invoke_function *function)
{
    return function->limits.running_max == 0 || function->running < function->limits.running_max;
}

/* The chain that it is about to join holds a slot of its function. */
static bool shares(const struct invocation *invocation)
{
    const struct entity_chain *chain = chain_of(invocation);
    return chain && chain->slot_runs > 0 && chain->slot_function == invocation->function;
}

void slots_pay(struct invoke *engine, struct invoke_function *function)
{
    if (list_empty(&function->paying)) list_push_back(&engine->paying, &function->paying);
    if (!loop_timer_started(&engine->paying_timer))
        loop_timer_start(engine->loop, &engine->paying_timer, PAYING_LOOK_MS, 0);
}

bool slots_may_run(struct invocation *invocation)
{
    struct invoke_function *function = invocation->function;
    if (!limited(function) || invocation->slot == SLOT_GRANTED) return true;
    struct invoke *engine = invocation->engine;
    bool paid = admission_cpu_paid(&function->limits, &function->cpu, loop_now_ns(engine->loop));
    if (!paid) slots_pay(engine, function);
    if (paid && shares(invocation))
    {
        slots_give_up(invocation);
        return true;
    }
    if (invocation->slot == SLOT_WAITING) return false;
    if (paid && has_slot(function) && list_empty(&function->waiting)) return true;
    invocation->slot = SLOT_WAITING;
    list_push_back(&function->waiting, &invocation->slot_link);
    return false;
}

void slots_take(struct invocation *invocation)
{
    struct invoke_function *function = invocation->function;
    if (!limited(function)) return;
    CHECK(invocation->slot == SLOT_NONE || invocation->slot == SLOT_GRANTED);
    struct entity_chain *chain = chain_of(invocation);
    invocation->cpu_taken_us =
        admission_cpu_begin(&function->limits, &function->cpu, loop_now_ns(invocation->engine->loop));
    invocation->slot = SLOT_OWN;
    if (chain && (chain->slot_runs == 0 || chain->slot_function == function))
    {
        invocation->slot = SLOT_OF_CHAIN;
        chain->slot_function = function;
        if (chain->slot_runs++ > 0) return;
    }
    function->running++;
}

struct invoke_function *slots_drop(struct invocation *invocation)
{
    enum slot slot = invocation->slot;
    if (slot == SLOT_NONE) return NULL;
    CHECK(slot == SLOT_OWN || slot == SLOT_OF_CHAIN);
    invocation->slot = SLOT_NONE;
    if (slot == SLOT_OF_CHAIN && --chain_of(invocation)->slot_runs > 0) return NULL;
    CHECK(invocation->function->running > 0);
    invocation->function->running--;
    return invocation->function;
}

struct invocation *slots_next(struct invoke_function *function, uint64_t now_ns)
{
    if (!has_slot(function) || !admission_cpu_paid(&function->limits, &function->cpu, now_ns)) return NULL;
    struct list *link = list_pop_front(&function->waiting);
    if (!link) return NULL;
    struct invocation *invocation = CONTAINER_OF(link, struct invocation, slot_link);
    invocation->slot = SLOT_GRANTED;
    return invocation;
}

bool slots_waits(const struct invocation *invocation)
{
    return invocation->slot == SLOT_WAITING;
}

void slots_give_up(struct invocation *invocation)
{
    if (invocation->slot == SLOT_WAITING) list_remove(&invocation->slot_link);
    if (invocation->slot == SLOT_WAITING || invocation->slot == SLOT_GRANTED) invocation->slot = SLOT_NONE;
}
