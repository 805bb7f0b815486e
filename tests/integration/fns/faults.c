/* faults.c - an app whose functions do what functions should not. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

STEAD_FUNCTION(ok)
{
    return stead_reply(ctx, "ok %s", stead_body_text(ctx));
}

STEAD_FUNCTION(pid)
{
    return stead_reply(ctx, "%d", (int)getpid());
}

STEAD_FUNCTION(fails)
{
    return stead_fail(ctx, "no price for %s", "apples");
}

STEAD_FUNCTION(segv)
{
    *(volatile int *)8 = 1;
    return STEAD_OK;
}

STEAD_FUNCTION(aborts)
{
    abort();
}

STEAD_FUNCTION(exits)
{
    exit(3);
}

STEAD_FUNCTION(spins)
{
    for (volatile unsigned long i = 0;; i++) continue;
}

STEAD_FUNCTION(logs_and_spins)
{
    stead_log(ctx, STEAD_INFO, "spinning");
    for (volatile unsigned long i = 0;; i++) continue;
}

/* Does not listen to the polite signal. */
STEAD_FUNCTION(stubborn)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXCPU, &ignore, NULL);
    for (;;) pause();
}

STEAD_FUNCTION(eats)
{
    for (size_t i = 0;; i++)
    {
        char *memory = malloc(1 << 20);
        memset(memory, (int)i, 1 << 20); /* does not look at what malloc says, as it happens */
    }
}

STEAD_FUNCTION(naps)
{
    (void)poll(NULL, 0, 50);
    return stead_reply(ctx, "awake");
}

STEAD_FUNCTION(floods)
{
    char line[1024];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (size_t i = 0; i < (1UL << 30) / sizeof line; i++)
        if (write(1, line, sizeof line) < 0) return stead_fail(ctx, "write: %s", strerror(errno));
    return stead_reply(ctx, "flooded");
}

STEAD_FUNCTION(logs_much)
{
    for (int i = 0; i < 50000; i++) stead_log(ctx, STEAD_INFO, "line %d", i);
    return stead_reply(ctx, "logged");
}

STEAD_FUNCTION(says)
{
    printf("printed\n");
    fprintf(stderr, "complained\n");
    stead_log(ctx, STEAD_WARN, "logged");
    return stead_reply(ctx, "said");
}

/* Asks for a function that the test plays. */
STEAD_FUNCTION(asks)
{
    struct stead_answer answer;
    if (stead_call(ctx, "played", "e", "please", 6, &answer) != STEAD_OK) return STEAD_CALL_FAILED;
    return stead_reply(ctx, "%.*s", STEAD_FMT(answer.body));
}

STEAD_FUNCTION(env)
{
    const char *value = getenv("STEAD_TEST_VALUE");
    return stead_reply(ctx, "%s", value ? value : "(none)");
}

/* Which ways out are open; one word each. */
STEAD_FUNCTION(escapes)
{
    if (getuid() == 0) stead_reply(ctx, "root ");
    if (open("/etc/passwd", O_RDONLY) >= 0) stead_reply(ctx, "open ");
    if (open("/tmp/stead-escape", O_CREAT | O_WRONLY, 0600) >= 0) stead_reply(ctx, "create ");
    if (fork() >= 0) stead_reply(ctx, "fork ");
    if (kill(getppid(), 0) == 0) stead_reply(ctx, "signal ");
    struct stat file;
    for (int fd = 4; fd < 1024; fd++)
        if (fstat(fd, &file) == 0) stead_reply(ctx, "fd%d ", fd);
    return STEAD_OK;
}

/* What a hostile worker may write to its link, by the body. */
STEAD_FUNCTION(lies)
{
    const char *how = stead_body_text(ctx);
    if (strcmp(how, "garbage") == 0)
    {
        char bytes[64];
        memset(bytes, 0x5a, sizeof bytes);
        (void)!write(3, bytes, sizeof bytes);
    }
    else if (strcmp(how, "length") == 0)
        (void)!write(3, "\xff\xff\xff\xff", 4);
    else if (strcmp(how, "empty") == 0)
        (void)!write(3, "\0\0\0\0", 4);
    else if (strcmp(how, "type") == 0)
        (void)!write(3, "\x02\0\0\0\x91\x07", 6);
    else if (strcmp(how, "ready") == 0)
        (void)!write(3, "\x04\0\0\0\x93\x01\x01\x05", 8);
    else if (strcmp(how, "close") == 0)
        close(3);
    for (;;) pause();
}
