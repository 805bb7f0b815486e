/* cmd_deploy.h - build and upload an app: shared by `deploy` and `dev`. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jansson.h>

#include "runtime/catalog/manifest.h"
#include "runtime/cli/cli.h"

/* An app's directory: its manifest, read and checked. */
struct app_dir {
    const char *dir;
    struct manifest *manifest;
    struct slice text; /* owned */
};

/* Says what is wrong and returns another code than EXIT_DONE. */
enum cli_exit app_dir_open(struct app_dir *app, const char *dir);
void app_dir_close(struct app_dir *app);
/* Runs `build` of the manifest in the directory; its output goes to stderr. */
enum cli_exit app_dir_build(const struct app_dir *app);
/* Sends manifest and code; *json is what the node answered. */
enum cli_exit app_dir_upload(const struct cli_line *line, const struct app_dir *app, json_t **json);
/* What was deployed, for people or as JSON. */
void app_dir_report(const struct cli_line *line, const json_t *json);
