/* calls.h - a function calls a function: the wish of a running handler becomes an invocation, its outcome the answer. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. What is called is an invocation like any other, with an Idempotency-Key that follows from its caller's
// identity and from how many calls this has made before: a caller that runs again joins or gets the outcomes of its first run.
//
// A caller whose run saw writes of earlier ones of its chain calls only when these have been committed: what never was
// must not reach another function.
//
// Deadlock. A call of a busy entity waits for its turn. When the one that has the turn waits, by any number of calls, for the
// caller, the call is refused with the chain. All that wait are known here, so this is decided before anything waits.
#pragma once

#include "messaging/wire/wire.h"

struct invocation;
struct lane;

/* A wish of kind CALL. */
void calls_ask(struct invocation *caller, const struct wire_ask *ask);
/* Something of the lane was committed or has failed: calls that were held back may go. */
void calls_pump(struct lane *lane);
/* The caller's run is over: outcomes that are still to come go nowhere. */
void calls_abandon(struct invocation *caller);
