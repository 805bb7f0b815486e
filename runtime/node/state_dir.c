/* state_dir.c - partitions are counted, made and deleted. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void state_dir_path(struct buf *path, const char *apps, const char *app, uint32_t partition)
{
    buf_printf(path, "%s/%s/p%u", apps, app, partition);
}

/* How many partitions the state on disk has; 0: there is none. */
static uint32_t partitions_on_disk(const char *apps, const char *app)
{
    uint32_t count = 0;
    struct buf path = BUF_INIT;
    do
    {
        buf_reset(&path);
        state_dir_path(&path, apps, app, count);
    } while (access(buf_cstr(&path), F_OK) == 0 && ++count);
    buf_fini(&path);
    return count;
}

enum status state_dir_check(const char *app, uint32_t have, uint32_t want, struct err *err)
{
    if (have == 0 || have == want) return STATUS_OK;
    return err_set(err, STATUS_MANIFEST_INVALID,
                   "partitions: the state of app '%s' has %u, the manifest says %u; to change it, export the "
                   "state, remove "
                   "the app with its state, deploy and import (`stead state export`, `stead remove --state`, "
                   "`stead deploy`, "
                   "`stead state import`)",
                   app, have, want);
}

static enum status make_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_errno(err, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_STORE_UNWRITABLE, errno, "make %s",
                         path);
    return STATUS_OK;
}

enum status state_dir_make(const char *apps, const char *app, uint32_t partitions, struct err *err)
{
    TRY(state_dir_check(app, partitions_on_disk(apps, app), partitions, err));
    TRY(make_dir(apps, err));
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/%s", apps, app);
    enum status status = make_dir(buf_cstr(&path), err);
    buf_fini(&path);
    return status;
}

/* Deletes a directory of plain files and directories; the first failure is reported, the rest is still tried. */
static enum status delete_tree(const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir) return errno == ENOENT ? STATUS_OK : err_errno(err, STATUS_IO, errno, "open %s", path);
    enum status status = STATUS_OK;
    struct dirent *entry;
    while ((entry = readdir(dir)))
    {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        struct buf child = BUF_INIT;
        buf_printf(&child, "%s/%s", path, entry->d_name);
        const char *child_path = buf_cstr(&child);
        if (unlink(child_path) != 0)
        {
            enum status below = errno == EISDIR || errno == EPERM
                                    ? delete_tree(child_path, err)
                                    : err_errno(err, STATUS_IO, errno, "delete %s", child_path);
            if (status == STATUS_OK) status = below;
        }
        buf_fini(&child);
    }
    closedir(dir);
    if (rmdir(path) != 0 && status == STATUS_OK) status = err_errno(err, STATUS_IO, errno, "delete %s", path);
    return status;
}

enum status state_dir_delete(const char *apps, const char *app, struct err *err)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/%s", apps, app);
    enum status status = delete_tree(buf_cstr(&path), err);
    buf_fini(&path);
    return status;
}
