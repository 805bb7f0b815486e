/* test_appends.c - messages of durable channels: offsets that grow, come back after a restart, and are never used twice. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/invoke/appends.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/invoke/fx_invoke.h"

static const struct invoke_channel channels[] = {{"orders", true}, {"bills", true}, {"prices", false}};

static int with_channels(void **state)
{
    struct fixture *fx = *state;
    fx->version.channels = channels;
    fx->version.channels_count = 3;
    return 0;
}

static int setup_channels(void **state)
{
    return setup(state) != 0 ? -1 : with_channels(state);
}

static int setup_channels_foreign(void **state)
{
    return setup_foreign(state) != 0 ? -1 : with_channels(state);
}

static int setup_channels_first(void **state)
{
    return setup_partition(state, 0, 2) != 0 ? -1 : with_channels(state);
}

static int setup_channels_second(void **state)
{
    return setup_partition(state, 1, 2) != 0 ? -1 : with_channels(state);
}

static void effect_append(struct buf *effects, const char *channel, const char *key, const char *body)
{
    wire_effect_encode(effects, &(struct wire_effect){.kind = WIRE_EFFECT_APPEND,
                                                      .name = slice_cstr(channel),
                                                      .key = slice_cstr(key),
                                                      .type = SLICE("text/plain"),
                                                      .body = slice_cstr(body)});
}

struct listing {
    char text[500];
};

static bool list_row(void *ctx, struct slice key, struct slice value)
{
    struct listing *listing = ctx;
    struct slice channel;
    uint64_t offset;
    struct durable_message message;
    assert_true(durable_message_split(key, &channel, &offset));
    assert_int_equal(durable_message_decode(value, &message, NULL), STATUS_OK);
    size_t used = strlen(listing->text);
    snprintf(listing->text + used, sizeof listing->text - used, "%.*s/%llu+%llu=%.*s ", SLICE_FMT(channel),
             (unsigned long long)offset, (unsigned long long)message.bytes_before, SLICE_FMT(message.body));
    return true;
}

/* All messages: channel/offset+bytes before=body. */
static const char *messages(struct fixture *fx)
{
    static struct listing listing;
    listing.text[0] = 0;
    const uint8_t low = SPACE_MESSAGES, high = SPACE_MESSAGES + 1;
    struct store_snapshot *snapshot = store_snapshot_take(fx->store);
    assert_int_equal(
        store_scan(snapshot, slice_make(&low, 1), slice_make(&high, 1), list_row, &listing, NULL), STATUS_OK);
    store_snapshot_release(fx->store, snapshot);
    return listing.text;
}

/* Runs an invocation whose handler appends. */
static enum status run_appends(struct fixture *fx, struct buf *effects, char *message)
{
    struct caller caller;
    start(fx, &caller, "");
    struct wire_result result = {.http_status = 200, .effects = buf_view(effects)};
    end(taken(), STATUS_OK, &result);
    until_answered(fx, &caller);
    if (message) snprintf(message, 200, "%s", caller.message);
    return caller.status;
}

static void appends_of_an_invocation_are_rows_of_its_commit_in_their_order(void **state)
{
    struct fixture *fx = *state;
    struct buf effects = BUF_INIT;
    effect_append(&effects, "orders", "k", "one");
    effect_append(&effects, "bills", "", "two");
    effect_append(&effects, "orders", "k", "three");
    assert_int_equal(run_appends(fx, &effects, NULL), STATUS_OK);
    assert_string_equal(messages(fx), "bills/0+0=two orders/0+0=one orders/1+4=three ");
    assert_true(invoke_appends_settled(fx->partition));
    buf_fini(&effects);
}

static void what_a_failed_invocation_appended_has_never_been(void **state)
{
    struct fixture *fx = *state;
    struct caller caller;
    struct buf effects = BUF_INIT;
    effect_append(&effects, "orders", "k", "one");
    start(fx, &caller, "");
    struct wire_result result = {
        .outcome = WIRE_OUTCOME_ERROR, .http_status = 200, .effects = buf_view(&effects)};
    end(taken(), STATUS_OK, &result);
    until_answered(fx, &caller);
    assert_int_equal(caller.status, STATUS_FUNCTION_ERROR);
    assert_string_equal(messages(fx), "");
    buf_fini(&effects);
}

static void a_message_for_a_channel_that_is_not_declared_or_not_durable_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct buf effects = BUF_INIT;
    char words[200];
    effect_append(&effects, "nowhere", "", "x");
    assert_int_equal(run_appends(fx, &effects, words), STATUS_CHANNEL_NOT_FOUND);
    assert_non_null(strstr(words, "nowhere"));
    buf_reset(&effects);
    effect_append(&effects, "prices", "", "x");
    assert_int_equal(run_appends(fx, &effects, words), STATUS_CHANNEL_KIND);
    assert_string_equal(messages(fx), "");
    buf_fini(&effects);
}

static void a_key_of_another_partition_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct buf effects = BUF_INIT;
    char words[200];
    effect_append(&effects, "orders", "x", "1");
    assert_int_equal(run_appends(fx, &effects, words), STATUS_FOREIGN_PARTITION);
    assert_non_null(strstr(words, "key 'x'"));
    assert_string_equal(messages(fx), "");
    buf_fini(&effects);
}

static void a_message_without_a_key_is_at_home_in_partition_0(void **state)
{
    struct fixture *fx = *state;
    struct buf effects = BUF_INIT;
    effect_append(&effects, "orders", "", "1");
    assert_int_equal(run_appends(fx, &effects, NULL), STATUS_OK);
    assert_string_equal(messages(fx), "orders/0+0=1 ");
    buf_fini(&effects);
}

static void a_message_without_a_key_is_refused_in_other_partitions(void **state)
{
    struct fixture *fx = *state;
    struct buf effects = BUF_INIT;
    char words[200];
    effect_append(&effects, "orders", "", "1");
    assert_int_equal(run_appends(fx, &effects, words), STATUS_FOREIGN_PARTITION);
    assert_non_null(
        strstr(words, "without a key belongs to partition 0, the invocation runs in partition 1"));
    assert_string_equal(messages(fx), "");
    buf_fini(&effects);
}

static void a_refused_commit_leaves_its_offset_out(void **state)
{
    struct fixture *fx = *state;
    struct buf append = BUF_INIT;
    effect_append(&append, "orders", "", "late");
    struct caller slow, fast;
    start(fx, &slow, "");
    struct pool_run *slow_run = taken();
    start(fx, &fast, "");
    run_writes("n", "1");
    until_answered(fx, &fast);
    struct effects e;
    struct wire_result *result = effects(&e, "n", NULL, "");
    result->effects = buf_view(&append);
    end(slow_run, STATUS_OK, result);
    while (list_empty(&submitted)) loop_turn(fx->loop, true);
    end(taken(), STATUS_OK, result);
    until_answered(fx, &slow);
    assert_int_equal(slow.status, STATUS_OK);
    assert_string_equal(messages(fx), "orders/1+4=late ");
    assert_true(invoke_appends_settled(fx->partition));
    effects_fini(&e);
    buf_fini(&append);
}

/* ---- where a channel stands ---- */

static void put_message(struct buf *set, uint64_t offset, uint64_t bytes_before)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    durable_message_key(&key, SLICE("orders"), offset);
    durable_message_encode(&value, &(struct durable_message){
                                       .bytes_before = bytes_before, .time_ms = offset, .body = SLICE("xy")});
    write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    buf_fini(&key);
    buf_fini(&value);
}

static void the_next_offset_follows_the_last_message_wherever_it_is(void **state)
{
    struct fixture *fx = *state;
    static const uint64_t last[] = {0, 1, 2, 3, 7, 8, 1000, 1ULL << 20, (1ULL << 40) + 5};
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++)
    {
        struct buf set = BUF_INIT;
        put_message(&set, last[i], 10 * i);
        commit_set(fx, &set);
        buf_fini(&set);
        struct appends appends;
        appends_init(&appends, fx->store);
        struct durable_head *head;
        assert_int_equal(appends_channel(&appends, SLICE("orders"), &head, NULL), STATUS_OK);
        assert_true(head->next == last[i] + 1);
        assert_int_equal(head->bytes, 10 * i + 2);
        assert_int_equal(head->time_ms, last[i]);
        appends_fini(&appends);
    }
}

static void offsets_of_messages_that_are_gone_are_not_used_again(void **state)
{
    struct fixture *fx = *state;
    struct buf set = BUF_INIT, key = BUF_INIT, value = BUF_INIT;
    durable_head_key(&key, SLICE("orders"));
    durable_head_encode(&value, &(struct durable_head){.first = 70, .next = 70, .bytes = 500, .time_ms = 9});
    write_set_append(&set, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    commit_set(fx, &set);
    struct durable_head head;
    assert_int_equal(invoke_channel_head(fx->partition, SLICE("orders"), &head, NULL), STATUS_OK);
    assert_int_equal(head.first, 70);
    struct buf effects = BUF_INIT;
    effect_append(&effects, "orders", "", "on");
    assert_int_equal(run_appends(fx, &effects, NULL), STATUS_OK);
    assert_string_equal(messages(fx), "orders/70+500=on ");
    buf_fini(&effects);
    buf_fini(&set);
    buf_fini(&key);
    buf_fini(&value);
}

static void put_row(struct fixture *fx, struct slice key, struct slice value)
{
    struct buf set = BUF_INIT;
    write_set_append(&set, &(struct write_entry){WRITE_PUT, key, value});
    commit_set(fx, &set);
    buf_fini(&set);
}

static void a_channel_with_a_damaged_key_takes_nothing_and_the_others_go_on(void **state)
{
    struct fixture *fx = *state;
    struct buf effects = BUF_INIT;
    char words[200];
    put_row(fx, SLICE("qorders\0\7"), SLICE("?"));
    effect_append(&effects, "orders", "", "1");
    assert_int_equal(run_appends(fx, &effects, words), STATUS_STORE_CORRUPT);
    assert_string_equal(words, "channel 'orders': key of a channel's row: 9 bytes that are none");
    uint64_t offset;
    struct err err = ERR_INIT;
    assert_int_equal(invoke_channel_at(fx->partition, SLICE("orders"), 5, &offset, &err),
                     STATUS_STORE_CORRUPT);
    buf_reset(&effects);
    effect_append(&effects, "bills", "", "2");
    assert_int_equal(run_appends(fx, &effects, NULL), STATUS_OK);
    buf_fini(&effects);
}

/* ---- from outside ---- */

struct outside {
    struct invoke_append append;
    int done;
};

static void on_outside(struct invoke_append *append)
{
    CONTAINER_OF(append, struct outside, append)->done++;
}

static void append(struct fixture *fx, struct outside *outside, const char *key, const char *body)
{
    *outside = (struct outside){.append = {.channel = SLICE("orders"),
                                           .body = slice_cstr(body),
                                           .idempotency_key = slice_cstr(key),
                                           .done = on_outside}};
    invoke_append(&fx->version, &outside->append);
    assert_int_equal(outside->done, 0);
}

static void until_appended(struct fixture *fx, struct outside *outside)
{
    while (!outside->done) loop_turn(fx->loop, true);
    assert_int_equal(outside->done, 1);
}

static void an_append_from_outside_tells_its_offset_when_it_is_durable(void **state)
{
    struct fixture *fx = *state;
    struct outside a, b;
    append(fx, &a, "", "one");
    append(fx, &b, "", "two");
    until_appended(fx, &a);
    until_appended(fx, &b);
    assert_int_equal(a.append.status, STATUS_OK);
    assert_int_equal(a.append.offset, 0);
    assert_int_equal(b.append.offset, 1);
    assert_true(store_durable_seq(fx->store) >= b.append.commit.seq);
    assert_string_equal(messages(fx), "orders/0+0=one orders/1+3=two ");
}

static void the_same_idempotency_key_appends_once_at_once_and_later(void **state)
{
    struct fixture *fx = *state;
    struct outside first, joined, later, other;
    append(fx, &first, "k1", "one");
    append(fx, &joined, "k1", "one");
    append(fx, &other, "k1", "another");
    until_appended(fx, &first);
    until_appended(fx, &joined);
    until_appended(fx, &other);
    assert_false(first.append.remembered);
    assert_true(joined.append.remembered);
    assert_int_equal(joined.append.offset, first.append.offset);
    assert_int_equal(other.append.status, STATUS_IDEMPOTENCY_MISMATCH);
    append(fx, &later, "k1", "one");
    until_appended(fx, &later);
    assert_true(later.append.remembered);
    assert_int_equal(later.append.offset, first.append.offset);
    append(fx, &other, "k1", "another");
    until_appended(fx, &other);
    assert_int_equal(other.append.status, STATUS_IDEMPOTENCY_MISMATCH);
    assert_string_equal(messages(fx), "orders/0+0=one ");
}

static void a_remembered_offset_that_is_damaged_is_told_and_not_made_up(void **state)
{
    struct fixture *fx = *state;
    struct outside first, again;
    append(fx, &first, "k1", "one");
    until_appended(fx, &first);
    struct buf set = BUF_INIT;
    struct wire_result result = {.http_status = 200, .body = SLICE("123")}; /* an offset has eight bytes */
    struct idempotency_request request = {
        .key = SLICE("k1"),
        .function = SLICE("\1orders"),
        .fingerprint = idempotency_fingerprint(SLICE("append"), SLICE_EMPTY, SLICE_EMPTY, SLICE("one"))};
    idempotency_write_set(&set, &request, &result, 5);
    commit_set(fx, &set);
    append(fx, &again, "k1", "one");
    until_appended(fx, &again);
    assert_int_equal(again.append.status, STATUS_STORE_CORRUPT);
    assert_false(again.append.remembered);
    assert_string_equal(err_text(&again.append.err), "outcome record: its offset has 3 bytes");
    assert_string_equal(messages(fx), "orders/0+0=one ");
    buf_fini(&set);
}

static void an_app_at_its_limit_of_state_takes_no_messages(void **state)
{
    struct fixture *fx = *state;
    fx->version.state_bytes_max = 1;
    struct outside one;
    append(fx, &one, "", "one");
    until_appended(fx, &one);
    assert_int_equal(one.append.status, STATUS_STATE_LIMIT);
    struct buf effects = BUF_INIT;
    effect_append(&effects, "orders", "", "on");
    assert_int_equal(run_appends(fx, &effects, NULL), STATUS_STATE_LIMIT);
    assert_string_equal(messages(fx), "");
    buf_fini(&effects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appends_of_an_invocation_are_rows_of_its_commit_in_their_order,
                                        setup_channels, teardown),
        cmocka_unit_test_setup_teardown(what_a_failed_invocation_appended_has_never_been, setup_channels,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_message_for_a_channel_that_is_not_declared_or_not_durable_is_refused, setup_channels, teardown),
        cmocka_unit_test_setup_teardown(a_key_of_another_partition_is_refused, setup_channels_foreign,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_message_without_a_key_is_at_home_in_partition_0,
                                        setup_channels_first, teardown),
        cmocka_unit_test_setup_teardown(a_message_without_a_key_is_refused_in_other_partitions,
                                        setup_channels_second, teardown),
        cmocka_unit_test_setup_teardown(a_refused_commit_leaves_its_offset_out, setup_channels, teardown),
        cmocka_unit_test_setup_teardown(the_next_offset_follows_the_last_message_wherever_it_is,
                                        setup_channels, teardown),
        cmocka_unit_test_setup_teardown(offsets_of_messages_that_are_gone_are_not_used_again, setup_channels,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_channel_with_a_damaged_key_takes_nothing_and_the_others_go_on,
                                        setup_channels, teardown),
        cmocka_unit_test_setup_teardown(an_append_from_outside_tells_its_offset_when_it_is_durable,
                                        setup_channels, teardown),
        cmocka_unit_test_setup_teardown(the_same_idempotency_key_appends_once_at_once_and_later,
                                        setup_channels, teardown),
        cmocka_unit_test_setup_teardown(a_remembered_offset_that_is_damaged_is_told_and_not_made_up,
                                        setup_channels, teardown),
        cmocka_unit_test_setup_teardown(an_app_at_its_limit_of_state_takes_no_messages, setup_channels,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
