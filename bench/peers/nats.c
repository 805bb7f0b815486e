/* nats.c - a NATS server, by its C client. */
// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/peer.h"

#include <string.h>

#include <nats/nats.h>

static natsConnection *connection;
static natsSubscription *subscription;
static natsInbox *inbox;

static void must(natsStatus status, const char *what)
{
    if (status != NATS_OK) peer_die(what, natsStatus_GetText(status));
}

void peer_open(const char *address, enum peer_role role, bool prompt)
{
    natsOptions *options = NULL;
    must(natsOptions_Create(&options), "options");
    must(natsOptions_SetURL(options, address), "address");
    must(natsOptions_SetSendAsap(options, prompt), "send at once");
    must(natsConnection_Connect(&connection, options), "connect");
    if (role == PEER_SUBSCRIBES)
        must(natsConnection_SubscribeSync(&subscription, connection, "bench"), "subscribe");
    if (role == PEER_ANSWERS)
        must(natsConnection_SubscribeSync(&subscription, connection, "asked"), "subscribe");
    if (role == PEER_ASKS)
    {
        must(natsInbox_Create(&inbox), "inbox");
        must(natsConnection_SubscribeSync(&subscription, connection, inbox), "subscribe");
    }
    must(natsConnection_Flush(connection), "flush");
}

void peer_publish(const void *message)
{
    must(natsConnection_Publish(connection, "bench", message, PEER_MESSAGE_BYTES), "publish");
}

void peer_flush(void)
{
    (void)natsConnection_FlushTimeout(connection, 10000);
}

bool peer_receive(void *message)
{
    natsMsg *got = NULL;
    natsStatus status = natsSubscription_NextMsg(&got, subscription, 100);
    if (status == NATS_TIMEOUT || status == NATS_SLOW_CONSUMER) return false;
    must(status, "receive");
    memcpy(message, natsMsg_GetData(got), PEER_MESSAGE_BYTES);
    natsMsg_Destroy(got);
    return true;
}

void peer_ask(const void *message, size_t count)
{
    natsMsg *reply = NULL;
    if (count == 1)
    {
        /* As long as nobody listens the server says so at once. */
        natsStatus status = NATS_NO_RESPONDERS;
        while (status == NATS_NO_RESPONDERS)
            status = natsConnection_Request(&reply, connection, "asked", message, PEER_MESSAGE_BYTES, 10000);
        must(status, "request");
        natsMsg_Destroy(reply);
        return;
    }
    for (size_t i = 0; i < count; i++)
        must(natsConnection_PublishRequest(connection, "asked", inbox, message, PEER_MESSAGE_BYTES),
             "request");
    for (size_t i = 0; i < count; i++)
    {
        must(natsSubscription_NextMsg(&reply, subscription, 10000), "reply");
        natsMsg_Destroy(reply);
    }
}

_Noreturn void peer_answer(void)
{
    for (;;)
    {
        natsMsg *asked = NULL;
        natsStatus status = natsSubscription_NextMsg(&asked, subscription, 10000);
        if (status == NATS_TIMEOUT) continue;
        must(status, "receive");
        must(natsConnection_Publish(connection, natsMsg_GetReply(asked), natsMsg_GetData(asked),
                                    natsMsg_GetDataLength(asked)),
             "reply");
        natsMsg_Destroy(asked);
    }
}
