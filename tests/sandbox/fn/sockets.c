/* sockets.c - attacks by ways to talk: networks, other programs of the machine, shared memory. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { LINK = 3 };

static int pair[2];

static long dial_by_link(struct stead_ctx *ctx)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", target(ctx));
    return connect(LINK, (struct sockaddr *)&address, sizeof address);
}

static long send_to(struct stead_ctx *ctx)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", target(ctx));
    return sendto(LINK, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address);
}

static long listen_at_link(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0stead-attack"};
    return bind(LINK, (struct sockaddr *)&address, sizeof address) < 0 ? listen(LINK, 1) : 0;
}

static long send_descriptor(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } beside = {0};
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = beside.bytes,
                            .msg_controllen = sizeof beside.bytes};
    *CMSG_FIRSTHDR(&packet) = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    return sendmsg(LINK, &packet, MSG_DONTWAIT);
}

static long widen_link(void)
{
    int bytes = 1 << 30;
    return setsockopt(LINK, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

ATTACK(opens_tcp, socket(AF_INET, SOCK_STREAM, 0))
ATTACK(opens_tcp6, socket(AF_INET6, SOCK_STREAM, 0))
ATTACK(opens_udp, socket(AF_INET, SOCK_DGRAM, 0))
ATTACK(opens_raw, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))
ATTACK(opens_packet, socket(AF_PACKET, SOCK_RAW, 0))
ATTACK(opens_unix, socket(AF_UNIX, SOCK_STREAM, 0))
ATTACK(opens_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
ATTACK(opens_vsock, socket(AF_VSOCK, SOCK_STREAM, 0))
ATTACK(opens_kernel_crypto, socket(AF_ALG, SOCK_SEQPACKET, 0))
ATTACK(makes_pair, socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
ATTACK(makes_pipe, pipe(pair))
ATTACK(makes_eventfd, eventfd(0, 0))
ATTACK(makes_epoll, epoll_create1(0))
ATTACK(dials_by_its_link, dial_by_link(ctx))
ATTACK(sends_to_an_address, send_to(ctx))
ATTACK(listens_at_its_link, listen_at_link())
ATTACK(sends_a_descriptor, send_descriptor())
ATTACK(widens_its_link, widen_link())
ATTACK(shares_memory_by_key, shmget(0x5ead, 4096, IPC_CREAT | 0666))
ATTACK(attaches_shared_memory, shmat(0, NULL, 0) == (void *)-1 ? -1 : 0)
ATTACK(makes_message_queue, msgget(0x5ead, IPC_CREAT | 0666))
ATTACK(makes_semaphore, semget(0x5ead, 1, IPC_CREAT | 0666))
ATTACK(makes_posix_queue, syscall(SYS_mq_open, "stead", O_CREAT | O_RDWR, 0666, NULL))
ATTACK(types_into_a_terminal, ioctl(0, TIOCSTI, "x"))
