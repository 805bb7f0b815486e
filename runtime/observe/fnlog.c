/* fnlog.c - a ring of lines per app as a list bounded by bytes. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/observe/fnlog.h"

#include <stdlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/map.h"

/* A kept line; its slices point into `bytes`. */
struct kept {
    struct list link;
    struct fnlog_line line;
    size_t size;
    uint64_t order; /* over all apps: merges the rings of a tail without an app */
    uint8_t bytes[];
};

struct ring {
    struct list lines;
    size_t bytes;
};

struct fnlog {
    struct clock *clock;
    size_t bytes_per_app;
    struct map rings; /* app -> struct ring */
    struct list readers;
    uint64_t order;
};

struct fnlog *fnlog_create(struct clock *clock, size_t bytes_per_app)
{
    struct fnlog *log = mem_zalloc(sizeof *log);
    log->clock = clock;
    log->bytes_per_app = bytes_per_app;
    list_init(&log->readers);
    return log;
}

static void ring_drop_oldest(struct ring *ring)
{
    struct kept *kept = CONTAINER_OF(list_pop_front(&ring->lines), struct kept, link);
    ring->bytes -= kept->size;
    free(kept);
}

void fnlog_destroy(struct fnlog *log)
{
    if (!log) return;
    struct map_entry entry;
    for (size_t place = 0; map_next(&log->rings, &place, &entry);)
    {
        struct ring *ring = entry.value;
        while (!list_empty(&ring->lines)) ring_drop_oldest(ring);
        free(ring);
    }
    map_fini(&log->rings);
    LIST_FOREACH(link, &log->readers) list_remove(link);
    free(log);
}

static struct slice keep_slice(uint8_t **place, struct slice from)
{
    struct slice kept = slice_make(*place, from.size);
    if (from.size) memcpy(*place, from.data, from.size);
    *place += from.size;
    return kept;
}

static struct kept *keep(const struct fnlog_line *line)
{
    size_t bytes = line->app.size + line->function.size + line->invocation.size + line->text.size;
    struct kept *kept = mem_alloc(sizeof *kept + bytes);
    uint8_t *place = kept->bytes;
    kept->size = sizeof *kept + bytes;
    kept->line = *line;
    kept->line.app = keep_slice(&place, line->app);
    kept->line.function = keep_slice(&place, line->function);
    kept->line.invocation = keep_slice(&place, line->invocation);
    kept->line.text = keep_slice(&place, line->text);
    return kept;
}

static bool matches(const struct fnlog_line *line, struct slice app, struct slice function)
{
    return (app.size == 0 || slice_equal(line->app, app)) &&
           (function.size == 0 || slice_equal(line->function, function));
}

void fnlog_append(struct fnlog *log, const struct fnlog_line *line)
{
    struct fnlog_line stamped = *line;
    stamped.time_ms = clock_wall_ms(log->clock);
    struct ring *ring = map_get(&log->rings, line->app);
    if (!ring)
    {
        ring = mem_zalloc(sizeof *ring);
        list_init(&ring->lines);
        map_put(&log->rings, line->app, ring);
    }
    struct kept *kept = keep(&stamped);
    kept->order = log->order++;
    list_push_back(&ring->lines, &kept->link);
    ring->bytes += kept->size;
    while (ring->bytes > log->bytes_per_app && ring->lines.next != &kept->link) ring_drop_oldest(ring);

    LIST_FOREACH(link, &log->readers)
    {
        struct fnlog_reader *reader = CONTAINER_OF(link, struct fnlog_reader, link);
        if (matches(&stamped, reader->app, reader->function)) reader->on_line(reader->ctx, &stamped);
    }
}

static int newest_last(const void *a, const void *b)
{
    uint64_t x = (*(struct kept *const *)a)->order, y = (*(struct kept *const *)b)->order;
    return x < y ? -1 : x > y;
}

void fnlog_tail(const struct fnlog *log, struct slice app, struct slice function, size_t count,
                fnlog_line_fn on_line, void *ctx)
{
    struct buf found = BUF_INIT; /* of struct kept * */
    struct map_entry entry;
    for (size_t place = 0; map_next(&log->rings, &place, &entry);)
    {
        struct ring *ring = entry.value;
        LIST_FOREACH(link, &ring->lines)
        {
            struct kept *kept = CONTAINER_OF(link, struct kept, link);
            if (matches(&kept->line, app, function)) buf_append(&found, slice_make(&kept, sizeof kept));
        }
    }
    struct kept **lines = (struct kept **)found.data;
    size_t lines_count = found.size / sizeof *lines;
    if (lines_count) qsort(lines, lines_count, sizeof *lines, newest_last);
    for (size_t i = lines_count > count ? lines_count - count : 0; i < lines_count; i++)
        on_line(ctx, &lines[i]->line);
    buf_fini(&found);
}

void fnlog_subscribe(struct fnlog *log, struct fnlog_reader *reader)
{
    list_push_back(&log->readers, &reader->link);
}

void fnlog_unsubscribe(struct fnlog_reader *reader)
{
    list_remove(&reader->link);
}
