/* stream.c - the calls of stream.h, passed on to the kind of stream that it is. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/loop/stream_port.h"

#include "runtime/base/check.h"

void stream_attach(struct stream *stream, const struct stream_handler *handler, void *ctx)
{
    stream->handler = handler;
    stream->ctx = ctx;
}

void stream_read_start(struct stream *stream)
{
    CHECK(stream->handler && !stream->closing);
    stream->ops->read_start(stream);
}

void stream_read_stop(struct stream *stream)
{
    CHECK(!stream->closing);
    stream->ops->read_stop(stream);
}

bool stream_write(struct stream *stream, const struct slice *parts, size_t count)
{
    CHECK(stream->handler && !stream->closing && count <= STREAM_PARTS_MAX);
    return stream->ops->write(stream, parts, count);
}

size_t stream_unsent(const struct stream *stream)
{
    return stream->ops->unsent(stream);
}

void stream_finish(struct stream *stream)
{
    CHECK(!stream->closing);
    stream->ops->finish(stream);
}

void stream_close(struct stream *stream)
{
    CHECK(!stream->closing);
    stream->closing = true;
    stream->ops->close(stream);
}

void stream_peer(const struct stream *stream, char text[STREAM_ADDRESS_BYTES])
{
    stream->ops->peer(stream, text);
}
