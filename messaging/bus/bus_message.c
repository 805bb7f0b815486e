/* bus_message.c - "shop/prices eu/paris 42 1732567890123 text/plain\n" and the body. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/bus/bus_message.h"

#include "runtime/base/bounds.h"

enum {
    NUMBER_DIGITS_MAX = 20,
    CHANNEL_BYTES_MAX = 2 * BOUND_NAME_BYTES_MAX + 1,
    HEAD_BYTES_MAX = CHANNEL_BYTES_MAX + 3 * BOUND_MESSAGE_KEY_BYTES_MAX + 2 * NUMBER_DIGITS_MAX +
                     BOUND_CONTENT_TYPE_BYTES_MAX + 5,
};

/* ---- encode ---- */

static bool is_plain(uint8_t byte)
{
    return byte > ' ' && byte != '%' && byte != 0x7f;
}

void bus_message_encode(struct buf *out, const struct wire_message *message)
{
    static const char digits[] = "0123456789ABCDEF";
    buf_append(out, message->channel);
    buf_append_byte(out, ' ');
    const uint8_t *key = message->key.data;
    for (size_t i = 0; i < message->key.size; i++)
    {
        if (is_plain(key[i]))
        {
            buf_append_byte(out, key[i]);
            continue;
        }
        const char escaped[] = {'%', digits[key[i] >> 4], digits[key[i] & 15]};
        buf_append(out, slice_make(escaped, sizeof escaped));
    }
    buf_printf(out, " %llu %llu ", (unsigned long long)message->sequence,
               (unsigned long long)message->time_ms);
    /* Functions may say what they like, but no word of theirs begins the body. */
    const char *type = message->type.data;
    for (size_t i = 0; i < message->type.size; i++)
        buf_append_byte(out, (uint8_t)type[i] < ' ' ? ' ' : (uint8_t)type[i]);
    buf_append_byte(out, '\n');
    buf_append(out, message->body);
}

/* ---- decode ---- */

/* The next word of the head, which ends at a blank or with the head. */
static struct slice word_next(struct slice *head)
{
    const char *blank = head->size ? memchr(head->data, ' ', head->size) : NULL;
    size_t size = blank ? (size_t)(blank - (const char *)head->data) : head->size;
    struct slice word = slice_make(head->data, size);
    size_t taken = blank ? size + 1 : size;
    if (taken) *head = slice_make((const char *)head->data + taken, head->size - taken);
    return word;
}

static bool name_valid(struct slice name)
{
    const char *text = name.data;
    if (name.size == 0 || name.size > BOUND_NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < name.size; i++)
    {
        bool letter = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9');
        if (!letter && text[i] != '_' && text[i] != '-') return false;
    }
    return true;
}

static bool channel_valid(struct slice channel)
{
    const char *slash = channel.size ? memchr(channel.data, '/', channel.size) : NULL;
    if (!slash) return false;
    size_t app_size = (size_t)(slash - (const char *)channel.data);
    return name_valid(slice_make(channel.data, app_size)) &&
           name_valid(slice_make(slash + 1, channel.size - app_size - 1));
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    return -1;
}

static bool key_decode(struct slice word, struct buf *key)
{
    const uint8_t *bytes = word.data;
    for (size_t i = 0; i < word.size; i++)
    {
        uint8_t byte = bytes[i];
        if (byte == '%')
        {
            if (i + 2 >= word.size) return false;
            int high = hex_digit(bytes[i + 1]), low = hex_digit(bytes[i + 2]);
            if (high < 0 || low < 0) return false;
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (byte == 0) return false;
        buf_append_byte(key, byte);
    }
    return key->size <= BOUND_MESSAGE_KEY_BYTES_MAX;
}

static bool number_decode(struct slice word, uint64_t *number)
{
    const char *text = word.data;
    *number = 0;
    if (word.size > NUMBER_DIGITS_MAX - 1) return false;
    for (size_t i = 0; i < word.size; i++)
    {
        if (text[i] < '0' || text[i] > '9') return false;
        *number = *number * 10 + (uint64_t)(text[i] - '0');
    }
    return true;
}

enum status bus_message_decode(struct slice bytes, struct buf *scratch, struct wire_message *message,
                               struct err *err)
{
    size_t look = bytes.size < HEAD_BYTES_MAX ? bytes.size : HEAD_BYTES_MAX;
    const char *line = look ? memchr(bytes.data, '\n', look) : NULL;
    if (!line) return err_set(err, STATUS_INVALID_ARGUMENT, "a message without a first line");
    size_t head_size = (size_t)(line - (const char *)bytes.data);
    struct slice head = slice_make(bytes.data, head_size);
    struct wire_message decoded = {
        .channel = word_next(&head),
        .body = slice_make(line + 1, bytes.size - head_size - 1),
    };
    if (!channel_valid(decoded.channel))
        return err_set(err, STATUS_INVALID_ARGUMENT, "the first word is no app/channel");
    buf_reset(scratch);
    if (!key_decode(word_next(&head), scratch))
        return err_set(err, STATUS_INVALID_ARGUMENT, "the second word is no key");
    decoded.key = buf_view(scratch);
    if (!number_decode(word_next(&head), &decoded.sequence))
        return err_set(err, STATUS_INVALID_ARGUMENT, "the third word is no number");
    if (!number_decode(word_next(&head), &decoded.time_ms))
        return err_set(err, STATUS_INVALID_ARGUMENT, "the fourth word is no time");
    decoded.type = head.size ? head : SLICE("text/plain; charset=utf-8");
    if (decoded.type.size > BOUND_CONTENT_TYPE_BYTES_MAX || memchr(decoded.type.data, 0, decoded.type.size))
        return err_set(err, STATUS_INVALID_ARGUMENT, "the content type is too long, or none");
    if (decoded.body.size > BOUND_MESSAGE_BYTES_MAX)
        return err_set(err, STATUS_MESSAGE_TOO_LARGE, "a body of %zu bytes", decoded.body.size);
    *message = decoded;
    return STATUS_OK;
}
