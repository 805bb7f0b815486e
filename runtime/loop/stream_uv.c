/* stream_uv.c - sockets as streams, on libuv: connections and adopted descriptors. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop/stream_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/loop/loop_uv.h"
#include "runtime/loop/stream_port.h"

struct socket_stream {
    struct stream stream;
    struct loop *loop;
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } handle;
    uv_write_t write; /* of the rest that did not go out at once */
    uv_shutdown_t shutdown;
    bool writing;
};

static struct socket_stream *socket_of(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct socket_stream, stream);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
    (void)suggested; /* the owner knows better */
    struct stream *stream = handle->data;
    void *data = NULL;
    size_t size = 0;
    stream->handler->on_room(stream->ctx, &data, &size);
    CHECK(size > 0);
    *room = uv_buf_init(data, size > UINT32_MAX ? UINT32_MAX : (unsigned)size);
}

static void on_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *room)
{
    (void)room; /* the owner knows where it is */
    struct stream *stream = handle->data;
    if (count == 0) return; /* libuv's way of saying EAGAIN */
    if (count > 0)
    {
        stream->handler->on_bytes(stream->ctx, (size_t)count);
        return;
    }
    uv_read_stop(handle);
    stream->handler->on_end(stream->ctx, count == UV_EOF ? STATUS_OK : STATUS_IO);
}

static void socket_read_start(struct stream *stream)
{
    int rc = uv_read_start(&socket_of(stream)->handle.stream, on_alloc, on_read);
    CHECK(rc == 0 || rc == UV_EALREADY);
}

static void socket_read_stop(struct stream *stream)
{
    uv_read_stop(&socket_of(stream)->handle.stream);
}

/* ---- writing ---- */

static void on_write(uv_write_t *write, int rc)
{
    struct socket_stream *socket = CONTAINER_OF(write, struct socket_stream, write);
    struct stream *stream = &socket->stream;
    socket->writing = false;
    if (!stream->closing) stream->handler->on_written(stream->ctx, rc == 0 ? STATUS_OK : STATUS_IO);
}

static bool socket_write(struct stream *stream, const struct slice *parts, size_t count)
{
    struct socket_stream *socket = socket_of(stream);
    CHECK(!socket->writing);
    uv_buf_t bufs[STREAM_PARTS_MAX];
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
    {
        bufs[i] = uv_buf_init((char *)parts[i].data, (unsigned)parts[i].size);
        total += parts[i].size;
    }
    int rc = uv_try_write(&socket->handle.stream, bufs, (unsigned)count);
    size_t written = rc > 0 ? (size_t)rc : 0;
    if (written == total) return true;

    size_t first = 0;
    for (; written >= bufs[first].len; first++) written -= bufs[first].len;
    bufs[first].base += written;
    bufs[first].len -= written;
    socket->writing = true;
    /* A broken connection is told later, in on_write. */
    rc = uv_write(&socket->write, &socket->handle.stream, bufs + first, (unsigned)(count - first), on_write);
    CHECK(rc == 0);
    return false;
}

static size_t socket_unsent(const struct stream *stream)
{
    return uv_stream_get_write_queue_size(&socket_of(stream)->handle.stream);
}

static void on_shutdown(uv_shutdown_t *shutdown, int rc)
{
    (void)shutdown;
    (void)rc; /* the other side went first: nothing is left to be said to it */
}

static void socket_finish(struct stream *stream)
{
    struct socket_stream *socket = socket_of(stream);
    /* Fails when the connection is gone already, which the owner learns by reading. */
    (void)uv_shutdown(&socket->shutdown, &socket->handle.stream, on_shutdown);
}

/* ---- the end ---- */

static void on_close(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    struct socket_stream *socket = socket_of(stream);
    /* libuv runs this at the end of a turn: what the owner enqueues now must not wait for an event. */
    loop_turn_again(socket->loop);
    if (stream->handler) stream->handler->on_closed(stream->ctx);
    free(socket);
}

static void socket_close(struct stream *stream)
{
    uv_close(&socket_of(stream)->handle.any, on_close);
}

void address_print(const struct sockaddr *address, char text[STREAM_ADDRESS_BYTES])
{
    char host[64] = "?";
    if (address->sa_family == AF_INET6)
    {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        uv_ip6_name(v6, host, sizeof host);
        snprintf(text, STREAM_ADDRESS_BYTES, "[%s]:%u", host, ntohs(v6->sin6_port));
        return;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    uv_ip4_name(v4, host, sizeof host);
    snprintf(text, STREAM_ADDRESS_BYTES, "%s:%u", host, ntohs(v4->sin_port));
}

static void socket_peer(const struct stream *stream, char text[STREAM_ADDRESS_BYTES])
{
    struct sockaddr_storage address;
    int size = sizeof address;
    const struct socket_stream *socket = socket_of(stream);
    if (socket->handle.any.type == UV_TCP &&
        uv_tcp_getpeername(&socket->handle.tcp, (struct sockaddr *)&address, &size) == 0)
        address_print((struct sockaddr *)&address, text);
    else
        snprintf(text, STREAM_ADDRESS_BYTES, "%s", socket->handle.any.type == UV_TCP ? "gone" : "unix");
}

static const struct stream_ops socket_ops = {
    .read_start = socket_read_start,
    .read_stop = socket_read_stop,
    .write = socket_write,
    .unsent = socket_unsent,
    .finish = socket_finish,
    .close = socket_close,
    .peer = socket_peer,
};

struct stream *socket_create(struct loop *loop, bool tcp, uv_stream_t **handle)
{
    struct socket_stream *socket = mem_zalloc(sizeof *socket);
    socket->stream.ops = &socket_ops;
    socket->loop = loop;
    if (tcp)
        CHECK(uv_tcp_init(loop_uv(loop), &socket->handle.tcp) == 0);
    else
        CHECK(uv_pipe_init(loop_uv(loop), &socket->handle.pipe, 0) == 0);
    socket->handle.any.data = &socket->stream;
    *handle = &socket->handle.stream;
    return &socket->stream;
}

enum status stream_adopt(struct loop *loop, int fd, struct stream **out, struct err *err)
{
    int family;
    socklen_t size = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0)
    {
        close(fd);
        return err_set(err, STATUS_INVALID_ARGUMENT, "descriptor %d is not a socket", fd);
    }
    uv_stream_t *handle;
    struct stream *stream = socket_create(loop, family != AF_UNIX, &handle);
    int rc = family == AF_UNIX ? uv_pipe_open((uv_pipe_t *)handle, fd) : uv_tcp_open((uv_tcp_t *)handle, fd);
    if (rc)
    {
        close(fd);
        stream_close(stream);
        return uv_failure(err, rc, "adopt descriptor %d", fd);
    }
    *out = stream;
    return STATUS_OK;
}
