/* cmd_deploy.c - read the manifest, build, upload. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cli/cmd_deploy.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/catalog/bundle.h"
#include "runtime/cli/client.h"
#include "runtime/cli/output.h"
#include "runtime/cli/place.h"

enum cli_exit app_dir_open(struct app_dir *app, const char *dir)
{
    struct buf path = BUF_INIT, content = BUF_INIT;
    struct err err = ERR_INIT;
    *app = (struct app_dir){.dir = dir};
    buf_printf(&path, "%s/stead.yaml", dir);
    enum cli_exit code = EXIT_DONE;
    if (access(buf_cstr(&path), F_OK) != 0)
        code = cli_complain(EXIT_LOCAL, "there is no stead.yaml in %s; `stead init NAME` makes an app",
                            strcmp(dir, ".") == 0 ? "this directory" : dir);
    else if (!file_read(buf_cstr(&path), BOUND_MANIFEST_BYTES_MAX, &content))
        code = EXIT_LOCAL;
    else if (manifest_parse(buf_view(&content), strcmp(dir, ".") == 0 ? "stead.yaml" : buf_cstr(&path),
                            &app->manifest, &err) != STATUS_OK)
        code = cli_complain(EXIT_LOCAL, "%s", err.text);
    buf_fini(&path);
    if (code != EXIT_DONE)
        buf_fini(&content);
    else
        app->text = buf_view(&content); /* taken */
    return code;
}

void app_dir_close(struct app_dir *app)
{
    manifest_destroy(app->manifest);
    free((void *)app->text.data);
    *app = (struct app_dir){0};
}

/* ---- build ---- */

extern char **environ;

/* $(stead ...) in Makefiles must mean this very program, wherever it is. */
static char *environment_path(void)
{
    struct buf path = BUF_INIT;
    const char *old = getenv("PATH");
    program_beside(&path, "");
    path.size--; /* the slash */
    buf_printf(&path, ":%s", old ? old : "/usr/bin:/bin");
    char *text = mem_cstr(buf_view(&path));
    buf_fini(&path);
    return text;
}

enum cli_exit app_dir_build(const struct app_dir *app)
{
    const char *command = app->manifest->build;
    if (!command) return EXIT_DONE;
    char *path = environment_path();
    setenv("PATH", path, 1);
    free(path);
    /* The build's words are for people; standard output stays ours. */
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, app->dir);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    char *argv[] = {"sh", "-c", (char *)command, NULL};
    pid_t pid;
    int failed = posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed) return cli_complain(EXIT_LOCAL, "run `%s`: %s", command, strerror(failed));
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return cli_complain(EXIT_LOCAL, "wait for `%s`: %s", command, strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return EXIT_DONE;
    if (WIFSIGNALED(status))
        return cli_complain(EXIT_LOCAL, "the build `%s` was killed by signal %d", command, WTERMSIG(status));
    return cli_complain(EXIT_LOCAL, "the build `%s` failed with exit code %d", command, WEXITSTATUS(status));
}

/* ---- upload ---- */

static enum cli_exit code_read(const struct app_dir *app, struct buf *code)
{
    struct buf path = BUF_INIT;
    const struct manifest *manifest = app->manifest;
    buf_printf(&path, "%s/%s", app->dir, manifest->code);
    enum cli_exit result = EXIT_DONE;
    struct stat info;
    bool here = strcmp(app->dir, ".") == 0;
    if (stat(buf_cstr(&path), &info) != 0)
        result = cli_complain(EXIT_LOCAL, "%s%sstead.yaml:%zu: code: there is no file `%s`%s",
                              here ? "" : app->dir, here ? "" : "/", manifest->code_line, manifest->code,
                              manifest->build ? "; `build` did not make it"
                                              : "; build it first, or say how with `build`");
    else if (!S_ISREG(info.st_mode)) /* a pipe would be waited for, a device has no end */
        result = cli_complain(EXIT_LOCAL, "%s%sstead.yaml:%zu: code: `%s` is not a file",
                              here ? "" : app->dir, here ? "" : "/", manifest->code_line, manifest->code);
    else if (!file_read(buf_cstr(&path), BOUND_ARTIFACT_BYTES_MAX, code))
        result = EXIT_LOCAL;
    buf_fini(&path);
    return result;
}

enum cli_exit app_dir_upload(const struct cli_line *line, const struct app_dir *app, json_t **json)
{
    struct buf code = BUF_INIT, body = BUF_INIT, path = BUF_INIT;
    enum cli_exit result = code_read(app, &code);
    if (result != EXIT_DONE) goto free_code;
    struct bundle bundle = {.manifest = app->text, .file_count = 1};
    bundle.files[0] = (struct bundle_file){slice_cstr(app->manifest->code), buf_view(&code)};
    bundle_encode(&body, &bundle);
    buf_printf(&path, "/v1/apps/%s", app->manifest->app);
    static const char *const headers[] = {"content-type: application/msgpack", NULL};
    result = client_json(
        line,
        &(struct client_request){
            .method = "POST", .path = buf_cstr(&path), .body = buf_view(&body), .headers = headers},
        json);
free_code:
    buf_fini(&code);
    buf_fini(&body);
    buf_fini(&path);
    return result;
}

void app_dir_report(const struct cli_line *line, const json_t *json)
{
    if (line->json)
    {
        output_json(json);
        return;
    }
    const char *app = json_string_value(json_object_get(json, "app"));
    const char *version = json_string_value(json_object_get(json, "version"));
    const char *previous = json_string_value(json_object_get(json, "previous"));
    if (json_is_true(json_object_get(json, "unchanged")))
    {
        printf("%s %s is deployed already; nothing has changed\n", app, version);
        return;
    }
    printf("%s %s deployed%s%s\n", app, version, previous ? ", replacing " : "", previous ? previous : "");
    size_t index;
    json_t *name;
    json_array_foreach(json_object_get(json, "functions"), index, name)
        printf("  /%s/%s\n", app, json_string_value(name));
}

enum cli_exit cmd_deploy(struct cli_line *line)
{
    struct app_dir app;
    json_t *json = NULL;
    enum cli_exit code = app_dir_open(&app, line->arg_count ? line->args[0] : ".");
    if (code != EXIT_DONE) return code;
    if (!cli_option(line, "no-build")) code = app_dir_build(&app);
    if (code == EXIT_DONE) code = app_dir_upload(line, &app, &json);
    if (code == EXIT_DONE) app_dir_report(line, json);
    json_decref(json);
    app_dir_close(&app);
    return code;
}
