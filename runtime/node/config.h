/* config.h - the node's settings: from the table, a file, then flags; later ones win. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "runtime/base/bounds.h"
#include "runtime/base/err.h"

enum { CONFIG_TEXT_MAX = 1024 };

struct config {
#define SETTING_TEXT(field, name, fallback, text) char field[CONFIG_TEXT_MAX];
#define SETTING_NUMBER(field, name, fallback, min, max, text) uint64_t field;
#define SETTING_SWITCH(field, name, fallback, text) bool field;
#include "runtime/node/config.def"
#undef SETTING_TEXT
#undef SETTING_NUMBER
#undef SETTING_SWITCH
};

/* The defaults. */
void config_init(struct config *config);
/* Sets one by name. CONFIG_INVALID: unknown name, or a value which is not allowed. */
MUST_CHECK enum status config_set(struct config *config, const char *name, const char *value,
                                  struct err *err);
/* A file of `name: value` lines; # begins a comment. CONFIG_INVALID names file, line and setting. */
MUST_CHECK enum status config_read(struct config *config, const char *path, struct err *err);
/* Command line: --name value, --name=value, --name for switches, --config FILE. `help` is set when asked for. */
MUST_CHECK enum status config_parse(struct config *config, int argc, char **argv, bool *help,
                                    struct err *err);
/* The settings, a line each. */
void config_help(FILE *out);
