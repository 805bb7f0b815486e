/* config.c - settings by name. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum setting_kind { SETTING_IS_TEXT, SETTING_IS_NUMBER, SETTING_IS_SWITCH };

static const struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;
    const char *fallback;
    uint64_t number, min, max;
    const char *text;
} settings[] = {
#define SETTING_TEXT(field, name, fallback, text) \
    {name, SETTING_IS_TEXT, offsetof(struct config, field), fallback, 0, 0, 0, text},
#define SETTING_NUMBER(field, name, fallback, min, max, text) \
    {name, SETTING_IS_NUMBER, offsetof(struct config, field), NULL, fallback, min, max, text},
#define SETTING_SWITCH(field, name, fallback, text) \
    {name, SETTING_IS_SWITCH, offsetof(struct config, field), NULL, fallback, 0, 1, text},
#include "runtime/node/config.def"
#undef SETTING_TEXT
#undef SETTING_NUMBER
#undef SETTING_SWITCH
};

enum { SETTINGS_COUNT = sizeof settings / sizeof settings[0] };

void config_init(struct config *config)
{
    memset(config, 0, sizeof *config);
    for (int i = 0; i < SETTINGS_COUNT; i++)
    {
        void *field = (char *)config + settings[i].offset;
        switch (settings[i].kind)
        {
        case SETTING_IS_TEXT:
            snprintf(field, CONFIG_TEXT_MAX, "%s", settings[i].fallback);
            break;
        case SETTING_IS_NUMBER:
            *(uint64_t *)field = settings[i].number;
            break;
        case SETTING_IS_SWITCH:
            *(bool *)field = settings[i].number != 0;
            break;
        }
    }
}

static enum status set_number(const struct setting *setting, uint64_t *field, const char *value,
                              struct err *err)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end != 0 || errno != 0 || number < setting->min ||
        number > setting->max)
        return err_set(err, STATUS_CONFIG_INVALID, "%s: expected a number from %llu to %llu, got '%s'",
                       setting->name, (unsigned long long)setting->min, (unsigned long long)setting->max,
                       value);
    *field = number;
    return STATUS_OK;
}

static enum status set_switch(const struct setting *setting, bool *field, const char *value, struct err *err)
{
    if (strcmp(value, "true") == 0)
        *field = true;
    else if (strcmp(value, "false") == 0)
        *field = false;
    else
        return err_set(err, STATUS_CONFIG_INVALID, "%s: expected true or false, got '%s'", setting->name,
                       value);
    return STATUS_OK;
}

static const struct setting *setting_find(const char *name)
{
    for (int i = 0; i < SETTINGS_COUNT; i++)
    {
        if (strcmp(settings[i].name, name) == 0) return &settings[i];
    }
    return NULL;
}

enum status config_set(struct config *config, const char *name, const char *value, struct err *err)
{
    const struct setting *setting = setting_find(name);
    if (!setting)
        return err_set(err, STATUS_CONFIG_INVALID, "there is no setting '%s'; `steadd --help` lists them",
                       name);
    void *field = (char *)config + setting->offset;
    switch (setting->kind)
    {
    case SETTING_IS_TEXT:
        if (strlen(value) >= CONFIG_TEXT_MAX)
            return err_set(err, STATUS_CONFIG_INVALID, "%s: longer than %d bytes", name, CONFIG_TEXT_MAX - 1);
        snprintf(field, CONFIG_TEXT_MAX, "%s", value);
        return STATUS_OK;
    case SETTING_IS_NUMBER:
        return set_number(setting, field, value, err);
    case SETTING_IS_SWITCH:
        return set_switch(setting, field, value, err);
    }
    return STATUS_OK;
}

/* Cuts blanks and the comment off both ends, in place. */
static char *trim(char *text)
{
    char *comment = strchr(text, '#');
    if (comment) *comment = 0;
    while (isspace((unsigned char)*text)) text++;
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1])) text[--size] = 0;
    return text;
}

enum status config_read(struct config *config, const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (!file) return err_errno(err, STATUS_CONFIG_INVALID, errno, "config file %s", path);
    char line[CONFIG_TEXT_MAX + 256];
    enum status status = STATUS_OK;
    for (int number = 1; status == STATUS_OK && fgets(line, sizeof line, file); number++)
    {
        char *name = trim(line);
        if (*name == 0) continue;
        char *colon = strchr(name, ':');
        if (!colon)
        {
            status = err_set(err, STATUS_CONFIG_INVALID, "expected `name: value`");
        }
        else
        {
            *colon = 0;
            status = config_set(config, trim(name), trim(colon + 1), err);
        }
        if (status != STATUS_OK) (void)err_wrap(err, status, "%s:%d", path, number);
    }
    fclose(file);
    return status;
}

enum status config_parse(struct config *config, int argc, char **argv, bool *help, struct err *err)
{
    for (int i = 1; i < argc; i++)
    {
        const char *flag = argv[i];
        if (strcmp(flag, "--help") == 0 || strcmp(flag, "-h") == 0)
        {
            *help = true;
            continue;
        }
        if (strncmp(flag, "--", 2) != 0)
            return err_set(err, STATUS_CONFIG_INVALID, "unexpected argument '%s'", flag);
        char name[128];
        const char *value = strchr(flag, '=');
        size_t size = value ? (size_t)(value - flag) - 2 : strlen(flag) - 2;
        if (size >= sizeof name) return err_set(err, STATUS_CONFIG_INVALID, "unknown flag '%s'", flag);
        memcpy(name, flag + 2, size);
        name[size] = 0;
        const struct setting *setting = setting_find(name);
        if (value)
            value++;
        else if (setting && setting->kind == SETTING_IS_SWITCH)
            value = "true";
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return err_set(err, STATUS_CONFIG_INVALID, "%s: a value is missing", flag);
        if (strcmp(name, "config") == 0)
            TRY(config_read(config, value, err));
        else
            TRY(config_set(config, name, value, err));
    }
    return STATUS_OK;
}

void config_help(FILE *out)
{
    for (int i = 0; i < SETTINGS_COUNT; i++)
    {
        const struct setting *setting = &settings[i];
        fprintf(out, "  --%-26s %s", setting->name, setting->text);
        if (setting->kind == SETTING_IS_TEXT && setting->fallback[0])
            fprintf(out, " (%s)", setting->fallback);
        if (setting->kind == SETTING_IS_NUMBER) fprintf(out, " (%llu)", (unsigned long long)setting->number);
        fputc('\n', out);
    }
}
