/* test_keyspace.c - row keys: bytes, order, ranges and limits. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "statestore/kv/keyspace.h"

static void assert_bytes(const struct buf *buf, const char *bytes, size_t size)
{
    assert_int_equal(buf->size, size);
    assert_memory_equal(buf->data, bytes, size);
}

static void test_a_row_key_is_space_entity_zero_name(void **state)
{
    struct buf key = BUF_INIT;
    struct err err;
    assert_int_equal(keyspace_row(&key, SLICE("cart/42"), SLICE("total"), &err), STATUS_OK);
    assert_bytes(&key, "rcart/42\0total", 14);
    struct slice entity, name;
    assert_true(keyspace_row_split(buf_view(&key), &entity, &name));
    assert_true(slice_is(entity, "cart/42"));
    assert_true(slice_is(name, "total"));
    buf_fini(&key);
}

static void test_entity_and_name_may_be_empty(void **state)
{
    struct buf key = BUF_INIT;
    struct err err;
    assert_int_equal(keyspace_row(&key, SLICE_EMPTY, SLICE_EMPTY, &err), STATUS_OK);
    assert_bytes(&key, "r\0", 2);
    struct slice entity, name;
    assert_true(keyspace_row_split(buf_view(&key), &entity, &name));
    assert_int_equal(entity.size, 0);
    assert_int_equal(name.size, 0);
    buf_fini(&key);
}

static void test_a_name_may_have_zero_bytes_an_entity_not(void **state)
{
    struct buf key = BUF_INIT;
    struct err err;
    assert_int_equal(keyspace_row(&key, SLICE("a\0b"), SLICE("n"), &err), STATUS_ENTITY_INVALID);
    assert_int_equal(key.size, 0);
    assert_int_equal(keyspace_row(&key, SLICE("a"), SLICE("n\0m"), &err), STATUS_OK);
    struct slice entity, name;
    assert_true(keyspace_row_split(buf_view(&key), &entity, &name));
    assert_int_equal(name.size, 3);
    buf_fini(&key);
}

static void test_limits_are_exact(void **state)
{
    static const char bytes[BOUND_KEY_BYTES_MAX + 1] = {[0 ... BOUND_KEY_BYTES_MAX] = 'x'};
    struct buf key = BUF_INIT;
    struct err err;
    assert_int_equal(keyspace_row(&key, slice_make(bytes, 400), slice_make(bytes, 100), &err), STATUS_OK);
    assert_int_equal(key.size, 502);
    buf_reset(&key);
    assert_int_equal(keyspace_row(&key, slice_make(bytes, 400), slice_make(bytes, 101), &err),
                     STATUS_KEY_TOO_LONG);
    assert_non_null(strstr(err_text(&err), "101"));
    assert_int_equal(keyspace_row(&key, slice_make(bytes, 401), SLICE_EMPTY, &err), STATUS_ENTITY_INVALID);
    assert_int_equal(keyspace_row(&key, SLICE_EMPTY, slice_make(bytes, 501), &err), STATUS_KEY_TOO_LONG);
    assert_int_equal(key.size, 0);
    buf_fini(&key);
}

static void test_foreign_keys_are_not_taken_apart(void **state)
{
    struct slice entity, name;
    assert_false(keyspace_row_split(SLICE_EMPTY, &entity, &name));
    assert_false(keyspace_row_split(SLICE("r"), &entity, &name));
    assert_false(keyspace_row_split(SLICE("rcart"), &entity, &name));
    assert_false(keyspace_row_split(SLICE("icart\0x"), &entity, &name));
}

static bool in_range(struct slice key, const struct buf *low, const struct buf *high)
{
    return slice_compare(key, buf_view(low)) >= 0 && slice_compare(key, buf_view(high)) < 0;
}

static void test_a_row_range_holds_the_rows_of_one_entity_only(void **state)
{
    struct buf low = BUF_INIT, high = BUF_INIT;
    struct err err;
    assert_int_equal(keyspace_row_range(&low, &high, SLICE("a"), SLICE_EMPTY, &err), STATUS_OK);
    assert_true(in_range(SLICE("ra\0"), &low, &high));
    assert_true(in_range(SLICE("ra\0zzz"), &low, &high));
    assert_true(in_range(SLICE("ra\0\xff\xff"), &low, &high));
    assert_false(in_range(SLICE("raa\0"), &low, &high));
    assert_false(in_range(SLICE("r\0a"), &low, &high));
    assert_false(in_range(SLICE("s"), &low, &high));
    buf_reset(&low);
    buf_reset(&high);
    assert_int_equal(keyspace_row_range(&low, &high, SLICE("a"), SLICE("n\xff"), &err), STATUS_OK);
    assert_true(in_range(SLICE("ra\0n\xff\x01"), &low, &high));
    assert_false(in_range(SLICE("ra\0n\xfe"), &low, &high));
    assert_false(in_range(SLICE("ra\0o"), &low, &high));
    buf_fini(&low);
    buf_fini(&high);
}

static void test_an_entity_range_holds_all_entities_with_the_prefix(void **state)
{
    struct buf low = BUF_INIT, high = BUF_INIT;
    struct err err;
    assert_int_equal(keyspace_entity_range(&low, &high, SLICE("cart/"), &err), STATUS_OK);
    assert_true(in_range(SLICE("rcart/1\0n"), &low, &high));
    assert_false(in_range(SLICE("rcart\0n"), &low, &high));
    assert_false(in_range(SLICE("rcart0\0n"), &low, &high));
    buf_reset(&low);
    buf_reset(&high);
    assert_int_equal(keyspace_entity_range(&low, &high, SLICE_EMPTY, &err), STATUS_OK);
    assert_bytes(&low, "r", 1);
    assert_bytes(&high, "s", 1);
    buf_fini(&low);
    buf_fini(&high);
}

static void test_the_successor_is_the_end_of_a_prefix(void **state)
{
    struct buf out = BUF_INIT;
    assert_true(keyspace_successor(&out, SLICE("ab")));
    assert_bytes(&out, "ac", 2);
    buf_reset(&out);
    assert_true(keyspace_successor(&out, SLICE("a\xff\xff")));
    assert_bytes(&out, "b", 1);
    buf_reset(&out);
    assert_false(keyspace_successor(&out, SLICE("\xff\xff")));
    assert_false(keyspace_successor(&out, SLICE_EMPTY));
    assert_int_equal(out.size, 0);
    buf_fini(&out);
}

static void the_hashed_part_is_what_stands_in_the_first_braces(void **state)
{
    (void)state;
    static const struct {
        const char *entity, *tag;
    } rows[] = {
        {"cart/42", "cart/42"}, {"cart/{42}", "42"}, {"{42}/x{43}", "42"}, {"a{}b", "a{}b"},
        {"a{b", "a{b"},         {"a}b{c}", "c"},     {"{", "{"},           {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(slice_is(keyspace_hash_tag(slice_cstr(rows[i].entity)), rows[i].tag));
}

static void an_entity_is_always_in_the_same_partition(void **state)
{
    (void)state;
    /* On disk for ever: these numbers must never change. */
    static const struct {
        const char *entity;
        uint32_t of_4, of_7;
    } rows[] = {
        {"cart/1", 1, 1},
        {"cart/2", 2, 3},
        {"user/alice", 3, 4},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
        assert_int_equal(keyspace_partition(slice_cstr(rows[i].entity), 1), 0);
        assert_int_equal(keyspace_partition(slice_cstr(rows[i].entity), 4), rows[i].of_4);
        assert_int_equal(keyspace_partition(slice_cstr(rows[i].entity), 7), rows[i].of_7);
    }
    assert_int_equal(keyspace_partition(SLICE("cart/{9}"), 64), keyspace_partition(SLICE("order/{9}"), 64));
}

static void entities_spread_evenly_over_partitions(void **state)
{
    (void)state;
    enum { PARTITIONS = 8, ENTITIES = 8000 };
    int counts[PARTITIONS] = {0};
    for (int i = 0; i < ENTITIES; i++)
    {
        char entity[32];
        snprintf(entity, sizeof entity, "e/%d", i);
        counts[keyspace_partition(slice_cstr(entity), PARTITIONS)]++;
    }
    for (int i = 0; i < PARTITIONS; i++)
        assert_in_range(counts[i], ENTITIES / PARTITIONS * 8 / 10, ENTITIES / PARTITIONS * 12 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_key_is_space_entity_zero_name),
        cmocka_unit_test(test_entity_and_name_may_be_empty),
        cmocka_unit_test(test_a_name_may_have_zero_bytes_an_entity_not),
        cmocka_unit_test(test_limits_are_exact),
        cmocka_unit_test(test_foreign_keys_are_not_taken_apart),
        cmocka_unit_test(test_a_row_range_holds_the_rows_of_one_entity_only),
        cmocka_unit_test(test_an_entity_range_holds_all_entities_with_the_prefix),
        cmocka_unit_test(test_the_successor_is_the_end_of_a_prefix),
        cmocka_unit_test(the_hashed_part_is_what_stands_in_the_first_braces),
        cmocka_unit_test(an_entity_is_always_in_the_same_partition),
        cmocka_unit_test(entities_spread_evenly_over_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
