/* admin_call.h - what the files of the admin API share: one call, its parts, and how it is answered. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <jansson.h>

#include "runtime/base/err.h"
#include "runtime/base/list.h"
#include "runtime/gateway/admin.h"
#include "runtime/gateway/gateway.h"

enum { ADMIN_SEGMENTS_MAX = 7 };

struct admin {
    struct admin_config config;
    char *listen; /* may be NULL */
    struct list followers; /* of logs */
    struct list watchers; /* of changes */
    struct admin_job *job; /* the long operation under way; NULL when there is none */
    unsigned removals; /* apps that are being removed: their stores go away */
    bool draining;
};

/* One request with its path taken apart: lives for the call of its handler only. */
struct admin_call {
    struct admin *admin;
    struct http_exchange *exchange;
    const struct http_request *request;
    struct slice segments[ADMIN_SEGMENTS_MAX]; /* behind /v1, decoded; the last one may hold slashes */
    size_t segment_count;
    struct slice app; /* of /apps/{app}; else empty */
    char *query_bytes; /* room for decoded values, request->query.size bytes */
};

typedef void (*admin_handler_fn)(struct admin_call *call);

/* Takes the object. */
void admin_reply_json(struct http_exchange *exchange, int http_status, json_t *object);
void admin_fail(struct http_exchange *exchange, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void admin_fail_err(struct http_exchange *exchange, enum status status, const struct err *err);
/* The value is valid until the next call; false when the query has no such name. */
bool admin_query(struct admin_call *call, const char *name, struct slice *value);
/* A number from the query, `fallback` when there is none; answers and returns false when it is none or exceeds `max`. */
bool admin_query_number(struct admin_call *call, const char *name, uint64_t fallback, uint64_t max,
                        uint64_t *number);
/* Text as JSON; NULL when it is not UTF-8 or has a zero byte. */
json_t *admin_text(struct slice text);

/* Sets {field: text}, or {field_base64: ...} for bytes that are no text. */
void admin_put_bytes(json_t *row, const char *field, struct slice bytes);
/* Appends the object, taken, as one line. */
void admin_append_line(struct buf *out, json_t *object);
extern const struct http_header admin_ndjson_header;
/* {"error": {...}} as http_fail() would say it. */
json_t *admin_error_json(enum status status, const struct err *err);

/* admin_apps.c */
void admin_apps_list(struct admin_call *call);
void admin_apps_show(struct admin_call *call);
void admin_apps_deploy(struct admin_call *call);
void admin_apps_rollback(struct admin_call *call);
void admin_apps_remove(struct admin_call *call);
/* admin_state.c */
void admin_state_get(struct admin_call *call);
void admin_state_put(struct admin_call *call);
void admin_state_delete(struct admin_call *call);
void admin_state_rows(struct admin_call *call);
/* admin_channels.c */
void admin_channels_list(struct admin_call *call);
void admin_channel(struct admin_call *call);
void admin_channel_replay(struct admin_call *call);
void admin_dead_list(struct admin_call *call);
void admin_dead_retry(struct admin_call *call);
void admin_dead_drop(struct admin_call *call);
/* admin_sends.c */
void admin_sends_list(struct admin_call *call);
void admin_sends_retry(struct admin_call *call);
void admin_sends_drop(struct admin_call *call);
/* admin_logs.c */
void admin_logs(struct admin_call *call);
void admin_logs_drain(struct admin *admin);
/* admin_changes.c */
void admin_changes(struct admin_call *call);
/* Ends the watchers of an app, or of all when it is empty. */
void admin_changes_end(struct admin *admin, struct slice app);
/* admin_backup.c */
void admin_backup(struct admin_call *call);
/* admin_transfer.c */
void admin_export(struct admin_call *call);
void admin_import(struct admin_call *call);
