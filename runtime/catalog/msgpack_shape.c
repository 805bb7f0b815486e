/* msgpack_shape.c - walks over headers and bodies with a count of the values still to come. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/catalog/msgpack_shape.h"

#include <stdint.h>

/* What a first byte says: a number of `width` bytes follows (0: `fixed` is that number), which counts either body bytes
 * or elements; `extra` bytes of the body are not counted in it. */
struct head {
    uint8_t width;
    uint8_t fixed;
    uint8_t elements; /* values for each counted one: 0 bytes of a body, 1 array, 2 map */
    uint8_t extra;
    bool valid;
};

static struct head head_of(uint8_t byte)
{
    if (byte <= 0x7f || byte >= 0xe0) return (struct head){.valid = true}; /* small numbers */
    if (byte <= 0x8f) return (struct head){.fixed = byte & 0x0f, .elements = 2, .valid = true};
    if (byte <= 0x9f) return (struct head){.fixed = byte & 0x0f, .elements = 1, .valid = true};
    if (byte <= 0xbf) return (struct head){.fixed = byte & 0x1f, .valid = true};
    static const struct head heads[] = {
        [0x00] = {.valid = true}, /* nil */
        [0x01] = {.valid = false}, /* never used */
        [0x02] = {.valid = true}, /* false */
        [0x03] = {.valid = true}, /* true */
        [0x04] = {.width = 1, .valid = true}, /* bin 8 */
        [0x05] = {.width = 2, .valid = true}, /* bin 16 */
        [0x06] = {.width = 4, .valid = true}, /* bin 32 */
        [0x07] = {.width = 1, .extra = 1, .valid = true}, /* ext 8 */
        [0x08] = {.width = 2, .extra = 1, .valid = true}, /* ext 16 */
        [0x09] = {.width = 4, .extra = 1, .valid = true}, /* ext 32 */
        [0x0a] = {.fixed = 4, .valid = true}, /* float 32 */
        [0x0b] = {.fixed = 8, .valid = true}, /* float 64 */
        [0x0c] = {.fixed = 1, .valid = true}, /* uint 8 */
        [0x0d] = {.fixed = 2, .valid = true}, /* uint 16 */
        [0x0e] = {.fixed = 4, .valid = true}, /* uint 32 */
        [0x0f] = {.fixed = 8, .valid = true}, /* uint 64 */
        [0x10] = {.fixed = 1, .valid = true}, /* int 8 */
        [0x11] = {.fixed = 2, .valid = true}, /* int 16 */
        [0x12] = {.fixed = 4, .valid = true}, /* int 32 */
        [0x13] = {.fixed = 8, .valid = true}, /* int 64 */
        [0x14] = {.fixed = 1, .extra = 1, .valid = true}, /* fixext 1 */
        [0x15] = {.fixed = 2, .extra = 1, .valid = true}, /* fixext 2 */
        [0x16] = {.fixed = 4, .extra = 1, .valid = true}, /* fixext 4 */
        [0x17] = {.fixed = 8, .extra = 1, .valid = true}, /* fixext 8 */
        [0x18] = {.fixed = 16, .extra = 1, .valid = true}, /* fixext 16 */
        [0x19] = {.width = 1, .valid = true}, /* str 8 */
        [0x1a] = {.width = 2, .valid = true}, /* str 16 */
        [0x1b] = {.width = 4, .valid = true}, /* str 32 */
        [0x1c] = {.width = 2, .elements = 1, .valid = true}, /* array 16 */
        [0x1d] = {.width = 4, .elements = 1, .valid = true}, /* array 32 */
        [0x1e] = {.width = 2, .elements = 2, .valid = true}, /* map 16 */
        [0x1f] = {.width = 4, .elements = 2, .valid = true}, /* map 32 */
    };
    return heads[byte - 0xc0];
}

bool msgpack_shape_valid(struct slice bytes)
{
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    uint64_t expected = 1; /* values still to come; never more than `left`, so nothing overflows */
    while (expected > 0)
    {
        if (expected > left) return false;
        struct head head = head_of(*at++);
        left--;
        if (!head.valid || head.width > left) return false;
        uint64_t count = head.fixed;
        for (int i = 0; i < head.width; i++) count = count << 8 | *at++;
        left -= head.width;
        expected--;
        if (head.elements > 0)
        {
            expected += count * head.elements;
            continue;
        }
        if (count + head.extra > left) return false;
        at += count + head.extra;
        left -= count + head.extra;
    }
    return left == 0;
}
