/* node.h - the whole node: everything that one daemon holds, put together and taken apart in the right order. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/err.h"
#include "runtime/node/config.h"

struct loop;
struct node;

/* Opens the stores, loads the apps, listens. The words of a failure begin with what was being opened. */
MUST_CHECK enum status node_open(struct node **node, struct loop *loop, const struct config *config,
                                 struct err *err);
/* Takes no more requests, lets the running invocations finish (at most drain_timeout_ms), closes everything, then stops
 * the loop. Calling it again cuts the waiting short. */
void node_drain(struct node *node);
/* After the loop has stopped. */
void node_destroy(struct node *node);
