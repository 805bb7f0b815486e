/* bundle.c - the upload of a deployment as msgpack. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/bundle.h"

#include <msgpack.h>

#include "runtime/base/check.h"
#include "runtime/catalog/msgpack_shape.h"

static int append(void *ctx, const char *data, size_t size)
{
    buf_append(ctx, slice_make(data, size));
    return 0;
}

static void pack_text(msgpack_packer *packer, struct slice text)
{
    (void)msgpack_pack_str_with_body(packer, text.data, text.size); /* append() never fails */
}

void bundle_encode(struct buf *out, const struct bundle *bundle)
{
    CHECK(bundle->file_count <= BUNDLE_FILES_MAX);
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, append);
    msgpack_pack_map(&packer, 2);
    pack_text(&packer, SLICE("manifest"));
    msgpack_pack_bin_with_body(&packer, bundle->manifest.data, bundle->manifest.size);
    pack_text(&packer, SLICE("files"));
    msgpack_pack_map(&packer, bundle->file_count);
    for (size_t i = 0; i < bundle->file_count; i++)
    {
        pack_text(&packer, bundle->files[i].name);
        msgpack_pack_bin_with_body(&packer, bundle->files[i].content.data, bundle->files[i].content.size);
    }
}

static struct slice text_of(const msgpack_object *object)
{
    if (object->type != MSGPACK_OBJECT_STR) return SLICE_EMPTY;
    return slice_make(object->via.str.ptr, object->via.str.size);
}

static bool bytes_of(const msgpack_object *object, struct slice *bytes)
{
    if (object->type != MSGPACK_OBJECT_BIN) return false;
    *bytes = slice_make(object->via.bin.ptr, object->via.bin.size);
    return true;
}

static enum status decode_files(const msgpack_object *object, struct bundle *bundle, struct err *err)
{
    if (object->type != MSGPACK_OBJECT_MAP)
        return err_set(err, STATUS_INVALID_ARGUMENT, "bundle: `files` is no map");
    if (object->via.map.size > BUNDLE_FILES_MAX)
        return err_set(err, STATUS_INVALID_ARGUMENT, "bundle: has %u files, at most %d are allowed",
                       object->via.map.size, BUNDLE_FILES_MAX);
    for (uint32_t i = 0; i < object->via.map.size; i++)
    {
        const msgpack_object_kv *pair = &object->via.map.ptr[i];
        struct bundle_file *file = &bundle->files[i];
        file->name = text_of(&pair->key);
        if (file->name.size == 0 || !bytes_of(&pair->val, &file->content))
            return err_set(err, STATUS_INVALID_ARGUMENT, "bundle: file %u has no name or is no bytes", i);
    }
    bundle->file_count = object->via.map.size;
    return STATUS_OK;
}

static enum status decode_map(const msgpack_object *object, struct bundle *bundle, struct err *err)
{
    bool manifest = false, files = false;
    if (object->type != MSGPACK_OBJECT_MAP) return err_set(err, STATUS_INVALID_ARGUMENT, "bundle: is no map");
    for (uint32_t i = 0; i < object->via.map.size; i++)
    {
        const msgpack_object_kv *pair = &object->via.map.ptr[i];
        struct slice name = text_of(&pair->key);
        if (slice_is(name, "manifest"))
            manifest = bytes_of(&pair->val, &bundle->manifest);
        else if (slice_is(name, "files"))
        {
            TRY(decode_files(&pair->val, bundle, err));
            files = true;
        }
    }
    if (!manifest || !files)
        return err_set(err, STATUS_INVALID_ARGUMENT, "bundle: `%s` is missing",
                       manifest ? "files" : "manifest");
    return STATUS_OK;
}

enum status bundle_decode(struct slice bytes, struct bundle *bundle, struct err *err)
{
    struct bundle fresh = {0};
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    enum status status;
    /* The unpacked objects point into `bytes`; only the tree itself is allocated and goes before the return. */
    if (!msgpack_shape_valid(bytes) ||
        msgpack_unpack_next(&unpacked, bytes.data, bytes.size, &offset) != MSGPACK_UNPACK_SUCCESS ||
        offset != bytes.size)
        status = err_set(err, STATUS_INVALID_ARGUMENT, "bundle: is not msgpack");
    else
        status = decode_map(&unpacked.data, &fresh, err);
    msgpack_unpacked_destroy(&unpacked);
    if (status == STATUS_OK) *bundle = fresh;
    return status;
}

const struct bundle_file *bundle_find(const struct bundle *bundle, struct slice name)
{
    for (size_t i = 0; i < bundle->file_count; i++)
        if (slice_equal(bundle->files[i].name, name)) return &bundle->files[i];
    return NULL;
}
