/* http_chunk.c - a machine with one step for each byte of framing and one copy for each piece of data. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/gateway/http_chunk.h"

#include "runtime/gateway/http_head.h"

/* More would not fit any limit; longer sizes are an old way to overflow a reader. */
enum { SIZE_DIGITS_MAX = 8 };

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    uint8_t lower = digit | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static enum status malformed(struct err *err, const char *what)
{
    return err_set(err, STATUS_MALFORMED_REQUEST, "chunked body: %s", what);
}

static enum status step_size(struct http_chunk *chunk, uint8_t byte, struct err *err)
{
    int digit = hex_value(byte);
    if (digit >= 0)
    {
        if (++chunk->digits > SIZE_DIGITS_MAX) return malformed(err, "a chunk size has more than 8 digits");
        chunk->left = chunk->left << 4 | (uint64_t)digit;
        chunk->state = CHUNK_SIZE;
        return STATUS_OK;
    }
    if (chunk->state == CHUNK_SIZE_FIRST) return malformed(err, "a chunk does not begin with its size");
    if (byte == '\r')
        chunk->state = CHUNK_SIZE_LF;
    else if (byte == ';')
        chunk->state = CHUNK_EXTENSION;
    else
        return malformed(err, "a chunk size is not a plain hexadecimal number");
    return STATUS_OK;
}

/* An extension or the value of a trailer: thrown away up to its CR. */
static enum status step_skip(struct http_chunk *chunk, uint8_t byte, enum http_chunk_state after,
                             struct err *err)
{
    if (byte == '\r')
        chunk->state = after;
    else if (!http_is_field_value(slice_make(&byte, 1)))
        return malformed(err, "an extension or trailer has a control byte");
    return STATUS_OK;
}

static enum status step_trailer_name(struct http_chunk *chunk, uint8_t byte, struct err *err)
{
    if (byte == '\r' && chunk->state == CHUNK_TRAILER_FIRST)
        chunk->state = CHUNK_LAST_LF;
    else if (byte == ':' && chunk->state == CHUNK_TRAILER_NAME)
        chunk->state = CHUNK_TRAILER_VALUE;
    else if (http_is_token(slice_make(&byte, 1)))
        chunk->state = CHUNK_TRAILER_NAME;
    else
        return malformed(err, "a trailer does not begin with a name and a colon");
    return STATUS_OK;
}

static enum status expect(struct http_chunk *chunk, uint8_t byte, char wanted, enum http_chunk_state after,
                          struct err *err)
{
    if (byte != wanted) return malformed(err, "a line or a chunk does not end with CR LF");
    chunk->state = after;
    return STATUS_OK;
}

static enum status step_size_end(struct http_chunk *chunk, uint8_t byte, uint64_t room, struct err *err)
{
    TRY(expect(chunk, byte, '\n', chunk->left ? CHUNK_DATA : CHUNK_TRAILER_FIRST, err));
    if (chunk->left > room) return err_set(err, STATUS_BODY_TOO_LARGE, "the chunked body exceeds its limit");
    chunk->digits = 0;
    return STATUS_OK;
}

static enum status step(struct http_chunk *chunk, uint8_t byte, uint64_t room, struct err *err)
{
    switch (chunk->state)
    {
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE:
        return step_size(chunk, byte, err);
    case CHUNK_EXTENSION:
        return step_skip(chunk, byte, CHUNK_SIZE_LF, err);
    case CHUNK_SIZE_LF:
        return step_size_end(chunk, byte, room, err);
    case CHUNK_DATA_CR:
        return expect(chunk, byte, '\r', CHUNK_DATA_LF, err);
    case CHUNK_DATA_LF:
        return expect(chunk, byte, '\n', CHUNK_SIZE_FIRST, err);
    case CHUNK_TRAILER_FIRST:
    case CHUNK_TRAILER_NAME:
        return step_trailer_name(chunk, byte, err);
    case CHUNK_TRAILER_VALUE:
        return step_skip(chunk, byte, CHUNK_TRAILER_LF, err);
    case CHUNK_TRAILER_LF:
        return expect(chunk, byte, '\n', CHUNK_TRAILER_FIRST, err);
    case CHUNK_LAST_LF:
        return expect(chunk, byte, '\n', CHUNK_DONE, err);
    case CHUNK_DATA:
    case CHUNK_DONE:
        break;
    }
    return STATUS_OK;
}

static bool is_overhead(enum http_chunk_state state)
{
    return state == CHUNK_EXTENSION || (state >= CHUNK_TRAILER_FIRST && state <= CHUNK_TRAILER_LF);
}

enum status http_chunk_decode(struct http_chunk *chunk, struct slice *input, struct buf *body,
                              uint64_t body_bytes_max, uint32_t overhead_max, struct err *err)
{
    while (input->size && chunk->state != CHUNK_DONE)
    {
        size_t used = 1;
        if (chunk->state == CHUNK_DATA)
        {
            used = chunk->left < input->size ? chunk->left : input->size;
            buf_append(body, slice_make(input->data, used));
            chunk->left -= used;
            if (chunk->left == 0) chunk->state = CHUNK_DATA_CR;
        }
        else
        {
            if (is_overhead(chunk->state) && ++chunk->overhead > overhead_max)
                return err_set(err, STATUS_HEADERS_TOO_LARGE, "chunk extensions and trailers exceed %u bytes",
                               overhead_max);
            TRY(step(chunk, *(const uint8_t *)input->data, body_bytes_max - body->size, err));
        }
        *input = slice_make((const char *)input->data + used, input->size - used);
    }
    return STATUS_OK;
}
