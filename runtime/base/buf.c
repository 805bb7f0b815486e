/* buf.c - growing buffers and the allocator wrappers that cannot fail. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/check.h"

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = BUF_INIT;
}

void *buf_reserve(struct buf *buf, size_t more)
{
    CHECK(more <= SIZE_MAX / 2 - buf->size);
    size_t need = buf->size + more;
    if (need > buf->capacity)
    {
        size_t capacity = buf->capacity ? buf->capacity : 256;
        while (capacity < need) capacity *= 2;
        buf->data = mem_realloc(buf->data, capacity);
        buf->capacity = capacity;
    }
    return buf->data + buf->size;
}

void buf_append(struct buf *buf, struct slice bytes)
{
    if (bytes.size == 0) return;
    memcpy(buf_reserve(buf, bytes.size), bytes.data, bytes.size);
    buf->size += bytes.size;
}

void buf_append_byte(struct buf *buf, uint8_t byte)
{
    *(uint8_t *)buf_reserve(buf, 1) = byte;
    buf->size++;
}

void buf_append_cstr(struct buf *buf, const char *text)
{
    buf_append(buf, slice_cstr(text));
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    CHECK(size >= 0);
    vsnprintf(buf_reserve(buf, (size_t)size + 1), (size_t)size + 1, format, again);
    buf->size += (size_t)size;
    va_end(again);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_consume(struct buf *buf, size_t count)
{
    CHECK(count <= buf->size);
    if (count == 0) return;
    memmove(buf->data, buf->data + count, buf->size - count);
    buf->size -= count;
}

const char *buf_cstr(struct buf *buf)
{
    *(uint8_t *)buf_reserve(buf, 1) = 0;
    return (const char *)buf->data;
}

void *mem_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);
    CHECK(memory != NULL);
    return memory;
}

void *mem_zalloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    CHECK(memory != NULL);
    return memory;
}

void *mem_realloc(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);
    CHECK(memory != NULL);
    return memory;
}

void *mem_dup(struct slice bytes)
{
    void *copy = mem_alloc(bytes.size);
    if (bytes.size) memcpy(copy, bytes.data, bytes.size);
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_cstr(slice_cstr(text));
}

char *mem_cstr(struct slice bytes)
{
    char *copy = mem_alloc(bytes.size + 1);
    if (bytes.size) memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = 0;
    return copy;
}
