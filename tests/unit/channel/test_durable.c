/* test_durable.c - rows of durable channels: keys in the order of offsets, values that come back, cuts refused. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "messaging/channel/durable.h"

static void messages_lie_in_the_order_of_their_offsets(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {0, 1, 255, 256, 65535, 1ULL << 40, UINT64_MAX};
    struct buf before = BUF_INIT, key = BUF_INIT;
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
    {
        buf_reset(&key);
        durable_message_key(&key, SLICE("orders"), offsets[i]);
        if (i > 0) assert_true(slice_compare(buf_view(&before), buf_view(&key)) < 0);
        struct slice channel;
        uint64_t offset;
        assert_true(durable_message_split(buf_view(&key), &channel, &offset));
        assert_true(slice_is(channel, "orders"));
        assert_int_equal(offset, offsets[i]);
        buf_reset(&before);
        buf_append(&before, buf_view(&key));
    }
    buf_fini(&before);
    buf_fini(&key);
}

static void a_message_comes_back_as_it_was(void **state)
{
    (void)state;
    struct durable_message in = {.bytes_before = 1ULL << 33,
                                 .time_ms = 1700000000123,
                                 .key = SLICE("eu/1"),
                                 .type = SLICE("text/plain"),
                                 .body = SLICE("a\0b")};
    struct buf value = BUF_INIT;
    durable_message_encode(&value, &in);
    struct durable_message out;
    assert_int_equal(durable_message_decode(buf_view(&value), &out, NULL), STATUS_OK);
    assert_int_equal(out.bytes_before, in.bytes_before);
    assert_int_equal(out.time_ms, in.time_ms);
    assert_true(slice_equal(out.key, in.key) && slice_equal(out.type, in.type) &&
                slice_equal(out.body, in.body));
    assert_int_equal(durable_message_bytes(&out), 7);
    buf_fini(&value);
}

static void heads_cursors_and_done_offsets_do_not_look_like_each_other(void **state)
{
    (void)state;
    struct buf head = BUF_INIT, cursor = BUF_INIT, done = BUF_INIT, dead = BUF_INIT;
    durable_head_key(&head, SLICE("orders"));
    durable_cursor_key(&cursor, SLICE("orders"), SLICE("billing"));
    durable_done_key(&done, SLICE("orders"), SLICE("billing"), 0x6100);
    durable_dead_key(&dead, SLICE("orders"), SLICE("billing"), 9);
    struct slice channel, group;
    uint64_t offset;
    assert_false(durable_cursor_split(buf_view(&head), &channel, &group));
    assert_false(durable_cursor_split(buf_view(&done), &channel, &group));
    assert_true(durable_cursor_split(buf_view(&cursor), &channel, &group));
    assert_true(slice_is(channel, "orders") && slice_is(group, "billing"));
    assert_int_equal(durable_key_offset(buf_view(&done), &offset, NULL), STATUS_OK);
    assert_int_equal(offset, 0x6100);
    assert_true(durable_dead_split(buf_view(&dead), &channel, &group, &offset));
    assert_true(slice_is(channel, "orders") && slice_is(group, "billing"));
    assert_int_equal(offset, 9);
    assert_false(durable_dead_split(buf_view(&cursor), &channel, &group, &offset));
    buf_fini(&head);
    buf_fini(&cursor);
    buf_fini(&done);
    buf_fini(&dead);
}

static void keys_that_no_channel_wrote_have_no_offset(void **state)
{
    (void)state;
    struct buf key = BUF_INIT;
    struct err err = ERR_INIT;
    uint64_t offset;
    for (int kind = 0; kind < 3; kind++)
    {
        buf_reset(&key);
        if (kind == 0) durable_message_key(&key, SLICE("a"), 0x0102030405060708);
        if (kind == 1) durable_done_key(&key, SLICE("a"), SLICE("b"), 0x0102030405060708);
        if (kind == 2) durable_dead_key(&key, SLICE("a"), SLICE("b"), 0x0102030405060708);
        assert_int_equal(durable_key_offset(buf_view(&key), &offset, NULL), STATUS_OK);
        assert_true(offset == 0x0102030405060708);
        for (size_t size = 0; size < key.size; size++)
        {
            void *cut = mem_dup(slice_make(key.data, size));
            assert_int_equal(durable_key_offset(slice_make(cut, size), &offset, &err), STATUS_STORE_CORRUPT);
            free(cut);
        }
        buf_append_byte(&key, 0);
        assert_int_equal(durable_key_offset(buf_view(&key), &offset, &err), STATUS_STORE_CORRUPT);
        key.data[0] = 'z';
        assert_int_equal(durable_key_offset(slice_make(key.data, key.size - 1), &offset, &err),
                         STATUS_STORE_CORRUPT);
    }
    assert_int_equal(durable_key_offset(SLICE("q\0\1\2\3\4\5\6\7\10"), &offset, &err), STATUS_STORE_CORRUPT);
    assert_string_equal(err_text(&err), "key of a channel's row: 10 bytes that are none");
    buf_fini(&key);
}

static void heads_and_cursors_come_back_as_they_were(void **state)
{
    (void)state;
    struct buf value = BUF_INIT;
    struct durable_head in = {.first = 3, .next = 1ULL << 50, .bytes = 77, .time_ms = 5}, out;
    durable_head_encode(&value, &in);
    assert_int_equal(durable_head_decode(buf_view(&value), &out, NULL), STATUS_OK);
    assert_memory_equal(&in, &out, sizeof in);
    assert_int_equal(durable_head_decode(slice_make(value.data, value.size - 1), &out, NULL),
                     STATUS_STORE_CORRUPT);
    buf_reset(&value);
    durable_cursor_encode(&value, UINT64_MAX - 1);
    uint64_t cursor;
    assert_int_equal(durable_cursor_decode(buf_view(&value), &cursor, NULL), STATUS_OK);
    assert_true(cursor == UINT64_MAX - 1);
    assert_int_equal(durable_cursor_decode(slice_make(value.data, 7), &cursor, NULL), STATUS_STORE_CORRUPT);
    buf_fini(&value);
}

static void a_dead_letter_keeps_the_message_and_the_words(void **state)
{
    (void)state;
    struct buf row = BUF_INIT, value = BUF_INIT;
    durable_message_encode(&row, &(struct durable_message){.key = SLICE("k"), .body = SLICE("body")});
    durable_dead_encode(&value, &(struct durable_dead){.attempts = 9,
                                                       .time_ms = 1234567,
                                                       .error = SLICE("function_error: no"),
                                                       .row = buf_view(&row)});
    struct durable_dead out;
    assert_int_equal(durable_dead_decode(buf_view(&value), &out, NULL), STATUS_OK);
    assert_int_equal(out.attempts, 9);
    assert_int_equal(out.time_ms, 1234567);
    assert_true(slice_is(out.error, "function_error: no"));
    assert_true(slice_equal(out.row, buf_view(&row)));
    buf_fini(&row);
    buf_fini(&value);
}

static void every_cut_of_a_head_of_a_value_is_refused(void **state)
{
    (void)state;
    struct buf value = BUF_INIT;
    durable_message_encode(&value, &(struct durable_message){.key = SLICE("key"), .type = SLICE("a/b")});
    for (size_t size = 0; size < value.size; size++)
    {
        void *cut = mem_dup(slice_make(value.data, size));
        struct durable_message message;
        assert_int_equal(durable_message_decode(slice_make(cut, size), &message, NULL), STATUS_STORE_CORRUPT);
        free(cut);
    }
    buf_reset(&value);
    durable_dead_encode(&value, &(struct durable_dead){.error = SLICE("words")});
    for (size_t size = 0; size < value.size; size++)
    {
        void *cut = mem_dup(slice_make(value.data, size));
        struct durable_dead dead;
        assert_int_equal(durable_dead_decode(slice_make(cut, size), &dead, NULL), STATUS_STORE_CORRUPT);
        free(cut);
    }
    buf_fini(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_lie_in_the_order_of_their_offsets),
        cmocka_unit_test(a_message_comes_back_as_it_was),
        cmocka_unit_test(heads_cursors_and_done_offsets_do_not_look_like_each_other),
        cmocka_unit_test(keys_that_no_channel_wrote_have_no_offset),
        cmocka_unit_test(heads_and_cursors_come_back_as_they_were),
        cmocka_unit_test(a_dead_letter_keeps_the_message_and_the_words),
        cmocka_unit_test(every_cut_of_a_head_of_a_value_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
