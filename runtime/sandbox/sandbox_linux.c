/* sandbox_linux.c - the sandbox on Linux: who the process is, whom it dies with, how much it may use, what it may open. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/sandbox/broker.h"
#include "runtime/sandbox/root_linux.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/sandbox/seccomp_filter.h"

/* ---- who it is ---- */

/* Defends the files and processes of the node, and those of the other apps: the state file belongs to the daemon's user
 * with mode 0600, so a process of another user cannot open it again for writing, nor signal or trace its processes. */
static enum status become(uid_t uid, gid_t gid, struct err *err)
{
    if (setgroups(0, NULL) != 0) return err_errno(err, STATUS_PERMISSION_DENIED, errno, "drop groups");
    if (setresgid(gid, gid, gid) != 0)
        return err_errno(err, STATUS_PERMISSION_DENIED, errno, "become group %u", gid);
    if (setresuid(uid, uid, uid) != 0)
        return err_errno(err, STATUS_PERMISSION_DENIED, errno, "become user %u", uid);
    return STATUS_OK;
}

static enum status become_nobody(const struct sandbox_config *config, struct err *err)
{
    uid_t uid = config->uid ? config->uid : SANDBOX_UID;
    gid_t gid = config->gid ? config->gid : SANDBOX_UID;
    if (become(uid, gid, err) == STATUS_OK) return STATUS_OK;
    /* A container may know the first 65,536 users only. */
    return become(SANDBOX_UID, SANDBOX_UID, err);
}

/* The same without root, in the user namespace that sandbox_isolate() made: there the process has no power over anything
 * outside, and landlock closes what still belongs to its user. The capabilities that a new namespace gives are dropped. */
static enum status drop_capabilities(struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capset, &header, none) == 0) return STATUS_OK;
    return err_errno(err, STATUS_PERMISSION_DENIED, errno, "drop capabilities");
}

/* Defends the pins and the machine: after kill -9 of the daemon no worker reads pages that are no longer pinned, and
 * nothing is left behind. Comes after every change of user, which clears it. The parent may have died before. */
static enum status die_with(pid_t parent, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return err_errno(err, STATUS_UNSUPPORTED, errno, "ask to die with the parent");
    if (getppid() != parent) return err_set(err, STATUS_UNAVAILABLE, "the parent process has gone");
    return STATUS_OK;
}

/* Defends against programs that give privileges when executed; landlock needs it too. */
static enum status no_new_privileges(struct err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return STATUS_OK;
    return err_errno(err, STATUS_UNSUPPORTED, errno, "give up new privileges");
}

/* Defends the neighbours' share of the processors: the kernel divides time between sessions before it divides it between
 * the processes of each (sched_autogroup), so an app gets no more by having more workers. */
static enum status own_session(struct err *err)
{
    if (setsid() >= 0 || errno == EPERM) return STATUS_OK; /* EPERM: it leads one already */
    return err_errno(err, STATUS_INTERNAL, errno, "begin a session");
}

/* ---- whom it sees ---- */

/* The outer process ends as the inner one did, so that the daemon learns what happened. */
static _Noreturn void end_as(int status)
{
    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none); /* it is not our crash */
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigaction(WTERMSIG(status), &action, NULL); /* fails for SIGKILL, which needs none */
    raise(WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

/* It holds nothing but the end of a pipe, on stdin, which tells the inner process that it lives. */
static _Noreturn void stay_outside(pid_t inner)
{
    sandbox_close_from(STDIN_FILENO + 1);
    int status;
    while (waitpid(inner, &status, 0) < 0 && errno == EINTR) continue;
    end_as(status);
}

/* The inner process is told of the outer one's death by the kernel from here on; had it died before, its end of the pipe
 * would be closed. */
static enum status hold_on_to(int alive, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return err_errno(err, STATUS_UNSUPPORTED, errno, "ask to die with the parent");
    struct pollfd outer = {.fd = alive, .events = POLLIN};
    int gone = poll(&outer, 1, 0);
    close(alive);
    return gone ? err_set(err, STATUS_UNAVAILABLE, "the parent process has gone") : STATUS_OK;
}

static enum status split(struct sandbox_place *place, struct err *err)
{
    int alive[2];
    if (pipe2(alive, O_CLOEXEC) != 0) return err_errno(err, STATUS_NO_RESOURCES, errno, "make a pipe");
    pid_t inner = fork();
    if (inner < 0)
    {
        close(alive[0]);
        close(alive[1]);
        return err_errno(err, STATUS_NO_RESOURCES, errno, "fork into the namespace");
    }
    if (inner > 0)
    {
        dup2(alive[1], STDIN_FILENO);
        stay_outside(inner);
    }
    close(alive[1]);
    place->parent = 0; /* outside of the namespace nobody has a number */
    TRY(hold_on_to(alive[0], err));
    return own_session(err);
}

/* ---- what is there for it ---- */

/* Our code only, as the app's user, and begun before the namespaces are, so that nobody inside can name it. */
static _Noreturn void be_broker(const struct sandbox_config *config, pid_t parent, int requests)
{
    dup2(requests, STDIN_FILENO);
    sandbox_close_from(STDERR_FILENO + 1);
    struct err err = ERR_INIT;
    if ((geteuid() == 0 && become_nobody(config, &err) != STATUS_OK) || die_with(parent, &err) != STATUS_OK ||
        no_new_privileges(&err) != STATUS_OK)
    {
        fprintf(stderr, "broker: %s\n", err_text(&err));
        _exit(127);
    }
    broker_serve(STDIN_FILENO, config->allow, config->allow_count);
    _exit(0);
}

static enum status start_broker(const struct sandbox_config *config, struct sandbox_place *place,
                                struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return err_errno(err, STATUS_NO_RESOURCES, errno, "make a socket pair for the broker");
    pid_t self = getpid(), broker = fork();
    int reason = errno;
    if (broker == 0) be_broker(config, self, ends[0]);
    close(ends[0]);
    place->broker = ends[1];
    return broker > 0 ? STATUS_OK : err_errno(err, STATUS_NO_RESOURCES, reason, "fork the broker");
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done;
}

/* In a user namespace: the own user and group have a name there, without which no file can be made. */
static enum status map_itself(uid_t uid, gid_t gid, struct err *err)
{
    char user[64], group[64];
    snprintf(user, sizeof user, "%u %u 1", uid, uid);
    snprintf(group, sizeof group, "%u %u 1", gid, gid);
    if (write_text("/proc/self/uid_map", user) && write_text("/proc/self/setgroups", "deny") &&
        write_text("/proc/self/gid_map", group))
        return STATUS_OK;
    return err_errno(err, STATUS_UNSUPPORTED, errno, "map the user into a user namespace");
}

/* Network, messages and names of its own, and file trees: nothing is in them that it could reach. */
static enum status leave_the_machine(const struct sandbox_config *config, struct err *err)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0) return STATUS_OK;
    return err_errno(err, STATUS_UNSUPPORTED, errno,
                     "sandbox `%s`: mount, network, ipc or uts namespaces are refused; permit them, or "
                     "choose `sandbox: none`",
                     sandbox_profile_name(config->profile));
}

enum status sandbox_isolate(const struct sandbox_config *config, struct sandbox_place *place, struct err *err)
{
    place->inside = false;
    place->root = place->proc = place->broker = -1;
    bool needed = config->profile == SANDBOX_NETWORK || config->mount_count > 0;
    if (config->profile == SANDBOX_NONE && !needed) return STATUS_OK;
    if (config->profile == SANDBOX_NONE)
        return err_set(err, STATUS_UNSUPPORTED,
                       "sandbox `none` has no mounts: its code reads the machine's files as they are");
    uid_t uid = geteuid();
    gid_t gid = getegid();
    /* The outer process, too, must not outlive the daemon. */
    TRY(die_with(place->parent, err));
    if (config->profile == SANDBOX_NETWORK) TRY(start_broker(config, place, err));
    if (unshare(uid == 0 ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID) == 0)
    {
        if (uid != 0) TRY(map_itself(uid, gid, err));
        TRY(split(place, err));
        TRY(leave_the_machine(config, err));
        place->inside = true;
        return STATUS_OK;
    }
    if (uid != 0)
        return err_errno(err, STATUS_UNSUPPORTED, errno,
                         "sandbox `%s`: a user namespace is refused; run the node as root, allow "
                         "user namespaces, or choose `sandbox: none`",
                         sandbox_profile_name(config->profile));
    if (needed)
        return err_errno(err, STATUS_UNSUPPORTED, errno,
                         "%s: namespaces are refused to root here (a container without CAP_SYS_ADMIN)",
                         config->mount_count ? "mounts" : "sandbox `network`");
    fprintf(stderr,
            "sandbox: no namespaces (%s); user code can see that other processes exist, and learn the names "
            "of files\n",
            strerror(errno));
    return STATUS_OK;
}

enum status sandbox_build_root(const struct sandbox_config *config, struct sandbox_place *place,
                               struct err *err)
{
    if (!place->inside) return STATUS_OK;
    TRY(root_build(config, &place->root, err));
    place->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->proc < 0) return err_errno(err, STATUS_UNSUPPORTED, errno, "open /proc");
    return root_enter(place->root, err);
}

/* ---- how much it may use ---- */

static enum status limit(int resource, uint64_t soft, uint64_t hard, const char *name, struct err *err)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return err_errno(err, STATUS_INTERNAL, errno, "read limit %s", name);
    if (now.rlim_max != RLIM_INFINITY && hard > now.rlim_max) hard = now.rlim_max;
    if (soft > hard) soft = hard;
    struct rlimit wanted = {.rlim_cur = soft, .rlim_max = hard};
    if (setrlimit((__rlimit_resource_t)resource, &wanted) == 0) return STATUS_OK;
    return err_errno(err, STATUS_PERMISSION_DENIED, errno, "set limit %s", name);
}

/* Memory by RLIMIT_DATA: the state is mapped with far more address space than memory. What the kernel does not count as
 * data (shared and growing mappings, page tables of what is only looked at) is bounded by the address space on top of
 * what was mapped before user code ran. */
static enum status limit_worker(const struct sandbox_config *config, struct err *err)
{
    /* No core files: they would fill the disk, with other people's rows in them. */
    TRY(limit(RLIMIT_CORE, 0, 0, "core", err));
    /* No file grows by its hand; sockets and pipes are not concerned. */
    TRY(limit(RLIMIT_FSIZE, 0, 0, "fsize", err));
    TRY(limit(RLIMIT_NOFILE, SANDBOX_FILES_MAX, SANDBOX_FILES_MAX, "nofile", err));
    TRY(limit(RLIMIT_STACK, SANDBOX_STACK_BYTES, SANDBOX_STACK_BYTES, "stack", err));
    if (config->memory_bytes)
        TRY(limit(RLIMIT_DATA, config->memory_bytes, config->memory_bytes, "data", err));
    if (config->address_bytes)
        TRY(limit(RLIMIT_AS, config->address_bytes, config->address_bytes, "address space", err));
    /* No fork bomb. The count is per user and so shared by all workers of the node, but nought is nought: whoever
     * has this limit cannot make a process or a thread, however many others there are. */
    if (config->profile != SANDBOX_NONE) TRY(limit(RLIMIT_NPROC, 0, 0, "nproc", err));
    return STATUS_OK;
}

void sandbox_limit_memory(uint64_t data_bytes)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_DATA, &now) != 0) return;
    rlim_t wanted = data_bytes && data_bytes < now.rlim_max ? data_bytes : now.rlim_max;
    if (wanted == now.rlim_cur) return;
    now.rlim_cur = wanted;
    /* It cannot fail: the soft limit moves below an unchanged hard one. */
    (void)setrlimit(RLIMIT_DATA, &now);
}

int sandbox_usage_open(const struct sandbox_place *place)
{
    return openat(place->proc, place->proc >= 0 ? "self/statm" : "/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

void sandbox_usage_read(int fd, struct sandbox_usage *usage)
{
    char text[256] = {0};
    unsigned long pages[6];
    *usage = (struct sandbox_usage){0};
    if (fd < 0 || pread(fd, text, sizeof text - 1, 0) <= 0) return;
    if (sscanf(text, "%lu %lu %lu %lu %lu %lu", &pages[0], &pages[1], &pages[2], &pages[3], &pages[4],
               &pages[5]) != 6)
        return;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    *usage =
        (struct sandbox_usage){.data_bytes = pages[5] * page_bytes, .address_bytes = pages[0] * page_bytes};
}

enum status sandbox_cap_memory(uint64_t data_bytes, struct err *err)
{
    return limit(RLIMIT_DATA, data_bytes, data_bytes, "data", err);
}

/* ---- what it may open ---- */

/* All rights over files that landlock knew when it came (ABI 1), the later ones, and by which ABI each is understood. */
#define LANDLOCK_READ \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

enum { LANDLOCK_RIGHTS_ABI_1 = (1 << 13) - 1 };

/* Bits newer than the headers of the oldest system that we build on. */
enum {
    FS_REFER = 1 << 13, /* ABI 2 */
    FS_TRUNCATE = 1 << 14, /* ABI 3 */
    NET_BIND_AND_CONNECT = 3, /* ABI 4, TCP */
    FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
    SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3, /* ABI 6 */
};

struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

static void add_rule(void *ctx, const char *path)
{
    int fd = *(const int *)ctx;
    int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0) return; /* not every system has each of them */
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_READ, .parent_fd = place};
    if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    {
        /* A file, not a directory, takes fewer rights. */
        rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
        (void)syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    close(place);
}

static void add_mounts(const struct sandbox_config *config, int fd)
{
    for (size_t i = 0; i < config->mount_count; i++) add_rule(&fd, config->mounts[i].to);
}

/* Puts the process into a domain where nothing may be opened but its mounts, and for a zygote what it loads (read only), no
 * TCP is spoken and no process outside is signalled. An older kernel gives less, one without landlock nothing: then the own
 * user, the root and the filter remain the defence. */
static enum status enter_landlock(const struct sandbox_config *config, bool loads, struct err *err)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) return STATUS_OK;
    struct ruleset rules = {.fs = LANDLOCK_RIGHTS_ABI_1};
    if (abi >= 2) rules.fs |= FS_REFER;
    if (abi >= 3) rules.fs |= FS_TRUNCATE;
    if (abi >= 4) rules.net = NET_BIND_AND_CONNECT;
    if (abi >= 5) rules.fs |= FS_IOCTL_DEV;
    if (abi >= 6) rules.scoped = SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS;
    size_t size = abi >= 6 ? sizeof rules : abi >= 4 ? 16 : 8;

    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (fd < 0) return err_errno(err, STATUS_UNSUPPORTED, errno, "make landlock rules");
    if (loads)
    {
        root_each_path(config, add_rule, &fd);
        add_rule(&fd, SANDBOX_ARTIFACT);
    }
    else
        add_mounts(config, fd);
    long failed = syscall(SYS_landlock_restrict_self, fd, 0);
    int reason = errno;
    close(fd);
    if (failed) return err_errno(err, STATUS_UNSUPPORTED, reason, "enter landlock");
    return STATUS_OK;
}

void sandbox_close_from(int first)
{
    (void)close_range((unsigned)first, ~0U, 0); /* fails only for arguments that are not used here */
}

/* ---- what it may ask of the kernel ---- */

/* Defends the kernel and everything that the steps above do not know: see seccomp.def. The last step, because the ones
 * before make calls that it refuses. */
static enum status enter_filter(const struct seccomp_filter *filter, struct err *err)
{
    struct sock_fprog program = {.len = filter->count, .filter = (struct sock_filter *)filter->code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0) return STATUS_OK;
    return err_errno(err, STATUS_UNSUPPORTED, errno,
                     "seccomp filters are refused; take a kernel with CONFIG_SECCOMP_FILTER, or choose "
                     "`sandbox: none`");
}

/* ---- the two steps ---- */

/* Better now, with the name, than as a riddle in user code. */
static enum status check_mounts(const struct sandbox_config *config, struct err *err)
{
    for (size_t i = 0; i < config->mount_count; i++)
    {
        const struct sandbox_mount *mount = &config->mounts[i];
        int fd = open(mount->to, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            return err_errno(err, STATUS_PERMISSION_DENIED, errno,
                             "mounts[%zu].from: the app, user %u, cannot read `%s`; let others read it", i,
                             getuid(), mount->from);
        close(fd);
    }
    return STATUS_OK;
}

enum status sandbox_enter_zygote(const struct sandbox_config *config, struct sandbox_place *place,
                                 struct err *err)
{
    if (!place->inside) TRY(own_session(err)); /* else it, or the process that it was forked from, has one */
    if (config->profile == SANDBOX_NONE) return die_with(place->parent, err);
    if (place->proc >= 0) close(place->proc);
    if (place->root >= 0) TRY(root_seal(place->root, err));
    place->proc = place->root = -1;
    if (geteuid() == 0)
        TRY(become_nobody(config, err));
    else
        TRY(drop_capabilities(err));
    TRY(die_with(place->parent, err));
    TRY(check_mounts(config, err));
    TRY(limit(RLIMIT_CORE, 0, 0, "core", err));
    TRY(limit(RLIMIT_FSIZE, 0, 0, "fsize", err));
    TRY(limit(RLIMIT_NPROC, SANDBOX_PROCESSES_MAX, SANDBOX_PROCESSES_MAX, "nproc", err));
    TRY(no_new_privileges(err));
    TRY(enter_landlock(config, true, err));
    struct seccomp_filter filter;
    seccomp_filter_zygote(&filter);
    return enter_filter(&filter, err);
}

enum status sandbox_enter_worker(const struct sandbox_config *config, pid_t parent, struct err *err)
{
    TRY(die_with(parent, err));
    TRY(limit_worker(config, err));
    if (config->profile == SANDBOX_NONE) return STATUS_OK;
    /* Nothing but its mounts: its descriptors are all it has. */
    TRY(enter_landlock(config, false, err));
    unsigned also = (config->mount_count ? SECCOMP_MOUNTS : 0) |
                    (config->profile == SANDBOX_NETWORK ? SECCOMP_NETWORK : 0);
    struct seccomp_filter filter;
    seccomp_filter_worker(&filter, getpid(), also);
    return enter_filter(&filter, err);
}
