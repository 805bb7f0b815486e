/* test_outbox.c - sends are done once: when they are due, again after failures, given up in the end, brought back by hand. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/invoke/outbox.h"
#include "runtime/trigger/outbox.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "tests/unit/trigger/fx_trigger.h"

enum { DELAY_MAX_MS = 300 };

struct world {
    struct fx_trigger t;
    struct outbox *outbox;
    struct outbox_part *part;
};

static void on_sent(void *ctx, struct invoke_partition *partition)
{
    struct world *w = ctx;
    if (w->part) outbox_wake(w->part);
}

static void open_part(struct world *w)
{
    w->outbox = outbox_create(&(struct outbox_config){
        .loop = w->t.fx->loop, .clock = w->t.fx->clock, .router = &w->t.router, .seed = 1});
    w->part = outbox_open(w->outbox, "shop", w->t.fx->partition);
}

static void close_part(struct world *w)
{
    outbox_stop(w->part);
    fx_fence(&w->t);
    outbox_close(w->part);
    outbox_destroy(w->outbox);
    w->part = NULL;
}

static int set_up_in(void **state, uint32_t index, uint32_t count)
{
    struct world *w = mem_zalloc(sizeof *w);
    fx_trigger_init(&w->t, index, count);
    static struct invoke_ports ports;
    ports = (struct invoke_ports){.ctx = w, .sent = on_sent};
    invoke_set_ports(w->t.fx->engine, &ports);
    open_part(w);
    *state = w;
    return 0;
}

static int set_up(void **state)
{
    return set_up_in(state, 0, 1);
}

/* A partition to which entity "x" does not belong. */
static int set_up_foreign(void **state)
{
    return set_up_in(state, 1 - keyspace_partition(SLICE("x"), 2), 2);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    close_part(w);
    fx_trigger_fini(&w->t);
    free(w);
    return 0;
}

/* A row as an invocation's commit would write it. */
static void put_send(struct world *w, uint64_t due_ms, uint64_t number, const char *entity, const char *body)
{
    struct buf key = BUF_INIT, value = BUF_INIT, set = BUF_INIT;
    outbox_key_encode(&key, SPACE_OUTBOX, &(struct outbox_key){due_ms, number});
    outbox_row_encode(&value, &(struct outbox_row){.send = {.kind = WIRE_EFFECT_SEND,
                                                            .name = SLICE("add"),
                                                            .key = slice_cstr(entity),
                                                            .body = slice_cstr(body)}});
    write_set_append(&set, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    fx_write(&w->t, buf_view(&set));
    buf_fini(&key);
    buf_fini(&value);
    buf_fini(&set);
    outbox_wake(w->part);
}

static uint64_t now(struct world *w)
{
    return clock_wall_ms(w->t.fx->clock);
}

struct listing {
    struct buf text;
    char ident[40]; /* of the last */
};

static bool on_letter(void *ctx, const struct outbox_letter *letter)
{
    struct listing *listing = ctx;
    buf_printf(&listing->text, "%.*s:%u:%.*s ", SLICE_FMT(letter->entity), letter->attempts,
               SLICE_FMT(letter->error));
    snprintf(listing->ident, sizeof listing->ident, "%s", letter->ident);
    return true;
}

/* "entity:attempts:words " of each that waits or was given up. */
static const char *letters(struct world *w, bool dead)
{
    static char text[500];
    struct listing listing = {.text = BUF_INIT};
    assert_int_equal(outbox_list(w->part, dead, on_letter, &listing, NULL), STATUS_OK);
    snprintf(text, sizeof text, "%s", buf_cstr(&listing.text));
    buf_fini(&listing.text);
    return text;
}

static struct outbox_stats stats_of(struct world *w)
{
    struct outbox_stats stats;
    outbox_stats(w->outbox, &stats);
    return stats;
}

struct told {
    int calls;
    enum status status;
    size_t count;
    char words[200];
};

static void on_moved(void *ctx, enum status status, size_t count, const struct err *err)
{
    struct told *told = ctx;
    told->calls++;
    told->status = status;
    told->count = count;
    snprintf(told->words, sizeof told->words, "%s", err_text(err));
}

static struct told move(struct world *w, const char *ident, bool retry)
{
    struct told told = {0};
    outbox_move(w->part, slice_cstr(ident), retry, on_moved, &told);
    assert_int_equal(told.calls, 0); /* never inside of the call */
    while (!told.calls) loop_turn(w->t.fx->loop, true);
    assert_int_equal(told.calls, 1);
    return told;
}

/* Fails whatever comes until nothing comes for six hours. */
static unsigned fail_for_good(struct world *w, const char *words)
{
    unsigned times = 0;
    for (int quiet = 0; quiet < 36; quiet++)
    {
        if (fx_quiet(&w->t))
        {
            fx_advance_ms(&w->t, 10 * 60 * 1000);
            continue;
        }
        fx_fail(taken(), words);
        times++;
        quiet = 0;
    }
    return times;
}

/* ---- deliveries ---- */

static void what_an_invocation_sends_runs_once_after_its_commit(void **state)
{
    struct world *w = *state;
    struct buf effects = BUF_INIT;
    struct caller caller;
    wire_effect_encode(&effects, &(struct wire_effect){.kind = WIRE_EFFECT_SEND,
                                                       .name = SLICE("add"),
                                                       .key = SLICE("x"),
                                                       .body = SLICE("hello")});
    start(w->t.fx, &caller, "");
    struct pool_run *run = taken();
    assert_true(fx_quiet(&w->t));
    end(run, STATUS_OK, &(struct wire_result){.http_status = 200, .effects = buf_view(&effects)});
    buf_fini(&effects);
    until_answered(w->t.fx, &caller);
    run = fx_run(&w->t);
    assert_int_equal(run->invoke->origin, WIRE_ORIGIN_SEND);
    assert_true(slice_is(run->invoke->entity, "x") && slice_is(run->invoke->body, "hello"));
    assert_false(w->t.router.keyed); /* its row goes with its commit */
    assert_string_equal(letters(w, false), "x:0: ");
    fx_succeed(run);
    assert_true(fx_quiet(&w->t));
    assert_string_equal(letters(w, false), "");
    assert_int_equal(stats_of(w).delivered, 1);
    assert_false(outbox_busy(w->part));
}

static void a_send_for_later_waits_for_its_time(void **state)
{
    struct world *w = *state;
    put_send(w, now(w) + 5000, 1, "x", "later");
    put_send(w, now(w), 2, "x", "now");
    struct pool_run *run = fx_run(&w->t);
    assert_true(slice_is(run->invoke->body, "now"));
    fx_succeed(run);
    assert_true(fx_quiet(&w->t));
    fx_advance_ms(&w->t, 4999);
    assert_true(fx_quiet(&w->t));
    assert_true(outbox_busy(w->part));
    fx_advance_ms(&w->t, 1);
    run = fx_run(&w->t);
    assert_true(slice_is(run->invoke->body, "later"));
    fx_succeed(run);
}

static void what_fails_comes_again_later_and_later_and_is_given_up(void **state)
{
    struct world *w = *state;
    put_send(w, now(w), 1, "x", "");
    fx_fail(fx_run(&w->t), "no price");
    assert_true(fx_quiet(&w->t));
    assert_string_equal(letters(w, false), "x:1:function_error: no price ");
    fx_advance_ms(&w->t, DELAY_MAX_MS);
    fx_fail(fx_run(&w->t), "no price yet");
    assert_int_equal(fail_for_good(w, "never"), BOUND_SEND_RETRIES_MAX + 1 - 2);
    assert_string_equal(letters(w, false), "");
    assert_string_equal(letters(w, true), "x:13:function_error: never ");
    struct outbox_stats stats = stats_of(w);
    assert_true(stats.dead == 1 && stats.failed == BOUND_SEND_RETRIES_MAX + 1 && stats.in_flight == 0);
}

static void what_has_no_room_waits_and_is_not_counted(void **state)
{
    struct world *w = *state;
    w->t.router.refusal = STATUS_OVERLOADED;
    put_send(w, now(w), 1, "x", "");
    for (int i = 0; i < 30; i++) fx_advance_ms(&w->t, DELAY_MAX_MS);
    assert_true(w->t.router.asked > BOUND_SEND_RETRIES_MAX + 1);
    assert_string_equal(letters(w, false), "x:0: ");
    w->t.router.refusal = STATUS_OK;
    fx_advance_ms(&w->t, DELAY_MAX_MS);
    fx_succeed(fx_run(&w->t));
    fx_fence(&w->t);
    assert_true(stats_of(w).failed == 0 && stats_of(w).delivered == 1);
}

static void a_function_that_is_gone_fails_with_its_words(void **state)
{
    struct world *w = *state;
    w->t.router.refusal = STATUS_FUNCTION_NOT_FOUND;
    put_send(w, now(w), 1, "x", "");
    fx_fence(&w->t);
    assert_string_equal(letters(w, false), "x:1:function_not_found: the test refuses ");
}

static void a_clock_that_was_set_back_does_not_bring_it_back_at_once(void **state)
{
    struct world *w = *state;
    uint64_t due_ms = now(w);
    put_send(w, due_ms, 1, "x", "");
    struct pool_run *run = fx_run(&w->t);
    w->t.clock.wall_base_ms -= 60000;
    fx_fail(run, "no");
    assert_true(fx_quiet(&w->t));
    fx_advance_ms(&w->t, 59000);
    assert_true(fx_quiet(&w->t));
    fx_advance_ms(&w->t, 1000 + DELAY_MAX_MS);
    fx_succeed(fx_run(&w->t));
}

static void a_restart_finds_what_was_not_done(void **state)
{
    struct world *w = *state;
    put_send(w, now(w), 1, "x", "");
    end(fx_run(&w->t), STATUS_DRAINING, NULL);
    close_part(w);
    open_part(w);
    assert_true(outbox_busy(w->part));
    fx_succeed(fx_run(&w->t));
    fx_fence(&w->t);
    assert_string_equal(letters(w, false), "");
}

static void a_store_that_takes_nothing_delays_and_loses_nothing(void **state)
{
    struct world *w = *state;
    put_send(w, now(w), 1, "x", "");
    struct pool_run *run = fx_run(&w->t);
    atomic_store(&w->t.fault.count, 1000);
    atomic_store(&w->t.fault.mask, STORE_FAULT_COMMIT);
    fx_succeed(run); /* its commit takes the row along, or would */
    fx_fence(&w->t);
    fx_advance_ms(&w->t, DELAY_MAX_MS);
    fx_fail(fx_run(&w->t), "no"); /* nor can the failure be noted */
    fx_fence(&w->t);
    atomic_store(&w->t.fault.mask, 0);
    assert_string_equal(letters(w, false), "x:0: ");
    fx_advance_ms(&w->t, 1000);
    fx_succeed(fx_run(&w->t));
    fx_fence(&w->t);
    assert_string_equal(letters(w, false), "");
    assert_int_equal(stats_of(w).delivered, 1);
}

/* ---- rows that are damaged ---- */

static void put_row(struct world *w, struct slice key, struct slice value)
{
    struct buf set = BUF_INIT;
    write_set_append(&set, &(struct write_entry){WRITE_PUT, key, value});
    fx_write(&w->t, buf_view(&set));
    buf_fini(&set);
}

/* A row that no send is in. */
static void put_nonsense(struct world *w, uint8_t space, uint64_t number)
{
    struct buf key = BUF_INIT;
    outbox_key_encode(&key, space, &(struct outbox_key){now(w), number});
    put_row(w, buf_view(&key), SLICE("nonsense"));
    buf_fini(&key);
}

static void damaged_rows_are_left_and_listed_and_the_others_are_done(void **state)
{
    struct world *w = *state;
    put_row(w, SLICE("o\0"), SLICE("nonsense"));
    put_nonsense(w, SPACE_OUTBOX, 1);
    put_send(w, now(w), 2, "x", "sound");
    struct pool_run *run = fx_run(&w->t);
    assert_true(slice_is(run->invoke->body, "sound"));
    assert_string_equal(letters(w, false), ":0:store_corrupt: outbox row: its key has 2 bytes "
                                           ":0:store_corrupt: outbox row: it is cut off x:0: ");
    fx_succeed(run);
    fx_fence(&w->t);
    assert_string_equal(letters(w, false), ":0:store_corrupt: outbox row: its key has 2 bytes "
                                           ":0:store_corrupt: outbox row: it is cut off ");
}

static void rows_that_are_damaged_take_nobodys_room_and_keep_nothing_awake(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 0; i < 70; i++) put_nonsense(w, SPACE_OUTBOX, i); /* more than may be under way */
    put_send(w, now(w), 100, "x", "sound");
    struct pool_run *run = fx_run(&w->t);
    assert_true(slice_is(run->invoke->body, "sound"));
    assert_int_equal(stats_of(w).in_flight, 1);
    fx_succeed(run);
    assert_true(fx_quiet(&w->t));
    assert_false(outbox_busy(w->part));
}

static void a_damaged_dead_letter_is_dropped_like_another_and_never_put_back(void **state)
{
    struct world *w = *state;
    put_row(w, SLICE("d\0"), SLICE("nonsense"));
    put_nonsense(w, SPACE_DEAD, 1);
    put_send(w, now(w), 2, "x", "");
    (void)fail_for_good(w, "no");
    struct told told = move(w, "", true);
    assert_true(told.status == STATUS_OK && told.count == 1);
    fx_succeed(fx_run(&w->t));
    told = move(w, "", true);
    assert_int_equal(told.status, STATUS_STORE_CORRUPT);
    struct listing listing = {.text = BUF_INIT};
    assert_int_equal(outbox_list(w->part, true, on_letter, &listing, NULL), STATUS_OK);
    buf_fini(&listing.text);
    told = move(w, listing.ident, true);
    assert_int_equal(told.status, STATUS_STORE_CORRUPT);
    assert_string_equal(told.words, "outbox row: it is cut off");
    told = move(w, listing.ident, false);
    assert_true(told.status == STATUS_OK && told.count == 1);
    told = move(w, "", false);
    assert_true(told.status == STATUS_OK && told.count == 1);
    assert_string_equal(letters(w, true), "");
}

/* ---- to another partition ---- */

static void a_send_to_another_partition_is_deleted_after_its_outcome(void **state)
{
    struct world *w = *state;
    w->t.router.keeps = true;
    put_send(w, now(w), 1, "x", "");
    fx_fence(&w->t);
    assert_true(w->t.router.keyed); /* a repetition would get the remembered outcome */
    assert_string_equal(letters(w, false), "x:0: ");
    fx_kept_end(&w->t, STATUS_OK);
    fx_fence(&w->t);
    assert_string_equal(letters(w, false), "");
    assert_int_equal(w->t.router.asked, 1);
}

static void its_row_that_could_not_be_deleted_is_delivered_again_with_its_key(void **state)
{
    struct world *w = *state;
    w->t.router.keeps = true;
    put_send(w, now(w), 1, "x", "");
    fx_fence(&w->t);
    atomic_store(&w->t.fault.count, 1000);
    atomic_store(&w->t.fault.mask, STORE_FAULT_COMMIT);
    fx_kept_end(&w->t, STATUS_OK);
    fx_fence(&w->t);
    atomic_store(&w->t.fault.mask, 0);
    fx_advance_ms(&w->t, 1000);
    fx_fence(&w->t);
    assert_true(w->t.router.asked == 2 && w->t.router.keyed);
    fx_kept_end(&w->t, STATUS_OK);
    fx_fence(&w->t);
    assert_string_equal(letters(w, false), "");
}

/* ---- dead letters ---- */

static void dead_letters_go_back_with_all_attempts_ahead_or_away(void **state)
{
    struct world *w = *state;
    put_send(w, now(w), 1, "x", "1");
    put_send(w, now(w), 2, "y", "2");
    (void)fail_for_good(w, "no");
    assert_string_equal(letters(w, true), "x:13:function_error: no y:13:function_error: no ");
    struct listing listing = {.text = BUF_INIT};
    assert_int_equal(outbox_list(w->part, true, on_letter, &listing, NULL), STATUS_OK);
    buf_fini(&listing.text);
    struct told told = move(w, listing.ident, true);
    assert_true(told.status == STATUS_OK && told.count == 1);
    struct pool_run *run = fx_run(&w->t);
    assert_true(slice_is(run->invoke->body, "2"));
    fx_fail(run, "once more");
    fx_fence(&w->t);
    assert_string_equal(letters(w, false), "y:1:function_error: once more ");
    told = move(w, "", false);
    assert_true(told.status == STATUS_OK && told.count == 1);
    assert_string_equal(letters(w, true), "");
    fx_advance_ms(&w->t, DELAY_MAX_MS);
    fx_succeed(fx_run(&w->t));
}

static void a_letter_that_there_is_not_is_told(void **state)
{
    struct world *w = *state;
    struct told told = move(w, "00000000000000000000000000000001", true);
    assert_int_equal(told.status, STATUS_NOT_FOUND);
    assert_string_equal(told.words, "app 'shop' has no dead letter 00000000000000000000000000000001");
    told = move(w, "xyz", false);
    assert_int_equal(told.status, STATUS_INVALID_ARGUMENT);
    assert_string_equal(told.words, "'xyz' is no id of a dead letter: 32 hexadecimal digits");
    told = move(w, "", false);
    assert_true(told.status == STATUS_OK && told.count == 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define FOREIGN(name) cmocka_unit_test_setup_teardown(name, set_up_foreign, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_an_invocation_sends_runs_once_after_its_commit),
        TEST(a_send_for_later_waits_for_its_time),
        TEST(what_fails_comes_again_later_and_later_and_is_given_up),
        TEST(what_has_no_room_waits_and_is_not_counted),
        TEST(a_function_that_is_gone_fails_with_its_words),
        TEST(a_clock_that_was_set_back_does_not_bring_it_back_at_once),
        TEST(a_restart_finds_what_was_not_done),
        TEST(a_store_that_takes_nothing_delays_and_loses_nothing),
        TEST(damaged_rows_are_left_and_listed_and_the_others_are_done),
        TEST(rows_that_are_damaged_take_nobodys_room_and_keep_nothing_awake),
        TEST(a_damaged_dead_letter_is_dropped_like_another_and_never_put_back),
        FOREIGN(a_send_to_another_partition_is_deleted_after_its_outcome),
        FOREIGN(its_row_that_could_not_be_deleted_is_delivered_again_with_its_key),
        TEST(dead_letters_go_back_with_all_attempts_ahead_or_away),
        TEST(a_letter_that_there_is_not_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
