/* cmd_transfer.c - rows of an app out to a file, and in from one. */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "runtime/cli/answer.h"
#include "runtime/cli/client.h"
#include "runtime/cli/job.h"
#include "runtime/cli/output.h"

static enum cli_exit transfer(struct cli_line *line, const char *verb, const char *words)
{
    struct buf file = BUF_INIT, path = BUF_INIT;
    json_t *done = NULL;
    job_absolute(&file, line->args[1]);
    app_path(&path, slice_cstr(line->args[0]), "/state/");
    buf_printf(&path, "%s?path=", verb);
    client_escape(&path, buf_view(&file), false);
    enum cli_exit code = job_follow(line, buf_cstr(&path), &done);
    if (code == EXIT_DONE && line->json)
        output_json(done);
    else if (code == EXIT_DONE)
    {
        char bytes[32];
        uint64_t size = (uint64_t)answer_number(done, "bytes");
        printf("%lld rows, %s, %s %s\n", answer_number(done, "rows"), output_bytes(size, bytes, sizeof bytes),
               words, line->args[1]);
    }
    json_decref(done);
    buf_fini(&file);
    buf_fini(&path);
    return code;
}

enum cli_exit cmd_state_export(struct cli_line *line)
{
    return transfer(line, "export", "to");
}

enum cli_exit cmd_state_import(struct cli_line *line)
{
    return transfer(line, "import", "from");
}
