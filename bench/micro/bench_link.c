/* bench_link.c - the link to a worker: a stream socket pair beside a ring of shared memory with an eventfd as doorbell. */
// SPDX-License-Identifier: Apache-2.0
//
// Two processes. This one plays the daemon: it waits with epoll, takes out all that is there, and keeps `depth` frames in
// flight, at most `batch` of them in one write. The other one plays the worker: it waits in a blocking read, and answers
// all that it found with one write. Every answer is checked. The two kinds take turns, several times for each case, so
// that a noisy moment does not hit one of them alone; the turn with the median rate is shown.
//
// The ring is as a daemon would need it:
// - a consumer tells that it is about to sleep, looks once more, and sleeps; only the consumer takes that back. A
//   producer that cleared the flag of a sleeper could swallow the doorbell of the frame after the next one.
// - a reader copies out, and looks only at its copy: the other side could change the shared bytes after the check.
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "bench/macro/histogram.h"
#include "runtime/base/check.h"
#include "runtime/base/slice.h"

enum {
    READ_BYTES = 64 * 1024, /* as the daemon and the worker read */
    RING_BYTES = 512 * 1024,
    DEPTH_MAX = 64,
    FRAME_BYTES_MAX = 4096,
    BUFFER_BYTES = DEPTH_MAX * FRAME_BYTES_MAX + READ_BYTES,
    TURNS = 5,
};
_Static_assert(RING_BYTES >= DEPTH_MAX * FRAME_BYTES_MAX, "a ring never fills up here");
_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "offsets wrap by a mask");

/* One direction. */
struct ring {
    _Alignas(64) atomic_uint_least64_t head; /* of the producer: bytes ever written */
    _Alignas(64) atomic_uint_least64_t tail; /* of the consumer: bytes ever taken */
    _Alignas(64) atomic_bool sleeping; /* of the consumer */
    _Alignas(64) uint8_t bytes[RING_BYTES];
};

struct buffer {
    uint8_t bytes[BUFFER_BYTES];
    size_t size;
    size_t taken;
};

/* One side of a link. */
struct end {
    bool is_ring;
    int socket;
    struct ring *in_ring, *out_ring;
    int in_bell, out_bell;
    struct buffer in, out;
};

struct frame_head {
    uint32_t size; /* of the whole frame */
    uint32_t reserved;
    uint64_t sequence;
};

struct figures {
    double rate;
    double cpu_ns; /* of the daemon's side, for a frame there and back */
    struct histogram latency; /* ns */
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- the ring ---- */

static void ring_write(struct ring *ring, int bell, const uint8_t *bytes, size_t size)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    CHECK(RING_BYTES - (head - atomic_load_explicit(&ring->tail, memory_order_acquire)) >= size);
    size_t at = head & (RING_BYTES - 1), first = RING_BYTES - at < size ? RING_BYTES - at : size;
    memcpy(ring->bytes + at, bytes, first);
    memcpy(ring->bytes, bytes + first, size - first);
    atomic_store_explicit(&ring->head, head + size, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst); /* the store before this load: see ring_sleeps() */
    if (!atomic_load_explicit(&ring->sleeping, memory_order_relaxed)) return;
    uint64_t one = 1;
    CHECK(write(bell, &one, sizeof one) == sizeof one);
}

/* Copies out what is there, at most `room` bytes. */
static size_t ring_read(struct ring *ring, uint8_t *to, size_t room)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t there = atomic_load_explicit(&ring->head, memory_order_acquire) - tail;
    size_t size = there < room ? there : room;
    size_t at = tail & (RING_BYTES - 1), first = RING_BYTES - at < size ? RING_BYTES - at : size;
    memcpy(to, ring->bytes + at, first);
    memcpy(to + first, ring->bytes, size - first);
    atomic_store_explicit(&ring->tail, tail + size, memory_order_release);
    return size;
}

/* True: nothing is there, and whoever brings something from now on rings. */
static bool ring_sleeps(struct ring *ring)
{
    atomic_store_explicit(&ring->sleeping, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    bool empty = atomic_load_explicit(&ring->head, memory_order_acquire) ==
                 atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (!empty) atomic_store_explicit(&ring->sleeping, false, memory_order_relaxed);
    return empty;
}

static void ring_wakes(struct ring *ring)
{
    atomic_store_explicit(&ring->sleeping, false, memory_order_relaxed);
}

/* ---- frames ---- */

static void frame_put(struct buffer *out, size_t size, uint64_t sequence)
{
    CHECK(out->size + size <= BUFFER_BYTES);
    struct frame_head head = {.size = (uint32_t)size, .sequence = sequence};
    memcpy(out->bytes + out->size, &head, sizeof head);
    out->size += size;
}

/* False: no whole frame is there. */
static bool frame_take(struct buffer *in, struct frame_head *head)
{
    if (in->size - in->taken < sizeof *head) return false;
    memcpy(head, in->bytes + in->taken, sizeof *head);
    CHECK(head->size >= sizeof *head && head->size <= FRAME_BYTES_MAX);
    if (in->size - in->taken < head->size) return false;
    in->taken += head->size;
    return true;
}

static void tidy(struct buffer *buffer)
{
    memmove(buffer->bytes, buffer->bytes + buffer->taken, buffer->size - buffer->taken);
    buffer->size -= buffer->taken;
    buffer->taken = 0;
}

/* ---- the worker ---- */

/* Reads once, and waits for something. */
static void worker_read(struct end *end)
{
    uint8_t *to = end->in.bytes + end->in.size;
    while (end->is_ring)
    {
        size_t size = ring_read(end->in_ring, to, READ_BYTES);
        end->in.size += size;
        if (size > 0) return;
        if (!ring_sleeps(end->in_ring)) continue;
        uint64_t rung;
        CHECK(read(end->in_bell, &rung, sizeof rung) == sizeof rung);
        ring_wakes(end->in_ring);
    }
    ssize_t size = read(end->socket, to, READ_BYTES);
    if (size <= 0) _exit(0);
    end->in.size += (size_t)size;
}

static void worker_write(struct end *end)
{
    struct buffer *out = &end->out;
    if (end->is_ring && out->size > 0) ring_write(end->out_ring, end->out_bell, out->bytes, out->size);
    for (size_t done = 0; !end->is_ring && done < out->size;)
    {
        ssize_t size = write(end->socket, out->bytes + done, out->size - done);
        if (size <= 0) _exit(0);
        done += (size_t)size;
    }
    out->size = 0;
}

static _Noreturn void worker_run(struct end *end)
{
    for (;;)
    {
        struct frame_head head;
        worker_read(end);
        while (frame_take(&end->in, &head)) frame_put(&end->out, head.size, head.sequence);
        tidy(&end->in);
        worker_write(end);
    }
}

/* ---- the daemon ---- */

struct daemon_side {
    struct end *end;
    int epoll;
    bool watches_room;
    size_t depth, batch, frame_size;
    uint64_t sent, answered;
    uint64_t sent_ns[DEPTH_MAX];
};

static void watch_room(struct daemon_side *side, bool watch)
{
    if (side->watches_room == watch) return;
    side->watches_room = watch;
    struct epoll_event event = {.events = EPOLLIN | (watch ? (uint32_t)EPOLLOUT : 0)};
    CHECK(epoll_ctl(side->epoll, EPOLL_CTL_MOD, side->end->socket, &event) == 0);
}

static void daemon_flush(struct daemon_side *side)
{
    struct buffer *out = &side->end->out;
    if (side->end->is_ring)
    {
        ring_write(side->end->out_ring, side->end->out_bell, out->bytes, out->size);
        out->size = 0;
        return;
    }
    while (out->taken < out->size)
    {
        ssize_t size = send(side->end->socket, out->bytes + out->taken, out->size - out->taken, MSG_DONTWAIT);
        if (size < 0 && errno != EAGAIN) CHECK(errno == EINTR);
        if (size < 0 && errno == EAGAIN) break;
        if (size > 0) out->taken += (size_t)size;
    }
    tidy(out);
    watch_room(side, out->size > 0);
}

static void daemon_send(struct daemon_side *side, uint64_t now)
{
    size_t collected = 0;
    while (side->sent - side->answered < side->depth)
    {
        side->sent_ns[side->sent % DEPTH_MAX] = now;
        frame_put(&side->end->out, side->frame_size, side->sent++);
        if (++collected % side->batch == 0) daemon_flush(side);
    }
    if (collected % side->batch != 0) daemon_flush(side);
}

/* Returns when something came, with all of it. */
static void daemon_receive(struct daemon_side *side)
{
    struct end *end = side->end;
    struct epoll_event event;
    if (end->is_ring)
    {
        size_t size;
        while ((size = ring_read(end->in_ring, end->in.bytes + end->in.size, READ_BYTES)) == 0)
        {
            if (!ring_sleeps(end->in_ring)) continue;
            CHECK(epoll_wait(side->epoll, &event, 1, -1) == 1);
            uint64_t rung;
            CHECK(read(end->in_bell, &rung, sizeof rung) == sizeof rung);
            ring_wakes(end->in_ring);
        }
        end->in.size += size;
        return;
    }
    CHECK(epoll_wait(side->epoll, &event, 1, -1) == 1);
    if (event.events & EPOLLIN)
    {
        ssize_t size = recv(end->socket, end->in.bytes + end->in.size, READ_BYTES, MSG_DONTWAIT);
        CHECK(size > 0);
        end->in.size += (size_t)size;
    }
    if (event.events & EPOLLOUT) daemon_flush(side);
}

static void daemon_run(struct daemon_side *side, double seconds, struct figures *figures)
{
    uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t began = clock_ns(CLOCK_MONOTONIC), now = began, limit = (uint64_t)(seconds * 1e9);
    daemon_send(side, now);
    while (now - began < limit)
    {
        struct frame_head head;
        daemon_receive(side);
        now = clock_ns(CLOCK_MONOTONIC);
        while (frame_take(&side->end->in, &head))
        {
            CHECK(head.sequence == side->answered && head.size == side->frame_size);
            histogram_add(&figures->latency, now - side->sent_ns[side->answered++ % DEPTH_MAX]);
        }
        tidy(&side->end->in);
        daemon_send(side, now);
    }
    figures->rate = (double)side->answered * 1e9 / (double)(now - began);
    figures->cpu_ns = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / (double)side->answered;
}

/* ---- one turn of one case ---- */

static void end_init(struct end *end, bool is_ring, int socket, struct ring *in, struct ring *out,
                     int in_bell, int out_bell)
{
    end->is_ring = is_ring;
    end->socket = socket;
    end->in_ring = in;
    end->out_ring = out;
    end->in_bell = in_bell;
    end->out_bell = out_bell;
    end->in.size = end->in.taken = 0;
    end->out.size = end->out.taken = 0;
}

static struct figures measure(bool is_ring, size_t depth, size_t batch, size_t frame_size, double seconds)
{
    static struct end daemon_end, worker_end;
    int pair[2];
    size_t shared_bytes = 2 * sizeof(struct ring);
    struct ring *rings = mmap(NULL, shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int bells[2] = {eventfd(0, EFD_NONBLOCK), eventfd(0, 0)}; /* the daemon's, the worker's */
    CHECK(rings != MAP_FAILED && bells[0] >= 0 && bells[1] >= 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    end_init(&daemon_end, is_ring, pair[0], &rings[0], &rings[1], bells[0], bells[1]);
    end_init(&worker_end, is_ring, pair[1], &rings[1], &rings[0], bells[1], bells[0]);
    pid_t worker = fork();
    CHECK(worker >= 0);
    if (worker == 0)
    {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[0]);
        worker_run(&worker_end);
    }
    close(pair[1]);
    struct daemon_side side = {
        .end = &daemon_end,
        .epoll = epoll_create1(0),
        .depth = depth,
        .batch = batch,
        .frame_size = frame_size,
    };
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(epoll_ctl(side.epoll, EPOLL_CTL_ADD, is_ring ? bells[0] : pair[0], &event) == 0);
    struct figures figures = {0};
    daemon_run(&side, seconds, &figures);
    kill(worker, SIGKILL);
    CHECK(waitpid(worker, NULL, 0) == worker);
    close(side.epoll);
    close(pair[0]);
    close(bells[0]);
    close(bells[1]);
    munmap(rings, shared_bytes);
    return figures;
}

/* ---- cases ---- */

static int by_rate(const void *a, const void *b)
{
    double first = ((const struct figures *)a)->rate, second = ((const struct figures *)b)->rate;
    return (first > second) - (first < second);
}

static void report(bool json, const char *system, const char *name, size_t depth,
                   const struct figures *figures)
{
    double p50 = (double)histogram_at(&figures->latency, 0.5) / 1e3;
    double p99 = (double)histogram_at(&figures->latency, 0.99) / 1e3;
    double p999 = (double)histogram_at(&figures->latency, 0.999) / 1e3;
    if (json)
        printf("{\"bench\": \"link\", \"system\": \"%s\", \"case\": \"%s\", \"connections\": %zu, \"keys\": "
               "null, "
               "\"rate\": %.0f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"errors\": 0, "
               "\"durability\": \"none\", \"daemon_cpu_ns\": %.0f}\n",
               system, name, depth, figures->rate, p50, p99, p999, figures->cpu_ns);
    else
        printf("%-8s %-32s %12.0f/s  p50 %8.2f us  p99 %9.2f us  daemon's cpu %6.0f ns\n", system, name,
               figures->rate, p50, p99, figures->cpu_ns);
    fflush(stdout);
}

static void run_case(bool json, double seconds, size_t depth, size_t batch, size_t frame_size)
{
    static struct figures socket[TURNS], ring[TURNS];
    for (int turn = 0; turn < TURNS; turn++)
    {
        socket[turn] = measure(false, depth, batch, frame_size, seconds / TURNS);
        ring[turn] = measure(true, depth, batch, frame_size, seconds / TURNS);
    }
    qsort(socket, TURNS, sizeof *socket, by_rate);
    qsort(ring, TURNS, sizeof *ring, by_rate);
    char name[64];
    snprintf(name, sizeof name, "%zu B, depth %zu, batch %zu", frame_size, depth, batch);
    report(json, "socket", name, depth, &socket[TURNS / 2]);
    report(json, "ring", name, depth, &ring[TURNS / 2]);
}

int main(int argc, char **argv)
{
    static const struct {
        size_t depth, batch;
    } cases[] = {{1, 1}, {16, 1}, {16, 8}, {64, 1}, {64, 8}, {64, 64}};
    bool json = false;
    double seconds = 1;
    for (int i = 1; i < argc; i++)
    {
        if (slice_is(slice_cstr(argv[i]), "--json"))
            json = true;
        else if (slice_is(slice_cstr(argv[i]), "--seconds") && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else
        {
            fprintf(stderr, "usage: %s [--json] [--seconds N]\n", argv[0]);
            return 2;
        }
    }
    for (size_t size = 200; size <= FRAME_BYTES_MAX;
         size = size == 200 ? FRAME_BYTES_MAX : FRAME_BYTES_MAX + 1)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            run_case(json, seconds, cases[i].depth, cases[i].batch, size);
    return 0;
}
