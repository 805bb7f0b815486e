/* sockets.c - a function of WebSocket connections, for the tests. */
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <stead/stead.h>

/* Rows: "opened", "closed" count; "last_code" is of the last end. Messages are commands. */
STEAD_FUNCTION(talk)
{
    const char *event = stead_socket_event(ctx);
    if (strcmp(event, "open") == 0)
    {
        const char *who = stead_query(ctx, "who");
        if (who && strcmp(who, "nobody") == 0) return stead_reject(ctx, 403, "not you");
        stead_add(ctx, "opened", 1);
        return stead_reply(ctx, "hello %s of %s", who ? who : "you", stead_entity(ctx));
    }
    if (strcmp(event, "close") == 0)
    {
        stead_add(ctx, "closed", 1);
        return stead_put_text(ctx, "last_code", stead_header(ctx, "stead-close-code"));
    }
    const char *said = stead_body_text(ctx);
    if (strcmp(stead_header(ctx, "stead-message"), "binary") == 0)
    {
        struct stead_bytes body = stead_body(ctx);
        return stead_push(ctx, stead_connection(ctx), body.data, body.size);
    }
    if (strcmp(said, "id") == 0) return stead_reply(ctx, "%s", stead_connection(ctx));
    if (strcmp(said, "fail") == 0)
    {
        stead_push_text(ctx, stead_connection(ctx), "never");
        return stead_fail(ctx, "as asked");
    }
    if (strcmp(said, "crash") == 0) abort();
    if (strncmp(said, "all ", 4) == 0) return stead_push_entity_text(ctx, NULL, said + 4);
    stead_add(ctx, "said", 1);
    return stead_reply(ctx, "%s", said);
}

/* From outside of any connection. */
STEAD_FUNCTION(push)
{
    return stead_push_text(ctx, stead_query(ctx, "to"), "pushed");
}

STEAD_FUNCTION(flood)
{
    static char large[1 << 20];
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 16; i++) stead_push_entity_text(ctx, NULL, large);
    return STEAD_OK;
}

STEAD_FUNCTION(get)
{
    const char *value = stead_get_text(ctx, stead_query(ctx, "name"));
    return stead_reply(ctx, "%s", value ? value : "");
}
