/* cmd_serve.c - becomes steadd, which lies beside this program. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cli/cli.h"
#include "runtime/cli/place.h"

enum cli_exit cmd_serve(struct cli_line *line)
{
    struct buf path = BUF_INIT;
    const char *argv[CLI_ARGS_MAX + 4] = {"steadd"};
    size_t count = 1;
    bool data = false;
    program_beside(&path, "steadd");
    for (size_t i = 0; i < line->arg_count; i++)
    {
        argv[count++] = line->args[i];
        data |= strncmp(line->args[i], "--data", 6) == 0 || strncmp(line->args[i], "--config", 8) == 0;
    }
    if (!data) /* so that $STEAD_DATA means the same to all commands */
    {
        argv[count++] = "--data";
        argv[count++] = cli_data_dir(line);
    }
    argv[count] = NULL;
    execv(buf_cstr(&path), (char *const *)argv);
    enum cli_exit code = cli_complain(EXIT_LOCAL, "run %s: %s", buf_cstr(&path), strerror(errno));
    buf_fini(&path);
    return code;
}
