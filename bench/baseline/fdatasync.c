/* fdatasync.c - what the disk can do at best: overwrite 4 KiB of a zero-filled file, flush, again and again. */
// SPDX-License-Identifier: Apache-2.0
//
// fdatasync DIR SECONDS: prints one line of JSON. One writer, one flush at a time: the most that a store can reach
// which waits for the disk after each commit. The file is filled with zeros first, because flushing into blocks that
// were never written costs a journal commit of the file system each time.
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096, BLOCKS = 4096, SAMPLES_MAX = 1 << 20 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int fail(const char *what)
{
    fprintf(stderr, "fdatasync: %s: %s\n", what, strerror(errno));
    return 1;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(const uint64_t *sorted, size_t count, double part)
{
    size_t at = (size_t)(part * (double)count);
    return (double)sorted[at < count ? at : count - 1] / 1000.0;
}

static bool fill(int fd, const char *block)
{
    for (int i = 0; i < BLOCKS; i++)
        if (pwrite(fd, block, BLOCK_BYTES, (off_t)i * BLOCK_BYTES) != BLOCK_BYTES) return false;
    return fsync(fd) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
    {
        fprintf(stderr, "usage: %s DIR SECONDS\n", argv[0]);
        return 2;
    }
    static char block[BLOCK_BYTES];
    static uint64_t samples[SAMPLES_MAX];
    char path[4096];
    snprintf(path, sizeof path, "%s/fdatasync.XXXXXX", argv[1]);
    int fd = mkstemp(path);
    if (fd < 0) return fail(path);
    unlink(path);
    if (!fill(fd, block)) return fail("fill");

    uint64_t length_ns = (uint64_t)(strtod(argv[2], NULL) * 1e9), start = now_ns(), before = start;
    size_t count = 0;
    while (before - start < length_ns && count < SAMPLES_MAX)
    {
        memset(block, (int)count, sizeof block);
        if (pwrite(fd, block, BLOCK_BYTES, (off_t)(count % BLOCKS) * BLOCK_BYTES) != BLOCK_BYTES)
            return fail("write");
        if (fdatasync(fd) < 0) return fail("fdatasync");
        uint64_t after = now_ns();
        samples[count++] = after - before;
        before = after;
    }
    qsort(samples, count, sizeof samples[0], compare);
    printf("{\"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           (double)count * 1e9 / (double)(before - start), percentile_us(samples, count, 0.5),
           percentile_us(samples, count, 0.99), percentile_us(samples, count, 0.999));
    return 0;
}
