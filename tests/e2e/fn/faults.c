/* faults.c - functions that do what no function should, and a few that behave; for the end-to-end tests. */
// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stead/stead.h>

/* ---- well behaved ---- */

STEAD_FUNCTION(echo)
{
    struct stead_bytes body = stead_body(ctx);
    stead_reply_header(ctx, "x-method", stead_method(ctx));
    stead_reply_header(ctx, "x-entity", stead_entity(ctx));
    return stead_reply_bytes(ctx, body.data, body.size);
}

STEAD_FUNCTION(add)
{
    return stead_reply(ctx, "%lld\n", (long long)stead_add(ctx, "count", stead_query_i64(ctx, "by", 1)));
}

STEAD_FUNCTION(get)
{
    return stead_reply(ctx, "%lld\n", (long long)stead_get_i64(ctx, "count", 0));
}

/* Stores the body under the entity. */
STEAD_FUNCTION(store)
{
    struct stead_bytes body = stead_body(ctx);
    return stead_put(ctx, "body", body.data, body.size);
}

/* Takes ?ms= of wall time, then counts. */
STEAD_FUNCTION(slow)
{
    int64_t ms = stead_query_i64(ctx, "ms", 100);
    stead_log(ctx, STEAD_INFO, "slow begins");
    poll(NULL, 0, (int)ms);
    return stead_reply(ctx, "%lld\n", (long long)stead_add(ctx, "count", 1));
}

/* ?ms= of processor time. */
STEAD_FUNCTION(burns)
{
    int64_t ms = stead_query_i64(ctx, "ms", 10);
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    int64_t end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < end);
    return stead_reply(ctx, "burnt\n");
}

STEAD_FUNCTION(pid)
{
    return stead_reply(ctx, "%d\n", (int)getpid());
}

/* ---- badly behaved; each writes first, and nothing of that may be kept ---- */

STEAD_FUNCTION(fails)
{
    stead_add(ctx, "count", 1);
    return stead_fail(ctx, "no price for %s", "tea");
}

STEAD_FUNCTION(rejects)
{
    stead_add(ctx, "count", 1);
    return stead_reject(ctx, 418, "only %s here", "tea");
}

STEAD_FUNCTION(segfaults)
{
    stead_add(ctx, "count", 1);
    stead_log(ctx, STEAD_INFO, "last words");
    *(volatile int *)(uintptr_t)8 = 1;
    return STEAD_OK;
}

STEAD_FUNCTION(aborts)
{
    stead_add(ctx, "count", 1);
    abort();
}

STEAD_FUNCTION(exits)
{
    stead_add(ctx, "count", 1);
    exit(3);
}

STEAD_FUNCTION(loops)
{
    stead_add(ctx, "count", 1);
    for (volatile int i = 0;; i++) continue;
}

/* Deaf to everything that can be ignored. */
STEAD_FUNCTION(loops_deaf)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (int number = 1; number < 32; number++) sigaction(number, &ignore, NULL);
    for (volatile int i = 0;; i++) continue;
}

static int deeper(volatile int more)
{
    volatile char page[65536];
    page[0] = (char)more;
    return more ? deeper(more) + page[0] : 0;
}

STEAD_FUNCTION(overflows)
{
    return stead_reply(ctx, "%d\n", deeper(1));
}

/* As much code out there: malloc is believed never to fail. */
STEAD_FUNCTION(allocates)
{
    stead_add(ctx, "count", 1);
    for (;;)
    {
        void *volatile block = malloc(1 << 20);
        memset(block, 1, 1 << 20);
    }
}

STEAD_FUNCTION(allocates_ours)
{
    stead_add(ctx, "count", 1);
    for (;;) memset(stead_alloc(ctx, 1 << 20), 1, 1 << 20);
}

STEAD_FUNCTION(floods_stdout)
{
    static char block[1 << 20];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 1024; i++)
        for (size_t at = 0; at < sizeof block;)
        {
            ssize_t count = write(STDOUT_FILENO, block + at, sizeof block - at);
            if (count <= 0) return stead_reply(ctx, "stopped\n");
            at += (size_t)count;
        }
    return stead_reply(ctx, "written\n");
}

STEAD_FUNCTION(floods_log)
{
    static char line[3000];
    memset(line, 'y', sizeof line - 1);
    for (int i = 0; i < 20000; i++) stead_log(ctx, STEAD_INFO, "%d %s", i, line);
    return stead_reply(ctx, "logged\n");
}

STEAD_FUNCTION(closes_everything)
{
    for (int fd = 0; fd < 256; fd++) close(fd);
    return stead_reply(ctx, "closed\n");
}

/* Writes rubbish to every descriptor: the daemon's side must not believe it. */
STEAD_FUNCTION(scribbles)
{
    static char rubbish[4096];
    memset(rubbish, 0xee, sizeof rubbish);
    for (int fd = 0; fd < 256; fd++)
        if (write(fd, rubbish, sizeof rubbish) < 0) continue;
    return stead_reply(ctx, "scribbled\n");
}

/* Takes its own zygote along. */
STEAD_FUNCTION(kills_its_parent)
{
    return stead_reply(ctx, kill(getppid(), SIGKILL) == 0 ? "killed\n" : "refused\n");
}

STEAD_FUNCTION(forks)
{
    pid_t child = fork();
    if (child == 0) _exit(0);
    return stead_reply(ctx, child < 0 ? "refused\n" : "forked\n");
}

/* ---- state beyond its limits: ?bytes= ---- */

static char *text_of(struct stead_ctx *ctx, size_t size)
{
    char *text = stead_alloc(ctx, size + 1);
    memset(text, 'k', size);
    return text;
}

STEAD_FUNCTION(long_name)
{
    stead_add(ctx, "count", 1);
    return stead_put_text(ctx, text_of(ctx, (size_t)stead_query_i64(ctx, "bytes", 501)), "x");
}

STEAD_FUNCTION(long_entity)
{
    return stead_put_text_of(ctx, text_of(ctx, (size_t)stead_query_i64(ctx, "bytes", 401)), "n", "x");
}

STEAD_FUNCTION(big_value)
{
    size_t size = (size_t)stead_query_i64(ctx, "bytes", 1);
    stead_add(ctx, "count", 1);
    return stead_put(ctx, "big", text_of(ctx, size), size);
}

STEAD_FUNCTION(many_rows)
{
    int64_t rows = stead_query_i64(ctx, "rows", 1), size = stead_query_i64(ctx, "bytes", 1);
    char *text = text_of(ctx, (size_t)size);
    for (int64_t i = 0; i < rows; i++)
        stead_put(ctx, stead_format(ctx, "row/%lld", (long long)i), text, (size_t)size);
    return stead_reply(ctx, "%lld\n", (long long)rows);
}

STEAD_FUNCTION(not_a_number)
{
    stead_put_text(ctx, "word", "seven");
    stead_add(ctx, "word", 1);
    return STEAD_OK;
}

STEAD_FUNCTION(big_reply)
{
    size_t size = (size_t)stead_query_i64(ctx, "bytes", 1);
    return stead_reply_bytes(ctx, text_of(ctx, size), size);
}
