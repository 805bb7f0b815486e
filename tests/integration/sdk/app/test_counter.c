/* test_counter.c - a unit test as a user would write it, with the testkit as installed. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/testkit.h>

#include <stdio.h>
#include <string.h>

STEAD_HANDLER(add);

int main(void)
{
    struct stead_testkit *kit = stead_testkit_create();
    struct stead_testkit_request request = {.entity = "e", .query = "by=3"};
    (void)stead_testkit_invoke(kit, stead_fn_add, &request);
    struct stead_testkit_reply reply = stead_testkit_invoke(kit, stead_fn_add, &request);
    int good = reply.status == STEAD_OK && strcmp(reply.body, "6\n") == 0 &&
               strcmp(stead_testkit_dump(kit), "e count=6\n") == 0;
    printf("%s", reply.body);
    stead_testkit_destroy(kit);
    return good ? 0 : 1;
}
