/* inside.h - calls that need no other process: a function that only reads runs inside of its caller's run. */
// SPDX-License-Identifier: Apache-2.0
//
// The fastest way to another process is not to go there. Functions of one app share their code and their trust, so a worker
// can run the handler that its own handler calls, on the same snapshot: an invocation of its own, which stands where that
// snapshot stands, and sees nothing of what its caller has not committed. That is right as long as it only reads, and as long as
// nothing can have told the caller of anything later: after the first answer from the node nothing runs inside any more. Once the
// callee writes, sends or asks for anything, its run is dropped unseen (handlers may run again, that is their contract), the call
// is made through the node, and this function is not tried here again.
//
// A crash inside is a crash of the caller, which shares the process; last words name the function.
#pragma once

#include "sdk/src/ctx.h"

/* True when it ran here: *result is its result, until the next run inside of `ctx`. */
bool stead__inside_run(struct stead_ctx *ctx, const struct stead_call *call,
                       const struct wire_result **result);
/* True when all of these are known to be so short that one after another here is faster than all at once elsewhere. */
bool stead__inside_worth(struct stead_ctx *ctx, const struct stead_call *calls, size_t count);

/* For calls that only a run of its own may make: true when `ctx` is inside of another run, which then is repeated elsewhere. */
bool stead__inside_leave(struct stead_ctx *ctx);

/* For ctx.c: what ran inside of the run that ends, and the end of runs and of the context. */
struct slice stead__inside_called(struct stead_ctx *ctx);
void stead__inside_reset(struct stead_ctx *ctx);
void stead__inside_fini(struct stead_ctx *ctx);
