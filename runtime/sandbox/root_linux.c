/* root_linux.c - a small file system in memory with bind mounts in it, and pivot_root(2) into it. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/root_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/bounds.h"

/* Declared here because <sys/mount.h> and <linux/mount.h> do not go together on every system. */
extern int mount(const char *source, const char *target, const char *type, unsigned long flags,
                 const void *data);
extern int umount2(const char *target, int flags);

enum {
    MOUNT_REC = 1 << 14,
    MOUNT_SLAVE = 1 << 19,
    UMOUNT_DETACH = 2,
    WHOLE_TREE = 0x8000, /* AT_RECURSIVE */
};

/* What the dynamic linker and the C library read while user code is loaded. A link stays one (on most systems /lib points
 * into /usr); below /etc what it points to is mounted. */
static const char *const system_paths[] = {
    "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime",
};

enum { SYSTEM_PATHS = sizeof system_paths / sizeof *system_paths };

void root_each_path(const struct sandbox_config *config, void (*visit)(void *ctx, const char *path),
                    void *ctx)
{
    for (size_t i = 0; i < SYSTEM_PATHS; i++) visit(ctx, system_paths[i]);
    for (size_t i = 0; i < config->mount_count; i++) visit(ctx, config->mounts[i].to);
}

/* A copy of the mounts at a path, belonging to nobody yet; -1. Taken before anything covers it. */
static int take(const char *path)
{
    return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | WHOLE_TREE);
}

/* ---- the tree ---- */

/* Makes the directories above `path`, which is absolute, in `dir`. */
static enum status make_parents(int dir, const char *path, struct err *err)
{
    char part[BOUND_PATH_BYTES_MAX + 1];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/'))
    {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path - 1), path + 1);
        if (mkdirat(dir, part, 0755) != 0 && errno != EEXIST)
            return err_errno(err, STATUS_NO_RESOURCES, errno, "make `/%s` in the root of the sandbox", part);
    }
    return STATUS_OK;
}

static bool is_directory(int fd)
{
    struct stat what;
    return fstat(fd, &what) == 0 && S_ISDIR(what.st_mode);
}

/* Mounts at `path` what `tree` holds, and closes it. */
static enum status put(int dir, const char *path, int tree, struct err *err)
{
    enum status status = make_parents(dir, path, err);
    if (status == STATUS_OK && is_directory(tree))
    {
        if (mkdirat(dir, path + 1, 0755) != 0 && errno != EEXIST)
            status = err_errno(err, STATUS_NO_RESOURCES, errno, "make `%s` in the root of the sandbox", path);
    }
    else if (status == STATUS_OK)
    {
        int file = openat(dir, path + 1, O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
        if (file < 0)
            status = err_errno(err, STATUS_NO_RESOURCES, errno, "make `%s` in the root of the sandbox", path);
        else
            close(file);
    }
    if (status == STATUS_OK && syscall(SYS_move_mount, tree, "", dir, path + 1, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        status = err_errno(err, STATUS_UNSUPPORTED, errno, "mount at `%s`", path);
    close(tree);
    return status;
}

static enum status copy_link(int dir, const char *path, bool *is_link, struct err *err)
{
    char target[BOUND_PATH_BYTES_MAX];
    ssize_t size = strncmp(path, "/etc/", 5) == 0 ? -1 : readlink(path, target, sizeof target - 1);
    *is_link = size > 0;
    if (!*is_link) return STATUS_OK;
    target[size] = 0;
    if (symlinkat(target, dir, path + 1) == 0) return STATUS_OK;
    return err_errno(err, STATUS_NO_RESOURCES, errno, "make `%s` in the root of the sandbox", path);
}

static enum status fill(int dir, const int *system, const struct sandbox_config *config, const int *mounts,
                        struct err *err)
{
    for (size_t i = 0; i < SYSTEM_PATHS; i++)
    {
        bool is_link;
        TRY(copy_link(dir, system_paths[i], &is_link, err));
        if (!is_link && system[i] >= 0) TRY(put(dir, system_paths[i], dup(system[i]), err));
    }
    struct mount_attr data = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                          MOUNT_ATTR_NOEXEC};
    for (size_t i = 0; i < config->mount_count; i++)
    {
        if (syscall(SYS_mount_setattr, mounts[i], "", AT_EMPTY_PATH | WHOLE_TREE, &data, sizeof data) != 0)
            return err_errno(err, STATUS_UNSUPPORTED, errno, "make the mount of `%s` read-only",
                             config->mounts[i].from);
        TRY(put(dir, config->mounts[i].to, dup(mounts[i]), err));
    }
    return STATUS_OK;
}

/* An empty file system in memory, over a directory that this process needs no more. */
static enum status make_empty(int *dir, struct err *err)
{
    static const char *const places[] = {"/tmp", "/run", "/mnt", "/var"};
    char options[64];
    snprintf(options, sizeof options, "mode=755,nr_inodes=4096,size=%llu", BOUND_ARTIFACT_BYTES_MAX + MIB);
    int reason = ENOENT;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    {
        if (mount("stead", places[i], "tmpfs", 0, options) != 0)
        {
            reason = errno;
            continue;
        }
        *dir = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*dir >= 0) return STATUS_OK;
        return err_errno(err, STATUS_NO_RESOURCES, errno, "open the root of the sandbox");
    }
    return err_errno(err, STATUS_UNSUPPORTED, reason, "mount a root for the sandbox");
}

static enum status take_mounts(const struct sandbox_config *config, int *mounts, struct err *err)
{
    for (size_t i = 0; i < config->mount_count; i++)
    {
        mounts[i] = take(config->mounts[i].from);
        if (mounts[i] < 0)
            return err_errno(err, STATUS_NOT_FOUND, errno, "mounts[%zu].from: `%s`", i,
                             config->mounts[i].from);
    }
    return STATUS_OK;
}

enum status root_build(const struct sandbox_config *config, int *dir, struct err *err)
{
    /* Nothing that is mounted here shows outside. */
    if (mount(NULL, "/", NULL, MOUNT_REC | MOUNT_SLAVE, NULL) != 0)
        return err_errno(err, STATUS_UNSUPPORTED, errno, "keep mounts to itself");
    int system[SYSTEM_PATHS], mounts[BOUND_MOUNTS_MAX], fresh = -1;
    for (size_t i = 0; i < BOUND_MOUNTS_MAX; i++) mounts[i] = -1;
    for (size_t i = 0; i < SYSTEM_PATHS; i++) system[i] = take(system_paths[i]);
    enum status status = take_mounts(config, mounts, err);
    if (status == STATUS_OK) status = make_empty(&fresh, err);
    if (status == STATUS_OK) status = fill(fresh, system, config, mounts, err);
    for (size_t i = 0; i < SYSTEM_PATHS; i++)
        if (system[i] >= 0) close(system[i]);
    for (size_t i = 0; i < config->mount_count; i++)
        if (mounts[i] >= 0) close(mounts[i]);
    if (status == STATUS_OK)
        *dir = fresh;
    else if (fresh >= 0)
        close(fresh);
    return status;
}

/* ---- into it ---- */

enum status root_enter(int dir, struct err *err)
{
    const char *step = "enter the root";
    bool done = fchdir(dir) == 0;
    /* The old root comes to lie on the new one, and is lifted off. */
    if (done) step = "pivot into the root", done = syscall(SYS_pivot_root, ".", ".") == 0;
    if (done) step = "let go of the old root", done = umount2(".", UMOUNT_DETACH) == 0;
    if (done) step = "enter the root", done = chdir("/") == 0;
    return done ? STATUS_OK : err_errno(err, STATUS_UNSUPPORTED, errno, "%s", step);
}

enum status root_seal(int dir, struct err *err)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    bool done =
        syscall(SYS_mount_setattr, dir, "", AT_EMPTY_PATH | WHOLE_TREE, &attributes, sizeof attributes) == 0;
    int reason = errno;
    close(dir);
    return done ? STATUS_OK : err_errno(err, STATUS_UNSUPPORTED, reason, "make the root read-only");
}
