/* cmd_invoke.c - run a function through the node. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/bounds.h"
#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"
#include "runtime/cli/place.h"

/* "/v1/apps/APP<verb>FUNCTION/ENTITY", the verb being "/invoke/" or its like; the query string of the target goes along. */
static bool invoke_path(struct buf *path, const char *verb, const char *argument)
{
    struct target target = target_split(argument);
    if (target.app.size == 0 || target.rest.size == 0) return false;
    const char *query = memchr(target.rest.data, '?', target.rest.size);
    struct slice place = target.rest;
    if (query) place.size = (size_t)(query - (const char *)place.data);
    app_path(path, target.app, verb);
    client_escape(path, place, true);
    if (query) buf_append_cstr(path, query);
    return place.size > 0;
}

/* The headers given by -H, ended by NULL; the array is the caller's. NULL after saying which one is none: the transfer
 * would leave it out in silence. */
static const char **headers_given(const struct cli_line *line)
{
    const char **headers = mem_zalloc((line->given_count + 1) * sizeof *headers);
    size_t count = 0;
    for (size_t i = 0; i < line->given_count; i++)
    {
        const char *value = line->given[i].value;
        if (strcmp(line->given[i].name, "header") != 0) continue;
        if (strcspn(value, ":;") == 0 || !strpbrk(value, ":;"))
        {
            (void)cli_complain(EXIT_USAGE, "--header takes 'NAME: VALUE', not `%s`", value);
            free(headers);
            return NULL;
        }
        headers[count++] = value;
    }
    return headers;
}

static void show_reply(const struct cli_line *line, struct client_reply *reply)
{
    if (cli_option(line, "include")) printf("HTTP %ld\n%s", reply->http_status, buf_cstr(&reply->headers));
    fwrite(reply->body.data, 1, reply->body.size, stdout);
    bool open = reply->body.size > 0 && reply->body.data[reply->body.size - 1] != '\n';
    if (open && !cli_option(line, "json")) putchar('\n');
}

/* An error of the node's or of the function's, as opposed to a reply that a function made itself. */
static bool is_failure(const struct client_reply *reply)
{
    if (reply->http_status < 400) return false;
    json_t *json = json_loadb((const char *)reply->body.data, reply->body.size, 0, NULL);
    bool failure = json_is_string(json_object_get(json_object_get(json, "error"), "code"));
    json_decref(json);
    return failure;
}

enum cli_exit cmd_invoke(struct cli_line *line)
{
    struct buf path = BUF_INIT, body = BUF_INIT;
    enum cli_exit code = EXIT_DONE;
    const char *data = cli_option(line, "data");
    if (!invoke_path(&path, "/invoke/", line->args[0]))
        code = cli_complain(EXIT_USAGE, "`%s` is not APP/FUNCTION[/ENTITY]", line->args[0]);
    else if (data && !data_read(data, BOUND_HTTP_BODY_BYTES_MAX, &body))
        code = EXIT_LOCAL;
    const char **headers = code == EXIT_DONE ? headers_given(line) : NULL;
    if (code == EXIT_DONE && !headers) code = EXIT_USAGE;
    struct client_reply reply = {0};
    if (code == EXIT_DONE)
        code = client_ask(
            line,
            &(struct client_request){
                .method = "POST", .path = buf_cstr(&path), .body = buf_view(&body), .headers = headers},
            &reply);
    if (code == EXIT_DONE)
    {
        if (is_failure(&reply) && !cli_option(line, "include"))
            client_show_error(line, &reply);
        else
            show_reply(line, &reply);
        if (reply.http_status >= 400) code = EXIT_REFUSED;
    }
    client_reply_fini(&reply);
    free(headers);
    buf_fini(&path);
    buf_fini(&body);
    return code;
}

static void show_place(const struct cli_line *line, const json_t *answer)
{
    (void)line; /* has nothing to say to it */
    printf("partition %lld of %lld, on %s: %s\n", answer_number(answer, "partition"),
           answer_number(answer, "partitions"), answer_text(answer, "node"), answer_text(answer, "reason"));
    printf("%s; %lld invocations of the partition are in flight\n",
           json_is_true(json_object_get(answer, "warm"))
               ? "a worker of this version runs there"
               : "no worker runs yet: the first invocation starts one",
           answer_number(answer, "in_flight"));
}

/* Where it would run, and why. */
enum cli_exit cmd_explain_invoke(struct cli_line *line)
{
    struct buf path = BUF_INIT;
    if (invoke_path(&path, "/explain/", line->args[0])) return answer_show(line, "GET", &path, show_place);
    buf_fini(&path);
    return cli_complain(EXIT_USAGE, "expected APP/FUNCTION[/ENTITY], got `%s`", line->args[0]);
}
