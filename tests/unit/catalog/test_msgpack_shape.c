/* test_msgpack_shape.c - the shape check agrees with msgpack-c about what is whole, and refuses what would cost memory. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/prng.h"
#include "runtime/catalog/msgpack_shape.h"

static void whole_values_are_valid_and_every_cut_or_extended_one_is_not(void **state)
{
    (void)state;
    const struct slice whole[] = {
        SLICE("\x00"),
        SLICE("\xc0"),
        SLICE("\xe0"),
        SLICE("\xa3"
              "abc"),
        SLICE("\xd9\x03"
              "abc"),
        SLICE("\xc4\x02\x00\xff"),
        SLICE("\xcf\x01\x02\x03\x04\x05\x06\x07\x08"),
        SLICE("\xcb\x01\x02\x03\x04\x05\x06\x07\x08"),
        SLICE("\x93\x01\x92\x02\x03\xc3"),
        SLICE("\x82\xa1"
              "a\x01\xa1"
              "b\x90"),
        SLICE("\xdc\x00\x02\x01\x02"),
        SLICE("\xdf\x00\x00\x00\x01\x01\x02"),
        SLICE("\xc7\x02\x05xy"),
        SLICE("\xd5\x05xy"),
    };
    char longer[32];
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
    {
        assert_true(msgpack_shape_valid(whole[i]));
        for (size_t cut = 0; cut < whole[i].size; cut++)
            assert_false(msgpack_shape_valid(slice_make(whole[i].data, cut)));
        memcpy(longer, whole[i].data, whole[i].size);
        longer[whole[i].size] = 1;
        assert_false(msgpack_shape_valid(slice_make(longer, whole[i].size + 1)));
    }
    assert_false(msgpack_shape_valid(SLICE("\xc1")));
}

static void announced_elements_that_the_bytes_cannot_hold_are_refused(void **state)
{
    (void)state;
    assert_false(msgpack_shape_valid(SLICE("\xdd\xff\xff\xff\xff")));
    assert_false(msgpack_shape_valid(SLICE("\xdf\xff\xff\xff\xff\x01\x02")));
    assert_false(msgpack_shape_valid(SLICE("\xc6\xff\xff\xff\xff"
                                           "abc")));
    /* Many containers, each announcing much: the sum counts. */
    uint8_t nested[4000];
    for (size_t i = 0; i + 5 <= sizeof nested; i += 5) memcpy(nested + i, "\xdd\x00\x00\x0f\x00", 5);
    assert_false(msgpack_shape_valid(slice_make(nested, sizeof nested)));
}

static void random_bytes_do_not_lead_out_of_the_bytes(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 42);
    uint8_t bytes[64];
    for (int round = 0; round < 100000; round++)
    {
        size_t size = prng_below(&prng, sizeof bytes);
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)prng_next(&prng);
        (void)msgpack_shape_valid(slice_make(bytes, size)); /* the sanitizers judge */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_values_are_valid_and_every_cut_or_extended_one_is_not),
        cmocka_unit_test(announced_elements_that_the_bytes_cannot_hold_are_refused),
        cmocka_unit_test(random_bytes_do_not_lead_out_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
