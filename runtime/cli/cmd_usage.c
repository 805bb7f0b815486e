/* cmd_usage.c - what functions used, by day, and what it costs. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"
#include "runtime/cli/output.h"

/* What a bill and a look at it need; --json has every meter. */
static void show(const struct cli_line *line, const json_t *answer)
{
    (void)line; /* has nothing to say to it */
    const json_t *prices = json_object_get(answer, "prices");
    bool priced = json_number_value(json_object_get(prices, "per_million_invocations")) > 0 ||
                  json_number_value(json_object_get(prices, "per_gb_second")) > 0;
    static const char *const heads[] = {"DAY",     "APP",    "FUNCTION", "RUNS",     "FAILED", "COLD",
                                        "WALL ms", "CPU ms", "PEAK MB",  "ROWS R/W", "GB s",   NULL};
    static const char *const priced_heads[] = {"DAY",  "APP",     "FUNCTION", "RUNS",    "FAILED",
                                               "COLD", "WALL ms", "CPU ms",   "PEAK MB", "ROWS R/W",
                                               "GB s", "PRICE",   NULL};
    struct table table;
    table_init(&table, priced ? priced_heads : heads);
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(answer, "usage"), index, row)
    {
        table_cell(&table, "%s", answer_text(row, "day"));
        table_cell(&table, "%s", answer_text(row, "app"));
        table_cell(&table, "%s", answer_text(row, "function"));
        table_cell(&table, "%lld", answer_number(row, "invocations"));
        table_cell(&table, "%lld", answer_number(row, "failures"));
        table_cell(&table, "%lld", answer_number(row, "cold"));
        table_cell(&table, "%lld", answer_number(row, "wall_us") / 1000);
        table_cell(&table, "%lld", answer_number(row, "cpu_us") / 1000);
        table_cell(&table, "%.1f", (double)answer_number(row, "peak_kib") / 1024);
        table_cell(&table, "%lld/%lld", answer_number(row, "rows_read"), answer_number(row, "rows_written"));
        table_cell(&table, "%.3f", json_number_value(json_object_get(row, "gb_seconds")));
        if (priced) table_cell(&table, "%.4f", json_number_value(json_object_get(row, "price")));
    }
    table_print(&table);
}

enum cli_exit cmd_usage(struct cli_line *line)
{
    struct buf path = BUF_INIT;
    buf_append_cstr(&path, "/v1/usage");
    if (line->arg_count > 0)
    {
        buf_append_cstr(&path, "?app=");
        client_escape(&path, slice_cstr(line->args[0]), false);
    }
    return answer_show(line, "GET", &path, show);
}
