/* connect.c - connections to the outside, made by the broker of the app. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/broker.h"
#include "sdk/src/ctx.h"
#include "sdk/src/inside.h"

enum stead_status stead_connect(struct stead_ctx *ctx, const char *host, uint16_t port, uint32_t timeout_ms,
                                int *fd)
{
    *fd = -1;
    ctx->texts.connect_error = NULL;
    uint32_t left_ms = stead_time_left_ms(ctx);
    if (timeout_ms == 0 || timeout_ms > left_ms) timeout_ms = left_ms;
    if (stead__inside_leave(ctx))
        return stead__fail_text(ctx, "stead_connect", STATUS_UNSUPPORTED, "this run is repeated elsewhere");
    if (!ctx->broker_fd)
        return stead__fail_text(
            ctx, "stead_connect", STATUS_PERMISSION_DENIED,
            "the app has no network: say `sandbox: network` in stead.yaml, and list %.253s:%u", host, port);
    struct err err = ERR_INIT;
    enum status status = broker_connect(ctx->broker_fd, host, port, timeout_ms, fd, &err);
    if (status == STATUS_OK) return STEAD_OK;
    if (status != STATUS_UNAVAILABLE) return stead__fail(ctx, "stead_connect", status, &err);
    ctx->texts.connect_error = stead_format(ctx, "%s", err_text(&err));
    return STEAD_UNREACHABLE;
}

const char *stead_connect_error(struct stead_ctx *ctx)
{
    return ctx->texts.connect_error ? ctx->texts.connect_error : "";
}
