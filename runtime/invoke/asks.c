/* asks.c - each wish goes to who has it: calls, the stream of its reply, the ports. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/asks.h"

#include <string.h>

#include "runtime/invoke/calls.h"
#include "runtime/invoke/invocation.h"
#include "runtime/invoke/streams.h"

void asks_on_ask(struct pool_run *run, const struct wire_ask *ask)
{
    struct invocation *invocation = CONTAINER_OF(run, struct invocation, run);
    const struct invoke_ports *ports = &invocation->engine->ports;
    if (ask->kind == WIRE_ASK_CALL)
    {
        calls_ask(invocation, ask);
        return;
    }
    if (ask->kind == WIRE_ASK_STREAM)
    {
        streams_ask(invocation, ask);
        return;
    }
    invocation->asked = ports->ask != NULL;
    invocation->published += ask->kind == WIRE_ASK_PUBLISH;
    if (ports->ask)
        ports->ask(ports->ctx, invocation, ask);
    else if (ask->kind != WIRE_ASK_PUBLISH)
        pool_answer(run, &(struct wire_answer){.ask = ask->ask,
                                               .status = STATUS_UNSUPPORTED,
                                               .failure = SLICE("this node has no channels")});
}

void asks_over(struct invocation *invocation)
{
    streams_over(invocation);
    calls_abandon(invocation);
    const struct invoke_ports *ports = &invocation->engine->ports;
    if (invocation->asked && ports->ask_over) ports->ask_over(ports->ctx, invocation);
    invocation->asked = false;
    memset(invocation->places, 0, sizeof invocation->places);
}

struct invoke_version *invocation_version(const struct invocation *invocation)
{
    return invocation->version;
}

const struct invoke_request *invocation_request(const struct invocation *invocation)
{
    return &invocation->request;
}

const char *invocation_ident(const struct invocation *invocation)
{
    return invocation->ident;
}

void **invocation_asked(struct invocation *invocation, enum invocation_place place)
{
    return &invocation->places[place];
}

void invocation_answer(struct invocation *invocation, const struct wire_answer *answer)
{
    pool_answer(&invocation->run, answer);
}
