/* apply.c - puts and deletes, one by one. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/apply.h"

#include "statestore/kv/write_set.h"

enum status apply_entries(struct kv *kv, struct slice entries, struct err *err)
{
    struct write_entry entry;
    size_t offset = 0;
    while (write_set_next(entries, &offset, &entry))
    {
        if (entry.op == WRITE_PUT)
            TRY(kv->ops->put(kv, entry.key, entry.value, err));
        else
            TRY(kv->ops->remove(kv, entry.key, err));
    }
    return STATUS_OK;
}
