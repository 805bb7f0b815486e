/* testkit.h - run a function's handler in a unit test: no node, rows in memory, real SDK. */
// SPDX-License-Identifier: Apache-2.0
//
//     #include <stead/testkit.h>
//
//     STEAD_HANDLER(transfer);
//
//     struct stead_testkit *kit = stead_testkit_create();
//     stead_testkit_put(kit, "alice", "balance", "100");
//     struct stead_testkit_request request = {.query = "from=alice&to=bob&amount=30"};
//     struct stead_testkit_reply reply = stead_testkit_invoke(kit, stead_fn_transfer, &request);
//     assert(reply.status == STEAD_OK && reply.http_status == 200);
//     assert(strcmp(stead_testkit_dump(kit), "alice balance=70\nbob balance=30\n") == 0);
//     stead_testkit_destroy(kit);
//
// Compile the function's sources into the test and link with stead-testkit (pkg-config stead-testkit, or
// the CMake target stead::testkit). The handler runs in the test's own process, so that a debugger and
// sanitizers see it; one that crashes takes the test with it. Texts that the kit returns are valid until
// the next call of stead_testkit_invoke.
#ifndef STEAD_TESTKIT_H
#define STEAD_TESTKIT_H

#include <stead/stead.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Declares the handler of STEAD_FUNCTION(name), which is called stead_fn_<name>. */
#define STEAD_HANDLER(name) STEAD_EXTERN_C enum stead_status stead_fn_##name(struct stead_ctx *ctx)

struct stead_testkit;

/* Without rows. Never NULL. */
STEAD_API struct stead_testkit *stead_testkit_create(void);
STEAD_API void stead_testkit_destroy(struct stead_testkit *kit);

/* All zero or NULL: a POST without a body to no entity. */
struct stead_testkit_request {
    const char *entity;
    const char *method; /* "POST" when NULL */
    const char *path;
    const char *query;
    const char *const *headers; /* name, value, name, value, ..., NULL */
    const char *body;
    size_t body_size; /* 0: the body is a zero-terminated text */
    uint32_t timeout_ms; /* 0: 10 s; nothing stops a handler here, stead_time_left_ms counts it down */
    /* "open", "message" (the body, as text) or "close": an event of a WebSocket connection; NULL: of none. */
    const char *socket_event;
    const char *connection; /* its id */
};

struct stead_testkit_reply {
    enum stead_status status; /* STEAD_OK: its writes were kept; else what ended it */
    int http_status; /* what a caller of the node would get */
    const char *failure; /* why; "" when status is STEAD_OK */
    const char *body; /* zero-terminated; "" after a failure */
    size_t body_size;
    uint32_t attempts; /* times that the handler ran */
};

/* Runs the handler as the node does: its writes are kept when it succeeds. `request` may be NULL. */
STEAD_API struct stead_testkit_reply stead_testkit_invoke(struct stead_testkit *kit,
                                                          enum stead_status (*handler)(struct stead_ctx *ctx),
                                                          const struct stead_testkit_request *request);
/* A header of the last reply, the name in lower case; NULL when there is none. */
STEAD_API const char *stead_testkit_header(struct stead_testkit *kit, const char *name);
/* What was logged since the kit was created: "info: text\n" for each line. */
STEAD_API const char *stead_testkit_log(struct stead_testkit *kit);

/* What has left with the invocations that succeeded, and what was published at once, since the kit was created: "publish
 * prices eu/paris=12.5\n", "publish_now ...", "append ...", "send function entity=payload\n" or "push ..." for each. */
STEAD_API const char *stead_testkit_left(struct stead_testkit *kit);

/* Other functions of the app. A call of one that is named here runs its handler at once, as an invocation of its own: what it
 * writes is kept whatever becomes of the caller. Calls of others fail with `function_not_found`. A caller that runs
 * again because of stead_testkit_interfere() calls again, too; on a node it would get the remembered replies. */
STEAD_API void stead_testkit_function(struct stead_testkit *kit, const char *name,
                                      enum stead_status (*handler)(struct stead_ctx *ctx));
/* Runs what was sent to such functions by invocations that succeeded, in order, and what these send, whatever its time; returns
 * how many ran. A failed one is logged and not tried again. */
STEAD_API size_t stead_testkit_run_sends(struct stead_testkit *kit);

/* A message of a channel; all but the channel may be NULL or 0. */
struct stead_testkit_message {
    const char *channel;
    const char *key;
    const char *content_type;
    const char *body;
    size_t body_size; /* 0: the body is a zero-terminated text */
};
/* Arrives while the next invocation runs: who has subscribed to its channel and key receives it. Subscribing to any channel
 * succeeds here; when nothing is left to receive, stead_receive() times out at once. */
STEAD_API void stead_testkit_publish(struct stead_testkit *kit, const struct stead_testkit_message *message);
/* Runs the handler as started by these messages, at most 1000. `entity` may be NULL. */
STEAD_API struct stead_testkit_reply
stead_testkit_deliver(struct stead_testkit *kit, enum stead_status (*handler)(struct stead_ctx *ctx),
                      const char *entity, const struct stead_testkit_message *messages, size_t count);

/* A row as text, NULL when there is none; sets one, or deletes it when `value` is NULL. */
STEAD_API const char *stead_testkit_get(struct stead_testkit *kit, const char *entity, const char *name);
STEAD_API void stead_testkit_put(struct stead_testkit *kit, const char *entity, const char *name,
                                 const char *value);
/* All rows in order, "entity name=value\n" for each; app-wide rows begin with the blank. */
STEAD_API const char *stead_testkit_dump(struct stead_testkit *kit);

/* Another invocation gets in between: while the next one runs, the row is set to `value` (NULL:
 * deleted). When the handler had read it, that run is thrown away and the handler runs again, with
 * stead_attempt() one higher, as it would on a node. May be called several times: each change meets one
 * run. */
STEAD_API void stead_testkit_interfere(struct stead_testkit *kit, const char *entity, const char *name,
                                       const char *value);

#ifdef __cplusplus
}
#endif

#endif
