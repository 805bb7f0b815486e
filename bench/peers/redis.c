/* redis.c - Redis' publish and subscribe, by its C client; a request and its reply are two messages. */
// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/peer.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <hiredis/hiredis.h>

enum { ANSWERS_PENDING_MAX = 100 };

static redisContext *out;
static redisContext *in;
static unsigned pending; /* commands without an answer yet */
static bool prompt_out;

static redisContext *connect_to(const char *address)
{
    const char *colon = strrchr(address, ':');
    if (!colon) peer_die("address", address);
    char host[64] = {0};
    memcpy(host, address,
           (size_t)(colon - address) < sizeof host ? (size_t)(colon - address) : sizeof host - 1);
    redisContext *context = redisConnect(host, (int)strtol(colon + 1, NULL, 10));
    if (!context || context->err) peer_die("connect", context ? context->errstr : "no memory");
    redisEnableKeepAlive(context);
    return context;
}

static void subscribe(const char *address, const char *channel)
{
    in = connect_to(address);
    freeReplyObject(redisCommand(in, "SUBSCRIBE %s", channel));
}

static void wait_for_answerer(void)
{
    for (long long count = 0; count == 0; (void)poll(NULL, 0, 10))
    {
        redisReply *reply = redisCommand(out, "PUBSUB NUMSUB asked");
        if (!reply || reply->elements != 2) peer_die("subscribers", out->errstr);
        count = reply->element[1]->integer;
        freeReplyObject(reply);
    }
}

void peer_open(const char *address, enum peer_role role, bool prompt)
{
    prompt_out = prompt;
    out = connect_to(address);
    if (role == PEER_SUBSCRIBES) subscribe(address, "bench");
    if (role == PEER_ANSWERS) subscribe(address, "asked");
    if (role == PEER_ASKS)
    {
        subscribe(address, "answered");
        wait_for_answerer();
    }
}

static void answers_take(void)
{
    for (; pending > 0; pending--)
    {
        void *reply = NULL;
        if (redisGetReply(out, &reply) != REDIS_OK) peer_die("publish", out->errstr);
        freeReplyObject(reply);
    }
}

static void send_to(const char *channel, const void *message)
{
    redisAppendCommand(out, "PUBLISH %s %b", channel, message, (size_t)PEER_MESSAGE_BYTES);
    pending++;
}

static void write_out(void)
{
    for (int done = 0; !done;)
        if (redisBufferWrite(out, &done) != REDIS_OK) peer_die("publish", out->errstr);
}

void peer_publish(const void *message)
{
    send_to("bench", message);
    if (prompt_out) write_out();
    if (pending == ANSWERS_PENDING_MAX) answers_take();
}

void peer_flush(void)
{
    write_out();
}

/* What is at hand, or what comes within a tenth of a second. */
bool peer_receive(void *message)
{
    redisReply *reply = NULL;
    if (redisGetReplyFromReader(in, (void **)&reply) != REDIS_OK) peer_die("receive", in->errstr);
    if (!reply)
    {
        struct timeval tenth = {.tv_usec = 100000};
        redisSetTimeout(in, tenth);
        if (redisGetReply(in, (void **)&reply) != REDIS_OK)
        {
            if (in->err == REDIS_ERR_IO)
                in->err = 0; /* nothing came */
            else
                (void)poll(NULL, 0, 100); /* disconnected as too slow: what follows is lost */
            return false;
        }
    }
    bool is_message = reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
                      reply->element[2]->type == REDIS_REPLY_STRING &&
                      reply->element[2]->len == PEER_MESSAGE_BYTES;
    if (is_message) memcpy(message, reply->element[2]->str, PEER_MESSAGE_BYTES);
    freeReplyObject(reply);
    return is_message;
}

void peer_ask(const void *message, size_t count)
{
    char answer[PEER_MESSAGE_BYTES];
    for (size_t i = 0; i < count; i++) send_to("asked", message);
    write_out();
    for (size_t i = 0; i < count; i++)
        while (!peer_receive(answer)) continue;
    answers_take();
}

_Noreturn void peer_answer(void)
{
    char asked[PEER_MESSAGE_BYTES];
    for (;;)
    {
        if (!peer_receive(asked)) continue;
        send_to("answered", asked);
        write_out();
        if (pending == ANSWERS_PENDING_MAX) answers_take();
    }
}
