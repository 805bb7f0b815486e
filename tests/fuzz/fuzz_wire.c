/* fuzz_wire.c - any bytes as a stream of frames: decoded messages, encoded again, have to be the same message. */
// SPDX-License-Identifier: Apache-2.0
#include "messaging/wire/wire.h"
#include "runtime/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* libFuzzer has no header */

/* A message that decodes must survive its own encoding: what comes out the second time is byte for byte
 * the same. */
#define ROUND_TRIP(kind)                                                                     \
    static void round_trip_##kind(struct slice payload)                                      \
    {                                                                                        \
        struct wire_##kind first, second;                                                    \
        if (wire_##kind##_decode(payload, &first, NULL) != STATUS_OK) return;                \
        struct buf once = BUF_INIT, twice = BUF_INIT;                                        \
        wire_##kind##_encode(&once, &first);                                                 \
        struct slice again = {once.data + WIRE_LENGTH_BYTES, once.size - WIRE_LENGTH_BYTES}; \
        CHECK(wire_##kind##_decode(again, &second, NULL) == STATUS_OK);                      \
        wire_##kind##_encode(&twice, &second);                                               \
        CHECK(slice_equal(buf_view(&once), buf_view(&twice)));                               \
        buf_fini(&once);                                                                     \
        buf_fini(&twice);                                                                    \
    }
ROUND_TRIP(ready)
ROUND_TRIP(invoke)
ROUND_TRIP(result)
ROUND_TRIP(log)
ROUND_TRIP(ask)
ROUND_TRIP(answer)
ROUND_TRIP(effect)
ROUND_TRIP(message)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {data, size}, payload;
    size_t need;
    bool whole;
    while (wire_frame_next(rest, &payload, &need, &whole, NULL) == STATUS_OK && whole)
    {
        enum wire_type type;
        if (wire_type_of(payload, &type, NULL) == STATUS_OK)
        {
            round_trip_ready(payload);
            round_trip_invoke(payload);
            round_trip_result(payload);
            round_trip_log(payload);
            round_trip_ask(payload);
            round_trip_answer(payload);
            round_trip_effect(payload);
            round_trip_message(payload);
        }
        rest = slice_make((const uint8_t *)rest.data + need, rest.size - need);
    }
    return 0;
}
