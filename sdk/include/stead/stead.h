/* stead.h - the whole public C API: write functions whose state lives beside them. */
// SPDX-License-Identifier: Apache-2.0
//
// A function is one handler. It is handed an invocation (`ctx`), reads its input, reads and writes rows,
// replies:
//
//     #include <stead/stead.h>
//
//     STEAD_FUNCTION(transfer)
//     {
//         const char *from = stead_query(ctx, "from");
//         const char *to = stead_query(ctx, "to");
//         int64_t amount = stead_query_i64(ctx, "amount", 0);
//         if (!from || !to || amount <= 0) return stead_reject(ctx, 400, "say from, to and a positive amount");
//
//         int64_t left = stead_add_of(ctx, from, "balance", -amount);
//         if (left < 0) return stead_reject(ctx, 409, "%s has too little", from);
//         stead_add_of(ctx, to, "balance", amount);
//
//         return stead_reply(ctx, "%s has %lld left\n", from, (long long)left);
//     }
//
// Build it with `cc -shared -fPIC transfer.c -o bank.so`; nothing has to be linked.
//
// What holds for every handler:
//
// - It is one transaction. It sees one exact, unchanging version of the app's rows plus its own writes.
//   When it returns STEAD_OK everything that it wrote is kept, together; when it returns anything else,
//   crashes or runs out of time, nothing is. The caller gets the reply only after the writes are safe on
//   disk.
// - It may run again from the start when another invocation has changed what it had read (see
//   stead_attempt). Nothing of the first run is kept or seen, so this needs no care as long as the
//   handler acts through this API only.
// - Failures are remembered. A call that fails says so in its result, and an invocation in which any
//   call failed keeps nothing and answers its caller with that failure, whatever the handler returns. So
//   results need not be checked for safety, only for a decision. A missing row is no failure.
//   stead_failure_clear() is there for those who can go on.
// - One invocation runs at a time in its process. Use no threads, and call nothing here outside of a
//   handler. Globals survive from one invocation to the next by chance only: state belongs into rows.
//
// Memory. Every pointer that this API returns, values of rows and texts alike, stays valid and unchanged
// until the handler returns; not longer. Only `entity` and `name` of struct stead_row end earlier, at
// the next step of their scan. Values point straight into the store's memory (no copy): they are
// read-only, not aligned and have no zero at their end; the `_text` calls make zero-terminated copies.
// What is handed in is copied by the call and may change at once.
//
// C11 and C++11 and later. Texts are UTF-8 by convention; nothing checks it.
#ifndef STEAD_STEAD_H
#define STEAD_STEAD_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define STEAD_EXTERN_C extern "C"
extern "C" {
#else
#define STEAD_EXTERN_C extern
#endif

#define STEAD_API __attribute__((visibility("default")))
#define STEAD_PRINTF(text, arguments) __attribute__((format(printf, text, arguments)))

/* ---- a function ---- */

/* The contract between a compiled function and the node. A node refuses functions of another version. */
#define STEAD_ABI_VERSION 1

/* The running invocation: the first argument of every call. */
struct stead_ctx;

/* Defines the handler of the function `name` of the manifest:
 *
 *     STEAD_FUNCTION(hello)
 *     {
 *         return stead_reply(ctx, "hello\n");
 *     }
 */
#define STEAD_FUNCTION(name)                                                           \
    STEAD_EXTERN_C STEAD_API enum stead_status stead_fn_##name(struct stead_ctx *ctx); \
    STEAD_EXTERN_C STEAD_API enum stead_status stead_fn_##name(struct stead_ctx *ctx __attribute__((unused)))

/* How a call ended, and what a handler returns. */
enum stead_status {
    STEAD_OK = 0,
    STEAD_NOT_FOUND = 1, /* there is no such row; not a failure */
    STEAD_FAILED = 2, /* the handler gave up: stead_fail, stead_reject */
    STEAD_INVALID_ARGUMENT = 3, /* an entity with more than 400 bytes, a channel that is not declared, ... */
    STEAD_KEY_TOO_LONG = 4, /* entity and row name together exceed 500 bytes */
    STEAD_VALUE_TOO_LARGE = 5, /* a value exceeds 64 MiB */
    STEAD_WRITE_SET_TOO_LARGE = 6, /* all that the invocation writes exceeds 256 MiB */
    STEAD_READ_SET_TOO_LARGE = 7, /* it writes, and read more than 100,000 separate rows: scan instead */
    STEAD_NOT_A_NUMBER = 8, /* the row is not a number, or the sum leaves 64 bits */
    STEAD_REPLY_TOO_LARGE = 9, /* the body exceeds 16 MiB, or the headers 100 or 64 KiB */
    STEAD_STORE_FAILED = 10, /* the rows cannot be read; the node's log says why */
    STEAD_CALL_FAILED = 11, /* a function that this one called failed, or could not be called */
    STEAD_EFFECTS_TOO_LARGE = 12, /* a message exceeds 1 MiB, or all sends and messages 10,000 or 32 MiB */
    STEAD_TIMED_OUT = 13, /* nothing came in time; not a failure of the invocation */
    STEAD_NOT_ALLOWED = 14, /* the manifest does not list this host and port */
    STEAD_UNREACHABLE = 15, /* nobody answers there; not a failure */
    STEAD_CLIENT_GONE = 16, /* who was to get the streamed reply has gone */
};

/* Bytes that are not yours: valid until the handler returns. */
struct stead_bytes {
    const void *data;
    size_t size;
};

/* For printf: stead_reply(ctx, "%.*s", STEAD_FMT(value)). */
#define STEAD_FMT(bytes) ((int)(bytes).size), ((const char *)((bytes).size ? (bytes).data : ""))

/* ---- input ---- */

/* The entity that the invocation is addressed to, as in /{app}/{function}/{entity}; "" when to none. */
STEAD_API const char *stead_entity(struct stead_ctx *ctx);
/* What the caller sent; size 0 when nothing. The text version adds a zero. */
STEAD_API struct stead_bytes stead_body(struct stead_ctx *ctx);
STEAD_API const char *stead_body_text(struct stead_ctx *ctx);
/* A parameter of the query string, decoded (%20 and + are blanks); the first of its name; NULL when
 * there is none. */
STEAD_API const char *stead_query(struct stead_ctx *ctx, const char *name);
/* The same as a number; `fallback` when it is missing or not a whole decimal number of 64 bits. */
STEAD_API int64_t stead_query_i64(struct stead_ctx *ctx, const char *name, int64_t fallback);
/* A header of the request, the name in any case; the first of its name; NULL when there is none. */
STEAD_API const char *stead_header(struct stead_ctx *ctx, const char *name);
/* The header at `index` (0, 1, ...), name in lower case; false behind the last one. */
STEAD_API bool stead_header_at(struct stead_ctx *ctx, size_t index, const char **name, const char **value);
/* "GET", "POST", ...; "" when the invocation did not come by HTTP. */
STEAD_API const char *stead_method(struct stead_ctx *ctx);
/* The path as received, not decoded and without the query; the query as received, without its `?`. */
STEAD_API const char *stead_path(struct stead_ctx *ctx);
STEAD_API const char *stead_query_string(struct stead_ctx *ctx);

/* ---- the invocation itself ---- */

/* Its id, as in the reply's headers and in `stead logs`. The same in every attempt. */
STEAD_API const char *stead_invocation_id(struct stead_ctx *ctx);
STEAD_API const char *stead_function_name(struct stead_ctx *ctx);
/* 1 for the first run, 2 when it runs again because of a conflict, and so on. */
STEAD_API uint32_t stead_attempt(struct stead_ctx *ctx);
/* Milliseconds until the node stops this run; 0 when the deadline has passed. */
STEAD_API uint32_t stead_time_left_ms(struct stead_ctx *ctx);
/* Milliseconds since 1970 when this run began: the same value during the whole run. */
STEAD_API int64_t stead_now_ms(struct stead_ctx *ctx);
/* A new unique id of 26 letters and digits. Ids sort by the millisecond in which their run began, and in
 * the order in which one run makes them: good row names for things that are appended. */
STEAD_API const char *stead_new_id(struct stead_ctx *ctx);

/* ---- reply ---- */

/* Appends formatted text to the body. Returns STEAD_OK, so that a handler can end with `return
 * stead_reply(...)`. */
STEAD_API enum stead_status stead_reply(struct stead_ctx *ctx, const char *format, ...) STEAD_PRINTF(2, 3);
STEAD_API enum stead_status stead_vreply(struct stead_ctx *ctx, const char *format, va_list args)
    STEAD_PRINTF(2, 0);
/* Appends bytes as they are. */
STEAD_API enum stead_status stead_reply_bytes(struct stead_ctx *ctx, const void *data, size_t size);
/* Appends text made safe for HTML: & < > " and ' escaped. */
STEAD_API enum stead_status stead_reply_html(struct stead_ctx *ctx, const char *text);
/* Appends text as a JSON string with its quotes. */
STEAD_API enum stead_status stead_reply_json(struct stead_ctx *ctx, const char *text);
/* HTTP status, 200 to 599; 200 when never called. With STEAD_OK the writes are kept whatever the status
 * is. */
STEAD_API enum stead_status stead_reply_status(struct stead_ctx *ctx, int http_status);
/* Sets a header, replacing one of the same name. `set-cookie` is added to earlier ones. Content-Type is
 * `text/plain; charset=utf-8` unless set; length and connection headers are the node's own. */
STEAD_API enum stead_status stead_reply_header(struct stead_ctx *ctx, const char *name, const char *value);

/* Gives up: `return stead_fail(ctx, "no price for %s", item)`. Nothing that was written is kept; the
 * caller gets 500 `function_error` with these words (the first 512 bytes). Always returns STEAD_FAILED. */
STEAD_API enum stead_status stead_fail(struct stead_ctx *ctx, const char *format, ...) STEAD_PRINTF(2, 3);
/* The same for a caller's mistake: answered with `http_status`, 400 to 599, instead of 500. */
STEAD_API enum stead_status stead_reject(struct stead_ctx *ctx, int http_status, const char *format, ...)
    STEAD_PRINTF(3, 4);
/* The failure that would end this invocation: STEAD_OK when there is none. */
STEAD_API enum stead_status stead_failure(struct stead_ctx *ctx);
/* Forgets it. The call that failed had no effect; everything else stays as it is. */
STEAD_API void stead_failure_clear(struct stead_ctx *ctx);

/* ---- a reply in pieces ----
 *
 *     for (int i = 10; i > 0; i--)
 *         if (stead_stream_text(ctx, "%d\n", i) != STEAD_OK) break;
 *     return STEAD_OK;
 *
 * What is streamed leaves before the invocation commits, which is the exception from all else here: it cannot be taken back. So
 * the node waits with the first piece until all that the handler has seen so far is safe on disk, and from then on
 * does not run the handler again: when another invocation changes what it had read, or it fails, nothing that it wrote is kept and
 * the stream breaks off, which its reader sees (the body has no end). Stream first and write little, or nothing.
 *
 * The first piece takes status and headers along. What stead_reply gathers leaves with the next piece, or at the end, after the
 * commit. A call returns when there is room for more, so a slow reader slows only this handler, whose `timeout_ms` goes on.
 * For callers that take a reply whole (functions, requests with an Idempotency-Key) the pieces are gathered, up to the limit of a
 * reply. */

/* Sends what was gathered and these bytes. STEAD_CLIENT_GONE when nobody is there any more: a failure, like others. */
STEAD_API enum stead_status stead_stream(struct stead_ctx *ctx, const void *data, size_t size);
STEAD_API enum stead_status stead_stream_text(struct stead_ctx *ctx, const char *format, ...)
    STEAD_PRINTF(2, 3);
/* One server-sent event (EventSource in browsers). `event` and `id`: one line, or NULL for none; `data`: text of any
 * number of lines. The first one sets the content type, unless it is set. */
STEAD_API enum stead_status stead_event(struct stead_ctx *ctx, const char *event, const char *id,
                                        const char *data);

/* ---- state ----
 *
 * A row is a value under (entity, name). The calls without `_of` use the entity that the invocation is
 * addressed to; those with `_of` name another one. STEAD_APP names the rows of the app itself; an
 * invocation that is addressed to no entity has those as its own. Rows of any number of entities are
 * read and written in the same transaction.
 *
 * An entity has 1 to 400 bytes, entity and name together at most 500; a value has at most 64 MiB and may
 * be empty. */

#define STEAD_APP ""

/* STEAD_OK and the value, or STEAD_NOT_FOUND, which leaves *value empty. */
STEAD_API enum stead_status stead_get(struct stead_ctx *ctx, const char *name, struct stead_bytes *value);
STEAD_API enum stead_status stead_get_of(struct stead_ctx *ctx, const char *entity, const char *name,
                                         struct stead_bytes *value);
STEAD_API enum stead_status stead_put(struct stead_ctx *ctx, const char *name, const void *data, size_t size);
STEAD_API enum stead_status stead_put_of(struct stead_ctx *ctx, const char *entity, const char *name,
                                         const void *data, size_t size);
/* STEAD_OK whether the row was there or not. */
STEAD_API enum stead_status stead_delete(struct stead_ctx *ctx, const char *name);
STEAD_API enum stead_status stead_delete_of(struct stead_ctx *ctx, const char *entity, const char *name);
STEAD_API bool stead_exists(struct stead_ctx *ctx, const char *name);
STEAD_API bool stead_exists_of(struct stead_ctx *ctx, const char *entity, const char *name);

/* Texts: a zero-terminated copy of the value, NULL when there is no such row. */
STEAD_API const char *stead_get_text(struct stead_ctx *ctx, const char *name);
STEAD_API const char *stead_get_text_of(struct stead_ctx *ctx, const char *entity, const char *name);
STEAD_API enum stead_status stead_put_text(struct stead_ctx *ctx, const char *name, const char *text);
STEAD_API enum stead_status stead_put_text_of(struct stead_ctx *ctx, const char *entity, const char *name,
                                              const char *text);

/* Whole numbers, kept as decimal text so that people can read them with `stead state get`. `fallback` is
 * for a missing row; a row that is no number is a failure (STEAD_NOT_A_NUMBER), and the result is
 * `fallback` too. */
STEAD_API int64_t stead_get_i64(struct stead_ctx *ctx, const char *name, int64_t fallback);
STEAD_API int64_t stead_get_i64_of(struct stead_ctx *ctx, const char *entity, const char *name,
                                   int64_t fallback);
STEAD_API enum stead_status stead_put_i64(struct stead_ctx *ctx, const char *name, int64_t value);
STEAD_API enum stead_status stead_put_i64_of(struct stead_ctx *ctx, const char *entity, const char *name,
                                             int64_t value);
/* Counters: adds `delta`, which may be negative, to the number (0 when there is none) and returns the
 * new value. On a failure (STEAD_NOT_A_NUMBER when the sum leaves 64 bits) nothing changes and the
 * result is 0. */
STEAD_API int64_t stead_add(struct stead_ctx *ctx, const char *name, int64_t delta);
STEAD_API int64_t stead_add_of(struct stead_ctx *ctx, const char *entity, const char *name, int64_t delta);

/* ---- scans ----
 *
 *     struct stead_scan *scan = stead_scan(ctx, "entry/");
 *     struct stead_row row;
 *     while (stead_scan_next(scan, &row)) stead_reply(ctx, "%s: %.*s\n", row.name, STEAD_FMT(row.value));
 *
 * Rows come in byte order of entity, then name. A scan sees the invocation's own writes, also those made
 * during the scan when they are still ahead of it. It may be left at any time; it needs no end. What
 * counts as read is the range that was walked over, so a scan that stops early conflicts only with
 * changes there, and new rows inside it are noticed. */

struct stead_scan;

struct stead_row {
    const char *entity; /* zero-terminated; until the next step of the scan */
    const char *name; /* zero-terminated; until the next step of the scan */
    size_t name_size;
    struct stead_bytes value; /* until the handler returns */
};

/* The rows of one entity whose names begin with `prefix`; "" for all. Never NULL: a failed scan has no
 * rows. */
STEAD_API struct stead_scan *stead_scan(struct stead_ctx *ctx, const char *prefix);
STEAD_API struct stead_scan *stead_scan_of(struct stead_ctx *ctx, const char *entity, const char *prefix);
/* The rows of all entities whose keys begin with `entity_prefix`; "" for all rows of the app. */
STEAD_API struct stead_scan *stead_scan_entities(struct stead_ctx *ctx, const char *entity_prefix);

/* Before the first step only. At most `rows` rows; from the last row backwards; only rows behind (with
 * reverse: before) the row `name`, for going on where an earlier page ended. In stead_scan_entities
 * `name` is an entity. */
STEAD_API void stead_scan_limit(struct stead_scan *scan, size_t rows);
STEAD_API void stead_scan_reverse(struct stead_scan *scan);
STEAD_API void stead_scan_after(struct stead_scan *scan, const char *name);

/* The next row; false at the end or after a failure. */
STEAD_API bool stead_scan_next(struct stead_scan *scan, struct stead_row *row);

/* ---- other functions of the app ----
 *
 * A call waits for the reply; a send does not. Both name a function of the same app and the entity that the
 * invocation is addressed to, STEAD_APP for none. The payload arrives as stead_body(). What is called is an
 * invocation of its own: it commits by itself, before its reply is there, and does not see what its caller has not
 * committed yet.
 *
 * Exactly once. When a handler that calls runs again after a conflict, or is repeated with its Idempotency-Key, the
 * calls it makes in the same order get the same replies, and what they did is not done twice. A repeated call
 * with another payload fails. A send is a part of the sender's commit: it happens once if that commits, and never if
 * it does not; it survives crashes, and is tried again with growing delays when the receiver fails. */

/* What a call came to. */
struct stead_answer {
    enum stead_status status; /* STEAD_OK, or STEAD_CALL_FAILED */
    int http_status; /* of the reply, 200 when the function set none; of a failure what a HTTP caller would get */
    const char *content_type;
    struct stead_bytes body;
    const char *error; /* words of a failure; NULL */
};

/* Waits until the function has replied, at most as long as this invocation has time left. A failure of the function is a
 * failure of this invocation, too, unless stead_failure_clear() forgives it. `answer` may be NULL: then nothing of it is kept. A call of a busy
 * entity that waits for this very invocation is refused, with the chain of calls in the words. */
STEAD_API enum stead_status stead_call(struct stead_ctx *ctx, const char *function, const char *entity,
                                       const void *data, size_t size, struct stead_answer *answer);

struct stead_call {
    const char *function;
    const char *entity;
    const void *data;
    size_t size;
    struct stead_answer answer; /* filled in */
};
/* Makes all calls at once, at most 256, and waits for all replies. STEAD_CALL_FAILED when any failed: each
 * `answer.status` tells. */
STEAD_API enum stead_status stead_call_all(struct stead_ctx *ctx, struct stead_call *calls, size_t count);

/* Runs the function once, soon after this invocation has committed; with _at not before that time (milliseconds since
 * 1970, see stead_now_ms). The reply goes nowhere. */
STEAD_API enum stead_status stead_send(struct stead_ctx *ctx, const char *function, const char *entity,
                                       const void *data, size_t size);
STEAD_API enum stead_status stead_send_at(struct stead_ctx *ctx, int64_t at_ms, const char *function,
                                          const char *entity, const void *data, size_t size);

/* ---- WebSocket connections ----
 *
 * A route with `socket: true` takes WebSocket connections for its function and for the {entity} of its path. Each connection
 * belongs to that entity and needs no process while nothing is said. Its beginning, its messages and its end are invocations of
 * the function, one after another for each connection; what they reply goes back to it as a message (text, unless the content type
 * says otherwise). A failure is told to it as the JSON text of a HTTP error; a failure at the beginning closes it.
 *
 *     STEAD_FUNCTION(on_room)
 *     {
 *         if (strcmp(stead_socket_event(ctx), "message") != 0) return STEAD_OK;
 *         return stead_push_entity_text(ctx, NULL, stead_body_text(ctx));        // to all in the room
 *     }
 *
 * Pushes leave when the invocation has committed, never before, in the order in which they were made. They are not stored: what is pushed
 * to a connection that is gone is lost (and counted), which is no failure. Ids of connections die with the node, so rows that
 * hold them are hints. */

/* The connection that this invocation is about; "" when it is about none. */
STEAD_API const char *stead_connection(struct stead_ctx *ctx);
/* "open", "message" or "close"; "" when it does not come from a connection. The header `stead-message` tells "text" from
 * "binary", at the end `stead-close-code` has the code of RFC 6455 and the body its reason. */
STEAD_API const char *stead_socket_event(struct stead_ctx *ctx);
/* One message of at most 1 MiB to a connection of this app; text has to be UTF-8, else it goes as binary. */
STEAD_API enum stead_status stead_push(struct stead_ctx *ctx, const char *connection, const void *data,
                                       size_t size);
STEAD_API enum stead_status stead_push_text(struct stead_ctx *ctx, const char *connection, const char *text);
/* To all connections of an entity; NULL: of the one that this invocation is addressed to. */
STEAD_API enum stead_status stead_push_entity(struct stead_ctx *ctx, const char *entity, const void *data,
                                              size_t size);
STEAD_API enum stead_status stead_push_entity_text(struct stead_ctx *ctx, const char *entity,
                                                   const char *text);

/* ---- channels ----
 *
 * Named streams of messages, declared under `channels` in the manifest. A message has a key, "" for none, a content type
 * and a body of at most 1 MiB. Messages reach functions in two ways: those that the manifest lists under
 * `subscriptions` are started by them, and any function may subscribe itself and receive in a loop:
 *
 *     struct stead_subscription *prices = stead_subscribe(ctx, "prices", "eu/");
 *     struct stead_message message;
 *     while (stead_receive(prices, 1000, &message) == STEAD_OK)
 *         stead_log(ctx, STEAD_INFO, "%s: %.*s", message.key, STEAD_FMT(message.body));
 *
 * Live channels are fast and promise nothing: a message reaches those who are subscribed when it is published, at most
 * once. Who is too slow loses the oldest of its own messages, and is told how many; nobody waits for it. */

struct stead_message {
    const char *channel;
    uint64_t sequence; /* counts the messages of the channel, 1, 2, ...; of a durable channel its offset */
    int64_t time_ms; /* since 1970, when it was published */
    const char *key;
    const char *content_type;
    struct stead_bytes body;
    uint64_t missed; /* live: so many that were meant for this receiver were lost just before this one */
};

/* Leaves after this invocation has committed, once, and never if it does not. A channel that is not declared as live fails the
 * invocation. */
STEAD_API enum stead_status stead_publish(struct stead_ctx *ctx, const char *channel, const char *key,
                                          const void *data, size_t size);
/* Puts a message into a durable channel, in one commit with all else that this invocation does: it is there exactly once, or
 * not at all. Each consumer group gets the messages of a key one after another, in this order; NULL or "" for no key, and then in no
 * order. A key belongs where the entity of the same name does, no key where functions run that are addressed to no entity: of another
 * partition it fails the invocation, as does a channel that is not declared as durable. */
STEAD_API enum stead_status stead_append(struct stead_ctx *ctx, const char *channel, const char *key,
                                         const void *data, size_t size);
/* Leaves at once, whatever becomes of this invocation: others see it although nothing is committed, and a
 * run that is repeated publishes again. For streams whose speed matters more. */
STEAD_API enum stead_status stead_publish_now(struct stead_ctx *ctx, const char *channel, const char *key,
                                              const void *data, size_t size);
/* The content type of the messages that this invocation publishes or appends from here on; at most 127 bytes. At first
 * "text/plain; charset=utf-8". */
STEAD_API enum stead_status stead_message_type(struct stead_ctx *ctx, const char *content_type);

struct stead_subscription;

/* To a live channel, for messages whose keys begin with `keys` ("" for all), from now on until the handler returns. Never
 * NULL: on a failed one every receive fails. At most 64 in one invocation. */
STEAD_API struct stead_subscription *stead_subscribe(struct stead_ctx *ctx, const char *channel,
                                                     const char *keys);
/* The next message, waited for at most `wait_ms`, and never beyond the deadline of this invocation. STEAD_TIMED_OUT when none
 * came. Its memory is valid until the next receive of the same subscription, not longer: a loop that
 * receives for hours needs no more of it. What it should keep it copies. */
STEAD_API enum stead_status stead_receive(struct stead_subscription *subscription, uint32_t wait_ms,
                                          struct stead_message *message);

/* In a function that messages have started: how many, and the one at `index` (0, 1, ...); false behind the last one. Of a single
 * message stead_body() is the body too. Valid until the handler returns. */
STEAD_API size_t stead_message_count(struct stead_ctx *ctx);
STEAD_API bool stead_message_at(struct stead_ctx *ctx, size_t index, struct stead_message *message);

/* Where this invocation comes from: "http", "call", "send", "channel" or "socket". */
STEAD_API const char *stead_origin(struct stead_ctx *ctx);

/* ---- log ---- */

enum stead_log_level { STEAD_DEBUG = 0, STEAD_INFO = 1, STEAD_WARN = 2, STEAD_ERROR = 3 };

/* One line for `stead logs`, at most 4096 bytes, sent at once: what was logged before a crash is there. */
STEAD_API void stead_log(struct stead_ctx *ctx, enum stead_log_level level, const char *format, ...)
    STEAD_PRINTF(3, 4);

/* ---- network ----
 *
 * For apps with `sandbox: network`. A function makes no sockets itself: the node resolves the name and
 * connects, when the manifest lists the host and the port, and hands over a connected TCP socket, which
 * libraries take: SSL_set_fd, redisConnectFd, CURLOPT_OPENSOCKETFUNCTION.
 *
 * What goes over it is not part of the transaction: it happens at once, and again when the invocation
 * runs again. */

/* STEAD_OK and the socket, blocking, yours to close; it may be kept in a global for later invocations of
 * this process (at most 50 or so at a time). STEAD_UNREACHABLE, with *fd -1, when there is no connection
 * within `timeout_ms` (0: the time left, at most a minute): no failure, stead_connect_error() says why.
 * STEAD_NOT_ALLOWED is one. `host` is written as in the manifest, without brackets. */
STEAD_API enum stead_status stead_connect(struct stead_ctx *ctx, const char *host, uint16_t port,
                                          uint32_t timeout_ms, int *fd);
/* Why the last stead_connect of this invocation was unreachable; "" when it was not. */
STEAD_API const char *stead_connect_error(struct stead_ctx *ctx);

/* ---- memory ---- */

/* Memory of this invocation, zeroed and aligned for every type, given back by itself when the handler
 * returns. Never NULL: when there is no more the invocation ends with `function_out_of_memory`. */
STEAD_API void *stead_alloc(struct stead_ctx *ctx, size_t size);
/* A formatted text in such memory: stead_format(ctx, "entry/%s", stead_new_id(ctx)). */
STEAD_API char *stead_format(struct stead_ctx *ctx, const char *format, ...) STEAD_PRINTF(2, 3);

/* ---- for the node ---- */

/* Every compiled function carries the version that it was built against. */
#ifndef STEAD_RUNTIME
extern STEAD_API const uint32_t stead_abi_version __attribute__((weak));
const uint32_t stead_abi_version = STEAD_ABI_VERSION;
#endif

#ifdef __cplusplus
}
#endif

#endif
