/* disk.h - a disk that can lose its power: what was synced stays, of the rest any torn and reordered part. */
// SPDX-License-Identifier: Apache-2.0
//
// Linked with --wrap for every call that writes files (CMakeLists.txt), so it sees exactly what the store and LMDB
// write. Files are written for real, because LMDB maps them, but never synced for real: beside each file the model keeps
// what a disk would have.
//
//     bytes      a sector of 512 bytes is whole; of its versions since the last sync the disk has any one
//     names      creations, renames and removals reach the disk in order, at the latest with a sync of a directory
//     sync       everything written before it was called
//
// lock.mdb is written through a mapping and is not modelled: after a power cut it holds garbage.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Begins to model the files in `dir`, which all count as synced. */
void disk_begin(const char *dir);
/* The power fails at the `calls`-th writing or syncing call from now on: the image is written to `image`, an empty
 * directory, and the process ends with DISK_EXIT_CUT. `seed` decides what survives. */
void disk_cut_after(uint64_t calls, uint64_t seed, const char *image);
/* Fails at once, or, when `keep_cache`, only kills the process: everything that was written is there. */
_Noreturn void disk_cut_now(uint64_t seed, const char *image, bool keep_cache);

enum { DISK_EXIT_CUT = 42 };
