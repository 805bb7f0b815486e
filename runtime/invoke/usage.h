/* usage.h - what an invocation adds to the meters of its function; seen by the files of this folder only. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "messaging/wire/wire.h"
#include "runtime/base/slice.h"

struct invocation;

/* What the run itself used: it stays counted also when the run has to be repeated. */
void usage_run(struct invocation *invocation, const struct wire_result *result);
/* Functions that its worker ran inside of the run: their time is theirs in the counts, and the caller's, which waited, too. */
void usage_called(struct invocation *invocation, struct slice called);
/* What the outcome adds: calls of the run that counts and its effects, when they are kept; what it published at once has
 * left in each of its runs. */
void usage_outcome(struct invocation *invocation, struct slice writes, struct slice effects);
/* Its commit failed: takes back what usage_outcome() added. */
void usage_repeat(struct invocation *invocation);
