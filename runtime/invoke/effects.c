/* effects.c - are the effects of a run well formed, and its own to have? */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/effects.h"

#include "runtime/base/bounds.h"
#include "runtime/invoke/invoke.h"
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

static enum status send_check(const struct effects_place *place, const struct wire_effect *send,
                              struct err *err)
{
    if (!invoke_version_function(place->version, send->name))
        return err_set(err, STATUS_FUNCTION_NOT_FOUND,
                       "stead_send: version %s of app '%s' has no function '%.*s'",
                       place->version->id ? place->version->id : "",
                       place->version->app ? place->version->app : "", SLICE_FMT(send->name));
    if (send->key.size > BOUND_ENTITY_BYTES_MAX ||
        (send->key.size && memchr(send->key.data, 0, send->key.size)))
        return err_set(err, STATUS_ENTITY_INVALID, "stead_send: %s", status_text(STATUS_ENTITY_INVALID));
    if (send->body.size > BOUND_HTTP_BODY_BYTES_MAX)
        return err_set(err, STATUS_BODY_TOO_LARGE, "stead_send: %s", status_text(STATUS_BODY_TOO_LARGE));
    return STATUS_OK;
}

static enum status message_check(const struct effects_place *place, const struct wire_effect *message,
                                 struct err *err)
{
    if (message->kind != WIRE_EFFECT_PUSH)
        TRY(invoke_version_channel(place->version, message->name, message->kind == WIRE_EFFECT_APPEND, err));
    if (message->key.size && memchr(message->key.data, 0, message->key.size))
        return err_set(err, STATUS_INVALID_ARGUMENT, "a message for '%.*s' has a key with a zero byte",
                       SLICE_FMT(message->name));
    if (message->body.size > BOUND_MESSAGE_BYTES_MAX)
        return err_set(err, STATUS_MESSAGE_TOO_LARGE,
                       "a message for '%.*s' has %zu bytes; at most %llu are allowed",
                       SLICE_FMT(message->name), message->body.size, BOUND_MESSAGE_BYTES_MAX);
    if (message->key.size > BOUND_MESSAGE_KEY_BYTES_MAX || message->type.size > BOUND_CONTENT_TYPE_BYTES_MAX)
        return err_set(
            err, STATUS_MESSAGE_TOO_LARGE,
            "a message for '%.*s' has a key of %zu and a content type of %zu bytes; at most %d and %d are "
            "allowed",
            SLICE_FMT(message->name), message->key.size, message->type.size, BOUND_MESSAGE_KEY_BYTES_MAX,
            BOUND_CONTENT_TYPE_BYTES_MAX);
    return STATUS_OK;
}

static enum status messages_check(const struct effects_place *place, struct slice effects, struct err *err)
{
    if (effects.size > BOUND_EFFECTS_BYTES_MAX + BOUND_HTTP_BODY_BYTES_MAX)
        return err_set(err, STATUS_EFFECTS_TOO_LARGE, "%zu bytes of sends and messages", effects.size);
    struct wire_effect effect;
    bool found;
    size_t offset = 0, count = 0;
    for (;;)
    {
        TRY(wire_effect_next(effects, &offset, &effect, &found, err));
        if (!found) return STATUS_OK;
        if (++count > BOUND_EFFECTS_COUNT_MAX)
            return err_set(err, STATUS_EFFECTS_TOO_LARGE, "more than %d sends and messages",
                           BOUND_EFFECTS_COUNT_MAX);
        if (effect.kind == WIRE_EFFECT_CALLED)
            return err_set(err, STATUS_FUNCTION_PROTOCOL, "effects: a meter is no effect");
        TRY(effect.kind == WIRE_EFFECT_SEND ? send_check(place, &effect, err)
                                            : message_check(place, &effect, err));
    }
}

/* A message with a key belongs where the entity of that name does: there its consumers run. One without belongs to
 * partition 0, for its consumers are addressed to no entity, and the app's own rows are there. */
static enum status appends_are_ours(const struct effects_place *place, struct slice effects, struct err *err)
{
    struct wire_effect effect;
    bool found = place->count > 1;
    for (size_t offset = 0; found;)
    {
        TRY(wire_effect_next(effects, &offset, &effect, &found, err));
        if (!found || effect.kind != WIRE_EFFECT_APPEND) continue;
        uint32_t theirs = keyspace_partition(effect.key, place->count);
        if (theirs == place->index) continue;
        if (effect.key.size == 0)
            return err_set(
                err, STATUS_FOREIGN_PARTITION,
                "stead_append: a message without a key belongs to partition 0, the invocation runs in "
                "partition %u; give it a key of this partition, or stead_send to a function that appends",
                place->index);
        return err_set(
            err, STATUS_FOREIGN_PARTITION,
            "stead_append: key '%.*s' belongs to partition %u, the invocation runs in partition %u",
            SLICE_FMT(effect.key), theirs, place->index);
    }
    return STATUS_OK;
}

enum status effects_check(const struct effects_place *place, const struct wire_result *result,
                          struct err *err)
{
    TRY(write_set_check(result->writes, SPACE_ROWS, err));
    TRY(read_set_check(result->reads, SPACE_ROWS, err));
    TRY(messages_check(place, result->effects, err));
    TRY(appends_are_ours(place, result->effects, err));
    return rows_are_ours(place, result, err);
}
