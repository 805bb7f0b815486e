/* format.c - rows of SPACE_STORE; integers little endian. */
// SPDX-License-Identifier: Apache-2.0
#include "statestore/format.h"

#include <assert.h>
#include <string.h>

#include "runtime/base/prng.h"
#include "statestore/kv/keyspace.h"
#include "statestore/le.h"

static_assert(SPACE_STORE == 's', "the keys below begin with the space byte");
#define KEY_FORMAT SLICE("sformat")
#define KEY_ID SLICE("sid")
#define KEY_SEQ SLICE("sseq")

/* A row of exactly `bytes` bytes. */
static enum status row_read(struct kv_snapshot *snapshot, struct slice key, uint8_t *to, size_t bytes,
                            struct err *err)
{
    struct slice value;
    TRY(snapshot->kv->ops->get(snapshot, key, &value, err));
    if (value.size != bytes)
        return err_set(err, STATUS_STORE_CORRUPT, "data.mdb: row %.*s has %zu bytes instead of %zu",
                       SLICE_FMT(key), value.size, bytes);
    memcpy(to, value.data, bytes);
    return STATUS_OK;
}

enum status format_read(struct kv_snapshot *snapshot, struct store_identity *identity, struct err *err)
{
    uint8_t version[4], seq[8];
    TRY(row_read(snapshot, KEY_FORMAT, version, sizeof version, err));
    identity->version = (uint32_t)le_get(version, sizeof version);
    if (identity->version != STORE_FORMAT_VERSION)
        return err_set(err, STATUS_STORE_FORMAT, "data.mdb has store format %u, this program reads format %u",
                       identity->version, STORE_FORMAT_VERSION);
    enum status status = row_read(snapshot, KEY_ID, identity->id.bytes, STORE_ID_BYTES, err);
    if (status == STATUS_OK) status = row_read(snapshot, KEY_SEQ, seq, sizeof seq, err);
    if (status == STATUS_NOT_FOUND)
        return err_set(err, STATUS_STORE_CORRUPT, "data.mdb lacks the store's own rows");
    if (status == STATUS_OK) identity->seq = le_get(seq, sizeof seq);
    return status;
}

enum status format_write_seq(struct kv *kv, uint64_t seq, struct err *err)
{
    uint8_t bytes[8];
    le_put(bytes, seq, sizeof bytes);
    return kv->ops->put(kv, KEY_SEQ, slice_make(bytes, sizeof bytes), err);
}

enum status format_write(struct kv *kv, const struct store_identity *identity, struct err *err)
{
    uint8_t version[4];
    le_put(version, identity->version, sizeof version);
    TRY(kv->ops->put(kv, KEY_FORMAT, slice_make(version, sizeof version), err));
    TRY(kv->ops->put(kv, KEY_ID, slice_make(identity->id.bytes, STORE_ID_BYTES), err));
    return format_write_seq(kv, identity->seq, err);
}

struct store_id store_id_make(void)
{
    struct store_id id;
    uint64_t halves[2] = {prng_entropy(), prng_entropy()};
    memcpy(id.bytes, halves, sizeof id.bytes);
    return id;
}
