/* output.c - columns, ages, sizes. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"

void table_init(struct table *table, const char *const *heads)
{
    *table = (struct table){0};
    while (heads[table->columns]) table->columns++;
    CHECK(table->columns > 0 && table->columns <= TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < table->columns; i++) table_cell(table, "%s", heads[i]);
}

void table_cell(struct table *table, const char *format, ...)
{
    if (table->count == table->capacity)
    {
        table->capacity = table->capacity ? table->capacity * 2 : 32;
        table->cells = mem_realloc(table->cells, table->capacity * sizeof *table->cells);
    }
    struct buf *cell = &table->cells[table->count++];
    *cell = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(cell, format, args);
    va_end(args);
    for (size_t i = 0; i < cell->size; i++)
        if (cell->data[i] < ' ' || cell->data[i] == 0x7f) cell->data[i] = '.';
}

/* Characters of UTF-8, which is near enough to columns. */
static size_t width(struct buf *cell)
{
    size_t count = 0;
    for (size_t i = 0; i < cell->size; i++) count += (cell->data[i] & 0xc0) != 0x80;
    return count;
}

void table_print(struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->count; i++)
    {
        size_t *widest = &widths[i % table->columns];
        if (width(&table->cells[i]) > *widest) *widest = width(&table->cells[i]);
    }
    for (size_t i = 0; i < table->count; i++)
    {
        size_t column = i % table->columns;
        bool last = column + 1 == table->columns;
        int blanks = last ? 0 : (int)(widths[column] - width(&table->cells[i]) + 2);
        printf("%s%*s%s", buf_cstr(&table->cells[i]), blanks, "", last ? "\n" : "");
    }
    table_fini(table);
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) buf_fini(&table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

void output_json(const json_t *json)
{
    size_t style = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT;
    (void)json_dumpf(json, stdout, style); /* a closed pipe ends the program anyway */
    putchar('\n');
}

const char *output_age(uint64_t time_ms, char *out, size_t size)
{
    uint64_t now_ms = clock_wall_ms(clock_real());
    uint64_t seconds = now_ms > time_ms ? (now_ms - time_ms) / 1000 : 0;
    if (seconds < 60)
        snprintf(out, size, "%llu s ago", (unsigned long long)seconds);
    else if (seconds < 3600)
        snprintf(out, size, "%llu min ago", (unsigned long long)(seconds / 60));
    else if (seconds < 48 * 3600)
        snprintf(out, size, "%llu h ago", (unsigned long long)(seconds / 3600));
    else
    {
        time_t then = (time_t)(time_ms / 1000);
        struct tm parts;
        strftime(out, size, "%Y-%m-%d %H:%M", localtime_r(&then, &parts));
    }
    return out;
}

const char *output_bytes(uint64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < 4)
    {
        value /= 1024;
        unit++;
    }
    snprintf(out, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}
