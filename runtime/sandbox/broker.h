/* broker.h - how an app of profile `network` gets a connection: it asks a process outside, which gives it a connected socket. */
// SPDX-License-Identifier: Apache-2.0
//
// The app itself can make no sockets, and its network namespace has no interfaces. The broker, our code only, resolves the
// name, connects when host and port are listed, and sends the descriptor:
//
//     worker: struct broker_request -> broker: struct broker_reply, and the descriptor when its status is OK
//
// One packet each, on a SOCK_SEQPACKET pair of the worker's own. What comes from a worker is hostile and checked. The
// functions down to the line are pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "runtime/base/bounds.h"
#include "runtime/base/err.h"

struct broker_request {
    uint32_t timeout_ms;
    uint16_t port;
    uint16_t host_size;
    char host[BOUND_HOST_BYTES_MAX];
};

struct broker_reply {
    uint32_t status; /* OK, PERMISSION_DENIED: it is not listed, UNAVAILABLE: nobody answers */
    uint32_t text_size;
    char text[ERR_TEXT_MAX];
};

/* "host:port", "1.2.3.4:port", "[::1]:port" in two parts; false when it is none. `host` is without brackets. */
bool broker_place_parse(const char *text, char host[BOUND_HOST_BYTES_MAX + 1], uint16_t *port);
/* Whether the list has exactly this host, as text in any case, with this port. */
bool broker_allows(const char *const *list, size_t count, const char *host, uint16_t port);
/* Names must not lead to this machine or its link (what a DNS says is not what the manifest says); who lists an address,
 * or `localhost`, gets it. */
bool broker_address_allowed(const char *host, const struct sockaddr *address);

/* ---- */

/* Serves until the last holder of the other end of `requests` has gone; each packet there brings the socket of a worker. */
void broker_serve(int requests, const char *const *allow, size_t allow_count);
/* For the zygote: makes a worker's socket known to the broker; *socket is the worker's end. */
MUST_CHECK enum status broker_open(int requests, int *socket, struct err *err);
/* For the worker: waits for the connection. OK and *connected, PERMISSION_DENIED, UNAVAILABLE, INVALID_ARGUMENT. */
MUST_CHECK enum status broker_connect(int socket, const char *host, uint16_t port, uint32_t timeout_ms,
                                      int *connected, struct err *err);
