/* functions.c - what the benches of workers call: nothing, a wait, work. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>
#include <time.h>

STEAD_FUNCTION(nothing)
{
    return stead_reply(ctx, "ok\n");
}

/* ?ms=N: as one that waits for somebody else. */
STEAD_FUNCTION(wait)
{
    int64_t ms = stead_query_i64(ctx, "ms", 20);
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
    return stead_reply(ctx, "ok\n");
}

/* ?us=N of processor time, however long that takes on a busy machine. */
STEAD_FUNCTION(work)
{
    int64_t us = stead_query_i64(ctx, "us", 5000), spent;
    struct timespec began, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
    do
    {
        for (volatile int i = 0; i < 1000; i++) continue;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        spent = (now.tv_sec - began.tv_sec) * 1000000 + (now.tv_nsec - began.tv_nsec) / 1000;
    } while (spent < us);
    return stead_reply(ctx, "ok\n");
}
