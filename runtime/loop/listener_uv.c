/* listener_uv.c - listening sockets on libuv: tcp addresses and unix socket files with a mode. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/base/log.h"
#include "runtime/loop/loop_uv.h"
#include "runtime/loop/stream_port.h"
#include "runtime/loop/stream_uv.h"

enum { LISTEN_BACKLOG = 1024 }; /* connections that the kernel holds while a turn runs */

struct stream_listener {
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } handle;
    struct loop *loop;
    stream_on_accept_fn on_accept;
    void *ctx;
    char *address; /* as people read it; for a unix socket its path */
    unsigned port;
    bool tcp;
    bool bound; /* the socket file is ours and goes with us */
};

static void on_connection(uv_stream_t *handle, int rc)
{
    struct stream_listener *listener = handle->data;
    if (rc)
    {
        log_debug("listener.accept", "address=%s error=\"%s\"", listener->address, uv_strerror(rc));
        return;
    }
    uv_stream_t *socket;
    struct stream *stream = socket_create(listener->loop, listener->tcp, &socket);
    if (uv_accept(handle, socket) != 0)
    {
        stream_close(stream); /* without a handler: nobody knows of it yet */
        return;
    }
    listener->on_accept(listener->ctx, stream);
}

static struct stream_listener *listener_create(struct loop *loop, bool tcp, stream_on_accept_fn on_accept,
                                               void *ctx)
{
    struct stream_listener *listener = mem_zalloc(sizeof *listener);
    listener->loop = loop;
    listener->on_accept = on_accept;
    listener->ctx = ctx;
    listener->tcp = tcp;
    if (tcp)
        CHECK(uv_tcp_init(loop_uv(loop), &listener->handle.tcp) == 0);
    else
        CHECK(uv_pipe_init(loop_uv(loop), &listener->handle.pipe, 0) == 0);
    listener->handle.any.data = listener;
    return listener;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct stream_listener *listener = handle->data;
    free(listener->address);
    free(listener);
}

void stream_listener_close(struct stream_listener *listener)
{
    if (!listener) return;
    if (listener->bound) unlink(listener->address);
    uv_close(&listener->handle.any, on_listener_closed);
}

const char *stream_listener_address(const struct stream_listener *listener)
{
    return listener->address;
}

unsigned stream_listener_port(const struct stream_listener *listener)
{
    return listener->port;
}

/* ---- tcp ---- */

static enum status host_resolve(const char *host, unsigned port, struct sockaddr_storage *address,
                                struct err *err)
{
    if (port > UINT16_MAX)
        return err_set(err, STATUS_INVALID_ARGUMENT, "listen on %s:%u: the port is above 65535", host, port);
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc) return err_set(err, STATUS_INVALID_ARGUMENT, "listen on %s: %s", host, gai_strerror(rc));
    memcpy(address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return STATUS_OK;
}

/* Small answers go out at once; accepted sockets inherit this, which saves a call for each. */
static void nodelay_set(uv_tcp_t *tcp)
{
    uv_os_fd_t fd;
    int on = 1;
    if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void tcp_name(struct stream_listener *listener)
{
    struct sockaddr_storage bound;
    int size = sizeof bound;
    char text[STREAM_ADDRESS_BYTES];
    CHECK(uv_tcp_getsockname(&listener->handle.tcp, (struct sockaddr *)&bound, &size) == 0);
    address_print((struct sockaddr *)&bound, text);
    listener->address = mem_strdup(text);
    listener->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                       : ((struct sockaddr_in *)&bound)->sin_port);
}

enum status stream_listen_tcp(struct loop *loop, const char *host, unsigned port,
                              stream_on_accept_fn on_accept, void *ctx, struct stream_listener **out,
                              struct err *err)
{
    struct sockaddr_storage address;
    TRY(host_resolve(host, port, &address, err));
    struct stream_listener *listener = listener_create(loop, true, on_accept, ctx);
    int rc = uv_tcp_bind(&listener->handle.tcp, (struct sockaddr *)&address, 0);
    if (rc == 0)
    {
        nodelay_set(&listener->handle.tcp);
        rc = uv_listen(&listener->handle.stream, LISTEN_BACKLOG, on_connection);
    }
    if (rc)
    {
        char text[STREAM_ADDRESS_BYTES];
        address_print((struct sockaddr *)&address, text);
        stream_listener_close(listener);
        return uv_failure(err, rc, "listen on %s", text);
    }
    tcp_name(listener);
    *out = listener;
    return STATUS_OK;
}

/* ---- unix ---- */

/* Removes the file of a listener that is gone. */
static enum status dead_remove(const char *path, const struct sockaddr_un *address, struct err *err)
{
    struct stat found;
    if (lstat(path, &found) != 0) return STATUS_OK;
    if (!S_ISSOCK(found.st_mode))
        return err_set(err, STATUS_ADDRESS_IN_USE, "listen on %s: a file of this name exists", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_errno(err, STATUS_NO_RESOURCES, errno, "listen on %s", path);
    /* Only a refusal proves that nobody listens; a full backlog says EAGAIN. */
    bool dead = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!dead) return err_set(err, STATUS_ADDRESS_IN_USE, "listen on %s: address already in use", path);
    unlink(path);
    return STATUS_OK;
}

static enum status unix_bind(const char *path, unsigned mode, int *out, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, STATUS_INVALID_ARGUMENT,
                       "listen on %s: the path of a unix socket is at most %zu bytes", path,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    TRY(dead_remove(path, &address, err));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_errno(err, STATUS_NO_RESOURCES, errno, "listen on %s", path);
    /* The mode of the descriptor becomes that of the file, less the umask: never open wider than asked, not even for
     * a moment. The chmod gives back what the umask took. */
    if (fchmod(fd, mode) != 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, mode) != 0)
    {
        int error = errno;
        close(fd);
        enum status status = error == EADDRINUSE                 ? STATUS_ADDRESS_IN_USE
                             : error == EACCES || error == EPERM ? STATUS_PERMISSION_DENIED
                                                                 : STATUS_IO;
        return err_errno(err, status, error, "listen on %s", path);
    }
    *out = fd;
    return STATUS_OK;
}

enum status stream_listen_unix(struct loop *loop, const char *path, unsigned mode,
                               stream_on_accept_fn on_accept, void *ctx, struct stream_listener **out,
                               struct err *err)
{
    int fd = -1;
    TRY(unix_bind(path, mode, &fd, err));
    struct stream_listener *listener = listener_create(loop, false, on_accept, ctx);
    listener->address = mem_strdup(path);
    listener->bound = true;
    int rc = uv_pipe_open(&listener->handle.pipe, fd);
    if (rc) close(fd);
    if (rc == 0) rc = uv_listen(&listener->handle.stream, LISTEN_BACKLOG, on_connection);
    if (rc)
    {
        stream_listener_close(listener);
        return uv_failure(err, rc, "listen on %s", path);
    }
    *out = listener;
    return STATUS_OK;
}
