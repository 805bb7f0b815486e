/* bus_nng.c - the bus over NNG: pub to everybody, pull from programs, sub to other nodes. */
// SPDX-License-Identifier: Apache-2.0
//
// NNG's threads hand what arrives to the loop through a bounded queue. When that is full nothing more is received: programs
// that push have to wait, each on its own connection, and what other nodes publish is lost, which the numbers of the messages
// tell. The loop takes a bounded number in each turn, and from programs so many in a second.
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/supplemental/util/platform.h>
#include <stdlib.h>

#include "messaging/bus/bus.h"
#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/list.h"
#include "runtime/loop/loop.h"

enum {
    PIPE_MESSAGES = 4096, /* that wait for one slow listener */
    FRAME_BYTES_MAX = 2 * BOUND_MESSAGE_BYTES_MAX, /* of who sends more NNG closes the connection */
    SOCKET_MODE = 0600, /* of ipc sockets */
    RATE_LOOK_MS = 10, /* how often programs that push too fast may go on */
};

struct nng_bus;

/* A socket that receives. */
struct intake {
    struct nng_bus *bus;
    uint32_t source;
    nng_socket socket;
    nng_aio *aio;
    nng_mtx *lock; /* of what follows */
    struct list arrived; /* struct arrival */
    size_t count, bytes;
    bool parked; /* no receive is under way, since there is no room */
    bool closing;
    struct loop_task task;
};

struct arrival {
    struct list link;
    nng_msg *message;
};

struct nng_bus {
    struct bus bus;
    struct loop *loop;
    struct bus_handler handler;
    nng_socket publisher;
    bool publishes;
    struct intake *intakes[BOUND_BUS_PEERS_MAX + 1];
    size_t intake_count;
    uint32_t intake_per_second;
    uint64_t tokens; /* messages that programs may still push now */
    uint64_t refilled_ns;
    struct loop_timer refill;
    struct loop_task bury;
    struct bus_stats stats;
};

static struct nng_bus *of(struct bus *bus)
{
    return (struct nng_bus *)bus;
}

static enum status status_of(int code)
{
    switch (code)
    {
    case NNG_EADDRINUSE:
        return STATUS_ADDRESS_IN_USE;
    case NNG_EADDRINVAL:
    case NNG_EINVAL:
    case NNG_ENOTSUP:
        return STATUS_CONFIG_INVALID;
    case NNG_EPERM:
        return STATUS_PERMISSION_DENIED;
    case NNG_ENOMEM:
        return STATUS_NO_RESOURCES;
    default:
        return STATUS_IO;
    }
}

static enum status failed(struct err *err, int code, const char *what, const char *address)
{
    return err_set(err, status_of(code), "bus: %s %s: %s", what, address, nng_strerror(code));
}

static int listen_at(nng_socket socket, const char *address)
{
    nng_listener listener;
    int code = nng_listener_create(&listener, socket, address);
    if (code == 0 && strncmp(address, "ipc://", 6) == 0)
        code = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, SOCKET_MODE);
    return code ? code : nng_listener_start(listener, 0);
}

/* ---- receiving: on NNG's threads ---- */

static bool has_room(const struct intake *intake)
{
    return intake->count < BOUND_BUS_QUEUE_MESSAGES_MAX && intake->bytes < BOUND_BUS_QUEUE_BYTES_MAX;
}

static void on_received(void *arg)
{
    struct intake *intake = arg;
    if (nng_aio_result(intake->aio) != 0) return; /* closed; nothing else ends a receive without a timeout */
    struct arrival *arrival = mem_alloc(sizeof *arrival);
    arrival->message = nng_aio_get_msg(intake->aio);
    nng_mtx_lock(intake->lock);
    list_push_back(&intake->arrived, &arrival->link);
    intake->count++;
    intake->bytes += nng_msg_len(arrival->message);
    intake->parked = !has_room(intake);
    bool more = !intake->parked && !intake->closing;
    nng_mtx_unlock(intake->lock);
    loop_post(intake->bus->loop, &intake->task);
    if (more) nng_recv_aio(intake->socket, intake->aio);
}

/* ---- receiving: on the loop ---- */

/* The next one; NULL when there is none. Receiving goes on when there is room again. */
static struct arrival *take(struct intake *intake)
{
    nng_mtx_lock(intake->lock);
    struct list *link = list_pop_front(&intake->arrived);
    struct arrival *arrival = link ? CONTAINER_OF(link, struct arrival, link) : NULL;
    if (arrival)
    {
        intake->count--;
        intake->bytes -= nng_msg_len(arrival->message);
    }
    bool go_on = intake->parked && intake->count <= BOUND_BUS_QUEUE_MESSAGES_MAX / 2 && has_room(intake);
    if (go_on) intake->parked = false;
    nng_mtx_unlock(intake->lock);
    if (go_on) nng_recv_aio(intake->socket, intake->aio);
    return arrival;
}

/* A second's worth at most, so that a pause does not add up. */
static void tokens_refill(struct nng_bus *self)
{
    uint64_t now_ns = loop_now_ns(self->loop);
    uint64_t more = (now_ns - self->refilled_ns) * self->intake_per_second / NS_PER_S;
    if (more == 0) return;
    self->refilled_ns = now_ns;
    self->tokens += more;
    if (self->tokens > self->intake_per_second) self->tokens = self->intake_per_second;
}

/* Whether one more of a program may come in now. */
static bool token_take(struct intake *intake)
{
    struct nng_bus *self = intake->bus;
    if (intake->source != BUS_INTAKE) return true;
    if (self->tokens == 0) tokens_refill(self);
    if (self->tokens == 0)
    {
        if (!loop_timer_started(&self->refill)) loop_timer_start(self->loop, &self->refill, RATE_LOOK_MS, 0);
        return false;
    }
    self->tokens--;
    return true;
}

static void on_arrived(struct loop_task *task, void *ctx)
{
    struct intake *intake = ctx;
    struct nng_bus *self = intake->bus;
    (void)task; /* its own */
    if (intake->closing) return;
    for (int i = 0; i < BOUND_BUS_TURN_MESSAGES_MAX; i++)
    {
        if (!token_take(intake)) return;
        struct arrival *arrival = take(intake);
        if (!arrival)
        {
            if (intake->source == BUS_INTAKE) self->tokens++;
            return;
        }
        self->stats.received++;
        self->handler.on_message(self->handler.ctx, intake->source,
                                 slice_make(nng_msg_body(arrival->message), nng_msg_len(arrival->message)));
        nng_msg_free(arrival->message);
        free(arrival);
    }
    loop_post(self->loop, &intake->task); /* the others of this turn first */
}

static void on_refill(struct loop_timer *timer, void *ctx)
{
    struct nng_bus *self = ctx;
    (void)timer; /* its own */
    for (size_t i = 0; i < self->intake_count; i++)
        if (self->intakes[i]->source == BUS_INTAKE) on_arrived(NULL, self->intakes[i]);
}

static struct intake *intake_create(struct nng_bus *self, uint32_t source)
{
    struct intake *intake = mem_zalloc(sizeof *intake);
    intake->bus = self;
    intake->source = source;
    list_init(&intake->arrived);
    loop_task_init(&intake->task, on_arrived, intake);
    self->intakes[self->intake_count++] = intake;
    return intake;
}

static enum status intake_start(struct intake *intake, int code, const char *what, const char *address,
                                struct err *err)
{
    if (code == 0) code = nng_mtx_alloc(&intake->lock);
    if (code == 0) code = nng_aio_alloc(&intake->aio, on_received, intake);
    if (code != 0) return failed(err, code, what, address);
    nng_recv_aio(intake->socket, intake->aio);
    return STATUS_OK;
}

static enum status open_intake(struct nng_bus *self, const char *address, struct err *err)
{
    struct intake *intake = intake_create(self, BUS_INTAKE);
    int code = nng_pull0_open(&intake->socket);
    if (code == 0) code = nng_socket_set_size(intake->socket, NNG_OPT_RECVMAXSZ, FRAME_BYTES_MAX);
    if (code == 0) code = listen_at(intake->socket, address);
    return intake_start(intake, code, "take messages at", address, err);
}

static enum status open_peer(struct nng_bus *self, uint32_t source, const char *address, struct err *err)
{
    struct intake *intake = intake_create(self, source);
    int code = nng_sub0_open(&intake->socket);
    if (code == 0) code = nng_socket_set_size(intake->socket, NNG_OPT_RECVMAXSZ, FRAME_BYTES_MAX);
    if (code == 0) code = nng_socket_set_int(intake->socket, NNG_OPT_RECVBUF, PIPE_MESSAGES);
    if (code == 0) code = nng_socket_set(intake->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    /* It need not be there yet; NNG tries again and again. */
    if (code == 0) code = nng_dial(intake->socket, address, NULL, NNG_FLAG_NONBLOCK);
    return intake_start(intake, code, "listen to", address, err);
}

static enum status open_peers(struct nng_bus *self, const char *peers, struct err *err)
{
    uint32_t source = BUS_PEER_FIRST;
    while (*peers)
    {
        size_t size = strcspn(peers, ",");
        if (source - BUS_PEER_FIRST == BOUND_BUS_PEERS_MAX)
            return err_set(err, STATUS_CONFIG_INVALID, "bus.peers: more than %d", BOUND_BUS_PEERS_MAX);
        char *address = mem_cstr(slice_make(peers, size));
        enum status status = open_peer(self, source++, address, err);
        free(address);
        if (status != STATUS_OK) return status;
        peers += size + (peers[size] == ',');
    }
    return STATUS_OK;
}

static void intake_close(struct intake *intake)
{
    if (intake->lock)
    {
        nng_mtx_lock(intake->lock);
        intake->closing = true;
        nng_mtx_unlock(intake->lock);
    }
    (void)nng_close(intake->socket); /* fails only for what is closed */
    if (intake->aio) nng_aio_free(intake->aio); /* waits for its callback */
    struct list *link;
    while ((link = list_pop_front(&intake->arrived)))
    {
        struct arrival *arrival = CONTAINER_OF(link, struct arrival, link);
        nng_msg_free(arrival->message);
        free(arrival);
    }
}

/* ---- publishing ---- */

static enum status open_publisher(struct nng_bus *self, const char *address, struct err *err)
{
    int code = nng_pub0_open(&self->publisher);
    self->publishes = code == 0;
    if (code == 0) code = nng_socket_set_int(self->publisher, NNG_OPT_SENDBUF, PIPE_MESSAGES);
    if (code == 0) code = listen_at(self->publisher, address);
    return code == 0 ? STATUS_OK : failed(err, code, "publish at", address);
}

static void nng_bus_publish(struct bus *bus, struct slice bytes)
{
    struct nng_bus *self = of(bus);
    if (!self->publishes) return;
    nng_msg *message;
    if (nng_msg_alloc(&message, bytes.size) != 0)
    {
        self->stats.send_failed++;
        return;
    }
    memcpy(nng_msg_body(message), bytes.data, bytes.size);
    if (nng_sendmsg(self->publisher, message, NNG_FLAG_NONBLOCK) == 0)
    {
        self->stats.sent++;
        return;
    }
    nng_msg_free(message);
    self->stats.send_failed++;
}

static void nng_bus_stats(const struct bus *bus, struct bus_stats *stats)
{
    *stats = ((const struct nng_bus *)bus)->stats;
}

/* ---- life ---- */

static void on_bury(struct loop_task *task, void *ctx)
{
    struct nng_bus *self = ctx;
    (void)task; /* a part of what is freed */
    for (size_t i = 0; i < self->intake_count; i++)
    {
        if (self->intakes[i]->lock) nng_mtx_free(self->intakes[i]->lock);
        free(self->intakes[i]);
    }
    free(self);
}

/* Tasks that NNG's threads have posted may still be due: the memory goes after them. */
static void nng_bus_close(struct bus *bus)
{
    struct nng_bus *self = of(bus);
    loop_timer_stop(&self->refill);
    for (size_t i = 0; i < self->intake_count; i++) intake_close(self->intakes[i]);
    if (self->publishes) (void)nng_close(self->publisher); /* fails only for what is closed */
    loop_task_init(&self->bury, on_bury, self);
    loop_post(self->loop, &self->bury);
}

enum status bus_nng_open(const struct bus_nng_config *config, struct bus **bus, struct err *err)
{
    static const struct bus_ops ops = {
        .publish = nng_bus_publish, .stats = nng_bus_stats, .close = nng_bus_close};
    struct nng_bus *self = mem_zalloc(sizeof *self);
    self->bus.ops = &ops;
    self->loop = config->loop;
    self->handler = config->handler;
    self->intake_per_second = config->intake_per_second;
    self->refilled_ns = loop_now_ns(config->loop);
    loop_timer_init(&self->refill, on_refill, self);
    enum status status = STATUS_OK;
    if (config->publish[0]) status = open_publisher(self, config->publish, err);
    if (status == STATUS_OK && config->intake[0]) status = open_intake(self, config->intake, err);
    if (status == STATUS_OK) status = open_peers(self, config->peers, err);
    if (status == STATUS_OK)
        *bus = &self->bus;
    else
        nng_bus_close(&self->bus);
    return status;
}
