/* commands.c - the table of all commands: what they take, what their help says. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cli/cli.h"

static const struct cli_option deploy_options[] = {
    {"no-build", 0, NULL, "take the code as it is; do not run `build` of the manifest"},
    {0},
};
static const struct cli_option dev_options[] = {
    {"listen", 0, "HOST:PORT", "where a node that is started here listens (default 127.0.0.1:8080)"},
    {0},
};
static const struct cli_option remove_options[] = {
    {"state", 0, NULL, "delete the app's state too; there is no way back"},
    {0},
};
static const struct cli_option invoke_options[] = {
    {"data", 'd', "X|@FILE|-", "the body: the text X, the content of FILE, or standard input"},
    {"header", 'H', "'NAME: VALUE'", "a header of the request; may be repeated"},
    {"include", 'i', NULL, "show status and headers of the reply before its body"},
    {0},
};
static const struct cli_option ls_options[] = {
    {"limit", 'n', "N", "at most N entities (default 1000)"},
    {0},
};
static const struct cli_option scan_options[] = {
    {"limit", 'n', "N", "at most N rows (default 1000)"},
    {"keys", 'k', NULL, "show no values"},
    {0},
};
static const struct cli_option put_options[] = {
    {"data", 'd', "X|@FILE|-", "the value: the text X, the content of FILE, or standard input (the default)"},
    {0},
};
static const struct cli_option logs_options[] = {
    {"follow", 'f', NULL, "stay and show new lines as they come"},
    {"tail", 'n', "N", "begin with the newest N lines (default 100)"},
    {"function", 0, "NAME", "lines of this function only"},
    {0},
};
static const struct cli_option watch_options[] = {
    {"from", 0, "N", "begin with commit N, as far back as the log reaches (default: what comes from now on)"},
    {"partition", 0, "P", "of this partition only; needed with --from when the app has several"},
    {0},
};
static const struct cli_option tail_options[] = {
    {"follow", 'f', NULL, "stay and show new messages as they come"},
    {"tail", 'n', "N", "begin with the newest N (default 20)"},
    {"from", 0, "OFFSET", "begin there instead"},
    {"partition", 0, "P", "of this partition (default 0)"},
    {0},
};
static const struct cli_option append_options[] = {
    {"data", 'd', "X|@FILE|-", "the body: the text X, the content of FILE, or standard input (the default)"},
    {"key", 'k', "KEY", "messages of one key are consumed in order"},
    {"type", 0, "TYPE", "the content type (default text/plain; charset=utf-8)"},
    {0},
};
static const struct cli_option replay_options[] = {
    {"from", 0, "OFFSET|TIME",
     "where the group goes on: an offset, or 2026-11-24 03:00:00, with Z at its end for UTC"},
    {"partition", 0, "P", "in this partition (default 0)"},
    {0},
};
static const struct cli_option dead_options[] = {
    {"offset", 0, "N", "this letter only (default: all of the group, up to 1000)"},
    {"partition", 0, "P", "in this partition (default 0)"},
    {0},
};
static const struct cli_option restore_options[] = {
    {"time", 't', "TIME", "only commits up to then: 2026-11-24 03:00:00, with Z at its end for UTC"},
    {"app", 0, "APP", "the point is for this app only; the others are restored whole"},
    {"commit", 0, "N", "only commits up to number N of --app"},
    {0},
};
static const struct cli_option sends_options[] = {
    {"dead", 0, NULL, "those that were given up, with their ids"},
    {"limit", 'n', "N", "at most N (default 100)"},
    {0},
};
static const struct cli_option sends_all_options[] = {
    {"all", 0, NULL, "all dead letters of the app (1000 of each partition at a time)"},
    {0},
};
static const struct cli_option sdk_options[] = {
    {"cflags", 0, NULL, "flags to compile a function with"},
    {"include-dir", 0, NULL, "the directory of stead/stead.h"},
    {"testkit-cflags", 0, NULL, "flags to compile a unit test of a function with"},
    {"testkit-libs", 0, NULL, "what to link a unit test of a function with"},
    {0},
};

const struct cli_command cli_commands[] = {
    {"serve", "[OPTION...]", "run a node in this terminal",
     "Everything behind `serve` goes to steadd; `stead serve --help` lists its options.\n"
     "  stead serve --data ./.stead --listen 127.0.0.1:8080\n",
     NULL, 0, CLI_ARGS_MAX, true, cmd_serve},
    {"init", "[DIR/]NAME", "make a new app that builds",
     "Makes the directory NAME with stead.yaml, NAME.c, a Makefile, a unit test and a README.\n"
     "  stead init shop && cd shop && stead dev\n",
     NULL, 1, 1, false, cmd_init},
    {"dev", "[DIR]", "build, deploy, watch the sources, show the logs",
     "Uses the node that answers, else starts one for as long as it runs. Ctrl-C ends it.\n", dev_options, 0,
     1, false, cmd_dev},
    {"deploy", "[DIR]", "build an app and deploy it",
     "DIR has the stead.yaml (default: this directory). The running version is replaced without a failed "
     "request.\n",
     deploy_options, 0, 1, false, cmd_deploy},
    {"apps", "[APP]", "list the apps, or show one with its routes and versions", NULL, NULL, 0, 1, false,
     cmd_apps},
    {"functions", "APP", "list the functions of an app", NULL, NULL, 1, 1, false, cmd_functions},
    {"rollback", "APP [VERSION]", "go back to the version before, or to the one named",
     "State is not touched. The beginning of a version is enough when it is unique.\n", NULL, 1, 2, false,
     cmd_rollback},
    {"remove", "APP", "take an app out of service", "Its state stays unless --state is given.\n",
     remove_options, 1, 1, false, cmd_remove},
    {"invoke", "APP/FUNCTION[/ENTITY]", "run a function and show its reply",
     "  stead invoke counter/hit/page-1\n"
     "  stead invoke bank/transfer -d '{\"to\":\"bob\"}' -H 'content-type: application/json'\n",
     invoke_options, 1, 1, false, cmd_invoke},
    {"state ls", "APP [PREFIX]", "list the entities of an app",
     "Entities whose keys begin with PREFIX, with the number of their rows.\n", ls_options, 1, 2, false,
     cmd_state_ls},
    {"state scan", "APP[/ENTITY] [PREFIX]", "show rows with their values",
     "Rows whose names begin with PREFIX. Without an entity: the rows of all entities.\n"
     "`APP/` means the rows of the app itself, which belong to no entity.\n",
     scan_options, 1, 2, false, cmd_state_scan},
    {"state get", "APP/[ENTITY] NAME", "write the value of a row to standard output, as it is", NULL, NULL, 2,
     2, false, cmd_state_get},
    {"state put", "APP/[ENTITY] NAME", "set the value of a row",
     "Running functions see it at once; those that had read the row run again.\n", put_options, 2, 2, false,
     cmd_state_put},
    {"state rm", "APP/[ENTITY] NAME", "delete a row", NULL, NULL, 2, 2, false, cmd_state_rm},
    {"state export", "APP FILE", "write all rows of an app to a file",
     "One consistent view; the app goes on meanwhile.\n"
     "An app with several partitions gets a directory with one file for each.\n",
     NULL, 2, 2, false, cmd_state_export},
    {"state import", "APP FILE", "put the rows of an exported file",
     "The file is read whole and checked first; nothing of a damaged one is put. Other rows stay as they "
     "are.\n",
     NULL, 2, 2, false, cmd_state_import},
    {"state watch", "APP", "show changes of rows as they are committed", NULL, watch_options, 1, 1, false,
     cmd_state_watch},
    {"channel ls", "APP", "list the channels of an app and how far their groups are", NULL, NULL, 1, 1, false,
     cmd_channel_ls},
    {"channel tail", "APP CHANNEL", "show messages of a durable channel",
     "With --json one object a line.\n"
     "  stead channel tail shop orders -f\n",
     tail_options, 2, 2, false, cmd_channel_tail},
    {"channel append", "APP CHANNEL", "put a message into a durable channel and show its offset",
     "  stead channel append shop orders -k eu/7 -d 'two apples'\n", append_options, 2, 2, false,
     cmd_channel_append},
    {"channel replay", "APP CHANNEL GROUP",
     "let a group consume again from an offset or a time, or skip ahead",
     "What the group has under way ends first. The effects of messages that come again happen again.\n"
     "  stead channel replay shop orders billing --from 0\n",
     replay_options, 3, 3, false, cmd_channel_replay},
    {"channel dead", "ls|retry|drop APP CHANNEL GROUP",
     "list messages that a group gave up, try them again, drop them",
     "  stead channel dead retry shop orders billing --offset 17\n", dead_options, 4, 4, false,
     cmd_channel_dead},
    {"logs", "[APP]", "show what functions logged", NULL, logs_options, 0, 1, false, cmd_logs},
    {"sends ls", "APP", "what functions sent and what has not been done yet", NULL, sends_options, 1, 1,
     false, cmd_sends_ls},
    {"sends retry", "APP [ID]", "put a dead letter back: it is due at once",
     "A send whose function failed 13 times is a dead letter: it stays until somebody looks at it.\n",
     sends_all_options, 1, 2, false, cmd_sends_retry},
    {"sends drop", "APP [ID]", "delete a dead letter", NULL, sends_all_options, 1, 2, false, cmd_sends_drop},
    {"stats", "", "show the figures of the node", NULL, NULL, 0, 0, false, cmd_stats},
    {"usage", "[APP]", "what functions used, by day, and what it costs",
     "The prices are settings of the node: price.per_million_invocations and price.per_gb_second.\n", NULL, 0,
     1, false, cmd_usage},
    {"explain invoke", "APP/FUNCTION[/ENTITY]", "where an invocation would run, and why",
     "  stead explain invoke counter/add/page-1\n", NULL, 1, 1, false, cmd_explain_invoke},
    {"backup", "DIR", "copy the whole node to a directory while it works",
     "Catalog, code and the state of all apps. The next backup into the same DIR only adds what is new, and "
     "a restore can\n"
     "stop at any moment in between. DIR is on the node's machine.\n",
     NULL, 1, 1, false, cmd_backup},
    {"restore", "DIR", "make a data directory from a backup",
     "Into --data, which must not exist or be empty; no node uses it meanwhile.\n"
     "  stead restore /backups/monday --data ./restored\n"
     "  stead restore /backups/monday --data ./restored --time '2026-11-24 03:00'\n",
     restore_options, 1, 1, false, cmd_restore},
    {"explain", "[ERROR]", "what an error means and what to do; without one: list all",
     "Needs no node.\n"
     "  stead explain function_timeout\n",
     NULL, 0, 1, false, cmd_explain},
    {"doctor", "", "what this machine gives: sandbox, limits, disk", NULL, NULL, 0, 0, false, cmd_doctor},
    {"sdk", "", "where the SDK is, for Makefiles",
     "  cc -shared -fPIC -O2 $(stead sdk --cflags) app.c -o app.so\n", sdk_options, 0, 0, false, cmd_sdk},
    {"help", "[COMMAND...]", "this list, or the help of one command", NULL, NULL, 0, 2, false, cmd_help},
    {"version", "", "the version of this program", NULL, NULL, 0, 0, false, cmd_version},
    {0},
};
