/* worker_fsm.h - the states of a worker and the legal steps between them, from worker_states.def. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

enum worker_state {
#define STATE(name, what) WORKER_##name,
#define EDGE(from, to)
#include "runtime/worker/worker_states.def"
#undef STATE
#undef EDGE
    WORKER_STATE_COUNT
};

const char *worker_state_name(enum worker_state state);
bool worker_edge_legal(enum worker_state from, enum worker_state to);
