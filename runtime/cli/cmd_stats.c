/* cmd_stats.c - the figures of the node, whatever they are: nested names joined by dots. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/cli/client.h"
#include "runtime/cli/output.h"

static void show_scalar(struct table *table, struct buf *name, const json_t *value)
{
    table_cell(table, "%s", buf_cstr(name));
    if (json_is_integer(value))
        table_cell(table, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        table_cell(table, "%g", json_real_value(value));
    else if (json_is_string(value))
        table_cell(table, "%s", json_string_value(value));
    else
        table_cell(table, "%s", json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
}

/* What an element of a list is called: by its own name when it has one. */
static void name_element(struct buf *name, const json_t *element, size_t index)
{
    static const char *const names[] = {"app", "function", "name"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    {
        const char *text = json_string_value(json_object_get(element, names[i]));
        if (!text) continue;
        buf_printf(name, "%s%s", name->size ? "." : "", text);
        return;
    }
    buf_printf(name, "[%zu]", index);
}

static void show(struct table *table, struct buf *name, json_t *value)
{
    size_t base = name->size, index;
    const char *key;
    json_t *inner;
    if (json_is_object(value)) json_object_foreach(value, key, inner)
        {
            buf_printf(name, "%s%s", base ? "." : "", key);
            show(table, name, inner);
            name->size = base;
        }
    else if (json_is_array(value))
        json_array_foreach(value, index, inner)
        {
            name_element(name, inner, index);
            show(table, name, inner);
            name->size = base;
        }
    else
        show_scalar(table, name, value);
}

enum cli_exit cmd_stats(struct cli_line *line)
{
    json_t *json;
    enum cli_exit code =
        client_json(line, &(struct client_request){.method = "GET", .path = "/v1/stats"}, &json);
    if (code != EXIT_DONE) return code;
    if (line->json)
        output_json(json);
    else
    {
        struct table table;
        struct buf name = BUF_INIT;
        table_init(&table, (const char *[]){"FIGURE", "VALUE", NULL});
        show(&table, &name, json);
        table_print(&table);
        buf_fini(&name);
    }
    json_decref(json);
    return EXIT_DONE;
}
