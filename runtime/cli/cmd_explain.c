/* cmd_explain.c - the table of statuses, for people. */
// SPDX-License-Identifier: Apache-2.0
#include <jansson.h>
#include <stdio.h>

#include "runtime/base/status.h"
#include "runtime/base/suggest.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/output.h"

static json_t *as_json(enum status status)
{
    return json_pack("{s:s, s:i, s:b, s:s, s:s}", "code", status_code(status), "http", status_http(status),
                     "retryable", status_retryable(status), "text", status_text(status), "hint",
                     status_hint(status));
}

static void show_one(const struct cli_line *line, enum status status)
{
    if (line->json)
    {
        json_t *json = as_json(status);
        output_json(json);
        json_decref(json);
        return;
    }
    printf("%s: %s.\n%s%sHTTP %d; the same request %s.\n", status_code(status), status_text(status),
           status_hint(status), *status_hint(status) ? "\n" : "", status_http(status),
           status_retryable(status) ? "may succeed later without a change" : "will fail again");
}

static void show_all(const struct cli_line *line)
{
    json_t *list = json_array();
    struct table table;
    table_init(&table, (const char *[]){"ERROR", "HTTP", "MEANING", NULL});
    for (int i = STATUS_OK + 1; i < STATUS_COUNT; i++)
    {
        json_array_append_new(list, as_json((enum status)i));
        table_cell(&table, "%s", status_code((enum status)i));
        table_cell(&table, "%d", status_http((enum status)i));
        table_cell(&table, "%s", status_text((enum status)i));
    }
    if (line->json)
        output_json(list);
    else
        table_print(&table);
    table_fini(&table);
    json_decref(list);
}

enum cli_exit cmd_explain(struct cli_line *line)
{
    enum status status;
    if (line->arg_count == 0)
        show_all(line);
    else if (status_from_code(line->args[0], &status) && status != STATUS_OK)
        show_one(line, status);
    else
    {
        const char *words[STATUS_COUNT + 1] = {NULL};
        for (int i = STATUS_OK + 1; i < STATUS_COUNT; i++) words[i - 1] = status_code((enum status)i);
        const char *near = suggest_word(slice_cstr(line->args[0]), words);
        if (near)
            return cli_complain(EXIT_USAGE, "there is no error `%s`; did you mean `%s`?", line->args[0],
                                near);
        return cli_complain(EXIT_USAGE, "there is no error `%s`; `stead explain` lists them", line->args[0]);
    }
    return EXIT_DONE;
}
