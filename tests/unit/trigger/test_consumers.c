/* test_consumers.c - durable messages start functions: order, failures, delays, dead letters, cursors that move, retention. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/catalog/manifest.h"
#include "runtime/invoke/appends.h"
#include "runtime/trigger/consumers.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/trigger/fx_trigger.h"

enum { HOUR_MS = 3600 * 1000, DELAY_MAX_MS = 300 };

struct world {
    struct fx_trigger t;
    struct consumers *consumers;
    struct consumers_part *part;
    struct manifest *manifest;
};

static const struct invoke_channel channels[] = {{"orders", true}};

static void on_appended(void *ctx, struct invoke_partition *partition)
{
    struct world *w = ctx;
    if (w->part) consumers_wake(w->part);
}

static void configure(struct world *w, const char *channel, const char *subscription)
{
    char text[500];
    struct err err = ERR_INIT;
    snprintf(
        text, sizeof text,
        "app: shop\ncode: a.so\nfunctions: [{name: add}]\n"
        "channels: [{name: orders, kind: durable%s}]\nsubscriptions: [{channel: orders, function: add%s}]\n",
        channel, subscription);
    manifest_destroy(w->manifest);
    if (manifest_parse(slice_cstr(text), "stead.yaml", &w->manifest, &err) != STATUS_OK)
        fail_msg("%s", err_text(&err));
    consumers_configure(w->part, w->manifest);
}

static void open_part(struct world *w)
{
    w->consumers = consumers_create(&(struct consumers_config){
        .loop = w->t.fx->loop, .clock = w->t.fx->clock, .router = &w->t.router, .seed = 1});
    w->part = consumers_open(w->consumers, "shop", w->t.fx->partition);
}

static void close_part(struct world *w)
{
    consumers_stop(w->part);
    fx_fence(&w->t);
    consumers_close(w->part);
    consumers_destroy(w->consumers);
    w->part = NULL;
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    fx_trigger_init(&w->t, 0, 1);
    w->t.fx->version.channels = channels;
    w->t.fx->version.channels_count = 1;
    static struct invoke_ports ports;
    ports = (struct invoke_ports){.ctx = w, .appended = on_appended};
    invoke_set_ports(w->t.fx->engine, &ports);
    open_part(w);
    configure(w, "", "");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    close_part(w);
    fx_trigger_fini(&w->t);
    manifest_destroy(w->manifest);
    free(w);
    return 0;
}

struct appending {
    struct invoke_append append;
    bool is_over;
};

static void on_append(struct invoke_append *append)
{
    CONTAINER_OF(append, struct appending, append)->is_over = true;
}

static uint64_t append(struct world *w, const char *key, const char *body)
{
    struct appending one = {.append = {.channel = SLICE("orders"),
                                       .key = slice_cstr(key),
                                       .type = SLICE("text/plain"),
                                       .body = slice_cstr(body),
                                       .done = on_append}};
    invoke_append(&w->t.fx->version, &one.append);
    while (!one.is_over) loop_turn(w->t.fx->loop, true);
    assert_int_equal(one.append.status, STATUS_OK);
    return one.append.offset;
}

static void on_group(void *ctx, const struct consumers_group *group)
{
    *(struct consumers_group *)ctx = *group;
}

static struct consumers_group group_of(struct world *w)
{
    struct consumers_group group = {0};
    consumers_groups(w->part, on_group, &group);
    assert_non_null(group.channel);
    return group;
}

static bool on_row(void *ctx, struct slice key, struct slice value)
{
    struct durable_dead dead;
    struct slice channel, name;
    uint64_t offset;
    assert_true(durable_dead_split(key, &channel, &name, &offset));
    assert_int_equal(durable_dead_decode(value, &dead, NULL), STATUS_OK);
    buf_printf(ctx, "%llu:%u:%.*s ", (unsigned long long)offset, dead.attempts, SLICE_FMT(dead.error));
    return true;
}

/* Dead letters: "offset:attempts:words ". */
static const char *dead_letters(struct world *w)
{
    static char text[300];
    struct buf rows = BUF_INIT;
    const uint8_t low = SPACE_DEAD_MESSAGES, high = SPACE_DEAD_MESSAGES + 1;
    struct store_snapshot *snapshot = store_snapshot_take(w->t.fx->store);
    assert_int_equal(store_scan(snapshot, slice_make(&low, 1), slice_make(&high, 1), on_row, &rows, NULL),
                     STATUS_OK);
    store_snapshot_release(w->t.fx->store, snapshot);
    snprintf(text, sizeof text, "%s", buf_cstr(&rows));
    buf_fini(&rows);
    return text;
}

/* What an operator was told. */
struct told {
    int calls;
    enum status status;
    uint64_t count;
    char words[300];
};

static void on_told(void *ctx, enum status status, uint64_t count, const struct err *err)
{
    struct told *told = ctx;
    told->calls++;
    told->status = status;
    told->count = count;
    snprintf(told->words, sizeof told->words, "%s", err_text(err));
}

static void until_told(struct world *w, struct told *told)
{
    while (!told->calls) loop_turn(w->t.fx->loop, true);
    assert_int_equal(told->calls, 1);
}

#define ASSERT_BODY(run, text) assert_true(slice_is((run)->invoke->body, text))

/* ---- deliveries ---- */

static void a_message_starts_its_function_and_is_done_with_its_commit(void **state)
{
    struct world *w = *state;
    append(w, "eu", "1");
    struct pool_run *run = fx_run(&w->t);
    assert_int_equal(run->invoke->origin, WIRE_ORIGIN_CHANNEL);
    assert_true(slice_is(run->invoke->entity, "eu"));
    assert_string_equal(fx_header(run, "stead-channel"), "orders");
    assert_string_equal(fx_header(run, "stead-offset"), "0");
    assert_string_equal(fx_header(run, "stead-key"), "eu");
    assert_string_equal(fx_header(run, "content-type"), "text/plain");
    ASSERT_BODY(run, "1");
    assert_int_equal(group_of(w).cursor, 0);
    assert_true(consumers_busy(w->part));
    fx_succeed(run);
    fx_fence(&w->t);
    struct consumers_group group = group_of(w);
    assert_true(group.cursor == 1 && group.delivered == 1 && group.lag == 0 && group.in_flight == 0);
    assert_false(consumers_busy(w->part));
}

static void keys_go_beside_each_other_and_one_key_in_its_order(void **state)
{
    struct world *w = *state;
    append(w, "a", "1");
    append(w, "a", "2");
    append(w, "b", "3");
    struct pool_run *first = fx_run(&w->t), *other = fx_run(&w->t);
    ASSERT_BODY(first, "1");
    ASSERT_BODY(other, "3");
    assert_true(fx_quiet(&w->t));
    fx_succeed(first);
    first = fx_run(&w->t);
    ASSERT_BODY(first, "2");
    fx_succeed(other);
    fx_succeed(first);
    fx_fence(&w->t);
    assert_int_equal(group_of(w).cursor, 3);
}

static void what_fails_comes_again_after_a_while_and_then_is_a_dead_letter(void **state)
{
    struct world *w = *state;
    configure(w, "", ", retries: 1");
    append(w, "a", "1");
    append(w, "a", "2");
    fx_fail(fx_run(&w->t), "no price");
    assert_true(fx_quiet(&w->t)); /* the one behind it waits, too */
    fx_advance_ms(&w->t, DELAY_MAX_MS);
    struct pool_run *run = fx_run(&w->t);
    ASSERT_BODY(run, "1");
    fx_fail(run, "still no price");
    run = fx_run(&w->t);
    ASSERT_BODY(run, "2");
    assert_string_equal(dead_letters(w), "0:2:function_error: still no price ");
    fx_succeed(run);
    fx_fence(&w->t);
    struct consumers_group group = group_of(w);
    assert_true(group.failed == 2 && group.dead == 1 && group.delivered == 1 && group.cursor == 2);
}

static void what_has_no_room_comes_again_and_is_not_counted(void **state)
{
    struct world *w = *state;
    configure(w, "", ", retries: 0");
    w->t.router.refusal = STATUS_OVERLOADED;
    append(w, "a", "1");
    for (int i = 0; i < 5; i++) fx_advance_ms(&w->t, DELAY_MAX_MS);
    assert_true(w->t.router.asked >= 3);
    w->t.router.refusal = STATUS_OK;
    fx_advance_ms(&w->t, DELAY_MAX_MS);
    fx_succeed(fx_run(&w->t));
    fx_fence(&w->t);
    struct consumers_group group = group_of(w);
    assert_true(group.failed == 0 && group.dead == 0 && group.delivered == 1);
}

static void a_batch_has_one_key_and_after_a_failure_each_comes_alone(void **state)
{
    struct world *w = *state;
    configure(w, "", ", batch: 10, retries: 0");
    append(w, "a", "1");
    struct pool_run *first = fx_run(&w->t);
    append(w, "a", "2");
    append(w, "b", "3");
    append(w, "a", "4");
    assert_string_equal(fx_header(first, "stead-batch"), "1");
    struct pool_run *other = fx_run(&w->t);
    fx_succeed(first);
    struct pool_run *batch = fx_run(&w->t);
    assert_string_equal(fx_header(batch, "stead-batch"), "2");
    assert_string_equal(fx_header(batch, "stead-key"), "a");
    fx_succeed(other);
    fx_fail(batch, "one of them");
    for (int i = 0; i < 2; i++)
    {
        fx_advance_ms(&w->t, DELAY_MAX_MS);
        batch = fx_run(&w->t);
        assert_string_equal(fx_header(batch, "stead-batch"), "1");
        fx_succeed(batch);
    }
    fx_fence(&w->t);
    assert_true(group_of(w).cursor == 4 && group_of(w).dead == 0);
}

static void what_was_done_out_of_order_is_not_done_again_after_a_restart(void **state)
{
    struct world *w = *state;
    append(w, "a", "1");
    append(w, "b", "2");
    append(w, "c", "3");
    struct pool_run *a = fx_run(&w->t), *b = fx_run(&w->t), *c = fx_run(&w->t);
    fx_succeed(b);
    end(a, STATUS_DRAINING, NULL);
    end(c, STATUS_DRAINING, NULL);
    fx_fence(&w->t);
    assert_int_equal(group_of(w).cursor, 0);
    close_part(w);
    open_part(w);
    configure(w, "", "");
    a = fx_run(&w->t), c = fx_run(&w->t);
    ASSERT_BODY(a, "1");
    ASSERT_BODY(c, "3");
    assert_true(fx_quiet(&w->t));
    fx_succeed(a);
    fx_succeed(c);
    fx_fence(&w->t);
    assert_int_equal(group_of(w).cursor, 3);
    assert_int_equal(group_of(w).delivered, 2);
}

static void a_new_group_may_begin_at_the_end(void **state)
{
    struct world *w = *state;
    consumers_configure(w->part, NULL);
    append(w, "a", "1");
    assert_true(fx_quiet(&w->t));
    configure(w, "", ", group: late, from: end");
    append(w, "a", "2");
    struct pool_run *run = fx_run(&w->t);
    ASSERT_BODY(run, "2");
    fx_succeed(run);
}

static void keys_that_a_group_does_not_want_are_passed_over(void **state)
{
    struct world *w = *state;
    configure(w, "", ", keys: eu/");
    append(w, "us/1", "1");
    append(w, "eu/1", "2");
    struct pool_run *run = fx_run(&w->t);
    ASSERT_BODY(run, "2");
    fx_succeed(run);
    fx_fence(&w->t);
    assert_true(group_of(w).cursor == 2 && group_of(w).delivered == 1);
}

static void a_store_that_takes_nothing_delays_and_loses_nothing(void **state)
{
    struct world *w = *state;
    append(w, "a", "1");
    struct pool_run *run = fx_run(&w->t);
    atomic_store(&w->t.fault.count, 1000);
    atomic_store(&w->t.fault.mask, STORE_FAULT_COMMIT);
    fx_succeed(run); /* with the commit that settles its message */
    fx_fence(&w->t);
    assert_int_equal(group_of(w).delivered, 0);
    atomic_store(&w->t.fault.mask, 0);
    assert_true(atomic_load(&w->t.fault.hits) > 0);
    fx_advance_ms(&w->t, DELAY_MAX_MS);
    run = fx_run(&w->t);
    ASSERT_BODY(run, "1");
    fx_succeed(run);
    fx_fence(&w->t);
    assert_true(group_of(w).delivered == 1 && group_of(w).failed == 0 && group_of(w).cursor == 1);
}

static void a_dead_letter_that_cannot_be_written_is_tried_again(void **state)
{
    struct world *w = *state;
    configure(w, "", ", retries: 0");
    append(w, "a", "1");
    struct pool_run *run = fx_run(&w->t);
    atomic_store(&w->t.fault.count, 1000);
    atomic_store(&w->t.fault.mask, STORE_FAULT_COMMIT);
    fx_fail(run, "no");
    fx_fence(&w->t);
    assert_int_equal(group_of(w).dead, 0);
    atomic_store(&w->t.fault.mask, 0);
    fx_advance_ms(&w->t, 1000);
    fx_fail(fx_run(&w->t), "no again");
    fx_fence(&w->t);
    assert_int_equal(group_of(w).dead, 1);
    assert_string_equal(dead_letters(w), "0:1:function_error: no again ");
}

/* ---- operators ---- */

static void a_group_goes_back_when_what_it_has_under_way_has_ended(void **state)
{
    struct world *w = *state;
    append(w, "a", "1");
    append(w, "b", "2");
    fx_succeed(fx_run(&w->t));
    struct pool_run *last = fx_run(&w->t);
    struct told moved = {0}, refused = {0};
    consumers_replay(w->part, SLICE("orders"), SLICE("add"), 0, on_told, &moved);
    consumers_replay(w->part, SLICE("orders"), SLICE("add"), 1, on_told, &refused);
    assert_int_equal(refused.calls, 0); /* never inside of the call */
    until_told(w, &refused);
    assert_int_equal(refused.status, STATUS_BUSY);
    assert_int_equal(moved.calls, 0);
    fx_succeed(last);
    until_told(w, &moved);
    assert_int_equal(moved.status, STATUS_OK);
    struct pool_run *a = fx_run(&w->t), *b = fx_run(&w->t);
    ASSERT_BODY(a, "1");
    ASSERT_BODY(b, "2");
    fx_succeed(a);
    fx_succeed(b);
}

static void a_cursor_outside_of_what_is_kept_and_a_group_that_is_none_are_told(void **state)
{
    struct world *w = *state;
    append(w, "a", "1");
    fx_succeed(fx_run(&w->t));
    struct told told = {0};
    consumers_replay(w->part, SLICE("orders"), SLICE("add"), 2, on_told, &told);
    until_told(w, &told);
    assert_int_equal(told.status, STATUS_OFFSET_GONE);
    assert_string_equal(told.words,
                        "offset 2 of channel 'orders' is not there; it keeps 0 to 0, and 1 is the next");
    told = (struct told){0};
    consumers_replay(w->part, SLICE("orders"), SLICE("nobody"), 0, on_told, &told);
    until_told(w, &told);
    assert_int_equal(told.status, STATUS_NOT_FOUND);
    assert_string_equal(told.words,
                        "no subscription of app 'shop' has the group 'nobody' of channel 'orders'");
}

static void dead_letters_are_tried_again_and_dropped(void **state)
{
    struct world *w = *state;
    configure(w, "", ", retries: 0");
    append(w, "a", "1");
    append(w, "b", "2");
    fx_fail(fx_run(&w->t), "no");
    fx_fail(fx_run(&w->t), "no");
    fx_fence(&w->t);
    assert_string_equal(dead_letters(w), "0:1:function_error: no 1:1:function_error: no ");
    struct told told = {0};
    consumers_dead_retry(w->part, SLICE("orders"), SLICE("add"), UINT64_MAX, on_told, &told);
    struct pool_run *a = fx_run(&w->t), *b = fx_run(&w->t);
    ASSERT_BODY(a, "1");
    assert_string_equal(fx_header(b, "stead-offset"), "1");
    fx_succeed(a);
    fx_fail(b, "no more");
    until_told(w, &told);
    assert_true(told.status == STATUS_OK && told.count == 2);
    assert_string_equal(dead_letters(w), "1:2:function_error: no more ");
    told = (struct told){0};
    consumers_dead_drop(w->part, SLICE("orders"), SLICE("add"), 1, on_told, &told);
    until_told(w, &told);
    assert_true(told.status == STATUS_OK && told.count == 1);
    assert_string_equal(dead_letters(w), "");
    told = (struct told){0};
    consumers_dead_drop(w->part, SLICE("orders"), SLICE("add"), 1, on_told, &told);
    until_told(w, &told);
    assert_int_equal(told.status, STATUS_NOT_FOUND);
    assert_string_equal(told.words, "group 'add' of channel 'orders' has no dead letter 1");
}

/* ---- retention ---- */

static void messages_that_are_too_old_go_and_a_group_that_has_not_read_them_is_told(void **state)
{
    struct world *w = *state;
    consumers_configure(w->part, NULL); /* nobody reads */
    append(w, "a", "1");
    append(w, "a", "2");
    clock_manual_advance(&w->t.clock, 2ULL * HOUR_MS * NS_PER_MS);
    append(w, "a", "3");
    struct consumers_stats stats;
    struct durable_head head;
    configure(w, ", keep_hours: 1", ", from: start");
    fx_succeed(fx_run(&w->t)); /* it begins with the oldest, before retention has looked */
    for (int i = 0; i < 3; i++)
    {
        fx_advance_ms(&w->t, 10000);
        fx_fence(&w->t);
    }
    consumers_stats(w->consumers, &stats);
    assert_int_equal(stats.trimmed, 2);
    assert_int_equal(invoke_channel_head(w->t.fx->partition, SLICE("orders"), &head, NULL), STATUS_OK);
    assert_true(head.first == 2 && head.next == 3);
    struct told told = {0};
    consumers_replay(w->part, SLICE("orders"), SLICE("add"), 1, on_told, &told);
    while (!told.calls)
    {
        if (list_empty(&submitted))
            loop_turn(w->t.fx->loop, true);
        else
            fx_succeed(taken());
    }
    assert_int_equal(told.status, STATUS_OFFSET_GONE);
}

static void a_group_that_begins_too_late_counts_what_it_lost(void **state)
{
    struct world *w = *state;
    fx_fence(&w->t); /* its beginning is noted: offset 0 */
    consumers_configure(w->part, NULL);
    append(w, "a", "1");
    append(w, "a", "2");
    configure(w, ", keep_hours: 1", ", group: other, from: end");
    clock_manual_advance(&w->t.clock, 2ULL * HOUR_MS * NS_PER_MS);
    for (int i = 0; i < 3; i++)
    {
        fx_advance_ms(&w->t, 10000);
        fx_fence(&w->t);
    }
    configure(w, ", keep_hours: 1", "");
    append(w, "a", "3");
    struct pool_run *run = fx_run(&w->t);
    while (!slice_is(run->invoke->body, "3"))
    {
        fx_succeed(run);
        run = fx_run(&w->t);
    }
    fx_succeed(run);
    fx_fence(&w->t);
    struct consumers_stats stats;
    consumers_stats(w->consumers, &stats);
    assert_true(stats.trimmed == 2 && stats.lost == 2);
}

/* ---- rows that are damaged ---- */

static void put_row(struct world *w, struct slice key, struct slice value)
{
    struct buf set = BUF_INIT;
    write_set_append(&set, &(struct write_entry){WRITE_PUT, key, value});
    fx_write(&w->t, buf_view(&set));
    buf_fini(&set);
}

static void a_damaged_key_among_the_messages_is_told_and_passed_over(void **state)
{
    struct world *w = *state;
    put_row(w, SLICE("qorders\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), SLICE("?")); /* behind offset 0 */
    put_row(w, SLICE("qorders\0\7"), SLICE("?")); /* behind all offsets */
    append(w, "a", "0");
    append(w, "b", "1");
    struct pool_run *run = fx_run(&w->t);
    ASSERT_BODY(run, "0");
    fx_succeed(run);
    fx_advance_ms(&w->t, 1000);
    run = fx_run(&w->t);
    ASSERT_BODY(run, "1");
    fx_succeed(run);
    assert_true(fx_quiet(&w->t));
    assert_true(group_of(w).cursor == 2 && group_of(w).delivered == 2 && group_of(w).lag == 0);
}

static void a_damaged_message_stops_its_group_until_a_replay_goes_past_it(void **state)
{
    struct world *w = *state;
    consumers_configure(w->part, NULL); /* nobody reads */
    append(w, "a", "0");
    append(w, "b", "1");
    append(w, "c", "2");
    struct buf key = BUF_INIT;
    durable_message_key(&key, SLICE("orders"), 1);
    put_row(w, buf_view(&key), SLICE("?"));
    buf_fini(&key);
    configure(w, "", "");
    struct pool_run *run = fx_run(&w->t);
    ASSERT_BODY(run, "0");
    fx_succeed(run);
    fx_advance_ms(&w->t, HOUR_MS);
    assert_true(fx_quiet(&w->t));
    assert_true(group_of(w).lag == 2);
    struct told told = {0};
    consumers_replay(w->part, SLICE("orders"), SLICE("add"), 2, on_told, &told);
    until_told(w, &told);
    assert_int_equal(told.status, STATUS_OK);
    run = fx_run(&w->t);
    ASSERT_BODY(run, "2");
    fx_succeed(run);
    fx_fence(&w->t);
    assert_true(group_of(w).cursor == 3 && group_of(w).lag == 0);
}

static void a_damaged_message_goes_with_the_older_ones_when_a_later_one_is_too_old(void **state)
{
    struct world *w = *state;
    configure(w, ", keep_hours: 1", "");
    for (int i = 0; i < 3; i++)
    {
        append(w, "a", "old");
        fx_succeed(fx_run(&w->t));
    }
    struct buf key = BUF_INIT;
    durable_message_key(&key, SLICE("orders"), 1);
    put_row(w, buf_view(&key), SLICE("?"));
    fx_advance_ms(&w->t, HOUR_MS + 1);
    append(w, "a", "young");
    fx_succeed(fx_run(&w->t));
    buf_reset(&key);
    durable_message_key(&key, SLICE("orders"), 3);
    put_row(w, buf_view(&key), SLICE("?")); /* nothing behind it tells how old it is */
    fx_advance_ms(&w->t, 10000);
    fx_fence(&w->t);
    struct durable_head head;
    assert_int_equal(invoke_channel_head(w->t.fx->partition, SLICE("orders"), &head, NULL), STATUS_OK);
    assert_true(head.first == 3 && head.next == 4);
    buf_fini(&key);
}

static void a_group_with_a_damaged_done_row_gets_nothing(void **state)
{
    struct world *w = *state;
    append(w, "a", "0");
    fx_succeed(fx_run(&w->t));
    fx_fence(&w->t);
    close_part(w);
    put_row(w, SLICE("gorders\0add\0\7"), SLICE(""));
    open_part(w);
    configure(w, "", "");
    append(w, "a", "1");
    assert_true(fx_quiet(&w->t)); /* nobody knows what it has done */
    configure(w, "", ", group: other");
    struct pool_run *run = fx_run(&w->t);
    ASSERT_BODY(run, "0");
    fx_succeed(run);
}

static void a_damaged_dead_letter_is_left_by_a_retry_and_can_be_dropped(void **state)
{
    struct world *w = *state;
    configure(w, "", ", retries: 0");
    append(w, "a", "1");
    fx_fail(fx_run(&w->t), "no");
    fx_fence(&w->t);
    put_row(w, SLICE("xorders\0add\0\7"), SLICE("?")); /* no offset */
    put_row(w, SLICE("xorders\0add\0\0\0\0\0\0\0\0\7"), SLICE("?")); /* no letter */
    struct told told = {0};
    consumers_dead_retry(w->part, SLICE("orders"), SLICE("add"), UINT64_MAX, on_told, &told);
    struct pool_run *run = fx_run(&w->t);
    ASSERT_BODY(run, "1");
    fx_succeed(run);
    until_told(w, &told);
    assert_true(told.status == STATUS_OK && told.count == 1);
    told = (struct told){0};
    consumers_dead_drop(w->part, SLICE("orders"), SLICE("add"), 7, on_told, &told);
    until_told(w, &told);
    assert_true(told.status == STATUS_OK && told.count == 1);
    told = (struct told){0};
    consumers_dead_retry(w->part, SLICE("orders"), SLICE("add"), UINT64_MAX, on_told, &told);
    until_told(w, &told);
    assert_int_equal(told.status, STATUS_STORE_CORRUPT);
    told = (struct told){0};
    consumers_dead_drop(w->part, SLICE("orders"), SLICE("add"), UINT64_MAX, on_told, &told);
    until_told(w, &told);
    assert_true(told.status == STATUS_OK && told.count == 1);
    assert_string_equal(dead_letters(w), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_message_starts_its_function_and_is_done_with_its_commit),
        TEST(keys_go_beside_each_other_and_one_key_in_its_order),
        TEST(what_fails_comes_again_after_a_while_and_then_is_a_dead_letter),
        TEST(what_has_no_room_comes_again_and_is_not_counted),
        TEST(a_batch_has_one_key_and_after_a_failure_each_comes_alone),
        TEST(what_was_done_out_of_order_is_not_done_again_after_a_restart),
        TEST(a_new_group_may_begin_at_the_end),
        TEST(keys_that_a_group_does_not_want_are_passed_over),
        TEST(a_store_that_takes_nothing_delays_and_loses_nothing),
        TEST(a_dead_letter_that_cannot_be_written_is_tried_again),
        TEST(a_group_goes_back_when_what_it_has_under_way_has_ended),
        TEST(a_cursor_outside_of_what_is_kept_and_a_group_that_is_none_are_told),
        TEST(dead_letters_are_tried_again_and_dropped),
        TEST(messages_that_are_too_old_go_and_a_group_that_has_not_read_them_is_told),
        TEST(a_group_that_begins_too_late_counts_what_it_lost),
        TEST(a_damaged_key_among_the_messages_is_told_and_passed_over),
        TEST(a_damaged_message_stops_its_group_until_a_replay_goes_past_it),
        TEST(a_damaged_message_goes_with_the_older_ones_when_a_later_one_is_too_old),
        TEST(a_group_with_a_damaged_done_row_gets_nothing),
        TEST(a_damaged_dead_letter_is_left_by_a_retry_and_can_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
