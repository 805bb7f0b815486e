/* fuzz_bus.c - messages from programs outside: refused with words, or sound, and the same when written again. */
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "messaging/bus/bus_message.h"
#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf key = BUF_INIT, again_key = BUF_INIT, out = BUF_INIT;
    struct wire_message message, again;
    struct err err = ERR_INIT;
    enum status status = bus_message_decode(slice_make(data, size), &key, &message, &err);
    if (status == STATUS_OK)
    {
        CHECK(message.key.size <= BOUND_MESSAGE_KEY_BYTES_MAX &&
              message.body.size <= BOUND_MESSAGE_BYTES_MAX);
        CHECK(message.type.size <= BOUND_CONTENT_TYPE_BYTES_MAX && message.channel.size > 2);
        CHECK(!memchr(message.key.data ? message.key.data : "", 0, message.key.size));
        bus_message_encode(&out, &message);
        CHECK(bus_message_decode(buf_view(&out), &again_key, &again, NULL) == STATUS_OK);
        CHECK(slice_equal(again.channel, message.channel) && slice_equal(again.key, message.key));
        CHECK(slice_equal(again.body, message.body) && again.type.size == message.type.size);
        CHECK(again.sequence == message.sequence && again.time_ms == message.time_ms);
    }
    else
        CHECK(err.status == status && err.text[0]);
    buf_fini(&key);
    buf_fini(&again_key);
    buf_fini(&out);
    return 0;
}
