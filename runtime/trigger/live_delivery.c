/* live_delivery.c - who publishes, who waits, who is started. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/trigger/live_delivery.h"

#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "runtime/base/map.h"
#include "runtime/catalog/manifest.h"
#include "runtime/invoke/invoke.h"
#include "runtime/loop/loop.h"
#include "runtime/trigger/live_starter.h"

struct live_delivery {
    struct live_delivery_config config;
    struct live_hub *hub;
    struct map channels; /* struct place, by "app/channel": those of current versions */
    struct map apps; /* struct live_app */
    struct live_starters starters;
    struct list ready; /* receivers whose message has come */
    struct list receivers; /* all */
    struct buf name, frames; /* scratch */
    uint64_t numbers; /* of receivers */
    struct live_delivery_stats stats;
    bool draining;
};

struct place {
    bool durable, from_outside;
};

struct live_app {
    char *name;
    struct list starters;
};

/* What one running handler has subscribed to. */
struct run {
    struct list receivers;
    uint32_t count;
};

struct receiver {
    struct live_subscriber subscriber;
    struct live_delivery *self;
    struct invocation *invocation;
    uint64_t number;
    uint32_t ask; /* the RECEIVE that waits; 0: none */
    struct loop_timer timer; /* the end of its wait */
    struct list of_run, ready, all;
};

static const struct live_limits queue_limits = {
    .messages_max = BOUND_LIVE_QUEUE_MESSAGES_MAX,
    .bytes_max = BOUND_LIVE_QUEUE_BYTES_MAX,
};

static void on_turn(void *ctx);

struct live_delivery *live_delivery_create(const struct live_delivery_config *config)
{
    struct live_delivery *self = mem_zalloc(sizeof *self);
    self->config = *config;
    self->hub = live_hub_create();
    list_init(&self->ready);
    list_init(&self->receivers);
    live_starters_init(&self->starters, config->loop, config->router);
    loop_on_turn(config->loop, PHASE_ADMIT, on_turn, self);
    return self;
}

static void app_free(struct live_delivery *self, struct live_app *app)
{
    live_starters_drop(&self->starters, &app->starters);
    free(app->name);
    free(app);
}

void live_delivery_destroy(struct live_delivery *self)
{
    if (!self) return;
    CHECK(list_empty(&self->receivers));
    struct map_entry entry;
    for (size_t place = 0; map_next(&self->apps, &place, &entry);) app_free(self, entry.value);
    for (size_t place = 0; map_next(&self->channels, &place, &entry);) free(entry.value);
    map_fini(&self->apps);
    map_fini(&self->channels);
    loop_off_turn(self->config.loop, PHASE_ADMIT, on_turn, self);
    live_starters_fini(&self->starters);
    live_hub_destroy(self->hub);
    buf_fini(&self->name);
    buf_fini(&self->frames);
    free(self);
}

void live_delivery_stats(const struct live_delivery *self, struct live_delivery_stats *stats)
{
    *stats = self->stats;
    live_stats(self->hub, &stats->hub);
    stats->started = self->starters.started;
    stats->failed = self->starters.failed;
}

/* "app/channel", until the next call. */
static struct slice full_name(struct live_delivery *self, const char *app, struct slice channel)
{
    buf_reset(&self->name);
    buf_append_cstr(&self->name, app);
    buf_append_byte(&self->name, '/');
    buf_append(&self->name, channel);
    return buf_view(&self->name);
}

/* ---- versions ---- */

static void places_remove(struct live_delivery *self, const char *app)
{
    struct slice prefix = full_name(self, app, SLICE_EMPTY);
    struct buf names = BUF_INIT; /* zero-terminated; a map must not be changed while it is walked over */
    struct map_entry entry;
    for (size_t place = 0; map_next(&self->channels, &place, &entry);)
    {
        if (!slice_starts_with(entry.key, prefix)) continue;
        buf_append(&names, entry.key);
        buf_append_byte(&names, 0);
    }
    for (size_t at = 0; at < names.size; at += strlen((char *)names.data + at) + 1)
        free(map_remove(&self->channels, slice_cstr((char *)names.data + at)));
    buf_fini(&names);
}

static void places_add(struct live_delivery *self, const char *app, const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->channel_count; i++)
    {
        const struct manifest_channel *channel = &manifest->channels[i];
        struct place *place = mem_alloc(sizeof *place);
        *place = (struct place){.durable = channel->kind == CHANNEL_DURABLE,
                                .from_outside = channel->from_outside};
        CHECK(!map_put(&self->channels, full_name(self, app, slice_cstr(channel->name)), place));
    }
}

static void starters_add(struct live_delivery *self, struct live_app *app, const struct manifest *manifest,
                         struct list *before)
{
    for (size_t i = 0; i < manifest->subscription_count; i++)
    {
        const struct manifest_subscription *subscription = &manifest->subscriptions[i];
        struct slice name = slice_cstr(subscription->channel);
        if (manifest_channel_find(manifest, name)->kind != CHANNEL_LIVE) continue;
        struct live_channel *channel = live_channel(self->hub, full_name(self, app->name, name));
        live_starters_add(&self->starters, app->name, channel, subscription, before, &app->starters);
    }
}

void live_delivery_switch(struct live_delivery *self, const char *name, const struct manifest *manifest)
{
    places_remove(self, name);
    struct live_app *app = map_get(&self->apps, slice_cstr(name));
    if (!manifest)
    {
        if (!app) return;
        (void)map_remove(&self->apps, slice_cstr(name));
        app_free(self, app);
        return;
    }
    places_add(self, name, manifest);
    if (!app)
    {
        app = mem_zalloc(sizeof *app);
        app->name = mem_strdup(name);
        list_init(&app->starters);
        (void)map_put(&self->apps, slice_cstr(name), app); /* there was none */
    }
    struct list before;
    list_init(&before);
    list_splice_back(&before, &app->starters);
    starters_add(self, app, manifest, &before);
    live_starters_drop(&self->starters, &before);
}

/* ---- publishing ---- */

static void publish(struct live_delivery *self, const char *app, struct wire_message *message)
{
    struct slice name = full_name(self, app, message->channel);
    struct live_channel *channel = live_channel(self->hub, name);
    message->time_ms = clock_wall_ms(self->config.clock);
    message->sequence = live_publish(channel, message);
    if (!self->config.on_published) return;
    message->channel = name;
    self->config.on_published(self->config.ctx, message);
}

/* What comes over a link is believed as little as what comes from outside. */
static enum status message_check(const struct wire_message *message, struct err *err)
{
    if (message->body.size > BOUND_MESSAGE_BYTES_MAX || message->key.size > BOUND_MESSAGE_KEY_BYTES_MAX ||
        message->type.size > BOUND_CONTENT_TYPE_BYTES_MAX)
        return err_set(err, STATUS_MESSAGE_TOO_LARGE,
                       "a message for '%.*s' has a body of %zu, a key of %zu and a content type of %zu bytes",
                       SLICE_FMT(message->channel), message->body.size, message->key.size,
                       message->type.size);
    if (message->key.size && memchr(message->key.data, 0, message->key.size))
        return err_set(err, STATUS_INVALID_ARGUMENT, "a message for '%.*s' has a key with a zero byte",
                       SLICE_FMT(message->channel));
    return STATUS_OK;
}

void live_delivery_release(struct live_delivery *self, struct invocation *invocation,
                           const struct wire_effect *effect)
{
    struct wire_message message = {
        .channel = effect->name, .key = effect->key, .type = effect->type, .body = effect->body};
    publish(self, invocation_version(invocation)->app, &message);
}

static void publish_asked(struct live_delivery *self, struct invocation *invocation,
                          const struct wire_ask *ask)
{
    const struct invoke_version *version = invocation_version(invocation);
    struct wire_message message = {
        .channel = ask->name, .key = ask->key, .type = ask->type, .body = ask->body};
    /* The SDK has asked and looked before; what is refused here comes from code that goes round it. */
    if (message_check(&message, NULL) != STATUS_OK ||
        invoke_version_channel(version, ask->name, false, NULL) != STATUS_OK)
        self->stats.refused++;
    else
        publish(self, version->app, &message);
}

static enum status place_find(const struct live_delivery *self, struct slice name, const struct place **place,
                              struct err *err)
{
    *place = map_get(&self->channels, name);
    if (!*place) return err_set(err, STATUS_CHANNEL_NOT_FOUND, "there is no channel '%.*s'", SLICE_FMT(name));
    if ((*place)->durable)
        return err_set(err, STATUS_CHANNEL_KIND, "'%.*s' is a durable channel", SLICE_FMT(name));
    return STATUS_OK;
}

static enum status foreign_check(const struct live_delivery *self, enum live_source source,
                                 const struct wire_message *message, struct err *err)
{
    const struct place *place;
    TRY(place_find(self, message->channel, &place, err));
    if (source == LIVE_FROM_OUTSIDE && !place->from_outside)
        return err_set(err, STATUS_PERMISSION_DENIED, "channel '%.*s' does not say `from_outside: true`",
                       SLICE_FMT(message->channel));
    return message_check(message, err);
}

enum status live_delivery_publish_from(struct live_delivery *self, enum live_source source,
                                       const struct wire_message *message, struct err *err)
{
    self->stats.foreign++;
    enum status status = foreign_check(self, source, message, err);
    if (status != STATUS_OK)
    {
        self->stats.foreign_refused++;
        return status;
    }
    struct wire_message taken = *message;
    if (taken.time_ms == 0) taken.time_ms = clock_wall_ms(self->config.clock);
    taken.sequence = live_publish(live_channel(self->hub, message->channel), &taken);
    /* What a peer has published the outside hears from the peer. */
    if (source == LIVE_FROM_OUTSIDE && self->config.on_published)
        self->config.on_published(self->config.ctx, &taken);
    return STATUS_OK;
}

void live_delivery_missed(struct live_delivery *self, struct slice channel, uint64_t count)
{
    const struct place *place;
    if (place_find(self, channel, &place, NULL) == STATUS_OK)
        live_missed(live_channel(self->hub, channel), count);
}

enum status live_delivery_listen(struct live_delivery *self, struct slice channel, struct slice keys,
                                 struct live_subscriber *subscriber,
                                 void (*on_ready)(struct live_subscriber *subscriber), struct err *err)
{
    const struct place *place;
    TRY(place_find(self, channel, &place, err));
    live_subscribe(live_channel(self->hub, channel), subscriber, keys, &queue_limits, on_ready);
    return STATUS_OK;
}

/* ---- handlers that receive ---- */

static void refuse(struct invocation *invocation, uint32_t ask, enum status status, const char *words)
{
    invocation_answer(invocation, &(struct wire_answer){
                                      .ask = ask,
                                      .status = status,
                                      .failure = slice_cstr(words),
                                  });
}

/* What its queue has; nothing when its time is over. */
static void receiver_answer(struct receiver *receiver)
{
    struct live_delivery *self = receiver->self;
    uint64_t missed;
    buf_reset(&self->frames);
    (void)live_take(&receiver->subscriber, BOUND_BATCH_MESSAGES_MAX, BOUND_LIVE_BATCH_BYTES_MAX,
                    &self->frames, &missed); /* the body tells */
    uint32_t ask = receiver->ask;
    receiver->ask = 0;
    list_remove(&receiver->ready);
    loop_timer_stop(&receiver->timer);
    invocation_answer(receiver->invocation, &(struct wire_answer){
                                                .ask = ask,
                                                .status = STATUS_OK,
                                                .number = missed,
                                                .body = buf_view(&self->frames),
                                            });
}

static void on_wait_over(struct loop_timer *timer, void *ctx)
{
    (void)timer; /* its own */
    receiver_answer(ctx);
}

static void on_message(struct live_subscriber *subscriber)
{
    struct receiver *receiver = CONTAINER_OF(subscriber, struct receiver, subscriber);
    if (!receiver->ask) return;
    list_remove(&receiver->ready);
    list_push_back(&receiver->self->ready, &receiver->ready);
    loop_want(receiver->self->config.loop, PHASE_ADMIT);
}

/* Everything that this turn has brought for one goes in one answer. */
static void on_turn(void *ctx)
{
    struct live_delivery *self = ctx;
    struct list *link;
    while ((link = list_pop_front(&self->ready))) receiver_answer(CONTAINER_OF(link, struct receiver, ready));
    live_starters_run(&self->starters);
}

static void subscribe(struct live_delivery *self, struct invocation *invocation, const struct wire_ask *ask)
{
    const struct invoke_version *version = invocation_version(invocation);
    struct err err = ERR_INIT;
    enum status status = invoke_version_channel(version, ask->name, false, &err);
    if (status == STATUS_OK && ask->key.size > BOUND_MESSAGE_KEY_BYTES_MAX)
        status = err_set(&err, STATUS_MESSAGE_TOO_LARGE, "keys of %zu bytes", ask->key.size);
    struct run **run = (struct run **)invocation_asked(invocation, INVOCATION_LIVE);
    if (status == STATUS_OK && *run && (*run)->count == BOUND_SUBSCRIPTIONS_PER_RUN_MAX)
        status = err_set(&err, STATUS_QUEUE_FULL, "one invocation may have at most %d subscriptions",
                         BOUND_SUBSCRIPTIONS_PER_RUN_MAX);
    if (status != STATUS_OK)
    {
        refuse(invocation, ask->ask, status, err_text(&err));
        return;
    }
    if (!*run)
    {
        *run = mem_zalloc(sizeof **run);
        list_init(&(*run)->receivers);
    }
    struct receiver *receiver = mem_zalloc(sizeof *receiver);
    receiver->self = self;
    receiver->invocation = invocation;
    receiver->number = ++self->numbers;
    loop_timer_init(&receiver->timer, on_wait_over, receiver);
    list_init(&receiver->ready);
    list_push_back(&(*run)->receivers, &receiver->of_run);
    list_push_back(&self->receivers, &receiver->all);
    (*run)->count++;
    self->stats.receivers++;
    live_subscribe(live_channel(self->hub, full_name(self, version->app, ask->name)), &receiver->subscriber,
                   ask->key, &queue_limits, on_message);
    invocation_answer(
        invocation, &(struct wire_answer){.ask = ask->ask, .status = STATUS_OK, .number = receiver->number});
}

static struct receiver *receiver_find(struct run *run, uint64_t number)
{
    if (!run) return NULL;
    LIST_FOREACH(link, &run->receivers)
    {
        struct receiver *receiver = CONTAINER_OF(link, struct receiver, of_run);
        if (receiver->number == number) return receiver;
    }
    return NULL;
}

static void receive(struct live_delivery *self, struct invocation *invocation, const struct wire_ask *ask)
{
    struct receiver *receiver = receiver_find(*invocation_asked(invocation, INVOCATION_LIVE), ask->number);
    if (!receiver || receiver->ask)
    {
        refuse(invocation, ask->ask, STATUS_INVALID_ARGUMENT,
               receiver ? "the subscription is being waited for already" : "there is no such subscription");
        return;
    }
    if (self->draining)
    {
        refuse(invocation, ask->ask, STATUS_DRAINING, "the node is stopping");
        return;
    }
    receiver->ask = ask->ask;
    if (receiver->subscriber.count > 0 || ask->limit == 0)
    {
        receiver_answer(receiver);
        return;
    }
    uint64_t wait_ms = ask->limit < BOUND_TIMEOUT_MS_MAX ? ask->limit : BOUND_TIMEOUT_MS_MAX;
    loop_timer_start(self->config.loop, &receiver->timer, wait_ms, 0);
}

void live_delivery_ask(struct live_delivery *self, struct invocation *invocation, const struct wire_ask *ask)
{
    struct err err = ERR_INIT;
    switch (ask->kind)
    {
    case WIRE_ASK_PUBLISH:
        publish_asked(self, invocation, ask);
        return;
    case WIRE_ASK_SUBSCRIBE:
        subscribe(self, invocation, ask);
        return;
    case WIRE_ASK_RECEIVE:
        receive(self, invocation, ask);
        return;
    case WIRE_ASK_CHANNEL:
        if (invoke_version_channel(invocation_version(invocation), ask->name, false, &err) == STATUS_OK)
            invocation_answer(invocation, &(struct wire_answer){.ask = ask->ask, .status = STATUS_OK});
        else
            refuse(invocation, ask->ask, err.status, err_text(&err));
        return;
    default:
        UNREACHABLE("the node sorts asks by their kinds");
    }
}

void live_delivery_ask_over(struct live_delivery *self, struct invocation *invocation)
{
    struct run *run = *invocation_asked(invocation, INVOCATION_LIVE);
    if (!run) return;
    LIST_FOREACH(link, &run->receivers)
    {
        struct receiver *receiver = CONTAINER_OF(link, struct receiver, of_run);
        live_unsubscribe(&receiver->subscriber);
        loop_timer_stop(&receiver->timer);
        list_remove(&receiver->ready);
        list_remove(&receiver->all);
        self->stats.receivers--;
        free(receiver);
    }
    free(run);
}

void live_delivery_drain(struct live_delivery *self)
{
    self->draining = true;
    live_starters_drain(&self->starters);
    LIST_FOREACH(link, &self->receivers)
    {
        struct receiver *receiver = CONTAINER_OF(link, struct receiver, all);
        if (!receiver->ask) continue;
        uint32_t ask = receiver->ask;
        receiver->ask = 0;
        list_remove(&receiver->ready);
        loop_timer_stop(&receiver->timer);
        refuse(receiver->invocation, ask, STATUS_DRAINING, "the node is stopping");
    }
}
