/* test_buf.c - growing bytes, slices and the allocator that does not fail. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/prng.h"

static void appended_pieces_of_any_size_come_out_in_order(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    static uint8_t model[400000];
    size_t size = 0;
    struct buf buf = BUF_INIT;
    while (size < sizeof model - 3000)
    {
        size_t piece = prng_below(&prng, prng_chance(&prng, 1, 10) ? 3000 : 20);
        for (size_t i = 0; i < piece; i++) model[size + i] = (uint8_t)prng_next(&prng);
        buf_append(&buf, slice_make(model + size, piece));
        size += piece;
        assert_int_equal(buf.size, size);
        assert_true(buf.capacity >= buf.size);
    }
    assert_memory_equal(buf.data, model, size);

    buf_consume(&buf, 1000);
    assert_true(slice_equal(buf_view(&buf), slice_make(model + 1000, size - 1000)));
    buf_consume(&buf, buf.size);
    assert_int_equal(buf.size, 0);
    buf_fini(&buf);
}

static void reserved_room_keeps_the_content_and_the_size(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_append_cstr(&buf, "abc");
    uint8_t *room = buf_reserve(&buf, 100000);
    assert_ptr_equal(room, buf.data + 3);
    assert_int_equal(buf.size, 3);
    memset(room, 'x', 100000);
    assert_memory_equal(buf.data, "abcx", 4);
    buf_fini(&buf);
}

static void text_has_a_zero_behind_it_that_does_not_count(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    assert_string_equal(buf_cstr(&buf), "");
    buf_printf(&buf, "%s-%d", "n", 42);
    buf_append_byte(&buf, '!');
    buf_printf(&buf, "%s", "");
    assert_string_equal(buf_cstr(&buf), "n-42!");
    assert_int_equal(buf.size, 5);

    char *long_text = mem_alloc(10001);
    memset(long_text, 'y', 10000);
    long_text[10000] = 0;
    buf_reset(&buf);
    buf_printf(&buf, "%s", long_text);
    assert_string_equal(buf_cstr(&buf), long_text);
    free(long_text);
    buf_fini(&buf);
    assert_null(buf.data);
}

static void copies_are_independent_of_their_source(void **state)
{
    (void)state;
    char source[] = "hello";
    char *text = mem_strdup(source);
    char *part = mem_cstr(slice_make(source, 2));
    uint8_t *bytes = mem_dup(slice_make(source, 5));
    void *nothing = mem_dup(SLICE_EMPTY);
    memset(source, 'z', 5);
    assert_string_equal(text, "hello");
    assert_string_equal(part, "he");
    assert_memory_equal(bytes, "hello", 5);
    assert_non_null(nothing);
    free(text);
    free(part);
    free(bytes);
    free(nothing);
}

static void slices_are_ordered_by_bytes_and_then_by_length(void **state)
{
    (void)state;
    const struct slice ordered[] = {SLICE_EMPTY, SLICE("\0"), SLICE("a"),    SLICE("a\0"),
                                    SLICE("aa"), SLICE("b"),  SLICE("\x7f"), SLICE("\xff")};
    enum { COUNT = sizeof ordered / sizeof *ordered };
    for (int i = 0; i < COUNT; i++)
    {
        for (int j = 0; j < COUNT; j++)
        {
            int order = slice_compare(ordered[i], ordered[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(slice_equal(ordered[i], ordered[j]), i == j);
        }
    }
    assert_true(slice_starts_with(SLICE("cart/42"), SLICE("cart/")));
    assert_true(slice_starts_with(SLICE("cart"), SLICE_EMPTY));
    assert_false(slice_starts_with(SLICE("car"), SLICE("cart")));
    assert_true(slice_is(SLICE("POST"), "POST"));
    assert_false(slice_is(SLICE("POST\0"), "POST"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_pieces_of_any_size_come_out_in_order),
        cmocka_unit_test(reserved_room_keeps_the_content_and_the_size),
        cmocka_unit_test(text_has_a_zero_behind_it_that_does_not_count),
        cmocka_unit_test(copies_are_independent_of_their_source),
        cmocka_unit_test(slices_are_ordered_by_bytes_and_then_by_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
