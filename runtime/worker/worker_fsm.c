/* worker_fsm.c - the table of worker_states.def as code. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker/worker_fsm.h"

#include <stddef.h>

const char *worker_state_name(enum worker_state state)
{
    static const char *const names[] = {
#define STATE(name, what) [WORKER_##name] = #name,
#define EDGE(from, to)
#include "runtime/worker/worker_states.def"
#undef STATE
#undef EDGE
    };
    return names[state];
}

bool worker_edge_legal(enum worker_state from, enum worker_state to)
{
    static const struct {
        enum worker_state from, to;
    } edges[] = {
#define STATE(name, what)
#define EDGE(from, to) {WORKER_##from, WORKER_##to},
#include "runtime/worker/worker_states.def"
#undef STATE
#undef EDGE
    };
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        if (edges[i].from == from && edges[i].to == to) return true;
    return false;
}
