/* bench_recovery.c - how long a store of 1 GB of rows takes to open after each kind of stop. */
// SPDX-License-Identifier: Apache-2.0
//
// A child fills a store, commits on without closing it and dies; then it is opened. `--seconds` is taken for the other
// benches' sake and has no meaning here; STEAD_BENCH_MB sets the size.
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/prng.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "statestore/statestore.h"

enum { ROW_BYTES = 1000, ROWS_PER_COMMIT = 1000, IN_FLIGHT = 4, LOG_MB = 32 };

struct slot {
    struct store_commit commit;
    struct bench *bench;
    struct buf writes;
    bool busy;
};

struct bench {
    bool json;
    char dir[200];
    unsigned megabytes;
    const char *boot;
    struct store *store;
    int wake_fd;
    unsigned in_flight;
    uint64_t next_row;
    struct prng prng;
    struct slot slots[IN_FLIGHT];
};

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_real());
}

static void wake(void *ctx)
{
    uint64_t one = 1;
    ssize_t wrote = write(((struct bench *)ctx)->wake_fd, &one, sizeof one);
    (void)wrote; /* full means woken */
}

static void on_applied(struct store_commit *commit)
{
    CHECK(commit->status == STATUS_OK);
}

static void on_durable(struct store_commit *commit)
{
    struct slot *slot = CONTAINER_OF(commit, struct slot, commit);
    CHECK(commit->status == STATUS_OK);
    slot->busy = false;
    slot->bench->in_flight--;
}

/* Rows in key order while the store is filled, in any order afterwards. */
static void submit(struct bench *bench, struct slot *slot, bool fill)
{
    static const char value[ROW_BYTES] = "value";
    struct buf key = BUF_INIT;
    uint64_t rows = (uint64_t)bench->megabytes * 1000;
    uint64_t step = fill ? 1 : rows / ROWS_PER_COMMIT,
             row = fill ? bench->next_row : prng_below(&bench->prng, step);
    buf_reset(&slot->writes);
    for (int i = 0; i < (fill ? ROWS_PER_COMMIT : 100); i++, row += step)
    {
        char name[24];
        snprintf(name, sizeof name, "row%010llu", (unsigned long long)row);
        buf_reset(&key);
        enum status status = keyspace_row(&key, SLICE_EMPTY, slice_cstr(name), NULL);
        CHECK(status == STATUS_OK);
        struct write_entry entry = {WRITE_PUT, buf_view(&key), slice_make(value, sizeof value)};
        write_set_append(&slot->writes, &entry);
    }
    buf_fini(&key);
    bench->next_row += ROWS_PER_COMMIT;
    slot->bench = bench;
    slot->busy = true;
    slot->commit = (struct store_commit){.applied = on_applied, .durable = on_durable};
    slot->commit.writes[0] = buf_view(&slot->writes);
    bench->in_flight++;
    store_submit(bench->store, &slot->commit);
}

static void turn(struct bench *bench)
{
    struct pollfd fd = {.fd = bench->wake_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&fd, 1, 1000) > 0 && read(bench->wake_fd, &count, sizeof count) < 0) return;
    store_reap(bench->store);
}

static void commit_all(struct bench *bench, uint64_t commits, bool fill)
{
    while (commits > 0 || bench->in_flight > 0)
    {
        for (int i = 0; i < IN_FLIGHT && commits > 0; i++)
        {
            if (bench->slots[i].busy) continue;
            submit(bench, &bench->slots[i], fill);
            commits--;
        }
        turn(bench);
    }
}

static void open_store(struct bench *bench)
{
    struct store_config config = {.dir = bench->dir,
                                  .clock = clock_real(),
                                  .wake = wake,
                                  .wake_ctx = bench,
                                  .boot_id = bench->boot,
                                  .checkpoint_ms = 3600 * 1000}; /* so that there is something to replay */
    struct err err = ERR_INIT;
    if (store_open(&bench->store, &config, &err) == STATUS_OK) return;
    fprintf(stderr, "bench: %s\n", err_text(&err));
    exit(1);
}

/* What a child does before it dies with the store open. */
static void in_child(struct bench *bench, bool fill)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
    {
        open_store(bench);
        if (fill) commit_all(bench, bench->megabytes, true);
        if (store_checkpoint(bench->store, NULL) != STATUS_OK) _exit(1);
        commit_all(bench, LOG_MB * 10, false);
        _exit(0);
    }
    int state;
    CHECK(waitpid(pid, &state, 0) == pid && state == 0);
}

/* Opens and closes; reports the former. */
static void measure(struct bench *bench, const char *name)
{
    uint64_t begin = now_ns();
    open_store(bench);
    double us = (double)(now_ns() - begin) / 1000;
    struct store_stats stats;
    store_stats(bench->store, &stats);
    store_close(bench->store);
    if (bench->json)
        printf(
            "{\"bench\":\"recovery\",\"system\":\"stead\",\"case\":\"%s\",\"connections\":null,\"keys\":%llu,"
            "\"rate\":%.3f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,\"errors\":0,\"durability\":"
            "\"durable\","
            "\"replayed\":%llu,\"data_bytes\":%llu}\n",
            name, (unsigned long long)stats.rows, 1e6 / us, us, us, us, (unsigned long long)stats.replayed,
            (unsigned long long)stats.data_bytes);
    else
        printf("%-16s %8.0f ms to open %llu rows, %llu MiB; %llu commits replayed\n", name, us / 1000,
               (unsigned long long)stats.rows, (unsigned long long)stats.data_bytes >> 20,
               (unsigned long long)stats.replayed);
    fflush(stdout);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    return remove(path);
}

int main(int argc, char **argv)
{
    static struct bench bench = {.megabytes = 1000};
    for (int i = 1; i < argc; i++)
    {
        if (slice_is(slice_cstr(argv[i]), "--json"))
            bench.json = true;
        else if (slice_is(slice_cstr(argv[i]), "--seconds") && i + 1 < argc)
            i++;
        else
        {
            fprintf(stderr, "usage: %s [--json] [--seconds N]\n", argv[0]);
            return 2;
        }
    }
    const char *size = getenv("STEAD_BENCH_MB");
    if (size) bench.megabytes = (unsigned)strtoul(size, NULL, 10);
    prng_init(&bench.prng, 1);
    bench.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(bench.dir, sizeof bench.dir, "%s/bench-recovery-XXXXXX",
             access("build", W_OK) == 0 ? "build" : "/tmp");
    CHECK(mkdtemp(bench.dir));
    bench.boot = "first";
    in_child(&bench, true);
    measure(&bench, "process died");
    measure(&bench, "closed");
    in_child(&bench, false);
    bench.boot = "second";
    measure(&bench, "machine stopped");
    nftw(bench.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
