/* seccomp_filter.c - seccomp.def as BPF: number by number, each ending in a verdict. */
// SPDX-License-Identifier: Apache-2.0
//
// Built by hand because it is simple and has to be quick: a worker's filter names its own process, so it is made in each
// cold start (a microsecond); a library takes half a millisecond. The order does not matter: the kernel remembers which
// numbers are allowed whatever their arguments are, and does not run the program for them.
#include "runtime/sandbox/seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "runtime/base/check.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
enum { FOREIGN_NUMBERS = 0x40000000 }; /* the x32 calls: same machine, other numbers */
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
enum { FOREIGN_NUMBERS = 0x7fffffff };
#else
#error "name this machine's audit number here"
#endif

enum { FIRST_UNKNOWN = 452 }; /* Linux 6.6; new calls have the same numbers on all machines */

enum { REFUSED = SECCOMP_RET_ERRNO | EPERM, REFUSED_AS_MISSING = SECCOMP_RET_ERRNO | ENOSYS };

static void emit(struct seccomp_filter *filter, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
    CHECK(filter->count < SECCOMP_CODE_MAX);
    filter->code[filter->count++] = (struct sock_filter){code, if_true, if_false, k};
}

static void load(struct seccomp_filter *filter, size_t offset)
{
    emit(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void verdict(struct seccomp_filter *filter, uint32_t action)
{
    emit(filter, BPF_RET | BPF_K, action, 0, 0);
}

/* The low half of an argument; both machines are little endian. */
static void load_argument(struct seccomp_filter *filter, unsigned index)
{
    load(filter, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));
}

static void begin(struct seccomp_filter *filter)
{
    filter->count = 0;
    load(filter, offsetof(struct seccomp_data, arch));
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
    verdict(filter, SECCOMP_RET_KILL_PROCESS);
    load(filter, offsetof(struct seccomp_data, nr));
    emit(filter, BPF_JMP | BPF_JGE | BPF_K, FOREIGN_NUMBERS, 0, 1);
    verdict(filter, SECCOMP_RET_KILL_PROCESS);
}

/* When the number is `number`, the next `length` instructions decide; else the ones behind. */
static void when(struct seccomp_filter *filter, uint32_t number, uint8_t length)
{
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, number, 0, length);
}

static void answer(struct seccomp_filter *filter, uint32_t number, uint32_t action)
{
    when(filter, number, 1);
    verdict(filter, action);
}

/* Allows when the test, a jump, comes out as wanted on the argument. */
static void answer_if(struct seccomp_filter *filter, uint32_t number, unsigned argument, uint16_t test,
                      uint32_t k, bool wanted)
{
    when(filter, number, 4);
    load_argument(filter, argument);
    emit(filter, BPF_JMP | test | BPF_K, k, 0, 1);
    verdict(filter, wanted ? SECCOMP_RET_ALLOW : REFUSED);
    verdict(filter, wanted ? REFUSED : SECCOMP_RET_ALLOW);
}

/* Allows when the argument's low half is one of the numbers, else refuses. */
static void one_of(struct seccomp_filter *filter, const uint32_t *numbers, uint8_t count)
{
    for (uint8_t i = 0; i < count; i++)
        emit(filter, BPF_JMP | BPF_JEQ | BPF_K, numbers[i], (uint8_t)(count - i), 0);
    verdict(filter, REFUSED);
    verdict(filter, SECCOMP_RET_ALLOW);
}

static void answer_one_of(struct seccomp_filter *filter, uint32_t number, unsigned argument,
                          const uint32_t *numbers, uint8_t count)
{
    when(filter, number, (uint8_t)(count + 3));
    load_argument(filter, argument);
    one_of(filter, numbers, count);
}

/* Level and option. Those that take programs, names or addresses are not among them. */
static void answer_options(struct seccomp_filter *filter, uint32_t number)
{
    static const uint32_t of_sockets[] = {SO_KEEPALIVE, 20, 21, 66,
                                          67 /* time limits, by both sizes of time */};
    static const uint32_t of_tcp[] = {TCP_NODELAY, TCP_CORK,     TCP_KEEPIDLE,    TCP_KEEPINTVL,
                                      TCP_KEEPCNT, TCP_QUICKACK, TCP_USER_TIMEOUT};
    enum { SOCKETS = sizeof of_sockets / sizeof *of_sockets, TCPS = sizeof of_tcp / sizeof *of_tcp };
    when(filter, number, 1 + 1 + 1 + SOCKETS + 2 + 1 + 1 + TCPS + 2 + 1);
    load_argument(filter, 1);
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, SOL_SOCKET, 0, 1 + SOCKETS + 2);
    load_argument(filter, 2);
    one_of(filter, of_sockets, SOCKETS);
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 1 + TCPS + 2);
    load_argument(filter, 2);
    one_of(filter, of_tcp, TCPS);
    verdict(filter, REFUSED);
}

/* Both halves of the fifth argument, a pointer. */
static void answer_without_address(struct seccomp_filter *filter, uint32_t number)
{
    when(filter, number, 6);
    load(filter, offsetof(struct seccomp_data, args) + 4 * sizeof(uint64_t));
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    load(filter, offsetof(struct seccomp_data, args) + 4 * sizeof(uint64_t) + 4);
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    verdict(filter, SECCOMP_RET_ALLOW);
    verdict(filter, REFUSED);
}

enum {
    NOT_READING =
        O_WRONLY | O_RDWR | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_PATH | (O_TMPFILE & ~O_DIRECTORY)
};

enum check {
    ANY,
    NOT_EXECUTABLE,
    OWN_PROCESS,
    OWN_OR_ZERO,
    ONLY_READ_FLAGS,
    READ_AND_SET_FLAGS,
    READS_ONLY,
    READS_ONLY_OLD,
    WITHOUT_ADDRESS,
    HARMLESS_OPTIONS,
};

static void allow_if(struct seccomp_filter *filter, uint32_t number, enum check check, pid_t self)
{
    switch (check)
    {
    case ANY:
        answer(filter, number, SECCOMP_RET_ALLOW);
        return;
    case NOT_EXECUTABLE:
        answer_if(filter, number, 2, BPF_JSET, PROT_EXEC, false);
        return;
    case OWN_PROCESS:
        answer_if(filter, number, 0, BPF_JEQ, (uint32_t)self, true);
        return;
    case OWN_OR_ZERO:
        answer_if(filter, number, 0, BPF_JEQ, 0, true);
        return;
    case ONLY_READ_FLAGS:
        answer_one_of(filter, number, 1, (const uint32_t[]){F_GETFD, F_GETFL}, 2);
        return;
    case READ_AND_SET_FLAGS:
        answer_one_of(filter, number, 1, (const uint32_t[]){F_GETFD, F_GETFL, F_SETFL}, 3);
        return;
    case READS_ONLY:
        answer_if(filter, number, 2, BPF_JSET, NOT_READING, false);
        return;
    case READS_ONLY_OLD:
        answer_if(filter, number, 1, BPF_JSET, NOT_READING, false);
        return;
    case WITHOUT_ADDRESS:
        answer_without_address(filter, number);
        return;
    case HARMLESS_OPTIONS:
        answer_options(filter, number);
        return;
    }
    UNREACHABLE("every check has its code");
}

void seccomp_filter_worker(struct seccomp_filter *filter, pid_t self, unsigned also)
{
    begin(filter);
#define ALLOW_WITH(part, name, check, why) \
    if (also & SECCOMP_##part) allow_if(filter, __NR_##name, check, self);
#define ALLOW(name, why) answer(filter, __NR_##name, SECCOMP_RET_ALLOW);
#define ALLOW_IF(name, check, why) allow_if(filter, __NR_##name, check, self);
#define REFUSE(name, why)
#include "runtime/sandbox/seccomp.def"
    verdict(filter, REFUSED);
}

void seccomp_filter_zygote(struct seccomp_filter *filter)
{
    begin(filter);
    /* Forking is its work, but in the namespaces that it is in. */
    answer_if(filter, __NR_clone, 0, BPF_JSET,
              CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                  CLONE_NEWCGROUP,
              false);
#define ALLOW_WITH(part, name, check, why)
#define ALLOW(name, why)
#define ALLOW_IF(name, check, why)
#define REFUSE(name, why) answer(filter, __NR_##name, __NR_##name == CLONE3 ? REFUSED_AS_MISSING : REFUSED);
#ifdef __NR_clone3
    enum { CLONE3 = __NR_clone3 };
#else
    enum { CLONE3 = -1 };
#endif
#include "runtime/sandbox/seccomp.def"
    /* What the table does not know because it came later (fchmodat2 was the first) is as on an older kernel. */
    emit(filter, BPF_JMP | BPF_JGE | BPF_K, FIRST_UNKNOWN, 0, 1);
    verdict(filter, REFUSED_AS_MISSING);
    verdict(filter, SECCOMP_RET_ALLOW);
}
