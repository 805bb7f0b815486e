/* arena.c - chunks that double, so that an invocation of any size makes few of them and a small one makes none. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = alignof(max_align_t), FIRST_CHUNK_BYTES = 64 * 1024, CHUNK_BYTES_MAX = 4 * 1024 * 1024 };

struct stead__chunk {
    struct stead__chunk *older;
    size_t size; /* of all of it */
    alignas(max_align_t) char bytes[];
};

static void use(struct stead__arena *arena, struct stead__chunk *chunk)
{
    arena->next = chunk->bytes;
    arena->end = (char *)chunk + chunk->size;
}

/* A chunk twice as large as the newest, or as large as `size` needs. */
static void add_chunk(struct stead__arena *arena, size_t size)
{
    size_t first_size = arena->first_chunk_bytes ? arena->first_chunk_bytes : FIRST_CHUNK_BYTES;
    size_t chunk_size = arena->chunks ? arena->chunks->size * 2 : first_size;
    if (chunk_size > CHUNK_BYTES_MAX) chunk_size = CHUNK_BYTES_MAX;
    size_t need = size <= SIZE_MAX / 2 ? size + sizeof(struct stead__chunk) : SIZE_MAX;
    if (chunk_size < need) chunk_size = need;
    struct stead__chunk *chunk = malloc(chunk_size);
    if (!chunk)
    {
        errno = ENOMEM;
        abort();
    }
    chunk->older = arena->chunks;
    chunk->size = chunk_size;
    arena->chunks = chunk;
    use(arena, chunk);
}

void *stead__arena_alloc(struct stead__arena *arena, size_t size)
{
    size_t rounded = size <= SIZE_MAX - ALIGNMENT ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : SIZE_MAX;
    if (rounded > (size_t)(arena->end - arena->next)) add_chunk(arena, rounded);
    void *memory = arena->next;
    arena->next += rounded;
    return memory;
}

char *stead__arena_text(struct stead__arena *arena, struct slice text)
{
    char *copy = stead__arena_alloc(arena, text.size + 1);
    if (text.size > 0) memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return copy;
}

void stead__arena_reset(struct stead__arena *arena)
{
    struct stead__chunk *chunk = arena->chunks;
    if (!chunk) return;
    while (chunk->older)
    {
        struct stead__chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
    arena->chunks = chunk;
    use(arena, chunk);
}

void stead__arena_fini(struct stead__arena *arena)
{
    stead__arena_reset(arena);
    free(arena->chunks);
    arena->chunks = NULL;
    arena->next = arena->end = NULL;
}
