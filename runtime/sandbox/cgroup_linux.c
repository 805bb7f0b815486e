/* cgroup_linux.c - control groups on Linux: files and directories of a file system that is none. */
// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/sandbox/cgroup.h"

enum { FILE_BYTES_MAX = 1 << 20 }; /* a machine's list of mounts may be long */

static int port_read(void *ctx, const char *path, struct buf *text)
{
    (void)ctx; /* the kernel has no state of ours */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    ssize_t got;
    do
    {
        void *room = buf_reserve(text, 4096);
        got = read(fd, room, 4096);
        if (got > 0) text->size += (size_t)got;
    } while (got > 0 && text->size < FILE_BYTES_MAX);
    int error = got < 0 ? errno : 0;
    close(fd);
    return error;
}

static int port_write(void *ctx, const char *path, const char *text)
{
    (void)ctx; /* the same */
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = write(fd, text, strlen(text)) < 0 ? errno : 0;
    close(fd);
    return error;
}

static int port_make(void *ctx, const char *dir)
{
    (void)ctx; /* the same */
    return mkdir(dir, 0755) == 0 ? 0 : errno;
}

static int port_remove(void *ctx, const char *dir)
{
    (void)ctx; /* the same */
    return rmdir(dir) == 0 ? 0 : errno;
}

static int port_list(void *ctx, const char *dir, struct buf *names)
{
    (void)ctx; /* the same */
    DIR *open_dir = opendir(dir);
    if (!open_dir) return errno;
    struct dirent *entry;
    while ((entry = readdir(open_dir)) && names->size < FILE_BYTES_MAX)
    {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
        buf_append_cstr(names, entry->d_name);
        buf_append_byte(names, '\n');
    }
    closedir(open_dir);
    return 0;
}

/* systemd marks what it gives away by one of these, as far as the kernel lets it. */
static bool is_delegated(const char *dir)
{
    static const char *const names[] = {"user.delegate", "trusted.delegate"};
    char value[8];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getxattr(dir, names[i], value, sizeof value) == 1 && value[0] == '1') return true;
    return false;
}

static void port_look(void *ctx, const char *dir, struct cgroup_facts *facts)
{
    (void)ctx; /* the same */
    struct stat info;
    *facts = (struct cgroup_facts){.there = stat(dir, &info) == 0 && S_ISDIR(info.st_mode)};
    if (!facts->there) return;
    facts->owner = info.st_uid;
    /* Root needs no permission: whether the system lets it is seen at the first group. Asked with the effective user. */
    facts->writable = faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;
    facts->delegated = is_delegated(dir);
}

void cgroup_port_init(struct cgroup_port *port)
{
    *port = (struct cgroup_port){
        .self = getpid(),
        .uid = geteuid(),
        .read = port_read,
        .write = port_write,
        .make = port_make,
        .remove = port_remove,
        .list = port_list,
        .look = port_look,
    };
}
