/* drive.c - HTTP load whose amount does not depend on the answers: a rate (open loop), or callers that come and go. */
// SPDX-License-Identifier: Apache-2.0
//
//     bench_drive HOST PORT TARGET rate RATE SECONDS CONNECTIONS
//     bench_drive HOST PORT TARGET callers AT_MS:CALLERS,...          changes linearly from point to point
//
// With a rate, request i is due at i/RATE seconds, whatever came back until then, and its latency counts from that time:
// a server that stalls is charged for everybody who would have come meanwhile. A caller sends its next request when it
// has the answer to the last one. Prints a JSON line for each 100 ms and, last, one for all.
#include "bench/macro/histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    INPUT_BYTES = 4096,
    REQUEST_BYTES = 1024,
    POINTS_MAX = 64,
    CONNECTIONS_MAX = 8192,
    EVENTS = 512,
    INTERVAL_MS = 100,
    FINISH_MS = 3000, /* for answers after the last request */
};
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* ---- figures ---- */

struct figures {
    struct histogram ok, refused;
    uint64_t sent;
    uint64_t failed; /* any other status, broken connections, answers that never came */
    uint64_t hintless; /* refusals without Retry-After */
    uint64_t statuses[600];
};

static void figures_print(const struct figures *figures, const char *kind, uint64_t ms, unsigned callers)
{
    printf("{\"%s\":%llu,\"callers\":%u,\"sent\":%llu,\"ok\":%llu,\"refused\":%llu,\"failed\":%llu,"
           "\"hintless\":%llu",
           kind, (unsigned long long)ms, callers, (unsigned long long)figures->sent,
           (unsigned long long)figures->ok.count, (unsigned long long)figures->refused.count,
           (unsigned long long)figures->failed, (unsigned long long)figures->hintless);
    if (figures->ok.count)
        printf(",\"p50_us\":%llu,\"p99_us\":%llu,\"p999_us\":%llu",
               (unsigned long long)histogram_at(&figures->ok, 0.5),
               (unsigned long long)histogram_at(&figures->ok, 0.99),
               (unsigned long long)histogram_at(&figures->ok, 0.999));
    if (figures->refused.count)
        printf(",\"refused_p50_us\":%llu,\"refused_p99_us\":%llu",
               (unsigned long long)histogram_at(&figures->refused, 0.5),
               (unsigned long long)histogram_at(&figures->refused, 0.99));
    printf(",\"statuses\":{");
    const char *comma = "";
    for (int i = 0; i < 600; i++)
    {
        if (!figures->statuses[i]) continue;
        printf("%s\"%d\":%llu", comma, i, (unsigned long long)figures->statuses[i]);
        comma = ",";
    }
    printf("}}\n");
    fflush(stdout);
}

/* ---- the driver ---- */

struct connection {
    int fd;
    bool busy;
    uint64_t due_ns;
    size_t size;
    char input[INPUT_BYTES];
};

struct point {
    uint64_t ms;
    unsigned callers;
};

struct drive {
    struct sockaddr_in address;
    char request[REQUEST_BYTES];
    size_t request_size;
    int epoll;
    struct connection *connections;
    unsigned count;
    unsigned idle[CONNECTIONS_MAX]; /* a stack of those that wait for work */
    unsigned idle_count;
    unsigned busy;
    double rate; /* 0: callers */
    struct point points[POINTS_MAX];
    unsigned point_count;
    uint64_t begin_ns, end_ns;
    uint64_t due; /* requests with a rate that have been sent */
    uint64_t printed_ms;
    struct figures interval, total;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench_drive: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void connection_open(struct drive *drive, unsigned index)
{
    struct connection *connection = &drive->connections[index];
    *connection = (struct connection){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (connection->fd < 0) die("socket");
    if (connect(connection->fd, (struct sockaddr *)&drive->address, sizeof drive->address) != 0)
        die("connect");
    int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(drive->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) die("epoll_ctl");
}

static void both_count(struct drive *drive, int status, uint64_t us, bool hint)
{
    struct figures *all[] = {&drive->interval, &drive->total};
    for (int i = 0; i < 2; i++)
    {
        all[i]->statuses[status]++;
        if (status == 200)
            histogram_add(&all[i]->ok, us);
        else if (status == 429 || status == 503)
        {
            histogram_add(&all[i]->refused, us);
            all[i]->hintless += !hint;
        }
        else
            all[i]->failed++;
    }
}

static void become_idle(struct drive *drive, unsigned index)
{
    struct connection *connection = &drive->connections[index];
    connection->busy = false;
    connection->size = 0;
    drive->busy--;
    drive->idle[drive->idle_count++] = index;
}

/* A lost request counts as failed with status 0. */
static void connection_lost(struct drive *drive, unsigned index)
{
    struct connection *connection = &drive->connections[index];
    close(connection->fd);
    bool busy = connection->busy;
    connection_open(drive, index);
    if (!busy) return;
    both_count(drive, 0, 0, true);
    become_idle(drive, index);
}

static void request_send(struct drive *drive, uint64_t due_ns)
{
    unsigned index = drive->idle[--drive->idle_count];
    struct connection *connection = &drive->connections[index];
    connection->busy = true;
    connection->due_ns = due_ns;
    drive->busy++;
    drive->interval.sent++;
    drive->total.sent++;
    /* The socket is empty: a request this small fits. */
    if (send(connection->fd, drive->request, drive->request_size, MSG_NOSIGNAL) !=
        (ssize_t)drive->request_size)
        connection_lost(drive, index);
}

/* ---- answers ---- */

static const char *header(const char *head, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, size) == 0 && line[2 + size] == ':') return line + 3 + size;
    return NULL;
}

/* True when the answer is whole. */
static bool answer_take(struct drive *drive, unsigned index)
{
    struct connection *connection = &drive->connections[index];
    connection->input[connection->size] = 0;
    char *end = strstr(connection->input, "\r\n\r\n");
    if (!end) return false;
    end[2] = 0;
    const char *length = header(connection->input, "Content-Length");
    size_t whole = (size_t)(end - connection->input) + 4 + (length ? strtoul(length, NULL, 10) : 0);
    end[2] = '\r';
    if (connection->size < whole && whole < INPUT_BYTES) return false;
    end[2] = 0;
    int status = (int)strtol(connection->input + sizeof "HTTP/1.1", NULL, 10);
    bool hint = header(connection->input, "Retry-After") != NULL;
    const char *close_word = header(connection->input, "Connection");
    bool closes = close_word && strncasecmp(close_word, " close", 6) == 0;
    uint64_t us = (now_ns() - connection->due_ns) / 1000;
    both_count(drive, status > 0 && status < 600 ? status : 0, us, hint);
    become_idle(drive, index);
    if (closes || whole >= INPUT_BYTES) connection_lost(drive, index);
    return true;
}

static void on_readable(struct drive *drive, unsigned index)
{
    struct connection *connection = &drive->connections[index];
    ssize_t size = recv(connection->fd, connection->input + connection->size,
                        INPUT_BYTES - 1 - connection->size, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0)
    {
        connection_lost(drive, index);
        return;
    }
    connection->size += (size_t)size;
    if (connection->busy) (void)answer_take(drive, index); /* else the rest comes later */
}

/* ---- how much, when ---- */

static unsigned callers_at(const struct drive *drive, uint64_t ms)
{
    for (unsigned i = 1; i < drive->point_count; i++)
    {
        const struct point *a = &drive->points[i - 1], *b = &drive->points[i];
        if (ms >= b->ms) continue;
        double part = (double)(ms - a->ms) / (double)(b->ms - a->ms);
        return (unsigned)((double)a->callers + part * ((double)b->callers - (double)a->callers) + 0.5);
    }
    return drive->points[drive->point_count - 1].callers;
}

/* How many requests are due before then. */
static uint64_t due_at(const struct drive *drive, uint64_t ns)
{
    return (uint64_t)((double)(ns - drive->begin_ns) / 1e9 * drive->rate);
}

/* Sends what is due; returns when to look again. */
static uint64_t send_due(struct drive *drive, uint64_t now)
{
    bool over = now >= drive->end_ns;
    if (drive->rate == 0)
    {
        if (over) return now + INTERVAL_MS * NS_PER_MS;
        unsigned callers = callers_at(drive, (now - drive->begin_ns) / NS_PER_MS);
        while (drive->busy < callers && drive->idle_count) request_send(drive, now);
        return now + NS_PER_MS;
    }
    uint64_t due = due_at(drive, over ? drive->end_ns : now);
    while (drive->due < due && drive->idle_count)
        request_send(drive, drive->begin_ns + (uint64_t)((double)++drive->due * 1e9 / drive->rate));
    if (drive->due < due || over) return now + NS_PER_MS; /* an answer wakes us; the time counts */
    return drive->begin_ns + (uint64_t)((double)(drive->due + 1) * 1e9 / drive->rate);
}

static void print_due(struct drive *drive, uint64_t now)
{
    uint64_t ms = (now - drive->begin_ns) / NS_PER_MS;
    if (ms < drive->printed_ms + INTERVAL_MS) return;
    drive->printed_ms = ms / INTERVAL_MS * INTERVAL_MS;
    figures_print(&drive->interval, "at_ms", drive->printed_ms, drive->busy);
    memset(&drive->interval, 0, sizeof drive->interval);
}

static void drive_run(struct drive *drive)
{
    struct epoll_event events[EVENTS];
    drive->begin_ns = now_ns();
    drive->end_ns += drive->begin_ns;
    for (;;)
    {
        uint64_t now = now_ns();
        uint64_t next = send_due(drive, now);
        print_due(drive, now);
        bool all_sent = drive->rate == 0 || drive->due >= due_at(drive, drive->end_ns);
        if (now >= drive->end_ns && drive->busy == 0 && all_sent) break;
        if (now >= drive->end_ns + FINISH_MS * NS_PER_MS) break;
        uint64_t wait = next > now ? next - now : 0;
        if (wait > INTERVAL_MS * NS_PER_MS) wait = INTERVAL_MS * NS_PER_MS;
        struct timespec timeout = {.tv_nsec = (long)wait};
        int count = epoll_pwait2(drive->epoll, events, EVENTS, &timeout, NULL);
        for (int i = 0; i < count; i++) on_readable(drive, events[i].data.u32);
    }
    drive->total.failed += drive->busy;
    if (drive->rate > 0) drive->total.failed += due_at(drive, drive->end_ns) - drive->due;
    figures_print(&drive->total, "total_ms", (drive->end_ns - drive->begin_ns) / NS_PER_MS, 0);
}

/* ---- the command line ---- */

static void points_parse(struct drive *drive, char *text)
{
    char *left;
    for (char *word = strtok_r(text, ",", &left); word && drive->point_count < POINTS_MAX;
         word = strtok_r(NULL, ",", &left))
    {
        struct point *point = &drive->points[drive->point_count++];
        char *rest;
        point->ms = strtoull(word, &rest, 10);
        point->callers = *rest == ':' ? (unsigned)strtoul(rest + 1, NULL, 10) : 0;
        if (point->callers > drive->count) drive->count = point->callers;
        drive->end_ns = point->ms * NS_PER_MS;
    }
}

int main(int argc, char **argv)
{
    bool rate = argc == 8 && strcmp(argv[4], "rate") == 0;
    if (!rate && !(argc == 6 && strcmp(argv[4], "callers") == 0))
    {
        fputs("bench_drive HOST PORT TARGET rate RATE SECONDS CONNECTIONS\n"
              "bench_drive HOST PORT TARGET callers AT_MS:CALLERS,...\n",
              stderr);
        return 2;
    }
    struct drive *drive = calloc(1, sizeof *drive);
    if (!drive) die("memory");
    drive->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &drive->address.sin_addr);
    drive->request_size =
        (size_t)snprintf(drive->request, REQUEST_BYTES,
                         "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n", argv[3]);
    if (rate)
    {
        drive->rate = strtod(argv[5], NULL);
        drive->end_ns = (uint64_t)(strtod(argv[6], NULL) * 1e9);
        drive->count = (unsigned)strtoul(argv[7], NULL, 10);
    }
    else
        points_parse(drive, argv[5]);
    if (drive->count == 0 || drive->count > CONNECTIONS_MAX)
    {
        fprintf(stderr, "bench_drive: 1 to %d connections\n", CONNECTIONS_MAX);
        return 2;
    }
    drive->connections = calloc(drive->count, sizeof *drive->connections);
    drive->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!drive->connections || drive->epoll < 0) die("memory");
    for (unsigned i = 0; i < drive->count; i++)
    {
        connection_open(drive, i);
        drive->idle[drive->idle_count++] = i;
    }
    drive_run(drive);
    return 0;
}
