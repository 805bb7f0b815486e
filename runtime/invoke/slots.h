/* slots.h - `concurrency` and `cpu_percent` of a function: who of its invocations may be in the hands of the workers. */
// SPDX-License-Identifier: Apache-2.0
//
// A function has a limit (running_max) only when its workers could run more of it at the same time; without one nothing
// here is counted. A run holds a slot from its submission to the pool until it is done. The runs of a chain go to one
// worker, which does one at a time: those of the same function hold one slot together, so that a hot entity is sent ahead as
// ever. Who finds no slot waits; the first to wait is the first to go.
//
// While a function with a cpu_percent has used more than its part, none of its invocations gets a slot; whoever finds it so
// puts the function among the paying ones of the engine, which looks again (invoke.c).
//
// A waiting invocation either has no entity or is at the head of its lane. Runs that hold slots wait for nobody, so that
// slots always come back.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct invocation;
struct invoke;
struct invoke_function;

/* True when it may be submitted now. Else it waits, and is given by slots_next() later. */
bool slots_may_run(struct invocation *invocation);
/* It is submitted. */
void slots_take(struct invocation *invocation);
/* Its run is done. The function whose waiting ones may go now; NULL when no slot became free. */
struct invoke_function *slots_drop(struct invocation *invocation);
/* The next that waits, when there is a slot: slots_may_run() will be true for it until slots_take(), or slots_give_up() when
 * it cannot go after all. NULL: none. */
struct invocation *slots_next(struct invoke_function *function, uint64_t now_ns);
/* Invocations of it wait until its time is paid: the engine looks again. */
void slots_pay(struct invoke *engine, struct invoke_function *function);
bool slots_waits(const struct invocation *invocation);
/* It does not want a slot any more. */
void slots_give_up(struct invocation *invocation);
