/* testkit.c - the SDK's own invocation code over rows in memory; conflicts made to order. */
// SPDX-License-Identifier: Apache-2.0
#include "stead/testkit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "sdk/src/ctx.h"
#include "statestore/kv/keyspace.h"

/* A change of somebody else, waiting for its run. */
struct interference {
    struct interference *next;
    struct buf change; /* a write set of one entry */
};

/* A function that others may call. */
struct kit_function {
    struct kit_function *next;
    char *name;
    stead__handler_fn handler;
};

/* A subscription of the running handler. */
struct kit_subscription {
    struct kit_subscription *next;
    char *channel, *keys; /* texts of the reply arena */
    size_t taken; /* of kit->arrived */
};

struct stead_testkit {
    struct stead_ctx ctx;
    struct stead__arena arena; /* of the rows */
    struct stead__changes rows;
    struct interference *waiting;
    uint64_t runs;
    struct wire_invoke invoke;
    struct wire_result result;
    /* What the caller was given. */
    struct stead__arena reply_arena;
    struct wire_headers reply_headers;
    struct buf log;
    struct buf text;
    struct buf left; /* see stead_testkit_left */
    struct buf sends; /* EFFECT frames, for stead_testkit_run_sends */
    struct buf arrived; /* MESSAGE frames for subscriptions of the next invocation */
    struct buf batch; /* the body of a delivery */
    uint64_t sequence; /* of the last message */
    struct kit_subscription *subscriptions;
    /* Of the running handler: what it asked and was not answered yet. */
    struct kit_answer {
        struct wire_answer answer;
        struct kit_answer *next;
    } * answers;
    uint32_t asks;
    struct buf answer_body;
    struct kit_function *functions;
    uint32_t depth; /* of calls */
};

static void on_log(void *owner, uint64_t invocation, enum stead_log_level level, struct slice text)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct stead_testkit *kit = owner;
    buf_printf(&kit->log, "%s: %.*s\n", names[level], SLICE_FMT(text));
}

/* ---- what leaves ---- */

static void note(struct stead_testkit *kit, const char *how, struct slice name, struct slice key,
                 struct slice body)
{
    buf_printf(&kit->left, "%s %.*s %.*s=%.*s\n", how, SLICE_FMT(name), SLICE_FMT(key), SLICE_FMT(body));
}

static void note_effects(struct stead_testkit *kit, struct slice effects)
{
    static const char *const names[] = {[WIRE_EFFECT_SEND] = "send",
                                        [WIRE_EFFECT_PUBLISH] = "publish",
                                        [WIRE_EFFECT_APPEND] = "append",
                                        [WIRE_EFFECT_PUSH] = "push"};
    struct wire_effect effect;
    bool found;
    for (size_t offset = 0; wire_effect_next(effects, &offset, &effect, &found, NULL) == STATUS_OK && found;)
    {
        note(kit, names[effect.kind], effect.name, effect.key, effect.body);
        if (effect.kind == WIRE_EFFECT_SEND) wire_effect_encode(&kit->sends, &effect);
    }
}

const char *stead_testkit_left(struct stead_testkit *kit)
{
    return buf_cstr(&kit->left);
}

/* ---- what a handler asks for ---- */

static struct kit_subscription *subscribe(struct stead_testkit *kit, const struct wire_ask *ask)
{
    struct kit_subscription *added = stead__arena_alloc(&kit->reply_arena, sizeof *added);
    *added = (struct kit_subscription){
        .next = kit->subscriptions,
        .channel = stead__arena_text(&kit->reply_arena, ask->name),
        .keys = stead__arena_text(&kit->reply_arena, ask->key),
    };
    kit->subscriptions = added;
    return added;
}

/* Appends the next message for it. */
static void receive(struct stead_testkit *kit, struct kit_subscription *subscription)
{
    struct wire_message message;
    bool found;
    buf_reset(&kit->answer_body);
    while (wire_message_next(buf_view(&kit->arrived), &subscription->taken, &message, &found, NULL) ==
               STATUS_OK &&
           found)
    {
        if (!slice_is(message.channel, subscription->channel) ||
            !slice_starts_with(message.key, slice_cstr(subscription->keys)))
            continue;
        wire_message_encode(&kit->answer_body, &message);
        return;
    }
}

static void call(struct stead_testkit *kit, const struct wire_ask *ask, struct wire_answer *answer);

static uint32_t on_ask(void *owner, struct wire_ask *ask)
{
    struct stead_testkit *kit = owner;
    ask->ask = ++kit->asks;
    if (ask->kind == WIRE_ASK_PUBLISH)
    {
        note(kit, "publish_now", ask->name, ask->key, ask->body);
        return ask->ask;
    }
    struct kit_answer *added = stead__arena_alloc(&kit->reply_arena, sizeof *added), **end = &kit->answers;
    *added = (struct kit_answer){.answer = {.ask = ask->ask, .status = STATUS_OK}};
    switch (ask->kind)
    {
    case WIRE_ASK_SUBSCRIBE:
        added->answer.number = (uintptr_t)subscribe(kit, ask);
        break;
    case WIRE_ASK_RECEIVE:
        receive(kit, (struct kit_subscription *)(uintptr_t)ask->number);
        added->answer.body = buf_view(&kit->answer_body);
        break;
    case WIRE_ASK_CHANNEL:
        break;
    case WIRE_ASK_CALL:
        call(kit, ask, &added->answer);
        break;
    default:
        added->answer.status = STATUS_UNSUPPORTED;
        added->answer.failure = SLICE("the testkit does not have this");
        break;
    }
    while (*end) end = &(*end)->next;
    *end = added;
    return ask->ask;
}

static void on_answer(void *owner, struct wire_answer *answer)
{
    struct stead_testkit *kit = owner;
    CHECK(kit->answers);
    *answer = kit->answers->answer;
    kit->answers = kit->answers->next;
}

static void ctx_init(struct stead_testkit *kit, struct stead_ctx *ctx)
{
    stead__ctx_init(ctx, NULL);
    ctx->owner = kit;
    ctx->log = on_log;
    ctx->ask = on_ask;
    ctx->answer = on_answer;
}

struct stead_testkit *stead_testkit_create(void)
{
    struct stead_testkit *kit = mem_zalloc(sizeof *kit);
    ctx_init(kit, &kit->ctx);
    stead__changes_init(&kit->rows, &kit->arena);
    return kit;
}

static void drop_first_interference(struct stead_testkit *kit)
{
    struct interference *first = kit->waiting;
    kit->waiting = first->next;
    buf_fini(&first->change);
    free(first);
}

void stead_testkit_destroy(struct stead_testkit *kit)
{
    if (!kit) return;
    while (kit->waiting) drop_first_interference(kit);
    stead__ctx_reset(&kit->ctx);
    stead__ctx_fini(&kit->ctx);
    stead__arena_fini(&kit->arena);
    stead__arena_fini(&kit->reply_arena);
    buf_fini(&kit->log);
    buf_fini(&kit->text);
    buf_fini(&kit->left);
    buf_fini(&kit->sends);
    buf_fini(&kit->arrived);
    buf_fini(&kit->batch);
    buf_fini(&kit->answer_body);
    while (kit->functions)
    {
        struct kit_function *first = kit->functions;
        kit->functions = first->next;
        free(first->name);
        free(first);
    }
    free(kit);
}

/* ---- rows ---- */

static void apply(struct stead_testkit *kit, struct slice writes)
{
    struct write_entry entry;
    for (size_t offset = 0; write_set_next(writes, &offset, &entry);)
        stead__changes_set(&kit->rows, entry.op, entry.key, entry.value);
}

/* A write set of one change. A test with an impossible key is a mistake in the test. */
static void encode_change(struct buf *out, const char *entity, const char *name, const char *value)
{
    struct buf key = BUF_INIT;
    CHECK(keyspace_row(&key, slice_cstr(entity), slice_cstr(name), NULL) == STATUS_OK);
    struct slice bytes = value ? slice_cstr(value) : SLICE_EMPTY;
    write_set_append(out, &(struct write_entry){value ? WRITE_PUT : WRITE_DELETE, buf_view(&key), bytes});
    buf_fini(&key);
}

void stead_testkit_put(struct stead_testkit *kit, const char *entity, const char *name, const char *value)
{
    struct buf change = BUF_INIT;
    encode_change(&change, entity, name, value);
    apply(kit, buf_view(&change));
    buf_fini(&change);
}

const char *stead_testkit_get(struct stead_testkit *kit, const char *entity, const char *name)
{
    struct buf key = BUF_INIT;
    CHECK(keyspace_row(&key, slice_cstr(entity), slice_cstr(name), NULL) == STATUS_OK);
    const struct stead__change *row = stead__changes_find(&kit->rows, buf_view(&key));
    buf_fini(&key);
    return row && row->op == WRITE_PUT ? stead__arena_text(&kit->reply_arena, row->value) : NULL;
}

const char *stead_testkit_dump(struct stead_testkit *kit)
{
    buf_reset(&kit->text);
    for (const struct stead__change *row = kit->rows.first[0]; row; row = row->next[0])
    {
        struct slice entity, name;
        if (row->op != WRITE_PUT || !keyspace_row_split(row->key, &entity, &name)) continue;
        buf_append(&kit->text, entity);
        buf_append_byte(&kit->text, ' ');
        buf_append(&kit->text, name);
        buf_append_byte(&kit->text, '=');
        buf_append(&kit->text, row->value);
        buf_append_byte(&kit->text, '\n');
    }
    return stead__arena_text(&kit->reply_arena, buf_view(&kit->text));
}

/* ---- conflicts ---- */

void stead_testkit_interfere(struct stead_testkit *kit, const char *entity, const char *name,
                             const char *value)
{
    struct interference *added = mem_zalloc(sizeof *added), **end = &kit->waiting;
    encode_change(&added->change, entity, name, value);
    while (*end) end = &(*end)->next;
    *end = added;
}

static bool is_read(struct slice reads, struct slice key)
{
    struct read_entry entry;
    for (size_t offset = 0; read_set_next(reads, &offset, &entry);)
    {
        bool above = slice_compare(entry.low, key) <= 0;
        bool below = entry.high.size == 0 || slice_compare(key, entry.high) < 0;
        if (entry.kind == READ_KEY ? slice_equal(entry.low, key) : above && below) return true;
    }
    return false;
}

/* The change that was waiting for this run happens; true when the run had read what it changes. */
static bool somebody_interferes(struct stead_testkit *kit)
{
    if (!kit->waiting) return false;
    struct write_entry entry;
    size_t offset = 0;
    CHECK(write_set_next(buf_view(&kit->waiting->change), &offset, &entry));
    bool conflict = is_read(kit->result.reads, entry.key);
    apply(kit, buf_view(&kit->waiting->change));
    drop_first_interference(kit);
    return conflict;
}

/* ---- an invocation ---- */

static struct slice text_or(const char *text, const char *fallback)
{
    return slice_cstr(text ? text : fallback);
}

static void add_header(struct stead_testkit *kit, struct slice name, const char *value)
{
    struct wire_headers *to = &kit->invoke.headers;
    CHECK(to->count < WIRE_HEADERS_MAX && value != NULL);
    to->items[to->count++] = (struct wire_header){name, slice_cstr(value)};
}

/* As the node does it for an event of a connection. */
static void fill_socket(struct stead_testkit *kit, const struct stead_testkit_request *request)
{
    kit->invoke.origin = WIRE_ORIGIN_SOCKET;
    add_header(kit, SLICE("stead-connection"), request->connection);
    add_header(kit, SLICE("stead-event"), request->socket_event);
    if (strcmp(request->socket_event, "message") == 0) add_header(kit, SLICE("stead-message"), "text");
    if (strcmp(request->socket_event, "close") == 0) add_header(kit, SLICE("stead-close-code"), "1000");
}

static void fill_headers(struct stead_testkit *kit, const char *const *headers)
{
    for (; headers && headers[0]; headers += 2)
    {
        char *name = stead__arena_text(&kit->reply_arena, slice_cstr(headers[0]));
        for (char *at = name; *at; at++) *at = (char)tolower((unsigned char)*at);
        add_header(kit, slice_cstr(name), headers[1]);
    }
}

static void fill_invoke(struct stead_testkit *kit, const struct stead_testkit_request *request)
{
    static const struct stead_testkit_request nothing;
    if (!request) request = &nothing;
    struct wire_invoke *invoke = &kit->invoke;
    invoke->ident = SLICE("00000000000000000000000000");
    invoke->function = SLICE("under_test");
    invoke->entity = text_or(request->entity, "");
    invoke->timeout_ms = request->timeout_ms ? request->timeout_ms : 10000;
    invoke->origin = WIRE_ORIGIN_HTTP;
    invoke->validate = kit->waiting != NULL; /* the read set tells conflicts */
    invoke->method = text_or(request->method, "POST");
    invoke->path = text_or(request->path, "/");
    invoke->query = text_or(request->query, "");
    invoke->body = text_or(request->body, "");
    if (request->body_size > 0) invoke->body.size = request->body_size;
    invoke->headers.count = 0;
    if (request->socket_event) fill_socket(kit, request);
    fill_headers(kit, request->headers);
}

/* One run over a copy of the rows, which serves as the chain that it belongs to. */
static void run_over_rows(struct stead_testkit *kit, struct stead_ctx *ctx, struct wire_invoke *invoke,
                          stead__handler_fn handler, struct wire_result *result)
{
    struct stead__view *view = &ctx->view;
    invoke->id = invoke->chain = ++kit->runs;
    CHECK(stead__view_begin(view, invoke->chain, false, false, NULL) == STATUS_OK);
    stead__chains_merge(&view->chains, view->chain, &kit->rows);
    CHECK(view->chain->id == invoke->chain); /* else the rows exceed BOUND_CHAIN_BYTES_MAX */
    stead__ctx_run(ctx, invoke, handler, result);
}

static void run(struct stead_testkit *kit, stead__handler_fn handler, uint32_t attempt)
{
    kit->invoke.attempt = attempt;
    stead__ctx_reset(&kit->ctx);
    kit->subscriptions = NULL;
    kit->answers = NULL;
    kit->asks = 0;
    run_over_rows(kit, &kit->ctx, &kit->invoke, handler, &kit->result);
}

static void keep_effects(struct stead_testkit *kit, const struct wire_result *result)
{
    if (result->outcome != WIRE_OUTCOME_OK) return;
    apply(kit, result->writes);
    note_effects(kit, result->effects);
}

static void keep_headers(struct stead_testkit *kit)
{
    kit->reply_headers.count = kit->result.headers.count;
    for (size_t i = 0; i < kit->result.headers.count; i++)
    {
        struct wire_header header = kit->result.headers.items[i];
        kit->reply_headers.items[i].name = slice_cstr(stead__arena_text(&kit->reply_arena, header.name));
        kit->reply_headers.items[i].value = slice_cstr(stead__arena_text(&kit->reply_arena, header.value));
    }
}

static int caller_status(const struct wire_result *result)
{
    if (result->outcome == WIRE_OUTCOME_STATUS) return status_http(result->status);
    bool plain_error = result->outcome == WIRE_OUTCOME_ERROR && result->http_status == 200;
    return plain_error ? status_http(STATUS_FUNCTION_ERROR) : (int)result->http_status;
}

/* ---- other functions ---- */

static struct kit_function *function_find(struct stead_testkit *kit, struct slice name)
{
    struct kit_function *function = kit->functions;
    while (function && !slice_is(name, function->name)) function = function->next;
    return function;
}

void stead_testkit_function(struct stead_testkit *kit, const char *name,
                            enum stead_status (*handler)(struct stead_ctx *ctx))
{
    struct kit_function *added = mem_zalloc(sizeof *added);
    *added = (struct kit_function){.next = kit->functions, .name = mem_strdup(name), .handler = handler};
    kit->functions = added;
}

/* The invocation of one function by another one: whole, in a context of its own. What is answered lies in the reply arena. */
static void run_other(struct stead_testkit *kit, const struct kit_function *function, enum wire_origin origin,
                      struct slice entity, struct slice body, struct wire_answer *answer)
{
    struct stead_ctx *ctx = mem_zalloc(sizeof *ctx);
    struct wire_invoke *invoke = mem_zalloc(sizeof *invoke);
    struct wire_result *result = mem_zalloc(sizeof *result);
    struct kit_answer *answers = kit->answers; /* those are not for this one */
    ctx_init(kit, ctx);
    kit->answers = NULL;
    kit->depth++;
    *invoke = (struct wire_invoke){
        .ident = SLICE("00000000000000000000000000.1"),
        .function = slice_cstr(function->name),
        .entity = entity,
        .timeout_ms = 10000,
        .attempt = 1,
        .origin = origin,
        .body = body,
    };
    run_over_rows(kit, ctx, invoke, function->handler, result);
    keep_effects(kit, result);
    kit->depth--;
    kit->answers = answers;
    bool ok = result->outcome == WIRE_OUTCOME_OK;
    answer->http_status = (uint32_t)caller_status(result);
    answer->type = SLICE("text/plain; charset=utf-8");
    for (size_t i = 0; i < result->headers.count; i++)
        if (slice_is(result->headers.items[i].name, "content-type"))
            answer->type = slice_cstr(stead__arena_text(&kit->reply_arena, result->headers.items[i].value));
    answer->status = ok                                       ? STATUS_OK
                     : result->outcome == WIRE_OUTCOME_STATUS ? result->status
                                                              : STATUS_FUNCTION_ERROR;
    answer->failure = slice_cstr(stead__arena_text(&kit->reply_arena, result->failure));
    answer->body = slice_make(stead__arena_text(&kit->reply_arena, result->body), result->body.size);
    stead__ctx_reset(ctx);
    stead__ctx_fini(ctx);
    free(ctx);
    free(invoke);
    free(result);
}

static void call(struct stead_testkit *kit, const struct wire_ask *ask, struct wire_answer *answer)
{
    const struct kit_function *function = function_find(kit, ask->name);
    answer->status = function ? STATUS_CALL_TOO_DEEP : STATUS_FUNCTION_NOT_FOUND;
    answer->failure = function ? SLICE("functions call one another without an end")
                               : SLICE("stead_testkit_function() has not named it");
    if (function && kit->depth < BOUND_CALL_DEPTH_MAX)
        run_other(kit, function, WIRE_ORIGIN_CALL, ask->key, ask->body, answer);
}

size_t stead_testkit_run_sends(struct stead_testkit *kit)
{
    size_t count = 0, offset = 0;
    struct wire_effect send;
    bool found;
    /* What they send is added behind them; so the bytes move, and each is copied before it runs. */
    while (wire_effect_next(buf_view(&kit->sends), &offset, &send, &found, NULL) == STATUS_OK && found)
    {
        const struct kit_function *function = function_find(kit, send.name);
        if (!function) continue;
        struct buf copy = BUF_INIT;
        buf_append(&copy, send.key);
        buf_append(&copy, send.body);
        struct slice all = buf_view(&copy), entity = slice_make(all.data, send.key.size);
        struct wire_answer answer = {.ask = 0};
        run_other(kit, function, WIRE_ORIGIN_SEND, entity,
                  slice_make((const uint8_t *)all.data + send.key.size, send.body.size), &answer);
        buf_fini(&copy);
        count++;
        if (answer.status != STATUS_OK)
            buf_printf(&kit->log, "error: %s failed: %.*s\n", function->name, SLICE_FMT(answer.failure));
    }
    buf_reset(&kit->sends);
    return count;
}

static struct stead_testkit_reply invoke(struct stead_testkit *kit, stead__handler_fn handler)
{
    uint32_t attempts = 0;
    do run(kit, handler, ++attempts);
    while (somebody_interferes(kit));
    keep_effects(kit, &kit->result);
    buf_reset(&kit->arrived);
    keep_headers(kit);
    return (struct stead_testkit_reply){
        .status = kit->result.outcome == WIRE_OUTCOME_OK ? STEAD_OK : kit->ctx.failure.status,
        .http_status = caller_status(&kit->result),
        .failure = stead__arena_text(&kit->reply_arena, kit->result.failure),
        .body = stead__arena_text(&kit->reply_arena, kit->result.body),
        .body_size = kit->result.body.size,
        .attempts = attempts,
    };
}

struct stead_testkit_reply stead_testkit_invoke(struct stead_testkit *kit,
                                                enum stead_status (*handler)(struct stead_ctx *ctx),
                                                const struct stead_testkit_request *request)
{
    stead__arena_reset(&kit->reply_arena);
    fill_invoke(kit, request);
    return invoke(kit, handler);
}

/* ---- messages ---- */

static void encode_message(struct stead_testkit *kit, struct buf *out,
                           const struct stead_testkit_message *message)
{
    struct slice body = text_or(message->body, "");
    if (message->body_size > 0) body.size = message->body_size;
    wire_message_encode(out, &(struct wire_message){
                                 .sequence = ++kit->sequence,
                                 .time_ms = clock_wall_ms(kit->ctx.clock),
                                 .channel = slice_cstr(message->channel),
                                 .key = text_or(message->key, ""),
                                 .type = text_or(message->content_type, "text/plain; charset=utf-8"),
                                 .body = body,
                             });
}

void stead_testkit_publish(struct stead_testkit *kit, const struct stead_testkit_message *message)
{
    encode_message(kit, &kit->arrived, message);
}

struct stead_testkit_reply stead_testkit_deliver(struct stead_testkit *kit,
                                                 enum stead_status (*handler)(struct stead_ctx *ctx),
                                                 const char *entity,
                                                 const struct stead_testkit_message *messages, size_t count)
{
    CHECK(count > 0 && count <= BOUND_BATCH_MESSAGES_MAX);
    stead__arena_reset(&kit->reply_arena);
    buf_reset(&kit->batch);
    for (size_t i = 0; i < count; i++) encode_message(kit, &kit->batch, &messages[i]);
    char number[24];
    snprintf(number, sizeof number, "%zu", count);
    const char *headers[] = {WIRE_HEADER_BATCH, number, NULL};
    fill_invoke(kit, &(struct stead_testkit_request){.entity = entity, .headers = headers, .method = ""});
    kit->invoke.body = buf_view(&kit->batch);
    kit->invoke.origin = WIRE_ORIGIN_CHANNEL;
    return invoke(kit, handler);
}

const char *stead_testkit_header(struct stead_testkit *kit, const char *name)
{
    for (size_t i = 0; i < kit->reply_headers.count; i++)
        if (slice_is(kit->reply_headers.items[i].name, name)) return kit->reply_headers.items[i].value.data;
    return NULL;
}

const char *stead_testkit_log(struct stead_testkit *kit)
{
    return buf_cstr(&kit->log);
}
