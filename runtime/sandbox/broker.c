/* broker.c - connections for those who cannot make any: what is listed, resolved and connected by a process outside. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/broker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/base/clock.h"

enum { TIMEOUT_MS_MAX = 60 * 1000, RESERVED = 8 * sizeof(int) };

/* ---- the list ---- */

static bool port_parse(const char *text, uint16_t *port)
{
    char *end;
    if (*text < '1' || *text > '9') return false;
    unsigned long number = strtoul(text, &end, 10);
    if (*end || number > UINT16_MAX) return false;
    *port = (uint16_t)number;
    return true;
}

static bool host_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '.' || byte == '-' || byte == '_';
}

bool broker_place_parse(const char *text, char host[BOUND_HOST_BYTES_MAX + 1], uint16_t *port)
{
    bool brackets = *text == '[';
    const char *begin = text + brackets;
    const char *end = brackets ? strchr(begin, ']') : strrchr(begin, ':');
    if (!end || end == begin || end - begin > BOUND_HOST_BYTES_MAX) return false;
    const char *colon = brackets ? end + 1 : end;
    if (*colon != ':' || !port_parse(colon + 1, port)) return false;
    snprintf(host, BOUND_HOST_BYTES_MAX + 1, "%.*s", (int)(end - begin), begin);
    struct in6_addr six;
    if (brackets) return inet_pton(AF_INET6, host, &six) == 1;
    for (const char *byte = host; *byte; byte++)
        if (!host_byte(*byte)) return false;
    return true;
}

bool broker_allows(const char *const *list, size_t count, const char *host, uint16_t port)
{
    for (size_t i = 0; i < count; i++)
    {
        char listed[BOUND_HOST_BYTES_MAX + 1];
        uint16_t listed_port;
        if (broker_place_parse(list[i], listed, &listed_port) && listed_port == port &&
            strcasecmp(listed, host) == 0)
            return true;
    }
    return false;
}

static bool four_allowed(uint32_t address)
{
    return (address >> 24) != 127 && (address >> 24) != 0 && (address >> 16) != 0xa9fe /* link-local */ &&
           (address >> 28) < 14 /* multicast, reserved, broadcast */;
}

bool broker_address_allowed(const char *host, const struct sockaddr *address)
{
    struct in6_addr literal;
    if (inet_pton(AF_INET, host, &literal) == 1 || inet_pton(AF_INET6, host, &literal) == 1 ||
        strcasecmp(host, "localhost") == 0)
        return true;
    if (address->sa_family == AF_INET)
        return four_allowed(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    if (address->sa_family != AF_INET6) return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    const uint8_t *bytes = six->s6_addr;
    static const uint8_t translated[12] = {0x00, 0x64, 0xff, 0x9b};
    if (IN6_IS_ADDR_V4MAPPED(six) || memcmp(bytes, translated, sizeof translated) == 0)
    {
        uint32_t four;
        memcpy(&four, bytes + 12, sizeof four);
        return four_allowed(ntohl(four));
    }
    bool low = true; /* ::, ::1, and the addresses of old that hold one of IPv4 */
    for (size_t i = 0; i < 12; i++) low = low && bytes[i] == 0;
    return !low && !IN6_IS_ADDR_LINKLOCAL(six) && !IN6_IS_ADDR_MULTICAST(six);
}

/* ---- packets with a descriptor ---- */

static bool send_with(int socket, const void *bytes, size_t size, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } beside = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0)
    {
        packet.msg_control = beside.bytes;
        packet.msg_controllen = sizeof beside.bytes;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
        *rights = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &packet, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)size;
}

/* The size of the packet, 0 at the end, -1 on a failure. Descriptors beyond the first are closed. */
static ssize_t receive_with(int socket, void *bytes, size_t size, int *fd)
{
    *fd = -1;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(RESERVED)];
    } beside;
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = beside.bytes,
                            .msg_controllen = sizeof beside.bytes};
    ssize_t got;
    do got = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return -1;
    for (struct cmsghdr *rights = CMSG_FIRSTHDR(&packet); rights; rights = CMSG_NXTHDR(&packet, rights))
    {
        if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
        {
            int received;
            memcpy(&received, CMSG_DATA(rights) + i * sizeof received, sizeof received);
            if (*fd < 0)
                *fd = received;
            else
                close(received);
        }
    }
    return got;
}

/* ---- the broker ---- */

static int left_ms(uint64_t until_ns)
{
    uint64_t now = clock_monotonic_ns(clock_real());
    return now < until_ns ? (int)((until_ns - now + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

/* A blocking connected socket; -1 and errno. */
static int connect_to(const struct addrinfo *place, uint64_t until_ns)
{
    int fd = socket(place->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (fd < 0) return -1;
    int failure = connect(fd, place->ai_addr, place->ai_addrlen) == 0 ? 0 : errno;
    if (failure == EINPROGRESS)
    {
        struct pollfd done = {.fd = fd, .events = POLLOUT};
        socklen_t size = sizeof failure;
        failure = ETIMEDOUT;
        if (poll(&done, 1, left_ms(until_ns)) > 0)
            (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size); /* else it stays a timeout */
    }
    if (!failure && fcntl(fd, F_SETFL, 0) == 0) return fd;
    close(fd);
    errno = failure;
    return -1;
}

static enum status resolve_and_connect(const char *host, uint16_t port, uint64_t until_ns, int *fd,
                                       struct err *err)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG}, *list;
    struct in6_addr literal;
    if (inet_pton(AF_INET, host, &literal) == 1 || inet_pton(AF_INET6, host, &literal) == 1)
        hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
    int failure = getaddrinfo(host, service, &hints, &list);
    if (failure)
        return err_set(err, STATUS_UNAVAILABLE, "`%s` has no address: %s", host, gai_strerror(failure));
    int reason = EACCES;
    bool any = false;
    *fd = -1;
    for (struct addrinfo *place = list; place && *fd < 0; place = place->ai_next)
    {
        if (!broker_address_allowed(host, place->ai_addr)) continue;
        any = true;
        *fd = connect_to(place, until_ns);
        if (*fd < 0) reason = errno;
    }
    freeaddrinfo(list);
    if (*fd >= 0) return STATUS_OK;
    if (!any)
        return err_set(
            err, STATUS_PERMISSION_DENIED,
            "`%s` leads to an address of this machine or its link, which only a listed address may", host);
    return err_errno(err, STATUS_UNAVAILABLE, reason, "connect to %s:%u", host, port);
}

struct broker {
    const char *const *allow;
    size_t allow_count;
};

static enum status answer(const struct broker *config, const struct broker_request *request, ssize_t size,
                          int *fd, struct err *err)
{
    char host[BOUND_HOST_BYTES_MAX + 1];
    if (size != sizeof *request || request->host_size > BOUND_HOST_BYTES_MAX ||
        memchr(request->host, 0, request->host_size))
        return err_set(err, STATUS_INVALID_ARGUMENT, "this is not a request for a connection");
    snprintf(host, sizeof host, "%.*s", (int)request->host_size, request->host);
    if (!broker_allows(config->allow, config->allow_count, host, request->port))
        return err_set(err, STATUS_PERMISSION_DENIED, "%s:%u is not listed in network.allow", host,
                       request->port);
    uint32_t timeout_ms = request->timeout_ms < TIMEOUT_MS_MAX ? request->timeout_ms : TIMEOUT_MS_MAX;
    uint64_t until_ns = clock_monotonic_ns(clock_real()) + timeout_ms * NS_PER_MS;
    return resolve_and_connect(host, request->port, until_ns, fd, err);
}

/* Of one worker: a process of its own, so that a name that takes long holds nobody else up. */
static _Noreturn void serve_worker(int socket, const struct broker *config, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(1);
    for (;;)
    {
        struct broker_request request;
        int sent_along, fd = -1;
        ssize_t size = receive_with(socket, &request, sizeof request, &sent_along);
        if (sent_along >= 0) close(sent_along);
        if (size <= 0) _exit(0);
        struct err err = ERR_INIT;
        struct broker_reply reply = {.status = answer(config, &request, size, &fd, &err)};
        if (reply.status != STATUS_OK)
        {
            reply.text_size = (uint32_t)strnlen(err_text(&err), ERR_TEXT_MAX);
            memcpy(reply.text, err_text(&err), reply.text_size);
        }
        if (!send_with(socket, &reply, sizeof reply, fd)) _exit(0);
        if (fd >= 0) close(fd);
    }
}

void broker_serve(int requests, const char *const *allow, size_t allow_count)
{
    const struct broker broker = {allow, allow_count};
    pid_t self = getpid();
    /* Nobody asks how the processes of workers end. */
    (void)sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_IGN},
                    NULL); /* fails for no known signal */
    for (;;)
    {
        char byte;
        int socket;
        if (receive_with(requests, &byte, sizeof byte, &socket) <= 0) return;
        if (socket < 0) continue;
        pid_t child = fork();
        if (child == 0)
        {
            close(requests);
            serve_worker(socket, &broker, self);
        }
        close(socket); /* without a process, for want of any, the worker sees its end */
    }
}

/* ---- the other side ---- */

enum status broker_open(int requests, int *worker_end, struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return err_errno(err, STATUS_NO_RESOURCES, errno, "make a socket pair for the broker");
    bool sent = send_with(requests, "", 1, ends[0]);
    close(ends[0]);
    if (sent)
    {
        *worker_end = ends[1];
        return STATUS_OK;
    }
    close(ends[1]);
    return err_set(err, STATUS_UNAVAILABLE, "the broker of connections has gone");
}

enum status broker_connect(int socket, const char *host, uint16_t port, uint32_t timeout_ms, int *connected,
                           struct err *err)
{
    struct broker_request request = {.timeout_ms = timeout_ms, .port = port};
    size_t size = strlen(host);
    if (size == 0 || size > BOUND_HOST_BYTES_MAX || port == 0)
        return err_set(err, STATUS_INVALID_ARGUMENT, "a host has 1 to %d bytes, a port is 1 to 65535",
                       BOUND_HOST_BYTES_MAX);
    request.host_size = (uint16_t)size;
    memcpy(request.host, host, size);
    /* write(), because a worker may not use sendmsg(): it could send descriptors away. */
    ssize_t written;
    do written = write(socket, &request, sizeof request);
    while (written < 0 && errno == EINTR);
    struct broker_reply reply;
    int fd;
    if (written != sizeof request || receive_with(socket, &reply, sizeof reply, &fd) != sizeof reply)
        return err_set(err, STATUS_UNAVAILABLE, "the broker of connections has gone");
    if (reply.status == STATUS_OK && fd >= 0)
    {
        *connected = fd;
        return STATUS_OK;
    }
    if (fd >= 0) close(fd);
    if (reply.status == STATUS_OK || reply.status >= STATUS_COUNT || reply.text_size > ERR_TEXT_MAX)
        return err_set(err, STATUS_UNAVAILABLE, "no descriptor came: this worker holds too many");
    return err_set(err, reply.status, "%.*s", (int)reply.text_size, reply.text);
}
