/* test_metrics.c - what a scraper of /metrics reads. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/observe/metrics.h"

static void each_metric_has_its_help_its_type_and_one_line_for_each_partition(void **state)
{
    const struct metrics node = {.workers = 3};
    const struct metrics_store stores[] = {{.app = "a", .rows = 7}, {.app = "a", .partition = 1, .rows = 8}};
    struct buf text = BUF_INIT;
    metrics_print(&text, &node, stores, 2);
    const char *words = buf_cstr(&text);
    assert_non_null(strstr(
        words, "# HELP stead_workers worker processes\n# TYPE stead_workers gauge\nstead_workers 3\n"));
    assert_non_null(strstr(words,
                           "# TYPE stead_store_rows gauge\nstead_store_rows{app=\"a\",partition=\"0\"} 7\n"
                           "stead_store_rows{app=\"a\",partition=\"1\"} 8\n"));
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_metric_has_its_help_its_type_and_one_line_for_each_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
