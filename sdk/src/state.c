/* state.c - rows by name: bytes, texts, numbers, counters. */
// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/ctx.h"
#include "sdk/src/number.h"
#include "statestore/kv/keyspace.h"

struct slice stead__own_entity(const struct stead_ctx *ctx)
{
    return ctx->invoke->entity;
}

enum stead_status stead__row_key(struct stead_ctx *ctx, const char *call, const char *entity,
                                 const char *name)
{
    if (!name) return stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT, "the name is NULL");
    buf_reset(&ctx->key);
    struct err err; /* written on failure only; 1 KiB is too much to clear in each call */
    err.text[0] = 0;
    struct slice owner = entity ? slice_cstr(entity) : stead__own_entity(ctx);
    enum status status = keyspace_row(&ctx->key, owner, slice_cstr(name), &err);
    return status == STATUS_OK ? STEAD_OK : stead__fail(ctx, call, status, &err);
}

/* An entity that was given has to be one; NULL inside means the invocation's own. */
static enum stead_status check_entity(struct stead_ctx *ctx, const char *call, const char *entity)
{
    return entity ? STEAD_OK : stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT, "the entity is NULL");
}

/* ---- the four operations; entity NULL: own ---- */

static enum stead_status get(struct stead_ctx *ctx, const char *call, const char *entity, const char *name,
                             struct slice *value)
{
    *value = SLICE_EMPTY;
    enum stead_status status = stead__row_key(ctx, call, entity, name);
    if (status != STEAD_OK) return status;
    struct err err;
    err.text[0] = 0;
    enum status got = stead__view_get(&ctx->view, buf_view(&ctx->key), value, &err);
    if (got == STATUS_OK)
    {
        ctx->rows_read++;
        ctx->bytes_read += value->size;
        return STEAD_OK;
    }
    *value = SLICE_EMPTY;
    return got == STATUS_NOT_FOUND ? STEAD_NOT_FOUND : stead__fail(ctx, call, got, &err);
}

static enum stead_status put(struct stead_ctx *ctx, const char *call, const char *entity, const char *name,
                             struct slice value)
{
    enum stead_status status = stead__row_key(ctx, call, entity, name);
    if (status != STEAD_OK) return status;
    struct err err;
    err.text[0] = 0;
    enum status done = stead__view_put(&ctx->view, buf_view(&ctx->key), value, &err);
    return done == STATUS_OK ? STEAD_OK : stead__fail(ctx, call, done, &err);
}

static enum stead_status delete_row(struct stead_ctx *ctx, const char *call, const char *entity,
                                    const char *name)
{
    enum stead_status status = stead__row_key(ctx, call, entity, name);
    if (status != STEAD_OK) return status;
    struct err err;
    err.text[0] = 0;
    enum status done = stead__view_delete(&ctx->view, buf_view(&ctx->key), &err);
    return done == STATUS_OK ? STEAD_OK : stead__fail(ctx, call, done, &err);
}

/* OK and the number, NOT_FOUND, or a failure. */
static enum stead_status get_number(struct stead_ctx *ctx, const char *call, const char *entity,
                                    const char *name, int64_t *number)
{
    struct slice value;
    enum stead_status status = get(ctx, call, entity, name, &value);
    if (status != STEAD_OK || stead__number_parse(value, number)) return status;
    return stead__fail_text(ctx, call, STATUS_NOT_A_NUMBER, "the row `%s` is no number", name);
}

static enum stead_status put_number(struct stead_ctx *ctx, const char *call, const char *entity,
                                    const char *name, int64_t number)
{
    char space[STEAD__NUMBER_CHARS_MAX];
    return put(ctx, call, entity, name, stead__number_format(number, space));
}

static int64_t add(struct stead_ctx *ctx, const char *call, const char *entity, const char *name,
                   int64_t delta)
{
    int64_t number = 0;
    enum stead_status status = get_number(ctx, call, entity, name, &number);
    if (status != STEAD_OK && status != STEAD_NOT_FOUND) return 0;
    if (__builtin_add_overflow(number, delta, &number))
    {
        (void)stead__fail_text(ctx, call, STATUS_NOT_A_NUMBER, "the sum in the row `%s` leaves 64 bits",
                               name);
        return 0;
    }
    return put_number(ctx, call, entity, name, number) == STEAD_OK ? number : 0;
}

static const char *to_text(struct stead_ctx *ctx, enum stead_status status, struct slice value)
{
    return status == STEAD_OK ? stead__arena_text(&ctx->arena, value) : NULL;
}

/* ---- the public calls ---- */

enum stead_status stead_get(struct stead_ctx *ctx, const char *name, struct stead_bytes *value)
{
    struct slice got;
    enum stead_status status = get(ctx, "stead_get", NULL, name, &got);
    *value = (struct stead_bytes){got.data, got.size};
    return status;
}

enum stead_status stead_get_of(struct stead_ctx *ctx, const char *entity, const char *name,
                               struct stead_bytes *value)
{
    struct slice got = SLICE_EMPTY;
    enum stead_status status = check_entity(ctx, "stead_get_of", entity);
    if (status == STEAD_OK) status = get(ctx, "stead_get_of", entity, name, &got);
    *value = (struct stead_bytes){got.data, got.size};
    return status;
}

enum stead_status stead_put(struct stead_ctx *ctx, const char *name, const void *data, size_t size)
{
    return put(ctx, "stead_put", NULL, name, slice_make(data, size));
}

enum stead_status stead_put_of(struct stead_ctx *ctx, const char *entity, const char *name, const void *data,
                               size_t size)
{
    enum stead_status status = check_entity(ctx, "stead_put_of", entity);
    return status == STEAD_OK ? put(ctx, "stead_put_of", entity, name, slice_make(data, size)) : status;
}

enum stead_status stead_delete(struct stead_ctx *ctx, const char *name)
{
    return delete_row(ctx, "stead_delete", NULL, name);
}

enum stead_status stead_delete_of(struct stead_ctx *ctx, const char *entity, const char *name)
{
    enum stead_status status = check_entity(ctx, "stead_delete_of", entity);
    return status == STEAD_OK ? delete_row(ctx, "stead_delete_of", entity, name) : status;
}

bool stead_exists(struct stead_ctx *ctx, const char *name)
{
    struct slice value;
    return get(ctx, "stead_exists", NULL, name, &value) == STEAD_OK;
}

bool stead_exists_of(struct stead_ctx *ctx, const char *entity, const char *name)
{
    struct slice value;
    return check_entity(ctx, "stead_exists_of", entity) == STEAD_OK &&
           get(ctx, "stead_exists_of", entity, name, &value) == STEAD_OK;
}

const char *stead_get_text(struct stead_ctx *ctx, const char *name)
{
    struct slice value;
    enum stead_status status = get(ctx, "stead_get_text", NULL, name, &value);
    return to_text(ctx, status, value);
}

const char *stead_get_text_of(struct stead_ctx *ctx, const char *entity, const char *name)
{
    struct slice value = SLICE_EMPTY;
    enum stead_status status = check_entity(ctx, "stead_get_text_of", entity);
    if (status == STEAD_OK) status = get(ctx, "stead_get_text_of", entity, name, &value);
    return to_text(ctx, status, value);
}

static enum stead_status check_text(struct stead_ctx *ctx, const char *call, const char *text)
{
    return text ? STEAD_OK : stead__fail_text(ctx, call, STATUS_INVALID_ARGUMENT, "the text is NULL");
}

enum stead_status stead_put_text(struct stead_ctx *ctx, const char *name, const char *text)
{
    enum stead_status status = check_text(ctx, "stead_put_text", text);
    return status == STEAD_OK ? put(ctx, "stead_put_text", NULL, name, slice_cstr(text)) : status;
}

enum stead_status stead_put_text_of(struct stead_ctx *ctx, const char *entity, const char *name,
                                    const char *text)
{
    enum stead_status status = check_entity(ctx, "stead_put_text_of", entity);
    if (status == STEAD_OK) status = check_text(ctx, "stead_put_text_of", text);
    return status == STEAD_OK ? put(ctx, "stead_put_text_of", entity, name, slice_cstr(text)) : status;
}

int64_t stead_get_i64(struct stead_ctx *ctx, const char *name, int64_t fallback)
{
    int64_t number;
    return get_number(ctx, "stead_get_i64", NULL, name, &number) == STEAD_OK ? number : fallback;
}

int64_t stead_get_i64_of(struct stead_ctx *ctx, const char *entity, const char *name, int64_t fallback)
{
    int64_t number;
    bool got = check_entity(ctx, "stead_get_i64_of", entity) == STEAD_OK &&
               get_number(ctx, "stead_get_i64_of", entity, name, &number) == STEAD_OK;
    return got ? number : fallback;
}

enum stead_status stead_put_i64(struct stead_ctx *ctx, const char *name, int64_t value)
{
    return put_number(ctx, "stead_put_i64", NULL, name, value);
}

enum stead_status stead_put_i64_of(struct stead_ctx *ctx, const char *entity, const char *name, int64_t value)
{
    enum stead_status status = check_entity(ctx, "stead_put_i64_of", entity);
    return status == STEAD_OK ? put_number(ctx, "stead_put_i64_of", entity, name, value) : status;
}

int64_t stead_add(struct stead_ctx *ctx, const char *name, int64_t delta)
{
    return add(ctx, "stead_add", NULL, name, delta);
}

int64_t stead_add_of(struct stead_ctx *ctx, const char *entity, const char *name, int64_t delta)
{
    return check_entity(ctx, "stead_add_of", entity) == STEAD_OK
               ? add(ctx, "stead_add_of", entity, name, delta)
               : 0;
}
