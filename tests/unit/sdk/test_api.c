/* test_api.c - what stead.h promises to handlers, each run by the testkit. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stead/testkit.h"

typedef struct stead_testkit_request request;
typedef struct stead_testkit_reply reply;

static int set_up(void **state)
{
    *state = stead_testkit_create();
    return 0;
}

static int tear_down(void **state)
{
    stead_testkit_destroy(*state);
    return 0;
}

static void assert_ok(reply got, const char *body)
{
    assert_string_equal(got.failure, "");
    assert_int_equal(got.status, STEAD_OK);
    assert_string_equal(got.body, body);
}

static void assert_fails(reply got, enum stead_status status, int http_status, const char *words)
{
    assert_string_equal(got.failure, words);
    assert_int_equal(got.status, status);
    assert_int_equal(got.http_status, http_status);
    assert_string_equal(got.body, "");
}

/* ---- input ---- */

STEAD_FUNCTION(echo)
{
    const char *name, *value;
    stead_reply(ctx, "%s %s?%s e=%s b=%s/%zu\n", stead_method(ctx), stead_path(ctx), stead_query_string(ctx),
                stead_entity(ctx), stead_body_text(ctx), stead_body(ctx).size);
    for (size_t i = 0; stead_header_at(ctx, i, &name, &value); i++) stead_reply(ctx, "%s=%s\n", name, value);
    const char *type = stead_header(ctx, "CONTENT-type"), *none = stead_header(ctx, "nope");
    return stead_reply(ctx, "%s %s", type, none ? none : "-");
}

static void a_handler_sees_its_request(void **state)
{
    static const char *const headers[] = {"Content-Type", "text/x", "X-A", "1", NULL};
    request ask = {.entity = "cart/1",
                   .method = "PUT",
                   .path = "/a/b",
                   .query = "q=1",
                   .body = "hi",
                   .headers = headers};
    assert_ok(stead_testkit_invoke(*state, stead_fn_echo, &ask),
              "PUT /a/b?q=1 e=cart/1 b=hi/2\ncontent-type=text/x\nx-a=1\ntext/x -");
}

STEAD_FUNCTION(ask_a)
{
    const char *a = stead_query(ctx, "a b");
    return stead_reply(ctx, "%s|%lld", a ? a : "(none)", (long long)stead_query_i64(ctx, "n", -7));
}

static void query_parameters_are_decoded(void **state)
{
    static const struct {
        const char *query, *body;
    } cases[] = {
        {"", "(none)|-7"},
        {"a+b=1", "1|-7"},
        {"a%20b=x%2By+z&n=12", "x+y z|12"},
        {"x=1&a%20b&n=-0009", "|-9"},
        {"a b=%4G%&n=1x", "%4G%|-7"},
        {"a+b=1&a+b=2&n=9223372036854775807", "1|9223372036854775807"},
        {"a+b=%00%e2%82%ac&n=9223372036854775808", "%00\xe2\x82\xac|-7"},
        {"&&=5&a+b==&n=-9223372036854775808", "=|-9223372036854775808"},
        {"aa+b=1&a+bb=2&n=-", "(none)|-7"},
        {"n=+1", "(none)|-7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
        request ask = {.query = cases[i].query};
        assert_ok(stead_testkit_invoke(*state, stead_fn_ask_a, &ask), cases[i].body);
    }
}

STEAD_FUNCTION(identity)
{
    const char *first = stead_new_id(ctx), *second = stead_new_id(ctx);
    bool sorted = strcmp(first, second) < 0 && strlen(first) == 26 && strlen(second) == 26;
    bool same_time = strncmp(first, second, 10) == 0;
    return stead_reply(ctx, "%s %u %d %d %d %d", stead_invocation_id(ctx), stead_attempt(ctx), sorted,
                       same_time, stead_now_ms(ctx) > 1600000000000, stead_time_left_ms(ctx) <= 50);
}

static void an_invocation_knows_itself(void **state)
{
    request ask = {.timeout_ms = 50};
    assert_ok(stead_testkit_invoke(*state, stead_fn_identity, &ask), "00000000000000000000000000 1 1 1 1 1");
}

/* ---- rows ---- */

STEAD_FUNCTION(transfer)
{
    const char *from = stead_query(ctx, "from");
    const char *to = stead_query(ctx, "to");
    int64_t amount = stead_query_i64(ctx, "amount", 0);
    if (!from || !to || amount <= 0) return stead_reject(ctx, 400, "say from, to and a positive amount");

    int64_t left = stead_add_of(ctx, from, "balance", -amount);
    if (left < 0) return stead_reject(ctx, 409, "%s has too little", from);
    stead_add_of(ctx, to, "balance", amount);

    return stead_reply(ctx, "%s has %lld left\n", from, (long long)left);
}

static void a_transfer_moves_all_or_nothing(void **state)
{
    stead_testkit_put(*state, "alice", "balance", "100");
    request ask = {.query = "from=alice&to=bob&amount=30"};
    assert_ok(stead_testkit_invoke(*state, stead_fn_transfer, &ask), "alice has 70 left\n");
    assert_string_equal(stead_testkit_dump(*state), "alice balance=70\nbob balance=30\n");
    ask.query = "from=alice&to=bob&amount=71";
    assert_fails(stead_testkit_invoke(*state, stead_fn_transfer, &ask), STEAD_FAILED, 409,
                 "alice has too little");
    assert_string_equal(stead_testkit_dump(*state), "alice balance=70\nbob balance=30\n");
    assert_fails(stead_testkit_invoke(*state, stead_fn_transfer, NULL), STEAD_FAILED, 400,
                 "say from, to and a positive amount");
}

static void a_conflict_runs_the_handler_again(void **state)
{
    stead_testkit_put(*state, "alice", "balance", "100");
    stead_testkit_interfere(*state, "alice", "balance", "50");
    stead_testkit_interfere(*state, "bob", "balance", "1000");
    stead_testkit_interfere(*state, "carol", "balance", "7");
    request ask = {.query = "from=alice&to=bob&amount=30"};
    reply got = stead_testkit_invoke(*state, stead_fn_transfer, &ask);
    assert_ok(got, "alice has 20 left\n");
    assert_int_equal(got.attempts, 3); /* carol's row was not read */
    assert_string_equal(stead_testkit_dump(*state), "alice balance=20\nbob balance=1030\ncarol balance=7\n");
}

STEAD_FUNCTION(own_writes)
{
    struct stead_bytes value;
    stead_put_text(ctx, "a", "1");
    stead_put_text_of(ctx, STEAD_APP, "a", "2");
    assert_int_equal(stead_get(ctx, "a", &value), STEAD_OK);
    assert_int_equal(stead_get_of(ctx, "e", "a", &value), STEAD_OK);
    stead_reply(ctx, "%.*s%s", STEAD_FMT(value), stead_get_text_of(ctx, STEAD_APP, "a"));
    stead_delete(ctx, "a");
    assert_int_equal(stead_get(ctx, "a", &value), STEAD_NOT_FOUND);
    assert_int_equal(value.size, 0);
    assert_false(stead_exists(ctx, "a"));
    assert_true(stead_exists_of(ctx, STEAD_APP, "a"));
    assert_null(stead_get_text(ctx, "a"));
    stead_put(ctx, "empty", NULL, 0);
    assert_true(stead_exists(ctx, "empty"));
    assert_string_equal(stead_get_text(ctx, "empty"), "");
    stead_put_i64(ctx, "n", INT64_MIN);
    assert_true(stead_get_i64(ctx, "n", 0) == INT64_MIN);
    assert_int_equal(stead_get_i64(ctx, "no n", 5), 5);
    return STEAD_OK;
}

static void a_handler_reads_its_own_writes(void **state)
{
    request ask = {.entity = "e"};
    assert_ok(stead_testkit_invoke(*state, stead_fn_own_writes, &ask), "12");
    assert_string_equal(stead_testkit_dump(*state), " a=2\ne empty=\ne n=-9223372036854775808\n");
}

STEAD_FUNCTION(add_to_text)
{
    stead_put_text(ctx, "before", "x");
    stead_add(ctx, "t", 1);
    stead_add(ctx, "after", 1);
    return stead_reply(ctx, "fine?");
}

static void a_remembered_failure_undoes_everything(void **state)
{
    stead_testkit_put(*state, "", "t", "12 apples");
    assert_fails(stead_testkit_invoke(*state, stead_fn_add_to_text, NULL), STEAD_NOT_A_NUMBER, 500,
                 "stead_add: the row `t` is no number");
    assert_string_equal(stead_testkit_dump(*state), " t=12 apples\n");
    stead_testkit_put(*state, "", "t", "9223372036854775807");
    assert_fails(stead_testkit_invoke(*state, stead_fn_add_to_text, NULL), STEAD_NOT_A_NUMBER, 500,
                 "stead_add: the sum in the row `t` leaves 64 bits");
}

STEAD_FUNCTION(recover)
{
    char name[600];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(stead_put_text(ctx, name, "x"), STEAD_KEY_TOO_LONG);
    assert_int_equal(stead_failure(ctx), STEAD_KEY_TOO_LONG);
    stead_failure_clear(ctx);
    name[400] = 0;
    assert_int_equal(stead_put_text_of(ctx, name, "", "x"), STEAD_OK);
    name[400] = 'n';
    name[401] = 0;
    assert_int_equal(stead_put_text_of(ctx, name, "", "x"), STEAD_INVALID_ARGUMENT);
    stead_failure_clear(ctx);
    name[500] = 0;
    assert_int_equal(stead_delete_of(ctx, name + 100, name + 400), STEAD_OK);
    return stead_put_text(ctx, "kept", "yes");
}

static void a_failure_can_be_forgotten(void **state)
{
    reply got = stead_testkit_invoke(*state, stead_fn_recover, NULL);
    assert_ok(got, "");
    assert_string_equal(stead_testkit_get(*state, "", "kept"), "yes");
}

STEAD_FUNCTION(null_entity)
{
    return stead_put_i64_of(ctx, stead_query(ctx, "who"), "n", 1);
}

static void a_missing_entity_is_a_clear_failure(void **state)
{
    assert_fails(stead_testkit_invoke(*state, stead_fn_null_entity, NULL), STEAD_INVALID_ARGUMENT, 400,
                 "stead_put_i64_of: the entity is NULL");
}

STEAD_FUNCTION(just_fail)
{
    return STEAD_NOT_FOUND;
}

static void an_unexplained_error_says_what_was_returned(void **state)
{
    assert_fails(stead_testkit_invoke(*state, stead_fn_just_fail, NULL), STEAD_FAILED, 500,
                 "the handler returned STEAD_NOT_FOUND");
}

/* ---- scans ---- */

static void reply_rows(struct stead_ctx *ctx, struct stead_scan *scan)
{
    struct stead_row row;
    while (stead_scan_next(scan, &row))
        stead_reply(ctx, "%s/%s=%.*s ", row.entity, row.name, STEAD_FMT(row.value));
    stead_reply(ctx, ". ");
}

STEAD_FUNCTION(scans)
{
    reply_rows(ctx, stead_scan(ctx, "")); /* own: e */
    reply_rows(ctx, stead_scan(ctx, "b"));
    reply_rows(ctx, stead_scan_of(ctx, "d", ""));
    reply_rows(ctx, stead_scan_of(ctx, STEAD_APP, ""));
    reply_rows(ctx, stead_scan_entities(ctx, "e"));
    reply_rows(ctx, stead_scan_entities(ctx, ""));
    return STEAD_OK;
}

static void put_some_rows(struct stead_testkit *kit)
{
    static const char *const rows[][2] = {{"", "z"},   {"d", "a"}, {"e", "a"},   {"e", "b"},
                                          {"e", "bb"}, {"e", "c"}, {"e/1", "x"}, {"f", "y"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        stead_testkit_put(kit, rows[i][0], rows[i][1], "1");
}

static void scans_run_over_rows_prefixes_and_entities(void **state)
{
    put_some_rows(*state);
    request ask = {.entity = "e"};
    assert_ok(stead_testkit_invoke(*state, stead_fn_scans, &ask),
              "e/a=1 e/b=1 e/bb=1 e/c=1 . e/b=1 e/bb=1 . d/a=1 . /z=1 . e/a=1 e/b=1 e/bb=1 e/c=1 e/1/x=1 . "
              "/z=1 d/a=1 e/a=1 e/b=1 e/bb=1 e/c=1 e/1/x=1 f/y=1 . ");
}

STEAD_FUNCTION(pages)
{
    struct stead_scan *scan = stead_scan(ctx, "");
    stead_scan_limit(scan, 2);
    reply_rows(ctx, scan);
    scan = stead_scan(ctx, "");
    stead_scan_after(scan, "b");
    reply_rows(ctx, scan);
    scan = stead_scan(ctx, "");
    stead_scan_reverse(scan);
    stead_scan_limit(scan, 2);
    reply_rows(ctx, scan);
    scan = stead_scan(ctx, "");
    stead_scan_after(scan, "bb");
    stead_scan_reverse(scan);
    reply_rows(ctx, scan);
    scan = stead_scan_entities(ctx, "");
    stead_scan_after(scan, "e");
    reply_rows(ctx, scan);
    scan = stead_scan_entities(ctx, "");
    stead_scan_after(scan, "e");
    stead_scan_reverse(scan);
    reply_rows(ctx, scan);
    scan = stead_scan(ctx, "b");
    stead_scan_after(scan, "zzz");
    reply_rows(ctx, scan);
    scan = stead_scan(ctx, "b");
    stead_scan_after(scan, "a");
    stead_scan_reverse(scan);
    reply_rows(ctx, scan);
    return STEAD_OK;
}

static void scans_can_be_cut_turned_and_continued(void **state)
{
    put_some_rows(*state);
    request ask = {.entity = "e"};
    assert_ok(stead_testkit_invoke(*state, stead_fn_pages, &ask),
              "e/a=1 e/b=1 . e/bb=1 e/c=1 . e/c=1 e/bb=1 . e/b=1 e/a=1 . e/1/x=1 f/y=1 . d/a=1 /z=1 . . . ");
}

STEAD_FUNCTION(scan_and_write)
{
    struct stead_scan *scan = stead_scan(ctx, "");
    struct stead_row row;
    while (stead_scan_next(scan, &row))
    {
        stead_reply(ctx, "%s ", row.name);
        if (strcmp(row.name, "a") == 0)
        {
            stead_delete(ctx, "b");
            stead_put_text(ctx, "aa", "new");
            stead_put_text(ctx, "A", "behind");
        }
    }
    return STEAD_OK;
}

static void a_scan_follows_the_writes_ahead_of_it(void **state)
{
    put_some_rows(*state);
    request ask = {.entity = "e"};
    assert_ok(stead_testkit_invoke(*state, stead_fn_scan_and_write, &ask), "a aa bb c ");
}

STEAD_FUNCTION(first_two)
{
    struct stead_scan *scan = stead_scan(ctx, "");
    struct stead_row row;
    for (int i = 0; i < 2 && stead_scan_next(scan, &row); i++) stead_reply(ctx, "%s ", row.name);
    return STEAD_OK;
}

static void a_new_row_conflicts_with_a_scan_that_walked_over_its_place(void **state)
{
    put_some_rows(*state);
    request ask = {.entity = "e"};
    stead_testkit_interfere(*state, "e", "c0", "x"); /* behind what was walked */
    assert_int_equal(stead_testkit_invoke(*state, stead_fn_first_two, &ask).attempts, 1);
    stead_testkit_interfere(*state, "e", "a0", "x"); /* a phantom inside */
    reply got = stead_testkit_invoke(*state, stead_fn_first_two, &ask);
    assert_int_equal(got.attempts, 2);
    assert_ok(got, "a a0 ");
}

/* ---- reply ---- */

STEAD_FUNCTION(dressed)
{
    stead_reply_status(ctx, 201);
    stead_reply_header(ctx, "Content-Type", "text/html");
    stead_reply_header(ctx, "content-TYPE", "application/json");
    stead_reply_html(ctx, "<a href='x'>&\"");
    stead_reply_json(ctx, "\"\\\n\t\x01\x7f\xe2\x82\xac\xff\xed\xa0\x80.");
    return stead_reply_bytes(ctx, "\0!", 2);
}

static void a_reply_has_status_headers_and_escaped_text(void **state)
{
    reply got = stead_testkit_invoke(*state, stead_fn_dressed, NULL);
    assert_int_equal(got.http_status, 201);
    assert_string_equal(stead_testkit_header(*state, "content-type"), "application/json");
    static const char expected[] =
        "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\"\\\"\\\\\\n\\t\\u0001\\u007f\xe2\x82\xac"
        "\\ufffd\\ufffd\\ufffd\\ufffd.\"\0!";
    assert_int_equal(got.body_size, sizeof expected - 1);
    assert_memory_equal(got.body, expected, sizeof expected - 1);
}

STEAD_FUNCTION(header_from_body)
{
    return stead_reply_header(ctx, stead_query(ctx, "name"), stead_body_text(ctx));
}

static void headers_cannot_break_the_reply_apart(void **state)
{
    static const struct {
        const char *name, *value, *words;
    } cases[] = {
        {"x", "a\r\nSet-Cookie: b", "stead_reply_header: the value of `x` has a control character"},
        {"x:y", "a", "stead_reply_header: `x:y` is no header name"},
        {"", "a", "stead_reply_header: `` is no header name"},
        {"Content-Length", "5", "stead_reply_header: `Content-Length` is the node's own"},
        {"Stead-Invocation", "5", "stead_reply_header: `Stead-Invocation` is the node's own"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
        char query[64];
        snprintf(query, sizeof query, "name=%s", cases[i].name);
        request ask = {.query = query, .body = cases[i].value};
        assert_fails(stead_testkit_invoke(*state, stead_fn_header_from_body, &ask), STEAD_INVALID_ARGUMENT,
                     400, cases[i].words);
    }
}

STEAD_FUNCTION(flood)
{
    static const char block[1 << 20];
    for (int i = 0; i < 100; i++)
        if (stead_reply_bytes(ctx, block, sizeof block) != STEAD_OK) return stead_failure(ctx);
    return STEAD_OK;
}

static void a_reply_has_a_limit(void **state)
{
    assert_fails(stead_testkit_invoke(*state, stead_fn_flood, NULL), STEAD_REPLY_TOO_LARGE, 500,
                 "stead_reply: a body has at most 16 MiB");
}

/* ---- limits of sets ---- */

static struct stead_ctx *read_many(struct stead_ctx *ctx)
{
    for (int i = 0; i <= 100000; i++) (void)stead_exists(ctx, stead_format(ctx, "r%d", i));
    return ctx;
}

STEAD_FUNCTION(read_much_and_write)
{
    return stead_put_text(read_many(ctx), "x", "y");
}

STEAD_FUNCTION(read_much)
{
    return stead_reply(read_many(ctx), "done");
}

static void reading_too_many_rows_is_a_failure_when_it_writes(void **state)
{
    assert_ok(stead_testkit_invoke(*state, stead_fn_read_much, NULL), "done");
    assert_fails(
        stead_testkit_invoke(*state, stead_fn_read_much_and_write, NULL), STEAD_READ_SET_TOO_LARGE, 413,
        "stead_put_text: an invocation that writes can read at most 100000 separate rows and 10000 ranges");
}

STEAD_FUNCTION(write_much)
{
    const size_t size = 60 << 20;
    const void *value = stead_alloc(ctx, size);
    for (int i = 0; i < 4; i++)
        assert_int_equal(stead_put(ctx, stead_format(ctx, "r%d", i), value, size), STEAD_OK);
    assert_int_equal(stead_put(ctx, "r0", value, size), STEAD_OK); /* instead of the one before */
    return stead_put(ctx, "r4", value, size);
}

static void writing_too_much_is_a_failure(void **state)
{
    assert_fails(stead_testkit_invoke(*state, stead_fn_write_much, NULL), STEAD_WRITE_SET_TOO_LARGE, 413,
                 "stead_put: one invocation can write at most 256 MiB");
    assert_string_equal(stead_testkit_dump(*state), "");
}

/* ---- log ---- */

STEAD_FUNCTION(log_lines)
{
    char longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    stead_log(ctx, STEAD_DEBUG, "n=%d", 1);
    stead_log(ctx, STEAD_ERROR, "%s", longer);
    return STEAD_OK;
}

static void log_lines_have_a_level_and_a_limit(void **state)
{
    (void)stead_testkit_invoke(*state, stead_fn_log_lines, NULL);
    const char *log = stead_testkit_log(*state);
    assert_memory_equal(log, "debug: n=1\nerror: xxx", 21);
    assert_int_equal(strlen(log), strlen("debug: n=1\nerror: \n") + 4096);
}

/* ---- channels ---- */

STEAD_FUNCTION(publishes)
{
    stead_publish(ctx, "prices", "eu/paris", "12", 2);
    stead_publish_now(ctx, "ticks", NULL, "1", 1);
    stead_send(ctx, "mail", "ann", "hello", 5);
    return stead_query(ctx, "fail") ? stead_fail(ctx, "no") : STEAD_OK;
}

static void what_leaves_leaves_with_the_commit_but_for_what_is_published_at_once(void **state)
{
    (void)stead_testkit_invoke(*state, stead_fn_publishes,
                               &(struct stead_testkit_request){.query = "fail=1"});
    assert_string_equal(stead_testkit_left(*state), "publish_now ticks =1\n");
    (void)stead_testkit_invoke(*state, stead_fn_publishes, NULL);
    assert_string_equal(stead_testkit_left(*state),
                        "publish_now ticks =1\npublish_now ticks =1\npublish prices eu/paris=12\nsend mail "
                        "ann=hello\n");
}

STEAD_FUNCTION(publishes_too_much)
{
    static char body[1024 * 1024 + 1], key[402];
    memset(key, 'k', sizeof key - 1);
    enum stead_status expected = STEAD_EFFECTS_TOO_LARGE;
    if (stead_publish(ctx, "prices", "", body, sizeof body) != expected) return stead_fail(ctx, "body");
    stead_failure_clear(ctx);
    if (stead_publish_now(ctx, "prices", key, "", 0) != expected) return stead_fail(ctx, "key");
    stead_failure_clear(ctx);
    if (stead_publish(ctx, "", "", "", 0) != STEAD_INVALID_ARGUMENT) return stead_fail(ctx, "name");
    stead_failure_clear(ctx);
    if (stead_message_type(ctx, "a\nb") != STEAD_INVALID_ARGUMENT) return stead_fail(ctx, "type");
    stead_failure_clear(ctx);
    stead_publish(ctx, "prices", "", body, sizeof body);
    return STEAD_OK;
}

static void a_message_beyond_its_limits_is_refused_with_both_numbers(void **state)
{
    struct stead_testkit_reply answer = stead_testkit_invoke(*state, stead_fn_publishes_too_much, NULL);
    assert_string_equal(
        answer.failure,
        "stead_publish: the message for prices has 1048577 bytes, at most 1048576 are allowed");
    assert_int_equal(answer.http_status, 413);
    assert_string_equal(stead_testkit_left(*state), "");
}

STEAD_FUNCTION(listens)
{
    struct stead_subscription *eu = stead_subscribe(ctx, "prices", "eu/"),
                              *all = stead_subscribe(ctx, "prices", "");
    struct stead_message message;
    while (stead_receive(eu, 10, &message) == STEAD_OK)
        stead_reply(ctx, "%s %s %s %.*s %d;", message.channel, message.key, message.content_type,
                    STEAD_FMT(message.body), (int)message.sequence);
    int count = 0;
    while (stead_receive(all, 10, &message) == STEAD_OK) count++;
    return stead_reply(ctx, "%d in all", count);
}

static void a_subscriber_receives_what_its_keys_let_through_and_then_times_out(void **state)
{
    static const struct stead_testkit_message messages[] = {
        {.channel = "prices", .key = "eu/paris", .body = "12"},
        {.channel = "prices", .key = "us/boston", .body = "9"},
        {.channel = "orders", .key = "eu/paris", .body = "no"},
        {.channel = "prices", .key = "eu/rome", .body = "11", .content_type = "text/x"},
    };
    for (int i = 0; i < 4; i++) stead_testkit_publish(*state, &messages[i]);
    struct stead_testkit_reply answer = stead_testkit_invoke(*state, stead_fn_listens, NULL);
    assert_string_equal(answer.body,
                        "prices eu/paris text/plain; charset=utf-8 12 1;prices eu/rome text/x 11 4;"
                        "3 in all");
}

STEAD_FUNCTION(takes_messages)
{
    struct stead_message message;
    stead_reply(ctx, "%s %zu:", stead_origin(ctx), stead_message_count(ctx));
    for (size_t i = 0; stead_message_at(ctx, i, &message); i++)
    {
        stead_reply(ctx, " %s/%s=", message.channel, message.key);
        stead_reply_bytes(ctx, message.body.data, message.body.size);
    }
    return STEAD_OK;
}

static void a_function_that_messages_have_started_sees_all_of_them(void **state)
{
    static const struct stead_testkit_message messages[] = {
        {.channel = "orders", .key = "ann", .body = "1"},
        {.channel = "orders", .body = "a\0b", .body_size = 3},
    };
    struct stead_testkit_reply answer =
        stead_testkit_deliver(*state, stead_fn_takes_messages, NULL, messages, 2);
    assert_int_equal(answer.status, STEAD_OK);
    assert_int_equal(answer.body_size, 35);
    assert_memory_equal(answer.body, "channel 2: orders/ann=1 orders/=a\0b", 35);
    answer = stead_testkit_invoke(*state, stead_fn_takes_messages, NULL);
    assert_string_equal(answer.body, "http 0:");
}

/* ---- other functions ---- */

STEAD_FUNCTION(adds)
{
    int64_t sum = stead_add(ctx, "sum", 1);
    if (stead_body(ctx).size == 0) return stead_reject(ctx, 422, "nothing to add");
    stead_reply_header(ctx, "content-type", "text/x");
    return stead_reply(ctx, "%s %s %lld", stead_origin(ctx), stead_body_text(ctx), (long long)sum);
}

/* Calls itself, through others, without an end. */
STEAD_FUNCTION(circles)
{
    struct stead_answer answer;
    return stead_call(ctx, "circles", "e", "", 0, &answer);
}

STEAD_FUNCTION(calls)
{
    struct stead_call all[] = {{.function = "adds", .entity = "a", .data = "x", .size = 1},
                               {.function = "adds", .entity = "b", .data = "", .size = 0},
                               {.function = "passes_on", .entity = "c", .data = "z", .size = 1}};
    if (stead_call_all(ctx, all, 3) != STEAD_CALL_FAILED) return stead_fail(ctx, "no call has failed");
    stead_failure_clear(ctx);
    return stead_reply(ctx, "%.*s %s; %d %s; %.*s", STEAD_FMT(all[0].answer.body), all[0].answer.content_type,
                       all[1].answer.http_status, all[1].answer.error, STEAD_FMT(all[2].answer.body));
}

STEAD_FUNCTION(passes_on)
{
    struct stead_answer answer;
    stead_call(ctx, "adds", "a", "y", 1, &answer);
    return stead_reply(ctx, "%.*s", STEAD_FMT(answer.body));
}

static void a_call_runs_the_other_function_at_once_and_each_gets_its_own_answer(void **state)
{
    stead_testkit_function(*state, "adds", stead_fn_adds);
    stead_testkit_function(*state, "passes_on", stead_fn_passes_on);
    assert_ok(stead_testkit_invoke(*state, stead_fn_calls, NULL),
              "call x 1 text/x; 422 nothing to add; call y 2");
    assert_string_equal(stead_testkit_dump(*state), "a sum=2\n");
}

static void a_call_of_an_unknown_function_and_one_without_an_end_fail(void **state)
{
    assert_fails(stead_testkit_invoke(*state, stead_fn_circles, NULL), STEAD_CALL_FAILED, 502,
                 "circles/e: function_not_found: stead_testkit_function() has not named it");
    stead_testkit_function(*state, "circles", stead_fn_circles);
    reply got = stead_testkit_invoke(*state, stead_fn_circles, NULL);
    assert_int_equal(got.status, STEAD_CALL_FAILED);
    assert_non_null(strstr(got.failure, "call_too_deep"));
}

/* Sends as often as the body has letters, each with one letter less. */
STEAD_FUNCTION(sends)
{
    struct stead_bytes body = stead_body(ctx);
    stead_add_of(ctx, "seen", stead_format(ctx, "%s/%zu", stead_origin(ctx), body.size), 1);
    for (size_t i = 0; i < body.size; i++) stead_send(ctx, "sends", "e", body.data, body.size - 1);
    if (stead_query(ctx, "fail")) return stead_fail(ctx, "on purpose");
    return STEAD_OK;
}

static void what_was_sent_runs_when_it_is_told_to_with_what_that_sends(void **state)
{
    stead_testkit_function(*state, "sends", stead_fn_sends);
    (void)stead_testkit_invoke(*state, stead_fn_sends, &(request){.body = "xyz", .query = "fail=1"});
    assert_int_equal(stead_testkit_run_sends(*state), 0);
    assert_int_equal(stead_testkit_invoke(*state, stead_fn_sends, &(request){.body = "xyz"}).status,
                     STEAD_OK);
    assert_int_equal(stead_testkit_run_sends(*state), 3 + 3 * 2 + 3 * 2 * 1);
    assert_string_equal(stead_testkit_dump(*state),
                        "seen http/3=1\nseen send/0=6\nseen send/1=6\nseen send/2=3\n");
    assert_int_equal(stead_testkit_run_sends(*state), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_handler_sees_its_request),
        TEST(query_parameters_are_decoded),
        TEST(an_invocation_knows_itself),
        TEST(a_transfer_moves_all_or_nothing),
        TEST(a_conflict_runs_the_handler_again),
        TEST(a_handler_reads_its_own_writes),
        TEST(a_remembered_failure_undoes_everything),
        TEST(a_failure_can_be_forgotten),
        TEST(a_missing_entity_is_a_clear_failure),
        TEST(an_unexplained_error_says_what_was_returned),
        TEST(scans_run_over_rows_prefixes_and_entities),
        TEST(scans_can_be_cut_turned_and_continued),
        TEST(a_scan_follows_the_writes_ahead_of_it),
        TEST(a_new_row_conflicts_with_a_scan_that_walked_over_its_place),
        TEST(a_reply_has_status_headers_and_escaped_text),
        TEST(headers_cannot_break_the_reply_apart),
        TEST(a_reply_has_a_limit),
        TEST(reading_too_many_rows_is_a_failure_when_it_writes),
        TEST(writing_too_much_is_a_failure),
        TEST(log_lines_have_a_level_and_a_limit),
        TEST(what_leaves_leaves_with_the_commit_but_for_what_is_published_at_once),
        TEST(a_message_beyond_its_limits_is_refused_with_both_numbers),
        TEST(a_subscriber_receives_what_its_keys_let_through_and_then_times_out),
        TEST(a_function_that_messages_have_started_sees_all_of_them),
        TEST(a_call_runs_the_other_function_at_once_and_each_gets_its_own_answer),
        TEST(a_call_of_an_unknown_function_and_one_without_an_end_fail),
        TEST(what_was_sent_runs_when_it_is_told_to_with_what_that_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
