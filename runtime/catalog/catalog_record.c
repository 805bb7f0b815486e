/* catalog_record.c - the msgpack of one app: [format, current, [[id, artifact, deployed_ms, manifest], ...]]. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/catalog_record.h"

#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/check.h"
#include "runtime/catalog/msgpack_shape.h"
#include "statestore/kv/keyspace.h"

enum { RECORD_FORMAT = 1, RECORD_FIELDS = 3, VERSION_FIELDS = 4 };

/* ---- keys ---- */

static const char key_prefix[] = {SPACE_CATALOG, 'a', 'p', 'p', '/'};

void catalog_record_key(struct buf *key, struct slice app)
{
    buf_append(key, slice_make(key_prefix, sizeof key_prefix));
    buf_append(key, app);
}

bool catalog_record_key_split(struct slice key, struct slice *app)
{
    if (!slice_starts_with(key, slice_make(key_prefix, sizeof key_prefix))) return false;
    *app = slice_make((const char *)key.data + sizeof key_prefix, key.size - sizeof key_prefix);
    return true;
}

/* ---- apps ---- */

struct catalog_app *catalog_app_create(struct slice name)
{
    struct catalog_app *app = mem_zalloc(sizeof *app);
    app->name = mem_cstr(name);
    return app;
}

struct catalog_app *catalog_app_dup(const struct catalog_app *app)
{
    struct catalog_app *copy = mem_alloc(sizeof *copy);
    *copy = *app;
    copy->name = mem_strdup(app->name);
    for (size_t i = 0; i < copy->version_count; i++) (void)catalog_version_ref(copy->versions[i]);
    return copy;
}

void catalog_app_destroy(struct catalog_app *app)
{
    if (!app) return;
    for (size_t i = 0; i < app->version_count; i++) catalog_version_unref(app->versions[i]);
    free(app->name);
    free(app);
}

/* ---- encode ---- */

static int append(void *ctx, const char *data, size_t size)
{
    buf_append(ctx, slice_make(data, size));
    return 0;
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    (void)msgpack_pack_str_with_body(packer, text, strlen(text)); /* append() never fails */
}

void catalog_record_encode(struct buf *record, const struct catalog_app *app)
{
    CHECK(app->version_count > 0 && app->current < app->version_count);
    msgpack_packer packer;
    msgpack_packer_init(&packer, record, append);
    msgpack_pack_array(&packer, RECORD_FIELDS);
    msgpack_pack_uint8(&packer, RECORD_FORMAT);
    msgpack_pack_uint64(&packer, app->current);
    msgpack_pack_array(&packer, app->version_count);
    for (size_t i = 0; i < app->version_count; i++)
    {
        const struct catalog_version *version = app->versions[i];
        msgpack_pack_array(&packer, VERSION_FIELDS);
        pack_text(&packer, version->id);
        pack_text(&packer, version->artifact.hex);
        msgpack_pack_uint64(&packer, version->deployed_ms);
        msgpack_pack_bin_with_body(&packer, version->manifest_text.data, version->manifest_text.size);
    }
}

/* ---- decode ---- */

static bool is_array(const msgpack_object *object, size_t size)
{
    return object->type == MSGPACK_OBJECT_ARRAY && object->via.array.size == size;
}

static bool is_uint(const msgpack_object *object)
{
    return object->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
}

/* Exactly `size` lower-case hex digits, copied with a zero. */
static bool copy_hex(const msgpack_object *object, char *out, size_t size)
{
    if (object->type != MSGPACK_OBJECT_STR || object->via.str.size != size) return false;
    memcpy(out, object->via.str.ptr, size);
    out[size] = 0;
    return strspn(out, "0123456789abcdef") == size;
}

static enum status decode_version(const msgpack_object *object, struct slice app,
                                  struct catalog_version **version, struct err *err)
{
    char id[CATALOG_VERSION_ID_BYTES + 1];
    struct artifact_id artifact;
    if (!is_array(object, VERSION_FIELDS)) return err_set(err, STATUS_STORE_CORRUPT, "a version is no list");
    const msgpack_object *fields = object->via.array.ptr;
    if (!copy_hex(&fields[0], id, CATALOG_VERSION_ID_BYTES) || !copy_hex(&fields[1], artifact.hex, 64) ||
        !is_uint(&fields[2]) || fields[3].type != MSGPACK_OBJECT_BIN)
        return err_set(err, STATUS_STORE_CORRUPT, "a version has a damaged field");
    struct slice text = {fields[3].via.bin.ptr, fields[3].via.bin.size};
    struct manifest *manifest;
    char file[64];
    snprintf(file, sizeof file, "manifest of version %s", id);
    enum status status = manifest_parse(text, file, &manifest, err);
    if (status != STATUS_OK) return err ? err->status = STATUS_STORE_CORRUPT : STATUS_STORE_CORRUPT;
    if (!slice_is(app, manifest->app))
    {
        manifest_destroy(manifest);
        return err_set(err, STATUS_STORE_CORRUPT, "version %s is of another app", id);
    }
    *version = catalog_version_create(id, &artifact, fields[2].via.u64, text, manifest);
    return STATUS_OK;
}

static enum status decode_app(const msgpack_object *object, struct catalog_app *app, struct err *err)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size == 0 ||
        !is_uint(object->via.array.ptr))
        return err_set(err, STATUS_STORE_CORRUPT, "is no record");
    const msgpack_object *fields = object->via.array.ptr;
    if (fields[0].via.u64 > RECORD_FORMAT)
        return err_set(err, STATUS_STORE_FORMAT, "has format %llu, this program knows %d",
                       (unsigned long long)fields[0].via.u64, RECORD_FORMAT);
    if (object->via.array.size != RECORD_FIELDS || !is_uint(&fields[1]) ||
        fields[2].type != MSGPACK_OBJECT_ARRAY)
        return err_set(err, STATUS_STORE_CORRUPT, "has a damaged field");
    const msgpack_object_array *versions = &fields[2].via.array;
    if (versions->size == 0 || versions->size > BOUND_VERSIONS_PER_APP_MAX ||
        fields[1].via.u64 >= versions->size)
        return err_set(err, STATUS_STORE_CORRUPT, "has %u versions, of which number %llu is current",
                       versions->size, (unsigned long long)fields[1].via.u64);
    struct slice name = slice_cstr(app->name);
    for (size_t i = 0; i < versions->size; i++)
    {
        TRY(decode_version(&versions->ptr[i], name, &app->versions[i], err));
        app->version_count++;
    }
    app->current = fields[1].via.u64;
    return STATUS_OK;
}

enum status catalog_record_decode(struct slice name, struct slice record, struct catalog_app **app,
                                  struct err *err)
{
    int shown = name.size > BOUND_NAME_BYTES_MAX ? BOUND_NAME_BYTES_MAX : (int)name.size;
    if (!manifest_app_name_valid(name))
        return err_set(err, STATUS_STORE_CORRUPT, "catalog record of app `%.*s`: is no name", shown,
                       (const char *)name.data);
    struct catalog_app *fresh = catalog_app_create(name);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    enum status status;
    if (!msgpack_shape_valid(record) ||
        msgpack_unpack_next(&unpacked, record.data, record.size, &offset) != MSGPACK_UNPACK_SUCCESS ||
        offset != record.size)
        status = err_set(err, STATUS_STORE_CORRUPT, "is not msgpack");
    else
        status = decode_app(&unpacked.data, fresh, err);
    msgpack_unpacked_destroy(&unpacked);
    if (status == STATUS_OK)
        *app = fresh;
    else
    {
        catalog_app_destroy(fresh);
        (void)err_wrap(err, status, "catalog record of app `%.*s`", shown, (const char *)name.data);
    }
    return status;
}
