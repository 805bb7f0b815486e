/* cmd_backup.c - a copy of the whole node while it works. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/cli/client.h"
#include "runtime/cli/job.h"
#include "runtime/cli/output.h"

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void report(const json_t *done)
{
    struct table table;
    size_t index;
    json_t *store, *name;
    char bytes[32], age[32];
    table_init(&table, (const char *[]){"STORE", "COMMITS", "LAST", "WRITTEN", "", NULL});
    json_array_foreach(json_object_get(done, "stores"), index, store)
    {
        table_cell(&table, "%s", json_string_value(json_object_get(store, "store")));
        table_cell(&table, "%lld-%lld", number(store, "base_seq"), number(store, "last_seq"));
        uint64_t last_ms = (uint64_t)number(store, "last_ms");
        table_cell(&table, "%s", last_ms ? output_age(last_ms, age, sizeof age) : "-");
        table_cell(&table, "%s", output_bytes((uint64_t)number(store, "bytes"), bytes, sizeof bytes));
        table_cell(&table, "%s", json_is_true(json_object_get(store, "added")) ? "added" : "new");
    }
    table_print(&table);
    json_array_foreach(json_object_get(done, "left_out"), index, name)
        printf("left out: the state of %s, an app that was removed\n", json_string_value(name));
    printf("%s: restore it with `stead restore %s --data DIR`\n",
           json_string_value(json_object_get(done, "dir")), json_string_value(json_object_get(done, "dir")));
}

enum cli_exit cmd_backup(struct cli_line *line)
{
    struct buf dir = BUF_INIT, path = BUF_INIT;
    json_t *done = NULL;
    job_absolute(&dir, line->args[0]);
    buf_append_cstr(&path, "/v1/backup?dir=");
    client_escape(&path, buf_view(&dir), false);
    enum cli_exit code = job_follow(line, buf_cstr(&path), &done);
    if (code == EXIT_DONE && line->json)
        output_json(done);
    else if (code == EXIT_DONE)
        report(done);
    json_decref(done);
    buf_fini(&dir);
    buf_fini(&path);
    return code;
}
