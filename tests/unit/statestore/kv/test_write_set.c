/* test_write_set.c - sets survive their bytes, and no foreign bytes pass that are not a set. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/base/prng.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

static void put(struct buf *set, struct slice key, struct slice value)
{
    write_set_append(set, &(struct write_entry){WRITE_PUT, key, value});
}

static void del(struct buf *set, struct slice key)
{
    write_set_append(set, &(struct write_entry){WRITE_DELETE, key, SLICE_EMPTY});
}

static enum status writes_ok(struct slice set)
{
    struct err err = ERR_INIT;
    return write_set_check(set, SPACE_ROWS, &err);
}

static enum status reads_ok(struct slice set)
{
    struct err err = ERR_INIT;
    return read_set_check(set, SPACE_ROWS, &err);
}

static void test_a_write_set_comes_back_as_it_was_built(void **state)
{
    struct buf set = BUF_INIT;
    put(&set, SLICE("ra\0x"), SLICE("one"));
    del(&set, SLICE("ra\0y"));
    put(&set, SLICE("rb\0"), SLICE_EMPTY);
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_OK);
    struct write_entry entry;
    size_t offset = 0;
    assert_true(write_set_next(buf_view(&set), &offset, &entry));
    assert_int_equal(entry.op, WRITE_PUT);
    assert_true(slice_equal(entry.key, SLICE("ra\0x")));
    assert_true(slice_is(entry.value, "one"));
    assert_true(write_set_next(buf_view(&set), &offset, &entry));
    assert_int_equal(entry.op, WRITE_DELETE);
    assert_true(slice_equal(entry.key, SLICE("ra\0y")));
    assert_int_equal(entry.value.size, 0);
    assert_true(write_set_next(buf_view(&set), &offset, &entry));
    assert_int_equal(entry.op, WRITE_PUT);
    assert_int_equal(entry.value.size, 0);
    assert_false(write_set_next(buf_view(&set), &offset, &entry));
    assert_int_equal(offset, set.size);
    buf_fini(&set);
}

static void test_the_bytes_of_a_write_entry_are_as_documented(void **state)
{
    struct buf set = BUF_INIT;
    put(&set, SLICE("r\0k"), SLICE("vw"));
    assert_int_equal(set.size, 12);
    assert_memory_equal(set.data, "\x01\x03\x00\x02\x00\x00\x00r\0kvw", 12);
    buf_reset(&set);
    read_set_append(&set, &(struct read_entry){READ_RANGE, SLICE("ra"), SLICE("rb")});
    assert_int_equal(set.size, 9);
    assert_memory_equal(set.data, "\x02\x02\x00\x02\x00rarb", 9);
    buf_fini(&set);
}

static void test_a_read_set_comes_back_as_it_was_built(void **state)
{
    struct buf set = BUF_INIT;
    read_set_append(&set, &(struct read_entry){READ_KEY, SLICE("rb\0x"), SLICE_EMPTY});
    read_set_append(&set, &(struct read_entry){READ_RANGE, SLICE("ra"), SLICE_EMPTY});
    read_set_append(&set, &(struct read_entry){READ_RANGE, SLICE("r"), SLICE("s")});
    assert_int_equal(reads_ok(buf_view(&set)), STATUS_OK);
    struct read_entry entry;
    size_t offset = 0;
    assert_true(read_set_next(buf_view(&set), &offset, &entry));
    assert_int_equal(entry.kind, READ_KEY);
    assert_true(slice_equal(entry.low, SLICE("rb\0x")));
    assert_true(read_set_next(buf_view(&set), &offset, &entry));
    assert_int_equal(entry.kind, READ_RANGE);
    assert_int_equal(entry.high.size, 0);
    assert_true(read_set_next(buf_view(&set), &offset, &entry));
    assert_true(slice_is(entry.high, "s"));
    assert_false(read_set_next(buf_view(&set), &offset, &entry));
    buf_fini(&set);
}

static void test_empty_sets_are_well_formed(void **state)
{
    assert_int_equal(writes_ok(SLICE_EMPTY), STATUS_OK);
    assert_int_equal(reads_ok(SLICE_EMPTY), STATUS_OK);
}

static void test_every_cut_of_a_set_is_refused_or_a_shorter_set(void **state)
{
    struct buf set = BUF_INIT;
    put(&set, SLICE("ra\0x"), SLICE("one"));
    size_t first = set.size;
    put(&set, SLICE("ra\0y"), SLICE("two"));
    for (size_t size = 1; size < set.size; size++)
    {
        /* A copy of exactly this size, so that the address sanitizer sees a read beyond it. */
        void *cut = mem_dup(slice_make(set.data, size));
        assert_int_equal(writes_ok(slice_make(cut, size)),
                         size == first ? STATUS_OK : STATUS_FUNCTION_PROTOCOL);
        free(cut);
    }
    buf_reset(&set);
    read_set_append(&set, &(struct read_entry){READ_RANGE, SLICE("ra"), SLICE("rb")});
    for (size_t size = 1; size < set.size; size++)
    {
        void *cut = mem_dup(slice_make(set.data, size));
        assert_int_equal(reads_ok(slice_make(cut, size)), STATUS_FUNCTION_PROTOCOL);
        free(cut);
    }
    buf_fini(&set);
}

static void test_order_and_uniqueness_are_required(void **state)
{
    struct buf set = BUF_INIT;
    put(&set, SLICE("rb\0"), SLICE("1"));
    put(&set, SLICE("ra\0"), SLICE("1"));
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_FUNCTION_PROTOCOL);
    buf_reset(&set);
    put(&set, SLICE("ra\0"), SLICE("1"));
    del(&set, SLICE("ra\0"));
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_FUNCTION_PROTOCOL);
    buf_fini(&set);
}

static void test_other_spaces_cannot_be_written_or_read(void **state)
{
    struct buf set = BUF_INIT;
    put(&set, SLICE("iapp\0k"), SLICE("1"));
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(write_set_check(buf_view(&set), SPACE_OUTCOMES, NULL), STATUS_OK);
    buf_reset(&set);
    put(&set, SLICE(""), SLICE("1"));
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_FUNCTION_PROTOCOL);
    buf_reset(&set);
    put(&set, SLICE("r no zero byte"), SLICE("1"));
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_FUNCTION_PROTOCOL);
    buf_reset(&set);
    read_set_append(&set, &(struct read_entry){READ_RANGE, SLICE("r"), SLICE("s\0")});
    assert_int_equal(reads_ok(buf_view(&set)), STATUS_FUNCTION_PROTOCOL);
    buf_reset(&set);
    read_set_append(&set, &(struct read_entry){READ_RANGE, SLICE("a"), SLICE("s")});
    assert_int_equal(reads_ok(buf_view(&set)), STATUS_FUNCTION_PROTOCOL);
    buf_reset(&set);
    read_set_append(&set, &(struct read_entry){READ_RANGE, SLICE("rb"), SLICE("ra")});
    assert_int_equal(reads_ok(buf_view(&set)), STATUS_FUNCTION_PROTOCOL);
    buf_fini(&set);
}

static void test_unknown_operations_and_kinds_are_refused(void **state)
{
    assert_int_equal(writes_ok(SLICE("\x03\x02\0\0\0\0\0r\0")), STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(writes_ok(SLICE("\x02\x02\0\x01\0\0\0r\0v")), STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(reads_ok(SLICE("\x00\x02\0\0\0r\0")), STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(reads_ok(SLICE("\x01\x02\0\x01\0r\0s")), STATUS_FUNCTION_PROTOCOL);
}

static void test_keys_and_values_beyond_their_limit_are_refused(void **state)
{
    static char key[BOUND_KEY_BYTES_MAX + 3] = "r";
    struct buf set = BUF_INIT;
    put(&set, slice_make(key, BOUND_KEY_BYTES_MAX + 2), SLICE_EMPTY);
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_OK);
    buf_reset(&set);
    put(&set, slice_make(key, BOUND_KEY_BYTES_MAX + 3), SLICE_EMPTY);
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_KEY_TOO_LONG);
    buf_reset(&set);
    char *value = mem_zalloc(BOUND_VALUE_BYTES_MAX + 1);
    put(&set, SLICE("r\0"), slice_make(value, BOUND_VALUE_BYTES_MAX + 1));
    assert_int_equal(writes_ok(buf_view(&set)), STATUS_VALUE_TOO_LARGE);
    free(value);
    buf_fini(&set);
}

static void test_too_many_reads_are_refused(void **state)
{
    struct buf set = BUF_INIT;
    for (int i = 0; i < BOUND_READ_SET_KEYS_MAX; i++)
        read_set_append(&set, &(struct read_entry){READ_KEY, SLICE("r\0"), SLICE_EMPTY});
    assert_int_equal(reads_ok(buf_view(&set)), STATUS_OK);
    read_set_append(&set, &(struct read_entry){READ_KEY, SLICE("r\0"), SLICE_EMPTY});
    assert_int_equal(reads_ok(buf_view(&set)), STATUS_READ_SET_TOO_LARGE);
    buf_fini(&set);
}

static void test_random_damage_never_reads_beyond_the_set(void **state)
{
    struct prng prng;
    prng_init(&prng, 7);
    struct buf set = BUF_INIT;
    put(&set, SLICE("ra\0x"), SLICE("one"));
    put(&set, SLICE("ra\0y"), SLICE("two"));
    for (int round = 0; round < 20000; round++)
    {
        uint8_t *copy = mem_dup(buf_view(&set));
        for (int i = 0; i < 3; i++) copy[prng_below(&prng, set.size)] = (uint8_t)prng_next(&prng);
        struct slice damaged = slice_make(copy, set.size);
        if (writes_ok(damaged) == STATUS_OK)
        {
            struct write_entry entry;
            size_t offset = 0;
            while (write_set_next(damaged, &offset, &entry)) assert_true(offset <= damaged.size);
        }
        (void)reads_ok(damaged); /* must only not read beyond */
        free(copy);
    }
    buf_fini(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_write_set_comes_back_as_it_was_built),
        cmocka_unit_test(test_the_bytes_of_a_write_entry_are_as_documented),
        cmocka_unit_test(test_a_read_set_comes_back_as_it_was_built),
        cmocka_unit_test(test_empty_sets_are_well_formed),
        cmocka_unit_test(test_every_cut_of_a_set_is_refused_or_a_shorter_set),
        cmocka_unit_test(test_order_and_uniqueness_are_required),
        cmocka_unit_test(test_other_spaces_cannot_be_written_or_read),
        cmocka_unit_test(test_unknown_operations_and_kinds_are_refused),
        cmocka_unit_test(test_keys_and_values_beyond_their_limit_are_refused),
        cmocka_unit_test(test_too_many_reads_are_refused),
        cmocka_unit_test(test_random_damage_never_reads_beyond_the_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
