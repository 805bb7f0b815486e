/* push.c - WebSocket connections: which one this is about, and what is sent to them. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/bounds.h"
#include "sdk/src/ctx.h"

const char *stead_connection(struct stead_ctx *ctx)
{
    const char *id = ctx->invoke->origin == WIRE_ORIGIN_SOCKET ? stead_header(ctx, "stead-connection") : NULL;
    return id ? id : "";
}

const char *stead_socket_event(struct stead_ctx *ctx)
{
    const char *event = ctx->invoke->origin == WIRE_ORIGIN_SOCKET ? stead_header(ctx, "stead-event") : NULL;
    return event ? event : "";
}

enum { PUSH_TEXT = 0, PUSH_BINARY = 1 };

static enum stead_status push(struct stead_ctx *ctx, const char *call, const char *connection,
                              const char *entity, uint64_t kind, struct slice body)
{
    size_t size = connection ? strlen(connection) : 0;
    if (!entity && (size == 0 || size > BOUND_NAME_BYTES_MAX))
        return stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT, "this is no connection");
    if (body.size > BOUND_MESSAGE_BYTES_MAX)
        return stead__fail_text(ctx, call, STATUS_MESSAGE_TOO_LARGE,
                                "a message has %zu bytes; at most %llu are allowed", body.size,
                                BOUND_MESSAGE_BYTES_MAX);
    enum stead_status status = stead__entity_check(ctx, call, entity);
    if (status != STEAD_OK) return status;
    return stead__effect(ctx, call,
                         &(struct wire_effect){
                             .kind = WIRE_EFFECT_PUSH,
                             .name = entity ? SLICE_EMPTY : slice_cstr(connection),
                             .key = slice_cstr(entity ? entity : ""),
                             .number = kind,
                             .body = body,
                         });
}

enum stead_status stead_push(struct stead_ctx *ctx, const char *connection, const void *data, size_t size)
{
    return push(ctx, "stead_push", connection, NULL, PUSH_BINARY, slice_make(data, size));
}

enum stead_status stead_push_text(struct stead_ctx *ctx, const char *connection, const char *text)
{
    return push(ctx, "stead_push_text", connection, NULL, PUSH_TEXT, slice_cstr(text));
}

enum stead_status stead_push_entity(struct stead_ctx *ctx, const char *entity, const void *data, size_t size)
{
    return push(ctx, "stead_push_entity", NULL, entity ? entity : stead_entity(ctx), PUSH_BINARY,
                slice_make(data, size));
}

enum stead_status stead_push_entity_text(struct stead_ctx *ctx, const char *entity, const char *text)
{
    return push(ctx, "stead_push_entity_text", NULL, entity ? entity : stead_entity(ctx), PUSH_TEXT,
                slice_cstr(text));
}
