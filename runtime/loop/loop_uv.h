/* loop_uv.h - what the libuv adapters share: the loop's own handles and the translation of libuv's errors. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "runtime/loop/loop.h"

/* libuv's loop, for the adapters in this folder. */
uv_loop_t *loop_uv(struct loop *loop);

/* For uv_walk() at the end of the loop: closes `handle` if it is a child that nobody holds any more. */
void child_forget(uv_handle_t *handle, void *ctx);

/* Writes "<what>: <libuv's words>" and returns the status that fits the error. */
enum status uv_failure(struct err *err, int uv_error, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
