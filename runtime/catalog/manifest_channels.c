/* manifest_channels.c - what channels an app has, and which of its functions their messages start. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/manifest_channels.h"

#include <stdio.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/map.h"

enum {
    KEEP_HOURS_DEFAULT = 168,
    KEEP_MB_DEFAULT = 1024,
    RETRIES_DEFAULT = 8,
    FIELD_TEXT_MAX = 64,
};

/* ---- schema ---- */

static const cyaml_strval_t kind_words[] = {{"live", CHANNEL_LIVE}, {"durable", CHANNEL_DURABLE}};
static const cyaml_strval_t http_words[] = {{"none", CHANNEL_HTTP_NONE},
                                            {"read", CHANNEL_HTTP_READ},
                                            {"append", CHANNEL_HTTP_APPEND},
                                            {"both", CHANNEL_HTTP_BOTH}};
static const cyaml_strval_t entity_words[] = {{"none", SUBSCRIPTION_ENTITY_NONE},
                                              {"key", SUBSCRIPTION_ENTITY_KEY}};
static const cyaml_strval_t from_words[] = {{"start", SUBSCRIPTION_FROM_START},
                                            {"end", SUBSCRIPTION_FROM_END}};

static const cyaml_schema_field_t channel_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct manifest_channel, name, 1, CYAML_UNLIMITED),
    CYAML_FIELD_ENUM("kind", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct manifest_channel, kind,
                     kind_words, 2),
    CYAML_FIELD_BOOL("from_outside", CYAML_FLAG_OPTIONAL, struct manifest_channel, from_outside),
    CYAML_FIELD_ENUM("http", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct manifest_channel, http,
                     http_words, 4),
    CYAML_FIELD_UINT_PTR("keep_hours", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest_channel,
                         keep_hours_said),
    CYAML_FIELD_UINT_PTR("keep_mb", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest_channel,
                         keep_mb_said),
    CYAML_FIELD_END,
};

const cyaml_schema_value_t manifest_channel_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct manifest_channel, channel_fields),
};

static const cyaml_schema_field_t subscription_fields[] = {
    CYAML_FIELD_STRING_PTR("channel", CYAML_FLAG_POINTER, struct manifest_subscription, channel, 1,
                           CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("function", CYAML_FLAG_POINTER, struct manifest_subscription, function, 1,
                           CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("keys", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest_subscription,
                           keys, 0, BOUND_MESSAGE_KEY_BYTES_MAX),
    CYAML_FIELD_UINT("batch", CYAML_FLAG_OPTIONAL, struct manifest_subscription, batch),
    CYAML_FIELD_ENUM("entity", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct manifest_subscription, entity,
                     entity_words, 2),
    CYAML_FIELD_STRING_PTR("group", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest_subscription,
                           group, 1, CYAML_UNLIMITED),
    CYAML_FIELD_ENUM("from", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct manifest_subscription, from,
                     from_words, 2),
    CYAML_FIELD_UINT_PTR("retries", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct manifest_subscription,
                         retries_said),
    CYAML_FIELD_END,
};

const cyaml_schema_value_t manifest_subscription_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct manifest_subscription, subscription_fields),
};

/* ---- checks ---- */

static enum status check_channel(const struct yaml_doc *doc, struct manifest_channel *channel, size_t index,
                                 struct map *names, struct err *err)
{
    char field[FIELD_TEXT_MAX];
    snprintf(field, sizeof field, "channels[%zu].name", index);
    if (!manifest_channel_name_valid(slice_cstr(channel->name)))
        return yaml_doc_complain(doc, err, field,
                                 "`%.80s` is not a name: 1 to %d of a-z, 0-9, - and _, a letter first",
                                 channel->name, BOUND_NAME_BYTES_MAX);
    if (map_put(names, slice_cstr(channel->name), channel))
        return yaml_doc_complain(doc, err, field, "another channel is named `%s`", channel->name);
    if (channel->kind == CHANNEL_LIVE && (channel->keep_hours_said || channel->keep_mb_said))
    {
        const char *said = channel->keep_hours_said ? "keep_hours" : "keep_mb";
        snprintf(field, sizeof field, "channels[%zu].%s", index, said);
        return yaml_doc_complain(doc, err, field,
                                 "a live channel keeps nothing; say `kind: durable` to keep messages");
    }
    /* Neither is silently without effect: whoever writes it counts on it. */
    if (channel->kind == CHANNEL_LIVE && (channel->http & CHANNEL_HTTP_APPEND))
    {
        snprintf(field, sizeof field, "channels[%zu].http", index);
        return yaml_doc_complain(doc, err, field,
                                 "a live channel may only be read over HTTP: say `read`, or `kind: durable`");
    }
    if (channel->kind == CHANNEL_DURABLE && channel->from_outside)
    {
        snprintf(field, sizeof field, "channels[%zu].from_outside", index);
        return yaml_doc_complain(
            doc, err, field,
            "a durable channel is not on the bus; say `http: append` to let programs append "
            "over HTTP");
    }
    channel->keep_hours = channel->keep_hours_said ? *channel->keep_hours_said : KEEP_HOURS_DEFAULT;
    channel->keep_mb = channel->keep_mb_said ? *channel->keep_mb_said : KEEP_MB_DEFAULT;
    return STATUS_OK;
}

/* What only durable channels know must not be said of live ones, or its writer would count on it. */
static enum status check_live(const struct yaml_doc *doc, const struct manifest_subscription *subscription,
                              size_t index, struct err *err)
{
    const char *said = subscription->group          ? "group"
                       : subscription->from         ? "from"
                       : subscription->retries_said ? "retries"
                                                    : NULL;
    if (!said) return STATUS_OK;
    char field[FIELD_TEXT_MAX];
    snprintf(field, sizeof field, "subscriptions[%zu].%s", index, said);
    return yaml_doc_complain(doc, err, field, "channel `%s` is live: it has no cursors and delivers once",
                             subscription->channel);
}

static enum status check_durable(const struct yaml_doc *doc, const struct manifest_subscription *subscription,
                                 size_t index, struct err *err)
{
    char field[FIELD_TEXT_MAX];
    snprintf(field, sizeof field, "subscriptions[%zu].group", index);
    if (subscription->group && !manifest_channel_name_valid(slice_cstr(subscription->group)))
        return yaml_doc_complain(doc, err, field,
                                 "`%.80s` is not a name: 1 to %d of a-z, 0-9, - and _, a letter first",
                                 subscription->group, BOUND_NAME_BYTES_MAX);
    snprintf(field, sizeof field, "subscriptions[%zu].entity", index);
    if (subscription->entity == SUBSCRIPTION_ENTITY_NONE)
        return yaml_doc_complain(doc, err, field,
                                 "messages of durable channels are addressed to the entity of their key");
    return STATUS_OK;
}

/* A durable channel has one cursor for each group; a live one delivers nothing twice to one function. */
static enum status check_unique(const struct yaml_doc *doc, const struct manifest_subscription *subscription,
                                bool durable, size_t index, struct map *seen, struct err *err)
{
    char field[FIELD_TEXT_MAX];
    struct buf key = BUF_INIT;
    struct slice group = manifest_subscription_group(subscription);
    buf_printf(&key, "%s %.*s ", subscription->channel, SLICE_FMT(group));
    if (!durable && subscription->keys) buf_append_cstr(&key, subscription->keys);
    bool again = map_put(seen, buf_view(&key), (void *)subscription) != NULL;
    buf_fini(&key);
    if (!again) return STATUS_OK;
    snprintf(field, sizeof field, "subscriptions[%zu]", index);
    if (durable)
        return yaml_doc_complain(doc, err, field,
                                 "another subscription of channel `%s` is of group `%.*s` too",
                                 subscription->channel, SLICE_FMT(group));
    return yaml_doc_complain(doc, err, field, "function `%s` has these messages of channel `%s` already",
                             subscription->function, subscription->channel);
}

static enum status check_subscription(const struct yaml_doc *doc, const struct manifest *manifest,
                                      struct manifest_subscription *subscription, size_t index,
                                      const struct map *channels, struct map *seen, struct err *err)
{
    char field[FIELD_TEXT_MAX];
    const struct manifest_channel *channel = map_get(channels, slice_cstr(subscription->channel));
    snprintf(field, sizeof field, "subscriptions[%zu].channel", index);
    if (!channel)
        return yaml_doc_complain(doc, err, field, "there is no channel named `%.80s` in this manifest",
                                 subscription->channel);
    snprintf(field, sizeof field, "subscriptions[%zu].function", index);
    if (!manifest_function_find(manifest, slice_cstr(subscription->function)))
        return yaml_doc_complain(doc, err, field, "there is no function named `%.80s` in this manifest",
                                 subscription->function);
    bool durable = channel->kind == CHANNEL_DURABLE;
    TRY(durable ? check_durable(doc, subscription, index, err) : check_live(doc, subscription, index, err));
    TRY(check_unique(doc, subscription, durable, index, seen, err));
    if (!subscription->batch) subscription->batch = 1;
    if (!subscription->entity)
        subscription->entity = durable ? SUBSCRIPTION_ENTITY_KEY : SUBSCRIPTION_ENTITY_NONE;
    if (!subscription->from) subscription->from = SUBSCRIPTION_FROM_START;
    subscription->retries = subscription->retries_said ? *subscription->retries_said : RETRIES_DEFAULT;
    return STATUS_OK;
}

enum status manifest_channels_check(const struct yaml_doc *doc, struct manifest *manifest, struct err *err)
{
    struct map channels = MAP_INIT, seen = MAP_INIT;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < manifest->channel_count && status == STATUS_OK; i++)
        status = check_channel(doc, &manifest->channels[i], i, &channels, err);
    for (size_t i = 0; i < manifest->subscription_count && status == STATUS_OK; i++)
        status = check_subscription(doc, manifest, &manifest->subscriptions[i], i, &channels, &seen, err);
    map_fini(&channels);
    map_fini(&seen);
    return status;
}

const struct manifest_channel *manifest_channel_find(const struct manifest *manifest, struct slice name)
{
    for (size_t i = 0; i < manifest->channel_count; i++)
        if (slice_is(name, manifest->channels[i].name)) return &manifest->channels[i];
    return NULL;
}

const char *manifest_channel_http_word(enum channel_access http)
{
    return http_words[http].str;
}

struct slice manifest_subscription_group(const struct manifest_subscription *subscription)
{
    return slice_cstr(subscription->group ? subscription->group : subscription->function);
}
