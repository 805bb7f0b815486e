/* calls.c - functions that call and send to each other. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

STEAD_FUNCTION(get)
{
    return stead_reply(ctx, "%lld", (long long)stead_get_i64(ctx, "n", 0));
}

STEAD_FUNCTION(add)
{
    return stead_reply(ctx, "%lld", (long long)stead_add(ctx, "n", stead_query_i64(ctx, "by", 1)));
}

STEAD_FUNCTION(fails)
{
    stead_add(ctx, "n", 1);
    return stead_reject(ctx, 418, "no coffee for %s", stead_entity(ctx));
}

STEAD_FUNCTION(crashes)
{
    *(volatile int *)8 = 1;
    return STEAD_OK;
}

STEAD_FUNCTION(writes_and_crashes)
{
    stead_add(ctx, "n", 1);
    if (strcmp(stead_origin(ctx), "call") == 0 && !stead_call(ctx, "add", "elsewhere", NULL, 0, NULL))
        *(volatile int *)8 = 1;
    return STEAD_OK;
}

/* Two or three seconds, unless it is ended before. */
STEAD_FUNCTION(dawdles)
{
    stead_add(ctx, "n", 1);
    for (time_t end = time(NULL) + 2; time(NULL) <= end;)
    {
    }
    return stead_reply(ctx, "late");
}

STEAD_FUNCTION(calls_with_much)
{
    size_t size = (size_t)stead_query_i64(ctx, "size", 0);
    void *much = calloc(1, size);
    enum stead_status status = stead_call(ctx, "get", "x", much, size, NULL);
    free(much);
    return status;
}

STEAD_FUNCTION(spins)
{
    for (;;)
    {
    }
}

/* Calls the function of its query for the entity of its query, with its body. */
static enum stead_status pass_on(struct stead_ctx *ctx)
{
    struct stead_answer answer;
    const char *entity = stead_query(ctx, "entity");
    struct stead_bytes body = stead_body(ctx);
    if (stead_call(ctx, stead_query(ctx, "function"), entity ? entity : STEAD_APP, body.data, body.size,
                   &answer) != STEAD_OK)
        return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%.*s", STEAD_FMT(answer.body));
}

STEAD_FUNCTION(calls)
{
    return pass_on(ctx);
}

/* The same with little time. */
STEAD_FUNCTION(hurries)
{
    return pass_on(ctx);
}

/* Writes, then reads the same row by a call: sees what was committed, and nothing of its own. */
STEAD_FUNCTION(sees)
{
    struct stead_answer before, after;
    stead_put_i64(ctx, "own", 99);
    if (stead_call(ctx, "get", "seen", NULL, 0, &before) != STEAD_OK) return STEAD_CALL_FAILED;
    if (stead_call(ctx, "add", "seen", NULL, 0, NULL) != STEAD_OK) return STEAD_CALL_FAILED;
    if (stead_call(ctx, "get", "seen", NULL, 0, &after) != STEAD_OK) return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%.*s then %.*s", STEAD_FMT(before.body), STEAD_FMT(after.body));
}

/* Adds to a row that others change, and calls: when it runs again the call is not done twice. */
STEAD_FUNCTION(contends)
{
    stead_add_of(ctx, "hot", "n", 1);
    if (stead_call(ctx, "add", "called", NULL, 0, NULL) != STEAD_OK) return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%u", stead_attempt(ctx));
}

STEAD_FUNCTION(fans_out)
{
    struct stead_call calls[64];
    for (int i = 0; i < 64; i++)
        calls[i] = (struct stead_call){.function = "add", .entity = stead_format(ctx, "fan/%d", i % 8)};
    if (stead_call_all(ctx, calls, 64) != STEAD_OK) return STEAD_CALL_FAILED;
    long long total = 0;
    for (int i = 0; i < 64; i++)
        total += strtoll(stead_format(ctx, "%.*s", STEAD_FMT(calls[i].answer.body)), NULL, 10);
    return stead_reply(ctx, "%lld", total);
}

/* Sends as many adds to an entity as its query says, then fails when it says so. */
STEAD_FUNCTION(sends)
{
    const char *to = stead_query(ctx, "to");
    for (int64_t i = stead_query_i64(ctx, "count", 1); i > 0; i--) stead_send(ctx, "add", to, NULL, 0);
    int64_t later_ms = stead_query_i64(ctx, "later_ms", 0);
    if (later_ms) stead_send_at(ctx, stead_now_ms(ctx) + later_ms, "add", to, NULL, 0);
    stead_add(ctx, "sent", 1);
    if (stead_query(ctx, "fail")) return stead_fail(ctx, "after it has sent");
    return STEAD_OK;
}

STEAD_FUNCTION(sends_to_fail)
{
    stead_send(ctx, "fails", "tea", "please", 6);
    return STEAD_OK;
}

STEAD_FUNCTION(sends_to_nobody)
{
    stead_send(ctx, "nobody", "x", NULL, 0);
    return STEAD_OK;
}
