/* test_ws.c - WebSocket without I/O: handshakes, frames, and each way of getting them wrong with its code. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "runtime/gateway/ws.h"

/* ---- handshake ---- */

struct shake {
    struct http_header headers[5];
    struct http_request request;
};

static void shake_init(struct shake *shake)
{
    *shake = (struct shake){
        .headers = {{SLICE("upgrade"), SLICE("websocket")},
                    {SLICE("connection"), SLICE("keep-alive, Upgrade")},
                    {SLICE("sec-websocket-version"), SLICE("13")},
                    {SLICE("sec-websocket-key"), SLICE("dGhlIHNhbXBsZSBub25jZQ==")}},
        .request = {.method = SLICE("GET"), .header_count = 4},
    };
    shake->request.headers = shake->headers;
}

static void the_key_of_the_rfc_has_the_answer_of_the_rfc(void **state)
{
    struct shake shake;
    char accept[WS_ACCEPT_CHARS + 1];
    shake_init(&shake);
    assert_true(ws_is_wanted(&shake.request));
    assert_int_equal(ws_accept(&shake.request, accept, NULL), STATUS_OK);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void a_handshake_that_is_not_exact_is_refused(void **state)
{
    struct shake shake;
    char accept[WS_ACCEPT_CHARS + 1];
    struct http_header wrong[] = {
        {SLICE("upgrade"), SLICE("h2c")},
        {SLICE("connection"), SLICE("keep-alive")},
        {SLICE("sec-websocket-version"), SLICE("12")},
        {SLICE("sec-websocket-key"), SLICE("dGhlIHNhbXBsZSBub25jZQ=")},
        {SLICE("sec-websocket-key"), SLICE("dGhlIHNhbXBsZSBub25jZ!==")},
    };
    size_t place[] = {0, 1, 2, 3, 3};
    for (size_t i = 0; i < sizeof place / sizeof place[0]; i++)
    {
        shake_init(&shake);
        shake.headers[place[i]] = wrong[i];
        assert_int_equal(ws_accept(&shake.request, accept, NULL), STATUS_MALFORMED_REQUEST);
    }
    shake_init(&shake);
    shake.request.method = SLICE("POST");
    assert_int_equal(ws_accept(&shake.request, accept, NULL), STATUS_MALFORMED_REQUEST);
    shake_init(&shake);
    shake.headers[4] = shake.headers[3];
    shake.request.header_count = 5;
    assert_int_equal(ws_accept(&shake.request, accept, NULL), STATUS_MALFORMED_REQUEST);
    shake_init(&shake);
    shake.request.header_count = 0;
    assert_false(ws_is_wanted(&shake.request));
}

/* ---- frames ---- */

struct peer {
    struct ws *ws;
    struct buf texts; /* one line for each message: "t:hello" */
    int controls;
};

static void on_message(void *ctx, bool is_text, struct slice body)
{
    struct peer *peer = ctx;
    buf_printf(&peer->texts, "%c:%.*s\n", is_text ? 't' : 'b', SLICE_FMT(body));
}

static void on_control(void *ctx)
{
    ((struct peer *)ctx)->controls++;
}

static void peer_init(struct peer *peer)
{
    static const struct ws_events events = {on_message, on_control};
    *peer = (struct peer){.texts = BUF_INIT};
    peer->ws = ws_create(1000, &events, peer);
}

static void peer_fini(struct peer *peer)
{
    ws_destroy(peer->ws);
    buf_fini(&peer->texts);
}

/* A frame of a client; the mask is zero, so that the bytes stay readable. */
static void feed(struct peer *peer, uint8_t first, const char *body, size_t size)
{
    struct buf frame = BUF_INIT;
    buf_append_byte(&frame, first);
    buf_append_byte(&frame, (uint8_t)(0x80 | (size < 126 ? size : 126)));
    if (size >= 126)
    {
        buf_append_byte(&frame, (uint8_t)(size >> 8));
        buf_append_byte(&frame, (uint8_t)size);
    }
    buf_append(&frame, slice_make("\0\0\0\0", 4));
    buf_append(&frame, slice_make(body, size));
    ws_feed(peer->ws, buf_view(&frame));
    buf_fini(&frame);
}

#define FEED(peer, first, text) feed(peer, first, text, sizeof(text) - 1)

static void messages_come_whole_also_in_pieces_with_a_ping_between(void **state)
{
    struct peer peer;
    peer_init(&peer);
    FEED(&peer, 0x81, "hello");
    FEED(&peer, 0x82, "bytes");
    FEED(&peer, 0x01, "one ");
    FEED(&peer, 0x89, "ping");
    FEED(&peer, 0x80, "two");
    assert_string_equal(buf_cstr(&peer.texts), "t:hello\nb:bytes\nt:one two\n");
    assert_int_equal(peer.controls, 1);
    struct buf *out = ws_out(peer.ws);
    assert_int_equal(out->size, 6); /* the pong */
    assert_memory_equal(out->data, "\x8a\x04ping", 6);
    peer_fini(&peer);
}

static void what_is_sent_is_a_frame_without_a_mask(void **state)
{
    struct peer peer;
    peer_init(&peer);
    ws_send(peer.ws, true, SLICE("hi"));
    ws_send(peer.ws, false, SLICE("\x01"));
    ws_ping(peer.ws);
    assert_int_equal(ws_out(peer.ws)->size, 9);
    assert_memory_equal(ws_out(peer.ws)->data, "\x81\x02hi\x82\x01\x01\x89\x00", 9);
    peer_fini(&peer);
}

static void a_goodbye_is_answered_and_nothing_follows(void **state)
{
    struct peer peer;
    peer_init(&peer);
    FEED(&peer, 0x88,
         "\x03\xe8"
         "bye");
    FEED(&peer, 0x81, "late");
    assert_true(ws_is_closed(peer.ws));
    assert_int_equal(ws_close_code(peer.ws), 1000);
    assert_true(slice_is(ws_close_reason(peer.ws), "bye"));
    assert_int_equal(peer.texts.size, 0);
    size_t said = ws_out(peer.ws)->size;
    ws_send(peer.ws, true, SLICE("late"));
    assert_int_equal(ws_out(peer.ws)->size, said);
    peer_fini(&peer);
}

static void a_goodbye_without_a_code_is_answered_too(void **state)
{
    struct peer peer;
    peer_init(&peer);
    FEED(&peer, 0x88, "");
    assert_true(ws_is_closed(peer.ws));
    assert_int_equal(ws_close_code(peer.ws), WS_CODE_NONE);
    assert_int_equal(ws_close_reason(peer.ws).size, 0);
    assert_int_equal(ws_out(peer.ws)->size, 2);
    assert_memory_equal(ws_out(peer.ws)->data, "\x88\x00", 2);
    peer_fini(&peer);
}

static void our_goodbye_cuts_its_reason_between_characters(void **state)
{
    struct peer peer;
    char reason[200];
    peer_init(&peer);
    for (size_t i = 0; i < 198; i += 2) memcpy(reason + i, "\xc3\xa9", 3);
    ws_close(peer.ws, WS_CODE_LATER, reason);
    ws_close(peer.ws, WS_CODE_POLICY, "again");
    assert_int_equal(ws_out(peer.ws)->size, 2 + 2 + 122);
    assert_memory_equal(ws_out(peer.ws)->data, "\x88\x7c\x03\xf5", 4);
    assert_int_equal(ws_close_code(peer.ws), WS_CODE_LATER);
    peer_fini(&peer);
}

static void a_connection_that_breaks_has_the_code_for_that(void **state)
{
    struct peer peer;
    peer_init(&peer);
    assert_int_equal(ws_close_code(peer.ws), WS_CODE_GONE);
    peer_fini(&peer);
}

static void each_wrong_frame_ends_the_connection_with_its_code(void **state)
{
    static const struct {
        const char *what;
        uint8_t bytes[16];
        size_t size;
        unsigned code;
    } wrong[] = {
        {"no mask", {0x81, 0x01, 'a'}, 3, 1002},
        {"reserved bit", {0xc1, 0x81, 0, 0, 0, 0, 'a'}, 7, 1002},
        {"unknown opcode", {0x83, 0x81, 0, 0, 0, 0, 'a'}, 7, 1002},
        {"control frame in pieces", {0x09, 0x81, 0, 0, 0, 0, 'a'}, 7, 1002},
        {"control frame of 126 bytes", {0x89, 0xfe, 0, 126, 0, 0, 0, 0}, 8, 1002},
        {"continuation of nothing", {0x80, 0x81, 0, 0, 0, 0, 'a'}, 7, 1002},
        {"text that is not UTF-8", {0x81, 0x81, 0, 0, 0, 0, 0xff}, 7, 1007},
        {"more than a message may have", {0x82, 0xfe, 0x03, 0xe9, 0, 0, 0, 0, 'a'}, 9, 1009},
        {"a length of 2^62", {0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a'}, 15, 1009},
        {"length in more bytes than needed", {0x81, 0xfe, 0, 1, 0, 0, 0, 0, 'a'}, 9, 1002},
        {"goodbye of one byte", {0x88, 0x81, 0, 0, 0, 0, 3}, 7, WS_CODE_NONE},
        {"goodbye with a code that is none", {0x88, 0x82, 0, 0, 0, 0, 3, 0xe7}, 8, 1002},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    {
        struct peer peer;
        peer_init(&peer);
        ws_feed(peer.ws, slice_make(wrong[i].bytes, wrong[i].size));
        if (!ws_is_closed(peer.ws) || ws_close_code(peer.ws) != wrong[i].code)
            fail_msg("%s: closed %d, code %u, not %u", wrong[i].what, ws_is_closed(peer.ws),
                     ws_close_code(peer.ws), wrong[i].code);
        assert_int_equal(peer.texts.size, 0);
        peer_fini(&peer);
    }
}

static void utf8_is_what_the_standard_says(void **state)
{
    assert_true(ws_is_utf8(SLICE("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    assert_true(ws_is_utf8(SLICE_EMPTY));
    const struct slice wrong[] = {SLICE("\x80"),
                                  SLICE("\xc3"),
                                  SLICE("\xc0\x80"),
                                  SLICE("\xe0\x80\x80"),
                                  SLICE("\xed\xa0\x80"),
                                  SLICE("\xf4\x90\x80\x80"),
                                  SLICE("\xf8\x88\x80\x80\x80")};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_false(ws_is_utf8(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_of_the_rfc_has_the_answer_of_the_rfc),
        cmocka_unit_test(a_handshake_that_is_not_exact_is_refused),
        cmocka_unit_test(messages_come_whole_also_in_pieces_with_a_ping_between),
        cmocka_unit_test(what_is_sent_is_a_frame_without_a_mask),
        cmocka_unit_test(a_goodbye_is_answered_and_nothing_follows),
        cmocka_unit_test(a_goodbye_without_a_code_is_answered_too),
        cmocka_unit_test(our_goodbye_cuts_its_reason_between_characters),
        cmocka_unit_test(a_connection_that_breaks_has_the_code_for_that),
        cmocka_unit_test(each_wrong_frame_ends_the_connection_with_its_code),
        cmocka_unit_test(utf8_is_what_the_standard_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
