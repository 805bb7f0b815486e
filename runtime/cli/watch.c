/* watch.c - inotify over a tree of directories. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cli/watch.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/cli/cli.h"

enum { DEPTH_MAX = 8, DIRS_MAX = 1000 };

struct watch {
    int fd;
    size_t count;
};

static bool skipped(const char *name)
{
    return name[0] == '.' || strcmp(name, "build") == 0 || strcmp(name, "node_modules") == 0;
}

/* Editors write beside the file and rename, so moves count as writes. */
static bool add(struct watch *watch, const char *dir, size_t depth)
{
    const uint32_t events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_CREATE | IN_ONLYDIR;
    if (watch->count == DIRS_MAX || inotify_add_watch(watch->fd, dir, events) < 0) return false;
    watch->count++;
    DIR *open_dir = depth < DEPTH_MAX ? opendir(dir) : NULL;
    if (!open_dir) return true;
    for (struct dirent *entry; (entry = readdir(open_dir));)
    {
        if (entry->d_type != DT_DIR || skipped(entry->d_name)) continue;
        struct buf path = BUF_INIT;
        buf_printf(&path, "%s/%s", dir, entry->d_name);
        (void)add(watch, buf_cstr(&path), depth + 1); /* what cannot be watched is not */
        buf_fini(&path);
    }
    closedir(open_dir);
    return true;
}

struct watch *watch_open(const char *dir)
{
    struct watch *watch = mem_zalloc(sizeof *watch);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd >= 0 && add(watch, dir, 0)) return watch;
    (void)cli_complain(EXIT_LOCAL, "watch %s: %s", dir, strerror(errno));
    watch_close(watch);
    return NULL;
}

void watch_close(struct watch *watch)
{
    if (!watch) return;
    if (watch->fd >= 0) close(watch->fd);
    free(watch);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

static bool is_source(const char *name)
{
    static const char *const whole[] = {"stead.yaml", "Makefile", "CMakeLists.txt", NULL};
    static const char *const ends[] = {".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".mk", NULL};
    for (size_t i = 0; whole[i]; i++)
        if (strcmp(name, whole[i]) == 0) return true;
    const char *end = strrchr(name, '.');
    for (size_t i = 0; end && ends[i]; i++)
        if (strcmp(end, ends[i]) == 0) return name[0] != '.';
    return false;
}

bool watch_read(struct watch *watch)
{
    char bytes[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool source = false;
    for (ssize_t size; (size = read(watch->fd, bytes, sizeof bytes)) > 0;)
        for (char *place = bytes; place < bytes + size;)
        {
            const struct inotify_event *event = (const struct inotify_event *)place;
            place += sizeof *event + event->len;
            source |= event->len > 0 && is_source(event->name) && !(event->mask & IN_CREATE);
        }
    return source;
}
