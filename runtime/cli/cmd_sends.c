/* cmd_sends.c - what functions sent: what waits, what was given up, and what becomes of that. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"
#include "runtime/cli/output.h"

static void show(const struct cli_line *line, const json_t *answer)
{
    bool dead = cli_option(line, "dead") != NULL;
    static const char *const heads[] = {"DUE", "FUNCTION", "ENTITY", "TRIED", "BYTES", "LAST ERROR", NULL};
    static const char *const dead_heads[] = {"ID",    "DUE",   "FUNCTION",   "ENTITY",
                                             "TRIED", "BYTES", "LAST ERROR", NULL};
    struct table table;
    table_init(&table, dead ? dead_heads : heads);
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(answer, "sends"), index, row)
    {
        char age[32];
        if (dead) table_cell(&table, "%s", answer_text(row, "id"));
        uint64_t due_ms = (uint64_t)answer_number(row, "due_ms");
        table_cell(&table, "%s", due_ms ? output_age(due_ms, age, sizeof age) : "?"); /* damaged */
        table_cell(&table, "%s", answer_text(row, "function"));
        table_cell(&table, "%s", answer_text(row, "entity"));
        table_cell(&table, "%lld", answer_number(row, "attempts"));
        table_cell(&table, "%lld", answer_number(row, "bytes"));
        table_cell(&table, "%s", answer_text(row, "error"));
    }
    table_print(&table);
}

enum cli_exit cmd_sends_ls(struct cli_line *line)
{
    bool dead = cli_option(line, "dead") != NULL;
    unsigned long limit;
    if (!cli_option_number(line, "limit", 100, 10000, &limit)) return EXIT_USAGE;
    struct buf path = BUF_INIT;
    app_path(&path, slice_cstr(line->args[0]), "/sends");
    buf_printf(&path, "?limit=%lu%s", limit, dead ? "&dead=true" : "");
    return answer_show(line, "GET", &path, show);
}

/* "APP ID" means one dead letter, "APP --all" all of them. */
static enum cli_exit move(struct cli_line *line, const char *method, const char *rest,
                          answer_show_fn show_count)
{
    bool all = cli_option(line, "all") != NULL;
    if (all == (line->arg_count > 1))
        return cli_complain(EXIT_USAGE, "say one ID (`stead sends ls %s --dead` lists them) or --all",
                            line->args[0]);
    struct buf path = BUF_INIT;
    app_path(&path, slice_cstr(line->args[0]), rest);
    buf_append_cstr(&path, all ? "?all=true" : "?id=");
    if (!all) client_escape(&path, slice_cstr(line->args[1]), false);
    return answer_show(line, method, &path, show_count);
}

static void show_put_back(const struct cli_line *line, const json_t *answer)
{
    (void)line; /* has nothing to say to it */
    printf("%lld put back\n", answer_number(answer, "count"));
}

static void show_dropped(const struct cli_line *line, const json_t *answer)
{
    (void)line; /* likewise */
    printf("%lld dropped\n", answer_number(answer, "count"));
}

enum cli_exit cmd_sends_retry(struct cli_line *line)
{
    return move(line, "POST", "/sends/retry", show_put_back);
}

enum cli_exit cmd_sends_drop(struct cli_line *line)
{
    return move(line, "DELETE", "/sends", show_dropped);
}
