/* frames.c - attacks on the daemon through the worker's link: wrong frames, frames of others, too many of them. */
// SPDX-License-Identifier: Apache-2.0
#include "attack.h"
#include "frames.h"

#include <poll.h>

#include "sdk/src/ctx.h"

/* The attacker knows what this run is called on the link. */
static uint64_t own_id(const struct stead_ctx *ctx)
{
    return ctx->invoke->id;
}

static _Noreturn enum stead_status wait_for_the_end(void)
{
    for (;;) poll(NULL, 0, 1000);
}

/* ---- not frames ---- */

STEAD_FUNCTION(announces_four_gib)
{
    announce(UINT32_MAX);
    return wait_for_the_end();
}

STEAD_FUNCTION(announces_nothing)
{
    announce(0);
    return wait_for_the_end();
}

STEAD_FUNCTION(announces_more_than_its_memory)
{
    announce(300 << 20);
    return wait_for_the_end();
}

STEAD_FUNCTION(announces_and_waits)
{
    announce(10 << 20);
    return wait_for_the_end();
}

STEAD_FUNCTION(trickles)
{
    announce(1 << 20);
    for (;; poll(NULL, 0, 1)) write_all("x", 1);
}

/* More than the daemon would ever want of this function, and never the end. */
STEAD_FUNCTION(stuffs)
{
    static const char block[1 << 20];
    announce(64 << 20);
    for (int i = 0; i < 63; i++) write_all(block, sizeof block);
    return wait_for_the_end();
}

STEAD_FUNCTION(sends_rubbish)
{
    char rubbish[65536];
    memset(rubbish, 0xc1, sizeof rubbish); /* the one code that msgpack never uses */
    announce(sizeof rubbish);
    write_all(rubbish, sizeof rubbish);
    return wait_for_the_end();
}

STEAD_FUNCTION(sends_half_a_frame_and_dies)
{
    announce(1000);
    write_all("x", 1);
    _exit(0);
}

/* ---- frames of the wrong shape ---- */

static enum stead_status send_and_wait(struct frame *frame)
{
    send_frame(frame);
    return wait_for_the_end();
}

STEAD_FUNCTION(sends_an_unknown_type)
{
    struct frame frame = {0};
    begin(&frame, 99, 0);
    return send_and_wait(&frame);
}

STEAD_FUNCTION(sends_a_map)
{
    struct frame frame = {0};
    begin(&frame, RESULT, 0);
    frame.size = LENGTH_BYTES;
    put_head(&frame, 0xdf, 1, 4);
    put_number(&frame, RESULT);
    put_number(&frame, own_id(ctx));
    return send_and_wait(&frame);
}

STEAD_FUNCTION(nests_deeply)
{
    struct frame frame = {0};
    begin(&frame, RESULT, RESULT_FIELDS);
    for (int i = 0; i < 1 << 20; i++) put(&frame, "\x91", 1);
    return send_and_wait(&frame);
}

STEAD_FUNCTION(sends_too_few_fields)
{
    struct frame frame = {0};
    begin(&frame, RESULT, 1);
    put_number(&frame, own_id(ctx));
    return send_and_wait(&frame);
}

STEAD_FUNCTION(sends_too_many_fields)
{
    struct frame frame = {0};
    begin(&frame, LOG, 1000000);
    for (int i = 0; i < 1000000; i++) put_number(&frame, 0);
    return send_and_wait(&frame);
}

STEAD_FUNCTION(counts_four_billion_fields)
{
    struct frame frame = {0};
    begin(&frame, RESULT, UINT32_MAX - 1);
    return send_and_wait(&frame);
}

STEAD_FUNCTION(lies_about_a_length)
{
    struct frame frame = {0};
    begin(&frame, LOG, 3);
    put_number(&frame, own_id(ctx));
    put_number(&frame, 1);
    put_head(&frame, 0xdb, UINT32_MAX, 4); /* a text that is not there */
    put(&frame, "x", 1);
    return send_and_wait(&frame);
}

STEAD_FUNCTION(lies_about_all_lengths)
{
    struct frame frame = {0};
    begin(&frame, RESULT, RESULT_FIELDS);
    put_number(&frame, own_id(ctx));
    for (int i = 0; i < 13; i++) put_head(&frame, 0xc6, 0x7fffffff, 4);
    return send_and_wait(&frame);
}

STEAD_FUNCTION(hides_bytes_behind_a_result)
{
    struct frame frame = {0};
    begin(&frame, READY, 2);
    put_number(&frame, 1);
    put_number(&frame, 1);
    put(&frame, "hidden", 6);
    return send_and_wait(&frame);
}

/* ---- frames out of turn ---- */

STEAD_FUNCTION(greets_again)
{
    struct frame frame = {0};
    begin(&frame, READY, 2);
    put_number(&frame, 1);
    put_number(&frame, (uint64_t)getpid());
    return send_and_wait(&frame);
}

STEAD_FUNCTION(asks_the_daemon_to_run)
{
    struct frame frame = {0};
    begin(&frame, INVOKE, 16);
    for (int i = 0; i < 16; i++) put_number(&frame, 0);
    return send_and_wait(&frame);
}

STEAD_FUNCTION(answers_the_next_one)
{
    send_result(&(struct result){.id = own_id(ctx) + 1, .body = "forged", .body_size = 6});
    return wait_for_the_end();
}

STEAD_FUNCTION(answers_the_one_before)
{
    send_result(&(struct result){.id = own_id(ctx) - 1, .body = "forged", .body_size = 6});
    return wait_for_the_end();
}

/* Numbers of runs are those of the worker and of the run in it: all that may exist elsewhere. */
STEAD_FUNCTION(answers_another_worker)
{
    uint64_t worker = own_id(ctx) >> 32;
    uint64_t other = worker > 1 ? worker - 1 : worker + 1;
    send_result(&(struct result){.id = other << 32 | 1, .body = "forged", .body_size = 6});
    return wait_for_the_end();
}

STEAD_FUNCTION(answers_twice)
{
    struct result result = {.id = own_id(ctx), .body = "first", .body_size = 5};
    send_result(&result);
    send_result(&result);
    return wait_for_the_end();
}

/* And goes on at the cost of the others. */
STEAD_FUNCTION(answers_and_goes_on)
{
    send_result(&(struct result){.id = own_id(ctx), .body = "answered", .body_size = 8});
    for (volatile int i = 0;; i++) continue;
}

STEAD_FUNCTION(logs_for_another)
{
    struct frame frame = {0};
    begin(&frame, LOG, 3);
    put_number(&frame, own_id(ctx) + 1);
    put_number(&frame, 1);
    put_text(&frame, "forged");
    return send_and_wait(&frame);
}

STEAD_FUNCTION(logs_at_a_level_that_is_none)
{
    struct frame frame = {0};
    begin(&frame, LOG, 3);
    put_number(&frame, own_id(ctx));
    put_number(&frame, 200);
    put_text(&frame, "forged");
    return send_and_wait(&frame);
}

STEAD_FUNCTION(forges_lines_of_the_log)
{
    stead_log(ctx, STEAD_INFO, "x\n2026-01-01T00:00:00.000Z error node.forged reason=\x1b[2J\r\nnode.forged");
    return stead_reply(ctx, "logged");
}

/* ---- wishes out of turn ---- */

static void send_ask(uint64_t id, uint64_t number, uint64_t kind)
{
    static struct frame frame; /* one for all: its bytes are many */
    begin(&frame, ASK, 9);
    put_number(&frame, id);
    put_number(&frame, number);
    put_number(&frame, kind);
    put_text(&frame, "answers_twice"); /* a function that there is */
    put_bytes(&frame, "", 0);
    put_text(&frame, "");
    put_number(&frame, UINT64_MAX);
    put_number(&frame, UINT64_MAX);
    put_bytes(&frame, "", 0);
    send_frame(&frame);
}

STEAD_FUNCTION(asks_for_another)
{
    send_ask(own_id(ctx) + 1, 1, 1);
    return wait_for_the_end();
}

STEAD_FUNCTION(asks_out_of_turn)
{
    send_ask(own_id(ctx), 7, 1);
    return wait_for_the_end();
}

STEAD_FUNCTION(asks_for_what_is_no_wish)
{
    send_ask(own_id(ctx), 1, 77);
    return wait_for_the_end();
}

STEAD_FUNCTION(asks_for_too_much_at_once)
{
    for (uint64_t i = 1; i <= 300; i++) send_ask(own_id(ctx), i, 4); /* to receive, for ever */
    return wait_for_the_end();
}

STEAD_FUNCTION(ends_before_it_is_answered)
{
    send_ask(own_id(ctx), 1, 1);
    send_result(&(struct result){.id = own_id(ctx), .body = "early", .body_size = 5});
    return wait_for_the_end();
}

/* ---- results that lie ---- */

static enum stead_status forge(struct stead_ctx *ctx, struct result result)
{
    result.id = own_id(ctx);
    send_result(&result);
    return wait_for_the_end();
}

STEAD_FUNCTION(writes_rubbish)
{
    static const uint8_t rubbish[4096] = {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    return forge(ctx, (struct result){.writes = rubbish, .writes_size = sizeof rubbish});
}

STEAD_FUNCTION(sends_rubbish_effects)
{
    static const uint8_t rubbish[4096] = {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    return forge(ctx, (struct result){.effects = rubbish, .effects_size = sizeof rubbish});
}

STEAD_FUNCTION(reads_rubbish)
{
    static const uint8_t rubbish[4096] = {9, 0xff, 0xff};
    return forge(
        ctx, (struct result){.reads = rubbish, .reads_size = sizeof rubbish, .writes = "", .writes_size = 0});
}

/* One entry of a write set, see statestore/kv/write_set.h. */
static size_t write_entry(uint8_t *at, const char *key, size_t key_size, uint32_t value_size)
{
    at[0] = 1;
    at[1] = (uint8_t)key_size;
    at[2] = (uint8_t)(key_size >> 8);
    memcpy(at + 3, &value_size, sizeof value_size);
    memcpy(at + 7, key, key_size);
    return 7 + key_size;
}

static enum stead_status forge_key(struct stead_ctx *ctx, const char *key, size_t key_size,
                                   uint32_t value_size)
{
    static uint8_t writes[8192];
    size_t size = write_entry(writes, key, key_size, value_size);
    return forge(ctx, (struct result){.writes = writes, .writes_size = size});
}

STEAD_FUNCTION(writes_to_the_stores_own_rows)
{
    return forge_key(ctx, "s", 1, 0);
}

STEAD_FUNCTION(writes_outcomes_of_others)
{
    return forge_key(ctx, "igood\0key", 9, 0);
}

STEAD_FUNCTION(writes_usage_of_its_own)
{
    return forge_key(ctx, "m", 1, 0);
}

STEAD_FUNCTION(writes_a_key_beyond_all_limits)
{
    static char key[4096];
    memset(key, 'r', sizeof key);
    key[100] = 0;
    return forge_key(ctx, key, sizeof key, 0);
}

STEAD_FUNCTION(writes_a_value_that_is_not_there)
{
    return forge_key(ctx, "r\0x", 3, UINT32_MAX);
}

STEAD_FUNCTION(writes_in_the_wrong_order)
{
    static uint8_t writes[64];
    size_t size = write_entry(writes, "rb\0x", 4, 0);
    size += write_entry(writes + size, "ra\0x", 4, 0);
    return forge(ctx, (struct result){.writes = writes, .writes_size = size});
}

STEAD_FUNCTION(replies_a_status_that_is_none)
{
    return forge(ctx, (struct result){.http_status = 100});
}

STEAD_FUNCTION(fails_with_a_status_that_is_none)
{
    return forge(ctx, (struct result){.outcome = 2, .status = 60000});
}

/* The words of the node itself: that it is overloaded, that a reply was already given. */
STEAD_FUNCTION(fails_in_the_nodes_name)
{
    return forge(ctx, (struct result){.outcome = 2, .status = 0, .failure = "all is well"});
}

STEAD_FUNCTION(splits_the_reply)
{
    return forge(
        ctx, (struct result){.headers = {"x-forged", "a\r\nSet-Cookie: forged=1\r\n\r\nHTTP/1.1 200 OK"}});
}

STEAD_FUNCTION(frames_the_reply_itself)
{
    return forge(ctx, (struct result){.headers = {"content-length", "1", "transfer-encoding", "chunked"},
                                      .body = "whole body",
                                      .body_size = 10});
}

STEAD_FUNCTION(replies_more_than_allowed)
{
    static char body[17 << 20];
    return forge(ctx, (struct result){.body = body, .body_size = sizeof body});
}

STEAD_FUNCTION(claims_endless_usage)
{
    return forge(ctx, (struct result){.usage = UINT32_MAX, .body = "x", .body_size = 1});
}
