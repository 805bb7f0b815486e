/* cmd_logs.c - what functions logged, as it comes. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"

enum { TAIL_MAX = 100000 };

struct reader {
    const struct cli_line *line;
    struct buf rest; /* the beginning of a line whose end has not come */
};

/* What a function says can neither look like lines of others nor steer the terminal. */
static void print_harmless(const char *words)
{
    for (; *words; words++)
    {
        unsigned char byte = (unsigned char)*words;
        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
    putchar('\n');
}

static void show_json(struct slice bytes)
{
    json_t *line = json_loadb(bytes.data, bytes.size, 0, NULL);
    if (!line) return; /* cut off by the end of the node */
    json_int_t time_ms = json_integer_value(json_object_get(line, "time_ms"));
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    char clock[16];
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&seconds, &parts));
    json_int_t dropped = json_integer_value(json_object_get(line, "dropped"));
    if (dropped)
        printf("%s.%03d       (%lld lines left out: this end was too slow)\n", clock, (int)(time_ms % 1000),
               (long long)dropped);
    else
    {
        printf("%s.%03d %-5s %s/%s %s ", clock, (int)(time_ms % 1000), answer_text(line, "level"),
               answer_text(line, "app"), answer_text(line, "function"), answer_text(line, "invocation"));
        print_harmless(answer_text(line, "text"));
    }
    json_decref(line);
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
    char *end;
    while (reader->rest.size && (end = memchr(reader->rest.data, '\n', reader->rest.size)))
    {
        size_t size = (size_t)(end - (char *)reader->rest.data);
        show_json(slice_make(reader->rest.data, size));
        buf_consume(&reader->rest, size + 1);
    }
    return fflush(stdout) == 0;
}

enum cli_exit cmd_logs(struct cli_line *line)
{
    unsigned long tail;
    if (!cli_option_number(line, "tail", 100, TAIL_MAX, &tail)) return EXIT_USAGE;
    struct reader reader = {.line = line};
    struct buf path = BUF_INIT;
    buf_printf(&path, "/v1/logs?tail=%lu", tail);
    if (cli_option(line, "follow")) buf_append_cstr(&path, "&follow=1");
    if (line->arg_count)
    {
        buf_append_cstr(&path, "&app=");
        client_escape(&path, slice_cstr(line->args[0]), false);
    }
    const char *function = cli_option(line, "function");
    if (function)
    {
        buf_append_cstr(&path, "&function=");
        client_escape(&path, slice_cstr(function), false);
    }
    enum cli_exit code = client_stream(
        line, &(struct client_request){.method = "GET", .path = buf_cstr(&path)}, on_chunk, &reader);
    buf_fini(&reader.rest);
    buf_fini(&path);
    return code;
}
