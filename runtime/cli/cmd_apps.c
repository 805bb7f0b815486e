/* cmd_apps.c - apps, functions, rollback, remove. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"
#include "runtime/cli/output.h"

static enum cli_exit ask(const struct cli_line *line, const char *method, const char *app, const char *rest,
                         json_t **json)
{
    struct buf path = BUF_INIT;
    app_path(&path, slice_cstr(app), rest);
    return answer_get(line, method, &path, json);
}

/* ---- apps ---- */

static void join_names(struct buf *out, const json_t *names)
{
    size_t index;
    json_t *name;
    json_array_foreach(names, index, name)
        buf_printf(out, "%s%s", index ? ", " : "", json_string_value(name));
}

static void show_list(const json_t *apps)
{
    struct table table;
    table_init(&table, (const char *[]){"APP", "VERSION", "DEPLOYED", "VERSIONS", "FUNCTIONS", NULL});
    size_t index;
    json_t *app;
    json_array_foreach(apps, index, app)
    {
        char age[32];
        struct buf names = BUF_INIT;
        join_names(&names, json_object_get(app, "functions"));
        table_cell(&table, "%s", answer_text(app, "app"));
        table_cell(&table, "%s", answer_text(app, "version"));
        table_cell(&table, "%s", output_age((uint64_t)answer_number(app, "deployed_ms"), age, sizeof age));
        table_cell(&table, "%lld", answer_number(app, "versions"));
        table_cell(&table, "%s", buf_cstr(&names));
        buf_fini(&names);
    }
    table_print(&table);
}

static void show_functions(const json_t *functions)
{
    struct table table;
    table_init(&table,
               (const char *[]){"FUNCTION", "TIMEOUT", "MEMORY", "DURABILITY", "POOL", "METHODS", NULL});
    size_t index;
    json_t *function;
    json_array_foreach(functions, index, function)
    {
        const json_t *pool = json_object_get(function, "pool");
        struct buf methods = BUF_INIT;
        join_names(&methods, json_object_get(function, "methods"));
        table_cell(&table, "%s", answer_text(function, "name"));
        table_cell(&table, "%lld ms", answer_number(function, "timeout_ms"));
        table_cell(&table, "%lld MiB", answer_number(function, "memory_mb"));
        table_cell(&table, "%s", answer_text(function, "durability"));
        table_cell(&table, "%lld-%lld", answer_number(pool, "min"), answer_number(pool, "max"));
        table_cell(&table, "%s", methods.size ? buf_cstr(&methods) : "all");
        buf_fini(&methods);
    }
    table_print(&table);
}

static void show_routes(const json_t *routes)
{
    if (json_array_size(routes) == 0) return;
    struct table table;
    table_init(&table, (const char *[]){"METHOD", "PATH", "FUNCTION", NULL});
    size_t index;
    json_t *route;
    json_array_foreach(routes, index, route)
    {
        table_cell(&table, "%s", answer_text(route, "method"));
        table_cell(&table, "%s", answer_text(route, "path"));
        table_cell(&table, "%s", answer_text(route, "function"));
    }
    putchar('\n');
    table_print(&table);
}

static void show_channels(const json_t *channels)
{
    if (json_array_size(channels) == 0) return;
    struct table table;
    table_init(&table, (const char *[]){"CHANNEL", "KIND", "BUS", "HTTP", "FUNCTIONS", NULL});
    size_t index;
    json_t *channel;
    json_array_foreach(channels, index, channel)
    {
        struct buf functions = BUF_INIT;
        join_names(&functions, json_object_get(channel, "functions"));
        table_cell(&table, "%s", answer_text(channel, "name"));
        table_cell(&table, "%s", answer_text(channel, "kind"));
        table_cell(&table, "%s",
                   strcmp(answer_text(channel, "kind"), "live") != 0        ? "-"
                   : json_is_true(json_object_get(channel, "from_outside")) ? "publishes"
                                                                            : "reads");
        table_cell(&table, "%s", answer_text(channel, "http"));
        table_cell(&table, "%s", functions.size ? buf_cstr(&functions) : "-");
        buf_fini(&functions);
    }
    putchar('\n');
    table_print(&table);
}

static void show_versions(const json_t *versions)
{
    struct table table;
    table_init(&table, (const char *[]){"VERSION", "DEPLOYED", "", NULL});
    size_t index;
    json_t *version;
    json_array_foreach(versions, index, version)
    {
        char age[32];
        table_cell(&table, "%s", answer_text(version, "version"));
        table_cell(&table, "%s",
                   output_age((uint64_t)answer_number(version, "deployed_ms"), age, sizeof age));
        table_cell(&table, "%s", json_is_true(json_object_get(version, "current")) ? "current" : "");
    }
    putchar('\n');
    table_print(&table);
}

enum cli_exit cmd_apps(struct cli_line *line)
{
    json_t *json;
    bool one = line->arg_count == 1;
    enum cli_exit code =
        one ? ask(line, "GET", line->args[0], "", &json)
            : client_json(line, &(struct client_request){.method = "GET", .path = "/v1/apps"}, &json);
    if (code != EXIT_DONE) return code;
    if (line->json)
        output_json(json);
    else if (!one && json_array_size(json_object_get(json, "apps")) == 0)
        printf("no apps; `stead init NAME` makes one, `stead deploy DIR` deploys it\n");
    else if (!one)
        show_list(json_object_get(json, "apps"));
    else
    {
        show_functions(json_object_get(json, "functions"));
        show_routes(json_object_get(json, "routes"));
        show_channels(json_object_get(json, "channels"));
        show_versions(json_object_get(json, "versions"));
    }
    json_decref(json);
    return EXIT_DONE;
}

enum cli_exit cmd_functions(struct cli_line *line)
{
    json_t *json;
    enum cli_exit code = ask(line, "GET", line->args[0], "", &json);
    if (code != EXIT_DONE) return code;
    if (line->json)
        output_json(json_object_get(json, "functions"));
    else
        show_functions(json_object_get(json, "functions"));
    json_decref(json);
    return EXIT_DONE;
}

/* ---- rollback and remove ---- */

enum cli_exit cmd_rollback(struct cli_line *line)
{
    json_t *json;
    struct buf rest = BUF_INIT;
    buf_append_cstr(&rest, "/rollback");
    if (line->arg_count == 2)
    {
        buf_append_cstr(&rest, "?version=");
        client_escape(&rest, slice_cstr(line->args[1]), false);
    }
    enum cli_exit code = ask(line, "POST", line->args[0], buf_cstr(&rest), &json);
    buf_fini(&rest);
    if (code != EXIT_DONE) return code;
    if (line->json)
        output_json(json);
    else if (json_is_true(json_object_get(json, "unchanged")))
        printf("%s runs %s already\n", answer_text(json, "app"), answer_text(json, "version"));
    else
        printf("%s runs %s again; before it was %s\n", answer_text(json, "app"), answer_text(json, "version"),
               answer_text(json, "previous"));
    json_decref(json);
    return EXIT_DONE;
}

enum cli_exit cmd_remove(struct cli_line *line)
{
    json_t *json;
    const char *rest = cli_option(line, "state") ? "?state=delete" : "";
    enum cli_exit code = ask(line, "DELETE", line->args[0], rest, &json);
    if (code != EXIT_DONE) return code;
    if (line->json)
        output_json(json);
    else
        printf("%s is removed; its state is %s\n", answer_text(json, "app"), answer_text(json, "state"));
    json_decref(json);
    return EXIT_DONE;
}
