/* test_smuggling.c - requests that another server might read differently: each is refused or read in one way only. */
// SPDX-License-Identifier: Apache-2.0
//
// Every case runs as one piece, byte by byte, and cut in two at every place: the outcome must be the same.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/gateway/http_parse.h"
#include "tests/unit/gateway/fx_gateway.h"

struct smuggling_case {
    const char *name;
    struct slice bytes;
    const char *run; /* what reached the handler: "METHOD target body\n" each */
    const char *answers; /* HTTP statuses, in order */
    bool closed; /* the gateway has ended the connection */
};

#define B(literal)                      \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }
#define H "Host: a\r\n"
#define NEXT "GET /next HTTP/1.1\r\n" H "\r\n"
#define RUN_NEXT "GET /next \n"
#define CHUNKED "POST /c HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static const struct smuggling_case cases[] = {
    /* What must work. */
    {"plain", B("GET / HTTP/1.1\r\n" H "\r\n" NEXT), "GET / \n" RUN_NEXT, "200 200", false},
    {"length", B("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc" NEXT), "POST / abc\n" RUN_NEXT,
     "200 200", false},
    {"length zero", B("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n" NEXT), "POST / \n" RUN_NEXT,
     "200 200", false},
    {"get with a body", B("GET / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc" NEXT), "GET / abc\n" RUN_NEXT,
     "200 200", false},
    {"chunked", B(CHUNKED "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n" NEXT),
     "POST /c abc0123456789\n" RUN_NEXT, "200 200", false},
    {"chunked, upper case",
     B("POST /c HTTP/1.1\r\n" H "TRANSFER-ENCODING: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" NEXT),
     "POST /c x\n" RUN_NEXT, "200 200", false},
    {"chunk extension and trailer", B(CHUNKED "3;a=b;c\r\nabc\r\n0;z\r\nX-T: v\r\n\r\n" NEXT),
     "POST /c abc\n" RUN_NEXT, "200 200", false},
    {"one empty line before", B("\r\nGET / HTTP/1.1\r\n" H "\r\n" NEXT), "GET / \n" RUN_NEXT, "200 200",
     false},
    {"blanks around a value", B("GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n" NEXT), "GET / \n" RUN_NEXT,
     "200 200", false},
    {"absolute target", B("GET http://a/x HTTP/1.1\r\n" H "\r\n" NEXT), "GET http://a/x \n" RUN_NEXT,
     "200 200", false},
    {"options of the server", B("OPTIONS * HTTP/1.1\r\n" H "\r\n" NEXT), "OPTIONS * \n" RUN_NEXT, "200 200",
     false},
    {"upgrade is not taken", B("GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" NEXT),
     "GET / \n" RUN_NEXT, "200 200", false},
    {"upgrade with a body",
     B("POST / HTTP/1.1\r\n" H "Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nab" NEXT),
     "POST / ab\n" RUN_NEXT, "200 200", false},
    {"http 1.0", B("GET / HTTP/1.0\r\n\r\n" NEXT), "GET / \n", "200", true},
    {"close hides what follows", B("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n" NEXT), "GET / \n",
     "200", true},

    /* Two lengths. */
    {"CL.TE",
     B("POST / HTTP/1.1\r\n" H "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG" NEXT), "",
     "400", true},
    {"TE.CL", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" NEXT),
     "", "400", true},
    {"CL.CL same", B("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" NEXT), "",
     "400", true},
    {"CL.CL different", B("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc" NEXT),
     "", "400", true},
    {"CL list", B("POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc" NEXT), "", "400", true},
    {"CL signed", B("POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc" NEXT), "", "400", true},
    {"CL negative", B("POST / HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\nabc" NEXT), "", "400", true},
    {"CL hex", B("POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc" NEXT), "", "400", true},
    {"CL octal look", B("POST / HTTP/1.1\r\n" H "Content-Length: 010\r\n\r\nabcabcabca" NEXT), "", "400",
     true},
    {"CL with a blank inside", B("POST / HTTP/1.1\r\n" H "Content-Length: 3 3\r\n\r\nabc" NEXT), "", "400",
     true},
    {"CL empty", B("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n" NEXT), "", "400", true},
    {"CL decimal point", B("POST / HTTP/1.1\r\n" H "Content-Length: 3.0\r\n\r\nabc" NEXT), "", "400", true},
    {"CL underscore digits", B("POST / HTTP/1.1\r\n" H "Content-Length: 1_0\r\n\r\nabcabcabca" NEXT), "",
     "400", true},
    {"CL beyond 64 bits", B("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551619\r\n\r\nabc" NEXT),
     "", "400", true},
    {"CL beyond every limit",
     B("POST / HTTP/1.1\r\n" H "Content-Length: 9999999999999999999\r\n\r\nabc" NEXT), "", "413", true},
    {"CL form feed", B("POST / HTTP/1.1\r\n" H "Content-Length:\f3\r\n\r\nabc" NEXT), "", "400", true},
    {"CL non-breaking blank", B("POST / HTTP/1.1\r\n" H "Content-Length:\xa0\x33\r\n\r\nabc" NEXT), "", "400",
     true},

    /* Transfer codings. */
    {"TE twice",
     B("POST / HTTP/1.1\r\n" H
       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT),
     "", "400", true},
    {"TE chunked and identity lines",
     B("POST / HTTP/1.1\r\n" H
       "Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n\r\n0\r\n\r\n" NEXT),
     "", "400", true},
    {"TE list", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" NEXT), "",
     "501", true},
    {"TE chunked twice in a list",
     B("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" NEXT), "", "501", true},
    {"TE chunked not last",
     B("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" NEXT), "", "501",
     true},
    {"TE xchunked", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" NEXT), "", "501",
     true},
    {"TE identity", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n" NEXT), "", "501", true},
    {"TE empty", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n" NEXT), "", "501", true},
    {"TE with a parameter", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" NEXT),
     "", "501", true},
    {"TE quoted", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" NEXT), "",
     "501", true},
    {"TE vertical tab", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n" NEXT), "",
     "400", true},
    {"TE bare CR before", B("POST / HTTP/1.1\r\n" H "X: y\rTransfer-Encoding: chunked\r\n\r\n" NEXT), "",
     "400", true},
    {"TE folded", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" NEXT), "",
     "400", true},
    {"TE in HTTP/1.0", B("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT), "", "400",
     true},
    {"TE blank before colon", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" NEXT),
     "", "400", true},
    {"TE tab before colon", B("POST / HTTP/1.1\r\n" H "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" NEXT),
     "", "400", true},
    {"TE leading blank", B("POST / HTTP/1.1\r\n" H " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT), "",
     "400", true},
    {"TE look-alike is another header",
     B("POST / HTTP/1.1\r\n" H "Transfer_Encoding: chunked\r\nContent-Length: 2\r\n\r\nab" NEXT),
     "POST / ab\n" RUN_NEXT, "200 200", false},

    /* Chunks. */
    {"chunk size with 0x", B(CHUNKED "0x3\r\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk size signed", B(CHUNKED "+3\r\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk size negative", B(CHUNKED "-1\r\n\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk size empty", B(CHUNKED "\r\n\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk size blank before", B(CHUNKED " 3\r\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk size blank behind", B(CHUNKED "3 \r\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk size wraps 64 bits", B(CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk size wraps 32 bits", B(CHUNKED "100000003\r\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk size huge", B(CHUNKED "ffffffff\r\nabc" NEXT), "", "413", true},
    {"chunk line ends with LF", B(CHUNKED "3\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk line ends with CR", B(CHUNKED "3\rabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk extension with LF", B(CHUNKED "3;x\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk extension with NUL", B(CHUNKED "3;x\0y\r\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk data too long", B(CHUNKED "3\r\nabcd\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk data too short", B(CHUNKED "4\r\nabc\r\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk data ends with LF", B(CHUNKED "3\r\nabc\n0\r\n\r\n" NEXT), "", "400", true},
    {"chunk data ends with anything", B(CHUNKED "3\r\nabcXX0\r\n\r\n" NEXT), "", "400", true},
    {"last chunk ends with LF", B(CHUNKED "3\r\nabc\r\n0\n\n" NEXT), "", "400", true},
    {"last chunk ends with one line", B(CHUNKED "3\r\nabc\r\n0\r\n" NEXT), "", "400", true},
    {"trailer without colon", B(CHUNKED "0\r\nabc\r\n\r\n" NEXT), "", "400", true},
    {"trailer folded", B(CHUNKED "0\r\nX: a\r\n b\r\n\r\n" NEXT), "", "400", true},
    {"trailer with LF", B(CHUNKED "0\r\nX: a\n\r\n" NEXT), "", "400", true},
    {"trailer cannot set a length", B(CHUNKED "0\r\nContent-Length: 50\r\n\r\n" NEXT), "POST /c \n" RUN_NEXT,
     "200 200", false},
    {"CR alone ends nothing", B(CHUNKED "0\r\n\rZ: 1\r\n\r\n" NEXT), "", "400", true},

    /* Lines. */
    {"request line ends with LF", B("GET / HTTP/1.1\n" H "\r\n" NEXT), "", "400", true},
    {"header ends with LF", B("GET / HTTP/1.1\r\nHost: a\n\r\n" NEXT), "", "400", true},
    {"head ends with LF LF", B("GET / HTTP/1.1\r\nHost: a\n\n" NEXT), "", "400", true},
    {"head ends with CRLF LF", B("GET / HTTP/1.1\r\nHost: a\r\n\n" NEXT), "", "400", true},
    {"head ends with CR CR LF", B("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n" NEXT), "", "400", true},
    {"folded header", B("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n" NEXT), "", "400", true},
    {"header before any, folded", B("GET / HTTP/1.1\r\n Host: a\r\n\r\n" NEXT), "", "400", true},
    {"header without colon", B("GET / HTTP/1.1\r\n" H "Xyz\r\n\r\n" NEXT), "", "400", true},
    {"header without name", B("GET / HTTP/1.1\r\n" H ": v\r\n\r\n" NEXT), "", "400", true},
    {"header name with a blank", B("GET / HTTP/1.1\r\n" H "X Y: v\r\n\r\n" NEXT), "", "400", true},
    {"header name with NUL", B("GET / HTTP/1.1\r\n" H "X\0: v\r\n\r\n" NEXT), "", "400", true},
    {"header name with a high byte", B("GET / HTTP/1.1\r\n" H "X\xff: v\r\n\r\n" NEXT), "", "400", true},
    {"header value with NUL", B("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n" NEXT), "", "400", true},
    {"header value with CR", B("GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n" NEXT), "", "400", true},
    {"header value with DEL", B("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n" NEXT), "", "400", true},
    {"two empty lines before", B("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"LF before", B("\nGET / HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},

    /* Request lines. */
    {"blank before the method", B(" GET / HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"two blanks", B("GET  / HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"tab", B("GET\t/ HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"blank in the target", B("GET /a b HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"blank behind the version", B("GET / HTTP/1.1 \r\n" H "\r\n" NEXT), "", "400", true},
    {"no version", B("GET /\r\n" H "\r\n" NEXT), "", "400", true},
    {"HTTP/0.9", B("GET / HTTP/0.9\r\n" H "\r\n" NEXT), "", "505", true},
    {"HTTP/1.2", B("GET / HTTP/1.2\r\n" H "\r\n" NEXT), "", "505", true},
    {"HTTP/2 preface", B("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "", "505", true},
    {"HTTP/1.10", B("GET / HTTP/1.10\r\n" H "\r\n" NEXT), "", "400", true},
    {"HTTP/01.1", B("GET / HTTP/01.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"http/1.1", B("GET / http/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"method in lower case", B("get / HTTP/1.1\r\n" H "\r\n" NEXT), "", "501", true},
    {"method unknown", B("BREW / HTTP/1.1\r\n" H "\r\n" NEXT), "", "501", true},
    {"method continued", B("GETX / HTTP/1.1\r\n" H "\r\n" NEXT), "", "501", true},
    {"connect", B("CONNECT a:80 HTTP/1.1\r\n" H "\r\n" NEXT), "", "501", true},
    {"rtsp", B("DESCRIBE / HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"target without slash", B("GET x HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"target with NUL", B("GET /\0 HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"target with a fragment", B("GET /a#b HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"target with a backslash", B("GET /a\\b HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"target with a high byte", B("GET /\xe9 HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"absolute target of another host", B("GET http://b/x HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"absolute target without path", B("GET http://a HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"absolute target of https", B("GET https://a/x HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},
    {"star with GET", B("GET * HTTP/1.1\r\n" H "\r\n" NEXT), "", "400", true},

    /* Host. */
    {"no host", B("GET / HTTP/1.1\r\n\r\n" NEXT), "", "400", true},
    {"two hosts", B("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" NEXT), "", "400", true},
    {"two equal hosts", B("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" NEXT), "", "400", true},
    {"empty host", B("GET / HTTP/1.1\r\nHost:\r\n\r\n" NEXT), "", "400", true},
    {"host list", B("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" NEXT), "", "400", true},
    {"host with userinfo", B("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n" NEXT), "", "400", true},
    {"host with a path", B("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" NEXT), "", "400", true},
    {"folded second host", B("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n" NEXT), "", "400", true},

    /* Refusals after good requests. */
    {"good, then bad, then good", B(NEXT "GET / HTTP/1.1\r\nHost : a\r\n\r\n" NEXT), RUN_NEXT, "200 400",
     true},
    {"expectation unknown", B("POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx" NEXT),
     "", "417", true},
};

enum { CASE_COUNT = sizeof cases / sizeof *cases };

/* "200 400": the statuses of the answers, without interim ones. */
static void answers_print(const char *text, char *out, size_t size)
{
    out[0] = 0;
    while ((text = strstr(text, "HTTP/1.1 ")))
    {
        text += 9;
        if (*text < '0' || *text > '9') continue; /* the words of an error */
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%.3s", used ? " " : "", text);
    }
}

static void check_outcome(struct fx_gateway *fx, struct stream_mem *client, const struct smuggling_case *c,
                          const char *how)
{
    char answers[64];
    answers_print(fx_received(client), answers, sizeof answers);
    const char *run = buf_cstr(&fx->seen);
    bool closed = stream_mem_is_finished(client);
    if (strcmp(answers, c->answers) != 0 || strcmp(run, c->run) != 0 || closed != c->closed)
        fail_msg("%s (%s): run \"%s\", answers \"%s\", closed %d", c->name, how, run, answers, closed);
    buf_reset(&fx->seen);
    stream_mem_send_end(client, STATUS_OK);
    fx_settle(fx);
    assert_true(stream_mem_is_closed(client));
    fx_forget(fx, client);
}

static void every_case_has_its_outcome(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, NULL);
    for (size_t i = 0; i < CASE_COUNT; i++)
    {
        struct stream_mem *client = fx_connect(&fx);
        stream_mem_send(client, cases[i].bytes);
        fx_settle(&fx);
        check_outcome(&fx, client, &cases[i], "whole");
    }
    fx_gateway_fini(&fx);
}

static void every_case_has_the_same_outcome_byte_by_byte(void **state)
{
    (void)state;
    struct fx_gateway fx;
    fx_gateway_init(&fx, NULL);
    for (size_t i = 0; i < CASE_COUNT; i++)
    {
        struct stream_mem *client = fx_connect(&fx);
        stream_mem_fault(client)->read_max = 1;
        stream_mem_send(client, cases[i].bytes);
        for (size_t turn = 0; turn < cases[i].bytes.size + 8; turn++) loop_turn(fx.loop, false);
        check_outcome(&fx, client, &cases[i], "byte by byte");
    }
    fx_gateway_fini(&fx);
}

/* What the parser makes of the bytes when they come in two pieces: the requests' lines, and how it ended. */
static void parse_print(struct slice bytes, size_t cut, struct buf *out)
{
    static const struct http_parse_limits limits = {4096, 20, 1024, 1 << 20};
    struct http_parse parse;
    struct err err = ERR_INIT;
    http_parse_init(&parse);
    struct slice pieces[2] = {slice_make(bytes.data, cut),
                              slice_make((const char *)bytes.data + cut, bytes.size - cut)};
    bool failed = false;
    buf_reset(out);
    for (int i = 0; i < 2; i++)
    {
        while (pieces[i].size && !failed)
        {
            enum http_parse_result result = http_parse(&parse, &limits, &pieces[i], &err);
            if (result == HTTP_PARSE_FAILED)
            {
                buf_printf(out, "%s %s\n", status_code(err.status), err.text);
                failed = true;
            }
            if (result != HTTP_PARSE_DONE) continue;
            buf_printf(out, "%.*s %.*s %zu %.*s\n", SLICE_FMT(parse.request.method),
                       SLICE_FMT(parse.request.target), parse.request.header_count,
                       SLICE_FMT(parse.request.body));
            http_parse_reset(&parse, 0);
        }
    }
    http_parse_fini(&parse);
}

static void a_cut_at_any_place_changes_nothing(void **state)
{
    (void)state;
    struct buf whole = BUF_INIT, cut_in_two = BUF_INIT;
    for (size_t i = 0; i < CASE_COUNT; i++)
    {
        parse_print(cases[i].bytes, 0, &whole);
        for (size_t cut = 1; cut < cases[i].bytes.size; cut++)
        {
            /* A copy of the exact size, so that reading beyond the piece is seen. */
            void *copy = mem_dup(cases[i].bytes);
            parse_print(slice_make(copy, cases[i].bytes.size), cut, &cut_in_two);
            free(copy);
            if (!slice_equal(buf_view(&whole), buf_view(&cut_in_two)))
                fail_msg("%s, cut at %zu: \"%s\", whole: \"%s\"", cases[i].name, cut, buf_cstr(&cut_in_two),
                         buf_cstr(&whole));
        }
    }
    buf_fini(&whole);
    buf_fini(&cut_in_two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_has_its_outcome),
        cmocka_unit_test(every_case_has_the_same_outcome_byte_by_byte),
        cmocka_unit_test(a_cut_at_any_place_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
