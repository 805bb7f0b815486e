/* cmd_usage.c - what functions used, by day, and what it costs. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/cli/client.h"
#include "runtime/cli/output.h"

static long long number(const json_t *row, const char *name)
{
    return (long long)json_integer_value(json_object_get(row, name));
}

/* What a bill and a look at it need; --json has every meter. */
static void show(const json_t *rows, bool priced)
{
    static const char *const heads[] = {"DAY",     "APP",    "FUNCTION", "RUNS",     "FAILED", "COLD",
                                        "WALL ms", "CPU ms", "PEAK MB",  "ROWS R/W", "GB s",   NULL};
    static const char *const priced_heads[] = {"DAY",  "APP",     "FUNCTION", "RUNS",    "FAILED",
                                               "COLD", "WALL ms", "CPU ms",   "PEAK MB", "ROWS R/W",
                                               "GB s", "PRICE",   NULL};
    struct table table;
    table_init(&table, priced ? priced_heads : heads);
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        table_cell(&table, "%s", json_string_value(json_object_get(row, "day")));
        table_cell(&table, "%s", json_string_value(json_object_get(row, "app")));
        table_cell(&table, "%s", json_string_value(json_object_get(row, "function")));
        table_cell(&table, "%lld", number(row, "invocations"));
        table_cell(&table, "%lld", number(row, "failures"));
        table_cell(&table, "%lld", number(row, "cold"));
        table_cell(&table, "%lld", number(row, "wall_us") / 1000);
        table_cell(&table, "%lld", number(row, "cpu_us") / 1000);
        table_cell(&table, "%.1f", (double)number(row, "peak_kib") / 1024);
        table_cell(&table, "%lld/%lld", number(row, "rows_read"), number(row, "rows_written"));
        table_cell(&table, "%.3f", json_number_value(json_object_get(row, "gb_seconds")));
        if (priced) table_cell(&table, "%.4f", json_number_value(json_object_get(row, "price")));
    }
    table_print(&table);
}

enum cli_exit cmd_usage(struct cli_line *line)
{
    struct buf path = BUF_INIT;
    json_t *json;
    buf_append_cstr(&path, "/v1/usage");
    if (line->arg_count > 0)
    {
        buf_append_cstr(&path, "?app=");
        client_escape(&path, slice_cstr(line->args[0]), false);
    }
    enum cli_exit code =
        client_json(line, &(struct client_request){.method = "GET", .path = buf_cstr(&path)}, &json);
    buf_fini(&path);
    if (code != EXIT_DONE) return code;
    const json_t *prices = json_object_get(json, "prices");
    bool priced = json_number_value(json_object_get(prices, "per_million_invocations")) > 0 ||
                  json_number_value(json_object_get(prices, "per_gb_second")) > 0;
    if (line->json)
        output_json(json);
    else
        show(json_object_get(json, "usage"), priced);
    json_decref(json);
    return EXIT_DONE;
}
