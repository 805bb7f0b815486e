/* place.h - where things are: APP/FUNCTION/ENTITY on the command line, files, and this program's own surroundings. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/buf.h"
#include "runtime/cli/cli.h"

/* "app/function/entity with / in it" taken apart; what is not there is empty. */
struct target {
    struct slice app;
    struct slice rest; /* behind the first slash */
    bool has_rest; /* there was a slash */
};
struct target target_split(const char *text);

/* Reads a whole file, at most `max` bytes; says what is wrong and returns false otherwise. */
bool file_read(const char *path, size_t max, struct buf *content);
/* What -d means: the text itself, @FILE, or - for standard input. Says what is wrong and returns false otherwise. */
bool data_read(const char *argument, size_t max, struct buf *content);

/* "2026-11-24 03:00:00", local time, or with a Z at its end UTC; the seconds, or all of the time, may be left out. */
bool time_parse(const char *text, uint64_t *wall_ms);

/* Appends the path of the program `name` beside this one. */
void program_beside(struct buf *path, const char *name);
/* The SDK's directories: of the installation that this program is part of, else of the build tree. */
struct sdk_place {
    const char *include; /* has stead/stead.h */
    const char *testkit_include; /* has stead/testkit.h */
    const char *testkit_lib; /* has libstead-testkit.so */
    char *owned[2];
};
void sdk_place_find(struct sdk_place *place);
void sdk_place_fini(struct sdk_place *place);
