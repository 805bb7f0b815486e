/* gateway_core.h - what the parts of the gateway share: its state, connections, exchanges. Not for others. */
// SPDX-License-Identifier: Apache-2.0
//
// gateway.c       listeners, deadlines, the pace of refusals, the flush of each turn, drain and close
// http_conn.c     one connection: feeds the parser, keeps the order of answers, decides when it ends
// http_exchange.c one request and its answer: the calls of gateway.h on exchanges
#pragma once

#include "runtime/base/list.h"
#include "runtime/gateway/gateway.h"
#include "runtime/gateway/http_parse.h"
#include "runtime/gateway/pace.h"
#include "runtime/gateway/reply.h"
#include "runtime/loop/loop.h"
#include "runtime/loop/stream.h"

enum {
    READ_BYTES = 64 * 1024, /* one buffer for all connections: reading and parsing is one step */
    KEEP_BYTES = 16 * 1024, /* buffers of idle exchanges and connections are kept up to this */
    POOL_EXCHANGES_MAX = 4096,
    REFUSED_CONNECTIONS_MAX = 64, /* those above the limit that get a 503; more are closed without a word */
};

/* Clocks of a connection. Each class has one duration, so a list in order of entry is in order of deadlines. */
enum conn_clock {
    CLOCK_IDLE,
    CLOCK_HEAD,
    CLOCK_BODY,
    CLOCK_WRITE,
    CLOCK_LINGER,
    CLOCK_COUNT,
    CLOCK_NONE = CLOCK_COUNT,
};

enum conn_state {
#define CONN_STATE(name, meaning) CONN_##name,
#define CONN_EDGE(from, to, when)
#include "runtime/gateway/http_conn_states.def"
#undef CONN_STATE
#undef CONN_EDGE
};

enum exchange_state {
    EXCHANGE_READING, /* the request is arriving */
    EXCHANGE_RUNNING, /* with the handler */
    EXCHANGE_STREAMING, /* with the handler, its answer has begun */
    EXCHANGE_ANSWERED, /* waits for the answers before it */
};

struct http_exchange {
    struct list link; /* in its connection's, in the order of requests; or in the pool */
    struct gateway *gateway;
    struct http_conn *conn; /* NULL: the client has gone */
    enum exchange_state state;
    struct http_parse parse;
    struct buf answer; /* what waits for the answers before it; the first in line writes to the connection */
    uint64_t start_ns;
    size_t body_counted; /* bytes of its body that are in stats.bodies_bytes */
    void (*on_abort)(void *ctx);
    void *on_abort_ctx;
    const struct http_stream_events *events; /* NULL: nobody wants to hear of them */
    void *events_ctx;
    struct list event_link; /* in gateway.events: one of the next two is to be told */
    bool tell_room;
    bool tell_drain;
    bool wants_room; /* a chunk was refused */
    bool tunnel; /* another protocol has taken over */
    bool want_continue; /* "100 Continue" is due when its turn comes */
    bool stream_chunked;
    bool stream_bodiless; /* HEAD: chunks are dropped */
    bool close_after; /* its answer says that the connection ends */
};

struct http_conn {
    struct gateway *gateway;
    struct gateway_listener *listener;
    struct stream *stream;
    enum conn_state state;
    struct list link; /* in gateway.conns */
    struct list clock_link; /* in gateway.clocks[clock] */
    struct list dirty_link; /* in gateway.dirty: something to write or to decide */
    struct list pace_link; /* in gateway.paced: was refused, and waits until it is read again */
    uint64_t paced_until_ns;
    enum conn_clock clock;
    uint64_t deadline_ns;
    struct list exchanges; /* unanswered, in the order of requests */
    uint32_t exchange_count;
    struct http_exchange *reading; /* the last of them, while its request arrives */
    struct buf unread; /* bytes behind the last request that was taken, while no more is read */
    struct buf out; /* answers for the next write */
    struct buf sending; /* the write under way */
    size_t unsent_seen; /* of `sending`, when its clock was last set */
    bool is_sending;
    bool paused; /* not reading: too many requests or bytes of answers wait, or it is paced */
    bool client_finished; /* it has sent its last byte */
    char peer[STREAM_ADDRESS_BYTES];
};

struct gateway_listener {
    struct list link;
    struct gateway *gateway;
    struct stream_listener *listener; /* NULL: closed by a drain */
    gateway_on_request_fn on_request;
    void *ctx;
};

struct gateway {
    struct loop *loop;
    struct gateway_limits limits;
    struct http_parse_limits parse_limits;
    struct gateway_stats stats;
    struct list listeners;
    struct list conns;
    struct list dirty;
    struct list events; /* exchanges whose owners are to be told something */
    struct list pool; /* exchanges to be used again */
    uint32_t pool_count;
    struct list clocks[CLOCK_COUNT];
    uint64_t clock_ns[CLOCK_COUNT]; /* duration of each class */
    struct loop_timer alarm; /* at or before the first deadline */
    struct pace pace;
    struct list paced; /* connections that wait since they were refused, in the order of their times */
    struct loop_timer pace_timer;
    struct loop_timer drain_timer;
    char common[REPLY_COMMON_BYTES];
    struct slice common_lines;
    uint64_t common_until_ns;
    bool draining;
    bool closing;
    void (*on_drained)(void *ctx);
    void *on_drained_ctx;
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
    char room[READ_BYTES];
};

/* gateway.c */
/* The clock runs from now; CLOCK_NONE stops it. */
void gateway_clock_set(struct http_conn *conn, enum conn_clock clock);
/* The connection is looked at in this turn's PHASE_WRITE. */
void gateway_dirty(struct http_conn *conn);
/* The owner of this exchange is told in the next PHASE_ADMIT what its `tell_` members say. */
void gateway_tell(struct http_exchange *exchange);
/* Server and Date lines of this second. */
struct slice gateway_common(struct gateway *gateway);
/* A request of the connection was refused. */
void gateway_pace(struct http_conn *conn);
/* Something may have become the last: drained, closed. */
void gateway_check_end(struct gateway *gateway);

/* http_conn.c */
/* Takes the stream. A refused one gets 503 and is closed. */
void conn_open(struct gateway_listener *listener, struct stream *stream, bool refused);
/* PHASE_WRITE: writes what there is, then goes on reading, or ends. May free the connection's exchanges, not itself. */
void conn_flush(struct http_conn *conn);
/* Its deadline has passed. */
void conn_expired(struct http_conn *conn);
/* Nothing is read before its turn has come; conn_flush() goes on then. */
void conn_pause(struct http_conn *conn);
/* No request is read any more but the one that is arriving. */
void conn_drain(struct http_conn *conn);
/* Now, whatever is under way; exchanges are aborted. */
void conn_cut(struct http_conn *conn);
/* Its only exchange goes on with another protocol. */
void conn_tunnel(struct http_conn *conn);
void conn_tunnel_pause(struct http_conn *conn, bool pause);
/* An exchange has been answered: answers whose turn has come move to the connection, those exchanges go. */
void conn_answered(struct http_conn *conn);

/* http_exchange.c */
struct http_exchange *exchange_take(struct gateway *gateway, struct http_conn *conn);
/* Back to the pool. It is in no list. */
void exchange_release(struct http_exchange *exchange);
/* Counts what has arrived of its body. False: all bodies together are too much. */
bool exchange_count_body(struct http_exchange *exchange);
/* Where its answer goes now: its own buffer, or the connection's when it is the first in line. */
struct buf *exchange_out(struct http_exchange *exchange);
