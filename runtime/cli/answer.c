/* answer.c - paths of apps, requests without a body, fields of answers. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cli/answer.h"

#include "runtime/cli/client.h"
#include "runtime/cli/output.h"

void app_path(struct buf *path, struct slice app, const char *rest)
{
    buf_append_cstr(path, "/v1/apps/");
    client_escape(path, app, false);
    buf_append_cstr(path, rest);
}

enum cli_exit answer_get(const struct cli_line *line, const char *method, struct buf *path, json_t **json)
{
    enum cli_exit code =
        client_json(line, &(struct client_request){.method = method, .path = buf_cstr(path)}, json);
    buf_fini(path);
    return code;
}

enum cli_exit answer_end(const struct cli_line *line, json_t *answer, answer_show_fn show)
{
    if (line->json)
        output_json(answer);
    else if (show)
        show(line, answer);
    json_decref(answer);
    return EXIT_DONE;
}

enum cli_exit answer_show(const struct cli_line *line, const char *method, struct buf *path,
                          answer_show_fn show)
{
    json_t *answer;
    enum cli_exit code = answer_get(line, method, path, &answer);
    return code == EXIT_DONE ? answer_end(line, answer, show) : code;
}

const char *answer_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

long long answer_number(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}
