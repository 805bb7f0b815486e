/* job.c - lines of progress from the node. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cli/job.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cli/client.h"
#include "runtime/cli/output.h"

void job_show(const char *step, uint64_t done_bytes, uint64_t total_bytes)
{
    char done[32], total[32];
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r\033[K%s  %s", step, output_bytes(done_bytes, done, sizeof done));
    if (total_bytes)
        fprintf(stderr, " of %s (%.0f %%)", output_bytes(total_bytes, total, sizeof total),
                100.0 * (double)done_bytes / (double)total_bytes);
    fflush(stderr);
}

void job_show_end(void)
{
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

void job_absolute(struct buf *out, const char *path)
{
    char here[4096];
    if (path[0] != '/' && getcwd(here, sizeof here)) buf_printf(out, "%s/", here);
    buf_append_cstr(out, path);
}

struct follow {
    const struct cli_line *line;
    struct buf rest; /* the beginning of a line whose end has not come */
    json_t *done;
    bool failed; /* and said so */
};

static void take_line(struct follow *follow, struct slice text)
{
    json_t *json = json_loadb(text.data, text.size, 0, NULL);
    const char *step = json_string_value(json_object_get(json, "step"));
    if (step)
        job_show(step, (uint64_t)json_integer_value(json_object_get(json, "done_bytes")),
                 (uint64_t)json_integer_value(json_object_get(json, "total_bytes")));
    json_t *done = json_object_get(json, "done");
    if (done) follow->done = json_incref(done);
    if (json_object_get(json, "error"))
    {
        struct client_reply reply = {0};
        buf_append(&reply.body, text);
        buf_append_byte(&reply.body, '\n');
        job_show_end();
        client_show_error(follow->line, &reply);
        client_reply_fini(&reply);
        follow->failed = true;
    }
    json_decref(json);
}

static bool on_chunk(void *ctx, struct slice bytes)
{
    struct follow *follow = ctx;
    buf_append(&follow->rest, bytes);
    for (char *end; follow->rest.size && (end = memchr(follow->rest.data, '\n', follow->rest.size));)
    {
        size_t size = (size_t)(end - (char *)follow->rest.data);
        take_line(follow, slice_make(follow->rest.data, size));
        buf_consume(&follow->rest, size + 1);
    }
    return true;
}

enum cli_exit job_follow(const struct cli_line *line, const char *path, json_t **done)
{
    struct follow follow = {.line = line};
    enum cli_exit code =
        client_stream(line, &(struct client_request){.method = "POST", .path = path}, on_chunk, &follow);
    job_show_end();
    buf_fini(&follow.rest);
    if (code == EXIT_DONE && follow.failed) code = EXIT_REFUSED;
    if (code == EXIT_DONE && !follow.done)
        code = cli_complain(EXIT_UNREACHABLE, "the node went away before it was done (unavailable)");
    if (code == EXIT_DONE)
        *done = follow.done;
    else
        json_decref(follow.done);
    return code;
}
