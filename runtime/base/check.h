/* check.h - assertions that stay on in release: a programmer's error stops the process. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

/* Prints the place and aborts. Never returns. */
__attribute__((noreturn, cold)) void check_failed(const char *file, int line, const char *what);

/* Only for what our own code guarantees; what comes from outside is validated, never asserted. */
#define CHECK(condition)                                                                     \
    do                                                                                       \
    {                                                                                        \
        if (__builtin_expect(!(condition), 0)) check_failed(__FILE__, __LINE__, #condition); \
    } while (0)

/* The same for conditions that cost; compiled out of release builds. */
#ifdef NDEBUG
#define DCHECK(condition)        \
    do                           \
    {                            \
        (void)sizeof(condition); \
    } while (0)
#else
#define DCHECK(condition) CHECK(condition)
#endif

#define UNREACHABLE(why) check_failed(__FILE__, __LINE__, "unreachable: " why)
