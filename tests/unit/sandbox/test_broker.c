/* test_broker.c - who may be reached: places as they are written, the list, addresses behind names. */
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/sandbox/broker.h"

static void places_are_a_host_and_a_port(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {
        {"db.example.com:5432", "db.example.com", 5432},
        {"10.0.0.7:1", "10.0.0.7", 1},
        {"[::1]:65535", "::1", 65535},
        {"my_host-2:80", "my_host-2", 80},
    };
    char host[BOUND_HOST_BYTES_MAX + 1];
    uint16_t port;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    {
        assert_true(broker_place_parse(good[i].text, host, &port));
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    static const char *const bad[] = {"",         "db",      ":80",     "db:",     "db:0",
                                      "db:65536", "db:80x",  "db: 80",  "db:+80",  "db:080",
                                      "::1:80",   "[::1]80", "[db]:80", "[::1:80", "d b:80",
                                      "*:80",     "db/x:80", "[]:80",   "[::1]:",  "user@db:80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (broker_place_parse(bad[i], host, &port)) fail_msg("`%s` was taken", bad[i]);
}

static void a_host_that_is_too_long_is_none(void **state)
{
    (void)state;
    char text[BOUND_HOST_BYTES_MAX + 16], host[BOUND_HOST_BYTES_MAX + 1];
    uint16_t port;
    memset(text, 'a', sizeof text);
    memcpy(text + BOUND_HOST_BYTES_MAX, ":80", 4);
    assert_true(broker_place_parse(text, host, &port));
    memcpy(text + BOUND_HOST_BYTES_MAX, "a:80", 5);
    assert_false(broker_place_parse(text, host, &port));
}

static void only_what_is_listed_is_allowed(void **state)
{
    (void)state;
    static const char *const list[] = {"db.example.com:5432", "[::1]:6379"};
    assert_true(broker_allows(list, 2, "db.example.com", 5432));
    assert_true(broker_allows(list, 2, "DB.Example.com", 5432));
    assert_true(broker_allows(list, 2, "::1", 6379));
    assert_false(broker_allows(list, 2, "db.example.com", 5433));
    assert_false(broker_allows(list, 2, "example.com", 5432));
    assert_false(broker_allows(list, 2, "x.db.example.com", 5432));
    assert_false(broker_allows(list, 2, "db.example.com.", 5432));
    assert_false(broker_allows(list, 2, "0:0:0:0:0:0:0:1", 6379));
    assert_false(broker_allows(list, 2, "", 5432));
    assert_false(broker_allows(list, 0, "db.example.com", 5432));
}

static bool address_allowed(const char *host, const char *address)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
        return broker_address_allowed(host, (struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
    return broker_address_allowed(host, (struct sockaddr *)&six);
}

static void a_name_does_not_lead_to_this_machine(void **state)
{
    (void)state;
    static const char *const own[] = {"127.0.0.1",
                                      "127.255.0.1",
                                      "0.0.0.0",
                                      "0.1.2.3",
                                      "169.254.169.254",
                                      "224.0.0.1",
                                      "255.255.255.255",
                                      "::",
                                      "::1",
                                      "::127.0.0.1",
                                      "fe80::1",
                                      "ff02::1",
                                      "::ffff:127.0.0.1",
                                      "64:ff9b::7f00:1",
                                      "::ffff:169.254.169.254"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (address_allowed("db.example.com", own[i])) fail_msg("a name may lead to %s", own[i]);
    static const char *const others[] = {"10.0.0.1",    "192.168.1.1", "93.184.216.34",
                                         "2001:db8::1", "fd00::1",     "::ffff:10.0.0.1"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!address_allowed("db.example.com", others[i])) fail_msg("a name may not lead to %s", others[i]);
}

static void who_lists_an_address_gets_it(void **state)
{
    (void)state;
    assert_true(address_allowed("127.0.0.1", "127.0.0.1"));
    assert_true(address_allowed("::1", "::1"));
    assert_true(address_allowed("localhost", "127.0.0.1"));
    assert_true(address_allowed("169.254.169.254", "169.254.169.254"));
    assert_false(address_allowed("127.1", "127.0.0.1")); /* no address as people write it */
}

static void other_families_are_refused(void **state)
{
    (void)state;
    assert_false(broker_address_allowed("db.example.com", &(struct sockaddr){.sa_family = AF_UNIX}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_a_host_and_a_port),
        cmocka_unit_test(a_host_that_is_too_long_is_none),
        cmocka_unit_test(only_what_is_listed_is_allowed),
        cmocka_unit_test(a_name_does_not_lead_to_this_machine),
        cmocka_unit_test(who_lists_an_address_gets_it),
        cmocka_unit_test(other_families_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
