/* stream_port.h - what a kind of stream implements: sockets (stream_uv.c), memory with faults (stream_mem.c). */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/loop/stream.h"

/* Each as the function of the same name in stream.h says. */
struct stream_ops {
    void (*read_start)(struct stream *stream);
    void (*read_stop)(struct stream *stream);
    bool (*write)(struct stream *stream, const struct slice *parts, size_t count);
    size_t (*unsent)(const struct stream *stream);
    void (*finish)(struct stream *stream);
    void (*close)(struct stream *stream);
    void (*peer)(const struct stream *stream, char text[STREAM_ADDRESS_BYTES]);
};

/* First member of every kind. */
struct stream {
    const struct stream_ops *ops;
    const struct stream_handler *handler;
    void *ctx;
    bool closing; /* stream_close() was called: only on_closed may still come */
};
