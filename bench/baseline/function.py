"""function.py - the stateless function in front: each increment is GET, add, conditional PUT, again when it lost."""
# SPDX-License-Identifier: Apache-2.0
import argparse
import asyncio

from service import Pool, serve


class Counter:
    def __init__(self, store):
        self._store = store

    async def handle(self, method, target, headers, body):
        while True:
            status, value, found = await self._store.request("GET", target)
            condition = {"If-Match": found["etag"]} if status == 200 else {"If-None-Match": "*"}
            count = int(value or 0) + (method == "POST")
            if method == "GET":
                return 200, f"{count}\n".encode(), {}
            status, _, _ = await self._store.request("PUT", target, str(count).encode(), condition)
            if status == 200:
                return 200, f"{count}\n".encode(), {}


async def main(port):
    await serve(Counter(Pool(("127.0.0.1", port))).handle)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store-port", type=int, required=True)
    asyncio.run(main(parser.parse_args().store_port))
