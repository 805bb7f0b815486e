/* streams.h - pieces of a reply that leave before the commit: when the first one may go, and what follows from it. */
// SPDX-License-Identifier: Apache-2.0
//
// What has left cannot be taken back. So the first piece waits until everything that the run has seen is durable: the
// invocations before it in its chain are committed, its snapshot is on the disk. And from the first piece on the invocation is
// not run again: a conflict is its end, and its stream is broken off.
#pragma once

#include "messaging/wire/wire.h"

struct invocation;
struct lane;

/* A run wants to stream. */
void streams_ask(struct invocation *invocation, const struct wire_ask *ask);
/* An invocation has left this lane, or the lane is broken: a first piece that is held may go. */
void streams_pump(struct lane *lane);
/* The run is over. */
void streams_over(struct invocation *invocation);
