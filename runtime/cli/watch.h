/* watch.h - changes of source files below a directory, by inotify. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

struct watch;

/* Watches `dir` and the directories below it, hidden ones and `build` left out. NULL: says why. */
struct watch *watch_open(const char *dir);
void watch_close(struct watch *watch);
/* Becomes readable when something has happened. */
int watch_fd(const struct watch *watch);
/* Reads what has happened; true when a source file was among it (C, C++, headers, stead.yaml, build files). */
bool watch_read(struct watch *watch);
