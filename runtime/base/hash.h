/* hash.h - fast hashes for tables and for noticing damage; not for trust (artifacts use BLAKE2b, see catalog). */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "runtime/base/slice.h"

/* For hash tables, with a seed chosen once per process so that hostile keys cannot be made to collide. */
uint64_t hash_bytes(struct slice bytes);
/* XXH3-64 without a seed: the same on every machine. For checksums on disk and for partitioning. */
uint64_t hash_stable(struct slice bytes);
