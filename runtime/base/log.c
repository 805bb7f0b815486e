/* log.c - formats one line into a stack buffer and writes it with one call, so that lines never mix. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int level_min = LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_level_set(enum log_level level)
{
    atomic_store(&level_min, (int)level);
}

bool log_level_from_name(const char *name, enum log_level *level)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
    {
        if (strcmp(name, level_names[i]) == 0)
        {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed)) return;
    char line[2048];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    gmtime_r(&now.tv_sec, &utc);
    size_t size = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    size += (size_t)snprintf(line + size, sizeof line - size, ".%03ldZ %-5s %s ", now.tv_nsec / 1000000,
                             level_names[level], event);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + size, sizeof line - size - 1, format, args);
    va_end(args);
    if (more > 0) size += (size_t)more;
    if (size > sizeof line - 2) size = sizeof line - 2;
    /* What peers and users sent may be in it: it can neither begin a line of its own nor steer a terminal. */
    for (size_t i = 0; i < size; i++)
    {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) line[i] = '?';
    }
    line[size++] = '\n';
    /* A log that cannot be written has nowhere to be reported. */
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written;
}
