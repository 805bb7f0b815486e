/* frames.h - frames to the daemon built by hand, so that they can be wrong; messaging/wire/wire.h has the right ones. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RESULT_FIELDS = 16
}; /* as in messaging/wire/msg_result.c; the attacks that succeed lawfully notice when it differs */
enum { LINK = 3, LENGTH_BYTES = 4, FRAME_BYTES_MAX = 32 << 20 };

enum frame_type { READY = 1, INVOKE = 2, RESULT = 3, LOG = 4, ASK = 5 };

struct frame {
    uint8_t *bytes;
    size_t size;
};

static inline void put(struct frame *frame, const void *bytes, size_t size)
{
    if (!frame->bytes) frame->bytes = malloc(FRAME_BYTES_MAX);
    memcpy(frame->bytes + frame->size, bytes, size);
    frame->size += size;
}

/* A msgpack head: its code and a big-endian number of `width` bytes. */
static inline void put_head(struct frame *frame, uint8_t code, uint64_t number, int width)
{
    put(frame, &code, 1);
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
        put(frame, &(uint8_t){(uint8_t)(number >> shift)}, 1);
}

static inline void put_array(struct frame *frame, uint32_t count)
{
    put_head(frame, 0xdd, count, 4);
}

static inline void put_number(struct frame *frame, uint64_t number)
{
    put_head(frame, 0xcf, number, 8);
}

static inline void put_text(struct frame *frame, const char *text)
{
    put_head(frame, 0xdb, strlen(text), 4);
    put(frame, text, strlen(text));
}

static inline void put_bytes(struct frame *frame, const void *bytes, size_t size)
{
    put_head(frame, 0xc6, size, 4);
    put(frame, bytes, size);
}

static inline void begin(struct frame *frame, enum frame_type type, uint32_t fields)
{
    frame->size = 0;
    put(frame, &(uint32_t){0}, LENGTH_BYTES);
    put_array(frame, fields + 1);
    put_number(frame, type);
}

static inline void write_all(const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;)
    {
        ssize_t written = write(LINK, (const char *)bytes + done, size - done);
        if (written < 0 && errno == EAGAIN) /* the link does not block */
        {
            (void)poll(&(struct pollfd){.fd = LINK, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (written <= 0) return;
        done += (size_t)written;
    }
}

static inline void announce(uint32_t size)
{
    write_all(&size, sizeof size); /* little endian, as the machine is */
}

static inline void send_frame(struct frame *frame)
{
    uint32_t size = (uint32_t)(frame->size - LENGTH_BYTES);
    memcpy(frame->bytes, &size, sizeof size);
    write_all(frame->bytes, frame->size);
}

/* A result as the daemon would take it; attacks change one thing. */
struct result {
    uint64_t id, outcome, status;
    const char *failure;
    uint64_t http_status;
    const char *headers[4]; /* name, value, ...; NULL ends them */
    const void *body, *reads, *writes, *effects, *called;
    size_t body_size, reads_size, writes_size, effects_size, called_size;
    uint64_t usage; /* time, memory and rows, all the same number */
};

static inline void send_result(const struct result *result)
{
    static struct frame frame;
    begin(&frame, RESULT, RESULT_FIELDS);
    put_number(&frame, result->id);
    put_number(&frame, result->outcome);
    put_number(&frame, result->status);
    put_text(&frame, result->failure ? result->failure : "");
    put_number(&frame, result->http_status ? result->http_status : 200);
    uint32_t headers = 0;
    while (headers < 4 && result->headers[headers]) headers++;
    put_array(&frame, headers);
    for (uint32_t i = 0; i < headers; i++) put_text(&frame, result->headers[i]);
    put_bytes(&frame, result->body, result->body_size);
    put_bytes(&frame, result->reads, result->reads_size);
    put_bytes(&frame, result->writes, result->writes_size);
    put_bytes(&frame, result->effects, result->effects_size);
    put_bytes(&frame, result->called, result->called_size);
    for (int i = 0; i < 5; i++) put_number(&frame, result->usage);
    send_frame(&frame);
}
