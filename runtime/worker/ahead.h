/* ahead.h - the worker of a deployment that is made before it is needed. Internal to the pool. */
// SPDX-License-Identifier: Apache-2.0
//
// When the last worker has gone, the next one is made at once and waits, whole: sandboxed, with its link, READY. It has
// never run anything for anybody, and until somebody needs it, it is no worker: it is not among the deployment's, not
// counted, and its end is nobody's failure. It goes with its zygote, or when the machine's memory gets short. Loop thread.
#pragma once

#include "runtime/base/err.h"

struct pool_deployment;
struct worker;

/* Makes it, when the deployment may have one. */
void ahead_make(struct pool_deployment *deployment);
/* It is an ordinary one from now on, READY or on its way there, and the caller's to count. NULL: there is none. */
struct worker *ahead_take(struct pool_deployment *deployment);
/* Kills it, if it is there; it leaves when it is dead. */
void ahead_drop(struct pool_deployment *deployment, const char *why);
/* It has died. True when it was the one ahead: it is to be freed then, and that is all. */
bool ahead_died(struct pool_deployment *deployment, struct worker *worker);
