/* test_admission.c - who may begin: tables of limits, loads and times. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/invoke/admission.h"
#include "statestore/kv/write_set.h"

static void limits_are_judged_alone_and_the_largest_fault_first(void **state)
{
    static const struct {
        struct admission_limits limits;
        uint32_t in_flight;
        uint64_t body_bytes;
        enum status want;
    } rows[] = {
        {{0}, 1000000, 1ULL << 40, STATUS_OK},
        {{.in_flight_max = 3}, 2, 0, STATUS_OK},
        {{.in_flight_max = 3}, 3, 0, STATUS_QUEUE_FULL},
        {{.body_bytes_max = 10}, 0, 10, STATUS_OK},
        {{.body_bytes_max = 10}, 0, 11, STATUS_BODY_TOO_LARGE},
        {{.body_bytes_max = 10, .in_flight_max = 1}, 1, 11, STATUS_BODY_TOO_LARGE},
        {{.in_flight_max = 1, .rate_per_s = 1, .rate_burst = 1}, 1, 0, STATUS_QUEUE_FULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
        struct admission_rate rate = {0};
        uint32_t retry_after_s = 0;
        struct admission_request request = {"f", rows[i].in_flight, rows[i].body_bytes, NS_PER_S};
        assert_int_equal(admission_decide(&rows[i].limits, &rate, &request, &retry_after_s, NULL),
                         rows[i].want);
        assert_int_equal(retry_after_s, 0);
        if (rows[i].want != STATUS_OK) assert_int_equal(rate.full_at_ns, 0); /* no token was taken */
    }
}

static void a_rate_gives_its_burst_and_then_one_token_at_a_time(void **state)
{
    const struct admission_limits limits = {.rate_per_s = 10, .rate_burst = 3};
    static const struct {
        uint64_t at_ms;
        enum status want;
        uint32_t retry_after_s;
    } rows[] = {
        {5000, STATUS_OK, 0},
        {5000, STATUS_OK, 0},
        {5000, STATUS_OK, 0},
        {5000, STATUS_RATE_LIMITED, 1},
        {5099, STATUS_RATE_LIMITED, 1},
        {5100, STATUS_OK, 0},
        {5100, STATUS_RATE_LIMITED, 1},
        {5300, STATUS_OK, 0}, /* two came back */
        {5300, STATUS_OK, 0},
        {5300, STATUS_RATE_LIMITED, 1},
        {60000, STATUS_OK, 0}, /* never more than the burst */
        {60000, STATUS_OK, 0},
        {60000, STATUS_OK, 0},
        {60000, STATUS_RATE_LIMITED, 1},
    };
    struct admission_rate rate = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
        uint32_t retry_after_s = 0;
        struct admission_request request = {.function = "f", .now_ns = rows[i].at_ms * NS_PER_MS};
        assert_int_equal(admission_decide(&limits, &rate, &request, &retry_after_s, NULL), rows[i].want);
        assert_int_equal(retry_after_s, rows[i].retry_after_s);
    }
}

static void retry_after_is_the_first_second_at_which_it_will_be_taken(void **state)
{
    const struct admission_limits limits = {.rate_per_s = 1, .rate_burst = 1};
    struct admission_rate rate = {.full_at_ns = 10 * NS_PER_S + 1};
    struct err err = ERR_INIT;
    uint32_t retry_after_s = 0;
    struct admission_request request = {.function = "f", .now_ns = 6 * NS_PER_S};
    assert_int_equal(admission_decide(&limits, &rate, &request, &retry_after_s, &err), STATUS_RATE_LIMITED);
    assert_int_equal(retry_after_s, 5);
    assert_string_equal(err_text(&err), "function 'f' takes 1 invocations per second; the next in 4001 ms");
    request.now_ns = (6 + retry_after_s) * NS_PER_S;
    assert_int_equal(admission_decide(&limits, &rate, &request, &retry_after_s, NULL), STATUS_OK);
}

static void a_reply_may_be_as_large_as_its_limit(void **state)
{
    const struct admission_limits limits = {.reply_bytes_max = 5}, none = {0};
    assert_int_equal(admission_reply(&limits, "f", 5, NULL), STATUS_OK);
    assert_int_equal(admission_reply(&limits, "f", 6, NULL), STATUS_REPLY_TOO_LARGE);
    assert_int_equal(admission_reply(&none, "f", 1 << 30, NULL), STATUS_OK);
}

static void a_full_state_takes_deletes_and_no_puts(void **state)
{
    struct buf deletes = BUF_INIT, mixed = BUF_INIT;
    write_set_append(&deletes, &(struct write_entry){WRITE_DELETE, SLICE("a"), SLICE_EMPTY});
    write_set_append(&mixed, &(struct write_entry){WRITE_DELETE, SLICE("a"), SLICE_EMPTY});
    write_set_append(&mixed, &(struct write_entry){WRITE_PUT, SLICE("b"), SLICE("1")});
    assert_int_equal(admission_writes(0, 1000, buf_view(&mixed), NULL), STATUS_OK);
    assert_int_equal(admission_writes(1000, 1000, buf_view(&mixed), NULL), STATUS_OK);
    assert_int_equal(admission_writes(999, 1000, buf_view(&mixed), NULL), STATUS_STATE_LIMIT);
    assert_int_equal(admission_writes(999, 1000, buf_view(&deletes), NULL), STATUS_OK);
    assert_int_equal(admission_writes(999, 1000, SLICE_EMPTY, NULL), STATUS_OK);
    buf_fini(&deletes);
    buf_fini(&mixed);
}

static void processor_time_is_paid_by_waiting(void **state)
{
    (void)state;
    const struct admission_limits limits = {.cpu_percent = 25};
    struct admission_cpu cpu = {0};
    uint64_t now = NS_PER_S;
    assert_true(admission_cpu_paid(&limits, &cpu, now));
    cpu.paid_at_ns = now; /* the first one is not known */
    uint32_t taken = admission_cpu_begin(&limits, &cpu, now);
    assert_int_equal(taken, 0);
    admission_cpu_end(&limits, &cpu, taken, 10000);
    assert_false(admission_cpu_paid(&limits, &cpu, now + 40 * NS_PER_MS - 1));
    assert_true(admission_cpu_paid(&limits, &cpu, now + 40 * NS_PER_MS));

    now += NS_PER_S; /* nothing was saved up meanwhile */
    taken = admission_cpu_begin(&limits, &cpu, now);
    assert_int_equal(taken, 10000);
    assert_false(admission_cpu_paid(&limits, &cpu, now)); /* nobody begins beside it */
    admission_cpu_end(&limits, &cpu, taken, 6000);
    assert_false(admission_cpu_paid(&limits, &cpu, now + 24 * NS_PER_MS - 1));
    assert_true(admission_cpu_paid(&limits, &cpu, now + 24 * NS_PER_MS));
    taken = admission_cpu_begin(&limits, &cpu, now + 24 * NS_PER_MS);
    admission_cpu_end(&limits, &cpu, taken, 20000); /* a long one is paid afterwards */
    assert_true(admission_cpu_paid(&limits, &cpu, now + 104 * NS_PER_MS));
    assert_false(admission_cpu_paid(&limits, &cpu, now + 104 * NS_PER_MS - 1));
}

static void without_a_limit_nothing_is_counted(void **state)
{
    (void)state;
    const struct admission_limits limits = {0};
    struct admission_cpu cpu = {0};
    admission_cpu_end(&limits, &cpu, admission_cpu_begin(&limits, &cpu, NS_PER_S), UINT32_MAX);
    assert_true(admission_cpu_paid(&limits, &cpu, NS_PER_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_judged_alone_and_the_largest_fault_first),
        cmocka_unit_test(a_rate_gives_its_burst_and_then_one_token_at_a_time),
        cmocka_unit_test(retry_after_is_the_first_second_at_which_it_will_be_taken),
        cmocka_unit_test(a_full_state_takes_deletes_and_no_puts),
        cmocka_unit_test(a_reply_may_be_as_large_as_its_limit),
        cmocka_unit_test(processor_time_is_paid_by_waiting),
        cmocka_unit_test(without_a_limit_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
