/* messages.c - requests and replies, one-way latency and floods through a system of messages, the same loops for each. */
// SPDX-License-Identifier: Apache-2.0
//
//     PROGRAM ADDRESS ask IN_FLIGHT SECONDS              round trips
//     PROGRAM ADDRESS publish SUBSCRIBERS RATE SECONDS   RATE messages a second; 0: as fast as possible
//
// Every client is a process of its own: they are forked before anything is opened. Prints one JSON object: `rate` is
// requests answered, or messages delivered to all subscribers together, in a second; times are in ns.
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/macro/histogram.h"
#include "bench/peers/peer.h"

enum { SUBSCRIBERS_MAX = 64, QUIET_ROUNDS = 5, WARM_UP = 200 };
#define NS_PER_S UINT64_C(1000000000)

struct message {
    uint64_t sequence; /* 0: only to see who listens */
    uint64_t sent_ns;
    char rest[PEER_MESSAGE_BYTES - 16];
};

struct subscriber {
    atomic_bool ready;
    uint64_t delivered;
    uint64_t last_ns;
    struct histogram latency;
};

/* What the processes share. */
struct shared {
    atomic_bool over;
    struct subscriber subscribers[SUBSCRIBERS_MAX];
};

_Noreturn void peer_die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    struct timespec until = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static pid_t fork_client(void)
{
    pid_t pid = fork();
    if (pid < 0) peer_die("fork", "no process");
    if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void print_latency(const struct histogram *latency)
{
    printf("\"p50_ns\":%llu,\"p99_ns\":%llu,\"p999_ns\":%llu}\n",
           (unsigned long long)histogram_at(latency, 0.5), (unsigned long long)histogram_at(latency, 0.99),
           (unsigned long long)histogram_at(latency, 0.999));
}

/* ---- round trips ---- */

static void ask(const char *address, size_t at_once, double seconds)
{
    static struct histogram latency;
    struct message message = {.sequence = 1};
    pid_t answerer = fork_client();
    if (answerer == 0)
    {
        peer_open(address, PEER_ANSWERS, true);
        peer_answer();
    }
    peer_open(address, PEER_ASKS, true);
    peer_ask(&message, 1); /* waits until somebody answers */
    for (int i = 0; i < WARM_UP; i++) peer_ask(&message, at_once);
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9), now = began, count = 0;
    while (now < end)
    {
        uint64_t before = now;
        peer_ask(&message, at_once);
        now = now_ns();
        histogram_add(&latency, now - before);
        count += at_once;
    }
    printf("{\"rate\":%.1f,", (double)count * 1e9 / (double)(now - began));
    print_latency(&latency);
    kill(answerer, SIGKILL);
    waitpid(answerer, NULL, 0);
}

/* ---- publish and subscribe ---- */

static void subscribe(const char *address, struct shared *shared, struct subscriber *self)
{
    peer_open(address, PEER_SUBSCRIBES, true);
    for (int quiet = 0; quiet < QUIET_ROUNDS;)
    {
        struct message message;
        if (!peer_receive(&message))
        {
            quiet += atomic_load(&shared->over);
            continue;
        }
        atomic_store(&self->ready, true);
        quiet = 0;
        if (message.sequence == 0) continue;
        self->last_ns = now_ns();
        self->delivered++;
        histogram_add(&self->latency, self->last_ns - message.sent_ns);
    }
    exit(0);
}

static bool all_listen(struct shared *shared, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!atomic_load(&shared->subscribers[i].ready)) return false;
    return true;
}

static void wait_for_subscribers(struct shared *shared, size_t count)
{
    struct message message = {0};
    uint64_t give_up = now_ns() + 20 * NS_PER_S;
    while (!all_listen(shared, count))
    {
        if (now_ns() > give_up) peer_die("subscribers", "not all of them hear anything");
        peer_publish(&message);
        peer_flush();
        sleep_until(now_ns() + NS_PER_S / 100);
    }
}

/* Returns how many were sent. */
static uint64_t publish(double rate, uint64_t began, uint64_t end)
{
    struct message message = {0};
    for (;;)
    {
        uint64_t now = now_ns();
        if (now >= end) return message.sequence;
        if (rate > 0 && (double)message.sequence >= (double)(now - began) / 1e9 * rate)
        {
            peer_flush();
            sleep_until(began + (uint64_t)((double)(message.sequence + 1) * 1e9 / rate));
            continue;
        }
        message.sequence++;
        message.sent_ns = now;
        peer_publish(&message);
    }
}

static void publish_to(const char *address, size_t count, double rate, double seconds)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || count > SUBSCRIBERS_MAX) peer_die("shared memory", "none");
    for (size_t i = 0; i < count; i++)
        if (fork_client() == 0) subscribe(address, shared, &shared->subscribers[i]);
    peer_open(address, PEER_PUBLISHES, rate > 0);
    wait_for_subscribers(shared, count);
    uint64_t began = now_ns();
    uint64_t sent = publish(rate, began, began + (uint64_t)(seconds * 1e9));
    peer_flush();
    uint64_t published_ns = now_ns() - began;
    atomic_store(&shared->over, true);
    uint64_t failed = 0;
    for (int status; wait(&status) > 0;) failed += status != 0;

    static struct histogram latency;
    uint64_t delivered = 0, last_ns = began + 1;
    for (size_t i = 0; i < count; i++)
    {
        const struct subscriber *subscriber = &shared->subscribers[i];
        histogram_merge(&latency, &subscriber->latency);
        delivered += subscriber->delivered;
        if (subscriber->last_ns > last_ns) last_ns = subscriber->last_ns;
    }
    printf(
        "{\"rate\":%.1f,\"sent\":%llu,\"sent_rate\":%.1f,\"delivered\":%llu,\"lost\":%llu,\"errors\":%llu,",
        (double)delivered * 1e9 / (double)(last_ns - began), (unsigned long long)sent,
        (double)sent * 1e9 / (double)published_ns, (unsigned long long)delivered,
        (unsigned long long)(sent * count - delivered), (unsigned long long)failed);
    print_latency(&latency);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOFBF,
            4096); /* children end without printing it again: it is empty when they are made */
    if (argc == 5 && strcmp(argv[2], "ask") == 0)
        ask(argv[1], strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
    else if (argc == 6 && strcmp(argv[2], "publish") == 0)
        publish_to(argv[1], strtoul(argv[3], NULL, 10), strtod(argv[4], NULL), strtod(argv[5], NULL));
    else
        peer_die("usage", "ADDRESS ask IN_FLIGHT SECONDS, or ADDRESS publish SUBSCRIBERS RATE SECONDS");
    fflush(stdout);
    _exit(0); /* threads of a client library may still run */
}
