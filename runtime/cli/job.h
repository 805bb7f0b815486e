/* job.h - long operations of a node, followed: progress on the terminal, the result at the end. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "runtime/cli/cli.h"

/* Posts to `path` and shows the progress that the node streams. EXIT_DONE: *done is the caller's. */
enum cli_exit job_follow(const struct cli_line *line, const char *path, json_t **done);
/* One line that overwrites itself, when standard error is a terminal; nothing else. */
void job_show(const char *step, uint64_t done_bytes, uint64_t total_bytes);
/* Clears that line. */
void job_show_end(void);
/* Appends the absolute path of what may not exist yet. */
struct buf;
void job_absolute(struct buf *out, const char *path);
