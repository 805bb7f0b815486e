/* asks.h - what a handler asks for before its end; seen by the files of this folder only. */
// SPDX-License-Identifier: Apache-2.0
//
// Loop thread. The half of it that ports use (invocation_answer and what it may look at) is in invoke.h.
#pragma once

struct invocation;
struct pool_run;
struct wire_ask;

/* pool_run.ask of an invocation. */
void asks_on_ask(struct pool_run *run, const struct wire_ask *ask);
/* Its run is over: whatever it asked for is not wanted any more. */
void asks_over(struct invocation *invocation);
