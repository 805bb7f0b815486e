/* test_bus_message.c - messages as programs outside write and read them, and the words for what is none. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "messaging/bus/bus_message.h"
#include "runtime/base/bounds.h"

static void a_message_is_one_line_and_its_body(void **state)
{
    struct buf out = BUF_INIT;
    bus_message_encode(&out, &(struct wire_message){
                                 .sequence = 42,
                                 .time_ms = 1732567890123,
                                 .channel = SLICE("shop/prices"),
                                 .key = SLICE("eu/a b%\n"),
                                 .type = SLICE("text/plain; charset=utf-8"),
                                 .body = SLICE("12\n\0"),
                             });
    static const char expected[] =
        "shop/prices eu/a%20b%25%0A 42 1732567890123 text/plain; charset=utf-8\n12\n";
    assert_int_equal(out.size, sizeof expected);
    assert_memory_equal(out.data, expected, sizeof expected);

    struct buf key = BUF_INIT;
    struct wire_message message;
    assert_int_equal(bus_message_decode(buf_view(&out), &key, &message, NULL), STATUS_OK);
    assert_true(slice_is(message.channel, "shop/prices") && slice_is(message.key, "eu/a b%\n"));
    assert_true(slice_is(message.type, "text/plain; charset=utf-8"));
    assert_true(message.sequence == 42 && message.time_ms == 1732567890123 && message.body.size == 4);
    buf_fini(&key);
    buf_fini(&out);
}

static void a_program_may_leave_out_all_but_the_channel(void **state)
{
    struct buf key = BUF_INIT;
    struct wire_message message;
    assert_int_equal(bus_message_decode(SLICE("shop/prices\n12"), &key, &message, NULL), STATUS_OK);
    assert_true(message.key.size == 0 && message.sequence == 0 && message.time_ms == 0);
    assert_true(slice_is(message.body, "12") && slice_is(message.type, "text/plain; charset=utf-8"));
    assert_int_equal(bus_message_decode(SLICE("shop/prices eu\n"), &key, &message, NULL), STATUS_OK);
    assert_true(slice_is(message.key, "eu") && message.body.size == 0);
    assert_int_equal(bus_message_decode(SLICE("shop/prices    a/b c\n"), &key, &message, NULL), STATUS_OK);
    assert_true(message.key.size == 0 && slice_is(message.type, "a/b c"));
    buf_fini(&key);
}

static const struct {
    struct slice bytes;
    const char *words;
} mistakes[] = {
    {{"", 0}, "a message without a first line"},
    {{"shop/prices 12", 14}, "a message without a first line"},
    {{"\n", 1}, "the first word is no app/channel"},
    {{"prices\n", 7}, "the first word is no app/channel"},
    {{"/prices\n", 8}, "the first word is no app/channel"},
    {{"shop/\n", 6}, "the first word is no app/channel"},
    {{"shop/Prices\n", 12}, "the first word is no app/channel"},
    {{"a/b/c\n", 6}, "the first word is no app/channel"},
    {{"a/b %2\n", 7}, "the second word is no key"},
    {{"a/b %zz\n", 8}, "the second word is no key"},
    {{"a/b x%00\n", 9}, "the second word is no key"},
    {{"a/b x\0\n", 7}, "the second word is no key"},
    {{"a/b x -1\n", 9}, "the third word is no number"},
    {{"a/b x 99999999999999999999\n", 27}, "the third word is no number"},
    {{"a/b x 1 y\n", 10}, "the fourth word is no time"},
    {{"a/b x 1 1 a\0\n", 13}, "the content type is too long, or none"},
};

static void each_mistake_has_its_words(void **state)
{
    struct buf key = BUF_INIT;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++)
    {
        struct wire_message message;
        struct err err = ERR_INIT;
        assert_int_equal(bus_message_decode(mistakes[i].bytes, &key, &message, &err),
                         STATUS_INVALID_ARGUMENT);
        assert_string_equal(err_text(&err), mistakes[i].words);
    }
    buf_fini(&key);
}

static void what_is_too_large_is_refused(void **state)
{
    struct buf bytes = BUF_INIT, key = BUF_INIT;
    struct wire_message message;
    buf_append_cstr(&bytes, "a/b ");
    for (int i = 0; i < BOUND_MESSAGE_KEY_BYTES_MAX + 1; i++) buf_append_byte(&bytes, 'k');
    buf_append_byte(&bytes, '\n');
    assert_int_equal(bus_message_decode(buf_view(&bytes), &key, &message, NULL), STATUS_INVALID_ARGUMENT);
    buf_reset(&bytes);
    buf_append_cstr(&bytes, "a/b\n");
    memset(buf_reserve(&bytes, BOUND_MESSAGE_BYTES_MAX + 1), 'x', BOUND_MESSAGE_BYTES_MAX + 1);
    bytes.size += BOUND_MESSAGE_BYTES_MAX;
    assert_int_equal(bus_message_decode(buf_view(&bytes), &key, &message, NULL), STATUS_OK);
    bytes.size++;
    assert_int_equal(bus_message_decode(buf_view(&bytes), &key, &message, NULL), STATUS_MESSAGE_TOO_LARGE);
    buf_fini(&bytes);
    buf_fini(&key);
}

static void a_line_break_in_a_content_type_does_not_begin_the_body(void **state)
{
    struct buf out = BUF_INIT, key = BUF_INIT;
    struct wire_message message;
    bus_message_encode(
        &out,
        &(struct wire_message){.channel = SLICE("a/b"), .type = SLICE("text/plain\nx"), .body = SLICE("y")});
    assert_int_equal(bus_message_decode(buf_view(&out), &key, &message, NULL), STATUS_OK);
    assert_true(slice_is(message.body, "y"));
    buf_fini(&out);
    buf_fini(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_one_line_and_its_body),
        cmocka_unit_test(a_program_may_leave_out_all_but_the_channel),
        cmocka_unit_test(each_mistake_has_its_words),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(a_line_break_in_a_content_type_does_not_begin_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
