/* test_bank.c - money is moved, never made or lost. */
// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <stead/testkit.h>

STEAD_HANDLER(deposit);
STEAD_HANDLER(transfer);
STEAD_HANDLER(balance);
STEAD_HANDLER(audit);

typedef enum stead_status handler(struct stead_ctx *ctx);

/* `words` is the body of a reply, or what a failure says. */
static void expect(struct stead_testkit *kit, handler *run, const char *entity, const char *query,
                   int http_status, const char *words)
{
    struct stead_testkit_request request = {.entity = entity, .query = query};
    struct stead_testkit_reply reply = stead_testkit_invoke(kit, run, &request);
    const char *said = reply.status == STEAD_OK ? reply.body : reply.failure;
    if (reply.http_status != http_status || strcmp(said, words) != 0)
        fprintf(stderr, "expected %d %s, got %d %s\n", http_status, words, reply.http_status, said);
    assert(reply.http_status == http_status && strcmp(said, words) == 0);
}

int main(void)
{
    struct stead_testkit *kit = stead_testkit_create();
    expect(kit, stead_fn_deposit, "ann", "amount=100", 200, "ann has 100\n");
    expect(kit, stead_fn_deposit, "bob", "amount=20", 200, "bob has 20\n");
    expect(kit, stead_fn_deposit, "bob", "amount=-5", 400, "say a positive amount: ?amount=100");
    expect(kit, stead_fn_deposit, NULL, "amount=5", 400, "name an account: /bank/deposit/NAME");

    expect(kit, stead_fn_transfer, NULL, "from=ann&to=bob&amount=30", 200, "ann has 70, bob has 50\n");
    expect(kit, stead_fn_transfer, NULL, "from=ann&to=bob&amount=71", 409, "ann has only 70");
    expect(kit, stead_fn_transfer, NULL, "from=eve&to=bob&amount=1", 409, "eve has only 0");
    expect(kit, stead_fn_transfer, NULL, "from=ann&to=eve&amount=1", 404, "there is no account eve");
    expect(kit, stead_fn_transfer, NULL, "from=ann&to=ann&amount=1", 400, "from and to are the same account");
    expect(kit, stead_fn_transfer, NULL, "from=ann", 400, "say from, to and a positive amount");
    expect(kit, stead_fn_balance, "ann", NULL, 200, "ann has 70\n");
    expect(kit, stead_fn_balance, "eve", NULL, 404, "there is no account eve");
    expect(kit, stead_fn_audit, NULL, NULL, 200, "2 accounts have 120\n");

    /* Ann spends elsewhere while the transfer runs: it runs again and finds too little. */
    stead_testkit_interfere(kit, "ann", "balance", "10");
    expect(kit, stead_fn_transfer, NULL, "from=ann&to=bob&amount=50", 409, "ann has only 10");
    assert(strcmp(stead_testkit_dump(kit), "ann balance=10\nbob balance=50\n") == 0);
    stead_testkit_destroy(kit);
    return 0;
}
