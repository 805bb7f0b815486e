/* guestbook.c - rows in order of time, a scan, and an HTML page: a whole small web application in two functions. */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include <stead/stead.h>

enum { PAGE_ENTRIES = 50, NAME_BYTES_MAX = 80, TEXT_BYTES_MAX = 2000 };

/* A field of a form, decoded; NULL when there is none. */
static char *form_field(struct stead_ctx *ctx, const char *name);

/* POST /guestbooks/lobby with the fields of a form: name=...&text=... The new row is named by an id that sorts by time. */
STEAD_FUNCTION(sign)
{
    const char *name = form_field(ctx, "name");
    const char *text = form_field(ctx, "text");
    if (!*stead_entity(ctx)) return stead_reject(ctx, 400, "which guestbook?");
    if (!name || !text || !*name || !*text) return stead_reject(ctx, 400, "name and text are needed");
    if (strlen(name) > NAME_BYTES_MAX || strlen(text) > TEXT_BYTES_MAX)
        return stead_reject(ctx, 413, "a name has at most %d bytes, a text %d", NAME_BYTES_MAX,
                            TEXT_BYTES_MAX);

    /* One row an entry: the name, a zero byte, the text. */
    size_t name_size = strlen(name) + 1, text_size = strlen(text);
    char *entry = stead_alloc(ctx, name_size + text_size);
    memcpy(entry, name, name_size);
    memcpy(entry + name_size, text, text_size);
    stead_put(ctx, stead_format(ctx, "entry/%s", stead_new_id(ctx)), entry, name_size + text_size);
    stead_add(ctx, "entries", 1);
    stead_log(ctx, STEAD_INFO, "signed by %s", name);

    /* 303: the browser asks for the page, and reloading it does not sign again. */
    stead_reply_status(ctx, 303);
    return stead_reply_header(ctx, "location", stead_path(ctx));
}

static void show_entry(struct stead_ctx *ctx, const struct stead_row *row)
{
    const char *name = row->value.data;
    size_t name_size = strnlen(name, row->value.size);
    if (name_size == row->value.size) return; /* set by hand, not ours */
    const char *text =
        stead_format(ctx, "%.*s", (int)(row->value.size - name_size - 1), name + name_size + 1);
    stead_reply(ctx, "<dt>");
    stead_reply_html(ctx, name);
    stead_reply(ctx, "</dt><dd>");
    stead_reply_html(ctx, text);
    stead_reply(ctx, "</dd>\n");
}

/* GET /guestbooks/lobby: the newest entries first. */
STEAD_FUNCTION(page)
{
    stead_reply_header(ctx, "content-type", "text/html; charset=utf-8");
    stead_reply(ctx, "<!doctype html>\n<title>Guestbook</title>\n<h1>");
    stead_reply_html(ctx, stead_entity(ctx));
    stead_reply(ctx, "</h1>\n<p>%lld entries</p>\n", (long long)stead_get_i64(ctx, "entries", 0));
    stead_reply(ctx, "<form method=\"post\"><input name=\"name\" placeholder=\"Name\"> "
                     "<input name=\"text\" placeholder=\"Text\"> <button>Sign</button></form>\n<dl>\n");

    struct stead_scan *scan = stead_scan(ctx, "entry/");
    stead_scan_reverse(scan);
    stead_scan_limit(scan, PAGE_ENTRIES);
    struct stead_row row;
    while (stead_scan_next(scan, &row)) show_entry(ctx, &row);
    return stead_reply(ctx, "</dl>\n");
}

/* ---- forms ---- */

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

/* Decodes `+` and `%XX` in place; what is no escape stays as it is, a zero byte ends the text. */
static void form_decode(char *text)
{
    char *out = text;
    for (; *text; text++)
    {
        bool escape = *text == '%' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0;
        *out++ = *text == '+' ? ' ' : escape ? (char)(hex_digit(text[1]) * 16 + hex_digit(text[2])) : *text;
        if (escape) text += 2;
    }
    *out = 0;
}

static char *form_field(struct stead_ctx *ctx, const char *name)
{
    size_t size = strlen(name);
    for (const char *field = stead_body_text(ctx); *field; field += strcspn(field, "&"))
    {
        if (*field == '&') field++;
        if (strncmp(field, name, size) != 0 || field[size] != '=') continue;
        const char *value = field + size + 1;
        char *copy = stead_format(ctx, "%.*s", (int)strcspn(value, "&"), value);
        form_decode(copy);
        return copy;
    }
    return NULL;
}
