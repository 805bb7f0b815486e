/* test_output.c - output becomes lines, and floods become a number. */
// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/base/bounds.h"
#include "runtime/loop/loop.h"
#include "runtime/zygote/output.h"

struct fx {
    struct loop *loop;
    struct clock_manual clock;
    struct output *output;
    int writer;
    unsigned lines;
    size_t bytes;
    size_t longest;
    char first[64], last[64];
    unsigned said; /* that something is missing */
    char last_said[128];
};

static void on_line(void *ctx, struct slice line)
{
    struct fx *fx = ctx;
    if (line.size > 18 && memcmp(line.data, "(too much output: ", 18) == 0)
    {
        fx->said++;
        snprintf(fx->last_said, sizeof fx->last_said, "%.*s", SLICE_FMT(line));
    }
    char *text = fx->lines++ ? fx->last : fx->first;
    snprintf(text, 64, "%.*s", SLICE_FMT(line));
    fx->bytes += line.size;
    if (line.size > fx->longest) fx->longest = line.size;
}

static int set_up(void **state)
{
    struct fx *fx = calloc(1, sizeof *fx);
    struct err err = ERR_INIT;
    clock_manual_init(&fx->clock, 0);
    assert_int_equal(loop_create(&fx->loop, &fx->clock.clock, &err), STATUS_OK);
    assert_int_equal(output_open(fx->loop, on_line, fx, &fx->output, &fx->writer, &err), STATUS_OK);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    struct fx *fx = *state;
    close(fx->writer);
    output_close(fx->output);
    loop_destroy(fx->loop);
    free(fx);
    return 0;
}

static void put(struct fx *fx, const char *text)
{
    assert_int_equal(write(fx->writer, text, strlen(text)), strlen(text));
    loop_turn(fx->loop, false);
}

static void lines_are_put_together_from_pieces(void **state)
{
    struct fx *fx = *state;
    put(fx, "one\ntw");
    assert_int_equal(fx->lines, 1);
    assert_string_equal(fx->first, "one");
    put(fx, "o\n");
    assert_int_equal(fx->lines, 2);
    assert_string_equal(fx->last, "two");
}

static void the_last_line_needs_no_end(void **state)
{
    struct fx *fx = *state;
    put(fx, "half a li");
    assert_int_equal(fx->lines, 0);
    output_drain(fx->output);
    assert_string_equal(fx->first, "half a li");
}

static void long_lines_come_in_pieces(void **state)
{
    struct fx *fx = *state;
    char text[10001];
    memset(text, 'x', 10000);
    text[9999] = '\n';
    text[10000] = 0;
    put(fx, text);
    assert_int_equal(fx->lines, 3);
    assert_int_equal(fx->bytes, 9999);
    assert_int_equal(fx->longest, BOUND_LOG_LINE_BYTES_MAX);
}

static void a_flood_is_read_but_dropped_and_said_at_once(void **state)
{
    struct fx *fx = *state;
    char block[32768];
    memset(block, 'y', sizeof block);
    for (size_t i = 99; i < sizeof block; i += 100) block[i] = '\n';
    enum { BLOCKS = 200 };
    for (int i = 0; i < BLOCKS; i++)
    {
        assert_int_equal(write(fx->writer, block, sizeof block), sizeof block); /* there is room for two */
        loop_turn(fx->loop, false);
        clock_manual_advance(&fx->clock, 2 * NS_PER_MS); /* if it has to wait, not longer */
        loop_turn(fx->loop, false);
    }
    size_t refilled = (BLOCKS - 1) * 2 * (OUTPUT_BYTES_PER_S / 1000);
    size_t dropped = (size_t)BLOCKS * sizeof block - OUTPUT_BURST_BYTES;
    assert_in_range(output_dropped_bytes(fx->output), dropped - refilled, dropped);
    assert_in_range(fx->bytes, OUTPUT_BURST_BYTES - OUTPUT_BURST_BYTES / 50, OUTPUT_BURST_BYTES + refilled);
    unsigned said = fx->lines;

    clock_manual_advance(&fx->clock, NS_PER_S); /* the budget fills again */
    put(fx, "\nafter\n");
    assert_string_equal(fx->last, "after");
    assert_in_range(fx->lines, said + 1, said + 2);
    assert_int_equal(fx->said, 1);
}

static bool has_room(struct fx *fx)
{
    struct pollfd pipe = {.fd = fx->writer, .events = POLLOUT};
    return poll(&pipe, 1, 0) == 1;
}

/* Else a writer of nothing but that would have the loop for itself. */
static void who_writes_what_is_dropped_waits_for_a_moment(void **state)
{
    struct fx *fx = *state;
    char block[4096]; /* the least that a pipe which has room takes whole */
    memset(block, 'y', sizeof block);
    for (int i = 0; i < OUTPUT_BURST_BYTES / (int)sizeof block; i++)
    {
        assert_int_equal(write(fx->writer, block, sizeof block), sizeof block);
        loop_turn(fx->loop, false); /* what is kept is read at once */
        assert_true(has_room(fx));
    }
    int blocks = 0;
    for (; has_room(fx) && blocks < 1000; blocks++)
    {
        assert_int_equal(write(fx->writer, block, sizeof block), sizeof block);
        loop_turn(fx->loop, false);
    }
    assert_in_range(blocks, 64, 96); /* a quarter of a MiB, and what the pipe holds */
    for (int i = 0; i < 5; i++) loop_turn(fx->loop, false);
    assert_false(has_room(fx));
    clock_manual_advance(&fx->clock, 2 * NS_PER_MS);
    for (int i = 0; i < 2; i++) loop_turn(fx->loop, false);
    assert_true(has_room(fx));
}

static void who_has_ended_while_it_waited_is_read_to_the_end(void **state)
{
    struct fx *fx = *state;
    char block[4096]; /* the least that a pipe which has room takes whole */
    memset(block, 'y', sizeof block);
    uint64_t written = 0;
    for (int i = 0; has_room(fx) && i < 1000; i++)
    {
        written += (uint64_t)write(fx->writer, block, sizeof block);
        loop_turn(fx->loop, false);
    }
    output_drain(fx->output);
    assert_int_equal(output_dropped_bytes(fx->output), written - OUTPUT_BURST_BYTES);
}

static void another_one_may_go_on_with_its_budget(void **state)
{
    struct fx *fx = *state;
    put(fx, "12345\n");
    struct output_budget left = output_budget_left(fx->output);
    assert_int_equal(left.bytes, OUTPUT_BURST_BYTES - 6);
    left.bytes = 4;
    output_set_budget(fx->output, &left);
    put(fx, "abcdef\n");
    assert_int_equal(output_dropped_bytes(fx->output), 3);
}

/* Logs keep the newest lines only: what was said at the beginning of a long flood is gone when somebody looks. */
static void a_flood_that_goes_on_is_said_once_a_second(void **state)
{
    struct fx *fx = *state;
    char block[32768];
    memset(block, 'y', sizeof block);
    for (int i = 0; i < 500; i++) /* five seconds */
    {
        assert_int_equal(write(fx->writer, block, sizeof block), sizeof block);
        clock_manual_advance(&fx->clock, NS_PER_S / 100);
        loop_turn(fx->loop, false);
    }
    assert_in_range(fx->said, 4, 6);
    unsigned said = fx->said;
    output_drain(fx->output); /* what came after it was last said */
    assert_int_equal(fx->said, said + 1);
    char words[64];
    snprintf(words, sizeof words, "%zu bytes so far)", (size_t)output_dropped_bytes(fx->output));
    assert_non_null(strstr(fx->last_said, words));
    output_drain(fx->output);
    assert_int_equal(fx->said, said + 1);
}

#define OUTPUT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OUTPUT_TEST(lines_are_put_together_from_pieces),
        OUTPUT_TEST(the_last_line_needs_no_end),
        OUTPUT_TEST(long_lines_come_in_pieces),
        OUTPUT_TEST(a_flood_is_read_but_dropped_and_said_at_once),
        OUTPUT_TEST(who_writes_what_is_dropped_waits_for_a_moment),
        OUTPUT_TEST(who_has_ended_while_it_waited_is_read_to_the_end),
        OUTPUT_TEST(another_one_may_go_on_with_its_budget),
        OUTPUT_TEST(a_flood_that_goes_on_is_said_once_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
