/* dialer.c - an app of profile `network`: what it reaches by the broker, and what it tries past it. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static int dial(struct stead_ctx *ctx)
{
    int fd;
    enum stead_status status =
        stead_connect(ctx, stead_query(ctx, "host"), (uint16_t)stead_query_i64(ctx, "port", 0), 2000, &fd);
    if (status == STEAD_UNREACHABLE) stead_reply(ctx, "unreachable: %s", stead_connect_error(ctx));
    return status == STEAD_OK ? fd : -1;
}

/* Says a line to who is there, and replies what comes back. */
STEAD_FUNCTION(talks)
{
    int fd = dial(ctx), on = 1;
    if (fd < 0) return STEAD_OK;
    char text[64] = "";
    bool fine = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && send(fd, "hello\n", 6, 0) == 6;
    struct pollfd answered = {.fd = fd, .events = POLLIN};
    fine = fine && poll(&answered, 1, 5000) == 1 && recv(fd, text, sizeof text - 1, 0) > 0;
    close(fd);
    return fine ? stead_reply(ctx, "%s", text) : stead_fail(ctx, "%s", strerrorname_np(errno));
}

STEAD_FUNCTION(dials)
{
    int fd = dial(ctx);
    if (fd < 0) return STEAD_OK;
    close(fd);
    return stead_reply(ctx, "connected");
}

static long dial_past(int family, int type)
{
    struct sockaddr_in place = {
        .sin_family = AF_INET, .sin_port = htons(22), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(family, type, 0);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&place, sizeof place);
}

/* A socket that the broker made, turned elsewhere. */
static long turn(struct stead_ctx *ctx, int family)
{
    int fd = dial(ctx);
    struct sockaddr_in place = {
        .sin_family = (sa_family_t)family, .sin_port = htons(22), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect(fd, (struct sockaddr *)&place, sizeof place);
}

static long send_elsewhere(struct stead_ctx *ctx)
{
    int fd = dial(ctx);
    struct sockaddr_in place = {
        .sin_family = AF_INET, .sin_port = htons(22), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&place, sizeof place);
}

static long give_away(struct stead_ctx *ctx)
{
    int fd = dial(ctx);
    struct msghdr packet = {0};
    return sendmsg(fd, &packet, 0);
}

static long set_option(struct stead_ctx *ctx, int level, int option)
{
    int fd = dial(ctx), value = 1;
    return setsockopt(fd, level, option, &value, sizeof value);
}

static long listen_on(struct stead_ctx *ctx)
{
    return listen(dial(ctx), 1);
}

ATTACK(opens_tcp, dial_past(AF_INET, SOCK_STREAM))
ATTACK(opens_tcp6, socket(AF_INET6, SOCK_STREAM, 0))
ATTACK(opens_udp, dial_past(AF_INET, SOCK_DGRAM))
ATTACK(opens_raw, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))
ATTACK(opens_packet, socket(AF_PACKET, SOCK_RAW, 0))
ATTACK(opens_unix, socket(AF_UNIX, SOCK_STREAM, 0))
ATTACK(opens_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
ATTACK(makes_pair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}))
ATTACK(turns_a_socket, turn(ctx, AF_INET))
ATTACK(undoes_a_socket, turn(ctx, AF_UNSPEC))
ATTACK(sends_elsewhere, send_elsewhere(ctx))
ATTACK(gives_away, give_away(ctx))
ATTACK(binds_to_device, set_option(ctx, SOL_SOCKET, SO_BINDTODEVICE))
ATTACK(attaches_a_program, set_option(ctx, SOL_SOCKET, SO_ATTACH_FILTER))
ATTACK(repairs, set_option(ctx, IPPROTO_TCP, TCP_REPAIR))
ATTACK(marks, set_option(ctx, SOL_SOCKET, SO_MARK))
ATTACK(sets_ip_options, set_option(ctx, IPPROTO_IP, IP_OPTIONS))
ATTACK(listens, listen_on(ctx))
ATTACK(reads_files, open("/etc/resolv.conf", O_RDONLY))

/* ---- the broker itself, spoken to without the SDK ---- */

enum { BROKER = 4 };

STEAD_FUNCTION(talks_rubbish_to_the_broker)
{
    static const char rubbish[70000];
    char reply[4096];
    for (size_t size = 1; size < sizeof rubbish; size = size * 3 + 1)
    {
        if (write(BROKER, rubbish, size) < 0) continue; /* larger than the socket takes */
        if (read(BROKER, reply, sizeof reply) <= 0) return stead_reply(ctx, "the broker has gone");
    }
    return stead_reply(ctx, "it went on");
}

/* Asks for many at once and takes none. */
STEAD_FUNCTION(floods_the_broker)
{
    static const char rubbish[260];
    fcntl(BROKER, F_SETFL, O_NONBLOCK);
    int sent = 0;
    while (sent < 100000 && write(BROKER, rubbish, sizeof rubbish) > 0) sent++;
    _exit(0);
}

/* Keeps each: the broker must not keep any, and the worker is stopped by its own limit. */
STEAD_FUNCTION(hoards)
{
    int count = 0;
    while (count < 1000 && dial(ctx) >= 0) count++;
    stead_failure_clear(ctx);
    stead_reply(ctx, " %d", count);
    _exit(0);
}
