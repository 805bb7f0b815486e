/* cmd_init.c - a new app that builds, runs and has a test. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/bounds.h"
#include "runtime/catalog/manifest.h"
#include "runtime/cli/output.h"
#include "runtime/cli/place.h"

/* In the templates @NAME@ is the app and @STEAD@ this very program. */
static const char manifest_template[] =
    "# What this app consists of; docs/guides/manifest.md of Stead has every field.\n"
    "app: @NAME@\n"
    "code: build/@NAME@.so\n"
    "build: make -s\n"
    "functions:\n"
    "  - name: greet\n"
    "    timeout_ms: 2000\n"
    "routes:\n"
    "  - { method: GET, path: \"/hello/{entity}\", function: greet }\n";

static const char code_template[] =
    "/* @NAME@.c - the functions of the app. */\n"
    "#include <string.h>\n"
    "\n"
    "#include <stead/stead.h>\n"
    "\n"
    "/* Greets the entity that it is addressed to and counts how often: the count is a row of that entity. "
    "*/\n"
    "STEAD_FUNCTION(greet)\n"
    "{\n"
    "    const char *name = *stead_entity(ctx) ? stead_entity(ctx) : \"world\";\n"
    "    if (strlen(name) > 100) return stead_reject(ctx, 400, \"that is too long for a name\");\n"
    "    int64_t count = stead_add(ctx, \"greetings\", 1);\n"
    "    stead_log(ctx, STEAD_INFO, \"%s is greeted\", name);\n"
    "    return stead_reply(ctx, \"hello %s, for the %lld. time\\n\", name, (long long)count);\n"
    "}\n";

static const char test_template[] =
    "/* test_@NAME@.c - the functions run in this process: no node is needed. */\n"
    "#include <assert.h>\n"
    "#include <stdio.h>\n"
    "#include <string.h>\n"
    "\n"
    "#include <stead/testkit.h>\n"
    "\n"
    "STEAD_HANDLER(greet);\n"
    "\n"
    "int main(void)\n"
    "{\n"
    "    struct stead_testkit *kit = stead_testkit_create();\n"
    "\n"
    "    struct stead_testkit_request to_ann = {.entity = \"ann\"};\n"
    "    struct stead_testkit_reply reply = stead_testkit_invoke(kit, stead_fn_greet, &to_ann);\n"
    "    assert(reply.status == STEAD_OK);\n"
    "    assert(strcmp(reply.body, \"hello ann, for the 1. time\\n\") == 0);\n"
    "    reply = stead_testkit_invoke(kit, stead_fn_greet, &to_ann);\n"
    "    assert(strcmp(reply.body, \"hello ann, for the 2. time\\n\") == 0);\n"
    "\n"
    "    reply = stead_testkit_invoke(kit, stead_fn_greet, NULL);\n"
    "    assert(strcmp(reply.body, \"hello world, for the 1. time\\n\") == 0);\n"
    "    assert(strcmp(stead_testkit_get(kit, \"ann\", \"greetings\"), \"2\") == 0);\n"
    "\n"
    "    stead_testkit_destroy(kit);\n"
    "    puts(\"@NAME@: all is well\");\n"
    "    return 0;\n"
    "}\n";

static const char make_template[] =
    "# make: the app's code; make test: its unit test; make deploy: on a node.\n"
    "# `stead` from PATH, else the one that made this directory.\n"
    "STEAD ?= $(or $(shell command -v stead),@STEAD@)\n"
    "CFLAGS ?= -O2 -g -Wall -Wextra\n"
    "\n"
    "build/@NAME@.so: @NAME@.c\n"
    "\t@mkdir -p build\n"
    "\t$(CC) -shared -fPIC $(CFLAGS) $(shell $(STEAD) sdk --cflags) $^ -o $@\n"
    "\n"
    "build/test_@NAME@: test_@NAME@.c @NAME@.c\n"
    "\t@mkdir -p build\n"
    "\t$(CC) -UNDEBUG $(CFLAGS) $(shell $(STEAD) sdk --testkit-cflags) $^ $(shell $(STEAD) sdk "
    "--testkit-libs) -o $@\n"
    "\n"
    ".PHONY: test deploy clean\n"
    "test: build/test_@NAME@\n"
    "\t./build/test_@NAME@\n"
    "deploy: build/@NAME@.so\n"
    "\t$(STEAD) deploy .\n"
    "clean:\n"
    "\trm -rf build\n";

static const char readme_template[] =
    "# @NAME@\n"
    "\n"
    "    make test                                   # the unit test, no node needed\n"
    "    stead dev                                   # build, deploy, watch, show the logs; Ctrl-C ends it\n"
    "\n"
    "    curl -X POST http://127.0.0.1:8080/@NAME@/greet/ann\n"
    "    curl http://127.0.0.1:8080/hello/ann        # the route of stead.yaml\n"
    "    stead state scan @NAME@/ann                 # what it remembers\n"
    "\n"
    "`@NAME@.c` has the functions, `stead.yaml` says what the app consists of.\n";

static const char ignore_template[] = "/build/\n/.stead/\n";

static void fill_in(struct buf *out, const char *text, const char *name, const char *program)
{
    while (*text)
    {
        const char *mark = strchr(text, '@');
        bool is_name = mark && strncmp(mark, "@NAME@", 6) == 0;
        bool is_program = mark && strncmp(mark, "@STEAD@", 7) == 0;
        size_t plain = mark ? (size_t)(mark - text) + (!is_name && !is_program) : strlen(text);
        buf_append(out, slice_make(text, plain));
        text += plain;
        if (is_name) buf_append_cstr(out, name);
        if (is_program) buf_append_cstr(out, program);
        text += is_name ? 6 : is_program ? 7 : 0;
    }
}

/* Its path goes to `list`. */
static enum cli_exit write_file(const char *dir, const char *file, const char *content, const char *name,
                                const char *program, json_t *list)
{
    struct buf path = BUF_INIT, text = BUF_INIT;
    buf_printf(&path, "%s/", dir);
    fill_in(&path, file, name, program);
    fill_in(&text, content, name, program);
    enum cli_exit code = EXIT_DONE;
    FILE *out = fopen(buf_cstr(&path), "wx");
    bool written = out && fwrite(text.data, 1, text.size, out) == text.size;
    if (out && fclose(out) != 0) written = false;
    if (written)
        json_array_append_new(list, json_string(buf_cstr(&path)));
    else
        code = cli_complain(EXIT_LOCAL, "write %s: %s", buf_cstr(&path), strerror(errno));
    buf_fini(&path);
    buf_fini(&text);
    return code;
}

static void show(const struct cli_line *line, const char *name, const char *dir, json_t *files)
{
    if (line->json)
    {
        json_t *json = json_pack("{s:s, s:s, s:O}", "app", name, "dir", dir, "files", files);
        output_json(json);
        json_decref(json);
        return;
    }
    size_t i;
    const json_t *file;
    json_array_foreach(files, i, file) printf("  %s\n", json_string_value(file));
    printf("\ncd %s && stead dev\n", dir);
}

enum cli_exit cmd_init(struct cli_line *line)
{
    static const struct {
        const char *file;
        const char *content;
    } files[] = {
        {"stead.yaml", manifest_template}, {"@NAME@.c", code_template},    {"test_@NAME@.c", test_template},
        {"Makefile", make_template},       {"README.md", readme_template}, {".gitignore", ignore_template},
    };
    const char *dir = line->args[0];
    const char *slash = strrchr(dir, '/');
    const char *name = slash ? slash + 1 : dir;
    if (!manifest_app_name_valid(slice_cstr(name)))
        return cli_complain(EXIT_USAGE,
                            "`%s` cannot be an app's name: 1 to %d of a-z, 0-9, - and _, a letter first",
                            name, BOUND_NAME_BYTES_MAX);
    if (mkdir(dir, 0777) != 0) return cli_complain(EXIT_LOCAL, "make directory %s: %s", dir, strerror(errno));
    struct buf program = BUF_INIT;
    program_beside(&program, "stead");
    enum cli_exit code = EXIT_DONE;
    json_t *written = json_array();
    for (size_t i = 0; i < sizeof files / sizeof files[0] && code == EXIT_DONE; i++)
        code = write_file(dir, files[i].file, files[i].content, name, buf_cstr(&program), written);
    buf_fini(&program);
    if (code == EXIT_DONE) show(line, name, dir, written);
    json_decref(written);
    return code;
}
