/* output.h - tables and JSON on standard output. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "runtime/base/buf.h"

enum { TABLE_COLUMNS_MAX = 16 };

/* Cells are collected, then printed in columns as wide as their widest cell. */
struct table {
    size_t columns;
    struct buf *cells; /* row by row, the heads first */
    size_t count;
    size_t capacity;
};

/* The heads, ended by NULL: table_init(&table, (const char *[]){"APP", "VERSION", NULL}). */
void table_init(struct table *table, const char *const *heads);
/* The next cell, from left to right and down. Control characters are shown as '.'. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints, and leaves the table empty. */
void table_print(struct table *table);
void table_fini(struct table *table);

/* Indented when a person looks, one line when a program does. */
void output_json(const json_t *json);
/* "12 s ago", "3 h ago", or the date. Static storage of the caller: at least 32 bytes. */
const char *output_age(uint64_t time_ms, char *out, size_t size);
/* "1.5 KiB". */
const char *output_bytes(uint64_t bytes, char *out, size_t size);
