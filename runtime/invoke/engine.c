/* engine.c - the engine, its partitions and the versions that run on them: what invocations live in. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/invoke/invocation.h"
#include "runtime/invoke/output_gate.h"

/* ---- the engine ---- */

/* Outcomes are told after the turn's callbacks and before the answers are written: never inside invoke_start(). */
static void tell_hook(void *ctx)
{
    struct invoke *engine = ctx;
    struct list *link;
    appends_hear(engine);
    while ((link = list_pop_front(&engine->over)))
        output_gate_tell(CONTAINER_OF(link, struct invocation, over));
}

/* What a turn brought goes to the committer at once: as one batch, with one wake. */
static void push_hook(void *ctx)
{
    struct invoke *engine = ctx;
    struct list *link;
    while ((link = list_pop_front(&engine->pushing)))
        store_push(CONTAINER_OF(link, struct invoke_partition, pushing)->store);
}

void partition_submit(struct invoke_partition *partition, struct store_commit *commit)
{
    store_submit(partition->store, commit);
    if (!list_empty(&partition->pushing)) return;
    list_push_back(&partition->engine->pushing, &partition->pushing);
    loop_want(partition->engine->loop, PHASE_COMMIT);
}

struct invoke *invoke_create(const struct invoke_config *config)
{
    struct invoke *engine = mem_zalloc(sizeof *engine);
    engine->loop = config->loop;
    engine->clock = config->clock;
    prng_init(&engine->prng, config->seed);
    engine->unsettled = config->unsettled;
    engine->ident_high = prng_next(&engine->prng);
    engine->ident_low = prng_next(&engine->prng) >> 16; /* room to count */
    list_init(&engine->over);
    list_init(&engine->pushing);
    list_init(&engine->paying);
    loop_timer_init(&engine->paying_timer, invocation_on_paying, engine);
    list_init(&engine->hearing);
    loop_on_turn(engine->loop, PHASE_COMMIT, push_hook, engine);
    loop_on_turn(engine->loop, PHASE_REPLY, tell_hook, engine);
    return engine;
}

void invoke_destroy(struct invoke *engine)
{
    if (!engine) return;
    CHECK(engine->stats.in_flight == 0 && list_empty(&engine->over));
    loop_timer_stop(&engine->paying_timer);
    loop_off_turn(engine->loop, PHASE_REPLY, tell_hook, engine);
    loop_off_turn(engine->loop, PHASE_COMMIT, push_hook, engine);
    free(engine);
}

void invoke_stats(const struct invoke *engine, struct invoke_stats *stats)
{
    *stats = engine->stats;
}

void invoke_set_ports(struct invoke *engine, const struct invoke_ports *ports)
{
    engine->ports = *ports;
}

struct invoke_version *invoke_version_part(struct invoke_version *version, uint32_t partition)
{
    return version->part ? version->part(version, partition) : version;
}

void invoke_version_ref(struct invoke_version *version)
{
    invoke_version_part(version, 0)->refs++;
}

void invoke_version_unref(struct invoke_version *version)
{
    struct invoke_version *whole = invoke_version_part(version, 0);
    CHECK(whole->refs > 0);
    if (--whole->refs == 0) whole->on_unused(whole);
}

struct invoke_function *invoke_version_function(struct invoke_version *version, struct slice name)
{
    for (size_t i = 0; i < version->functions_count; i++)
    {
        if (slice_is(name, version->functions[i].name)) return &version->functions[i];
    }
    return NULL;
}

enum status invoke_version_channel(const struct invoke_version *version, struct slice name, bool durable,
                                   struct err *err)
{
    const struct invoke_channel *channel = version->channels, *end = channel + version->channels_count;
    while (channel < end && !slice_is(name, channel->name)) channel++;
    if (channel == end)
        return err_set(err, STATUS_CHANNEL_NOT_FOUND,
                       "'%.*s': version %s of app '%s' declares no such channel", SLICE_FMT(name),
                       version->id ? version->id : "", version->app ? version->app : "");
    if (channel->durable != durable)
        return err_set(err, STATUS_CHANNEL_KIND, "'%.*s' is a %s channel", SLICE_FMT(name),
                       channel->durable ? "durable" : "live");
    return STATUS_OK;
}

/* ---- partitions ---- */

enum { EXPIRY_PERIOD_MS = 60000, EXPIRY_FIRST_MS = 5000, EXPIRY_BATCH = 1000 };

static void on_expiry_over(struct store_commit *commit)
{
    struct invoke_partition *partition = CONTAINER_OF(commit, struct invoke_partition, expiry_commit);
    partition->expiring = false;
    buf_reset(&partition->expiry_set);
}

static void on_expiry_applied(struct store_commit *commit)
{
    if (commit->status != STATUS_OK) on_expiry_over(commit); /* they are tried again with the next beat */
}

/* Forgets outcomes that have been kept long enough. */
static void on_expiry(struct loop_timer *timer, void *ctx)
{
    struct invoke_partition *partition = ctx;
    if (partition->expiring) return;
    uint64_t now_ms = clock_wall_ms(partition->engine->clock);
    if (now_ms < BOUND_IDEMPOTENCY_KEEP_MS) return;
    struct store_snapshot *snapshot = store_snapshot_take(partition->store);
    size_t count = idempotency_expire(snapshot, &partition->expiry_set, now_ms - BOUND_IDEMPOTENCY_KEEP_MS,
                                      EXPIRY_BATCH);
    uint64_t seq = store_snapshot_seq(snapshot);
    store_snapshot_release(partition->store, snapshot);
    if (count == 0) return;
    partition->expiring = true;
    partition->expiry_commit = (struct store_commit){
        .snapshot = seq,
        .writes = {buf_view(&partition->expiry_set)},
        .applied = on_expiry_applied,
        .durable = on_expiry_over,
    };
    partition_submit(partition, &partition->expiry_commit);
}

struct invoke_partition *invoke_partition_open(struct invoke *engine, struct store *store, uint32_t index,
                                               uint32_t count)
{
    struct invoke_partition *partition = mem_zalloc(sizeof *partition);
    partition->engine = engine;
    partition->store = store;
    partition->index = index;
    /* Numbers of sends grow over restarts, too, unless the clock is set back: then they repeat only in other ms. */
    partition->outbox_number = clock_wall_ms(engine->clock) << 20;
    partition->count = count;
    partition->metering = metering_open(engine->loop, store);
    appends_init(&partition->appends, store);
    list_init(&partition->listeners);
    list_init(&partition->hearing);
    lanes_init(&partition->lanes);
    list_init(&partition->pushing);
    loop_timer_init(&partition->expiry, on_expiry, partition);
    loop_timer_start(engine->loop, &partition->expiry, EXPIRY_FIRST_MS, EXPIRY_PERIOD_MS);
    return partition;
}

void invoke_partition_close(struct invoke_partition *partition)
{
    CHECK(partition->in_flight == 0);
    loop_timer_stop(&partition->expiry);
    appends_close(partition);
    list_remove(&partition->pushing);
    metering_flush(partition->metering);
    store_close(partition->store); /* runs the callbacks of what is under way */
    metering_close(partition->metering);
    lanes_fini(&partition->lanes);
    map_fini(&partition->by_idempotency_key);
    map_fini(&partition->appending);
    appends_fini(&partition->appends);
    buf_fini(&partition->expiry_set);
    free(partition->last_workers);
    free(partition);
}

struct store *invoke_partition_store(const struct invoke_partition *partition)
{
    return partition->store;
}

struct metering *invoke_partition_metering(const struct invoke_partition *partition)
{
    return partition->metering;
}

uint32_t invoke_partition_in_flight(const struct invoke_partition *partition)
{
    return partition->in_flight;
}

void invoke_partition_index(const struct invoke_partition *partition, uint32_t *index, uint32_t *count)
{
    *index = partition->index;
    *count = partition->count;
}

void **invoke_partition_place(struct invoke_partition *partition, enum partition_place place)
{
    return &partition->places[place];
}
