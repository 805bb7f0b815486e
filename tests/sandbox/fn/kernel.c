/* kernel.c - attacks on the kernel's far corners: namespaces, mounts, programs, new code. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/time.h>
#include <sys/utsname.h>

enum { PAGE = 4096 };

static void *code_page(void)
{
    return (void *)((uintptr_t)code_page & ~(uintptr_t)(PAGE - 1));
}

static long map_code(void)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? -1 : 0;
}

static long turn_into_code(void)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? 0 : mprotect(page, PAGE, PROT_READ | PROT_EXEC);
}

/* Its code may become data; never code again. */
static long rewrite_code(void)
{
    void *page = code_page();
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0) return 0;
    return syscall(SYS_pkey_mprotect, page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
}

static long execute_memory(void)
{
    int memory = (int)syscall(SYS_memfd_create, "x", 0);
    if (memory < 0 && errno != EPERM) return 0;
    char *argv[] = {"x", NULL};
    return syscall(SYS_execveat, memory < 0 ? 1 : memory, "", argv, argv + 1, AT_EMPTY_PATH);
}

/* To the name that it has, should it come that far. */
static long rename_machine(void)
{
    struct utsname name;
    return uname(&name) < 0 ? 0 : sethostname(name.nodename, strlen(name.nodename));
}

ATTACK(unshares_user, unshare(CLONE_NEWUSER))
ATTACK(unshares_mounts, unshare(CLONE_NEWNS))
ATTACK(unshares_network, unshare(CLONE_NEWNET))
ATTACK(unshares_processes, unshare(CLONE_NEWPID))
ATTACK(clones_into_namespaces, syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0))
ATTACK(joins_a_namespace, setns(0, 0))
ATTACK(mounts, mount("none", "/tmp", "tmpfs", 0, NULL))
ATTACK(mounts_anew, syscall(SYS_fsopen, "tmpfs", 0))
ATTACK(opens_a_tree, syscall(SYS_open_tree, AT_FDCWD, "/", 1))
ATTACK(unmounts, umount2("/", MNT_DETACH))
ATTACK(pivots, syscall(SYS_pivot_root, ".", "."))
ATTACK(changes_root, chroot("/tmp"))
ATTACK(executes_a_shell, execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL))
ATTACK(executes_memory, execute_memory())
ATTACK(maps_code, map_code())
ATTACK(turns_data_into_code, turn_into_code())
ATTACK(rewrites_its_code, rewrite_code())
ATTACK(loads_bpf, syscall(SYS_bpf, 0, NULL, 0))
ATTACK(uses_io_uring, syscall(SYS_io_uring_setup, 8, &(char[128]){0}))
ATTACK(uses_userfaultfd, syscall(SYS_userfaultfd, 1))
ATTACK(watches_performance, syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0))
ATTACK(uses_the_keyring, syscall(SYS_keyctl, 0, -3, 1))
ATTACK(adds_a_key, syscall(SYS_add_key, "user", "stead", "x", 1, -3))
ATTACK(changes_personality, personality(ADDR_NO_RANDOMIZE))
ATTACK(executes_what_it_reads, personality(READ_IMPLIES_EXEC))
ATTACK(loads_a_module, syscall(SYS_init_module, NULL, 0, ""))
ATTACK(boots_another_kernel, syscall(SYS_kexec_load, 0, 0, NULL, 0))
ATTACK(reads_the_kernels_log, syscall(SYS_syslog, 3, NULL, 0))
ATTACK(sets_the_clock, syscall(SYS_settimeofday, NULL, NULL))
ATTACK(renames_the_machine, rename_machine())
ATTACK(swaps, swapon("/dev/null", 0))
ATTACK(adds_a_filter, prctl(PR_SET_SECCOMP, 2, NULL))
ATTACK(makes_secret_memory, syscall(447, 0))
ATTACK(traps_the_processor, syscall(SYS_membarrier, 2, 0, 0))
ATTACK(moves_pages, syscall(SYS_move_pages, victim(ctx), 0, NULL, NULL, NULL, 0))
ATTACK(calls_the_unknown, syscall(999))

/* ---- this does not come back ---- */

STEAD_FUNCTION(writes_into_its_code)
{
    *(volatile char *)code_page() = 1;
    return stead_reply(ctx, "got through");
}

#ifdef __x86_64__
STEAD_FUNCTION(uses_numbers_of_another_machine)
{
    long got = syscall(0x40000000 + SYS_getpid);
    return stead_reply(ctx, "got through: %ld", got);
}

STEAD_FUNCTION(uses_32_bit_calls)
{
    long got = 20; /* getpid there */
    __asm__ volatile("int $0x80" : "+a"(got)::"memory");
    return stead_reply(ctx, "got through: %ld", got);
}
#endif
