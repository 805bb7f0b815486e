/* disk.c - preloaded into a node: its disk fails on request. */
// SPDX-License-Identifier: Apache-2.0
//
// $STEAD_TEST_DISK names a file. While its content is `sync`, every fdatasync fails with EIO; `write`: every pwrite to a
// segment of a log; `full`: the same with ENOSPC; `short`: such a pwrite writes half of what it is given.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int asked(const char *what)
{
    char said[16] = "";
    const char *path = getenv("STEAD_TEST_DISK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = fd < 0 ? 0 : read(fd, said, sizeof said - 1);
    if (fd >= 0) close(fd);
    return got > 0 && strcmp(said, what) == 0;
}

static int is_log(int fd)
{
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 && strstr(path, "/log/");
}

int fdatasync(int fd)
{
    if (asked("sync"))
    {
        errno = EIO;
        return -1;
    }
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return real(fd);
}

static ssize_t write_at(int fd, const void *bytes, size_t size, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
    if (is_log(fd))
    {
        errno = asked("write") ? EIO : asked("full") ? ENOSPC : 0;
        if (errno) return -1;
        if (size > 1 && asked("short")) size /= 2;
    }
    return real(fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return write_at(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at)
{
    return write_at(fd, bytes, size, at);
}
