/* test_counter.c - counters are apart, and an increment that is disturbed runs again. */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <string.h>

#include <stead/testkit.h>

STEAD_HANDLER(increment);
STEAD_HANDLER(value);
STEAD_HANDLER(reset);

static void expect(struct stead_testkit *kit, enum stead_status (*handler)(struct stead_ctx *),
                   const char *entity, const char *query, const char *body)
{
    struct stead_testkit_request request = {.entity = entity, .query = query};
    struct stead_testkit_reply reply = stead_testkit_invoke(kit, handler, &request);
    assert(reply.status == STEAD_OK && strcmp(reply.body, body) == 0);
}

int main(void)
{
    struct stead_testkit *kit = stead_testkit_create();
    expect(kit, stead_fn_value, "a", NULL, "0\n");
    expect(kit, stead_fn_increment, "a", NULL, "1\n");
    expect(kit, stead_fn_increment, "a", "by=41", "42\n");
    expect(kit, stead_fn_increment, "b", NULL, "1\n");
    expect(kit, stead_fn_value, "a", NULL, "42\n");

    /* Somebody else gets in between: nothing is lost. */
    stead_testkit_interfere(kit, "a", "value", "100");
    expect(kit, stead_fn_increment, "a", NULL, "101\n");

    expect(kit, stead_fn_reset, "a", NULL, "0\n");
    assert(strcmp(stead_testkit_dump(kit), "b value=1\n") == 0);
    stead_testkit_destroy(kit);
    return 0;
}
