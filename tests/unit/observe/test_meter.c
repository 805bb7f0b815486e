/* test_meter.c - sums of usage as rows. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime/observe/meter.h"

static void sums_come_back_as_they_were_written(void **state)
{
    (void)state;
    struct meter_sums sums, back;
    for (int i = 0; i < METER_COUNT; i++) sums.of[i] = 0x0123456789abcdefULL * (uint64_t)(i + 1);
    struct buf value = BUF_INIT;
    meter_encode(&value, &sums);
    assert_true(meter_decode(buf_view(&value), &back));
    assert_memory_equal(&sums, &back, sizeof sums);
    buf_fini(&value);
}

static void a_row_of_fewer_meters_has_zeros_for_the_newer_ones(void **state)
{
    (void)state;
    const uint8_t row[16] = {7, 0, 0, 0, 0, 0, 0, 0, 1};
    struct meter_sums sums;
    assert_true(meter_decode(slice_make(row, sizeof row), &sums));
    assert_int_equal(sums.of[0], 7);
    assert_int_equal(sums.of[1], 1);
    assert_int_equal(sums.of[METER_COUNT - 1], 0);
    assert_false(meter_decode(slice_make(row, 15), &sums));
}

static void of_a_peak_the_largest_one_stays(void **state)
{
    (void)state;
    struct meter_sums sums = {{0}};
    const struct meter_sums large = {.of = {[METER_wall_us] = 5, [METER_peak_kib] = 900}};
    const struct meter_sums small = {.of = {[METER_wall_us] = 7, [METER_peak_kib] = 800}};
    meter_add(&sums, &large);
    meter_add(&sums, &small);
    assert_int_equal(sums.of[METER_wall_us], 12);
    assert_int_equal(sums.of[METER_peak_kib], 900);
    meter_subtract(&sums, &large);
    assert_int_equal(sums.of[METER_wall_us], 7);
    assert_int_equal(sums.of[METER_peak_kib], 900);
}

static void keys_order_a_functions_days(void **state)
{
    (void)state;
    struct buf early = BUF_INIT, late = BUF_INIT;
    meter_key(&early, 'm', SLICE("add"), 255);
    meter_key(&late, 'm', SLICE("add"), 256);
    assert_true(slice_compare(buf_view(&early), buf_view(&late)) < 0);
    struct slice function;
    uint32_t day;
    assert_true(meter_key_split(buf_view(&late), &function, &day));
    assert_true(slice_is(function, "add"));
    assert_int_equal(day, 256);
    assert_false(meter_key_split(SLICE("m"), &function, &day));
    buf_fini(&early);
    buf_fini(&late);
}

/* They would be words in the answer of the admin API. */
static void keys_that_name_no_function_are_none(void **state)
{
    (void)state;
    static const char *const names[] = {"", "a\"b", "a\\b", "a\nb", "a\x7f", "\xff"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    {
        struct buf key = BUF_INIT;
        struct slice function;
        uint32_t day;
        meter_key(&key, 'm', slice_cstr(names[i]), 5);
        assert_false(meter_key_split(buf_view(&key), &function, &day));
        buf_fini(&key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_come_back_as_they_were_written),
        cmocka_unit_test(a_row_of_fewer_meters_has_zeros_for_the_newer_ones),
        cmocka_unit_test(of_a_peak_the_largest_one_stays),
        cmocka_unit_test(keys_order_a_functions_days),
        cmocka_unit_test(keys_that_name_no_function_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
