/* store_words.h - what the node's log says of a store: what recovery has done, and that it takes no writes any more. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

struct store;

/* `name` is the one of `stead doctor`: "apps/bank/p0". Nothing is said of a store that was closed as it should. */
void store_words_opened(const struct store *store, const char *name);
/* Says once why the store takes no writes, and what to do. Call it after each store_reap(); `*said` begins as false. */
void store_words_health(const struct store *store, const char *name, bool *said);
