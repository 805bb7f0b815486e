/* test_view.c - the three layers of rows against a model: random runs, chains, commits and scans. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/base/prng.h"
#include "sdk/src/view.h"
#include "statestore/kv/keyspace.h"
#include "tests/unit/sdk/fx_store.h"

/* ---- the model: rows as an ordered array ---- */

enum { KEYS = 64, VALUE_MAX = 48 };

struct model_row {
    bool present;
    char value[VALUE_MAX];
};

/* Every key that can occur, in order. */
struct keys {
    struct buf bytes[KEYS];
    int count;
};

struct world {
    struct fx_store store;
    struct stead__snapshot *snapshot;
    struct stead__arena arena;
    struct stead__view view;
    struct keys keys;
    struct model_row committed[KEYS]; /* what the snapshot has */
    struct model_row chain[KEYS]; /* and with the chain */
    struct model_row now[KEYS]; /* and with the run's own writes */
    uint64_t chain_id;
    struct prng prng;
};

static int by_key(const void *a, const void *b)
{
    return slice_compare(buf_view(a), buf_view(b));
}

static void make_keys(struct keys *keys)
{
    static const char *const entities[] = {"", "a", "a/1", "ab", "b", "\xff"};
    static const char *const names[] = {"", "\x01", "x", "x/1", "xy", "y", "\xff", "\xff\xff"};
    for (size_t e = 0; e < sizeof entities / sizeof entities[0]; e++)
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
        {
            struct buf *key = &keys->bytes[keys->count++];
            *key = BUF_INIT;
            assert_int_equal(keyspace_row(key, slice_cstr(entities[e]), slice_cstr(names[n]), NULL),
                             STATUS_OK);
        }
    qsort(keys->bytes, (size_t)keys->count, sizeof keys->bytes[0], by_key);
}

static struct slice key_at(const struct world *world, int index)
{
    return buf_view(&world->keys.bytes[index]);
}

static void install(struct world *world)
{
    struct store_snapshot *snapshot = world->store.snapshot;
    struct err err = ERR_INIT;
    enum status status = stead__snapshot_install(world->snapshot, store_snapshot_meta(snapshot),
                                                 store_snapshot_txn(snapshot), &err);
    if (status != STATUS_OK) fail_msg("%s", err_text(&err));
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    fx_store_open(&world->store);
    struct err err = ERR_INIT;
    if (stead__snapshot_open(&world->snapshot, store_data_fd(world->store.store), "/proc", &err) != STATUS_OK)
        fail_msg("%s", err_text(&err));
    install(world);
    stead__view_init(&world->view, &world->arena, world->snapshot);
    make_keys(&world->keys);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    stead__view_fini(&world->view);
    stead__arena_fini(&world->arena);
    stead__snapshot_close(world->snapshot);
    fx_store_close(&world->store);
    for (int i = 0; i < world->keys.count; i++) buf_fini(&world->keys.bytes[i]);
    free(world);
    return 0;
}

/* ---- checks ---- */

static void assert_value(struct slice value, const struct model_row *row)
{
    assert_int_equal(value.size, strlen(row->value));
    assert_memory_equal(value.data, row->value, value.size);
}

static void check_get(struct world *world, int index)
{
    struct slice value;
    enum status status = stead__view_get(&world->view, key_at(world, index), &value, NULL);
    const struct model_row *row = &world->now[index];
    assert_int_equal(status, row->present ? STATUS_OK : STATUS_NOT_FOUND);
    if (row->present) assert_value(value, row);
}

static void write_row(struct world *world, int index, const char *value)
{
    struct model_row *row = &world->now[index];
    row->present = value != NULL;
    enum status status = value ? stead__view_put(&world->view, key_at(world, index), slice_cstr(value), NULL)
                               : stead__view_delete(&world->view, key_at(world, index), NULL);
    assert_int_equal(status, STATUS_OK);
    if (value) snprintf(row->value, sizeof row->value, "%s", value);
}

static void write_random(struct world *world)
{
    int index = (int)prng_below(&world->prng, (uint64_t)world->keys.count);
    if (prng_chance(&world->prng, 1, 3))
    {
        write_row(world, index, NULL);
        return;
    }
    char value[VALUE_MAX];
    int size = (int)prng_below(&world->prng, VALUE_MAX - 1);
    snprintf(value, sizeof value, "%0*llu", size, (unsigned long long)prng_below(&world->prng, 1000));
    write_row(world, index, value);
}

/* Walks a random range to a random depth; sometimes the handler writes on the way, also ahead of the
 * walk. */
static void check_walk(struct world *world)
{
    int low = (int)prng_below(&world->prng, (uint64_t)world->keys.count);
    int high = low + (int)prng_below(&world->prng, (uint64_t)(world->keys.count - low) + 1);
    bool reverse = prng_chance(&world->prng, 1, 2), writes = prng_chance(&world->prng, 1, 4);
    bool open_end = high == world->keys.count;
    int steps = (int)prng_below(&world->prng, KEYS);
    struct slice end = open_end ? SLICE("s") : key_at(world, high);
    struct stead__walk *walk = stead__view_walk(&world->view, key_at(world, low), end, reverse);
    int at = reverse ? high - 1 : low;
    for (int step = 0; step < steps; step++)
    {
        if (writes && prng_chance(&world->prng, 1, 3)) write_random(world);
        while (at >= low && at < high && !world->now[at].present) at += reverse ? -1 : 1;
        struct slice key, value;
        enum status status = stead__walk_next(walk, &key, &value, NULL);
        if (at < low || at >= high)
        {
            assert_int_equal(status, STATUS_NOT_FOUND);
            return;
        }
        assert_int_equal(status, STATUS_OK);
        assert_true(slice_equal(key, key_at(world, at)));
        assert_value(value, &world->now[at]);
        at += reverse ? -1 : 1;
    }
}

/* What the encoded writes make of the rows below them is what the model says. */
static void check_writes(struct world *world, struct slice set)
{
    assert_int_equal(write_set_check(set, SPACE_ROWS, NULL), STATUS_OK);
    struct model_row rows[KEYS];
    memcpy(rows, world->chain, sizeof rows);
    struct write_entry entry;
    for (size_t offset = 0; write_set_next(set, &offset, &entry);)
        for (int i = 0; i < world->keys.count; i++)
        {
            if (!slice_equal(entry.key, key_at(world, i))) continue;
            rows[i].present = entry.op == WRITE_PUT;
            snprintf(rows[i].value, VALUE_MAX, "%.*s", SLICE_FMT(entry.value));
        }
    for (int i = 0; i < world->keys.count; i++)
    {
        assert_int_equal(rows[i].present, world->now[i].present);
        if (rows[i].present) assert_string_equal(rows[i].value, world->now[i].value);
    }
}

static void begin_run(struct world *world, bool validate)
{
    assert_int_equal(stead__view_begin(&world->view, world->chain_id, validate, validate, NULL), STATUS_OK);
}

static void run_once(struct world *world)
{
    memcpy(world->now, world->chain, sizeof world->now);
    begin_run(world, true);
    for (int i = (int)prng_below(&world->prng, 30); i > 0; i--)
    {
        uint64_t what = prng_below(&world->prng, 10);
        if (what < 4)
            check_get(world, (int)prng_below(&world->prng, (uint64_t)world->keys.count));
        else if (what < 7)
            write_random(world);
        else
            check_walk(world);
    }
}

/* Ends the run; a run that succeeds hands its writes to the chain, and to the store when the chain ends. */
static void end_run(struct world *world, bool success)
{
    struct buf reads = BUF_INIT, writes = BUF_INIT;
    stead__view_encode_reads(&world->view, &reads);
    stead__view_encode_writes(&world->view, &writes);
    assert_int_equal(read_set_check(buf_view(&reads), SPACE_ROWS, NULL), STATUS_OK);
    check_writes(world, buf_view(&writes));
    stead__view_end(&world->view, success);
    stead__arena_reset(&world->arena);
    if (success)
    {
        memcpy(world->chain, world->now, sizeof world->chain);
        fx_store_commit(&world->store, buf_view(&writes));
    }
    buf_fini(&reads);
    buf_fini(&writes);
}

static void new_chain(struct world *world, uint64_t chain)
{
    memcpy(world->committed, world->chain, sizeof world->committed);
    install(world);
    world->chain_id = chain;
    begin_run(world, false);
    stead__view_end(&world->view, false);
}

/* ---- promises ---- */

static void random_runs_see_what_the_model_says(void **state)
{
    struct world *world = *state;
    for (uint64_t seed = 1; seed <= 150; seed++)
    {
        prng_init(&world->prng, seed);
        new_chain(world, seed);
        for (int run = 0; run < 4; run++)
        {
            run_once(world);
            end_run(world, prng_chance(&world->prng, 2, 3));
        }
    }
}

/* The snapshot that is installed stays the same while the store goes on. */
static void a_snapshot_does_not_see_later_commits(void **state)
{
    struct world *world = *state;
    fx_store_put(&world->store, "a", "x", "first");
    install(world);
    store_snapshot_ref(world->store.snapshot);
    struct store_snapshot *pinned = world->store.snapshot;
    for (int i = 0; i < 20; i++) fx_store_put(&world->store, "a", "x", "later");
    struct buf key = BUF_INIT;
    assert_int_equal(keyspace_row(&key, SLICE("a"), SLICE("x"), NULL), STATUS_OK);
    struct slice value;
    assert_int_equal(stead__snapshot_get(world->snapshot, buf_view(&key), &value, NULL), STATUS_OK);
    assert_true(slice_is(value, "first"));
    install(world);
    assert_int_equal(stead__snapshot_get(world->snapshot, buf_view(&key), &value, NULL), STATUS_OK);
    assert_true(slice_is(value, "later"));
    store_snapshot_release(world->store.store, pinned);
    buf_fini(&key);
}

static void a_meta_of_another_size_or_transaction_is_refused(void **state)
{
    struct world *world = *state;
    struct slice meta = store_snapshot_meta(world->store.snapshot);
    uint64_t txn = store_snapshot_txn(world->store.snapshot);
    assert_int_equal(meta.size, STEAD__META_BYTES);
    struct slice cut = {meta.data, meta.size - 1};
    assert_int_equal(stead__snapshot_install(world->snapshot, cut, txn, NULL), STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(stead__snapshot_install(world->snapshot, meta, txn + 1, NULL), STATUS_FUNCTION_PROTOCOL);
    char zeros[STEAD__META_BYTES] = {0};
    assert_int_equal(stead__snapshot_install(world->snapshot, slice_make(zeros, sizeof zeros), 0, NULL),
                     STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(stead__snapshot_install(world->snapshot, meta, txn, NULL), STATUS_OK);
}

static void a_value_that_was_lent_outlives_its_replacement(void **state)
{
    struct world *world = *state;
    new_chain(world, 1);
    begin_run(world, false);
    write_row(world, 3, "before");
    struct slice value;
    assert_int_equal(stead__view_get(&world->view, key_at(world, 3), &value, NULL), STATUS_OK);
    write_row(world, 3, "after");
    write_row(world, 3, NULL);
    assert_true(slice_is(value, "before"));
    stead__view_end(&world->view, false);
}

/* ---- chains ---- */

/* One run of a chain: reads the number that its earlier runs left, leaves the next one. */
static enum status count_in_chain(struct world *world, uint64_t chain, bool first, uint64_t expected)
{
    enum status status = stead__view_begin(&world->view, chain, !first, !first, NULL);
    if (status != STATUS_OK) return status;
    struct slice value;
    status = stead__view_get(&world->view, key_at(world, 0), &value, NULL);
    assert_int_equal(status, expected > 0 ? STATUS_OK : STATUS_NOT_FOUND);
    uint64_t number = 0;
    if (expected > 0) memcpy(&number, value.data, sizeof number);
    assert_int_equal(number, expected);
    number++;
    assert_int_equal(
        stead__view_put(&world->view, key_at(world, 0), slice_make(&number, sizeof number), NULL), STATUS_OK);
    stead__view_end(&world->view, true);
    stead__arena_reset(&world->arena);
    return STATUS_OK;
}

static void many_chains_run_interleaved(void **state)
{
    struct world *world = *state;
    enum { CHAINS = STEAD__CHAIN_SETS * STEAD__CHAIN_WAYS };
    for (uint64_t round = 0; round < 5; round++)
        for (uint64_t chain = 1; chain <= CHAINS; chain++)
            assert_int_equal(count_in_chain(world, chain, round == 0, round), STATUS_OK);
}

static void a_chain_that_was_forgotten_is_refused(void **state)
{
    struct world *world = *state;
    for (uint64_t chain = 1; chain <= 5000; chain++)
        assert_int_equal(count_in_chain(world, chain, true, 0), STATUS_OK);
    assert_int_equal(count_in_chain(world, 1, false, 1), STATUS_CONFLICT);
    assert_int_equal(count_in_chain(world, 4999, false, 1), STATUS_OK);
    assert_int_equal(count_in_chain(world, 6000, false, 0), STATUS_CONFLICT);
}

static void chains_that_take_too_much_are_forgotten(void **state)
{
    struct world *world = *state;
    char *large = calloc(1, 20 * MIB);
    for (uint64_t chain = 1; chain <= 4; chain++)
    {
        assert_int_equal(stead__view_begin(&world->view, chain, false, false, NULL), STATUS_OK);
        assert_int_equal(stead__view_put(&world->view, key_at(world, 1), slice_make(large, 20 * MIB), NULL),
                         STATUS_OK);
        stead__view_end(&world->view, true);
        stead__arena_reset(&world->arena);
    }
    assert_int_equal(stead__view_begin(&world->view, 1, true, true, NULL), STATUS_CONFLICT);
    for (uint64_t chain = 2; chain <= 4; chain++)
    {
        struct slice value;
        assert_int_equal(stead__view_begin(&world->view, chain, true, true, NULL), STATUS_OK);
        assert_int_equal(stead__view_get(&world->view, key_at(world, 1), &value, NULL), STATUS_OK);
        assert_int_equal(value.size, 20 * MIB);
        stead__view_end(&world->view, false);
    }
    free(large);
}

/* ---- the read set ---- */

static bool is_read(struct slice set, struct slice key)
{
    struct read_entry entry;
    for (size_t offset = 0; read_set_next(set, &offset, &entry);)
    {
        if (entry.kind == READ_KEY && slice_equal(entry.low, key)) return true;
        bool below = entry.high.size == 0 || slice_compare(key, entry.high) < 0;
        if (entry.kind == READ_RANGE && slice_compare(entry.low, key) <= 0 && below) return true;
    }
    return false;
}

static int count_entries(struct slice set)
{
    struct read_entry entry;
    int count = 0;
    for (size_t offset = 0; read_set_next(set, &offset, &entry);) count++;
    return count;
}

static void walk_steps(struct world *world, int low, int high, bool reverse, int steps)
{
    struct stead__walk *walk =
        stead__view_walk(&world->view, key_at(world, low), key_at(world, high), reverse);
    struct slice key, value;
    while (steps-- > 0) assert_int_equal(stead__walk_next(walk, &key, &value, NULL), STATUS_OK);
}

static void what_was_read_is_recorded_once_and_no_further(void **state)
{
    struct world *world = *state;
    new_chain(world, 1);
    begin_run(world, true);
    for (int i = 0; i < 30; i++) write_row(world, i, "v");
    end_run(world, true);
    new_chain(world, 2);
    begin_run(world, true);
    check_get(world, 40); /* missing: its absence was read */
    check_get(world, 40);
    check_get(world, 2);
    write_row(world, 45, "own");
    check_get(world, 45); /* its own write tells it nothing about the store */
    walk_steps(world, 5, 20, false, 3); /* rows 5, 6, 7 */
    walk_steps(world, 6, 20, false, 3); /* 6, 7, 8: one range with the one before */
    walk_steps(world, 10, 20, true, 2); /* 19, 18 */
    struct buf set = BUF_INIT;
    stead__view_encode_reads(&world->view, &set);
    assert_int_equal(count_entries(buf_view(&set)), 4);
    static const int read[] = {40, 2, 5, 6, 7, 8, 18, 19}, unread[] = {45, 3, 4, 9, 10, 17, 20, 41};
    for (size_t i = 0; i < sizeof read / sizeof read[0]; i++)
        assert_true(is_read(buf_view(&set), key_at(world, read[i])));
    for (size_t i = 0; i < sizeof unread / sizeof unread[0]; i++)
        assert_false(is_read(buf_view(&set), key_at(world, unread[i])));
    buf_fini(&set);
    stead__view_end(&world->view, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(random_runs_see_what_the_model_says),
        TEST(a_snapshot_does_not_see_later_commits),
        TEST(a_meta_of_another_size_or_transaction_is_refused),
        TEST(a_value_that_was_lent_outlives_its_replacement),
        TEST(many_chains_run_interleaved),
        TEST(a_chain_that_was_forgotten_is_refused),
        TEST(chains_that_take_too_much_are_forgotten),
        TEST(what_was_read_is_recorded_once_and_no_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
