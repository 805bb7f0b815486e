/* files.c - attacks on files: of the machine, of the node, of other apps. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>

ATTACK(reads, open(target(ctx), O_RDONLY))
ATTACK(writes, open(target(ctx), O_RDWR))
ATTACK(appends, open(target(ctx), O_WRONLY | O_APPEND))
ATTACK(names_without_opening, open(target(ctx), O_PATH))
ATTACK(lists, open(target(ctx), O_RDONLY | O_DIRECTORY))
ATTACK(creates, open(target(ctx), O_CREAT | O_EXCL | O_WRONLY, 0666))
ATTACK(creates_nameless, open(target(ctx), O_TMPFILE | O_RDWR, 0600))
ATTACK(truncates, truncate(target(ctx), 0))
ATTACK(unlinks, unlink(target(ctx)))
ATTACK(removes_directory, rmdir(target(ctx)))
ATTACK(makes_directory, mkdir(target(ctx), 0777))
ATTACK(makes_device, mknod(target(ctx), S_IFCHR | 0666, 0x101)) /* /dev/mem */
ATTACK(makes_fifo, mknod(target(ctx), S_IFIFO | 0666, 0))
ATTACK(renames, rename(target(ctx), "/tmp/stead-stolen"))
ATTACK(links, link(target(ctx), "/tmp/stead-linked"))
ATTACK(links_symbolically, symlink("/etc/shadow", target(ctx)))
ATTACK(changes_mode, chmod(target(ctx), 0666))
ATTACK(changes_mode_by_newer_call, syscall(452, AT_FDCWD, target(ctx), 0666, 0)) /* fchmodat2 */
ATTACK(changes_owner, chown(target(ctx), getuid(), getgid()))
ATTACK(changes_times, utimensat(AT_FDCWD, target(ctx), NULL, 0))
ATTACK(changes_directory, chdir(target(ctx)))
ATTACK(watches, inotify_init1(0))
ATTACK(opens_by_handle, syscall(SYS_open_by_handle_at, AT_FDCWD, &(long[4]){8, 1}, O_RDONLY))
ATTACK(opens_by_newer_call, syscall(SYS_openat2, AT_FDCWD, target(ctx), &(long[3]){O_RDONLY}, 24L))
ATTACK(makes_memory_file, syscall(SYS_memfd_create, "x", 0))

/* Whether a file is there, and how large it is, is none of its business either. */
STEAD_FUNCTION(looks_at)
{
    struct stat file;
    return tell(ctx, stat(target(ctx), &file));
}
