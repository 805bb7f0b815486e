/* main.c - the program `stead`: finds the command, parses its arguments, runs it. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/suggest.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/output.h"

/* What every command takes. */
static const struct cli_option common_options[] = {
    {"admin", 0, "PATH",
     "admin socket of the node (default: $STEAD_ADMIN, else admin.sock in the data directory)"},
    {"data", 0, "DIR", "data directory of the node (default: $STEAD_DATA, else ./.stead)"},
    {"json", 0, NULL, "print JSON"},
    {"help", 'h', NULL, "print this help"},
    {0},
};

enum cli_exit cli_complain(enum cli_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("stead: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

/* ---- options ---- */

const char *cli_option(const struct cli_line *line, const char *name)
{
    for (size_t i = line->given_count; i-- > 0;)
        if (strcmp(line->given[i].name, name) == 0) return line->given[i].value;
    return NULL;
}

bool cli_option_number(const struct cli_line *line, const char *name, unsigned long fallback,
                       unsigned long max, unsigned long *number)
{
    const char *text = cli_option(line, name);
    *number = fallback;
    if (!text) return true;
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == 0 && errno == 0 && value <= max)
    {
        *number = value;
        return true;
    }
    (void)cli_complain(EXIT_USAGE, "--%s takes a number from 0 to %lu, not `%s`", name, max, text);
    return false;
}

static const struct cli_option *option_in(const struct cli_option *options, struct slice name, char letter)
{
    for (; options && options->name; options++)
        if ((letter && options->letter == letter) || (!letter && slice_is(name, options->name)))
            return options;
    return NULL;
}

static const struct cli_option *option_find(const struct cli_command *command, struct slice name, char letter)
{
    const struct cli_option *option = option_in(command->options, name, letter);
    return option ? option : option_in(common_options, name, letter);
}

static enum cli_exit option_unknown(const struct cli_command *command, const char *typed)
{
    const char *words[CLI_OPTIONS_MAX * 2 + 1] = {NULL};
    size_t count = 0;
    for (const struct cli_option *option = command->options; option && option->name; option++)
        words[count++] = option->name;
    for (const struct cli_option *option = common_options; option->name; option++)
        words[count++] = option->name;
    struct slice name = slice_make(typed + 2, typed[1] == '-' ? strcspn(typed + 2, "=") : 0);
    const char *near = suggest_word(name, words);
    if (near)
        return cli_complain(EXIT_USAGE, "`%s` has no option `%s`; did you mean `--%s`?", command->name, typed,
                            near);
    return cli_complain(EXIT_USAGE, "`%s` has no option `%s`; see `stead help %s`", command->name, typed,
                        command->name);
}

/* One argument that begins with a dash, and the value that may follow it. */
static enum cli_exit option_parse(struct cli_line *line, char **argv, int *place)
{
    char *typed = argv[*place];
    bool by_name = typed[1] == '-';
    size_t size = by_name ? strcspn(typed + 2, "=") : 0;
    const struct cli_option *option =
        option_find(line->command, slice_make(typed + 2, size), by_name ? 0 : typed[1]);
    if (!option) return option_unknown(line->command, typed);
    char *attached =
        by_name ? (typed[2 + size] == '=' ? typed + 3 + size : NULL) : (typed[2] ? typed + 2 : NULL);
    if (!option->value && attached) return cli_complain(EXIT_USAGE, "--%s takes no value", option->name);
    if (option->value && !attached)
    {
        if (!argv[*place + 1]) return cli_complain(EXIT_USAGE, "--%s needs %s", option->name, option->value);
        attached = argv[++*place];
    }
    line->given[line->given_count].name = option->name;
    line->given[line->given_count++].value = attached ? attached : "";
    return EXIT_DONE;
}

static enum cli_exit line_parse(struct cli_line *line, char **argv)
{
    bool options = !line->command->raw;
    for (int i = 0; argv[i]; i++)
    {
        if (line->arg_count == CLI_ARGS_MAX || line->given_count == CLI_ARGS_MAX)
            return cli_complain(EXIT_USAGE, "too many arguments");
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1])
        {
            enum cli_exit code = option_parse(line, argv, &i);
            if (code != EXIT_DONE) return code;
        }
        else
            line->args[line->arg_count++] = argv[i];
    }
    line->json = cli_option(line, "json") != NULL;
    return EXIT_DONE;
}

const char *cli_data_dir(const struct cli_line *line)
{
    bool taken = option_in(line->command->options, SLICE("data"), 0) != NULL;
    const char *dir = taken ? NULL : cli_option(line, "data");
    if (!dir) dir = getenv("STEAD_DATA");
    return dir && *dir ? dir : "./.stead";
}

/* ---- help ---- */

static void print_option(const struct cli_option *option)
{
    char left[64];
    snprintf(left, sizeof left, "%s%c%s--%s%s%s", option->letter ? "-" : "  ",
             option->letter ? option->letter : ' ', option->letter ? ", " : " ", option->name,
             option->value ? " " : "", option->value ? option->value : "");
    printf("  %-26s %s\n", left, option->help);
}

static void print_command(const struct cli_command *command)
{
    printf("stead %s %s\n\n%s.\n", command->name, command->synopsis, command->summary);
    if (command->details) printf("%s", command->details);
    if (command->raw) return;
    printf("\nOptions:\n");
    for (const struct cli_option *option = command->options; option && option->name; option++)
        print_option(option);
    for (const struct cli_option *option = common_options; option->name; option++)
        if (!option_in(command->options, slice_cstr(option->name), 0)) print_option(option);
}

static void print_commands(void)
{
    printf("stead - functions that live where their state lives\n\n"
           "  stead COMMAND [OPTION...] [ARGUMENT...]\n\n");
    for (const struct cli_command *command = cli_commands; command->name; command++)
    {
        char left[64];
        snprintf(left, sizeof left, "%s %s", command->name, command->synopsis);
        printf("  %-36s %s\n", left, command->summary);
    }
    printf("\n`stead help COMMAND` has the options. All take --json.\n"
           "Exit codes: 0 done, 1 refused by the node or the function, 2 wrong usage, 3 no node answers,\n"
           "4 something on this side failed (a file, a build).\n");
}

/* For completion of words and for tools. */
static void print_commands_json(void)
{
    json_t *list = json_array();
    for (const struct cli_command *command = cli_commands; command->name; command++)
    {
        json_t *options = json_array();
        for (const struct cli_option *option = command->options; option && option->name; option++)
            json_array_append_new(options, json_string(option->name));
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:o}", "command", command->name, "arguments",
                                        command->synopsis, "summary", command->summary, "options", options));
    }
    output_json(list);
    json_decref(list);
}

static enum cli_exit command_unknown(const char *typed)
{
    const char *words[64] = {NULL};
    size_t count = 0;
    for (const struct cli_command *command = cli_commands; command->name; command++)
        words[count++] = command->name;
    const char *near = suggest_word(slice_cstr(typed), words);
    if (near) return cli_complain(EXIT_USAGE, "there is no command `%s`; did you mean `%s`?", typed, near);
    return cli_complain(EXIT_USAGE, "there is no command `%s`; `stead help` lists them", typed);
}

/* True when `word` begins commands of two words, as in "state ls". */
static bool is_group(const char *word)
{
    size_t size = strlen(word);
    for (const struct cli_command *command = cli_commands; command->name; command++)
        if (strncmp(command->name, word, size) == 0 && command->name[size] == ' ') return true;
    return false;
}

/* `second` may be NULL. */
static const struct cli_command *command_find(const char *first, const char *second)
{
    size_t size = strlen(first);
    for (const struct cli_command *command = cli_commands; command->name; command++)
    {
        if (strncmp(command->name, first, size) != 0) continue;
        if (command->name[size] == 0) return command;
        if (command->name[size] == ' ' && second && strcmp(command->name + size + 1, second) == 0)
            return command;
    }
    return NULL;
}

/* Names the words that may stand behind `first`; false when it is no command of two words. */
static bool complain_subcommand(const char *first)
{
    struct buf words = BUF_INIT;
    size_t size = strlen(first);
    for (const struct cli_command *command = cli_commands; command->name; command++)
        if (strncmp(command->name, first, size) == 0 && command->name[size] == ' ')
            buf_printf(&words, "%s%s", words.size ? ", " : "", command->name + size + 1);
    bool found = words.size > 0;
    if (found) (void)cli_complain(EXIT_USAGE, "`%s` takes one of: %s", first, buf_cstr(&words));
    buf_fini(&words);
    return found;
}

/* Of a command, or of all that begin with `first`. */
static enum cli_exit help_show(const char *first, const char *second)
{
    const struct cli_command *command = command_find(first, second);
    if (command)
    {
        print_command(command);
        return EXIT_DONE;
    }
    if (!is_group(first)) return command_unknown(first);
    size_t size = strlen(first);
    for (command = cli_commands; command->name; command++)
    {
        if (strncmp(command->name, first, size) != 0 || command->name[size] != ' ') continue;
        char left[64];
        snprintf(left, sizeof left, "stead %s %s", command->name, command->synopsis);
        printf("  %-40s %s\n", left, command->summary);
    }
    return EXIT_DONE;
}

enum cli_exit cmd_help(struct cli_line *line)
{
    if (line->arg_count > 0) return help_show(line->args[0], line->arg_count > 1 ? line->args[1] : NULL);
    if (line->json)
        print_commands_json();
    else
        print_commands();
    return EXIT_DONE;
}

enum cli_exit cmd_version(struct cli_line *line)
{
    printf(line->json ? "{\"version\":\"%s\"}\n" : "stead %s\n", STEAD_VERSION);
    return EXIT_DONE;
}

/* ---- main ---- */

static enum cli_exit usage(const struct cli_command *command)
{
    fprintf(stderr, "stead: usage: stead %s %s\n", command->name, command->synopsis);
    return EXIT_USAGE;
}

/* The command's own words, wherever they stand between common options: `stead --json state ls`. They are taken out of
 * argv, so that what is left are options and arguments. */
static char **word_find(char **argv)
{
    for (; *argv; argv++)
    {
        if (argv[0][0] != '-') return argv;
        const char *name = argv[0][1] == '-' ? argv[0] + 2 : "";
        const struct cli_option *option = option_in(common_options, slice_cstr(name), 0);
        if (option && option->value && argv[1]) argv++;
    }
    return NULL;
}

static const char *word_take(char **argv)
{
    char **place = word_find(argv);
    const char *word = place ? *place : NULL;
    for (; place && *place; place++) place[0] = place[1];
    return word;
}

/* The second word of a command of two. One that stands alone too, as `explain`, has it only when it fits. */
static const char *second_word(const char *first, char **argv)
{
    char **next = word_find(argv);
    if (!next || !is_group(first)) return NULL;
    const struct cli_command *alone = command_find(first, NULL);
    return alone && command_find(first, *next) == alone ? NULL : word_take(argv);
}

int main(int argc, char **argv)
{
    argv++;
    bool version = argc > 1 && strcmp(argv[0], "--version") == 0;
    bool help = argc > 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
    const char *first = version || help ? *argv++ + 2 : word_take(argv);
    if (help) first = "help";
    if (!first)
    {
        print_commands();
        return EXIT_USAGE;
    }
    const char *second = second_word(first, argv);
    struct cli_line line = {.command = command_find(first, second)};
    if (!line.command && is_group(first) && argv[0] && strcmp(argv[0], "--help") == 0)
        return help_show(first, NULL);
    if (!line.command) return complain_subcommand(first) ? EXIT_USAGE : command_unknown(first);
    /* "explain conflict": a word that could have been the command's second is its first argument. */
    if (second && !strchr(line.command->name, ' ')) line.args[line.arg_count++] = second;
    enum cli_exit code = line_parse(&line, argv);
    if (code != EXIT_DONE) return code;
    if (!line.command->raw && cli_option(&line, "help"))
    {
        print_command(line.command);
        return EXIT_DONE;
    }
    if (line.arg_count < line.command->args_min || line.arg_count > line.command->args_max)
        return usage(line.command);
    /* An unset variable of a script: what is meant is not everything. */
    if (!line.command->raw && line.arg_count > 0 && *line.args[0] == 0)
        return cli_complain(EXIT_USAGE, "the first argument is empty; usage: stead %s %s", line.command->name,
                            line.command->synopsis);
    return line.command->run(&line);
}
