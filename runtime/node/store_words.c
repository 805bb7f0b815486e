/* store_words.c - the two events and their words. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/store_words.h"

#include "runtime/base/log.h"
#include "runtime/base/status.h"
#include "statestore/statestore.h"

void store_words_opened(const struct store *store, const char *name)
{
    struct store_stats stats;
    store_stats(store, &stats);
    if (stats.replayed > 0)
        log_info("store.recovered", "store=%s replayed=%llu commits=%llu", name,
                 (unsigned long long)stats.replayed, (unsigned long long)store_durable_seq(store));
}

void store_words_health(const struct store *store, const char *name, bool *said)
{
    struct err err = ERR_INIT;
    if (*said) return;
    enum status status = store_health(store, &err);
    if (status == STATUS_OK) return;
    *said = true;
    log_error("store.failed", "store=%s code=%s %s hint=\"%s\"", name, status_code(status), err_text(&err),
              status_hint(status));
}
