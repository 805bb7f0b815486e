/* test_wire.c - what the wire promises: messages survive the trip, and whatever is not one is refused unread. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "messaging/wire/wire.h"
#include "runtime/base/bounds.h"
#include "runtime/base/prng.h"

/* ---- one example of each message, with every field set ---- */

static void example_headers(struct wire_headers *headers)
{
    headers->count = 2;
    headers->items[0] = (struct wire_header){SLICE("content-type"), SLICE("text/plain")};
    headers->items[1] = (struct wire_header){SLICE("x-empty"), SLICE_EMPTY};
}

static struct wire_invoke *example_invoke(void)
{
    static struct wire_invoke invoke;
    invoke = (struct wire_invoke){
        .id = UINT64_MAX,
        .ident = SLICE("01J0000000000000000000000"),
        .function = SLICE("add"),
        .entity = SLICE("cart/42"),
        .timeout_ms = 5000,
        .snapshot = 1234567,
        .txn = 7654321,
        .meta = SLICE("meta\0with\xff"
                      "bytes"),
        .chain = 99,
        .validate = true,
        .follows = true,
        .attempt = 3,
        .origin = WIRE_ORIGIN_SEND,
        .method = SLICE("POST"),
        .path = SLICE("/shop/add/cart/42"),
        .query = SLICE("n=1&n=2"),
        .body = SLICE("\0\1\2"),
    };
    example_headers(&invoke.headers);
    return &invoke;
}

static struct wire_result *example_result(void)
{
    static struct wire_result result;
    result = (struct wire_result){
        .id = 17,
        .outcome = WIRE_OUTCOME_STATUS,
        .status = STATUS_VALUE_TOO_LARGE,
        .failure = SLICE("the value of `x` has too many bytes"),
        .http_status = 418,
        .body = SLICE("hello"),
        .reads = SLICE("reads\0"),
        .writes = SLICE("writes\0"),
        .effects = SLICE("effects\0"),
        .called = SLICE("called\0"),
        .run_us = 1,
        .cpu_us = 2,
        .peak_kib = 3,
        .rows_read = 4,
        .bytes_read = 1ULL << 40,
    };
    example_headers(&result.headers);
    return &result;
}

static const struct wire_ask example_ask = {
    .id = 17,
    .ask = 3,
    .kind = WIRE_ASK_CALL,
    .name = {"price", 5},
    .key = {"item/\0", 6},
    .type = {"text/plain", 10},
    .number = 1ULL << 50,
    .limit = 250,
    .body = {"\1\2", 2},
};

static const struct wire_answer example_answer = {
    .id = 17,
    .ask = 3,
    .status = STATUS_DEADLINE_EXCEEDED,
    .failure = {"too late", 8},
    .http_status = 409,
    .type = {"text/html", 9},
    .number = 1ULL << 51,
    .body = {"\3\0", 2},
};

static const struct wire_effect example_effect = {
    .kind = WIRE_EFFECT_APPEND,
    .name = {"orders", 6},
    .key = {"ann\0", 4},
    .type = {"application/json", 16},
    .number = 99,
    .body = {"{}", 2},
};

static const struct wire_message example_message = {
    .sequence = 1ULL << 40,
    .time_ms = 1700000000000,
    .channel = {"prices", 6},
    .key = {"eu/paris", 8},
    .type = {"text/plain", 10},
    .body = {"12.5\0", 5},
};

static void encode_example(struct buf *out, enum wire_type type)
{
    switch (type)
    {
    case WIRE_READY:
        wire_ready_encode(out, &(struct wire_ready){.version = WIRE_VERSION, .pid = 4711});
        break;
    case WIRE_INVOKE:
        wire_invoke_encode(out, example_invoke());
        break;
    case WIRE_RESULT:
        wire_result_encode(out, example_result());
        break;
    case WIRE_LOG:
        wire_log_encode(out, &(struct wire_log){.id = 17, .level = 2, .text = SLICE("a line")});
        break;
    case WIRE_ASK:
        wire_ask_encode(out, &example_ask);
        break;
    case WIRE_ANSWER:
        wire_answer_encode(out, &example_answer);
        break;
    case WIRE_EFFECT:
        wire_effect_encode(out, &example_effect);
        break;
    case WIRE_MESSAGE:
        wire_message_encode(out, &example_message);
        break;
    }
}

/* ---- helpers ---- */

static void assert_slice(struct slice actual, struct slice expected)
{
    assert_int_equal(actual.size, expected.size);
    if (expected.size) assert_memory_equal(actual.data, expected.data, expected.size);
}

static void assert_headers(const struct wire_headers *actual, const struct wire_headers *expected)
{
    assert_int_equal(actual->count, expected->count);
    for (size_t i = 0; i < expected->count; i++)
    {
        assert_slice(actual->items[i].name, expected->items[i].name);
        assert_slice(actual->items[i].value, expected->items[i].value);
    }
}

static struct slice only_payload(struct slice frame)
{
    struct slice payload;
    size_t need;
    bool whole;
    assert_int_equal(wire_frame_next(frame, &payload, &need, &whole, NULL), STATUS_OK);
    assert_true(whole);
    assert_int_equal(need, frame.size);
    return payload;
}

static bool inside(struct slice part, struct slice payload)
{
    const char *begin = payload.data, *at = part.data;
    return part.size == 0 || (at >= begin && at + part.size <= begin + payload.size);
}

static bool headers_inside(const struct wire_headers *headers, struct slice payload)
{
    for (size_t i = 0; i < headers->count; i++)
        if (!inside(headers->items[i].name, payload) || !inside(headers->items[i].value, payload))
            return false;
    return headers->count <= WIRE_HEADERS_MAX;
}

/* Decodes as `type`; whatever comes out must lie inside of the payload. */
static enum status decode(struct slice payload, enum wire_type type, struct err *err)
{
    struct wire_ready ready;
    struct wire_invoke invoke;
    struct wire_result result;
    struct wire_log log;
    struct wire_ask ask;
    struct wire_answer answer;
    struct wire_effect effect;
    struct wire_message message;
    enum status status = STATUS_INTERNAL;
    switch (type)
    {
    case WIRE_READY:
        return wire_ready_decode(payload, &ready, err);
    case WIRE_INVOKE:
        status = wire_invoke_decode(payload, &invoke, err);
        if (status != STATUS_OK) return status;
        assert_true(inside(invoke.ident, payload) && inside(invoke.function, payload));
        assert_true(inside(invoke.entity, payload) && inside(invoke.meta, payload));
        assert_true(inside(invoke.method, payload) && inside(invoke.path, payload));
        assert_true(inside(invoke.query, payload) && inside(invoke.body, payload));
        assert_true(headers_inside(&invoke.headers, payload));
        return status;
    case WIRE_RESULT:
        status = wire_result_decode(payload, &result, err);
        if (status != STATUS_OK) return status;
        assert_true(result.outcome <= WIRE_OUTCOME_STATUS && result.status < STATUS_COUNT);
        assert_true(inside(result.failure, payload) && inside(result.body, payload));
        assert_true(inside(result.reads, payload) && inside(result.writes, payload));
        assert_true(headers_inside(&result.headers, payload));
        return status;
    case WIRE_LOG:
        status = wire_log_decode(payload, &log, err);
        if (status == STATUS_OK) assert_true(inside(log.text, payload));
        return status;
    case WIRE_ASK:
        status = wire_ask_decode(payload, &ask, err);
        if (status != STATUS_OK) return status;
        assert_true(ask.kind >= WIRE_ASK_CALL && ask.kind <= WIRE_ASK_KIND_MAX);
        assert_true(inside(ask.name, payload) && inside(ask.key, payload));
        assert_true(inside(ask.type, payload) && inside(ask.body, payload));
        return status;
    case WIRE_ANSWER:
        status = wire_answer_decode(payload, &answer, err);
        if (status != STATUS_OK) return status;
        assert_true(answer.status < STATUS_COUNT && inside(answer.failure, payload));
        assert_true(inside(answer.type, payload) && inside(answer.body, payload));
        return status;
    case WIRE_EFFECT:
        status = wire_effect_decode(payload, &effect, err);
        if (status != STATUS_OK) return status;
        assert_true(effect.kind >= WIRE_EFFECT_SEND && effect.kind <= WIRE_EFFECT_KIND_MAX);
        assert_true(inside(effect.name, payload) && inside(effect.key, payload));
        assert_true(inside(effect.type, payload) && inside(effect.body, payload));
        return status;
    case WIRE_MESSAGE:
        status = wire_message_decode(payload, &message, err);
        if (status != STATUS_OK) return status;
        assert_true(inside(message.channel, payload) && inside(message.key, payload));
        assert_true(inside(message.type, payload) && inside(message.body, payload));
        return status;
    }
    return status;
}

/* ---- promises ---- */

static void an_invoke_arrives_as_it_was_sent(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    const struct wire_invoke *sent = example_invoke();
    wire_invoke_encode(&out, sent);
    struct wire_invoke got;
    assert_int_equal(wire_invoke_decode(only_payload(buf_view(&out)), &got, NULL), STATUS_OK);
    assert_true(got.id == sent->id && got.snapshot == sent->snapshot && got.txn == sent->txn);
    assert_true(got.chain == sent->chain && got.validate == sent->validate && got.follows == sent->follows);
    assert_true(got.timeout_ms == sent->timeout_ms && got.attempt == sent->attempt);
    assert_int_equal(got.origin, sent->origin);
    assert_slice(got.ident, sent->ident);
    assert_slice(got.function, sent->function);
    assert_slice(got.entity, sent->entity);
    assert_slice(got.meta, sent->meta);
    assert_slice(got.method, sent->method);
    assert_slice(got.path, sent->path);
    assert_slice(got.query, sent->query);
    assert_headers(&got.headers, &sent->headers);
    assert_slice(got.body, sent->body);
    buf_fini(&out);
}

static void a_result_arrives_as_it_was_sent(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    const struct wire_result *sent = example_result();
    wire_result_encode(&out, sent);
    struct wire_result got;
    assert_int_equal(wire_result_decode(only_payload(buf_view(&out)), &got, NULL), STATUS_OK);
    assert_true(got.id == sent->id && got.outcome == sent->outcome && got.status == sent->status);
    assert_true(got.http_status == sent->http_status);
    assert_true(got.run_us == sent->run_us && got.cpu_us == sent->cpu_us && got.peak_kib == sent->peak_kib);
    assert_true(got.rows_read == sent->rows_read && got.bytes_read == sent->bytes_read);
    assert_slice(got.failure, sent->failure);
    assert_headers(&got.headers, &sent->headers);
    assert_slice(got.body, sent->body);
    assert_slice(got.reads, sent->reads);
    assert_slice(got.writes, sent->writes);
    assert_slice(got.effects, sent->effects);
    assert_slice(got.called, sent->called);
    buf_fini(&out);
}

static void ready_and_log_arrive_as_they_were_sent(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    encode_example(&out, WIRE_READY);
    struct wire_ready ready;
    assert_int_equal(wire_ready_decode(only_payload(buf_view(&out)), &ready, NULL), STATUS_OK);
    assert_int_equal(ready.version, WIRE_VERSION);
    assert_int_equal(ready.pid, 4711);
    buf_reset(&out);
    encode_example(&out, WIRE_LOG);
    struct wire_log log;
    assert_int_equal(wire_log_decode(only_payload(buf_view(&out)), &log, NULL), STATUS_OK);
    assert_int_equal(log.id, 17);
    assert_int_equal(log.level, 2);
    assert_slice(log.text, SLICE("a line"));
    buf_fini(&out);
}

static void ask_and_answer_arrive_as_they_were_sent(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    encode_example(&out, WIRE_ASK);
    struct wire_ask ask;
    assert_int_equal(wire_ask_decode(only_payload(buf_view(&out)), &ask, NULL), STATUS_OK);
    assert_true(ask.id == example_ask.id && ask.ask == example_ask.ask && ask.kind == example_ask.kind);
    assert_true(ask.number == example_ask.number && ask.limit == example_ask.limit);
    assert_slice(ask.name, example_ask.name);
    assert_slice(ask.key, example_ask.key);
    assert_slice(ask.type, example_ask.type);
    assert_slice(ask.body, example_ask.body);
    buf_reset(&out);
    encode_example(&out, WIRE_ANSWER);
    struct wire_answer answer;
    assert_int_equal(wire_answer_decode(only_payload(buf_view(&out)), &answer, NULL), STATUS_OK);
    assert_true(answer.id == example_answer.id && answer.ask == example_answer.ask);
    assert_true(answer.status == example_answer.status && answer.http_status == example_answer.http_status);
    assert_true(answer.number == example_answer.number);
    assert_slice(answer.failure, example_answer.failure);
    assert_slice(answer.type, example_answer.type);
    assert_slice(answer.body, example_answer.body);
    buf_fini(&out);
}

static void effects_are_read_in_their_order_and_a_cut_off_one_is_refused(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    struct wire_effect effect = example_effect;
    for (uint64_t i = 0; i < 3; i++)
    {
        effect.number = i;
        wire_effect_encode(&out, &effect);
    }
    size_t offset = 0;
    bool found;
    for (uint64_t i = 0; i < 3; i++)
    {
        assert_int_equal(wire_effect_next(buf_view(&out), &offset, &effect, &found, NULL), STATUS_OK);
        assert_true(found && effect.number == i && effect.kind == WIRE_EFFECT_APPEND);
        assert_slice(effect.key, example_effect.key);
    }
    assert_int_equal(wire_effect_next(buf_view(&out), &offset, &effect, &found, NULL), STATUS_OK);
    assert_false(found);
    struct err err = ERR_INIT;
    size_t cut = out.size / 3;
    offset = 0;
    assert_int_equal(wire_effect_next(slice_make(out.data, cut - 1), &offset, &effect, &found, &err),
                     STATUS_FUNCTION_PROTOCOL);
    assert_string_equal(err_text(&err), "effects: the last one is cut off");
    buf_fini(&out);
}

static void a_batch_of_messages_is_read_in_its_order_and_a_cut_off_one_is_refused(void **state)
{
    struct buf out = BUF_INIT;
    struct wire_message message = example_message;
    for (uint64_t i = 0; i < 3; i++)
    {
        message.sequence = i;
        wire_message_encode(&out, &message);
    }
    size_t offset = 0;
    bool found;
    for (uint64_t i = 0; i < 3; i++)
    {
        assert_int_equal(wire_message_next(buf_view(&out), &offset, &message, &found, NULL), STATUS_OK);
        assert_true(found && message.sequence == i && message.time_ms == example_message.time_ms);
        assert_slice(message.channel, example_message.channel);
        assert_slice(message.key, example_message.key);
        assert_slice(message.type, example_message.type);
        assert_slice(message.body, example_message.body);
    }
    assert_int_equal(wire_message_next(buf_view(&out), &offset, &message, &found, NULL), STATUS_OK);
    assert_false(found);
    struct err err = ERR_INIT;
    offset = 0;
    assert_int_equal(
        wire_message_next(slice_make(out.data, out.size / 3 - 1), &offset, &message, &found, &err),
        STATUS_FUNCTION_PROTOCOL);
    assert_string_equal(err_text(&err), "messages: the last one is cut off");
    buf_fini(&out);
}

static void large_bodies_and_all_headers_fit(void **state)
{
    (void)state;
    struct wire_result *sent = example_result();
    char *body = calloc(1, 70000);
    sent->body = slice_make(body, 70000);
    sent->headers.count = WIRE_HEADERS_MAX;
    for (size_t i = 0; i < WIRE_HEADERS_MAX; i++)
        sent->headers.items[i] = (struct wire_header){SLICE("set-cookie"), slice_make(body, 300)};
    struct buf out = BUF_INIT;
    wire_result_encode(&out, sent);
    struct wire_result got;
    assert_int_equal(wire_result_decode(only_payload(buf_view(&out)), &got, NULL), STATUS_OK);
    assert_int_equal(got.body.size, 70000);
    assert_headers(&got.headers, &sent->headers);
    buf_fini(&out);
    free(body);
}

static void a_stream_of_frames_comes_apart_at_every_split(void **state)
{
    (void)state;
    struct buf stream = BUF_INIT;
    for (int type = WIRE_READY; type <= WIRE_TYPE_MAX; type++) encode_example(&stream, (enum wire_type)type);
    for (size_t have = 0; have <= stream.size; have++)
    {
        size_t at = 0;
        for (int expected = WIRE_READY; expected <= WIRE_TYPE_MAX; expected++)
        {
            struct slice rest = {stream.data + at, have - at}, payload;
            size_t need;
            bool whole;
            assert_int_equal(wire_frame_next(rest, &payload, &need, &whole, NULL), STATUS_OK);
            if (!whole)
            {
                assert_true(need > rest.size);
                assert_true(at + need <= stream.size);
                break;
            }
            enum wire_type type;
            assert_int_equal(wire_type_of(payload, &type, NULL), STATUS_OK);
            assert_int_equal(type, expected);
            at += need;
        }
        if (have == stream.size) assert_int_equal(at, stream.size);
    }
    buf_fini(&stream);
}

static void a_frame_of_impossible_length_is_refused(void **state)
{
    (void)state;
    struct slice payload;
    size_t need;
    bool whole;
    struct err err = ERR_INIT;
    assert_int_equal(wire_frame_next(SLICE("\0\0\0\0"), &payload, &need, &whole, &err),
                     STATUS_FUNCTION_PROTOCOL);
    assert_string_equal(err_text(&err), "a frame of 0 bytes is announced");
    assert_int_equal(wire_frame_next(SLICE("\xff\xff\xff\xff"), &payload, &need, &whole, &err),
                     STATUS_FUNCTION_PROTOCOL);
    assert_string_equal(err_text(&err), "a frame of 4294967295 bytes is announced");
}

/* Each cut is decoded from memory of exactly its size, so that the address sanitizer sees any byte too
 * many. */
static void every_truncation_of_every_message_is_refused(void **state)
{
    (void)state;
    for (int type = WIRE_READY; type <= WIRE_TYPE_MAX; type++)
    {
        struct buf out = BUF_INIT;
        encode_example(&out, (enum wire_type)type);
        struct slice whole = only_payload(buf_view(&out));
        for (size_t size = 0; size < whole.size; size++)
        {
            void *cut = mem_dup(slice_make(whole.data, size));
            struct err err = ERR_INIT;
            assert_int_equal(decode(slice_make(cut, size), (enum wire_type)type, &err),
                             STATUS_FUNCTION_PROTOCOL);
            assert_string_equal(err_text(&err), "the message ends too early");
            free(cut);
        }
        buf_fini(&out);
    }
}

static void every_flipped_bit_is_refused_or_stays_inside_of_the_payload(void **state)
{
    (void)state;
    for (int type = WIRE_READY; type <= WIRE_TYPE_MAX; type++)
    {
        struct buf out = BUF_INIT;
        encode_example(&out, (enum wire_type)type);
        struct slice whole = only_payload(buf_view(&out));
        for (size_t bit = 0; bit < whole.size * 8; bit++)
        {
            uint8_t *bytes = mem_dup(whole);
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            enum status status = decode(slice_make(bytes, whole.size), (enum wire_type)type, NULL);
            assert_true(status == STATUS_OK || status == STATUS_FUNCTION_PROTOCOL);
            free(bytes);
        }
        buf_fini(&out);
    }
}

static void random_damage_is_refused_or_stays_inside_of_the_payload(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 20);
    for (int round = 0; round < 20000; round++)
    {
        enum wire_type type = (enum wire_type)(1 + prng_below(&prng, WIRE_TYPE_MAX));
        struct buf out = BUF_INIT;
        encode_example(&out, type);
        struct slice whole = only_payload(buf_view(&out));
        size_t size = prng_chance(&prng, 1, 2) ? whole.size : 1 + prng_below(&prng, whole.size);
        uint8_t *bytes = mem_dup(slice_make(whole.data, size));
        for (uint64_t n = 1 + prng_below(&prng, 4); n > 0; n--)
            bytes[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        enum status status = decode(slice_make(bytes, size), type, NULL);
        assert_true(status == STATUS_OK || status == STATUS_FUNCTION_PROTOCOL);
        free(bytes);
        buf_fini(&out);
    }
}

static void assert_refused(struct slice payload, enum wire_type type, const char *words)
{
    struct err err = ERR_INIT;
    assert_int_equal(decode(payload, type, &err), STATUS_FUNCTION_PROTOCOL);
    assert_string_equal(err_text(&err), words);
}

static void what_is_no_message_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused(SLICE("\x93\x01\x01\x02\x00"), WIRE_READY, "1 bytes follow the message");
    assert_refused(SLICE("\x92\x01\x01"), WIRE_READY, "not an array of a type and 2 fields");
    assert_refused(SLICE("\x01"), WIRE_READY, "not an array of a type and 2 fields");
    assert_refused(SLICE("\x93\x02\x01\x02"), WIRE_READY, "not a message of type 1");
    assert_refused(SLICE("\x93\x01\xa1x\x02"), WIRE_READY, "ready message, part 2: a number was expected");
    assert_refused(SLICE("\x93\x01\x01\xcf\0\0\0\1\0\0\0\0"), WIRE_READY,
                   "ready message, part 3: the number is too large");
    assert_refused(SLICE("\x93\x01\x01\xff"), WIRE_READY, "no message has what is at byte 3");
    assert_refused(SLICE("\x93\x01\x01\xc0"), WIRE_READY, "no message has what is at byte 3");
    assert_refused(SLICE("\x93\x01\x01\x91\x02"), WIRE_READY, "ready message, part 3: a number was expected");
    assert_refused(SLICE("\x94\x04\x01\x04\xa1x"), WIRE_LOG, "log message, part 3: the number is too large");
    assert_refused(SLICE("\x94\x04\x01\x02\xc4\x01x"), WIRE_LOG, "log message, part 4: a text was expected");
}

static void an_announced_giant_costs_nothing(void **state)
{
    (void)state;
    assert_refused(SLICE("\xdd\xff\xff\xff\xff\x01"), WIRE_READY, "no message has what is at byte 4");
    assert_refused(SLICE("\x94\x04\x01\x02\xdb\xff\xff\xff\xffx"), WIRE_LOG, "the message ends too early");
}

static void nesting_is_refused_at_any_depth(void **state)
{
    (void)state;
    uint8_t deep[4096];
    memset(deep, 0x91, sizeof deep);
    struct err err = ERR_INIT;
    assert_int_equal(decode(slice_make(deep, sizeof deep), WIRE_READY, &err), STATUS_FUNCTION_PROTOCOL);
}

static void a_type_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    enum wire_type type;
    assert_int_equal(wire_type_of(SLICE("\x91\x09"), &type, NULL), STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(wire_type_of(SLICE("\x91\x00"), &type, NULL), STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(wire_type_of(SLICE("\xc3"), &type, NULL), STATUS_FUNCTION_PROTOCOL);
    assert_int_equal(wire_type_of(SLICE_EMPTY, &type, NULL), STATUS_FUNCTION_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_invoke_arrives_as_it_was_sent),
        cmocka_unit_test(a_result_arrives_as_it_was_sent),
        cmocka_unit_test(ready_and_log_arrive_as_they_were_sent),
        cmocka_unit_test(ask_and_answer_arrive_as_they_were_sent),
        cmocka_unit_test(effects_are_read_in_their_order_and_a_cut_off_one_is_refused),
        cmocka_unit_test(a_batch_of_messages_is_read_in_its_order_and_a_cut_off_one_is_refused),
        cmocka_unit_test(large_bodies_and_all_headers_fit),
        cmocka_unit_test(a_stream_of_frames_comes_apart_at_every_split),
        cmocka_unit_test(a_frame_of_impossible_length_is_refused),
        cmocka_unit_test(every_truncation_of_every_message_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused_or_stays_inside_of_the_payload),
        cmocka_unit_test(random_damage_is_refused_or_stays_inside_of_the_payload),
        cmocka_unit_test(what_is_no_message_is_refused_with_its_place),
        cmocka_unit_test(an_announced_giant_costs_nothing),
        cmocka_unit_test(nesting_is_refused_at_any_depth),
        cmocka_unit_test(a_type_that_does_not_exist_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
