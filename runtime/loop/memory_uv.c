/* memory_uv.c - the memory of the machine, by libuv. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop/memory.h"

#include <uv.h>

void machine_memory_read(struct machine_memory *memory)
{
    *memory = (struct machine_memory){
        .available_bytes = uv_get_free_memory(), /* MemAvailable, in spite of its name */
        .total_bytes = uv_get_total_memory(),
    };
}
