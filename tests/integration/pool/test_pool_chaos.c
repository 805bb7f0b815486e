/* test_pool_chaos.c - crashes, deadlines, chains, cancellations and killed zygotes at random: every run ends once. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "runtime/base/prng.h"
#include "tests/integration/pool/fx_pool.h"

enum { RUNS = 1500, CHAINS = 5, AT_ONCE = 100 };

static struct fx_run runs[RUNS];
static struct pool_chain chains[CHAINS];

/* How often each function is chosen, in percent; the rest is `ok`. */
static const struct {
    const char *function;
    unsigned percent;
} mix[] = {{"pid", 10}, {"segv", 3}, {"exits", 3}, {"aborts", 2}, {"fails", 5}, {"spins", 1}, {"says", 3}};

static const char *choose(struct prng *prng)
{
    unsigned at = (unsigned)prng_below(prng, 100);
    for (size_t i = 0; i < sizeof mix / sizeof *mix; i++)
    {
        if (at < mix[i].percent) return mix[i].function;
        at -= mix[i].percent;
    }
    return "ok";
}

static size_t done_count(size_t submitted)
{
    size_t count = 0;
    for (size_t i = 0; i < submitted; i++) count += runs[i].done;
    return count;
}

/* What each function may end with; the others are for what we did to it. */
static bool fits(const struct fx_run *run, bool chained)
{
    const char *function = run->invoke.function.data;
    switch (run->status)
    {
    case STATUS_OK:
        return strstr("ok pid fails says", function) != NULL;
    case STATUS_FUNCTION_EXITED:
        return strcmp(function, "exits") == 0;
    case STATUS_FUNCTION_TIMEOUT:
        return true; /* on a loaded machine any may be that late */
    case STATUS_FUNCTION_CRASHED:
        return true; /* also every run of a killed zygote */
    case STATUS_CONFLICT:
        return chained;
    case STATUS_CANCELED:
        return true;
    case STATUS_FUNCTION_START_FAILED:
        return true; /* the zygote was killed before a worker had served */
    default:
        return false;
    }
}

static void kill_a_zygote(struct fx_pool *fx)
{
    pid_t zygote = fx_zygote(fx);
    if (zygote > 0) kill(zygote, SIGKILL);
}

static void chaos(uint64_t seed)
{
    struct fx_pool fx;
    struct prng prng;
    prng_init(&prng, seed);
    fx_pool_open(&fx, "faults", fx_faults);
    for (int i = 0; i < CHAINS; i++) pool_chain_init(&chains[i]);
    bool chained[RUNS] = {false};
    for (size_t i = 0; i < RUNS; i++)
    {
        fx_run_init(&runs[i], choose(&prng), "x");
        runs[i].invoke.timeout_ms = 20;
        if (prng_chance(&prng, 1, 5))
        {
            struct pool_chain *chain = &chains[prng_below(&prng, CHAINS)];
            if (chain->broken && chain->runs == 0) /* as its owner does it */
            {
                pool_chain_fini(chain);
                pool_chain_init(chain);
            }
            runs[i].run.chain = chain;
            chained[i] = true;
        }
        fx_submit(&fx, &runs[i]);
        if (prng_chance(&prng, 1, 50)) (void)pool_cancel(&runs[i].run); /* may be too late */
        if (prng_chance(&prng, 1, 150)) kill_a_zygote(&fx);
        if (prng_chance(&prng, 1, 4)) loop_turn(fx.loop, false);
        while (i + 1 - done_count(i + 1) > AT_ONCE) loop_turn(fx.loop, true);
    }
    for (size_t i = 0; i < RUNS; i++)
    {
        fx_wait(&fx, &runs[i]);
        if (!fits(&runs[i], chained[i]))
            fail_msg("seed %llu, run %zu, %s: %s: %s", (unsigned long long)seed, i,
                     (const char *)runs[i].invoke.function.data, status_code(runs[i].status), runs[i].text);
    }
    struct pool_stats stats;
    pool_stats(fx.pool, &stats);
    assert_int_equal(stats.runs, RUNS);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.running, 0);
    for (int i = 0; i < CHAINS; i++)
    {
        assert_int_equal(chains[i].runs, 0);
        pool_chain_fini(&chains[i]);
    }
    fx_pool_close(&fx);
}

static void every_run_ends_once_whatever_happens(void **state)
{
    (void)state;
    const char *given = getenv("STEAD_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : prng_entropy();
    printf("STEAD_TEST_SEED=%llu\n", (unsigned long long)seed);
    chaos(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_run_ends_once_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
