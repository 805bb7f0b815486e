/* msgpack.c - msgpack-c behind a writer and a cursor; the only file that sees it. */
// SPDX-License-Identifier: Apache-2.0
//
// Writing uses msgpack-c's packer on a struct buf. Reading uses its parser with our own callbacks
// instead of its object tree: the tree is allocated from sizes that the sender announces, ours is an
// array of fixed size that is refused when full.
#include "messaging/wire/msgpack.h"

#include <assert.h>
#include <msgpack/pack.h>
#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

/* ---- write ---- */

static int append_to_buf(void *out, const char *bytes, size_t size)
{
    buf_append(out, slice_make(bytes, size));
    return 0;
}

static msgpack_packer packer(struct mp_writer *writer)
{
    return (msgpack_packer){.data = writer->out, .callback = append_to_buf};
}

void mp_begin(struct mp_writer *writer, struct buf *out, enum wire_type type, uint32_t fields)
{
    *writer = (struct mp_writer){.out = out, .start = out->size};
    buf_append(out, SLICE("\0\0\0\0")); /* the length, see mp_end */
    msgpack_packer pk = packer(writer);
    msgpack_pack_array(&pk, fields + 1);
    msgpack_pack_uint64(&pk, type);
}

void mp_put_uint(struct mp_writer *writer, uint64_t value)
{
    msgpack_packer pk = packer(writer);
    msgpack_pack_uint64(&pk, value);
}

void mp_put_bool(struct mp_writer *writer, bool value)
{
    msgpack_packer pk = packer(writer);
    if (value)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void mp_put_text(struct mp_writer *writer, struct slice text)
{
    msgpack_packer pk = packer(writer);
    msgpack_pack_str(&pk, text.size);
    buf_append(writer->out, text);
}

void mp_put_bytes(struct mp_writer *writer, struct slice bytes)
{
    msgpack_packer pk = packer(writer);
    msgpack_pack_bin(&pk, bytes.size);
    buf_append(writer->out, bytes);
}

void mp_put_headers(struct mp_writer *writer, const struct wire_headers *headers)
{
    CHECK(headers->count <= WIRE_HEADERS_MAX);
    msgpack_packer pk = packer(writer);
    msgpack_pack_array(&pk, 2 * headers->count);
    for (size_t i = 0; i < headers->count; i++)
    {
        mp_put_text(writer, headers->items[i].name);
        mp_put_text(writer, headers->items[i].value);
    }
}

void mp_end(struct mp_writer *writer)
{
    size_t size = writer->out->size - writer->start - WIRE_LENGTH_BYTES;
    CHECK(size <= BOUND_FRAME_BYTES_MAX);
    uint8_t *length = writer->out->data + writer->start;
    for (int i = 0; i < WIRE_LENGTH_BYTES; i++) length[i] = (uint8_t)(size >> (8 * i));
}

/* ---- parse ---- */

enum { REFUSE = -1 };

/* msgpack-c's parser is a template: it calls token_<kind> for each value, in the order of the bytes.
 * What it would build, the object, is nothing here. */
typedef char no_object;

static int token_add(struct mp_reader *reader, struct mp_token token)
{
    if (reader->count == MP_TOKENS_MAX) return REFUSE;
    reader->tokens[reader->count++] = token;
    return 0;
}

static int token_number(struct mp_reader *reader, enum mp_kind kind, uint64_t number)
{
    return token_add(reader, (struct mp_token){.kind = kind, .number = number});
}

static int token_signed(struct mp_reader *reader, int64_t number)
{
    return number < 0 ? REFUSE : token_number(reader, MP_UINT, (uint64_t)number);
}

#define TOKEN_UINT(bits)                                                                            \
    static int token_uint##bits(struct mp_reader **reader, uint##bits##_t value, no_object *object) \
    {                                                                                               \
        return token_number(*reader, MP_UINT, value);                                               \
    }                                                                                               \
    static int token_int##bits(struct mp_reader **reader, int##bits##_t value, no_object *object)   \
    {                                                                                               \
        return token_signed(*reader, value);                                                        \
    }
TOKEN_UINT(8)
TOKEN_UINT(16)
TOKEN_UINT(32)
TOKEN_UINT(64)

static int token_false(struct mp_reader **reader, no_object *object)
{
    return token_number(*reader, MP_BOOL, 0);
}

static int token_true(struct mp_reader **reader, no_object *object)
{
    return token_number(*reader, MP_BOOL, 1);
}

static int token_str(struct mp_reader **reader, const char *base, const char *bytes, unsigned int size,
                     no_object *object)
{
    return token_add(*reader, (struct mp_token){.kind = MP_TEXT, .bytes = {bytes, size}});
}

static int token_bin(struct mp_reader **reader, const char *base, const char *bytes, unsigned int size,
                     no_object *object)
{
    return token_add(*reader, (struct mp_token){.kind = MP_BYTES, .bytes = {bytes, size}});
}

static int token_array(struct mp_reader **reader, unsigned int count, no_object *object)
{
    return count > MP_TOKENS_MAX ? REFUSE : token_number(*reader, MP_ARRAY, count);
}

static int token_array_item(struct mp_reader **reader, no_object *array, no_object item)
{
    return 0;
}

/* No message has these. */
static int token_nil(struct mp_reader **reader, no_object *object)
{
    return REFUSE;
}

static int token_float(struct mp_reader **reader, float value, no_object *object)
{
    return REFUSE;
}

static int token_double(struct mp_reader **reader, double value, no_object *object)
{
    return REFUSE;
}

static int token_map(struct mp_reader **reader, unsigned int count, no_object *object)
{
    return REFUSE;
}

static int token_map_item(struct mp_reader **reader, no_object *map, no_object key, no_object value)
{
    return REFUSE;
}

static int token_ext(struct mp_reader **reader, const char *base, const char *bytes, unsigned int size,
                     no_object *object)
{
    return REFUSE;
}

static no_object token_root(struct mp_reader **reader)
{
    return 0;
}

#define msgpack_unpack_struct(name) struct token_parser##name
#define msgpack_unpack_func(result, name) static result token_parser##name
#define msgpack_unpack_callback(name) token##name
#define msgpack_unpack_object no_object
#define msgpack_unpack_user struct mp_reader *
/* The template also makes a function that returns the object. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <msgpack/unpack_template.h>
#pragma GCC diagnostic pop

/* Fills reader->tokens; 1 when the payload begins with a whole value, whose size is then *size, 0 when
 * it ends too early, negative when it is refused. */
static int tokenize(struct mp_reader *reader, struct slice payload, size_t *size)
{
    struct token_parser_context parser;
    parser.user = reader;
    token_parser_init(&parser);
    reader->count = reader->next = 0;
    reader->misfit = NULL;
    *size = 0;
    return payload.size == 0 ? 0 : token_parser_execute(&parser, payload.data, payload.size, size);
}

/* ---- read ---- */

enum status mp_open(struct mp_reader *reader, struct slice payload, enum wire_type type, uint32_t fields,
                    struct err *err)
{
    size_t size;
    int whole = tokenize(reader, payload, &size);
    if (whole == 0) return err_set(err, STATUS_FUNCTION_PROTOCOL, "the message ends too early");
    if (whole < 0) return err_set(err, STATUS_FUNCTION_PROTOCOL, "no message has what is at byte %zu", size);
    if (size != payload.size)
        return err_set(err, STATUS_FUNCTION_PROTOCOL, "%zu bytes follow the message", payload.size - size);
    if (reader->tokens[0].kind != MP_ARRAY || reader->tokens[0].number != fields + 1)
        return err_set(err, STATUS_FUNCTION_PROTOCOL, "not an array of a type and %u fields", fields);
    reader->next = 1;
    if (mp_uint(reader, UINT64_MAX) != type)
        return err_set(err, STATUS_FUNCTION_PROTOCOL, "not a message of type %d", type);
    return STATUS_OK;
}

static struct mp_token misfit(struct mp_reader *reader, const char *what)
{
    if (!reader->misfit)
    {
        reader->misfit = what;
        reader->misfit_at = reader->next;
    }
    return (struct mp_token){.kind = MP_TEXT, .bytes = SLICE_EMPTY};
}

static struct mp_token take(struct mp_reader *reader, enum mp_kind kind, const char *what)
{
    if (reader->misfit || reader->next == reader->count || reader->tokens[reader->next].kind != kind)
        return misfit(reader, what);
    return reader->tokens[reader->next++];
}

uint64_t mp_uint(struct mp_reader *reader, uint64_t max)
{
    struct mp_token token = take(reader, MP_UINT, "a number was expected");
    if (reader->misfit) return 0;
    if (token.number <= max) return token.number;
    reader->next--;
    (void)misfit(reader, "the number is too large");
    return 0;
}

bool mp_bool(struct mp_reader *reader)
{
    struct mp_token token = take(reader, MP_BOOL, "true or false was expected");
    return !reader->misfit && token.number != 0;
}

struct slice mp_text(struct mp_reader *reader)
{
    return take(reader, MP_TEXT, "a text was expected").bytes;
}

struct slice mp_bytes(struct mp_reader *reader)
{
    return take(reader, MP_BYTES, "bytes were expected").bytes;
}

void mp_headers(struct mp_reader *reader, struct wire_headers *headers)
{
    headers->count = 0;
    struct mp_token array = take(reader, MP_ARRAY, "an array of headers was expected");
    if (reader->misfit) return;
    if (array.number % 2 != 0 || array.number / 2 > WIRE_HEADERS_MAX)
    {
        (void)misfit(reader, "headers come in pairs, and there is a limit to them");
        return;
    }
    headers->count = (size_t)array.number / 2;
    for (size_t i = 0; i < headers->count; i++)
    {
        headers->items[i].name = mp_text(reader);
        headers->items[i].value = mp_text(reader);
    }
}

enum status mp_close(struct mp_reader *reader, const char *message, struct err *err)
{
    if (!reader->misfit && reader->next != reader->count) (void)misfit(reader, "there are more parts");
    if (!reader->misfit) return STATUS_OK;
    return err_set(err, STATUS_FUNCTION_PROTOCOL, "%s message, part %zu: %s", message, reader->misfit_at,
                   reader->misfit);
}

uint64_t mp_peek_type(struct slice payload)
{
    enum { ARRAY_AND_TYPE_BYTES_MAX = 5 + 9 };
    if (payload.size > ARRAY_AND_TYPE_BYTES_MAX) payload.size = ARRAY_AND_TYPE_BYTES_MAX;
    struct mp_reader reader;
    size_t size;
    (void)tokenize(&reader, payload, &size); /* the rest may be anything */
    bool has_type =
        reader.count >= 2 && reader.tokens[0].kind == MP_ARRAY && reader.tokens[1].kind == MP_UINT;
    return has_type ? reader.tokens[1].number : 0;
}
