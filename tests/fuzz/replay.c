/* replay.c - runs a fuzzer's entry point over the files and folders named: corpora are tests in every preset. */
// SPDX-License-Identifier: Apache-2.0
//
// Stands in for libFuzzer's main. Every input that once failed belongs into tests/fuzz/corpus/<fuzzer>/.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
    {
        perror(path);
        return -1;
    }
    struct buf input = BUF_INIT;
    size_t got;
    do
    {
        got = fread(buf_reserve(&input, 4096), 1, 4096, file);
        input.size += got;
    } while (got > 0);
    (void)fclose(file); /* was only read */

    /* A copy of the exact size, so that the address sanitizer sees one byte too far. */
    uint8_t *exact = mem_dup(buf_view(&input));
    (void)LLVMFuzzerTestOneInput(exact, input.size); /* libFuzzer ignores it too */
    free(exact);
    buf_fini(&input);
    return 1;
}

/* Number of inputs run, or -1. */
static int replay(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
    {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(info.st_mode)) return replay_file(path);

    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
    {
        perror(path);
        return -1;
    }
    int total = 0;
    for (int i = 0; i < count; i++)
    {
        if (names[i]->d_name[0] != '.' && total >= 0)
        {
            char child[4096];
            snprintf(child, sizeof child, "%s/%s", path, names[i]->d_name);
            int done = replay(child);
            total = done < 0 ? -1 : total + done;
        }
        free(names[i]);
    }
    free(names);
    return total;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++)
    {
        int done = replay(argv[i]);
        if (done < 0) return 1;
        total += done;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
