/* ctx.h - one invocation inside of the SDK: what stands behind `struct stead_ctx`. */
// SPDX-License-Identifier: Apache-2.0
//
// One struct stead_ctx serves a worker for its whole life:
//
//     stead__ctx_init(&ctx, snapshot)
//     stead__ctx_run(&ctx, &invoke, handler, &result)     one invocation; the result borrows from ctx
//     stead__ctx_reset(&ctx)                              after the result was encoded
//     stead__ctx_fini(&ctx)
//
// After the first invocations a run allocates nothing: arena, tables and buffers are kept.
#pragma once

#include "messaging/wire/wire.h"
#include "runtime/base/clock.h"
#include "sdk/include/stead/stead.h"
#include "sdk/src/arena.h"
#include "sdk/src/view.h"
#include "sdk/src/worker_loop.h"

enum { STEAD__ID_CHARS = 26, STEAD__ID_CHANCE_BYTES = 10 };

/* What a handler gets the first time it asks; NULL until then. Texts of the arena. */
struct stead__texts {
    const char *entity;
    const char *body;
    const char *method;
    const char *path;
    const char *query;
    const char *ident;
    const char *function;
    const char *connect_error;
};

struct stead__reply {
    struct buf body;
    struct wire_headers headers; /* texts of the arena */
    size_t header_bytes;
    uint32_t http_status;
    bool has_content_type;
};

/* What it knows of channels. */
struct stead__channels {
    struct stead__known
        *known; /* channels that the node has; as long as the worker lives, which runs one version */
    struct stead_subscription *subscriptions; /* of the run */
    const char *type; /* of messages from here on */
    /* Those that have started the run; read when they are asked for. */
    struct stead_message *messages;
    size_t message_count;
    bool opened;
};

enum stead__stream {
    STEAD__STREAM_NONE, /* no piece yet */
    STEAD__STREAM_ON, /* status, headers and a piece have left */
    STEAD__STREAM_GATHERED, /* who gets the reply takes it whole: pieces are gathered */
};

struct stead__failure {
    enum stead_status status; /* STEAD_OK: none */
    enum status cause; /* what it is to the node; STATUS_FUNCTION_ERROR when the handler gave up */
    uint32_t http_status; /* of stead_reject, else 200 */
    char text[ERR_TEXT_MAX];
};

/* See inside.h. */
struct stead__inside {
    struct stead_ctx *inner; /* for runs inside of this one; NULL before the first */
    struct stead__inner *self; /* when this is such a one itself; else NULL */
    struct stead__habit *habits; /* of the outermost: what is known of the functions that it called */
    size_t habits_count;
    struct buf called; /* frames of kind CALLED */
    uint32_t runs; /* inside of the present run of the outermost */
    const char *running; /* the function that runs inside now, for last words; NULL: none */
};

struct stead_ctx {
    /* Set by the owner after init. */
    struct clock *clock;
    void (*log)(void *owner, uint64_t invocation, enum stead_log_level level, struct slice text);
    /* Sends a wish; `id` and `ask` are the owner's to fill in. Its bytes may change afterwards. Returns its number. */
    uint32_t (*ask)(void *owner, struct wire_ask *ask);
    /* Waits for the next answer; its slices live until the next call. NULL like `ask`: there is nobody to ask. */
    void (*answer)(void *owner, struct wire_answer *answer);
    /* The handler of a function that may run here and now, inside of this run, for so long; NULL when it has to be asked
     * for. */
    stead__handler_fn (*inside)(void *owner, struct slice function, uint32_t left_ms);
    void *owner;
    int broker_fd; /* 0: none */

    struct stead__arena arena;
    struct stead__view view;
    struct stead__reply reply;
    enum stead__stream stream;
    struct stead__failure failure;
    struct buf reads; /* encoded sets of the result */
    struct buf writes;
    struct buf effects; /* frames of type EFFECT */
    uint32_t effects_count;
    struct stead__inside inside_state;
    struct stead__channels channels;
    struct buf key; /* scratch of one call */
    struct buf scratch;

    /* Of the run. */
    const struct wire_invoke *invoke;
    struct stead__texts texts;
    uint64_t started_ns;
    uint64_t now_ms;
    uint8_t id_chance[STEAD__ID_CHANCE_BYTES]; /* of stead_new_id: random at first, then counted up */
    bool has_id_chance;
    uint32_t rows_read;
    uint64_t bytes_read;
};

void stead__ctx_init(struct stead_ctx *ctx, struct stead__snapshot *snapshot);
void stead__ctx_fini(struct stead_ctx *ctx);
/* Runs the handler (NULL: the function does not exist). The snapshot of the invocation is installed
 * before, by the caller. The result borrows from ctx and from `invoke`; its cpu_us and peak_kib are for
 * the caller to fill in. */
void stead__ctx_run(struct stead_ctx *ctx, const struct wire_invoke *invoke, stead__handler_fn handler,
                    struct wire_result *result);
void stead__ctx_reset(struct stead_ctx *ctx);

/* ---- for the files behind stead.h ---- */

/* Remembers a failure, unless there is one, as "call: words", and returns its stead_status. */
enum stead_status stead__fail(struct stead_ctx *ctx, const char *call, enum status cause,
                              const struct err *err);
enum stead_status stead__fail_text(struct stead_ctx *ctx, const char *call, enum status cause,
                                   const char *format, ...) STEAD_PRINTF(4, 5);
/* The row key of (entity, name) in ctx->key; entity NULL: that of the invocation. Names the call on
 * failure. */
enum stead_status stead__row_key(struct stead_ctx *ctx, const char *call, const char *entity,
                                 const char *name);
/* STEAD_OK when `entity` may name one; else the failure, which names the call. */
enum stead_status stead__entity_check(struct stead_ctx *ctx, const char *call, const char *entity);
/* Adds an effect within the limits. */
enum stead_status stead__effect(struct stead_ctx *ctx, const char *call, const struct wire_effect *effect);
/* As `entity` of the calls without _of. */
struct slice stead__own_entity(const struct stead_ctx *ctx);
void stead__reply_init(struct stead__reply *reply);
void stead__reply_reset(struct stead__reply *reply);
/* Adds what the handler left out. */
void stead__reply_finish(struct stead_ctx *ctx);
void stead__channels_begin(struct stead_ctx *ctx);
/* The run's subscriptions end. */
void stead__channels_reset(struct stead__channels *channels);
void stead__channels_fini(struct stead__channels *channels);
