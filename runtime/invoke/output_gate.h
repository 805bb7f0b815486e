/* output_gate.h - nothing leaves before it is durable: holds an outcome until what it saw and did is safe, then tells it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

struct invocation;
struct store_commit;
struct wire_result;

/* Copies a result, which lives only during a callback, into the invocation. */
void output_gate_keep(struct invocation *invocation, const struct wire_result *result);
/* Tells the outcome as soon as `seq` is durable: for those that committed nothing themselves. */
void output_gate_wait(struct invocation *invocation, uint64_t seq);
/* Last callback of the invocation's commit. */
void output_gate_on_durable(struct store_commit *commit);
/* Tells the outcome to the caller and to those that joined, once; then the invocation is gone, unless its commit is
 * still under way (relaxed), in which case it goes with the commit's last callback. */
void output_gate_tell(struct invocation *invocation);
