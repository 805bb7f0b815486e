/* peer.h - what messages.c asks of each system of messages: nats.c, redis.c and nng.c, one in each program. */
// SPDX-License-Identifier: Apache-2.0
//
// Each call is of one process that has opened the system for itself, after it was forked. A call that fails ends the
// process with words: a bench has nothing to go on with.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { PEER_MESSAGE_BYTES = 128, PEER_AT_ONCE_MAX = 16 };

/* How this process takes part. */
enum peer_role {
    PEER_PUBLISHES,
    PEER_SUBSCRIBES,
    PEER_ASKS,
    PEER_ANSWERS,
};

/* `prompt`: what is sent goes out at once; else the client may collect. */
void peer_open(const char *address, enum peer_role role, bool prompt);

void peer_publish(const void *message);
/* Everything that was published has left this process. */
void peer_flush(void);
/* False when nothing came for a tenth of a second. */
bool peer_receive(void *message);

/* Sends `count` requests and returns when all are answered. */
void peer_ask(const void *message, size_t count);
/* Answers one request after another by what was asked; never returns. */
_Noreturn void peer_answer(void);

/* For the above: prints and ends. */
_Noreturn void peer_die(const char *what, const char *why);
