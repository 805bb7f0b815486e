/* places.c - an app with mounts: what it reads there, and what it tries beyond. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utime.h>

STEAD_FUNCTION(reads)
{
    char text[256];
    FILE *file = fopen(target(ctx), "re");
    if (!file) return stead_reply(ctx, "refused %s", strerrorname_np(errno));
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    return stead_reply_bytes(ctx, text, size);
}

STEAD_FUNCTION(lists)
{
    DIR *dir = opendir(target(ctx));
    if (!dir) return stead_reply(ctx, "refused %s", strerrorname_np(errno));
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') stead_reply(ctx, "%s\n", entry->d_name);
    closedir(dir);
    return STEAD_OK;
}

static long map_for_writing(struct stead_ctx *ctx)
{
    int fd = open(target(ctx), O_RDONLY);
    if (fd < 0) return -1;
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}

static long run_from(struct stead_ctx *ctx)
{
    int fd = open(target(ctx), O_RDONLY);
    if (fd < 0) return -1;
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0;
}

ATTACK(writes, open(target(ctx), O_RDWR))
ATTACK(appends, open(target(ctx), O_WRONLY | O_APPEND))
ATTACK(truncates_while_reading, open(target(ctx), O_RDONLY | O_TRUNC))
ATTACK(creates, open(target(ctx), O_CREAT | O_WRONLY, 0666))
ATTACK(creates_nameless, open(target(ctx), O_TMPFILE | O_RDWR, 0600))
ATTACK(holds_path, open(target(ctx), O_PATH))
ATTACK(maps_for_writing, map_for_writing(ctx))
ATTACK(maps_as_code, run_from(ctx))
ATTACK(removes, unlink(target(ctx)))
ATTACK(remounts_writable, mount(NULL, target(ctx), NULL, MS_REMOUNT | MS_BIND, NULL))
ATTACK(changes_mount, syscall(SYS_mount_setattr, AT_FDCWD, target(ctx), 0, &(long[4]){0, 1}, 32L))
ATTACK(unmounts, umount2(target(ctx), MNT_DETACH))
ATTACK(opens_tree, syscall(SYS_open_tree, AT_FDCWD, "/", 1))
ATTACK(enters, chdir(target(ctx)))
ATTACK(changes_root, chroot(target(ctx)))
ATTACK(pivots, syscall(SYS_pivot_root, target(ctx), target(ctx)))
ATTACK(opens_anew, syscall(SYS_openat2, AT_FDCWD, target(ctx), &(long[3]){O_RDONLY}, 24L))

STEAD_FUNCTION(looks_at)
{
    struct stat file;
    return tell(ctx, stat(target(ctx), &file));
}

/* ---- what its initialiser saw, where less is refused ---- */

static char seen[1024];

static void note(const char *name, long got)
{
    size_t used = strlen(seen);
    if (got >= 0) snprintf(seen + used, sizeof seen - used, "%s ", name);
}

__attribute__((constructor)) static void look_around(void)
{
    struct stat file;
    const char *const paths[] = {"/proc/self", "/proc/1",     "/sys/kernel", "/dev/null", "/root", "/home",
                                 "/tmp",       "/etc/passwd", "/var",        "/run",      "/boot"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) note(paths[i], stat(paths[i], &file));
    note("..", open("/../../etc/passwd", O_RDONLY));
    note("list", open("/", O_RDONLY | O_DIRECTORY));
    note("write", open("/app.so", O_WRONLY));
    note("create", open("/made", O_CREAT | O_WRONLY, 0600));
    note("chmod", chmod("/app.so", 0777));
    note("mkdir", mkdir("/made", 0777));
    note("unlink", unlink("/app.so"));
    note("remount", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
    note("remount-data", mount(NULL, "/data", NULL, MS_REMOUNT | MS_BIND, NULL));
    note("unmount", umount2("/usr", MNT_DETACH));
    note("pivot", syscall(SYS_pivot_root, "/usr", "/usr"));
    note("chroot", chroot("/usr"));
    note("utime", utime("/usr", NULL));
    note("rename-machine", sethostname("x", 1));
    note("socket", socket(AF_INET, SOCK_STREAM, 0));
    note("abstract", socket(AF_UNIX, SOCK_STREAM, 0));
}

STEAD_FUNCTION(told)
{
    return stead_reply(ctx, "%s", seen);
}
