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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_come_back_as_they_were_written),
        cmocka_unit_test(a_row_of_fewer_meters_has_zeros_for_the_newer_ones),
        cmocka_unit_test(keys_order_a_functions_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
