/* test_outbox.c - sends as rows: what is written comes back, in the order in which it is due. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/invoke/outbox.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

static void send(struct buf *effects, const char *entity, uint64_t at_ms)
{
    wire_effect_encode(effects, &(struct wire_effect){
                                    .kind = WIRE_EFFECT_SEND,
                                    .name = SLICE("mail"),
                                    .key = slice_cstr(entity),
                                    .number = at_ms,
                                    .body = SLICE("hello"),
                                });
}

static void sends_are_rows_in_the_order_in_which_they_are_due(void **state)
{
    (void)state;
    struct buf effects = BUF_INIT, set = BUF_INIT;
    send(&effects, "later", 5000);
    wire_effect_encode(&effects, &(struct wire_effect){.kind = WIRE_EFFECT_PUBLISH, .name = SLICE("prices")});
    send(&effects, "now", 0);
    send(&effects, "past", 12);
    uint64_t number = 7;
    assert_int_equal(outbox_write_set(buf_view(&effects), 1000, &number, &set), 3);
    assert_int_equal(number, 10);
    assert_int_equal(write_set_check(buf_view(&set), SPACE_OUTBOX, NULL), STATUS_OK);

    static const char *const expected[] = {"now", "past", "later"};
    static const uint64_t due[] = {1000, 1000, 5000}, numbers[] = {8, 9, 7};
    struct write_entry entry;
    size_t offset = 0;
    for (int i = 0; i < 3; i++)
    {
        assert_true(write_set_next(buf_view(&set), &offset, &entry));
        struct outbox_key key;
        assert_true(outbox_key_decode(entry.key, &key));
        assert_int_equal(key.due_ms, due[i]);
        assert_int_equal(key.number, numbers[i]);
        struct outbox_row row;
        assert_int_equal(outbox_row_decode(entry.value, &row, NULL), STATUS_OK);
        assert_int_equal(row.attempts, 0);
        assert_true(slice_is(row.send.key, expected[i]) && slice_is(row.send.body, "hello"));
    }
    assert_false(write_set_next(buf_view(&set), &offset, &entry));
    buf_fini(&effects);
    buf_fini(&set);
}

static void a_row_keeps_its_attempts_and_the_words_of_the_last_error(void **state)
{
    (void)state;
    struct buf value = BUF_INIT;
    struct outbox_row in = {
        .attempts = 70000,
        .error = SLICE("function_error: no"),
        .send = {.kind = WIRE_EFFECT_SEND, .name = SLICE("mail"), .key = SLICE("ann"), .body = SLICE("\0\1")},
    };
    outbox_row_encode(&value, &in);
    struct outbox_row out;
    assert_int_equal(outbox_row_decode(buf_view(&value), &out, NULL), STATUS_OK);
    assert_int_equal(out.attempts, 70000);
    assert_true(slice_equal(out.error, in.error) && slice_equal(out.send.body, in.send.body));
    buf_fini(&value);
}

static void every_truncation_of_a_row_is_refused(void **state)
{
    (void)state;
    struct buf value = BUF_INIT;
    outbox_row_encode(&value, &(struct outbox_row){
                                  .error = SLICE("no"),
                                  .send = {.kind = WIRE_EFFECT_SEND, .name = SLICE("mail")},
                              });
    for (size_t size = 0; size < value.size; size++)
    {
        void *cut = mem_dup(slice_make(value.data, size));
        struct outbox_row row;
        assert_int_equal(outbox_row_decode(slice_make(cut, size), &row, NULL), STATUS_STORE_CORRUPT);
        free(cut);
    }
    buf_fini(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_are_rows_in_the_order_in_which_they_are_due),
        cmocka_unit_test(a_row_keeps_its_attempts_and_the_words_of_the_last_error),
        cmocka_unit_test(every_truncation_of_a_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
