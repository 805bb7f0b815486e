/* bench_wire.c - what a frame costs: encode and decode of a typical invoke and its result, nanoseconds each. */
// SPDX-License-Identifier: Apache-2.0
#include "bench/micro/micro.h"
#include "messaging/wire/wire.h"
#include "runtime/base/check.h"
#include "runtime/base/clock.h"

static struct wire_invoke invoke;
static struct wire_result result;
static struct buf out;

static void set_up(void)
{
    static char meta[136], row[128], body[128];
    invoke = (struct wire_invoke){
        .id = 123456,
        .ident = SLICE("01J9ZQ4T0V7C5S1M8K3N6P2R4W"),
        .function = SLICE("add"),
        .entity = SLICE("counter/42"),
        .timeout_ms = 10000,
        .snapshot = 1000000,
        .txn = 1000001,
        .meta = {meta, sizeof meta},
        .chain = 7,
        .attempt = 1,
        .method = SLICE("POST"),
        .path = SLICE("/counter/add/counter/42"),
        .body = {body, sizeof body},
    };
    static const char *const names[] = {"host", "user-agent", "accept", "content-length"};
    for (size_t i = 0; i < 4; i++)
        invoke.headers.items[invoke.headers.count++] =
            (struct wire_header){slice_cstr(names[i]), SLICE("something/1.0")};
    result = (struct wire_result){
        .id = 123456,
        .http_status = 200,
        .body = SLICE("124\n"),
        .reads = {row, 30},
        .writes = {row, 64},
        .run_us = 3,
        .cpu_us = 3,
        .peak_kib = 1200,
        .rows_read = 1,
        .bytes_read = 3,
    };
    result.headers.items[result.headers.count++] =
        (struct wire_header){SLICE("content-type"), SLICE("text/plain")};
}

static struct slice payload(void)
{
    return slice_make(out.data + WIRE_LENGTH_BYTES, out.size - WIRE_LENGTH_BYTES);
}

static void invoke_encode(void)
{
    buf_reset(&out);
    wire_invoke_encode(&out, &invoke);
}

static void invoke_decode(void)
{
    struct wire_invoke message;
    CHECK(wire_invoke_decode(payload(), &message, NULL) == STATUS_OK);
}

static void result_encode(void)
{
    buf_reset(&out);
    wire_result_encode(&out, &result);
}

static void result_decode(void)
{
    struct wire_result message;
    CHECK(wire_result_decode(payload(), &message, NULL) == STATUS_OK);
}

enum { OPERATIONS = 1000 };

static uint64_t sample(void *ctx)
{
    void (*const *step)(void) = ctx;
    uint64_t begin = clock_monotonic_ns(clock_real());
    for (int i = 0; i < OPERATIONS; i++) (*step)();
    return clock_monotonic_ns(clock_real()) - begin;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*step)(void);
    } cases[] = {
        {"invoke encode", invoke_encode},
        {"invoke decode", invoke_decode},
        {"result encode", result_encode},
        {"result decode", result_decode},
    };
    struct micro micro;
    micro_init(&micro, "wire", argc, argv);
    set_up();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        micro_case(&micro, cases[i].name, 0, OPERATIONS, sample, (void *)&cases[i].step);
    buf_fini(&out);
    return 0;
}
