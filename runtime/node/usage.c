/* usage.c - sums of meters over partitions, as JSON. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/node/usage.h"

#include <stdlib.h>
#include <time.h>

#include "runtime/base/map.h"
#include "runtime/catalog/catalog.h"
#include "runtime/invoke/metering.h"
#include "runtime/node/apps.h"
#include "runtime/node/config.h"

/* One function's day, over all partitions. */
struct usage_row {
    struct slice function; /* owned */
    uint32_t day;
    struct meter_sums sums;
};

struct collected {
    struct map by_key; /* meter key -> struct usage_row */
};

static void on_row(void *ctx, struct slice function, uint32_t day, const struct meter_sums *sums)
{
    struct collected *collected = ctx;
    struct buf key = BUF_INIT;
    meter_key(&key, 0, function, day);
    struct usage_row *row = map_get(&collected->by_key, buf_view(&key));
    if (!row)
    {
        row = mem_zalloc(sizeof *row);
        row->function = slice_make(mem_dup(function), function.size);
        row->day = day;
        map_put(&collected->by_key, buf_view(&key), row);
    }
    meter_add(&row->sums, sums);
    buf_fini(&key);
}

static int by_day_and_function(const void *a, const void *b)
{
    const struct usage_row *x = *(struct usage_row *const *)a, *y = *(struct usage_row *const *)b;
    if (x->day != y->day) return x->day < y->day ? -1 : 1;
    return slice_compare(x->function, y->function);
}

static void day_text(uint32_t day, char out[16])
{
    time_t seconds = (time_t)day * 24 * 3600;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(out, 16, "%Y-%m-%d", &utc);
}

static void row_json(const char *app, const struct usage_row *row, const struct config *config,
                     struct buf *json)
{
    enum { MB_US_PER_GB_S = 1024 * 1000000 };
    char day[16];
    day_text(row->day, day);
    double gb_seconds = (double)row->sums.of[METER_mb_us] / MB_US_PER_GB_S;
    double price = (double)row->sums.of[METER_invocations] / 1e6 * strtod(config->price_per_million, NULL) +
                   gb_seconds * strtod(config->price_per_gb_second, NULL);
    buf_printf(json, "{\"app\":\"%s\",\"function\":\"%.*s\",\"day\":\"%s\"", app, SLICE_FMT(row->function),
               day);
    for (int i = 0; i < METER_COUNT; i++)
        buf_printf(json, ",\"%s\":%llu", meter_name(i), (unsigned long long)row->sums.of[i]);
    buf_printf(json, ",\"gb_seconds\":%.6f,\"price\":%.6f}", gb_seconds, price);
}

/* Takes the rows. */
static void app_json(const char *app, struct collected *collected, const struct config *config,
                     struct buf *json, const char **comma)
{
    struct buf rows = BUF_INIT; /* of struct usage_row * */
    struct map_entry entry;
    for (size_t place = 0; map_next(&collected->by_key, &place, &entry);)
        buf_append(&rows, slice_make(&entry.value, sizeof entry.value));
    struct usage_row **row = (struct usage_row **)rows.data;
    size_t count = rows.size / sizeof *row;
    if (count > 0) qsort(row, count, sizeof *row, by_day_and_function);
    for (size_t i = 0; i < count; i++, *comma = ",")
    {
        buf_append_cstr(json, *comma);
        row_json(app, row[i], config, json);
        free((void *)row[i]->function.data);
        free(row[i]);
    }
    buf_fini(&rows);
    map_fini(&collected->by_key);
}

enum status usage_json(struct apps *apps, const struct catalog *catalog, const struct config *config,
                       struct slice app, struct buf *json, struct err *err)
{
    const char *comma = "";
    if (app.size > 0 && !catalog_app_find(catalog, app))
        return err_set(err, STATUS_APP_NOT_FOUND, "no app '%.*s' is deployed", SLICE_FMT(app));
    buf_append_cstr(json, "{\"usage\":[");
    for (size_t i = 0; i < catalog_app_count(catalog); i++)
    {
        const char *name = catalog_app_at(catalog, i)->name;
        if (app.size > 0 && !slice_is(app, name)) continue;
        struct collected collected = {.by_key = MAP_INIT};
        for (uint32_t p = 0; p < apps_partitions(apps, slice_cstr(name)); p++)
        {
            enum status status =
                metering_scan(apps_metering(apps, slice_cstr(name), p), on_row, &collected, err);
            if (status == STATUS_OK) continue;
            struct buf dropped = BUF_INIT;
            app_json(name, &collected, config, &dropped, &comma);
            buf_fini(&dropped);
            return status;
        }
        app_json(name, &collected, config, json, &comma);
    }
    buf_printf(json, "],\"prices\":{\"per_million_invocations\":%g,\"per_gb_second\":%g}}",
               strtod(config->price_per_million, NULL), strtod(config->price_per_gb_second, NULL));
    return STATUS_OK;
}
