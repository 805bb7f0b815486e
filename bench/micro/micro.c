/* micro.c - samples until the time is up, percentiles, one line. */
// SPDX-License-Identifier: Apache-2.0
#include "bench/micro/micro.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/clock.h"

enum { SAMPLES_MAX = 1 << 20, SAMPLES_WARM_UP = 20 };

static void usage(const char *program)
{
    fprintf(stderr, "usage: %s [--json] [--seconds N]\n", program);
    exit(2);
}

void micro_init(struct micro *micro, const char *bench, int argc, char **argv)
{
    *micro = (struct micro){.bench = bench, .seconds = 1};
    for (int i = 1; i < argc; i++)
    {
        if (slice_is(slice_cstr(argv[i]), "--json"))
            micro->json = true;
        else if (slice_is(slice_cstr(argv[i]), "--seconds") && i + 1 < argc)
            micro->seconds = strtod(argv[++i], NULL);
        else
            usage(argv[0]);
    }
    if (!(micro->seconds > 0)) usage(argv[0]);
}

static int by_size(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

/* Nanoseconds per operation that this share of the samples did not exceed. */
static double percentile(const double *sorted, size_t count, double share)
{
    return sorted[(size_t)((double)(count - 1) * share)];
}

static void report(struct micro *micro, const char *name, uint64_t keys, const double *sorted, size_t count)
{
    double p50 = percentile(sorted, count, 0.5), p99 = percentile(sorted, count, 0.99);
    double p999 = percentile(sorted, count, 0.999);
    if (micro->json)
    {
        char keys_text[24] = "null";
        if (keys > 0) snprintf(keys_text, sizeof keys_text, "%llu", (unsigned long long)keys);
        printf("{\"bench\": \"%s\", \"system\": \"stead\", \"case\": \"%s\", \"connections\": null, "
               "\"keys\": %s, "
               "\"rate\": %.0f, \"p50_us\": %.4f, \"p99_us\": %.4f, \"p999_us\": %.4f, \"errors\": 0, "
               "\"durability\": \"none\", \"ns_per_op\": %.1f}\n",
               micro->bench, name, keys_text, 1e9 / p50, p50 / 1e3, p99 / 1e3, p999 / 1e3, p50);
    }
    else
    {
        if (!micro->has_header)
            printf("%-28s %10s %10s %10s %14s\n", "case", "ns per op", "p99", "p99.9", "per second");
        printf("%-28s %10.1f %10.1f %10.1f %14.0f\n", name, p50, p99, p999, 1e9 / p50);
        micro->has_header = true;
    }
    fflush(stdout);
}

void micro_case(struct micro *micro, const char *name, uint64_t keys, uint32_t operations,
                uint64_t (*sample)(void *ctx), void *ctx)
{
    double *samples = mem_alloc(SAMPLES_MAX * sizeof *samples);
    size_t count = 0;
    for (int i = 0; i < SAMPLES_WARM_UP; i++) (void)sample(ctx);
    uint64_t end = clock_monotonic_ns(clock_real()) + (uint64_t)(micro->seconds * 1e9);
    while (count == 0 || (count < SAMPLES_MAX && clock_monotonic_ns(clock_real()) < end))
        samples[count++] = (double)sample(ctx) / operations;
    qsort(samples, count, sizeof *samples, by_size);
    report(micro, name, keys, samples, count);
    free(samples);
}
