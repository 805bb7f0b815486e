/* arena.h - memory of one invocation: bump allocation, all given back at once, chunks kept for the next one. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "runtime/base/slice.h"

struct stead__chunk;

struct stead__arena {
    struct stead__chunk *chunks; /* the newest first; the oldest is kept by reset */
    char *next; /* free bytes of the newest chunk */
    char *end;
    size_t first_chunk_bytes; /* 0: the usual size */
};

#define STEAD__ARENA_INIT ((struct stead__arena){0})

/* Never NULL: without memory the process aborts with errno ENOMEM, by which a worker's end is told from
 * a crash. Aligned for every type, not zeroed. */
void *stead__arena_alloc(struct stead__arena *arena, size_t size);
/* A zero-terminated copy. */
char *stead__arena_text(struct stead__arena *arena, struct slice text);
/* All allocations end; the first chunk stays. */
void stead__arena_reset(struct stead__arena *arena);
void stead__arena_fini(struct stead__arena *arena);
