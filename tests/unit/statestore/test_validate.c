/* test_validate.c - reads against recent writes: keys, ranges, chains, pruning; and against a plain model. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "runtime/base/buf.h"
#include "statestore/kv/write_set.h"
#include "statestore/validate.h"

static void note(struct validate *validate, const char *key, uint64_t seq, uint64_t chain)
{
    struct buf writes = BUF_INIT;
    write_set_append(&writes, &(struct write_entry){WRITE_PUT, slice_cstr(key), SLICE("v")});
    validate_note(validate, buf_view(&writes), seq, chain);
    buf_fini(&writes);
}

static bool key_current(const struct validate *validate, const char *key, uint64_t snapshot, uint64_t chain)
{
    struct buf reads = BUF_INIT;
    read_set_append(&reads, &(struct read_entry){READ_KEY, slice_cstr(key), SLICE_EMPTY});
    bool current = validate_reads(validate, buf_view(&reads), snapshot, chain);
    buf_fini(&reads);
    return current;
}

static bool range_current(const struct validate *validate, const char *low, const char *high,
                          uint64_t snapshot, uint64_t chain)
{
    struct buf reads = BUF_INIT;
    read_set_append(&reads, &(struct read_entry){READ_RANGE, slice_cstr(low), slice_cstr(high)});
    bool current = validate_reads(validate, buf_view(&reads), snapshot, chain);
    buf_fini(&reads);
    return current;
}

/* Four writes: b at 11 (chain 1), d at 12, f at 13 (chain 2), b again at 14 (chain 2). */
static void setup(struct validate *validate)
{
    validate_init(validate, 10, 1 << 20);
    note(validate, "b", 11, 1);
    note(validate, "d", 12, 0);
    note(validate, "f", 13, 2);
    note(validate, "b", 14, 2);
}

static void test_a_key_is_current_when_nobody_wrote_it_after_the_snapshot(void **state)
{
    static const struct {
        const char *key;
        uint64_t snapshot;
        bool current;
    } table[] = {
        {"a", 10, true}, {"b", 10, false}, {"b", 13, false}, {"b", 14, true},
        {"c", 10, true}, {"d", 11, false}, {"d", 12, true},  {"f", 12, false},
        {"f", 13, true}, {"bb", 10, true}, {"", 10, true},
    };
    struct validate validate;
    setup(&validate);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(key_current(&validate, table[i].key, table[i].snapshot, 0), table[i].current);
    validate_fini(&validate);
}

static void test_a_range_is_current_when_no_row_in_it_came_went_or_changed(void **state)
{
    static const struct {
        const char *low, *high;
        uint64_t snapshot;
        bool current;
    } table[] = {
        {"a", "b", 10, true}, {"a", "c", 10, false}, {"b", "c", 13, false}, {"b", "c", 14, true},
        {"c", "d", 10, true}, {"c", "e", 11, false}, {"c", "e", 12, true},  {"e", "", 12, false},
        {"e", "", 13, true},  {"g", "", 10, true},   {"", "", 13, false},   {"", "", 14, true},
    };
    struct validate validate;
    setup(&validate);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(range_current(&validate, table[i].low, table[i].high, table[i].snapshot, 0),
                         table[i].current);
    validate_fini(&validate);
}

static void test_the_writes_of_the_own_chain_are_no_change(void **state)
{
    struct validate validate;
    setup(&validate);
    assert_true(key_current(&validate, "b", 10, 2));
    assert_false(key_current(&validate, "b", 10, 1)); /* it wrote b, but somebody did after it */
    assert_true(key_current(&validate, "f", 10, 2));
    assert_false(key_current(&validate, "d", 10, 2));
    assert_true(range_current(&validate, "e", "", 10, 2));
    assert_false(range_current(&validate, "c", "", 10, 2));
    validate_fini(&validate);
}

static void test_empty_reads_need_no_check_even_on_an_old_snapshot(void **state)
{
    struct validate validate;
    setup(&validate);
    assert_true(validate_reads(&validate, SLICE_EMPTY, 3, 0));
    validate_fini(&validate);
}

static void test_pruned_snapshots_are_never_current(void **state)
{
    struct validate validate;
    setup(&validate);
    validate_prune(&validate, 13);
    assert_int_equal(validate.keys, 1);
    assert_false(key_current(&validate, "a", 12, 0));
    assert_true(key_current(&validate, "a", 13, 0));
    assert_false(key_current(&validate, "b", 13, 0));
    validate_prune(&validate, 5); /* going back is nothing */
    assert_false(key_current(&validate, "a", 12, 0));
    validate_prune(&validate, 20);
    assert_int_equal(validate.keys, 0);
    assert_int_equal(validate.bytes, 0);
    validate_fini(&validate);
}

static void test_a_full_index_forgets_its_oldest_writes_and_refuses_their_snapshots(void **state)
{
    struct validate validate;
    validate_init(&validate, 0, 2000);
    for (uint64_t seq = 1; seq <= 1000; seq++)
    {
        char key[16];
        snprintf(key, sizeof key, "key%04d", (int)seq);
        note(&validate, key, seq, 0);
        assert_true(validate.bytes <= 2000);
    }
    assert_true(validate.keys > 5);
    assert_false(key_current(&validate, "other", 0, 0));
    assert_true(key_current(&validate, "other", 999, 0));
    assert_false(key_current(&validate, "key1000", 999, 0));
    validate_fini(&validate);
}

static void test_what_was_undone_is_a_change_for_older_snapshots_only(void **state)
{
    struct validate validate;
    setup(&validate);
    validate_undo(&validate, 12);
    assert_true(key_current(&validate, "f", 12, 0));
    assert_true(key_current(&validate, "b", 12, 0));
    assert_false(key_current(&validate, "b", 11, 0));
    assert_false(key_current(&validate, "d", 11, 0));
    validate_fini(&validate);
}

static void test_a_failed_chain_stays_failed_until_its_owner_was_told(void **state)
{
    struct validate validate;
    validate_init(&validate, 0, 1 << 20);
    assert_false(validate_chain_failed(&validate, 7));
    validate_chain_fail(&validate, 7, 3);
    validate_chain_fail(&validate, 7, 5);
    validate_chain_fail(&validate, 8, 5);
    validate_chain_fail(&validate, 0, 5);
    assert_true(validate_chain_failed(&validate, 7));
    assert_false(validate_chain_failed(&validate, 0));
    validate_chain_forget(&validate, 2);
    assert_true(validate_chain_failed(&validate, 7));
    validate_chain_forget(&validate, 3);
    assert_false(validate_chain_failed(&validate, 7));
    assert_true(validate_chain_failed(&validate, 8));
    validate_fini(&validate);
}

/* The model: the whole history of writes, searched from end to end. */
struct history {
    uint8_t key;
    uint8_t chain;
};

static bool model_current(const struct history *history, uint64_t last, uint8_t low, uint8_t high,
                          uint64_t snapshot, uint64_t chain)
{
    for (int key = low; key < high; key++)
    {
        uint64_t seq = last;
        while (seq > snapshot && history[seq].key != key) seq--;
        if (seq > snapshot && (chain == 0 || history[seq].chain != chain)) return false;
    }
    return true;
}

static void test_random_histories_agree_with_a_plain_model(void **state)
{
    static struct history history[4001];
    struct prng prng;
    prng_init(&prng, 11);
    struct validate validate;
    validate_init(&validate, 0, 1 << 20);
    uint64_t oldest = 0;
    for (uint64_t seq = 1; seq <= 4000; seq++)
    {
        history[seq].key = (uint8_t)(1 + prng_below(&prng, 60));
        history[seq].chain = (uint8_t)prng_below(&prng, 4);
        char key[2] = {(char)history[seq].key, 0};
        note(&validate, key, seq, history[seq].chain);
        if (seq > 40 && prng_chance(&prng, 1, 10)) validate_prune(&validate, oldest = seq - 40);
        uint64_t snapshot = oldest + prng_below(&prng, seq - oldest + 1);
        uint8_t low = (uint8_t)(1 + prng_below(&prng, 60)), high = (uint8_t)(low + 1 + prng_below(&prng, 6));
        char low_key[2] = {(char)low, 0}, high_key[2] = {(char)high, 0};
        uint64_t chain = prng_below(&prng, 4);
        assert_int_equal(range_current(&validate, low_key, high_key, snapshot, chain),
                         model_current(history, seq, low, high, snapshot, chain));
        assert_int_equal(key_current(&validate, low_key, snapshot, chain),
                         model_current(history, seq, low, (uint8_t)(low + 1), snapshot, chain));
    }
    validate_fini(&validate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_current_when_nobody_wrote_it_after_the_snapshot),
        cmocka_unit_test(test_a_range_is_current_when_no_row_in_it_came_went_or_changed),
        cmocka_unit_test(test_the_writes_of_the_own_chain_are_no_change),
        cmocka_unit_test(test_empty_reads_need_no_check_even_on_an_old_snapshot),
        cmocka_unit_test(test_pruned_snapshots_are_never_current),
        cmocka_unit_test(test_a_full_index_forgets_its_oldest_writes_and_refuses_their_snapshots),
        cmocka_unit_test(test_what_was_undone_is_a_change_for_older_snapshots_only),
        cmocka_unit_test(test_a_failed_chain_stays_failed_until_its_owner_was_told),
        cmocka_unit_test(test_random_histories_agree_with_a_plain_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
