/* replay.c - runs a fuzzer over the files of its corpus without libFuzzer, so that every build replays them. */
// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return perror(path), 1;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1); /* exactly as large, for the address sanitizer */
    int failed = !data || size < 0 || fread(data, 1, (size_t)size, file) != (size_t)size;
    if (!failed) (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    fclose(file);
    return failed;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++)
    {
        DIR *dir = opendir(argv[i]);
        if (!dir) return perror(argv[i]), 1;
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        {
            char path[4096];
            if (entry->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (replay_file(path)) return 1;
            files++;
        }
        closedir(dir);
    }
    printf("%d files replayed\n", files);
    return files == 0; /* an empty corpus is a mistake in the command */
}
