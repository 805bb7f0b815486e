/* control.h - what daemon and zygote say to each other: one message a packet, descriptors beside it; checked, no policy. */
// SPDX-License-Identifier: Apache-2.0
//
// The socket is a SOCK_SEQPACKET pair: packets are whole, the end of the other side is an empty read. The daemon sends
// one SETUP, with the artifact and the state's file, and then SPAWNs, without waiting; the zygote answers with LOADED or
// FAILED and then tells of its workers. The two are always built together (the daemon starts the zygote beside it), so
// integers travel as they are in memory; but the zygote has run user code, so the daemon checks every field.
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/sandbox/sandbox.h"

enum {
    CONTROL_VERSION = 6,
    CONTROL_FDS_MAX = 2,
    CONTROL_TEXT_MAX = ERR_TEXT_MAX,
    CONTROL_SETUP_MAX = 160 * 1024, /* a packet must fit the default send buffer of a unix socket (208 KiB) */
    /* Descriptors of a zygote: the first as the daemon starts it, the others come with the SETUP. */
    ZYGOTE_FD_CONTROL = 3,
    ZYGOTE_FD_ARTIFACT = 4,
    ZYGOTE_FD_DATA = 5, /* missing when the app has no state */
    /* The worker's only one beside 0, 1 and 2. */
    WORKER_FD_LINK = 3,
    WORKER_FD_BROKER = 4, /* only with profile `network` */
};

enum control_kind {
    CONTROL_SPAWN = 1, /* to the zygote: number; link and output descriptors */
    CONTROL_LOADED, /* from here on from the zygote */
    CONTROL_FAILED, /* status, text: it ends */
    CONTROL_SPAWNED, /* number; pidfd */
    CONTROL_SPAWN_FAILED, /* number, text */
    CONTROL_EXITED, /* number, code, signal, out_of_memory */
};

struct control_message {
    uint32_t kind;
    uint32_t status;
    uint64_t number;
    int32_t code;
    int32_t signal;
    uint32_t out_of_memory;
    uint32_t text_size;
    char text[CONTROL_TEXT_MAX]; /* only text_size bytes travel */
};

/* Sends with `count` descriptors, which stay the caller's. Never raises SIGPIPE. NO_RESOURCES when the socket is full and
 * not blocking, UNAVAILABLE when the other side has gone. */
MUST_CHECK enum status control_send(int socket, const struct control_message *message, const int *fds,
                                    size_t count, struct err *err);

enum control_event {
    CONTROL_MESSAGE,
    CONTROL_NOTHING, /* for now */
    CONTROL_END, /* the other side has gone */
    CONTROL_NONSENSE, /* not a message: wrong size, wrong descriptors */
};

/* Receives one message. `fds` are close-on-exec and the caller's; those not there are -1. */
enum control_event control_receive(int socket, struct control_message *message, int fds[CONTROL_FDS_MAX]);

/* ---- the first packet ---- */

/* As control_send, for a packet that control_setup_encode has made. */
MUST_CHECK enum status control_send_setup(int socket, struct slice packet, const int *fds, size_t count,
                                          struct err *err);
/* Waits for it; `packet` is allocated and the caller's. MESSAGE or END. */
enum control_event control_receive_setup(int socket, struct slice *packet, int fds[CONTROL_FDS_MAX]);

struct control_function {
    const char *name;
    uint64_t memory_bytes;
    uint32_t inside_ms; /* its time: it may run inside of a caller's worker that has no more; 0: it may not */
};

/* Pointers are borrowed: from the owner before encoding, from the packet after decoding. */
struct control_setup {
    pid_t daemon;
    bool worker_follows; /* a SPAWN is right behind: somebody waits */
    struct sandbox_config sandbox;
    const char *app; /* for `ps` */
    const char *artifact; /* name for messages */
    struct control_function *functions;
    size_t function_count;
    const char **env;
    size_t env_count;
};

/* INVALID_ARGUMENT when it does not fit one packet. */
MUST_CHECK enum status control_setup_encode(struct buf *packet, const struct control_setup *setup,
                                            struct err *err);
/* `packet` ends with a zero. The arrays are allocated and stay until the process ends. */
MUST_CHECK enum status control_setup_decode(struct slice packet, struct control_setup *setup,
                                            struct err *err);
