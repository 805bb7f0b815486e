"""objects.py - an object store over HTTP with conditional writes and a chosen latency, as a cloud's would have."""
# SPDX-License-Identifier: Apache-2.0
#
#   GET /key                     200 and the object with its ETag, or 404
#   PUT /key, If-Match: ETAG     200, or 412 when the object has changed
#   PUT /key, If-None-Match: *   200, or 412 when there is one already
#
# Every request takes a random time between --low-ms and --high-ms, half before and half after it takes effect. Objects
# live in memory: it costs this store nothing to keep them, which flatters it.
import argparse
import asyncio
import itertools
import random

from service import serve


class Objects:
    def __init__(self, low_ms, high_ms):
        self._low_s, self._high_s = low_ms / 1000, high_ms / 1000
        self._objects = {}  # key -> (etag, bytes)
        self._etags = itertools.count(1)

    async def handle(self, method, target, headers, body):
        half_s = random.uniform(self._low_s, self._high_s) / 2
        if half_s:
            await asyncio.sleep(half_s)
        answer = self._apply(method, target, headers, body)
        if half_s:
            await asyncio.sleep(half_s)
        return answer

    def _apply(self, method, key, headers, body):
        etag, value = self._objects.get(key, (None, b""))
        if method == "GET":
            return (200, value, {"ETag": etag}) if etag else (404, b"", {})
        wanted = headers.get("if-match") if "if-none-match" not in headers else None
        if wanted != etag:
            return 412, b"", {}
        self._objects[key] = (f'"{next(self._etags)}"', body)
        return 200, b"", {}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--low-ms", type=float, default=10)
    parser.add_argument("--high-ms", type=float, default=30)
    options = parser.parse_args()
    asyncio.run(serve(Objects(options.low_ms, options.high_ms).handle))
