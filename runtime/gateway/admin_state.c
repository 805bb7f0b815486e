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

/* How many partitions there are; answers when there are none. */
static uint32_t partitions_of(struct admin_call *call)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    uint32_t partitions = ports->partitions(ports->ctx, call->app);
    if (partitions == 0)
        admin_fail(call->exchange, STATUS_READ_ONLY, "the state of app `%.*s` is not open",
                   SLICE_FMT(call->app));
    return partitions;
}

static struct store *store_at(struct admin_call *call, uint32_t partition)
{
    const struct admin_ports *ports = &call->admin->config.ports;
    return ports->store(ports->ctx, call->app, partition);
}

/* The store that has this row; answers when there is none. */
static struct store *store_of(struct admin_call *call, struct slice key)
{
    struct slice entity, name;
    uint32_t partitions = partitions_of(call);
    if (partitions == 0) return NULL;
    CHECK(keyspace_row_split(key, &entity, &name));
    return store_at(call, keyspace_partition(entity, partitions));
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
    struct buf key = BUF_INIT;
    if (!row_key(call, &key)) return;
    struct store *store = store_of(call, buf_view(&key));
    if (!store)
    {
        buf_fini(&key);
        return;
    }
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
    struct buf key = BUF_INIT;
    struct slice value = op == WRITE_PUT ? call->request->body : SLICE_EMPTY;
    if (value.size > BOUND_VALUE_BYTES_MAX)
    {
        admin_fail(call->exchange, STATUS_VALUE_TOO_LARGE,
                   "the value has %zu bytes, at most %llu are allowed", value.size, BOUND_VALUE_BYTES_MAX);
        return;
    }
    if (!row_key(call, &key)) return;
    struct store *store = store_of(call, buf_view(&key));
    if (!store)
    {
        buf_fini(&key);
        return;
    }
    struct change *change = mem_zalloc(sizeof *change);
    change->exchange = call->exchange;
    write_set_append(&change->writes, &(struct write_entry){op, buf_view(&key), value});
    change->commit.applied = on_applied;
    change->commit.durable = on_durable;
    change->commit.writes[0] = buf_view(&change->writes);
    list_init(&change->commit.link);
    store_submit(store, &change->commit);
    store_push(store);
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

/* Rows as found, of all partitions; each partition gives at most one more than the page may have. */
struct found {
    struct slice key; /* owned */
    json_t *row;
};

struct page {
    struct buf found; /* of struct found */
    bool values; /* else only the keys */
    uint64_t limit;
    /* Of the partition that is being scanned. */
    uint64_t left;
    size_t bytes;
    /* The first key at which a partition had to stop: what lies behind it is not known everywhere. */
    struct buf stop;
};

void admin_put_bytes(json_t *row, const char *field, struct slice bytes)
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
        if (page->stop.size == 0 || slice_compare(key, buf_view(&page->stop)) < 0)
        {
            buf_reset(&page->stop);
            buf_append(&page->stop, key);
        }
        return false;
    }
    struct found found = {.key = slice_make(mem_dup(key), key.size), .row = json_object()};
    admin_put_bytes(found.row, "entity", entity);
    admin_put_bytes(found.row, "name", name);
    if (page->values) admin_put_bytes(found.row, "value", value);
    json_object_set_new(found.row, "bytes", json_integer((json_int_t)value.size));
    buf_append(&page->found, slice_make(&found, sizeof found));
    page->left--;
    page->bytes += key.size + (page->values ? value.size : 0);
    return true;
}

static enum status page_scan(struct admin_call *call, struct page *page, uint32_t partition, struct slice low,
                             struct slice high, struct err *err)
{
    struct store *store = store_at(call, partition);
    struct store_snapshot *snapshot = store_snapshot_take(store);
    page->left = page->limit;
    page->bytes = 0;
    enum status status = store_scan(snapshot, low, high, page_row, page, err);
    store_snapshot_release(store, snapshot);
    return status;
}

static int by_key(const void *a, const void *b)
{
    return slice_compare(((const struct found *)a)->key, ((const struct found *)b)->key);
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

static json_t *next_of(struct slice last)
{
    struct buf hex = BUF_INIT;
    size_t size = last.size * 2 + 1;
    char *out = buf_reserve(&hex, size);
    json_t *next = json_string(sodium_bin2hex(out, size, last.data, last.size));
    buf_fini(&hex);
    return next;
}

/* The page in key order, over all partitions. */
static json_t *page_json(struct page *page)
{
    struct found *found = (struct found *)page->found.data;
    size_t count = page->found.size / sizeof *found, shown = 0;
    json_t *rows = json_array();
    if (count > 0) qsort(found, count, sizeof *found, by_key);
    while (shown < count && shown < page->limit &&
           (page->stop.size == 0 || slice_compare(found[shown].key, buf_view(&page->stop)) < 0))
        json_array_append(rows, found[shown++].row);
    bool more = shown < count || page->stop.size > 0;
    json_t *next = more && shown > 0 ? next_of(found[shown - 1].key) : json_null();
    return json_pack("{s:o, s:o}", "rows", rows, "next", next);
}

static void page_fini(struct page *page)
{
    struct found *found = (struct found *)page->found.data;
    for (size_t i = 0; i < page->found.size / sizeof *found; i++)
    {
        free((void *)found[i].key.data);
        json_decref(found[i].row);
    }
    buf_fini(&page->found);
    buf_fini(&page->stop);
}

/* The only partition that can have what is asked for, or all. */
static void page_partitions(struct admin_call *call, uint32_t count, uint32_t *first, uint32_t *last)
{
    struct slice entity;
    *first = 0;
    *last = count - 1;
    if (admin_query(call, "entity", &entity)) *first = *last = keyspace_partition(entity, count);
}

void admin_state_rows(struct admin_call *call)
{
    uint32_t partitions = partitions_of(call);
    uint64_t limit, values;
    if (partitions == 0 || !admin_query_number(call, "limit", ROWS_DEFAULT, ROWS_MAX, &limit) ||
        !admin_query_number(call, "values", 1, 1, &values))
        return;
    struct buf low = BUF_INIT, high = BUF_INIT;
    struct page page = {.limit = limit, .values = values != 0};
    struct err err = ERR_INIT;
    uint32_t first, last;
    page_partitions(call, partitions, &first, &last);
    enum status status = page_range(call, &low, &high, &err);
    if (status == STATUS_OK) status = page_after(call, &low, &err);
    bool empty = status == STATUS_OK && slice_compare(buf_view(&low), buf_view(&high)) >= 0;
    for (uint32_t i = first; i <= last && status == STATUS_OK && !empty; i++)
        status = page_scan(call, &page, i, buf_view(&low), buf_view(&high), &err);
    if (status == STATUS_OK)
        admin_reply_json(call->exchange, 200, page_json(&page));
    else
        admin_fail_err(call->exchange, status, &err);
    page_fini(&page);
    buf_fini(&low);
    buf_fini(&high);
}
