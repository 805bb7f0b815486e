/* effects.c - are the effects of a run well formed, and its own to have? */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/effects.h"

#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

/* One row key: does it belong to this partition? */
static enum status row_is_ours(const struct effects_place *place, struct slice key, struct err *err)
{
    struct slice entity, name;
    if (!keyspace_row_split(key, &entity, &name)) return STATUS_OK; /* the end of a range */
    uint32_t theirs = keyspace_partition(entity, place->count);
    if (theirs == place->index) return STATUS_OK;
    return err_set(err, STATUS_FOREIGN_PARTITION,
                   "entity '%.*s' belongs to partition %u, the invocation runs in partition %u",
                   SLICE_FMT(entity), theirs, place->index);
}

static enum status rows_are_ours(const struct effects_place *place, const struct wire_result *result,
                                 struct err *err)
{
    if (place->count == 1) return STATUS_OK;
    struct write_entry write;
    for (size_t offset = 0; write_set_next(result->writes, &offset, &write);)
        TRY(row_is_ours(place, write.key, err));
    struct read_entry read;
    for (size_t offset = 0; read_set_next(result->reads, &offset, &read);)
    {
        struct slice low, high, name;
        bool one =
            read.kind == READ_KEY || (keyspace_row_split(read.low, &low, &name) &&
                                      keyspace_row_split(read.high, &high, &name) && slice_equal(low, high));
        /* A scan over entities sees those of its own partition: that is what it asked for. */
        if (one) TRY(row_is_ours(place, read.low, err));
    }
    return STATUS_OK;
}

enum status effects_check(const struct effects_place *place, const struct wire_result *result,
                          struct err *err)
{
    TRY(write_set_check(result->writes, SPACE_ROWS, err));
    TRY(read_set_check(result->reads, SPACE_ROWS, err));
    return rows_are_ours(place, result, err);
}
