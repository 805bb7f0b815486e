/* test_hello.c - the handler in this process, no node. */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <string.h>

#include <stead/testkit.h>

STEAD_HANDLER(hello);

int main(void)
{
    struct stead_testkit *kit = stead_testkit_create();
    struct stead_testkit_reply reply = stead_testkit_invoke(kit, stead_fn_hello, NULL);
    assert(reply.status == STEAD_OK && strcmp(reply.body, "hello world\n") == 0);

    struct stead_testkit_request ann = {.query = "name=Ann+Lee"};
    reply = stead_testkit_invoke(kit, stead_fn_hello, &ann);
    assert(strcmp(reply.body, "hello Ann Lee\n") == 0);
    stead_testkit_destroy(kit);
    return 0;
}
