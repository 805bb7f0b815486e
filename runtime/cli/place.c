/* place.c - targets, files, and the directories around this program. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cli/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct target target_split(const char *text)
{
    const char *slash = strchr(text, '/');
    if (!slash) return (struct target){.app = slice_cstr(text)};
    return (struct target){slice_make(text, (size_t)(slash - text)), slice_cstr(slash + 1), true};
}

static bool stream_read(FILE *file, const char *name, size_t max, struct buf *content)
{
    enum { CHUNK = 64 * 1024 };
    size_t got;
    do
    {
        got = fread(buf_reserve(content, CHUNK), 1, CHUNK, file);
        content->size += got;
        if (content->size > max)
        {
            (void)cli_complain(EXIT_LOCAL, "%s has more than %zu bytes", name, max);
            return false;
        }
    } while (got > 0);
    if (!ferror(file)) return true;
    (void)cli_complain(EXIT_LOCAL, "read %s: %s", name, strerror(errno));
    return false;
}

bool file_read(const char *path, size_t max, struct buf *content)
{
    FILE *file = fopen(path, "rb");
    if (!file)
    {
        (void)cli_complain(EXIT_LOCAL, "open %s: %s", path, strerror(errno));
        return false;
    }
    bool done = stream_read(file, path, max, content);
    fclose(file);
    return done;
}

bool data_read(const char *argument, size_t max, struct buf *content)
{
    if (strcmp(argument, "-") == 0) return stream_read(stdin, "standard input", max, content);
    if (argument[0] == '@') return file_read(argument + 1, max, content);
    buf_append_cstr(content, argument);
    return true;
}

/* The directory of this program's file, without a slash at its end. */
static void program_dir(struct buf *path)
{
    char own[4096];
    ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
    while (size > 0 && own[size - 1] != '/') size--;
    if (size > 1)
        buf_append(path, slice_make(own, (size_t)size - 1));
    else
        buf_append_cstr(path, ".");
}

void program_beside(struct buf *path, const char *name)
{
    program_dir(path);
    buf_printf(path, "/%s", name);
}

/* A directory beside the one of this program, when it has `file`; else NULL. The caller frees it. */
static char *dir_beside(const char *dir, const char *file)
{
    struct buf path = BUF_INIT;
    program_dir(&path);
    buf_printf(&path, "/../%s", dir);
    char *found = realpath(buf_cstr(&path), NULL);
    buf_printf(&path, "/%s", file);
    if (found && access(buf_cstr(&path), R_OK) != 0)
    {
        free(found);
        found = NULL;
    }
    buf_fini(&path);
    return found;
}

void sdk_place_find(struct sdk_place *place)
{
    place->owned[0] = dir_beside("include", "stead/stead.h");
    place->owned[1] = dir_beside(STEAD_LIB_DIR, "libstead-testkit.so");
    bool installed = place->owned[0] != NULL;
    place->include = installed ? place->owned[0] : STEAD_BUILD_INCLUDE_DIR;
    place->testkit_include = installed ? place->owned[0] : STEAD_BUILD_TESTKIT_INCLUDE_DIR;
    place->testkit_lib = place->owned[1] ? place->owned[1] : STEAD_BUILD_TESTKIT_LIB_DIR;
}

void sdk_place_fini(struct sdk_place *place)
{
    free(place->owned[0]);
    free(place->owned[1]);
}

/* "2026-11-24 03:00", with seconds, with `T`, with `Z` for UTC; else milliseconds since 1970. */
bool time_parse(const char *text, uint64_t *wall_ms)
{
    static const char *const forms[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M",
                                        "%Y-%m-%dT%H:%M"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
    {
        struct tm parts = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &parts);
        bool utc = end && strcmp(end, "Z") == 0;
        if (!end || (*end && !utc)) continue;
        time_t seconds = utc ? timegm(&parts) : mktime(&parts);
        if (seconds < 0) return false;
        *wall_ms = (uint64_t)seconds * 1000;
        return true;
    }
    char *end;
    *wall_ms = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == 0 && *wall_ms > 0;
}
