/* channel.c - messages of channels: publishing, subscriptions, and those that have started the run. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "sdk/src/ctx.h"
#include "sdk/src/number.h"

/* A channel that the node has said to have. */
struct stead__known {
    struct stead__known *next;
    char name[BOUND_NAME_BYTES_MAX + 1];
};

/* Memory of the arena but for the batch, which is used again and again. */
struct stead_subscription {
    struct stead_subscription *next;
    struct stead_ctx *ctx;
    uint64_t number; /* the node's; 0: it failed */
    struct buf batch; /* what the last answer brought */
    size_t taken;
    uint64_t missed;
};

static const char type_default[] = "text/plain; charset=utf-8";

void stead__channels_begin(struct stead_ctx *ctx)
{
    struct stead__channels *channels = &ctx->channels;
    CHECK(!channels->subscriptions);
    channels->type = type_default;
    channels->messages = NULL;
    channels->message_count = 0;
    channels->opened = false;
}

void stead__channels_reset(struct stead__channels *channels)
{
    struct stead_subscription *subscription = channels->subscriptions;
    for (; subscription; subscription = subscription->next) buf_fini(&subscription->batch);
    channels->subscriptions = NULL;
}

void stead__channels_fini(struct stead__channels *channels)
{
    while (channels->known)
    {
        struct stead__known *known = channels->known;
        channels->known = known->next;
        free(known);
    }
}

/* ---- publishing ---- */

static enum stead_status name_check(struct stead_ctx *ctx, const char *call, const char *channel)
{
    size_t size = channel ? strlen(channel) : 0;
    if (size > 0 && size <= BOUND_NAME_BYTES_MAX) return STEAD_OK;
    return stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT,
                            "a channel name has 1 to %d bytes, this one %zu", BOUND_NAME_BYTES_MAX, size);
}

static enum stead_status message_check(struct stead_ctx *ctx, const char *call, const char *channel,
                                       const char *key, size_t size)
{
    enum stead_status status = name_check(ctx, call, channel);
    if (status != STEAD_OK) return status;
    if (size > BOUND_MESSAGE_BYTES_MAX)
        return stead__fail_text(ctx, call, STATUS_MESSAGE_TOO_LARGE,
                                "the message for %s has %zu bytes, at most %llu are allowed", channel, size,
                                BOUND_MESSAGE_BYTES_MAX);
    size_t key_size = key ? strlen(key) : 0;
    if (key_size > BOUND_MESSAGE_KEY_BYTES_MAX)
        return stead__fail_text(ctx, call, STATUS_MESSAGE_TOO_LARGE,
                                "the key for %s has %zu bytes, at most %d are allowed", channel, key_size,
                                BOUND_MESSAGE_KEY_BYTES_MAX);
    return STEAD_OK;
}

enum stead_status stead_message_type(struct stead_ctx *ctx, const char *content_type)
{
    size_t size = content_type ? strlen(content_type) : 0;
    if (size == 0 || size > BOUND_CONTENT_TYPE_BYTES_MAX || strpbrk(content_type, "\r\n"))
        return stead__fail_text(ctx, "stead_message_type", STATUS_INVALID_ARGUMENT,
                                "a content type has 1 to %d bytes and no line break",
                                BOUND_CONTENT_TYPE_BYTES_MAX);
    ctx->channels.type = stead__arena_text(&ctx->arena, slice_cstr(content_type));
    return STEAD_OK;
}

enum stead_status stead_publish(struct stead_ctx *ctx, const char *channel, const char *key, const void *data,
                                size_t size)
{
    enum stead_status status = message_check(ctx, "stead_publish", channel, key, size);
    if (status != STEAD_OK) return status;
    return stead__effect(ctx, "stead_publish",
                         &(struct wire_effect){
                             .kind = WIRE_EFFECT_PUBLISH,
                             .name = slice_cstr(channel),
                             .key = slice_cstr(key ? key : ""),
                             .type = slice_cstr(ctx->channels.type),
                             .body = slice_make(data, size),
                         });
}

enum stead_status stead_append(struct stead_ctx *ctx, const char *channel, const char *key, const void *data,
                               size_t size)
{
    enum stead_status status = message_check(ctx, "stead_append", channel, key, size);
    if (status != STEAD_OK) return status;
    return stead__effect(ctx, "stead_append",
                         &(struct wire_effect){
                             .kind = WIRE_EFFECT_APPEND,
                             .name = slice_cstr(channel),
                             .key = slice_cstr(key ? key : ""),
                             .type = slice_cstr(ctx->channels.type),
                             .body = slice_make(data, size),
                         });
}

/* Publishing gets no answer: that there is such a channel is asked once. */
static enum stead_status know(struct stead_ctx *ctx, const char *call, const char *channel)
{
    struct stead__known *known = ctx->channels.known;
    for (; known; known = known->next)
        if (strcmp(known->name, channel) == 0) return STEAD_OK;
    if (!ctx->ask) return stead__fail_text(ctx, call, STATUS_UNSUPPORTED, "there are no channels here");
    (void)ctx->ask(ctx->owner, &(struct wire_ask){.kind = WIRE_ASK_CHANNEL, .name = slice_cstr(channel)});
    struct wire_answer answer;
    ctx->answer(ctx->owner, &answer);
    if (answer.status != STATUS_OK)
        return stead__fail_text(ctx, call, answer.status, "%.*s", SLICE_FMT(answer.failure));
    known = mem_zalloc(sizeof *known);
    snprintf(known->name, sizeof known->name, "%s", channel);
    known->next = ctx->channels.known;
    ctx->channels.known = known;
    return STEAD_OK;
}

enum stead_status stead_publish_now(struct stead_ctx *ctx, const char *channel, const char *key,
                                    const void *data, size_t size)
{
    enum stead_status status = message_check(ctx, "stead_publish_now", channel, key, size);
    if (status == STEAD_OK) status = know(ctx, "stead_publish_now", channel);
    if (status != STEAD_OK) return status;
    (void)ctx->ask(ctx->owner, &(struct wire_ask){
                                   .kind = WIRE_ASK_PUBLISH,
                                   .name = slice_cstr(channel),
                                   .key = slice_cstr(key ? key : ""),
                                   .type = slice_cstr(ctx->channels.type),
                                   .body = slice_make(data, size),
                               }); /* its number is of no use: it is not answered */
    return STEAD_OK;
}

/* ---- subscriptions ---- */

struct stead_subscription *stead_subscribe(struct stead_ctx *ctx, const char *channel, const char *keys)
{
    static const char call[] = "stead_subscribe";
    struct stead_subscription *subscription = stead_alloc(ctx, sizeof *subscription);
    subscription->ctx = ctx;
    subscription->next = ctx->channels.subscriptions;
    ctx->channels.subscriptions = subscription;
    if (message_check(ctx, call, channel, keys, 0) != STEAD_OK) return subscription;
    if (!ctx->ask)
    {
        (void)stead__fail_text(ctx, call, STATUS_UNSUPPORTED, "there are no channels here");
        return subscription;
    }
    (void)ctx->ask(ctx->owner, &(struct wire_ask){.kind = WIRE_ASK_SUBSCRIBE,
                                                  .name = slice_cstr(channel),
                                                  .key = slice_cstr(keys ? keys : "")});
    struct wire_answer answer;
    ctx->answer(ctx->owner, &answer);
    if (answer.status == STATUS_OK)
        subscription->number = answer.number;
    else
        (void)stead__fail_text(ctx, call, answer.status, "%.*s", SLICE_FMT(answer.failure));
    return subscription;
}

/* Asks for more. STEAD_TIMED_OUT when none came in time. */
static enum stead_status fetch(struct stead_subscription *subscription, uint32_t wait_ms)
{
    struct stead_ctx *ctx = subscription->ctx;
    uint32_t left_ms = stead_time_left_ms(ctx);
    (void)ctx->ask(ctx->owner, &(struct wire_ask){.kind = WIRE_ASK_RECEIVE,
                                                  .number = subscription->number,
                                                  .limit = wait_ms < left_ms ? wait_ms : left_ms});
    struct wire_answer answer;
    ctx->answer(ctx->owner, &answer);
    if (answer.status != STATUS_OK)
        return stead__fail_text(ctx, "stead_receive", answer.status, "%.*s", SLICE_FMT(answer.failure));
    if (answer.body.size == 0) return STEAD_TIMED_OUT;
    buf_reset(&subscription->batch);
    buf_append(&subscription->batch, answer.body);
    subscription->taken = 0;
    subscription->missed = answer.number;
    return STEAD_OK;
}

/* A text inside of a frame that has been read. What follows it there is the first byte of the next field, which is of no
 * use any more: it becomes the zero at its end. */
static const char *terminate(struct slice text)
{
    if (text.size == 0) return "";
    char *end = (char *)text.data + text.size;
    *end = 0;
    return text.data;
}

enum stead_status stead_receive(struct stead_subscription *subscription, uint32_t wait_ms,
                                struct stead_message *message)
{
    struct stead_ctx *ctx = subscription->ctx;
    if (subscription->number == 0)
        return stead__fail_text(ctx, "stead_receive", STATUS_INVALID_ARGUMENT, "the subscription has failed");
    struct wire_message next;
    bool found;
    struct err err = ERR_INIT;
    enum status status =
        wire_message_next(buf_view(&subscription->batch), &subscription->taken, &next, &found, &err);
    if (status == STATUS_OK && !found)
    {
        enum stead_status fetched = fetch(subscription, wait_ms);
        if (fetched != STEAD_OK) return fetched;
        status = wire_message_next(buf_view(&subscription->batch), &subscription->taken, &next, &found, &err);
    }
    if (status != STATUS_OK) return stead__fail(ctx, "stead_receive", status, &err);
    *message = (struct stead_message){
        .channel = terminate(next.channel),
        .sequence = next.sequence,
        .time_ms = (int64_t)next.time_ms,
        .key = terminate(next.key),
        .content_type = terminate(next.type),
        .body = {next.body.data, next.body.size},
        .missed = subscription->missed,
    };
    subscription->missed = 0;
    return STEAD_OK;
}

/* ---- messages that have started the run ---- */

static struct slice header(const struct stead_ctx *ctx, const char *name)
{
    const struct wire_headers *headers = &ctx->invoke->headers;
    for (size_t i = 0; i < headers->count; i++)
        if (slice_is(headers->items[i].name, name)) return headers->items[i].value;
    return SLICE_EMPTY;
}

static uint64_t header_number(const struct stead_ctx *ctx, const char *name)
{
    int64_t number;
    return stead__number_parse(header(ctx, name), &number) ? (uint64_t)number : 0;
}

static const char *header_text(struct stead_ctx *ctx, const char *name)
{
    return stead__arena_text(&ctx->arena, header(ctx, name));
}

static void open_single(struct stead_ctx *ctx)
{
    struct stead__channels *channels = &ctx->channels;
    bool durable = header(ctx, WIRE_HEADER_OFFSET).size > 0;
    channels->messages = stead_alloc(ctx, sizeof *channels->messages);
    channels->message_count = 1;
    channels->messages[0] = (struct stead_message){
        .channel = header_text(ctx, WIRE_HEADER_CHANNEL),
        .sequence = header_number(ctx, durable ? WIRE_HEADER_OFFSET : WIRE_HEADER_SEQUENCE),
        .time_ms = (int64_t)header_number(ctx, WIRE_HEADER_TIME),
        .key = header_text(ctx, WIRE_HEADER_KEY),
        .content_type = header_text(ctx, "content-type"),
        .body = stead_body(ctx),
        .missed = header_number(ctx, WIRE_HEADER_MISSED),
    };
}

static enum status open_batch(struct stead_ctx *ctx, size_t count, struct err *err)
{
    struct stead__channels *channels = &ctx->channels;
    struct stead_message *messages = stead_alloc(ctx, count * sizeof *messages);
    struct wire_message next;
    bool found;
    size_t offset = 0, i = 0;
    for (;; i++)
    {
        TRY(wire_message_next(ctx->invoke->body, &offset, &next, &found, err));
        if (!found) break;
        if (i == count) return err_set(err, STATUS_FUNCTION_PROTOCOL, "more messages than announced");
        messages[i] = (struct stead_message){
            .channel = i ? messages[0].channel : stead__arena_text(&ctx->arena, next.channel),
            .sequence = next.sequence,
            .time_ms = (int64_t)next.time_ms,
            .key = stead__arena_text(&ctx->arena, next.key),
            .content_type = stead__arena_text(&ctx->arena, next.type),
            .body = {next.body.data, next.body.size},
        };
    }
    if (i > 0) messages[0].missed = header_number(ctx, WIRE_HEADER_MISSED);
    channels->messages = messages;
    channels->message_count = i;
    return STATUS_OK;
}

static void open_messages(struct stead_ctx *ctx)
{
    if (ctx->channels.opened || ctx->invoke->origin != WIRE_ORIGIN_CHANNEL) return;
    ctx->channels.opened = true;
    uint64_t count = header_number(ctx, WIRE_HEADER_BATCH);
    struct err err = ERR_INIT;
    if (count == 0)
        open_single(ctx);
    else if (count > BOUND_BATCH_MESSAGES_MAX || open_batch(ctx, count, &err) != STATUS_OK)
        (void)stead__fail_text(ctx, "stead_message_at", STATUS_FUNCTION_PROTOCOL, "a batch that is none: %s",
                               err_text(&err));
}

size_t stead_message_count(struct stead_ctx *ctx)
{
    open_messages(ctx);
    return ctx->channels.message_count;
}

bool stead_message_at(struct stead_ctx *ctx, size_t index, struct stead_message *message)
{
    open_messages(ctx);
    if (index >= ctx->channels.message_count) return false;
    *message = ctx->channels.messages[index];
    return true;
}
