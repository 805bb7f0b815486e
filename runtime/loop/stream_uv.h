/* stream_uv.h - what the listener needs of the sockets. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "runtime/loop/stream.h"

/* A stream with libuv's handle initialised, not yet open. */
struct stream *socket_create(struct loop *loop, bool tcp, uv_stream_t **handle);
/* "127.0.0.1:4711" or "[::1]:4711". */
void address_print(const struct sockaddr *address, char text[STREAM_ADDRESS_BYTES]);
