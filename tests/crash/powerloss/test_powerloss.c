/* test_powerloss.c - power cuts at random points: nothing acknowledged is lost, nothing is torn; and sabotage is seen. */
// SPDX-License-Identifier: Apache-2.0
//
//     test_powerloss [--crashes N] [--seed S] [--sabotage pin|checksum|gate] [--keep]
//
// Each round is a process of its own: it opens the store that the last cut left, compares every row with the model,
// commits on, and is cut at a random call that writes or syncs, in the commit path, in a checkpoint, in recovery or in
// the making of the store. What the disk had then is the next round's store. One in six rounds is a `kill -9`
// instead: everything written is there, and the same boot goes on.
//
// The model: commit number n of round r writes rows that follow from (seed, r, n) alone, so the store at LSN s must be
// exactly commits 1 to s, each of the last round that got that number. Without a --sabotage the program first cuts the
// sound store N times and then each sabotaged one until it is caught.
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"
#include "runtime/base/prng.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "statestore/statestore.h"
#include "tests/crash/powerloss/disk.h"

enum { KEYS = 300, COMMITS_MAX = 1 << 22, IN_FLIGHT_MAX = 40, EXIT_WRONG = 1 };

struct expected_row {
    bool exists;
    uint64_t value_seed;
    size_t value_bytes;
};

/* Shared by all rounds of one run: survives the cut because it is memory of the parent. */
struct shared {
    uint64_t acknowledged; /* LSN up to which somebody was told that it is durable */
    uint64_t submitted; /* the last one that may exist */
    uint64_t cuts, kills, replayed, checked; /* figures */
    char why[1200]; /* a round found something wrong */
    uint64_t model_seq; /* what was compared last: */
    struct expected_row model[KEYS]; /* the rows at that LSN, which cannot be lost any more */
    uint32_t round_of[COMMITS_MAX]; /* which round submitted commit n last */
};

struct run {
    struct shared *shared;
    uint64_t seed;
    unsigned sabotage;
    char base[128];
};

struct round {
    const struct run *run;
    struct shared *shared;
    uint32_t number;
    struct prng prng;
    char dir[200];
    char image[200];
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool awake;
    bool lazy; /* few checkpoints: many pages are used again between two */
    unsigned in_flight;
};

/* ---- the model ---- */

static void commit_prng(struct prng *prng, const struct run *run, uint32_t round, uint64_t n)
{
    uint64_t parts[3] = {run->seed, round, n};
    prng_init(prng, hash_stable(slice_make(parts, sizeof parts)));
}

/* What one commit writes: up to four keys, ascending. */
struct plan {
    unsigned count;
    struct {
        unsigned key;
        bool put;
        uint64_t value_seed;
        size_t value_bytes;
    } writes[4];
};

static void plan_make(struct plan *plan, const struct run *run, uint32_t round, uint64_t n)
{
    struct prng prng;
    commit_prng(&prng, run, round, n);
    plan->count = 0;
    unsigned key = 0, step = KEYS / 4;
    for (unsigned i = 0; i < 4; i++, key += step)
    {
        if (plan->count > 0 && prng_chance(&prng, 1, 2)) continue;
        unsigned at = plan->count++;
        plan->writes[at].key = key + (unsigned)prng_below(&prng, step);
        plan->writes[at].put = !prng_chance(&prng, 1, 6);
        plan->writes[at].value_seed = prng_next(&prng);
        plan->writes[at].value_bytes =
            prng_chance(&prng, 1, 12) ? 3000 + prng_below(&prng, 12000) : prng_below(&prng, 300);
    }
}

static void make_value(struct buf *value, uint64_t seed, size_t bytes)
{
    struct prng prng;
    prng_init(&prng, seed);
    buf_reset(value);
    while (value->size < bytes)
    {
        uint64_t word = prng_next(&prng);
        buf_append(value, slice_make(&word, sizeof word));
    }
    value->size = bytes;
}

static void make_key(struct buf *key, unsigned number)
{
    char name[16];
    snprintf(name, sizeof name, "row%05u", number);
    buf_reset(key);
    enum status status = keyspace_row(key, SLICE_EMPTY, slice_cstr(name), NULL);
    CHECK(status == STATUS_OK);
}

/* Brings the model from what was compared last to `seq`. */
static void model_advance(const struct run *run, uint64_t seq)
{
    struct shared *shared = run->shared;
    while (shared->model_seq < seq)
    {
        struct plan plan;
        uint64_t n = shared->model_seq + 1;
        plan_make(&plan, run, shared->round_of[n], n);
        for (unsigned i = 0; i < plan.count; i++)
            shared->model[plan.writes[i].key] = (struct expected_row){
                plan.writes[i].put, plan.writes[i].value_seed, plan.writes[i].value_bytes};
        shared->model_seq = n; /* last: a cut in between has the next round do this one again */
    }
}

/* ---- one round ---- */

static _Noreturn void wrong(struct round *round, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static _Noreturn void wrong(struct round *round, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(round->shared->why, sizeof round->shared->why, format, args);
    va_end(args);
    _exit(EXIT_WRONG);
}

struct comparison {
    struct round *round;
    const struct expected_row *rows;
    unsigned next; /* key not yet compared */
    struct buf key, value;
};

static void skip_absent(struct comparison *comparison, unsigned until)
{
    for (; comparison->next < until; comparison->next++)
        if (comparison->rows[comparison->next].exists)
            wrong(comparison->round, "row %u is missing", comparison->next);
}

static bool compare_row(void *ctx, struct slice key, struct slice value)
{
    struct comparison *comparison = ctx;
    struct slice entity, name;
    unsigned number;
    char text[16] = {0};
    if (!keyspace_row_split(key, &entity, &name) || name.size != 8) wrong(comparison->round, "a foreign key");
    memcpy(text, name.data, name.size);
    if (sscanf(text, "row%05u", &number) != 1 || number >= KEYS)
        wrong(comparison->round, "a foreign row %s", text);
    skip_absent(comparison, number);
    const struct expected_row *row = &comparison->rows[number];
    if (!row->exists) wrong(comparison->round, "row %u should not be there", number);
    make_value(&comparison->value, row->value_seed, row->value_bytes);
    if (!slice_equal(value, buf_view(&comparison->value)))
        wrong(comparison->round, "row %u has another value", number);
    comparison->next = number + 1;
    return true;
}

static void compare_all(struct round *round)
{
    struct store_snapshot *snapshot = store_snapshot_take(round->store);
    uint64_t seq = store_snapshot_seq(snapshot);
    if (seq < round->shared->acknowledged)
        wrong(round, "LSN %llu was acknowledged, the store ends with %llu",
              (unsigned long long)round->shared->acknowledged, (unsigned long long)seq);
    if (seq > round->shared->submitted) wrong(round, "LSN %llu was never submitted", (unsigned long long)seq);
    model_advance(round->run, seq);
    struct comparison comparison = {
        .round = round, .rows = round->shared->model, .key = BUF_INIT, .value = BUF_INIT};
    struct err err = ERR_INIT;
    if (store_scan(snapshot, SLICE("r"), SLICE("s"), compare_row, &comparison, &err) != STATUS_OK)
        wrong(round, "scan: %s", err_text(&err));
    skip_absent(&comparison, KEYS);
    store_snapshot_release(round->store, snapshot);
    round->shared->acknowledged = seq; /* who has read it may count on it */
    round->shared->checked++;
}

struct submission {
    struct store_commit commit;
    struct round *round;
    struct buf writes;
};

static void on_applied(struct store_commit *commit)
{
    struct submission *submission = CONTAINER_OF(commit, struct submission, commit);
    if (commit->status != STATUS_OK) wrong(submission->round, "commit failed: %s", err_text(&commit->err));
}

static void on_durable(struct store_commit *commit)
{
    struct submission *submission = CONTAINER_OF(commit, struct submission, commit);
    struct round *round = submission->round;
    if (commit->status != STATUS_OK) wrong(round, "sync failed: %s", err_text(&commit->err));
    if (commit->seq > round->shared->acknowledged) round->shared->acknowledged = commit->seq;
    round->in_flight--;
    buf_fini(&submission->writes);
    free(submission);
}

static void submit(struct round *round)
{
    uint64_t n = ++round->shared->submitted;
    CHECK(n < COMMITS_MAX);
    round->shared->round_of[n] = round->number;
    struct plan plan;
    plan_make(&plan, round->run, round->number, n);
    struct submission *made = mem_zalloc(sizeof *made);
    struct buf key = BUF_INIT, value = BUF_INIT;
    for (unsigned i = 0; i < plan.count; i++)
    {
        make_key(&key, plan.writes[i].key);
        make_value(&value, plan.writes[i].value_seed, plan.writes[i].value_bytes);
        struct write_entry entry = {plan.writes[i].put ? WRITE_PUT : WRITE_DELETE, buf_view(&key),
                                    buf_view(&value)};
        write_set_append(&made->writes, &entry);
    }
    buf_fini(&key);
    buf_fini(&value);
    made->round = round;
    made->commit.applied = on_applied;
    made->commit.durable = on_durable;
    made->commit.relaxed = prng_chance(&round->prng, 1, 10);
    made->commit.writes[0] = buf_view(&made->writes);
    round->in_flight++;
    store_submit(round->store, &made->commit);
}

static void wake(void *ctx)
{
    struct round *round = ctx;
    pthread_mutex_lock(&round->lock);
    round->awake = true;
    pthread_cond_signal(&round->woken);
    pthread_mutex_unlock(&round->lock);
}

static void wait_and_reap(struct round *round)
{
    pthread_mutex_lock(&round->lock);
    while (!round->awake) pthread_cond_wait(&round->woken, &round->lock);
    round->awake = false;
    pthread_mutex_unlock(&round->lock);
    store_reap(round->store);
}

/* Commits in bursts; now and then a reader that holds an old snapshot, and a checkpoint. */
static void work(struct round *round, unsigned bursts)
{
    struct store_snapshot *held = NULL;
    for (unsigned i = 0; i < bursts; i++)
    {
        for (uint64_t burst = 1 + prng_below(&round->prng, 12); burst > 0; burst--) submit(round);
        while (round->in_flight > IN_FLIGHT_MAX || (round->in_flight > 0 && prng_chance(&round->prng, 1, 2)))
            wait_and_reap(round);
        if (prng_chance(&round->prng, 1, round->lazy ? 20 : 6))
        {
            if (held) store_snapshot_release(round->store, held);
            held = prng_chance(&round->prng, 1, 2) ? store_snapshot_take(round->store) : NULL;
        }
        struct err err = ERR_INIT;
        if (prng_chance(&round->prng, 1, round->lazy ? 60 : 8) &&
            store_checkpoint(round->store, &err) != STATUS_OK)
            wrong(round, "checkpoint: %s", err_text(&err));
    }
    if (held) store_snapshot_release(round->store, held);
}

static void open_store(struct round *round, uint32_t boot)
{
    char boot_id[32];
    snprintf(boot_id, sizeof boot_id, "boot %u", boot);
    struct store_config config = {
        .dir = round->dir,
        .map_bytes = 256 * MIB,
        .clock = clock_real(),
        .log_segment_bytes = 64 * KIB,
        .log_keep_bytes = 64 * KIB,
        .checkpoint_bytes = round->lazy ? 1 * GIB : 128 * KIB,
        .checkpoint_ms = round->lazy ? 60000 : 20,
        .wake = wake,
        .wake_ctx = round,
        .sabotage = round->run->sabotage,
        .boot_id = boot_id,
    };
    struct err err = ERR_INIT;
    if (store_open(&round->store, &config, &err) != STATUS_OK) wrong(round, "%s", err_text(&err));
    struct store_stats stats;
    store_stats(round->store, &stats);
    round->shared->replayed += stats.replayed;
}

/* `boot` changes with each power cut. Never returns. */
static _Noreturn void round_run(struct round *round, uint32_t boot, bool kill_only)
{
    disk_begin(round->dir);
    round->lazy = prng_chance(&round->prng, 1, 2);
    if (!kill_only)
    {
        /* Sometimes already while the store is opened. */
        uint64_t calls = 1 + prng_below(&round->prng, prng_chance(&round->prng, 1, 4) ? 40 : 2500);
        disk_cut_after(calls, prng_next(&round->prng), round->image);
    }
    open_store(round, boot);
    compare_all(round);
    /* What was submitted beyond what survived is not coming any more: its numbers are given again. */
    round->shared->submitted = round->shared->acknowledged;
    work(round, 5 + (unsigned)prng_below(&round->prng, 100));
    if (!kill_only && prng_chance(&round->prng, 1, 2))
    {
        store_close(round->store);
        round->shared->acknowledged = round->shared->submitted;
    }
    disk_cut_now(prng_next(&round->prng), round->image, kill_only);
}

/* ---- rounds in a row ---- */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    return remove(path);
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Seconds after which a round counts as hung: damaged pages may lead in circles. */
enum { ROUND_SECONDS_MAX = 30 };

/* True when the round ended with its cut. */
static bool run_round(const struct run *run, uint32_t number, uint32_t *boot)
{
    struct round round = {.run = run, .shared = run->shared, .number = number};
    uint64_t parts[2] = {run->seed, number};
    prng_init(&round.prng, hash_stable(slice_make(parts, sizeof parts)));
    bool kill_only = prng_chance(&round.prng, 1, 6);
    snprintf(round.dir, sizeof round.dir, "%s/%u", run->base, number);
    snprintf(round.image, sizeof round.image, "%s/%u", run->base, number + 1);
    CHECK(mkdir(round.image, 0700) == 0);
    pthread_mutex_init(&round.lock, NULL);
    pthread_cond_init(&round.woken, NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
    {
        alarm(ROUND_SECONDS_MAX);
        round_run(&round, *boot, kill_only);
    }
    int state;
    CHECK(waitpid(pid, &state, 0) == pid);
    bool cut = WIFEXITED(state) && WEXITSTATUS(state) == DISK_EXIT_CUT;
    if (WIFSIGNALED(state) && !run->shared->why[0])
        snprintf(run->shared->why, sizeof run->shared->why, "the process was killed by signal %d",
                 WTERMSIG(state));
    if (cut) remove_tree(round.dir);
    run->shared->kills += kill_only;
    run->shared->cuts += !kill_only;
    *boot += !kill_only;
    return cut;
}

static void run_init(struct run *run, uint64_t seed, unsigned sabotage)
{
    *run = (struct run){.seed = seed, .sabotage = sabotage};
    const char *base = getenv("TMPDIR");
    if (!base) base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(run->base, sizeof run->base, "%s/stead-powerloss-XXXXXX", base);
    CHECK(mkdtemp(run->base));
    char first[200];
    snprintf(first, sizeof first, "%s/1", run->base);
    CHECK(mkdir(first, 0700) == 0);
    run->shared = mmap(NULL, sizeof *run->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(run->shared != MAP_FAILED);
}

static void run_fini(struct run *run, bool keep)
{
    if (keep)
        printf("kept: %s\n", run->base);
    else
        remove_tree(run->base);
    munmap(run->shared, sizeof *run->shared);
}

/* Rounds until `crashes` power cuts or until one goes wrong. Returns the number of the wrong one, 0 when there is none. */
static uint32_t run_rounds(struct run *run, uint32_t crashes)
{
    uint32_t boot = 1;
    for (uint32_t number = 1; run->shared->cuts < crashes; number++)
        if (!run_round(run, number, &boot)) return number;
    return 0;
}

/* ---- the program ---- */

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool sound_store_survives(uint64_t seed, uint32_t crashes, bool keep)
{
    struct run run;
    run_init(&run, seed, 0);
    double begin = now_s();
    uint32_t failed = run_rounds(&run, crashes);
    const struct shared *shared = run.shared;
    printf("sound: seed %llu, %llu power cuts, %llu kills, %llu stores compared, %llu commits, %llu "
           "replayed, %.1f s\n",
           (unsigned long long)seed, (unsigned long long)shared->cuts, (unsigned long long)shared->kills,
           (unsigned long long)shared->checked, (unsigned long long)shared->acknowledged,
           (unsigned long long)shared->replayed, now_s() - begin);
    if (failed) printf("FAILED in round %u: %s\n", failed, shared->why);
    run_fini(&run, keep && failed);
    return !failed;
}

static const struct {
    const char *name;
    unsigned flag;
} sabotages[] = {
    {"pin", STORE_SABOTAGE_PIN},
    {"checksum", STORE_SABOTAGE_CHECKSUM},
    {"gate", STORE_SABOTAGE_GATE},
};

static bool sabotage_is_caught(uint64_t seed, unsigned which, uint32_t crashes)
{
    struct run run;
    run_init(&run, seed, sabotages[which].flag);
    uint32_t failed = run_rounds(&run, crashes);
    if (failed)
        printf("sabotage %s: caught in round %u: %s\n", sabotages[which].name, failed, run.shared->why);
    else
        printf("FAILED: sabotage %s was not caught in %u power cuts\n", sabotages[which].name, crashes);
    run_fini(&run, false);
    return failed;
}

/* Enough for each of the three, by far. */
enum { SABOTAGE_CRASHES = 400 };

int main(int argc, char **argv)
{
    uint32_t crashes = 300;
    uint64_t seed = prng_entropy() % 1000000;
    const char *only = NULL;
    bool keep = false;
    for (int i = 1; i < argc; i++)
    {
        if (strcmp(argv[i], "--crashes") == 0 && i + 1 < argc)
            crashes = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--sabotage") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--keep") == 0)
            keep = true;
        else
        {
            fprintf(stderr, "usage: %s [--crashes N] [--seed S] [--sabotage pin|checksum|gate] [--keep]\n",
                    argv[0]);
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool good = true;
    if (!only) good = sound_store_survives(seed, crashes, keep);
    for (unsigned i = 0; good && i < sizeof sabotages / sizeof *sabotages; i++)
        if (!only || strcmp(only, sabotages[i].name) == 0)
            good = sabotage_is_caught(seed, i, SABOTAGE_CRASHES);
    return good ? 0 : 1;
}
