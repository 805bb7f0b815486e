/* output_gate.c - keeping, waiting, telling. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/output_gate.h"

#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/invoke/invocation.h"

static struct slice keep(uint8_t **place, struct slice from)
{
    struct slice kept = slice_make(*place, from.size);
    if (from.size) memcpy(*place, from.data, from.size);
    *place += from.size;
    return kept;
}

void output_gate_keep(struct invocation *invocation, const struct wire_result *result)
{
    size_t bytes = result->body.size + result->reads.size + result->writes.size + result->effects.size +
                   result->called.size + result->failure.size;
    for (size_t i = 0; i < result->headers.count; i++)
        bytes += result->headers.items[i].name.size + result->headers.items[i].value.size;
    buf_reset(&invocation->effects);
    uint8_t *place = buf_reserve(&invocation->effects, bytes);
    struct wire_result *kept = &invocation->result;
    struct wire_headers headers;
    headers.count = result->headers.count;
    for (size_t i = 0; i < headers.count; i++)
    {
        headers.items[i].name = keep(&place, result->headers.items[i].name);
        headers.items[i].value = keep(&place, result->headers.items[i].value);
    }
    struct slice body = keep(&place, result->body);
    struct slice reads = keep(&place, result->reads);
    struct slice writes = keep(&place, result->writes);
    struct slice effects = keep(&place, result->effects);
    struct slice called = keep(&place, result->called);
    struct slice failure = keep(&place, result->failure);
    kept->outcome = result->outcome;
    kept->status = result->status;
    kept->http_status = result->http_status;
    kept->headers.count = headers.count;
    memcpy(kept->headers.items, headers.items, headers.count * sizeof headers.items[0]);
    kept->body = body;
    kept->reads = reads;
    kept->writes = writes;
    kept->effects = effects;
    kept->called = called;
    kept->failure = failure;
}

static void snapshot_drop(struct invocation *invocation)
{
    if (invocation->snapshot) store_snapshot_release(invocation->partition->store, invocation->snapshot);
    invocation->snapshot = NULL;
}

static void on_waited(struct store_waiter *waiter)
{
    struct invocation *invocation = CONTAINER_OF(waiter, struct invocation, waiter);
    if (waiter->status != STATUS_OK && invocation->status == STATUS_OK)
        invocation->status =
            err_set(&invocation->err, waiter->status, "what it read could not be made durable");
    output_gate_tell(invocation);
}

void output_gate_wait(struct invocation *invocation, uint64_t seq)
{
    snapshot_drop(invocation);
    invocation->waiter = (struct store_waiter){.seq = seq, .durable = on_waited};
    if (invocation->function->relaxed ||
        store_wait_durable(invocation->partition->store, &invocation->waiter))
    {
        list_push_back(&invocation->engine->over, &invocation->over);
        loop_want(invocation->engine->loop, PHASE_REPLY);
    }
}

static void invocation_free(struct invocation *invocation)
{
    CHECK(invocation->told && !invocation->snapshot && !invocation->lane);
    invocation->partition->in_flight--;
    invocation->function->in_flight--;
    invocation->engine->stats.in_flight--;
    invoke_version_unref(invocation->version);
    loop_timer_stop(&invocation->timer);
    buf_fini(&invocation->effects);
    buf_fini(&invocation->remember_key);
    buf_fini(&invocation->remember_set);
    buf_fini(&invocation->meter_set);
    buf_fini(&invocation->outbox_set);
    buf_fini(&invocation->append_set);
    buf_fini(&invocation->append_list);
    free(invocation);
}

void output_gate_on_durable(struct store_commit *commit)
{
    struct invocation *invocation = CONTAINER_OF(commit, struct invocation, commit);
    invocation->committing = false;
    struct invoke_partition *partition = invocation->partition;
    bool appended = invocation->append_set.size > 0;
    partition->appends.pending -= appended;
    if (appended && commit->status == STATUS_OK)
        appends_told(partition, appends_count(&invocation->append_list));
    if (invocation->told)
    {
        invocation_free(invocation);
        return;
    }
    if (commit->status != STATUS_OK)
    {
        invocation->status = commit->status;
        invocation->err = commit->err;
    }
    output_gate_tell(invocation);
}

/* The status that the handler chose for its error; 0 when it chose none or the failure is not its own. */
static uint32_t http_of_failure(const struct invocation *invocation)
{
    bool own = invocation->status == STATUS_FUNCTION_ERROR && invocation->result.http_status >= 400;
    return own ? invocation->result.http_status : 0;
}

static void tell_one(struct invocation *invocation, const struct invocation *source, bool remembered)
{
    struct outcome outcome = {
        .status = source->status,
        .message = err_text(&source->err),
        .ident = source->ident,
        .remembered = remembered,
        .http_status = source->status == STATUS_OK ? source->result.http_status : http_of_failure(source),
        .retry_after_s = source->retry_after_s,
        .headers = &source->result.headers,
        .body = source->result.body,
    };
    invocation->told = true;
    invocation->done(invocation->ctx, &outcome);
}

/* Nothing that it says may be heard by anybody before this. */
static void release_messages(struct invocation *invocation)
{
    const struct invoke_ports *ports = &invocation->engine->ports;
    struct wire_effect effect;
    bool found, sent = false;
    for (size_t offset = 0;
         wire_effect_next(invocation->result.effects, &offset, &effect, &found, NULL) == STATUS_OK && found;)
    {
        sent |= effect.kind == WIRE_EFFECT_SEND;
        bool message = effect.kind == WIRE_EFFECT_PUBLISH || effect.kind == WIRE_EFFECT_PUSH;
        if (message && ports->release) ports->release(ports->ctx, invocation, &effect);
    }
    if (sent && ports->sent) ports->sent(ports->ctx, invocation->partition);
}

void output_gate_tell(struct invocation *invocation)
{
    CHECK(!invocation->told);
    struct invoke_stats *stats = &invocation->engine->stats;
    bool did = invocation->status == STATUS_OK && invocation->attempts > 0;
    if (did && invocation->result.effects.size > 0) release_messages(invocation);
    if (invocation->status == STATUS_OK)
        stats->succeeded++;
    else
        stats->failed++;

    struct slice key = buf_view(&invocation->remember_key);
    if (key.size > 0 && map_get(&invocation->partition->by_idempotency_key, key) == invocation)
        (void)map_remove(&invocation->partition->by_idempotency_key, key);
    bool remembered = invocation->request.has_idempotency_key && key.size == 0 && invocation->attempts == 0;
    struct list *link;
    while ((link = list_pop_front(&invocation->joined)))
    {
        struct invocation *joined = CONTAINER_OF(link, struct invocation, turn.link);
        tell_one(joined, invocation, invocation->status == STATUS_OK);
        invocation_free(joined);
    }
    tell_one(invocation, invocation, remembered && invocation->status == STATUS_OK);
    if (!invocation->committing) invocation_free(invocation);
}
