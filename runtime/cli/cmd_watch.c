/* cmd_watch.c - committed changes of an app's rows, as they come. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"

enum { SHOWN_BYTES_MAX = 100 };

struct reader {
    const struct cli_line *line;
    struct buf rest; /* the beginning of a line whose end has not come */
    bool failed;
};

static void show_field(const json_t *row, const char *field, const char *before)
{
    char encoded[32];
    snprintf(encoded, sizeof encoded, "%s_base64", field);
    const char *text = json_string_value(json_object_get(row, field));
    const char *base64 = json_string_value(json_object_get(row, encoded));
    const char *shown = text ? text : base64 ? base64 : "";
    printf("%s%s", before, text ? "" : "base64:");
    size_t size = strlen(shown);
    for (size_t i = 0; i < size && i < SHOWN_BYTES_MAX; i++)
        putchar((unsigned char)shown[i] < ' ' || shown[i] == 0x7f ? '.' : shown[i]);
    if (size > SHOWN_BYTES_MAX) printf("...");
}

static void show_changes(const json_t *commit)
{
    json_int_t time_ms = json_integer_value(json_object_get(commit, "time_ms"));
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    char clock[16];
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&seconds, &parts));
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(commit, "changes"), index, row)
    {
        bool put = strcmp(json_string_value(json_object_get(row, "op")), "put") == 0;
        printf("%s.%03d %lld %s ", clock, (int)(time_ms % 1000),
               (long long)json_integer_value(json_object_get(commit, "seq")), put ? "put   " : "delete");
        show_field(row, "entity", "");
        show_field(row, "name", " ");
        if (put) show_field(row, "value", " = ");
        putchar('\n');
    }
}

static void take_line(struct reader *reader, struct slice text)
{
    json_t *json = json_loadb(text.data, text.size, 0, NULL);
    json_t *next = json_object_get(json, "next");
    if (json_object_get(json, "error"))
    {
        struct client_reply reply = {0};
        buf_append(&reply.body, text);
        client_show_error(reader->line, &reply);
        client_reply_fini(&reply);
        reader->failed = true;
    }
    else if (next)
        fprintf(stderr, "-- from commit %lld on; Ctrl-C ends\n", (long long)json_integer_value(next));
    else if (json)
        show_changes(json);
    json_decref(json);
}

static bool on_chunk(void *ctx, struct slice bytes)
{
    struct reader *reader = ctx;
    if (reader->line->json)
    {
        fwrite(bytes.data, 1, bytes.size, stdout);
        return fflush(stdout) == 0;
    }
    buf_append(&reader->rest, bytes);
    for (char *end; reader->rest.size && (end = memchr(reader->rest.data, '\n', reader->rest.size));)
    {
        size_t size = (size_t)(end - (char *)reader->rest.data);
        take_line(reader, slice_make(reader->rest.data, size));
        buf_consume(&reader->rest, size + 1);
    }
    return fflush(stdout) == 0;
}

enum cli_exit cmd_state_watch(struct cli_line *line)
{
    unsigned long from, partition;
    if (!cli_option_number(line, "from", 0, 1UL << 60, &from) ||
        !cli_option_number(line, "partition", 0, 1UL << 20, &partition))
        return EXIT_USAGE;
    struct reader reader = {.line = line};
    struct buf path = BUF_INIT;
    app_path(&path, slice_cstr(line->args[0]), "/state/changes");
    buf_printf(&path, "?from=%lu", from);
    if (cli_option(line, "partition")) buf_printf(&path, "&partition=%lu", partition);
    enum cli_exit code = client_stream(
        line, &(struct client_request){.method = "GET", .path = buf_cstr(&path)}, on_chunk, &reader);
    buf_fini(&reader.rest);
    buf_fini(&path);
    return code == EXIT_DONE && reader.failed ? EXIT_REFUSED : code;
}
