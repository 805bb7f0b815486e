/* cmd_sends.c - what functions sent: what waits, what was given up, and what becomes of that. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/cli/client.h"
#include "runtime/cli/output.h"

static void sends_path(struct buf *path, const char *app, const char *rest)
{
    buf_append_cstr(path, "/v1/apps/");
    client_escape(path, slice_cstr(app), false);
    buf_printf(path, "/sends%s", rest);
}

static const char *text(const json_t *row, const char *name)
{
    const char *value = json_string_value(json_object_get(row, name));
    return value ? value : "";
}

static void show(const json_t *rows, bool dead)
{
    static const char *const heads[] = {"DUE", "FUNCTION", "ENTITY", "TRIED", "BYTES", "LAST ERROR", NULL};
    static const char *const dead_heads[] = {"ID",    "DUE",   "FUNCTION",   "ENTITY",
                                             "TRIED", "BYTES", "LAST ERROR", NULL};
    struct table table;
    table_init(&table, dead ? dead_heads : heads);
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        char age[32];
        if (dead) table_cell(&table, "%s", text(row, "id"));
        table_cell(&table, "%s",
                   output_age((uint64_t)json_integer_value(json_object_get(row, "due_ms")), age, sizeof age));
        table_cell(&table, "%s", text(row, "function"));
        table_cell(&table, "%s", text(row, "entity"));
        table_cell(&table, "%lld", (long long)json_integer_value(json_object_get(row, "attempts")));
        table_cell(&table, "%lld", (long long)json_integer_value(json_object_get(row, "bytes")));
        table_cell(&table, "%s", text(row, "error"));
    }
    table_print(&table);
}

enum cli_exit cmd_sends_ls(struct cli_line *line)
{
    bool dead = cli_option(line, "dead") != NULL;
    unsigned long limit;
    if (!cli_option_number(line, "limit", 100, 10000, &limit)) return EXIT_USAGE;
    struct buf path = BUF_INIT;
    json_t *json;
    sends_path(&path, line->args[0], "");
    buf_printf(&path, "?limit=%lu%s", limit, dead ? "&dead=true" : "");
    enum cli_exit code =
        client_json(line, &(struct client_request){.method = "GET", .path = buf_cstr(&path)}, &json);
    buf_fini(&path);
    if (code != EXIT_DONE) return code;
    if (line->json)
        output_json(json);
    else
        show(json_object_get(json, "sends"), dead);
    json_decref(json);
    return EXIT_DONE;
}

/* "APP ID" means one dead letter, "APP --all" all of them. */
static enum cli_exit move(struct cli_line *line, const char *method, const char *rest, const char *done)
{
    bool all = cli_option(line, "all") != NULL;
    if (all == (line->arg_count > 1))
        return cli_complain(EXIT_USAGE, "say one ID (`stead sends ls %s --dead` lists them) or --all",
                            line->args[0]);
    struct buf path = BUF_INIT;
    json_t *json;
    sends_path(&path, line->args[0], rest);
    buf_append_cstr(&path, all ? "?all=true" : "?id=");
    if (!all) client_escape(&path, slice_cstr(line->args[1]), false);
    enum cli_exit code =
        client_json(line, &(struct client_request){.method = method, .path = buf_cstr(&path)}, &json);
    buf_fini(&path);
    if (code != EXIT_DONE) return code;
    if (line->json)
        output_json(json);
    else
        printf("%lld %s\n", (long long)json_integer_value(json_object_get(json, "count")), done);
    json_decref(json);
    return EXIT_DONE;
}

enum cli_exit cmd_sends_retry(struct cli_line *line)
{
    return move(line, "POST", "/retry", "put back");
}

enum cli_exit cmd_sends_drop(struct cli_line *line)
{
    return move(line, "DELETE", "", "dropped");
}
