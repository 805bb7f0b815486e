/* answer.h - what most commands do: ask the node about an app, and show its answer as JSON or in words. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jansson.h>

#include "runtime/base/buf.h"
#include "runtime/cli/cli.h"

/* Appends "/v1/apps/APP" and `rest`, which is encoded already. */
void app_path(struct buf *path, struct slice app, const char *rest);

/* Asks without a body; an error is shown. `path` is taken. *json is the caller's, who decrefs it. */
enum cli_exit answer_get(const struct cli_line *line, const char *method, struct buf *path, json_t **json);
/* And shows the answer: as it is with --json, else by `show` (NULL: it says nothing that a person wants to see). */
typedef void (*answer_show_fn)(const struct cli_line *line, const json_t *answer);
enum cli_exit answer_show(const struct cli_line *line, const char *method, struct buf *path,
                          answer_show_fn show);
/* The end of that, for answers that came another way; takes the answer. */
enum cli_exit answer_end(const struct cli_line *line, json_t *answer, answer_show_fn show);

/* A field of an object; "" and 0 when there is none. */
const char *answer_text(const json_t *object, const char *name);
long long answer_number(const json_t *object, const char *name);
