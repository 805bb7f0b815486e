/* bench_pool.c - what a run costs through real processes: rate by runs in flight, and the way to a first worker. */
// SPDX-License-Identifier: Apache-2.0
//
// usage: bench_pool STEAD_ZYGOTE OBJECT     OBJECT has a function `ok`
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/loop/loop.h"
#include "runtime/worker/pool.h"

enum { RUNS_MAX = 256, RATE_NS = 1000000000, COLD_ROUNDS = 50 };

struct bench {
    struct loop *loop;
    struct pool *pool;
    struct pool_deployment *deployment;
    uint64_t done;
    uint64_t stop_ns;
    unsigned in_flight;
    bool closed;
    bool stopped;
};

struct bench_run {
    struct pool_run run; /* first */
    struct wire_invoke invoke;
    struct bench *bench;
    uint64_t submitted_ns;
    uint64_t took_ns;
};

static struct bench_run runs[RUNS_MAX];

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_real());
}

static void submit(struct bench_run *run)
{
    run->bench->in_flight++;
    run->submitted_ns = now_ns();
    pool_submit(run->bench->deployment, &run->run);
}

static void on_done(struct pool_run *base, enum status status, const struct wire_result *result,
                    const struct err *err)
{
    struct bench_run *run = (struct bench_run *)base;
    if (status != STATUS_OK || result->outcome != WIRE_OUTCOME_OK)
    {
        fprintf(stderr, "bench_pool: %s\n", err ? err_text(err) : "the function failed");
        exit(1);
    }
    run->bench->done++;
    run->bench->in_flight--;
    run->took_ns = now_ns() - run->submitted_ns;
    if (run->submitted_ns + run->took_ns < run->bench->stop_ns) submit(run);
}

static void set_up_runs(struct bench *bench)
{
    static char body[64];
    memset(body, 'x', sizeof body);
    for (int i = 0; i < RUNS_MAX; i++)
    {
        runs[i].bench = bench;
        runs[i].invoke = (struct wire_invoke){
            .ident = SLICE("01J9ZQ4T0V7C5S1M8K3N6P2R4W"),
            .function = SLICE("ok"),
            .timeout_ms = 10000,
            .method = SLICE("POST"),
            .path = SLICE("/bench/ok"),
            .body = {body, sizeof body},
        };
        runs[i].run.invoke = &runs[i].invoke;
        runs[i].run.done = on_done;
    }
}

static void open_deployment(struct bench *bench, const char *object)
{
    struct err err = ERR_INIT;
    struct pool_function function = {.name = "ok", .memory_mb = 128};
    struct pool_spec spec = {
        .app = "bench",
        .version = "1",
        .artifact = object,
        .data_fd = -1,
        .functions = &function,
        .function_count = 1,
        .workers_max = 2,
    };
    if (pool_deployment_open(bench->pool, &spec, &bench->deployment, &err) == STATUS_OK) return;
    fprintf(stderr, "bench_pool: %s\n", err_text(&err));
    exit(1);
}

static void on_closed(void *ctx)
{
    ((struct bench *)ctx)->closed = true;
}

static void close_deployment(struct bench *bench)
{
    bench->closed = false;
    pool_deployment_close(bench->deployment, on_closed, bench);
    while (!bench->closed) loop_turn(bench->loop, true);
}

/* Keeps `in_flight` runs going for a second. */
static void measure_rate(struct bench *bench, int in_flight)
{
    uint64_t begin = now_ns();
    bench->stop_ns = begin + RATE_NS;
    bench->done = 0;
    for (int i = 0; i < in_flight; i++) submit(&runs[i]);
    while (bench->in_flight) loop_turn(bench->loop, true);
    double seconds = (double)(now_ns() - begin) / 1e9;
    printf("{\"bench\":\"pool\",\"case\":\"rate\",\"in_flight\":%d,\"rate\":%.0f}\n", in_flight,
           (double)bench->done / seconds);
}

static int by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure_first_run(struct bench *bench, const char *what, const char *object)
{
    uint64_t times[COLD_ROUNDS];
    bench->stop_ns = 0; /* each run only once */
    for (int i = 0; i < COLD_ROUNDS; i++)
    {
        if (object) open_deployment(bench, object);
        submit(&runs[0]);
        while (bench->in_flight) loop_turn(bench->loop, true);
        times[i] = runs[0].took_ns;
        if (object) close_deployment(bench);
    }
    qsort(times, COLD_ROUNDS, sizeof *times, by_time);
    printf("{\"bench\":\"pool\",\"case\":\"%s\",\"p50_us\":%.1f,\"p90_us\":%.1f}\n", what,
           (double)times[COLD_ROUNDS / 2] / 1e3, (double)times[COLD_ROUNDS * 9 / 10] / 1e3);
}

static void on_stopped(void *ctx)
{
    ((struct bench *)ctx)->stopped = true;
}

int main(int argc, char **argv)
{
    if (argc != 3)
    {
        fputs("usage: bench_pool STEAD_ZYGOTE OBJECT\n", stderr);
        return 2;
    }
    struct bench bench = {0};
    struct err err = ERR_INIT;
    struct pool_config config = {.zygote_program = argv[1]};
    if (loop_create(&bench.loop, clock_real(), &err) == STATUS_OK) config.loop = bench.loop;
    if (err.status != STATUS_OK || pool_create(&bench.pool, &config, &err) != STATUS_OK)
    {
        fprintf(stderr, "bench_pool: %s\n", err_text(&err));
        return 1;
    }
    set_up_runs(&bench);
    measure_first_run(&bench, "nothing", argv[2]);
    open_deployment(&bench, argv[2]);
    for (int in_flight = 1; in_flight <= RUNS_MAX; in_flight *= 4) measure_rate(&bench, in_flight);
    measure_first_run(&bench, "warm", NULL);
    close_deployment(&bench);
    pool_stop(bench.pool, on_stopped, &bench);
    while (!bench.stopped) loop_turn(bench.loop, true);
    pool_destroy(bench.pool);
    loop_destroy(bench.loop);
    return 0;
}
