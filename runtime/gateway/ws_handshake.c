/* ws_handshake.c - is this a WebSocket handshake, and what is its answer? SHA-1 is what the RFC asks for; it guards nothing. */
// SPDX-License-Identifier: Apache-2.0
#include <strings.h>

#include "runtime/gateway/ws.h"

/* ---- SHA-1, of less than two blocks ---- */

enum { BLOCK_BYTES = 64, DIGEST_BYTES = 20 };

static uint32_t rotate(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static void sha1_block(uint32_t state[5], const uint8_t block[BLOCK_BYTES])
{
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++)
    {
        uint32_t f = i < 20   ? (b & c) | (~b & d)
                     : i < 40 ? b ^ c ^ d
                     : i < 60 ? (b & c) | (b & d) | (c & d)
                              : b ^ c ^ d;
        uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
        uint32_t next = rotate(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

static void sha1(const uint8_t *bytes, size_t size, uint8_t digest[DIGEST_BYTES])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t padded[2 * BLOCK_BYTES] = {0};
    size_t blocks = (size + 9 + BLOCK_BYTES - 1) / BLOCK_BYTES;
    memcpy(padded, bytes, size);
    padded[size] = 0x80;
    for (size_t i = 0; i < 8; i++)
        padded[blocks * BLOCK_BYTES - 1 - i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
    for (size_t i = 0; i < blocks; i++) sha1_block(state, padded + i * BLOCK_BYTES);
    for (int i = 0; i < DIGEST_BYTES; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- base64 ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_digest(const uint8_t digest[DIGEST_BYTES], char text[WS_ACCEPT_CHARS + 1])
{
    for (int i = 0, at = 0; i < DIGEST_BYTES; i += 3)
    {
        uint32_t three = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 |
                         (i + 2 < DIGEST_BYTES ? digest[i + 2] : 0);
        for (int shift = 18; shift >= 0; shift -= 6) text[at++] = letters[three >> shift & 63];
    }
    text[WS_ACCEPT_CHARS - 1] = '=';
    text[WS_ACCEPT_CHARS] = 0;
}

/* 16 bytes in base64: 22 letters and "==". */
static bool is_key(struct slice key)
{
    if (key.size != 24 || memcmp((const char *)key.data + 22, "==", 2) != 0) return false;
    for (size_t i = 0; i < 22; i++)
    {
        char c = ((const char *)key.data)[i];
        if (!c || !strchr(letters, c)) return false;
    }
    return true;
}

/* ---- the request ---- */

static bool is_word(struct slice text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

/* Is `word` in a list like "keep-alive, Upgrade"? */
static bool has_word(struct slice list, const char *word)
{
    const char *at = list.data, *end = at + list.size;
    while (at < end)
    {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end, *next = comma ? comma + 1 : end;
        while (at < stop && (*at == ' ' || *at == '\t')) at++;
        while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t')) stop--;
        if (is_word(slice_make(at, (size_t)(stop - at)), word)) return true;
        at = next;
    }
    return false;
}

bool ws_is_wanted(const struct http_request *request)
{
    return has_word(http_request_header(request, "upgrade"), "websocket");
}

enum status ws_accept(const struct http_request *request, char accept[WS_ACCEPT_CHARS + 1], struct err *err)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    struct slice key = http_request_header(request, "sec-websocket-key");
    if (!slice_is(request->method, "GET") || request->http_1_0 || request->body.size > 0)
        return err_set(err, STATUS_MALFORMED_REQUEST,
                       "a WebSocket begins with a GET of HTTP/1.1 without a body");
    if (!ws_is_wanted(request) || !has_word(http_request_header(request, "connection"), "upgrade"))
        return err_set(err, STATUS_MALFORMED_REQUEST,
                       "a WebSocket begins with `Upgrade: websocket` and `Connection: Upgrade`");
    if (!slice_is(http_request_header(request, "sec-websocket-version"), "13"))
        return err_set(err, STATUS_MALFORMED_REQUEST, "this server speaks version 13 of WebSocket only");
    size_t keys = 0;
    for (size_t i = 0; i < request->header_count; i++)
        keys += slice_is(request->headers[i].name, "sec-websocket-key");
    if (keys != 1 || !is_key(key))
        return err_set(err, STATUS_MALFORMED_REQUEST, "Sec-WebSocket-Key has to be 16 bytes in base64, once");
    uint8_t text[24 + sizeof magic - 1], digest[DIGEST_BYTES];
    memcpy(text, key.data, 24);
    memcpy(text + 24, magic, sizeof magic - 1);
    sha1(text, sizeof text, digest);
    base64_digest(digest, accept);
    return STATUS_OK;
}

bool ws_is_utf8(struct slice text)
{
    const uint8_t *at = text.data;
    for (size_t left = text.size, size; left > 0; at += size, left -= size)
    {
        uint8_t first = at[0];
        size = first < 0x80                    ? 1
               : first >= 0xc2 && first < 0xe0 ? 2
               : first >= 0xe0 && first < 0xf0 ? 3
               : first >= 0xf0 && first < 0xf5 ? 4
                                               : 0;
        if (size == 0 || size > left) return false;
        for (size_t i = 1; i < size; i++)
            if ((at[i] & 0xc0) != 0x80) return false;
        if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
            (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f))
            return false;
    }
    return true;
}
