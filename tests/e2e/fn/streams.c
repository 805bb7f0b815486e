/* streams.c - functions that stream their replies, for the tests. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <stead/stead.h>

/* ?n lines, one piece each; counts itself in "done" when somebody was there until the end. */
STEAD_FUNCTION(count)
{
    int64_t n = stead_query_i64(ctx, "n", 3);
    stead_reply_status(ctx, 201);
    stead_reply_header(ctx, "x-kind", "count");
    for (int64_t i = 1; i <= n; i++)
        if (stead_stream_text(ctx, "%lld\n", (long long)i) != STEAD_OK) return STEAD_FAILED;
    stead_add(ctx, "done", 1);
    return stead_reply(ctx, "end\n");
}

/* Pieces of 64 KiB until ?n have been sent, or the client is gone, which is counted. */
STEAD_FUNCTION(flood)
{
    static char piece[65536];
    memset(piece, 'x', sizeof piece);
    int64_t n = stead_query_i64(ctx, "n", 1000);
    enum stead_status status = STEAD_OK;
    for (int64_t i = 0; i < n && status == STEAD_OK; i++) status = stead_stream(ctx, piece, sizeof piece);
    if (status != STEAD_CLIENT_GONE) return status;
    stead_failure_clear(ctx);
    stead_add(ctx, "gone", 1);
    return STEAD_OK;
}

STEAD_FUNCTION(events)
{
    stead_event(ctx, NULL, "1", "one\ntwo");
    stead_event(ctx, "price", "2", "42");
    return STEAD_OK;
}

/* Fails after its first piece, in the way that ?how says. */
STEAD_FUNCTION(breaks)
{
    const char *how = stead_query(ctx, "how");
    stead_add(ctx, "kept", 1);
    stead_stream_text(ctx, "begun\n");
    if (how && strcmp(how, "crash") == 0) abort();
    if (how && strcmp(how, "status") == 0) return stead_reply_status(ctx, 404);
    return stead_fail(ctx, "enough");
}

/* Streams, then waits for another invocation to change what it had read; its commit must conflict. */
STEAD_FUNCTION(conflicts)
{
    int64_t before = stead_get_i64(ctx, "n", 0);
    stead_stream_text(ctx, "read %lld\n", (long long)before);
    stead_call(ctx, "bump", STEAD_APP, NULL, 0, NULL);
    return stead_put_i64(ctx, "n", before + 100);
}

STEAD_FUNCTION(bump)
{
    return stead_reply(ctx, "%lld\n", (long long)stead_add(ctx, "n", 1));
}

STEAD_FUNCTION(get)
{
    return stead_reply(ctx, "%lld\n", (long long)stead_get_i64(ctx, stead_query(ctx, "name"), 0));
}

/* Calls a function that streams: its reply comes whole. */
STEAD_FUNCTION(asks)
{
    struct stead_answer answer;
    if (stead_call(ctx, "count", STEAD_APP, NULL, 0, &answer) != STEAD_OK) return STEAD_FAILED;
    return stead_reply(ctx, "[%.*s]", STEAD_FMT(answer.body));
}
