/* test_bundle.c - uploads: what goes in comes out, and nothing else comes in. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "runtime/base/prng.h"
#include "runtime/catalog/bundle.h"

static const struct bundle sample = {
    .manifest = {"app: a", 6},
    .files = {{{"a.so", 4}, {"\177ELF", 4}}, {{"empty", 5}, {NULL, 0}}},
    .file_count = 2,
};

static void a_bundle_reads_back_as_it_was_written(void **state)
{
    struct buf bytes = BUF_INIT;
    struct bundle bundle;
    bundle_encode(&bytes, &sample);
    assert_int_equal(bundle_decode(buf_view(&bytes), &bundle, NULL), STATUS_OK);
    assert_true(slice_equal(bundle.manifest, sample.manifest));
    assert_int_equal(bundle.file_count, 2);
    assert_true(slice_is(bundle_find(&bundle, SLICE("a.so"))->content, "\177ELF"));
    assert_int_equal(bundle_find(&bundle, SLICE("empty"))->content.size, 0);
    assert_null(bundle_find(&bundle, SLICE("b.so")));
    buf_fini(&bytes);
}

static void assert_refused(struct slice bytes, const char *words)
{
    struct bundle bundle;
    struct err err = ERR_INIT;
    assert_int_equal(bundle_decode(bytes, &bundle, &err), STATUS_INVALID_ARGUMENT);
    assert_string_equal(err.text, words);
}

static void what_is_no_bundle_is_told_why(void **state)
{
    assert_refused(SLICE_EMPTY, "bundle: is not msgpack");
    assert_refused(SLICE("\xc1"), "bundle: is not msgpack");
    assert_refused(SLICE("\x90"), "bundle: is no map");
    assert_refused(SLICE("\x80"), "bundle: `manifest` is missing");
    assert_refused(SLICE("\x81\xa8manifest\xc4\x01x"), "bundle: `files` is missing");
    assert_refused(SLICE("\x81\xa5"
                         "files\x90"),
                   "bundle: `files` is no map");
    assert_refused(SLICE("\x81\xa5"
                         "files\x81\xa1x\x01"),
                   "bundle: file 0 has no name or is no bytes");
    assert_refused(SLICE("\x81\xa5"
                         "files\xde\x00\x11"),
                   "bundle: is not msgpack");
}

static void damaged_bytes_are_never_read_past_their_end(void **state)
{
    struct buf bytes = BUF_INIT;
    bundle_encode(&bytes, &sample);
    struct prng prng;
    prng_init(&prng, 3);
    for (size_t round = 0; round < 20000; round++)
    {
        size_t size = prng_below(&prng, bytes.size + 1);
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, bytes.data, size);
        if (size > 0) copy[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        struct bundle bundle;
        enum status status = bundle_decode(slice_make(copy, size), &bundle, NULL);
        assert_true(status == STATUS_OK || status == STATUS_INVALID_ARGUMENT);
        free(copy);
    }
    buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_reads_back_as_it_was_written),
        cmocka_unit_test(what_is_no_bundle_is_told_why),
        cmocka_unit_test(damaged_bytes_are_never_read_past_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
