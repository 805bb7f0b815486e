/* cmd_state.c - look at the rows of an app, and change them. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "runtime/base/bounds.h"
#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"
#include "runtime/cli/output.h"
#include "runtime/cli/place.h"

enum { ROWS_DEFAULT = 1000, ROWS_LIMIT_MAX = 100000000, PAGE_ROWS = 1000, SHOWN_BYTES_MAX = 100 };

static void query_add(struct buf *path, const char *name, struct slice value)
{
    buf_printf(path, "%c%s=", memchr(path->data, '?', path->size) ? '&' : '?', name);
    client_escape(path, value, false);
}

/* ---- one row ---- */

/* The row that "APP/[ENTITY] NAME" means; the name on the command line is the last argument. */
static bool row_path(const struct cli_line *line, struct buf *path)
{
    struct target target = target_split(line->args[0]);
    if (target.app.size == 0 || !target.has_rest)
    {
        (void)cli_complain(EXIT_USAGE, "`%s` is not APP/ENTITY; `APP/` means the rows of the app itself",
                           line->args[0]);
        return false;
    }
    app_path(path, target.app, "/state");
    query_add(path, "entity", target.rest);
    query_add(path, "name", slice_cstr(line->args[1]));
    return true;
}

static enum cli_exit row_call(const struct cli_line *line, const char *method, struct slice body,
                              struct client_reply *reply)
{
    struct buf path = BUF_INIT;
    enum cli_exit code = EXIT_USAGE;
    if (row_path(line, &path))
        code = client_demand(
            line, &(struct client_request){.method = method, .path = buf_cstr(&path), .body = body}, reply);
    buf_fini(&path);
    return code;
}

enum cli_exit cmd_state_get(struct cli_line *line)
{
    struct client_reply reply;
    enum cli_exit code = row_call(line, "GET", SLICE_EMPTY, &reply);
    if (code != EXIT_DONE) return code;
    fwrite(reply.body.data, 1, reply.body.size, stdout);
    client_reply_fini(&reply);
    return EXIT_DONE;
}

enum cli_exit cmd_state_put(struct cli_line *line)
{
    struct client_reply reply;
    struct buf value = BUF_INIT;
    const char *data = cli_option(line, "data");
    enum cli_exit code = EXIT_LOCAL;
    if (data_read(data ? data : "-", BOUND_VALUE_BYTES_MAX, &value))
        code = row_call(line, "PUT", buf_view(&value), &reply);
    buf_fini(&value);
    if (code == EXIT_DONE) client_reply_fini(&reply);
    return code;
}

enum cli_exit cmd_state_rm(struct cli_line *line)
{
    struct client_reply reply;
    enum cli_exit code = row_call(line, "DELETE", SLICE_EMPTY, &reply);
    if (code == EXIT_DONE) client_reply_fini(&reply);
    return code;
}

/* ---- many rows ---- */

/* Asks for page after page, `query` being the path with what selects the rows, until `limit` rows have come. Each row
 * goes to `row`, which returns false when it has seen enough. */
typedef bool (*row_fn)(void *ctx, json_t *row);

static enum cli_exit pages_read(const struct cli_line *line, struct buf *query, unsigned long limit,
                                row_fn row, void *ctx)
{
    size_t base = query->size;
    for (bool more = true; more && limit > 0;)
    {
        json_t *page;
        enum cli_exit code =
            client_json(line, &(struct client_request){.method = "GET", .path = buf_cstr(query)}, &page);
        if (code != EXIT_DONE) return code;
        size_t index;
        json_t *each;
        json_array_foreach(json_object_get(page, "rows"), index, each)
        {
            more = limit > 0 && row(ctx, each);
            if (!more) break;
            limit--;
        }
        const char *next = json_string_value(json_object_get(page, "next"));
        more = more && next;
        query->size = base;
        if (more) query_add(query, "after", slice_cstr(next));
        json_decref(page);
    }
    return EXIT_DONE;
}

/* A text, or base64 marked as such; cut for the eye. */
static void show_field(struct table *table, const json_t *row, const char *field)
{
    char encoded[32];
    snprintf(encoded, sizeof encoded, "%s_base64", field);
    const char *text = json_string_value(json_object_get(row, field));
    const char *base64 = json_string_value(json_object_get(row, encoded));
    const char *shown = text ? text : base64 ? base64 : "";
    size_t size = strlen(shown), cut = size > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : size;
    while (cut < size && cut > 0 && ((unsigned char)shown[cut] & 0xc0) == 0x80)
        cut--; /* not inside of a character */
    table_cell(table, "%s%.*s%s", !text && base64 ? "base64:" : "", (int)cut, shown, cut < size ? "..." : "");
}

/* {name: list} with --json, else the table. */
static void show_end(const struct cli_line *line, const char *name, json_t *list, struct table *table)
{
    if (!line->json)
    {
        table_print(table);
        return;
    }
    json_t *whole = json_pack("{s:O}", name, list);
    output_json(whole);
    json_decref(whole);
}

struct scan {
    const struct cli_line *line;
    struct table table;
    json_t *rows; /* with --json */
    bool entities; /* show which */
    bool values;
};

static bool scan_row(void *ctx, json_t *row)
{
    struct scan *scan = ctx;
    if (scan->line->json) return json_array_append(scan->rows, row) == 0;
    if (scan->entities) show_field(&scan->table, row, "entity");
    show_field(&scan->table, row, "name");
    table_cell(&scan->table, "%lld", (long long)json_integer_value(json_object_get(row, "bytes")));
    if (scan->values) show_field(&scan->table, row, "value");
    return true;
}

enum cli_exit cmd_state_scan(struct cli_line *line)
{
    unsigned long limit;
    if (!cli_option_number(line, "limit", ROWS_DEFAULT, ROWS_LIMIT_MAX, &limit)) return EXIT_USAGE;
    struct target target = target_split(line->args[0]);
    struct scan scan = {.line = line,
                        .entities = !target.has_rest,
                        .values = !cli_option(line, "keys"),
                        .rows = json_array()};
    if (scan.entities && line->arg_count > 1)
        return cli_complain(EXIT_USAGE, "a PREFIX of row names needs an entity: APP/ENTITY PREFIX");
    struct buf query = BUF_INIT;
    app_path(&query, target.app, "/state/rows");
    if (target.has_rest) query_add(&query, "entity", target.rest);
    if (line->arg_count > 1) query_add(&query, "prefix", slice_cstr(line->args[1]));
    if (!scan.values) query_add(&query, "values", SLICE("0"));
    char page[24];
    snprintf(page, sizeof page, "%lu", limit < PAGE_ROWS ? limit : PAGE_ROWS);
    query_add(&query, "limit", slice_cstr(page));
    const char *heads[5] = {NULL};
    size_t count = 0;
    if (scan.entities) heads[count++] = "ENTITY";
    heads[count++] = "NAME";
    heads[count++] = "BYTES";
    if (scan.values) heads[count++] = "VALUE";
    table_init(&scan.table, heads);
    enum cli_exit code = pages_read(line, &query, limit, scan_row, &scan);
    if (code == EXIT_DONE) show_end(line, "rows", scan.rows, &scan.table);
    json_decref(scan.rows);
    table_fini(&scan.table);
    buf_fini(&query);
    return code;
}

/* ---- entities ---- */

struct entities {
    const struct cli_line *line;
    struct table table;
    json_t *list; /* with --json */
    json_t *row; /* the first of the entity whose rows are being counted */
    unsigned long rows;
    unsigned long long bytes;
    unsigned long limit;
};

static void entity_end(struct entities *entities)
{
    if (!entities->row) return;
    if (entities->line->json)
    {
        json_t *text = json_object_get(entities->row, "entity");
        json_t *base64 = json_object_get(entities->row, "entity_base64");
        json_t *shown = json_pack("{s:O, s:I, s:I}", text ? "entity" : "entity_base64", text ? text : base64,
                                  "rows", (json_int_t)entities->rows, "bytes", (json_int_t)entities->bytes);
        json_array_append_new(entities->list, shown);
    }
    else
    {
        char bytes[32];
        show_field(&entities->table, entities->row, "entity");
        table_cell(&entities->table, "%lu", entities->rows);
        table_cell(&entities->table, "%s", output_bytes(entities->bytes, bytes, sizeof bytes));
    }
    json_decref(entities->row);
    entities->row = NULL;
    entities->limit--;
}

static bool same_entity(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "entity"), json_object_get(b, "entity")) ||
           json_equal(json_object_get(a, "entity_base64"), json_object_get(b, "entity_base64"));
}

static bool entity_row(void *ctx, json_t *row)
{
    struct entities *entities = ctx;
    if (!entities->row || !same_entity(entities->row, row))
    {
        entity_end(entities);
        if (entities->limit == 0) return false;
        entities->row = json_incref(row);
        entities->rows = 0;
        entities->bytes = 0;
    }
    entities->rows++;
    entities->bytes += (unsigned long long)json_integer_value(json_object_get(row, "bytes"));
    return true;
}

enum cli_exit cmd_state_ls(struct cli_line *line)
{
    struct entities entities = {.line = line, .list = json_array()};
    if (!cli_option_number(line, "limit", ROWS_DEFAULT, ROWS_LIMIT_MAX, &entities.limit)) return EXIT_USAGE;
    struct buf query = BUF_INIT;
    app_path(&query, slice_cstr(line->args[0]), "/state/rows?values=0");
    if (line->arg_count > 1) query_add(&query, "entity_prefix", slice_cstr(line->args[1]));
    buf_printf(&query, "&limit=%d", PAGE_ROWS);
    table_init(&entities.table, (const char *[]){"ENTITY", "ROWS", "BYTES", NULL});
    enum cli_exit code = pages_read(line, &query, ROWS_LIMIT_MAX, entity_row, &entities);
    if (code == EXIT_DONE) entity_end(&entities);
    json_decref(entities.row);
    if (code == EXIT_DONE) show_end(line, "entities", entities.list, &entities.table);
    json_decref(entities.list);
    table_fini(&entities.table);
    buf_fini(&query);
    return code;
}
