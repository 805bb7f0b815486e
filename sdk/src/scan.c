/* scan.c - scans as functions see them: rows taken apart, limits, pages. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/bounds.h"
#include "runtime/base/check.h"
#include "sdk/src/ctx.h"
#include "statestore/kv/keyspace.h"

struct stead_scan {
    struct stead_ctx *ctx;
    struct slice low; /* texts of the arena */
    struct slice high;
    struct slice entity; /* of the rows, unless it runs over all entities */
    struct slice after; /* key of the row where an earlier page ended; empty: none */
    bool all_entities;
    bool reverse;
    bool failed;
    size_t rows_left;
    struct stead__walk *walk; /* NULL before the first step */
    char key[BOUND_KEY_BYTES_MAX + 3]; /* of the current row, with a zero at its end */
};

static struct stead_scan *new_scan(struct stead_ctx *ctx)
{
    struct stead_scan *scan = stead_alloc(ctx, sizeof *scan);
    scan->ctx = ctx;
    scan->rows_left = SIZE_MAX;
    return scan;
}

static struct slice keep(struct stead_ctx *ctx, struct slice bytes)
{
    return slice_make(stead__arena_text(&ctx->arena, bytes), bytes.size);
}

/* Takes the range over when it could be made. */
static void set_range(struct stead_scan *scan, const char *call, enum status status, struct buf *low,
                      struct buf *high, const struct err *err)
{
    scan->failed = status != STATUS_OK;
    if (scan->failed)
        (void)stead__fail(scan->ctx, call, status, err);
    else
    {
        scan->low = keep(scan->ctx, buf_view(low));
        scan->high = keep(scan->ctx, buf_view(high));
    }
}

static struct stead_scan *fail_scan(struct stead_scan *scan, const char *call, const char *what)
{
    (void)stead__fail_text(scan->ctx, call, STATUS_INVALID_ARGUMENT, "the %s is NULL", what);
    scan->failed = true;
    return scan;
}

static struct stead_scan *scan_rows(struct stead_ctx *ctx, const char *call, struct slice entity,
                                    const char *prefix)
{
    struct stead_scan *scan = new_scan(ctx);
    if (!prefix) return fail_scan(scan, call, "prefix");
    struct err err;
    err.text[0] = 0;
    buf_reset(&ctx->key);
    buf_reset(&ctx->scratch);
    enum status status = keyspace_row_range(&ctx->key, &ctx->scratch, entity, slice_cstr(prefix), &err);
    set_range(scan, call, status, &ctx->key, &ctx->scratch, &err);
    scan->entity = keep(ctx, entity);
    return scan;
}

struct stead_scan *stead_scan(struct stead_ctx *ctx, const char *prefix)
{
    return scan_rows(ctx, "stead_scan", stead__own_entity(ctx), prefix);
}

struct stead_scan *stead_scan_of(struct stead_ctx *ctx, const char *entity, const char *prefix)
{
    if (!entity) return fail_scan(new_scan(ctx), "stead_scan_of", "entity");
    return scan_rows(ctx, "stead_scan_of", slice_cstr(entity), prefix);
}

struct stead_scan *stead_scan_entities(struct stead_ctx *ctx, const char *entity_prefix)
{
    static const char call[] = "stead_scan_entities";
    struct stead_scan *scan = new_scan(ctx);
    if (!entity_prefix) return fail_scan(scan, call, "prefix");
    struct err err;
    err.text[0] = 0;
    buf_reset(&ctx->key);
    buf_reset(&ctx->scratch);
    enum status status = keyspace_entity_range(&ctx->key, &ctx->scratch, slice_cstr(entity_prefix), &err);
    set_range(scan, call, status, &ctx->key, &ctx->scratch, &err);
    scan->all_entities = true;
    return scan;
}

void stead_scan_limit(struct stead_scan *scan, size_t rows)
{
    if (!scan->walk) scan->rows_left = rows;
}

void stead_scan_reverse(struct stead_scan *scan)
{
    if (!scan->walk) scan->reverse = true;
}

/* Remembers the row; on which side of it the scan begins is known only at the first step, see begin(). */
void stead_scan_after(struct stead_scan *scan, const char *name)
{
    if (scan->walk || scan->failed) return;
    static const char call[] = "stead_scan_after";
    if (!name)
    {
        (void)fail_scan(scan, call, "name");
        return;
    }
    struct stead_ctx *ctx = scan->ctx;
    struct slice entity = scan->all_entities ? slice_cstr(name) : scan->entity;
    struct err err;
    err.text[0] = 0;
    buf_reset(&ctx->key);
    enum status status =
        keyspace_row(&ctx->key, entity, scan->all_entities ? SLICE_EMPTY : slice_cstr(name), &err);
    scan->failed = status != STATUS_OK;
    if (scan->failed)
        (void)stead__fail(ctx, call, status, &err);
    else
        scan->after = keep(ctx, buf_view(&ctx->key));
}

/* Narrows the range to what lies behind `after`: a row, or all rows of an entity, whose key ends in its
 * zero byte. */
static void narrow(struct stead_scan *scan)
{
    struct stead_ctx *ctx = scan->ctx;
    if (scan->reverse)
    {
        if (slice_compare(scan->after, scan->high) < 0) scan->high = scan->after;
        return;
    }
    buf_reset(&ctx->key);
    buf_append(&ctx->key, scan->after);
    if (scan->all_entities)
        ctx->key.data[ctx->key.size - 1] = 1;
    else
        buf_append_byte(&ctx->key, 0);
    if (slice_compare(buf_view(&ctx->key), scan->low) > 0) scan->low = keep(ctx, buf_view(&ctx->key));
}

static void begin(struct stead_scan *scan)
{
    if (scan->after.size > 0) narrow(scan);
    /* A page behind the last row: nothing is left between the ends. */
    if (slice_compare(scan->low, scan->high) > 0) scan->low = scan->high;
    scan->walk = stead__view_walk(&scan->ctx->view, scan->low, scan->high, scan->reverse);
}

bool stead_scan_next(struct stead_scan *scan, struct stead_row *row)
{
    struct stead_ctx *ctx = scan->ctx;
    if (scan->failed || scan->rows_left == 0) return false;
    if (!scan->walk) begin(scan);
    struct slice key, value, entity, name;
    struct err err;
    err.text[0] = 0;
    enum status status = stead__walk_next(scan->walk, &key, &value, &err);
    if (status != STATUS_OK)
    {
        scan->failed = status != STATUS_NOT_FOUND;
        if (scan->failed) (void)stead__fail(ctx, "stead_scan_next", status, &err);
        return false;
    }
    CHECK(key.size < sizeof scan->key);
    memcpy(scan->key, key.data, key.size);
    scan->key[key.size] = 0;
    CHECK(keyspace_row_split(slice_make(scan->key, key.size), &entity, &name));
    *row = (struct stead_row){entity.data, name.data, name.size, {value.data, value.size}};
    scan->rows_left--;
    ctx->rows_read++;
    ctx->bytes_read += value.size;
    return true;
}
