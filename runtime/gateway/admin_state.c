/* admin_state.c - rows of an app by the admin API: get, put, delete, and pages of a scan. */
// SPDX-License-Identifier: Apache-2.0
#include <sodium.h>
#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/buf.h"
#include "runtime/base/check.h"
#include "runtime/gateway/admin_call.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"
#include "statestore/statestore.h"

enum {
    ROWS_DEFAULT = 100,
    ROWS_MAX = 10000,
    PAGE_BYTES_MAX = 4 * 1024 * 1024, /* a page ends behind the row that exceeds it */
};

static struct store *store_of(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    struct store *store = ports->store(ports->ctx, call->app);
    if (!store)
        admin_fail(call->exchange, STATUS_READ_ONLY, "the state of app `%.*s` is not open",
                   SLICE_FMT(call->app));
    return store;
}

/* The key that ?entity and ?name mean; answers and returns false when it is none. */
static bool row_key(struct admin_call *call, struct buf *key)
{
    struct buf entity = BUF_INIT;
    struct slice value, name = SLICE_EMPTY;
    struct err err = ERR_INIT;
    if (admin_query(call, "entity", &value)) buf_append(&entity, value);
    (void)admin_query(call, "name", &name); /* without one: the row with the empty name */
    enum status status = keyspace_row(key, buf_view(&entity), name, &err);
    buf_fini(&entity);
    if (status != STATUS_OK) admin_fail_err(call->exchange, status, &err);
    return status == STATUS_OK;
}

void admin_state_get(struct admin_call *call)
{
    struct store *store = store_of(call);
    struct buf key = BUF_INIT;
    if (!store || !row_key(call, &key)) return;
    struct store_snapshot *snapshot = store_snapshot_take(store);
    struct slice value;
    struct err err = ERR_INIT;
    enum status status = store_get(snapshot, buf_view(&key), &value, &err);
    if (status == STATUS_OK)
    {
        const struct http_header header = {SLICE("content-type"), SLICE("application/octet-stream")};
        http_reply(call->exchange, 200, &header, 1, value);
    }
    else if (status == STATUS_NOT_FOUND)
        admin_fail(call->exchange, status, "there is no such row");
    else
        admin_fail_err(call->exchange, status, &err);
    store_snapshot_release(store, snapshot);
    buf_fini(&key);
}

/* ---- one write ---- */

struct change {
    struct store_commit commit;
    struct http_exchange *exchange;
    struct buf writes;
};

static void change_end(struct change *change)
{
    buf_fini(&change->writes);
    free(change);
}

static void on_applied(struct store_commit *commit)
{
    if (commit->status == STATUS_OK) return;
    struct change *change = CONTAINER_OF(commit, struct change, commit);
    admin_fail_err(change->exchange, commit->status, &commit->err);
    change_end(change);
}

static void on_durable(struct store_commit *commit)
{
    struct change *change = CONTAINER_OF(commit, struct change, commit);
    if (commit->status == STATUS_OK)
        http_reply(change->exchange, 204, NULL, 0, SLICE_EMPTY);
    else
        admin_fail_err(change->exchange, commit->status, &commit->err);
    change_end(change);
}

static void write_row(struct admin_call *call, enum write_op op)
{
    struct store *store = store_of(call);
    struct buf key = BUF_INIT;
    if (!store) return;
    struct slice value = op == WRITE_PUT ? call->request->body : SLICE_EMPTY;
    if (value.size > BOUND_VALUE_BYTES_MAX)
    {
        admin_fail(call->exchange, STATUS_VALUE_TOO_LARGE,
                   "the value has %zu bytes, at most %llu are allowed", value.size, BOUND_VALUE_BYTES_MAX);
        return;
    }
    if (!row_key(call, &key)) return;
    struct change *change = mem_zalloc(sizeof *change);
    change->exchange = call->exchange;
    write_set_append(&change->writes, &(struct write_entry){op, buf_view(&key), value});
    change->commit.applied = on_applied;
    change->commit.durable = on_durable;
    change->commit.writes[0] = buf_view(&change->writes);
    list_init(&change->commit.link);
    store_submit(store, &change->commit);
    buf_fini(&key);
}

void admin_state_put(struct admin_call *call)
{
    write_row(call, WRITE_PUT);
}

void admin_state_delete(struct admin_call *call)
{
    write_row(call, WRITE_DELETE);
}

/* ---- pages ---- */

struct page {
    json_t *rows;
    uint64_t left;
    size_t bytes;
    bool values; /* else only the keys */
    struct buf last; /* the row key that the next page begins behind */
    bool more;
};

/* {field: text}, or {field_base64: ...} for bytes that are no text. */
static void put_bytes(json_t *row, const char *field, struct slice bytes)
{
    json_t *text = admin_text(bytes);
    if (text)
    {
        json_object_set_new(row, field, text);
        return;
    }
    struct buf name = BUF_INIT, base64 = BUF_INIT;
    buf_printf(&name, "%s_base64", field);
    size_t size = sodium_base64_ENCODED_LEN(bytes.size, sodium_base64_VARIANT_ORIGINAL);
    char *out = buf_reserve(&base64, size);
    sodium_bin2base64(out, size, bytes.data, bytes.size, sodium_base64_VARIANT_ORIGINAL);
    json_object_set_new(row, buf_cstr(&name), json_string(out));
    buf_fini(&name);
    buf_fini(&base64);
}

static bool page_row(void *ctx, struct slice key, struct slice value)
{
    struct page *page = ctx;
    struct slice entity, name;
    if (!keyspace_row_split(key, &entity, &name)) return true;
    if (page->left == 0 || page->bytes > PAGE_BYTES_MAX)
    {
        page->more = true;
        return false;
    }
    json_t *row = json_object();
    put_bytes(row, "entity", entity);
    put_bytes(row, "name", name);
    if (page->values) put_bytes(row, "value", value);
    json_object_set_new(row, "bytes", json_integer((json_int_t)value.size));
    json_array_append_new(page->rows, row);
    page->left--;
    page->bytes += key.size + (page->values ? value.size : 0);
    buf_reset(&page->last);
    buf_append(&page->last, key);
    return true;
}

/* [low, high) of ?entity and ?prefix, or of ?entity_prefix. */
static enum status page_range(struct admin_call *call, struct buf *low, struct buf *high, struct err *err)
{
    struct slice value;
    if (!admin_query(call, "entity", &value))
    {
        if (!admin_query(call, "entity_prefix", &value)) value = SLICE_EMPTY;
        return keyspace_entity_range(low, high, value, err);
    }
    struct buf entity = BUF_INIT;
    buf_append(&entity, value);
    if (!admin_query(call, "prefix", &value)) value = SLICE_EMPTY;
    enum status status = keyspace_row_range(low, high, buf_view(&entity), value, err);
    buf_fini(&entity);
    return status;
}

/* ?after is what an earlier page gave as `next`: the last row key in hex. */
static enum status page_after(struct admin_call *call, struct buf *low, struct err *err)
{
    struct slice text;
    if (!admin_query(call, "after", &text)) return STATUS_OK;
    uint8_t key[BOUND_KEY_BYTES_MAX + 8];
    size_t size;
    const char *end;
    if (sodium_hex2bin(key, sizeof key, text.data, text.size, NULL, &size, &end) != 0 ||
        end != (const char *)text.data + text.size)
        return err_set(err, STATUS_INVALID_ARGUMENT, "`after` must be what `next` of an earlier page was");
    struct slice after = slice_make(key, size);
    if (slice_compare(after, buf_view(low)) < 0) return STATUS_OK;
    buf_reset(low);
    buf_append(low, after);
    buf_append_byte(low, 0); /* the smallest key behind it */
    return STATUS_OK;
}

static json_t *page_next(const struct page *page)
{
    if (!page->more) return json_null();
    struct buf hex = BUF_INIT;
    size_t size = page->last.size * 2 + 1;
    char *out = buf_reserve(&hex, size);
    json_t *next = json_string(sodium_bin2hex(out, size, page->last.data, page->last.size));
    buf_fini(&hex);
    return next;
}

void admin_state_rows(struct admin_call *call)
{
    struct store *store = store_of(call);
    uint64_t limit, values;
    if (!store || !admin_query_number(call, "limit", ROWS_DEFAULT, ROWS_MAX, &limit) ||
        !admin_query_number(call, "values", 1, 1, &values))
        return;
    struct buf low = BUF_INIT, high = BUF_INIT;
    struct page page = {.rows = json_array(), .left = limit, .values = values != 0};
    struct err err = ERR_INIT;
    enum status status = page_range(call, &low, &high, &err);
    if (status == STATUS_OK) status = page_after(call, &low, &err);
    if (status == STATUS_OK && slice_compare(buf_view(&low), buf_view(&high)) < 0)
    {
        struct store_snapshot *snapshot = store_snapshot_take(store);
        status = store_scan(snapshot, buf_view(&low), buf_view(&high), page_row, &page, &err);
        store_snapshot_release(store, snapshot);
    }
    if (status == STATUS_OK)
        admin_reply_json(call->exchange, 200,
                         json_pack("{s:O, s:o}", "rows", page.rows, "next", page_next(&page)));
    else
        admin_fail_err(call->exchange, status, &err);
    json_decref(page.rows);
    buf_fini(&page.last);
    buf_fini(&low);
    buf_fini(&high);
}
