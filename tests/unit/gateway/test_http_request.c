/* test_http_request.c - looking things up in requests, and answers as bytes. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/buf.h"
#include "runtime/gateway/http_request.h"
#include "runtime/gateway/reply.h"

static void headers_are_found_by_their_lower_case_name_first_one_first(void **state)
{
    (void)state;
    const struct http_header headers[] = {
        {SLICE("accept"), SLICE("a")}, {SLICE("x"), SLICE("1")}, {SLICE("x"), SLICE("2")}};
    const struct http_request request = {.headers = headers, .header_count = 3};
    assert_true(slice_is(http_request_header(&request, "x"), "1"));
    assert_null(http_request_header(&request, "y").data);
}

static void percent_decoding_takes_two_hex_digits_and_nothing_less(void **state)
{
    (void)state;
    static const struct {
        const char *encoded;
        const char *decoded; /* NULL: refused */
    } cases[] = {
        {"", ""},       {"abc", "abc"},       {"%41%42", "AB"}, {"a%2fb%2F", "a/b/"},
        {"a+b", "a+b"}, {"%25%32%35", "%25"}, {"%", NULL},      {"%4", NULL},
        {"a%4", NULL},  {"%4g", NULL},        {"%%41", NULL},   {"%-1", NULL},
        {"% 41", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        char out[32];
        size_t size;
        bool fine = http_percent_decode(slice_cstr(cases[i].encoded), out, &size);
        assert_int_equal(fine, cases[i].decoded != NULL);
        if (fine) assert_true(slice_is(slice_make(out, size), cases[i].decoded));
    }
}

static void query_parameters_are_decoded_as_forms_encode_them(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *value; /* of "key"; NULL: not there */
    } cases[] = {
        {"key=1", "1"},   {"a=b&key=x+y%26z&key=2", "x y&z"},
        {"k%65y=1", "1"}, {"key", ""},
        {"key=", ""},     {"key=a=b", "a=b"},
        {"", NULL},       {"keys=1&ke=2&&=", NULL},
        {"key=%4", NULL}, {"%zz=1&key=2", "2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        char out[64];
        struct slice value;
        bool found = http_query_get(slice_cstr(cases[i].query), "key", out, &value);
        assert_int_equal(found, cases[i].value != NULL);
        if (found) assert_true(slice_is(value, cases[i].value));
    }
}

static void dates_are_as_the_rfc_writes_them(void **state)
{
    (void)state;
    char text[REPLY_COMMON_BYTES];
    struct slice lines = reply_common_print(text, 784111777000); /* the example of RFC 9110 */
    assert_true(slice_is(lines, "Server: stead\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
}

static void an_answer_is_written_byte_for_byte(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    const struct http_header header = {SLICE("X-A"), SLICE("1")};
    struct reply reply = {.status = 418,
                          .headers = &header,
                          .header_count = 1,
                          .body = SLICE("tea"),
                          .connection = REPLY_CLOSE};
    reply_append(&out, &reply, SLICE("Server: s\r\n"));
    assert_string_equal(buf_cstr(&out), "HTTP/1.1 418 Other\r\nServer: s\r\nX-A: 1\r\nContent-Length: 3\r\n"
                                        "Connection: close\r\n\r\ntea");
    buf_reset(&out);
    reply_chunk_append(&out, SLICE("0123456789abcdef!"));
    reply_chunk_append(&out, SLICE_EMPTY);
    reply_last_chunk_append(&out);
    assert_string_equal(buf_cstr(&out), "11\r\n0123456789abcdef!\r\n0\r\n\r\n");
    buf_fini(&out);
}

static void error_bodies_are_json_whatever_the_words_are(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain", "\"plain\""},
        {"q\"b\\s\tn\n", "\"q\\\"b\\\\s\\u0009n\\u000a\""},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82", "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82\""},
        {"\xc3", "\"\\ufffd\""},
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""}, /* overlong */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* a surrogate */
        {"\xf5\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        struct buf out = BUF_INIT, expected = BUF_INIT;
        reply_error_body_append(&out, STATUS_CANCELED, cases[i][0], NULL);
        buf_printf(&expected,
                   "{\"error\":{\"code\":\"canceled\",\"message\":%s,\"hint\":\"\",\"invocation\":null}}\n",
                   cases[i][1]);
        assert_string_equal(buf_cstr(&out), buf_cstr(&expected));
        buf_fini(&out);
        buf_fini(&expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found_by_their_lower_case_name_first_one_first),
        cmocka_unit_test(percent_decoding_takes_two_hex_digits_and_nothing_less),
        cmocka_unit_test(query_parameters_are_decoded_as_forms_encode_them),
        cmocka_unit_test(dates_are_as_the_rfc_writes_them),
        cmocka_unit_test(an_answer_is_written_byte_for_byte),
        cmocka_unit_test(error_bodies_are_json_whatever_the_words_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
