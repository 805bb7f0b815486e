/* idempotency.c - keys and records of remembered outcomes. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/invoke/idempotency.h"

#include <stdlib.h>

#include "runtime/base/bounds.h"
#include "runtime/base/hash.h"
#include "statestore/kv/keyspace.h"
#include "statestore/kv/write_set.h"

enum { RECORD_HEAD_BYTES = 16, RECORD_KEY_BYTES_MAX = BOUND_KEY_BYTES_MAX + 2 /* as every key */ };

static void put_u64_le(struct buf *out, uint64_t value)
{
    for (int i = 0; i < 8; i++) buf_append_byte(out, (uint8_t)(value >> (8 * i)));
}

static uint64_t get_u64_le(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* Big endian, so that byte order is order in time. */
static void put_age_head(struct buf *out, uint64_t ms)
{
    buf_append_byte(out, SPACE_OUTCOME_AGES);
    for (int i = 7; i >= 0; i--) buf_append_byte(out, (uint8_t)(ms >> (8 * i)));
}

static void fingerprint_part(struct buf *all, struct slice part)
{
    put_u64_le(all, part.size); /* so that parts cannot flow into each other */
    put_u64_le(all, hash_stable(part));
}

uint64_t idempotency_fingerprint(struct slice method, struct slice entity, struct slice query,
                                 struct slice body)
{
    struct buf all = BUF_INIT;
    fingerprint_part(&all, method);
    fingerprint_part(&all, entity);
    fingerprint_part(&all, query);
    fingerprint_part(&all, body);
    uint64_t hash = hash_stable(buf_view(&all));
    buf_fini(&all);
    return hash;
}

enum status idempotency_key_check(struct slice key, struct err *err)
{
    if (key.size == 0 || key.size > BOUND_IDEMPOTENCY_KEY_BYTES_MAX)
        return err_set(err, STATUS_INVALID_ARGUMENT, "Idempotency-Key: expected 1 to %d bytes, got %zu",
                       BOUND_IDEMPOTENCY_KEY_BYTES_MAX, key.size);
    for (size_t i = 0; i < key.size; i++)
    {
        uint8_t byte = ((const uint8_t *)key.data)[i];
        if (byte < 0x20 || byte == 0x7f)
            return err_set(err, STATUS_INVALID_ARGUMENT, "Idempotency-Key: byte %zu is a control character",
                           i);
    }
    return STATUS_OK;
}

void idempotency_record_key(struct buf *out, const struct idempotency_request *request)
{
    buf_append_byte(out, SPACE_OUTCOMES);
    buf_append(out, request->function);
    buf_append_byte(out, 0);
    buf_append(out, request->key);
}

enum status idempotency_find(struct store_snapshot *snapshot, const struct idempotency_request *request,
                             struct wire_result *result, struct err *err)
{
    struct buf key = BUF_INIT;
    idempotency_record_key(&key, request);
    struct slice value;
    enum status status = store_get(snapshot, buf_view(&key), &value, err);
    buf_fini(&key);
    if (status != STATUS_OK) return status;

    const uint8_t *bytes = value.data;
    if (value.size < RECORD_HEAD_BYTES)
        return err_set(err, STATUS_STORE_CORRUPT, "outcome record: too short");
    if (get_u64_le(bytes) != request->fingerprint)
        return err_set(err, STATUS_IDEMPOTENCY_MISMATCH,
                       "Idempotency-Key '%.*s' of function '%.*s' was used before with a different request",
                       SLICE_FMT(request->key), SLICE_FMT(request->function));
    struct slice frame = slice_make(bytes + RECORD_HEAD_BYTES, value.size - RECORD_HEAD_BYTES);
    struct slice payload;
    size_t need;
    bool whole;
    if (wire_frame_next(frame, &payload, &need, &whole, err) != STATUS_OK || !whole ||
        wire_result_decode(payload, result, err) != STATUS_OK)
        return err_wrap(err, STATUS_STORE_CORRUPT, "outcome record");
    return STATUS_OK;
}

void idempotency_write_set(struct buf *set, const struct idempotency_request *request,
                           const struct wire_result *result, uint64_t now_ms)
{
    struct buf key = BUF_INIT, value = BUF_INIT, age = BUF_INIT;
    idempotency_record_key(&key, request);
    put_u64_le(&value, request->fingerprint);
    put_u64_le(&value, now_ms);
    wire_result_encode(&value, &(struct wire_result){
                                   .outcome = WIRE_OUTCOME_OK,
                                   .http_status = result->http_status,
                                   .headers = result->headers,
                                   .body = result->body,
                               });
    /* The age row names the record by a hash where the whole key would not fit; the record key is its value. */
    put_age_head(&age, now_ms);
    put_u64_le(&age, hash_stable(buf_view(&key)));
    write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&key), buf_view(&value)});
    write_set_append(set, &(struct write_entry){WRITE_PUT, buf_view(&age), buf_view(&key)});
    buf_fini(&key);
    buf_fini(&value);
    buf_fini(&age);
}

/* ---- forgetting ---- */

struct expiry {
    struct buf ages; /* write set of deletes in SPACE_OUTCOME_AGES, ordered as found */
    struct buf records; /* record keys found, as struct slice */
    size_t count; /* of ages */
    size_t count_max;
};

/* A damaged age row may hold anything: it must not name a row of somebody else. */
static bool is_record_key(struct slice key)
{
    return key.size > 1 && key.size <= RECORD_KEY_BYTES_MAX && *(const uint8_t *)key.data == SPACE_OUTCOMES;
}

static bool expire_row(void *ctx, struct slice key, struct slice value)
{
    struct expiry *expiry = ctx;
    write_set_append(&expiry->ages, &(struct write_entry){WRITE_DELETE, key, SLICE_EMPTY});
    if (is_record_key(value)) buf_append(&expiry->records, slice_make(&value, sizeof value));
    return ++expiry->count < expiry->count_max;
}

static int compare_slices(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

size_t idempotency_expire(struct store_snapshot *snapshot, struct buf *set, uint64_t before_ms,
                          size_t count_max)
{
    struct expiry expiry = {.ages = BUF_INIT, .records = BUF_INIT, .count_max = count_max};
    struct buf low = BUF_INIT, high = BUF_INIT;
    buf_append_byte(&low, SPACE_OUTCOME_AGES);
    put_age_head(&high, before_ms);
    /* A store that cannot be read keeps its old records: it has greater worries, and says so itself. */
    enum status ignored = store_scan(snapshot, buf_view(&low), buf_view(&high), expire_row, &expiry, NULL);
    (void)ignored;

    struct slice *records = (struct slice *)expiry.records.data;
    size_t record_count = expiry.records.size / sizeof *records;
    if (record_count > 1) qsort(records, record_count, sizeof *records, compare_slices);
    for (size_t i = 0; i < record_count; i++)
    {
        if (i > 0 && slice_equal(records[i], records[i - 1])) continue;
        write_set_append(set, &(struct write_entry){WRITE_DELETE, records[i], SLICE_EMPTY});
    }
    buf_append(set, buf_view(&expiry.ages));
    buf_fini(&low);
    buf_fini(&high);
    buf_fini(&expiry.ages);
    buf_fini(&expiry.records);
    return expiry.count;
}
