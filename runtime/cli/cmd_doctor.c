/* cmd_doctor.c - what this machine gives to a node: each line says what is there and what its lack costs. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/cli/client.h"
#include "runtime/cli/output.h"
#include "runtime/cli/place.h"
#include "runtime/sandbox/cgroup.h"

enum { FILES_WANTED = 4096, SYNC_ROUNDS = 20, LANDLOCK_VERSION_FLAG = 1 };

struct report {
    struct table table;
    json_t *json;
};

__attribute__((format(printf, 4, 5))) static void say(struct report *report, const char *what, bool good,
                                                      const char *format, ...)
{
    char words[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    table_cell(&report->table, "%s", good ? "ok" : "poor");
    table_cell(&report->table, "%s", what);
    table_cell(&report->table, "%s", words);
    json_array_append_new(report->json,
                          json_pack("{s:s, s:b, s:s}", "what", what, "ok", good, "text", words));
}

/* Whether a child may make these namespaces. */
static bool can_unshare(int flags)
{
    pid_t pid = fork();
    if (pid == 0) _exit(unshare(flags) == 0 ? 0 : 1);
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What `strict` needs of namespaces depends on who runs the node: see sandbox_isolate(). */
static void check_namespaces(struct report *report)
{
    bool root = geteuid() == 0;
    int all = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    bool there = can_unshare(root ? all : all | CLONE_NEWUSER);
    const char *words =
        root ? "processes, files, network, ipc and names of its own for each app, which runs as "
               "a user of its own"
             : "user, processes, files, network, ipc and names of its own for each app, without "
               "root";
    if (!there && root)
        words =
            "refused to root here: user code learns names of files and sees that other processes exist, it "
            "still has its own user; apps with `mounts` or `sandbox: network` cannot start";
    if (!there && !root)
        words = "user namespaces are refused: apps with a sandbox cannot start. Run the node as "
                "root, permit "
                "user namespaces, or trust the code with `sandbox: none`";
    say(report, "namespaces", there, "%s", words);
}

/* What each version of landlock added, for workers. */
static void check_landlock(struct report *report)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);
    if (abi < 1)
    {
        say(report, "landlock", false,
            "not there: the workers' own user and the filter of system calls keep them from files");
        return;
    }
    say(report, "landlock", true, "version %ld: no files%s%s", abi,
        abi >= 4 ? ", no TCP" : "; TCP (4) is closed by the filter only",
        abi >= 6 ? ", no signals to the outside" : "; signals (6) by namespace and filter only");
}

static void check_seccomp(struct report *report)
{
    bool there = access("/proc/sys/kernel/seccomp/actions_avail", R_OK) == 0;
    say(report, "seccomp", there,
        there ? "workers may use listed system calls only"
              : "not there: apps with `sandbox: strict` cannot start; take a kernel with "
                "CONFIG_SECCOMP_FILTER");
}

/* What a control group adds to what each process is limited by anyway, and what is left without. */
static void check_cgroups(struct report *report)
{
    static const char *const with[CGROUP_CONTROLLERS] = {
        [CGROUP_CPU] =
            "each app has one share, and no more than its `cpu_percent`s when all its functions have one",
        [CGROUP_MEMORY] = "the workers of an app have a limit together",
        [CGROUP_PIDS] = "the processes of an app are counted",
    };
    static const char *const without[CGROUP_CONTROLLERS] = {
        [CGROUP_CPU] = "CPU is shared by session, `cpu_percent` holds on average",
        [CGROUP_MEMORY] = "memory is limited for each worker by rlimit, for all by their number",
        [CGROUP_PIDS] = "workers make no processes, by rlimit and filter",
    };
    char on = '0';
    int fd = open("/proc/sys/kernel/sched_autogroup_enabled", O_RDONLY | O_CLOEXEC);
    bool autogroup = fd >= 0 && read(fd, &on, 1) == 1 && on == '1';
    if (fd >= 0) close(fd);
    struct cgroup_port port;
    struct cgroup_choice choice[CGROUP_CONTROLLERS];
    cgroup_port_init(&port);
    cgroups_look(&port, choice);
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
    {
        char what[32], words[CGROUP_PATH_MAX + 128];
        bool used = cgroup_is_used(&choice[i]), unfair = i == CGROUP_CPU && !used && !autogroup;
        snprintf(what, sizeof what, "cgroups: %s", cgroup_controller_name(i));
        cgroup_choice_words(&choice[i], words, sizeof words);
        say(report, what, used, "%s; %s%s", words, used ? with[i] : without[i],
            unfair ? ", which this kernel does not do (kernel.sched_autogroup_enabled)" : "");
    }
}

static void check_sandbox(struct report *report)
{
    check_namespaces(report);
    check_landlock(report);
    check_seccomp(report);
    check_cgroups(report);
}

static void check_limits(struct report *report)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    say(report, "open files", files.rlim_max >= FILES_WANTED,
        "%llu, at most %llu; each connection and each worker takes one", (unsigned long long)files.rlim_cur,
        (unsigned long long)files.rlim_max);
    say(report, "processors", true, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Median time of a small write with fdatasync in the nearest directory that exists; 0 when it cannot be measured. */
static uint64_t sync_us(const char *dir)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s/.stead-doctor-XXXXXX", access(dir, W_OK) == 0 ? dir : ".");
    (void)buf_cstr(&path);
    int fd = mkstemp((char *)path.data);
    uint64_t times[SYNC_ROUNDS] = {0};
    bool done = fd >= 0;
    for (size_t i = 0; i < SYNC_ROUNDS && done; i++)
    {
        uint64_t start = clock_monotonic_ns(clock_real());
        done = pwrite(fd, "stead", 5, 0) == 5 && fdatasync(fd) == 0;
        times[i] = (clock_monotonic_ns(clock_real()) - start) / NS_PER_US;
    }
    if (fd >= 0)
    {
        close(fd);
        (void)unlink(buf_cstr(&path));
    }
    buf_fini(&path);
    qsort(times, SYNC_ROUNDS, sizeof times[0], by_value);
    return done ? times[SYNC_ROUNDS / 2] : 0;
}

static void check_disk(struct report *report, const char *dir)
{
    struct statvfs disk;
    char bytes[32];
    const char *there = access(dir, F_OK) == 0 ? dir : ".";
    if (statvfs(there, &disk) == 0)
    {
        uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
        say(report, "disk space", free_bytes > (1ULL << 30), "%s free at %s",
            output_bytes(free_bytes, bytes, sizeof bytes), there);
    }
    uint64_t us = sync_us(dir);
    say(report, "disk sync", us > 0,
        us > 0 ? "a write is durable in %llu us (median of %d)" : "cannot be measured: %llu, %d",
        (unsigned long long)us, SYNC_ROUNDS);
}

static void check_programs(struct report *report)
{
    static const char *const names[] = {"steadd", "stead-zygote"};
    for (size_t i = 0; i < 2; i++)
    {
        struct buf path = BUF_INIT;
        program_beside(&path, names[i]);
        bool there = access(buf_cstr(&path), X_OK) == 0;
        say(report, names[i], there, "%s%s", buf_cstr(&path), there ? "" : " is not there");
        buf_fini(&path);
    }
    bool compiler = access("/usr/bin/cc", X_OK) == 0 || getenv("CC");
    say(report, "compiler", compiler, compiler ? "there" : "no cc: functions have to be built elsewhere");
}

static void check_node(struct report *report, const struct cli_line *line)
{
    json_t *health = NULL, *store;
    size_t index;
    if (!client_alive(line))
    {
        say(report, "node", true, "none answers; `stead serve` starts one");
        return;
    }
    if (client_json(line, &(struct client_request){.method = "GET", .path = "/v1/health"}, &health) !=
        EXIT_DONE)
        return;
    const char *listen = json_string_value(json_object_get(health, "listen"));
    say(report, "node", true, "answers; takes HTTP at %s", listen ? listen : "no address");
    json_array_foreach(json_object_get(health, "stores"), index, store)
    {
        const char *error = json_string_value(json_object_get(store, "error"));
        say(report, json_string_value(json_object_get(store, "store")), !error, "%s",
            error ? error : "takes reads and writes");
    }
    json_decref(health);
}

enum cli_exit cmd_doctor(struct cli_line *line)
{
    struct report report = {.json = json_array()};
    table_init(&report.table, (const char *[]){"", "WHAT", "FOUND", NULL});
    struct utsname kernel;
    if (uname(&kernel) == 0)
        say(&report, "kernel", true, "%s %s %s", kernel.sysname, kernel.release, kernel.machine);
    check_sandbox(&report);
    check_limits(&report);
    check_disk(&report, cli_data_dir(line));
    check_programs(&report);
    check_node(&report, line);
    if (line->json)
        output_json(report.json);
    else
        table_print(&report.table);
    table_fini(&report.table);
    json_decref(report.json);
    return EXIT_DONE;
}
