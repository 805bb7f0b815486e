/* processes.c - attacks by processes: more of them, and power over others. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

static long fork_bomb(void)
{
    long born = -1;
    for (int i = 0; i < 10000; i++)
    {
        pid_t child = fork();
        if (child == 0) _exit(0);
        if (child > 0) born = child;
    }
    return born;
}

static void *nothing(void *unused)
{
    return unused;
}

static long thread_bomb(void)
{
    long born = -1;
    for (int i = 0; i < 10000; i++)
    {
        pthread_t thread;
        int failed = pthread_create(&thread, NULL, nothing, NULL);
        if (!failed) born = i;
        if (failed) errno = failed;
    }
    return born;
}

static long raw_thread(void)
{
    return syscall(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0);
}

static long queue_signal(pid_t pid)
{
    return sigqueue(pid, SIGKILL, (union sigval){0});
}

static long reach_into(long call, pid_t pid)
{
    char byte = 0;
    struct iovec here = {&byte, 1}, there = {(void *)fork_bomb, 1};
    return syscall(call, pid, &here, 1, &there, 1, 0);
}

/* Everybody with our number inside of some namespace: what getppid and the query do not tell. */
static long kill_all_numbers(void)
{
    long hit = -1;
    for (pid_t pid = 1; pid < 40000; pid++)
        if (pid != getpid() && syscall(SYS_kill, pid, SIGKILL) == 0) hit = pid;
    return hit;
}

static long own_by_signal(pid_t pid)
{
    if (fcntl(3, F_SETOWN, pid) < 0 || fcntl(3, F_SETSIG, SIGKILL) < 0) return -1;
    return fcntl(3, F_SETFL, O_ASYNC);
}

static long raise_limits(void)
{
    static const int limits[] = {RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_DATA};
    long raised = -1;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (setrlimit(limits[i], &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}) == 0) raised = limits[i];
    return raised;
}

static long gain_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};
    return syscall(SYS_capset, &header, all);
}

static long set_timer(void)
{
    return setitimer(ITIMER_REAL, &(struct itimerval){{0, 1000}, {0, 1000}}, NULL);
}

static long pin(pid_t pid)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    return sched_setaffinity(pid, sizeof one, &one);
}

ATTACK(fork_bombs, fork_bomb())
ATTACK(vforks, syscall(SYS_vfork))
ATTACK(thread_bombs, thread_bomb())
ATTACK(makes_a_raw_thread, raw_thread())
ATTACK(uses_clone3, syscall(SYS_clone3, &(long[11]){0}, 88L))
ATTACK(kills, kill(victim(ctx), SIGKILL))
ATTACK(kills_its_zygote, kill(getppid(), SIGKILL))
ATTACK(kills_its_group, kill(0, 0)) /* nothing is sent, should it come that far */
ATTACK(kills_everybody, kill(-1, 0)) /* the same */
ATTACK(kills_all_numbers, kill_all_numbers())
ATTACK(kills_a_thread, syscall(SYS_tkill, victim(ctx), SIGKILL))
ATTACK(kills_a_thread_of, syscall(SYS_tgkill, victim(ctx), victim(ctx), SIGKILL))
ATTACK(queues_a_signal, queue_signal(victim(ctx)))
ATTACK(opens_a_pidfd, syscall(SYS_pidfd_open, victim(ctx), 0))
ATTACK(signals_a_pidfd, syscall(SYS_pidfd_send_signal, 3, SIGKILL, NULL, 0))
ATTACK(steals_a_descriptor, syscall(SYS_pidfd_getfd, 3, 0, 0))
ATTACK(signals_by_descriptor, own_by_signal(victim(ctx)))
ATTACK(traces, ptrace(PTRACE_ATTACH, victim(ctx), NULL, NULL))
ATTACK(seizes, ptrace(PTRACE_SEIZE, victim(ctx), NULL, NULL))
ATTACK(lets_itself_be_traced, ptrace(PTRACE_TRACEME, 0, NULL, NULL))
ATTACK(reads_memory_of, reach_into(SYS_process_vm_readv, victim(ctx)))
ATTACK(writes_memory_of, reach_into(SYS_process_vm_writev, victim(ctx)))
ATTACK(compares, syscall(SYS_kcmp, getpid(), victim(ctx), 0, 0, 0))
ATTACK(limits_another, prlimit(victim(ctx), RLIMIT_NOFILE, &(struct rlimit){0, 0}, NULL))
ATTACK(renices_another, setpriority(PRIO_PROCESS, (id_t)victim(ctx), 19))
ATTACK(renices_itself, setpriority(PRIO_PROCESS, 0, -20))
ATTACK(becomes_real_time, sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}))
ATTACK(schedules_another, sched_setscheduler(victim(ctx), SCHED_IDLE, &(struct sched_param){0}))
ATTACK(pins_another, pin(victim(ctx)))
ATTACK(raises_its_limits, raise_limits())
ATTACK(outlives_its_parent, prctl(PR_SET_PDEATHSIG, 0))
ATTACK(makes_itself_dumpable, prctl(PR_SET_DUMPABLE, 1))
ATTACK(begins_a_session, setsid())
ATTACK(joins_a_group, setpgid(0, victim(ctx)))
ATTACK(becomes_root, setuid(0))
ATTACK(becomes_root_for_good, setresuid(0, 0, 0))
ATTACK(joins_root_group, setgid(0))
ATTACK(changes_groups, setgroups(1, &(gid_t){0}))
ATTACK(gains_capabilities, gain_capabilities())
ATTACK(becomes_root_for_files, syscall(SYS_setfsuid, 0))
ATTACK(sets_an_alarm, set_timer())
ATTACK(makes_a_timer, syscall(SYS_timer_create, CLOCK_REALTIME, NULL, &(int){0}))
