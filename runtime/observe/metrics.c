/* metrics.c - the text exposition format of Prometheus. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/observe/metrics.h"

static void head(struct buf *text, const char *name, const char *type, const char *help)
{
    buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_print(struct buf *text, const struct metrics *node, const struct metrics_store *stores,
                   size_t count)
{
#define METRIC(field, name, type, help) \
    head(text, name, type, help);       \
    buf_printf(text, "%s %llu\n", name, (unsigned long long)(node->field));
#define STORE_METRIC(field, name, type, help)                                                                \
    head(text, name, type, help);                                                                            \
    for (size_t i = 0; i < count; i++)                                                                       \
        buf_printf(text, "%s{app=\"%s\",partition=\"%u\"} %llu\n", name, stores[i].app, stores[i].partition, \
                   (unsigned long long)(stores[i].field));
#include "runtime/observe/metrics.def"
#undef METRIC
#undef STORE_METRIC
}
