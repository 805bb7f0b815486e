/* cmd_channel.c - channels: listed, followed, appended to; groups moved, their dead letters looked after. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "runtime/base/bounds.h"
#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"
#include "runtime/cli/output.h"
#include "runtime/cli/place.h"

enum { TAIL_DEFAULT = 20, PAGE = 500, WAIT_S = 20 };

static void channel_path(struct buf *path, const char *app, const char *channel)
{
    app_path(path, slice_cstr(app), "/channels");
    if (!channel) return;
    buf_append_byte(path, '/');
    client_escape(path, slice_cstr(channel), false);
}

/* ---- ls ---- */

static void show_groups(const json_t *channels)
{
    struct table table;
    table_init(&table, (const char *[]){"CHANNEL", "GROUP", "FUNCTION", "PARTITION", "CURSOR", "LAG",
                                        "IN FLIGHT", "DEAD", "LOST", NULL});
    size_t c, g;
    json_t *channel, *group;
    json_array_foreach(channels, c, channel)
    {
        json_array_foreach(json_object_get(channel, "groups"), g, group)
        {
            table_cell(&table, "%s", answer_text(channel, "channel"));
            table_cell(&table, "%s", answer_text(group, "group"));
            table_cell(&table, "%s", answer_text(group, "function"));
            table_cell(&table, "%lld", answer_number(group, "partition"));
            table_cell(&table, "%lld", answer_number(group, "cursor"));
            table_cell(&table, "%lld", answer_number(group, "lag"));
            table_cell(&table, "%lld", answer_number(group, "in_flight"));
            table_cell(&table, "%lld", answer_number(group, "dead"));
            table_cell(&table, "%lld", answer_number(group, "lost"));
        }
    }
    table_print(&table);
    table_fini(&table);
}

static void show_channels(const json_t *channels)
{
    struct table table;
    table_init(&table,
               (const char *[]){"CHANNEL", "KIND", "BUS", "HTTP", "PARTITION", "FIRST", "NEXT", NULL});
    size_t c, p;
    json_t *channel, *partition;
    json_array_foreach(channels, c, channel)
    {
        const json_t *partitions = json_object_get(channel, "partitions");
        const char *bus = partitions                                               ? "-"
                          : json_is_true(json_object_get(channel, "from_outside")) ? "publishes"
                                                                                   : "reads";
        if (!partitions)
        {
            table_cell(&table, "%s", answer_text(channel, "channel"));
            table_cell(&table, "%s", answer_text(channel, "kind"));
            table_cell(&table, "%s", bus);
            table_cell(&table, "%s", answer_text(channel, "http"));
            for (int i = 0; i < 3; i++) table_cell(&table, "-");
        }
        json_array_foreach(partitions, p, partition)
        {
            table_cell(&table, "%s", answer_text(channel, "channel"));
            table_cell(&table, "%s", answer_text(channel, "kind"));
            table_cell(&table, "%s", bus);
            table_cell(&table, "%s", answer_text(channel, "http"));
            table_cell(&table, "%lld", answer_number(partition, "partition"));
            table_cell(&table, "%lld", answer_number(partition, "first"));
            table_cell(&table, "%lld", answer_number(partition, "next"));
        }
    }
    table_print(&table);
    table_fini(&table);
}

static void show_list(const struct cli_line *line, const json_t *answer)
{
    (void)line; /* has nothing to say to it */
    show_channels(json_object_get(answer, "channels"));
    putchar('\n');
    show_groups(json_object_get(answer, "channels"));
}

enum cli_exit cmd_channel_ls(struct cli_line *line)
{
    struct buf path = BUF_INIT;
    channel_path(&path, line->args[0], NULL);
    return answer_show(line, "GET", &path, show_list);
}

/* ---- tail ---- */

/* Control characters of others neither forge lines nor steer the terminal. */
static void put_visible(const char *from)
{
    for (; *from; from++) putchar((unsigned char)*from < ' ' || *from == 0x7f ? '.' : *from);
}

static void show_message(const struct cli_line *line, const json_t *row)
{
    if (line->json)
    {
        json_dumpf(row, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    char age[32];
    printf("%lld  %s  ", answer_number(row, "offset"),
           output_age((uint64_t)answer_number(row, "time_ms"), age, sizeof age));
    put_visible(json_object_get(row, "key") ? answer_text(row, "key") : "-");
    fputs("  ", stdout);
    put_visible(json_object_get(row, "body") ? answer_text(row, "body") : answer_text(row, "body_base64"));
    putchar('\n');
}

/* One page from *from on; how many. */
static enum cli_exit page_show(const struct cli_line *line, struct buf *path, unsigned long limit, bool wait,
                               long long *from, unsigned long *count)
{
    size_t base = path->size;
    json_t *json;
    if (*from >= 0) buf_printf(path, "&from=%lld", *from);
    if (wait) buf_printf(path, "&wait=%d", WAIT_S);
    buf_printf(path, "&limit=%lu", limit < PAGE ? limit : PAGE);
    enum cli_exit code =
        client_json(line, &(struct client_request){.method = "GET", .path = buf_cstr(path)}, &json);
    path->size = base;
    if (code != EXIT_DONE) return code;
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(json, "messages"), index, row) show_message(line, row);
    *count = index;
    *from = answer_number(json, "next");
    json_decref(json);
    fflush(stdout);
    return EXIT_DONE;
}

/* Where the newest `count` offsets of the partition begin. */
static enum cli_exit newest(const struct cli_line *line, unsigned long partition, unsigned long count,
                            long long *from)
{
    struct buf path = BUF_INIT;
    json_t *json, *channel, *part;
    size_t c, p;
    channel_path(&path, line->args[0], NULL);
    enum cli_exit code = answer_get(line, "GET", &path, &json);
    if (code != EXIT_DONE) return code;
    json_array_foreach(json_object_get(json, "channels"), c, channel)
    {
        if (strcmp(answer_text(channel, "channel"), line->args[1]) != 0) continue;
        json_array_foreach(json_object_get(channel, "partitions"), p, part)
        {
            if (answer_number(part, "partition") != (long long)partition) continue;
            *from = answer_number(part, "next") - (long long)count;
            if (*from < answer_number(part, "first")) *from = answer_number(part, "first");
        }
    }
    json_decref(json);
    return EXIT_DONE;
}

enum cli_exit cmd_channel_tail(struct cli_line *line)
{
    unsigned long partition, count, given;
    bool follow = cli_option(line, "follow") != NULL;
    long long from = -1;
    if (!cli_option_number(line, "partition", 0, 1UL << 20, &partition) ||
        !cli_option_number(line, "tail", TAIL_DEFAULT, 1UL << 40, &count) ||
        !cli_option_number(line, "from", 0, 1UL << 60, &given))
        return EXIT_USAGE;
    enum cli_exit code = EXIT_DONE;
    if (cli_option(line, "from"))
    {
        from = (long long)given;
        if (!cli_option(line, "tail")) count = ~0UL;
    }
    else
    {
        code = newest(line, partition, count, &from);
    }
    struct buf path = BUF_INIT;
    channel_path(&path, line->args[0], line->args[1]);
    buf_printf(&path, "?partition=%lu", partition);
    while (code == EXIT_DONE && (count > 0 || follow))
    {
        unsigned long seen = 0;
        code = page_show(line, &path, follow ? PAGE : count, follow, &from, &seen);
        if (seen == 0 && !follow) break;
        count = seen < count ? count - seen : 0;
    }
    buf_fini(&path);
    return code;
}

/* ---- append ---- */

static void show_offset(const struct cli_line *line, const json_t *answer)
{
    (void)line; /* likewise */
    printf("%lld\n", answer_number(answer, "offset"));
}

enum cli_exit cmd_channel_append(struct cli_line *line)
{
    struct buf path = BUF_INIT, body = BUF_INIT, type = BUF_INIT;
    const char *data = cli_option(line, "data"), *key = cli_option(line, "key"),
               *content_type = cli_option(line, "type");
    if (!data_read(data ? data : "-", BOUND_MESSAGE_BYTES_MAX, &body)) return EXIT_LOCAL;
    channel_path(&path, line->args[0], line->args[1]);
    if (key)
    {
        buf_append_cstr(&path, "?key=");
        client_escape(&path, slice_cstr(key), false);
    }
    buf_printf(&type, "content-type: %s", content_type ? content_type : "text/plain; charset=utf-8");
    const char *headers[] = {buf_cstr(&type), NULL};
    json_t *json;
    enum cli_exit code = client_json(
        line,
        &(struct client_request){
            .method = "POST", .path = buf_cstr(&path), .body = buf_view(&body), .headers = headers},
        &json);
    buf_fini(&path);
    buf_fini(&body);
    buf_fini(&type);
    return code == EXIT_DONE ? answer_end(line, json, show_offset) : code;
}

/* ---- groups ---- */

static void group_path(struct buf *path, const char *const *args, const char *what, unsigned long partition)
{
    channel_path(path, args[0], args[1]);
    buf_append_cstr(path, "/groups/");
    client_escape(path, slice_cstr(args[2]), false);
    buf_printf(path, "/%s?partition=%lu", what, partition);
}

enum cli_exit cmd_channel_replay(struct cli_line *line)
{
    unsigned long partition;
    uint64_t time_ms;
    struct buf path = BUF_INIT;
    const char *from = cli_option(line, "from");
    if (!cli_option_number(line, "partition", 0, 1UL << 20, &partition)) return EXIT_USAGE;
    if (!from) return cli_complain(EXIT_USAGE, "say --from OFFSET or --from TIME");
    bool offset = from[0] && strspn(from, "0123456789") == strlen(from);
    if (!offset && !time_parse(from, &time_ms))
        return cli_complain(
            EXIT_USAGE,
            "`%s` is neither an offset nor a time; write 2026-11-24 03:00:00, with Z at its end "
            "for UTC",
            from);
    group_path(&path, line->args, "cursor", partition);
    if (offset)
        buf_printf(&path, "&from=%s", from);
    else
        buf_printf(&path, "&time_ms=%llu", (unsigned long long)time_ms);
    return answer_show(line, "POST", &path, NULL);
}

static void show_dead(const struct cli_line *line, const json_t *answer)
{
    (void)line; /* likewise */
    struct table table;
    char age[32];
    table_init(&table, (const char *[]){"OFFSET", "KEY", "ATTEMPTS", "LAST", "ERROR", NULL});
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(answer, "dead"), index, row)
    {
        if (json_is_integer(json_object_get(row, "offset")))
            table_cell(&table, "%lld", answer_number(row, "offset"));
        else
            table_cell(&table, "?"); /* its row is damaged */
        table_cell(&table, "%s", answer_text(row, "key"));
        table_cell(&table, "%lld", answer_number(row, "attempts"));
        bool known = answer_number(row, "failed_ms") > 0;
        table_cell(&table, "%s",
                   known ? output_age((uint64_t)answer_number(row, "failed_ms"), age, sizeof age) : "?");
        table_cell(&table, "%s", answer_text(row, "error"));
    }
    table_print(&table);
    table_fini(&table);
}

static void show_count(const struct cli_line *line, const json_t *answer)
{
    printf("%s: %lld\n", strcmp(line->args[0], "retry") == 0 ? "tried again" : "dropped",
           answer_number(answer, "count"));
}

enum cli_exit cmd_channel_dead(struct cli_line *line)
{
    unsigned long partition, offset;
    struct buf path = BUF_INIT;
    const char *what = line->args[0];
    bool list = strcmp(what, "ls") == 0, retry = strcmp(what, "retry") == 0;
    if (!list && !retry && strcmp(what, "drop") != 0)
        return cli_complain(EXIT_USAGE, "`%s` is none of ls, retry, drop", what);
    if (!cli_option_number(line, "partition", 0, 1UL << 20, &partition) ||
        !cli_option_number(line, "offset", 0, 1UL << 60, &offset))
        return EXIT_USAGE;
    group_path(&path, line->args + 1, "dead", partition);
    if (cli_option(line, "offset")) buf_printf(&path, "&offset=%lu", offset);
    if (list) return answer_show(line, "GET", &path, show_dead);
    return answer_show(line, retry ? "POST" : "DELETE", &path, show_count);
}
