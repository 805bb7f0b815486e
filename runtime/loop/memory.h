/* memory.h - how much memory the machine has and could still give. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

struct machine_memory {
    uint64_t available_bytes; /* without swapping, caches given back; as the kernel estimates */
    uint64_t total_bytes; /* 0: not known */
};

/* Reads a file of the kernel: for now and then, not for each invocation. */
void machine_memory_read(struct machine_memory *memory);
