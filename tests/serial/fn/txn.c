/* txn.c - runs a small program of reads, appends and scans as one transaction, for the serializability check. */
// SPDX-License-Identifier: Apache-2.0
//
// One step per line of the body, one line of the reply per row that it read:
//
//     r KEY           read           "KEY v v v"
//     a KEY VALUE     append         nothing
//     s PREFIX        scan           "KEY v v v" for each, then "."
//     w MICROSECONDS  work for so long, so that transactions overlap
//     f               fail: nothing may be kept
//
// Keys that begin with `e` are entities with one row, `list`; all others are rows of the app.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <stead/stead.h>

static const char *entity_of(const char *key)
{
    return key[0] == 'e' ? key : STEAD_APP;
}

static const char *name_of(const char *key)
{
    return key[0] == 'e' ? "list" : key;
}

static void reply_list(struct stead_ctx *ctx, const char *key, const void *data, size_t size)
{
    stead_reply(ctx, "%s", key);
    stead_reply_bytes(ctx, data, size);
    stead_reply(ctx, "\n");
}

static void read_key(struct stead_ctx *ctx, const char *key)
{
    struct stead_bytes list;
    stead_get_of(ctx, entity_of(key), name_of(key), &list);
    reply_list(ctx, key, list.data, list.size);
}

static void append(struct stead_ctx *ctx, const char *key, const char *value)
{
    struct stead_bytes list;
    stead_get_of(ctx, entity_of(key), name_of(key), &list);
    stead_put_text_of(ctx, entity_of(key), name_of(key),
                      stead_format(ctx, "%.*s %s", STEAD_FMT(list), value));
}

static void scan_keys(struct stead_ctx *ctx, const char *prefix)
{
    int entities = prefix[0] == 'e';
    struct stead_scan *scan =
        entities ? stead_scan_entities(ctx, prefix) : stead_scan_of(ctx, STEAD_APP, prefix);
    struct stead_row row;
    while (stead_scan_next(scan, &row))
        reply_list(ctx, entities ? row.entity : row.name, row.value.data, row.value.size);
    stead_reply(ctx, ".\n");
}

static void work(long microseconds)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000000L + (now.tv_nsec - start.tv_nsec) / 1000 < microseconds);
}

STEAD_FUNCTION(txn)
{
    char *rest = stead_format(ctx, "%s", stead_body_text(ctx));
    for (char *line; (line = strtok_r(rest, "\n", &rest)) != NULL;)
    {
        char *step = strtok_r(line, " ", &line);
        char *key = strtok_r(line, " ", &line);
        switch (step[0])
        {
        case 'r':
            read_key(ctx, key);
            break;
        case 'a':
            append(ctx, key, strtok_r(line, " ", &line));
            break;
        case 's':
            scan_keys(ctx, key);
            break;
        case 'w':
            work(strtol(key, NULL, 10));
            break;
        case 'f':
            return stead_fail(ctx, "failed as it was told to");
        default:
            return stead_reject(ctx, 400, "no such step: %s", step);
        }
    }
    return STEAD_OK;
}
