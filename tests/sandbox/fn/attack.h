/* attack.h - what hostile functions share: they try one thing and tell what came of it. */
// SPDX-License-Identifier: Apache-2.0
//
// An attack is an expression that is negative when the system refused it, with the reason in errno, as system calls
// are. Where and whom to attack comes with the query: the attacker is assumed to know all paths and process numbers.
#pragma once

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stead/stead.h>

static inline enum stead_status tell(struct stead_ctx *ctx, long got)
{
    int reason = errno;
    if (got < 0) return stead_reply(ctx, "refused %s", strerrorname_np(reason));
    return stead_reply(ctx, "got through: %ld", got);
}

#define ATTACK(name, expression)              \
    STEAD_FUNCTION(name)                      \
    {                                         \
        errno = 0;                            \
        return tell(ctx, (long)(expression)); \
    }

static inline const char *target(struct stead_ctx *ctx)
{
    const char *path = stead_query(ctx, "path");
    return path ? path : "/";
}

static inline pid_t victim(struct stead_ctx *ctx)
{
    return (pid_t)stead_query_i64(ctx, "pid", getppid());
}

/* Descriptors beside stdin, stdout, stderr and the link: none should be there, so an attempt on each is an attempt on
 * whatever was forgotten. The best result of all. */
enum { FIRST_FOREIGN_FD = 4, FDS_TRIED = 1024 };

static inline long on_each_fd(long (*attempt)(int fd))
{
    long best = -1;
    int reason = EBADF;
    for (int fd = FIRST_FOREIGN_FD; fd < FDS_TRIED; fd++)
    {
        errno = EBADF;
        long got = attempt(fd);
        if (got > best) best = got;
        if (got < 0 && errno != EBADF) reason = errno;
    }
    errno = reason;
    return best;
}

/* That the app still works after an attack on itself: a row that counts. */
STEAD_FUNCTION(good)
{
    return stead_reply(ctx, "good %lld", (long long)stead_add(ctx, "good", 1));
}
