/* stream.h - byte streams on the loop: listeners, accepted connections, adopted descriptors; in-memory ones for tests. */
// SPDX-License-Identifier: Apache-2.0
//
// All on the loop's thread. A stream tells its owner through one table of callbacks; none of them runs inside of a call
// of the owner into the stream. Happy path:
//
//     on_accept(ctx, stream)                 a new connection; the callee owns it
//     stream_attach(stream, &handler, self)
//     stream_read_start(stream)              on_room, on_bytes, on_room, on_bytes, ... on_end
//     stream_write(stream, parts, count)     true: all went out; false: on_written comes
//     stream_close(stream)                   on_closed, the last callback; the stream is gone
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/base/slice.h"

struct loop;
struct stream;

struct stream_handler {
    /* Where to put what arrives next: at least one byte, borrowed until on_bytes or on_end. */
    void (*on_room)(void *ctx, void **data, size_t *size);
    /* `count` > 0 bytes have been put there. */
    void (*on_bytes)(void *ctx, size_t count);
    /* No more bytes come. OK: the other side has finished sending (it may still read). IO: the connection is broken. */
    void (*on_end)(void *ctx, enum status status);
    /* The write that returned false is over; its bytes are free. OK, or IO: the connection is broken. */
    void (*on_written)(void *ctx, enum status status);
    /* Last callback after stream_close(): the bytes of a pending write are free too (without on_written). */
    void (*on_closed)(void *ctx);
};

/* Before anything else is done with the stream. `handler` is static. */
void stream_attach(struct stream *stream, const struct stream_handler *handler, void *ctx);
void stream_read_start(struct stream *stream);
/* Back-pressure: nothing is read until the next start. */
void stream_read_stop(struct stream *stream);
/* Writes at once what the system takes, with one call. True when that was everything: no callback comes. False: the
 * rest follows, the bytes (not the array) must stay until on_written; a broken connection is told there too.
 * At most one write may be under way; `count` is at most STREAM_PARTS_MAX. */
enum { STREAM_PARTS_MAX = 64 };
MUST_CHECK bool stream_write(struct stream *stream, const struct slice *parts, size_t count);
/* Bytes of the write under way that the system has not taken yet: whether the other side still reads. */
size_t stream_unsent(const struct stream *stream);
/* Nothing is written any more: the other side sees the end after what is under way. */
void stream_finish(struct stream *stream);
void stream_close(struct stream *stream);

enum { STREAM_ADDRESS_BYTES = 128 };
/* "127.0.0.1:4711", "[::1]:4711", or "unix". */
void stream_peer(const struct stream *stream, char text[STREAM_ADDRESS_BYTES]);

/* Takes a connected socket (tcp or unix, made non-blocking); it is closed with the stream, or at once on failure. */
MUST_CHECK enum status stream_adopt(struct loop *loop, int fd, struct stream **stream, struct err *err);

/* ---- listeners ---- */

struct stream_listener;
/* The callee owns the stream and attaches or closes it before it returns. */
typedef void (*stream_on_accept_fn)(void *ctx, struct stream *stream);

/* `host` is a numeric address or a name; `port` 0 lets the system choose. ADDRESS_IN_USE, INVALID_ARGUMENT,
 * PERMISSION_DENIED, IO; the words name the address. */
MUST_CHECK enum status stream_listen_tcp(struct loop *loop, const char *host, unsigned port,
                                         stream_on_accept_fn on_accept, void *ctx,
                                         struct stream_listener **listener, struct err *err);
/* A socket file of this mode. A dead one (nobody answers) is replaced; ADDRESS_IN_USE when somebody does. The file is
 * removed when the listener is closed. */
MUST_CHECK enum status stream_listen_unix(struct loop *loop, const char *path, unsigned mode,
                                          stream_on_accept_fn on_accept, void *ctx,
                                          struct stream_listener **listener, struct err *err);
/* "127.0.0.1:4711" with the port that was chosen, or the path. Borrowed until the close. */
const char *stream_listener_address(const struct stream_listener *listener);
/* The TCP port; 0 for a unix socket. */
unsigned stream_listener_port(const struct stream_listener *listener);
/* No callback after this. NULL is fine. */
void stream_listener_close(struct stream_listener *listener);
