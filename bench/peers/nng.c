/* nng.c - plain NNG between processes, without a server: one listens, the others dial. */
// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/peer.h"

#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

static nng_socket sock;
/* One of the requests that are in flight. */
static struct flight {
    nng_ctx ctx;
    nng_aio *aio;
} flights[PEER_AT_ONCE_MAX];

static void must(int result, const char *what)
{
    if (result != 0) peer_die(what, nng_strerror(result));
}

static void flights_open(void)
{
    for (int i = 0; i < PEER_AT_ONCE_MAX; i++)
    {
        must(nng_ctx_open(&flights[i].ctx, sock), "context");
        must(nng_aio_alloc(&flights[i].aio, NULL, NULL), "aio");
    }
}

void peer_open(const char *address, enum peer_role role, bool prompt)
{
    (void)prompt; /* it always is */
    switch (role)
    {
    case PEER_PUBLISHES:
        must(nng_pub0_open(&sock), "open");
        must(nng_listen(sock, address, NULL, 0), "listen");
        break;
    case PEER_SUBSCRIBES:
        must(nng_sub0_open(&sock), "open");
        must(nng_socket_set(sock, NNG_OPT_SUB_SUBSCRIBE, "", 0), "subscribe");
        must(nng_socket_set_ms(sock, NNG_OPT_RECVTIMEO, 100), "timeout");
        must(nng_dial(sock, address, NULL, NNG_FLAG_NONBLOCK), "dial");
        break;
    case PEER_ASKS:
        must(nng_req0_open(&sock), "open");
        must(nng_dial(sock, address, NULL, NNG_FLAG_NONBLOCK), "dial");
        flights_open();
        break;
    case PEER_ANSWERS:
        must(nng_rep0_open(&sock), "open");
        must(nng_listen(sock, address, NULL, 0), "listen");
        break;
    }
}

void peer_publish(const void *message)
{
    must(nng_send(sock, (void *)message, PEER_MESSAGE_BYTES, 0), "publish");
}

void peer_flush(void)
{
}

bool peer_receive(void *message)
{
    size_t size = PEER_MESSAGE_BYTES;
    int result = nng_recv(sock, message, &size, 0);
    if (result == NNG_ETIMEDOUT) return false;
    must(result, "receive");
    return size == PEER_MESSAGE_BYTES;
}

static void ask_one(const void *message)
{
    char answer[PEER_MESSAGE_BYTES];
    size_t size = sizeof answer;
    must(nng_send(sock, (void *)message, PEER_MESSAGE_BYTES, 0), "request");
    must(nng_recv(sock, answer, &size, 0), "reply");
}

void peer_ask(const void *message, size_t count)
{
    if (count == 1)
    {
        ask_one(message);
        return;
    }
    for (size_t i = 0; i < count; i++)
    {
        nng_msg *msg;
        must(nng_msg_alloc(&msg, 0), "message");
        must(nng_msg_append(msg, message, PEER_MESSAGE_BYTES), "message");
        nng_aio_set_msg(flights[i].aio, msg);
        nng_ctx_send(flights[i].ctx, flights[i].aio);
    }
    for (size_t i = 0; i < count; i++)
    {
        nng_aio_wait(flights[i].aio);
        must(nng_aio_result(flights[i].aio), "request");
        nng_ctx_recv(flights[i].ctx, flights[i].aio);
    }
    for (size_t i = 0; i < count; i++)
    {
        nng_aio_wait(flights[i].aio);
        must(nng_aio_result(flights[i].aio), "reply");
        nng_msg_free(nng_aio_get_msg(flights[i].aio));
    }
}

_Noreturn void peer_answer(void)
{
    for (;;)
    {
        nng_msg *msg;
        must(nng_recvmsg(sock, &msg, 0), "receive");
        must(nng_sendmsg(sock, msg, 0), "reply");
    }
}
