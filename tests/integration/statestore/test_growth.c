/* test_growth.c - over a long run neither the data file nor the log grows without end, also with a slow reader. */
// SPDX-License-Identifier: Apache-2.0
//
//     test_growth [commits]
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/base/prng.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/statestore/fx_store.h"

enum {
    ROWS = 2000,
    ROW_BYTES = 500,
    IN_FLIGHT = 16,
    ROWS_PER_COMMIT = 5,
    SLOW_READER_COMMITS = 500,
    OVERDUE_COMMITS = 1500
};

static unsigned commits_total = 30000;

struct slot {
    struct store_commit commit;
    struct run *run;
    struct buf writes;
    bool busy;
};

struct run {
    struct fx_store fx;
    struct prng prng;
    unsigned in_flight;
    unsigned done;
    struct slot slots[IN_FLIGHT];
};

static void on_applied(struct store_commit *commit)
{
    assert_int_equal(commit->status, STATUS_OK);
}

static void on_durable(struct store_commit *commit)
{
    struct slot *slot = CONTAINER_OF(commit, struct slot, commit);
    assert_int_equal(commit->status, STATUS_OK);
    slot->busy = false;
    slot->run->in_flight--;
    slot->run->done++;
}

static void submit(struct run *run, struct slot *slot)
{
    static char value[ROW_BYTES];
    struct buf key = BUF_INIT;
    buf_reset(&slot->writes);
    uint64_t row = prng_below(&run->prng, ROWS / ROWS_PER_COMMIT);
    for (int i = 0; i < ROWS_PER_COMMIT; i++, row += ROWS / ROWS_PER_COMMIT)
    {
        char name[24];
        snprintf(name, sizeof name, "row%06llu", (unsigned long long)row);
        buf_reset(&key);
        assert_int_equal(keyspace_row(&key, SLICE_EMPTY, slice_cstr(name), NULL), STATUS_OK);
        struct slice bytes = slice_make(value, 100 + prng_below(&run->prng, ROW_BYTES - 100));
        write_set_append(&slot->writes, &(struct write_entry){WRITE_PUT, buf_view(&key), bytes});
    }
    buf_fini(&key);
    slot->run = run;
    slot->busy = true;
    slot->commit = (struct store_commit){.applied = on_applied, .durable = on_durable};
    slot->commit.writes[0] = buf_view(&slot->writes);
    run->in_flight++;
    store_submit(run->fx.store, &slot->commit);
}

struct peak {
    uint64_t data_bytes;
    uint64_t log_bytes;
};

/* Commits until `until` are done; a reader holds each snapshot that it takes for a long time. */
static struct peak work(struct run *run, unsigned until, bool slow_reader)
{
    struct peak peak = {0};
    struct store_snapshot *held = NULL;
    unsigned held_since = 0, checkpoint_since = run->done;
    uint64_t checkpoints = 0;
    while (run->done < until)
    {
        for (int i = 0; i < IN_FLIGHT; i++)
            if (!run->slots[i].busy) submit(run, &run->slots[i]);
        fx_turn(&run->fx);
        if (held && run->done - held_since > SLOW_READER_COMMITS)
        {
            store_snapshot_release(run->fx.store, held);
            held = NULL;
        }
        if (slow_reader && !held)
        {
            held = store_snapshot_take(run->fx.store);
            held_since = run->done;
        }
        struct store_stats stats;
        store_stats(run->fx.store, &stats);
        if (stats.checkpoints != checkpoints)
        {
            checkpoints = stats.checkpoints;
            checkpoint_since = run->done;
        }
        /* A disk that others keep busy delays them, and the level with them: here that must not decide. */
        else if (run->done - checkpoint_since > OVERDUE_COMMITS)
            assert_int_equal(store_checkpoint(run->fx.store, NULL), STATUS_OK);
        if (stats.data_bytes > peak.data_bytes) peak.data_bytes = stats.data_bytes;
        if (stats.log_bytes > peak.log_bytes) peak.log_bytes = stats.log_bytes;
    }
    if (held) store_snapshot_release(run->fx.store, held);
    return peak;
}

static void grow(bool slow_reader)
{
    struct run *run = mem_zalloc(sizeof *run);
    prng_init(&run->prng, 5);
    fx_store_init(&run->fx);
    run->fx.config.checkpoint_bytes = 4 * MIB;
    run->fx.config.checkpoint_ms = 500;
    run->fx.config.log_segment_bytes = 1 * MIB;
    run->fx.config.log_keep_bytes = 2 * MIB;
    fx_store_open(&run->fx);
    struct peak first = work(run, commits_total / 2, slow_reader);
    struct peak second = work(run, commits_total, slow_reader);
    while (run->in_flight > 0) fx_turn(&run->fx);
    struct store_stats stats;
    store_stats(run->fx.store, &stats);
    print_message("%s reader: %u commits, %llu batches, %llu checkpoints; data %llu and %llu KiB, log %llu "
                  "and %llu KiB\n",
                  slow_reader ? "slow" : "no", run->done, (unsigned long long)stats.batches,
                  (unsigned long long)stats.checkpoints, (unsigned long long)first.data_bytes >> 10,
                  (unsigned long long)second.data_bytes >> 10, (unsigned long long)first.log_bytes >> 10,
                  (unsigned long long)second.log_bytes >> 10);
    assert_true(stats.checkpoints > 3);
    /* What is rewritten during two checkpoints and the reader's time, which depends on the disk: it reaches a level
     * and stays there. Without checkpoints' and readers' pins given back it would be gigabytes. */
    assert_true(second.data_bytes < 2 * first.data_bytes + 16 * MIB);
    assert_true(second.data_bytes < 512 * MIB);
    assert_true(second.log_bytes < 24 * MIB);
    for (int i = 0; i < IN_FLIGHT; i++) buf_fini(&run->slots[i].writes);
    fx_store_fini(&run->fx);
    free(run);
}

static void test_files_stay_small_over_a_long_run(void **state)
{
    grow(false);
}

static void test_files_stay_small_with_a_slow_reader(void **state)
{
    grow(true);
}

int main(int argc, char **argv)
{
    if (argc == 2) commits_total = (unsigned)strtoul(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_stay_small_over_a_long_run),
        cmocka_unit_test(test_files_stay_small_with_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
