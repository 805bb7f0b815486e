/* buf.h - owned, growing bytes. Running out of memory stops the process: sizes are bounded by the callers. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdarg.h>
#include <stdint.h>

#include "runtime/base/slice.h"

struct buf {
    uint8_t *data;
    size_t size; /* bytes in use */
    size_t capacity; /* bytes allocated */
};

#define BUF_INIT ((struct buf){NULL, 0, 0})

void buf_fini(struct buf *buf);
/* Content gone, memory kept. */
static inline void buf_reset(struct buf *buf)
{
    buf->size = 0;
}
/* Makes room for `more` bytes behind the content and returns where they begin; does not change the size. */
void *buf_reserve(struct buf *buf, size_t more);
void buf_append(struct buf *buf, struct slice bytes);
void buf_append_byte(struct buf *buf, uint8_t byte);
void buf_append_cstr(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Drops the first `count` bytes. O(size). */
void buf_consume(struct buf *buf, size_t count);
/* Borrowed until the next call on `buf`. */
static inline struct slice buf_view(const struct buf *buf)
{
    return (struct slice){buf->data, buf->size};
}
/* Adds a zero behind the content (not counted) and returns it as text; borrowed until the next call. */
const char *buf_cstr(struct buf *buf);

/* malloc, calloc, realloc and copies that never return NULL. Freed with free(). */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *old, size_t size);
void *mem_dup(struct slice bytes);
char *mem_strdup(const char *text);
/* A zero-terminated copy. */
char *mem_cstr(struct slice bytes);
