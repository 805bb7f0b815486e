/* test_sandbox.c - names and users of the sandbox, and its filters, run by a small interpreter. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/sandbox/sandbox.h"
#include "runtime/sandbox/seccomp_filter.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

enum { SELF = 4711 };

/* The verdict of a filter, as the kernel would come to it. */
static uint32_t judge(const struct seccomp_filter *filter, const struct seccomp_data *call)
{
    uint32_t accumulator = 0;
    for (size_t at = 0; at < filter->count; at++)
    {
        const struct sock_filter *step = &filter->code[at];
        bool taken;
        switch (step->code)
        {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(step->k + sizeof accumulator <= sizeof *call);
            memcpy(&accumulator, (const char *)call + step->k, sizeof accumulator);
            continue;
        case BPF_RET | BPF_K:
            return step->k;
        case BPF_JMP | BPF_JEQ | BPF_K:
            taken = accumulator == step->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            taken = accumulator >= step->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            taken = (accumulator & step->k) != 0;
            break;
        default:
            fail_msg("instruction %u", step->code);
            return 0;
        }
        at += taken ? step->jt : step->jf;
    }
    fail_msg("it runs off its end");
    return 0;
}

static uint32_t ask(const struct seccomp_filter *filter, int number, uint64_t first, uint64_t second,
                    uint64_t third)
{
    return judge(filter, &(struct seccomp_data){.nr = number, .arch = ARCH, .args = {first, second, third}});
}

static const uint32_t allowed = SECCOMP_RET_ALLOW;
static const uint32_t refused = SECCOMP_RET_ERRNO | EPERM;

static void a_worker_may_make_the_calls_of_the_list_only(void **state)
{
    (void)state;
    struct seccomp_filter filter;
    seccomp_filter_worker(&filter, SELF, 0);
    assert_int_equal(ask(&filter, SYS_read, 0, 0, 0), allowed);
    assert_int_equal(ask(&filter, SYS_exit_group, 0, 0, 0), allowed);
    assert_int_equal(ask(&filter, SYS_openat, 0, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_socket, 0, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_clone, 0, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_execve, 0, 0, 0), refused);
    assert_int_equal(ask(&filter, 100000, 0, 0, 0), refused);
}

static void arguments_are_looked_at(void **state)
{
    (void)state;
    struct seccomp_filter filter;
    seccomp_filter_worker(&filter, SELF, 0);
    assert_int_equal(ask(&filter, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE), allowed);
    assert_int_equal(ask(&filter, SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC), refused);
    assert_int_equal(ask(&filter, SYS_mprotect, 0, 4096, PROT_NONE), allowed);
    assert_int_equal(ask(&filter, SYS_mprotect, 0, 4096, PROT_EXEC), refused);
    assert_int_equal(ask(&filter, SYS_tgkill, SELF, SELF, 6), allowed);
    assert_int_equal(ask(&filter, SYS_tgkill, SELF + 1, SELF + 1, 6), refused);
    assert_int_equal(ask(&filter, SYS_prlimit64, 0, 0, 0), allowed);
    assert_int_equal(ask(&filter, SYS_prlimit64, SELF + 1, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_fcntl, 1, F_GETFL, 0), allowed);
    assert_int_equal(ask(&filter, SYS_fcntl, 1, F_GETFD, 0), allowed);
    assert_int_equal(ask(&filter, SYS_fcntl, 1, F_SETOWN, 0), refused);
    assert_int_equal(ask(&filter, SYS_fcntl, 1, F_DUPFD, 0), refused);
}

static void who_has_mounts_may_read_but_not_write(void **state)
{
    (void)state;
    struct seccomp_filter filter;
    seccomp_filter_worker(&filter, SELF, SECCOMP_MOUNTS);
    assert_int_equal(ask(&filter, SYS_openat, 0, 0, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NONBLOCK),
                     allowed);
    static const int writing[] = {O_WRONLY,           O_RDWR,    O_RDONLY | O_CREAT,
                                  O_RDONLY | O_TRUNC, O_TMPFILE, O_PATH};
    for (size_t i = 0; i < sizeof writing / sizeof *writing; i++)
        assert_int_equal(ask(&filter, SYS_openat, 0, 0, (uint64_t)writing[i]), refused);
    assert_int_equal(ask(&filter, SYS_getdents64, 0, 0, 0), allowed);
    assert_int_equal(ask(&filter, SYS_openat2, 0, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_recvmsg, 0, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_fcntl, 1, F_SETFL, 0), refused);
}

static void who_has_a_network_may_use_sockets_but_not_make_them(void **state)
{
    (void)state;
    struct seccomp_filter filter;
    seccomp_filter_worker(&filter, SELF, SECCOMP_NETWORK);
    static const int made[] = {SYS_socket,  SYS_connect, SYS_bind,  SYS_listen,
                               SYS_accept4, SYS_sendmsg, SYS_openat};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        assert_int_equal(ask(&filter, made[i], 0, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_recvmsg, 0, 0, 0), allowed);
    assert_int_equal(ask(&filter, SYS_fcntl, 1, F_SETFL, 0), allowed);
    assert_int_equal(ask(&filter, SYS_fcntl, 1, F_DUPFD, 0), refused);
    assert_int_equal(ask(&filter, SYS_setsockopt, 5, IPPROTO_TCP, TCP_NODELAY), allowed);
    assert_int_equal(ask(&filter, SYS_setsockopt, 5, IPPROTO_TCP, TCP_USER_TIMEOUT), allowed);
    assert_int_equal(ask(&filter, SYS_setsockopt, 5, IPPROTO_TCP, TCP_REPAIR), refused);
    assert_int_equal(ask(&filter, SYS_setsockopt, 5, SOL_SOCKET, SO_KEEPALIVE), allowed);
    assert_int_equal(ask(&filter, SYS_setsockopt, 5, SOL_SOCKET, SO_RCVTIMEO), allowed);
    assert_int_equal(ask(&filter, SYS_setsockopt, 5, SOL_SOCKET, SO_ATTACH_FILTER), refused);
    assert_int_equal(ask(&filter, SYS_setsockopt, 5, IPPROTO_IP, TCP_NODELAY), refused);
    static const uint64_t addresses[] = {0, 1, 1ULL << 32};
    for (size_t i = 0; i < 3; i++)
    {
        struct seccomp_data call = {.nr = SYS_sendto, .arch = ARCH, .args = {5, 0, 0, 0, addresses[i]}};
        assert_int_equal(judge(&filter, &call), i == 0 ? allowed : refused);
    }
}

static void a_zygote_may_make_all_but_the_calls_of_the_list(void **state)
{
    (void)state;
    struct seccomp_filter filter;
    seccomp_filter_zygote(&filter);
    assert_int_equal(ask(&filter, SYS_openat, 0, 0, 0), allowed);
    assert_int_equal(ask(&filter, SYS_mmap, 0, 0, PROT_EXEC), allowed);
    assert_int_equal(ask(&filter, SYS_clone, 17, 0, 0), allowed);
    assert_int_equal(ask(&filter, SYS_clone, 17 | CLONE_NEWUSER, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_clone3, 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
    assert_int_equal(ask(&filter, SYS_socket, 0, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_kill, 0, 0, 0), refused);
    assert_int_equal(ask(&filter, SYS_execve, 0, 0, 0), refused);
}

static void calls_of_another_machine_end_the_process(void **state)
{
    (void)state;
    struct seccomp_filter filters[2];
    seccomp_filter_worker(&filters[0], SELF, 0);
    seccomp_filter_zygote(&filters[1]);
    for (int i = 0; i < 2; i++)
    {
        struct seccomp_data call = {.nr = SYS_read, .arch = AUDIT_ARCH_I386};
        assert_int_equal(judge(&filters[i], &call), SECCOMP_RET_KILL_PROCESS);
#if defined(__x86_64__)
        call = (struct seccomp_data){.nr = 0x40000000 + SYS_read, .arch = ARCH};
        assert_int_equal(judge(&filters[i], &call), SECCOMP_RET_KILL_PROCESS);
#endif
    }
}

static void profiles_have_names(void **state)
{
    (void)state;
    enum sandbox_profile profile = SANDBOX_STRICT;
    assert_true(sandbox_profile_from_name("none", &profile));
    assert_int_equal(profile, SANDBOX_NONE);
    assert_true(sandbox_profile_from_name("network", &profile));
    assert_int_equal(profile, SANDBOX_NETWORK);
    assert_true(sandbox_profile_from_name("strict", &profile));
    assert_int_equal(profile, SANDBOX_STRICT);
    assert_false(sandbox_profile_from_name("lax", &profile));
    assert_false(sandbox_profile_from_name("", &profile));
    assert_string_equal(sandbox_profile_name(SANDBOX_NONE), "none");
}

static void an_app_has_always_the_same_user(void **state)
{
    (void)state;
    assert_int_equal(sandbox_uid_of("bank"), sandbox_uid_of("bank"));
    assert_int_not_equal(sandbox_uid_of("bank"), sandbox_uid_of("shop"));
    assert_in_range(sandbox_uid_of("bank"), SANDBOX_UID_FIRST, SANDBOX_UID_FIRST + 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_may_make_the_calls_of_the_list_only),
        cmocka_unit_test(arguments_are_looked_at),
        cmocka_unit_test(who_has_mounts_may_read_but_not_write),
        cmocka_unit_test(who_has_a_network_may_use_sockets_but_not_make_them),
        cmocka_unit_test(a_zygote_may_make_all_but_the_calls_of_the_list),
        cmocka_unit_test(calls_of_another_machine_end_the_process),
        cmocka_unit_test(profiles_have_names),
        cmocka_unit_test(an_app_has_always_the_same_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
