/* bench_commit.c - durable commits: the log-first store beside LMDB's own sync mode, at 1 to 1,000 commits in flight. */
// SPDX-License-Identifier: Apache-2.0
//
// Each commit puts one row of 100 bytes under one of 100,000 keys. So many are always in flight, each is submitted again
// when it is durable; the batches are what the store makes of that. Beside the usual fields: records_per_sync and
// bytes_per_sync, of write sets.
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/prng.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "statestore/statestore.h"

enum { KEYS = 100000, VALUE_BYTES = 100, IN_FLIGHT_MAX = 1000, LATENCIES_MAX = 4 << 20 };

struct bench {
    bool json;
    bool has_header;
    double seconds;
    char dir[200];
    struct store *store;
    int wake_fd;
    struct prng prng;
    bool stopping;
    unsigned in_flight;
    uint64_t count;
    uint64_t errors;
    uint32_t *latencies_ns; /* LATENCIES_MAX of them; beyond that they are only counted */
};

struct submission {
    struct store_commit commit;
    struct bench *bench;
    struct buf writes;
    uint64_t begun_ns;
};

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_real());
}

/* ---- the load ---- */

static void submit(struct submission *submission)
{
    struct bench *bench = submission->bench;
    static struct buf key;
    static const char value[VALUE_BYTES] = "value";
    char name[24];
    snprintf(name, sizeof name, "key%08u", (unsigned)prng_below(&bench->prng, KEYS));
    buf_reset(&key);
    enum status status = keyspace_row(&key, SLICE_EMPTY, slice_cstr(name), NULL);
    CHECK(status == STATUS_OK);
    buf_reset(&submission->writes);
    struct write_entry entry = {WRITE_PUT, buf_view(&key), slice_make(value, sizeof value)};
    write_set_append(&submission->writes, &entry);
    submission->commit.writes[0] = buf_view(&submission->writes);
    submission->begun_ns = now_ns();
    bench->in_flight++;
    store_submit(bench->store, &submission->commit);
}

static void on_applied(struct store_commit *commit)
{
    struct bench *bench = CONTAINER_OF(commit, struct submission, commit)->bench;
    if (commit->status == STATUS_OK) return;
    bench->errors++;
    bench->in_flight--;
}

static void on_durable(struct store_commit *commit)
{
    struct submission *submission = CONTAINER_OF(commit, struct submission, commit);
    struct bench *bench = submission->bench;
    uint64_t took = now_ns() - submission->begun_ns;
    if (bench->count < LATENCIES_MAX)
        bench->latencies_ns[bench->count] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    bench->count++;
    bench->errors += commit->status != STATUS_OK;
    bench->in_flight--;
    if (!bench->stopping) submit(submission);
}

static void wake(void *ctx)
{
    uint64_t one = 1;
    ssize_t wrote = write(((struct bench *)ctx)->wake_fd, &one, sizeof one);
    (void)wrote; /* full means woken */
}

static void turn(struct bench *bench)
{
    struct pollfd fd = {.fd = bench->wake_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&fd, 1, 1000) > 0 && read(bench->wake_fd, &count, sizeof count) < 0) return;
    store_reap(bench->store);
}

/* ---- one case ---- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile_us(const struct bench *bench, double part)
{
    uint64_t known = bench->count < LATENCIES_MAX ? bench->count : LATENCIES_MAX;
    return known ? bench->latencies_ns[(uint64_t)((double)(known - 1) * part)] / 1000.0 : 0;
}

static void report(struct bench *bench, const char *system, unsigned in_flight, double rate,
                   const struct store_stats *before, const struct store_stats *after)
{
    double syncs = (double)(after->syncs - before->syncs);
    double records = syncs > 0 ? (double)(after->commits - before->commits) / syncs : 0;
    double bytes = syncs > 0 ? (double)(after->bytes_written - before->bytes_written) / syncs : 0;
    double p50 = percentile_us(bench, 0.5), p99 = percentile_us(bench, 0.99),
           p999 = percentile_us(bench, 0.999);
    if (bench->json)
        printf("{\"bench\":\"commit\",\"system\":\"%s\",\"case\":\"batch %u\",\"connections\":%u,\"keys\":%d,"
               "\"rate\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"errors\":%llu,"
               "\"durability\":\"durable\",\"records_per_sync\":%.1f,\"bytes_per_sync\":%.0f}\n",
               system, in_flight, in_flight, KEYS, rate, p50, p99, p999, (unsigned long long)bench->errors,
               records, bytes);
    else
    {
        if (!bench->has_header)
            printf("%-10s %9s %10s %10s %10s %10s %7s %13s %12s\n", "system", "in flight", "rate/s", "p50 us",
                   "p99 us", "p99.9 us", "errors", "records/sync", "bytes/sync");
        bench->has_header = true;
        printf("%-10s %9u %10.0f %10.1f %10.1f %10.1f %7llu %13.1f %12.0f\n", system, in_flight, rate, p50,
               p99, p999, (unsigned long long)bench->errors, records, bytes);
    }
    fflush(stdout);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    return remove(path);
}

static void run_case(struct bench *bench, const char *system, enum store_mode mode, unsigned in_flight)
{
    snprintf(bench->dir, sizeof bench->dir, "%s/bench-commit-XXXXXX",
             access("build", W_OK) == 0 ? "build" : "/tmp");
    CHECK(mkdtemp(bench->dir));
    struct store_config config = {
        .dir = bench->dir, .mode = mode, .clock = clock_real(), .wake = wake, .wake_ctx = bench};
    struct err err = ERR_INIT;
    if (store_open(&bench->store, &config, &err) != STATUS_OK)
    {
        fprintf(stderr, "bench: %s\n", err_text(&err));
        exit(1);
    }
    static struct submission submissions[IN_FLIGHT_MAX];
    bench->count = bench->errors = 0;
    bench->stopping = false;
    struct store_stats before, after;
    store_stats(bench->store, &before);
    uint64_t begin = now_ns(), end = begin + (uint64_t)(bench->seconds * 1e9);
    for (unsigned i = 0; i < in_flight; i++)
    {
        submissions[i] = (struct submission){.bench = bench, .writes = submissions[i].writes};
        submissions[i].commit.applied = on_applied;
        submissions[i].commit.durable = on_durable;
        submit(&submissions[i]);
    }
    while (now_ns() < end) turn(bench);
    double rate = (double)bench->count / ((double)(now_ns() - begin) / 1e9);
    store_stats(bench->store, &after);
    bench->stopping = true;
    while (bench->in_flight > 0) turn(bench);
    uint64_t known = bench->count < LATENCIES_MAX ? bench->count : LATENCIES_MAX;
    qsort(bench->latencies_ns, known, sizeof *bench->latencies_ns, by_value);
    report(bench, system, in_flight, rate, &before, &after);
    store_close(bench->store);
    nftw(bench->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
    static struct bench bench = {.seconds = 3};
    for (int i = 1; i < argc; i++)
    {
        if (strcmp(argv[i], "--json") == 0)
            bench.json = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            bench.seconds = strtod(argv[++i], NULL);
        else
        {
            fprintf(stderr, "usage: %s [--json] [--seconds N]\n", argv[0]);
            return 2;
        }
    }
    prng_init(&bench.prng, prng_entropy());
    bench.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bench.latencies_ns = mem_alloc(LATENCIES_MAX * sizeof *bench.latencies_ns);
    static const unsigned sizes[] = {1, 10, 100, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    {
        run_case(&bench, "stead", STORE_MODE_LOG, sizes[i]);
        run_case(&bench, "lmdb-sync", STORE_MODE_SYNC, sizes[i]);
    }
    return 0;
}
