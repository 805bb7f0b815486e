/* bank.c - accounts as entities: a transfer changes two of them in one transaction, an audit reads all of them at once. */
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include <stead/stead.h>

/* A number greater than zero, or 0. */
static int64_t amount_of(struct stead_ctx *ctx)
{
    int64_t amount = stead_query_i64(ctx, "amount", 0);
    return amount > 0 ? amount : 0;
}

/* POST /bank/deposit/ann?amount=100: money from outside; opens the account when there is none. */
STEAD_FUNCTION(deposit)
{
    const char *account = stead_entity(ctx);
    int64_t amount = amount_of(ctx);
    if (!*account) return stead_reject(ctx, 400, "name an account: /bank/deposit/NAME");
    if (!amount) return stead_reject(ctx, 400, "say a positive amount: ?amount=100");
    int64_t balance = stead_add(ctx, "balance", amount);
    return stead_reply(ctx, "%s has %lld\n", account, (long long)balance);
}

/* POST /bank/transfer?from=ann&to=bob&amount=10: both accounts change, or none does. */
STEAD_FUNCTION(transfer)
{
    const char *from = stead_query(ctx, "from");
    const char *to = stead_query(ctx, "to");
    int64_t amount = amount_of(ctx);
    if (!from || !to || !amount) return stead_reject(ctx, 400, "say from, to and a positive amount");
    if (strcmp(from, to) == 0) return stead_reject(ctx, 400, "from and to are the same account");
    if (!stead_exists_of(ctx, to, "balance")) return stead_reject(ctx, 404, "there is no account %s", to);

    int64_t left = stead_add_of(ctx, from, "balance", -amount);
    if (left < 0) return stead_reject(ctx, 409, "%s has only %lld", from, (long long)(left + amount));
    int64_t got = stead_add_of(ctx, to, "balance", amount);
    return stead_reply(ctx, "%s has %lld, %s has %lld\n", from, (long long)left, to, (long long)got);
}

/* GET /bank/balance/ann */
STEAD_FUNCTION(balance)
{
    const char *account = stead_entity(ctx);
    if (!stead_exists(ctx, "balance")) return stead_reject(ctx, 404, "there is no account %s", account);
    return stead_reply(ctx, "%s has %lld\n", account, (long long)stead_get_i64(ctx, "balance", 0));
}

/* GET /bank/audit: adds up all accounts. It sees one version of them all, so that transfers never change the total. */
STEAD_FUNCTION(audit)
{
    struct stead_scan *scan = stead_scan_entities(ctx, "");
    struct stead_row row;
    int64_t accounts = 0, total = 0;
    while (stead_scan_next(scan, &row))
    {
        if (strcmp(row.name, "balance") != 0) continue;
        total += stead_get_i64_of(ctx, row.entity, "balance", 0);
        accounts++;
    }
    return stead_reply(ctx, "%lld accounts have %lld\n", (long long)accounts, (long long)total);
}
