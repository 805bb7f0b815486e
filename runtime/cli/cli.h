/* cli.h - what the commands of `stead` share: their table, their arguments, their exit codes. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/slice.h"

/* What the shell sees; `stead help` lists them. */
enum cli_exit {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* the node or the function answered with an error */
    EXIT_USAGE = 2, /* the command line makes no sense */
    EXIT_UNREACHABLE = 3, /* no node answers */
    EXIT_LOCAL = 4, /* something on this side failed: a file, a build */
};

enum { CLI_OPTIONS_MAX = 16, CLI_ARGS_MAX = 256 };

struct cli_line;

struct cli_option {
    const char *name; /* "data" for --data */
    char letter; /* 'd' for -d; 0: none */
    const char *value; /* what it takes, for the help: "DIR"; NULL: it is a switch */
    const char *help;
};

struct cli_command {
    const char *name; /* "deploy", "state ls" */
    const char *synopsis; /* the arguments: "[DIR]" */
    const char *summary; /* one line */
    const char *details; /* more, and examples; may be NULL */
    const struct cli_option *options; /* its own, ended by a NULL name; may be NULL */
    size_t args_min;
    size_t args_max;
    bool raw; /* its arguments are another program's: nothing is parsed */
    enum cli_exit (*run)(struct cli_line *line);
};

/* One parsed command line. */
struct cli_line {
    const struct cli_command *command;
    const char *args[CLI_ARGS_MAX];
    size_t arg_count;
    struct {
        const char *name;
        const char *value; /* "" for switches */
    } given[CLI_ARGS_MAX]; /* options in the order given */
    size_t given_count;
    bool json;
};

/* The value of the last --name given, "" for a switch; NULL when it was not given. */
const char *cli_option(const struct cli_line *line, const char *name);
/* A number in [0, max], or `fallback` when it was not given; says what is wrong and returns false otherwise. */
bool cli_option_number(const struct cli_line *line, const char *name, unsigned long fallback,
                       unsigned long max, unsigned long *number);
/* The node's data directory: --data (unless the command means something else by it), $STEAD_DATA, ./.stead. */
const char *cli_data_dir(const struct cli_line *line);
/* "stead: <words>" to stderr; returns `code`. */
enum cli_exit cli_complain(enum cli_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ended by a NULL name. */
extern const struct cli_command cli_commands[];

/* cmd_serve.c */
enum cli_exit cmd_serve(struct cli_line *line);
/* cmd_init.c */
enum cli_exit cmd_init(struct cli_line *line);
/* cmd_dev.c */
enum cli_exit cmd_dev(struct cli_line *line);
/* cmd_deploy.c */
enum cli_exit cmd_deploy(struct cli_line *line);
/* cmd_apps.c */
enum cli_exit cmd_apps(struct cli_line *line);
enum cli_exit cmd_functions(struct cli_line *line);
enum cli_exit cmd_rollback(struct cli_line *line);
enum cli_exit cmd_remove(struct cli_line *line);
/* cmd_invoke.c */
enum cli_exit cmd_invoke(struct cli_line *line);
enum cli_exit cmd_explain_invoke(struct cli_line *line);
/* cmd_state.c */
enum cli_exit cmd_state_ls(struct cli_line *line);
enum cli_exit cmd_state_get(struct cli_line *line);
enum cli_exit cmd_state_put(struct cli_line *line);
enum cli_exit cmd_state_rm(struct cli_line *line);
enum cli_exit cmd_state_scan(struct cli_line *line);
/* cmd_transfer.c */
enum cli_exit cmd_state_export(struct cli_line *line);
enum cli_exit cmd_state_import(struct cli_line *line);
/* cmd_watch.c */
enum cli_exit cmd_state_watch(struct cli_line *line);
/* cmd_backup.c */
enum cli_exit cmd_backup(struct cli_line *line);
/* cmd_restore.c */
enum cli_exit cmd_restore(struct cli_line *line);
/* cmd_channel.c */
enum cli_exit cmd_channel_ls(struct cli_line *line);
enum cli_exit cmd_channel_tail(struct cli_line *line);
enum cli_exit cmd_channel_append(struct cli_line *line);
enum cli_exit cmd_channel_replay(struct cli_line *line);
enum cli_exit cmd_channel_dead(struct cli_line *line);
/* cmd_logs.c */
enum cli_exit cmd_logs(struct cli_line *line);
/* cmd_sends.c */
enum cli_exit cmd_sends_ls(struct cli_line *line);
enum cli_exit cmd_sends_retry(struct cli_line *line);
enum cli_exit cmd_sends_drop(struct cli_line *line);
/* cmd_stats.c */
enum cli_exit cmd_stats(struct cli_line *line);
/* cmd_usage.c */
enum cli_exit cmd_usage(struct cli_line *line);
/* cmd_explain.c */
enum cli_exit cmd_explain(struct cli_line *line);
/* cmd_doctor.c */
enum cli_exit cmd_doctor(struct cli_line *line);
/* cmd_sdk.c */
enum cli_exit cmd_sdk(struct cli_line *line);
/* main.c */
enum cli_exit cmd_help(struct cli_line *line);
enum cli_exit cmd_version(struct cli_line *line);
