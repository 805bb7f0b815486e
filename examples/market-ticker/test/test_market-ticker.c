/* test_market-ticker.c - prices go out with their commit, come in, and are watched. */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <string.h>

#include <stead/testkit.h>

STEAD_HANDLER(quote);
STEAD_HANDLER(keep);
STEAD_HANDLER(latest);
STEAD_HANDLER(watch);

int main(void)
{
    struct stead_testkit *kit = stead_testkit_create();
    struct stead_testkit_request request = {.entity = "eu/paris", .body = "12.5"};
    assert(stead_testkit_invoke(kit, stead_fn_quote, &request).status == STEAD_OK);
    assert(strcmp(stead_testkit_left(kit), "publish prices eu/paris=12.5\n") == 0);
    request.body = "";
    assert(stead_testkit_invoke(kit, stead_fn_quote, &request).http_status == 400);
    assert(strcmp(stead_testkit_left(kit), "publish prices eu/paris=12.5\n") == 0);

    assert(stead_testkit_invoke(kit, stead_fn_latest, &request).http_status == 404);
    const struct stead_testkit_message messages[] = {
        {.channel = "prices", .key = "eu/paris", .body = "12.5"},
        {.channel = "prices", .key = "eu/paris", .body = "13"},
    };
    assert(stead_testkit_deliver(kit, stead_fn_keep, "eu/paris", messages, 2).status == STEAD_OK);
    assert(strcmp(stead_testkit_invoke(kit, stead_fn_latest, &request).body, "13 (2)\n") == 0);

    stead_testkit_publish(kit, &messages[0]);
    stead_testkit_publish(kit,
                          &(struct stead_testkit_message){.channel = "prices", .key = "us/x", .body = "1"});
    stead_testkit_publish(kit, &messages[1]);
    request = (struct stead_testkit_request){.method = "GET", .query = "keys=eu/&count=5&ms=1"};
    struct stead_testkit_reply reply = stead_testkit_invoke(kit, stead_fn_watch, &request);
    assert(strcmp(reply.body, "eu/paris 12.5\neu/paris 13\n") == 0);
    stead_testkit_destroy(kit);
    return 0;
}
