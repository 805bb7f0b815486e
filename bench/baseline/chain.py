"""chain.py - ten stateless functions, each called by the one before; what they hand on lies in the object store."""
# SPDX-License-Identifier: Apache-2.0
import argparse
import asyncio
import itertools

from service import Pool, serve

STEPS = 10
NEXT_LETTER = bytes((i + 1) % 256 for i in range(256))


class Chain:
    """POST /N?KEY: the function N. It gets the name of an object, not the object, as cloud functions do."""

    def __init__(self, store):
        self._store = store
        self._functions = None
        self._keys = itertools.count()

    def listens(self, address):
        self._functions = Pool(address)

    async def handle(self, method, target, headers, body):
        number, _, key = target[1:].partition("?")
        if key.startswith("first"):
            key, state = f"run-{next(self._keys)}", b"a" * 1024
        else:
            _, state, _ = await self._store.request("GET", f"/{key}.{int(number) - 1}")
        state = state.translate(NEXT_LETTER)
        await self._store.request("PUT", f"/{key}.{number}", state, {"If-None-Match": "*"})
        if int(number) == STEPS:
            return 200, state, {}
        status, answer, _ = await self._functions.request("POST", f"/{int(number) + 1}?{key}")
        return status, answer, {}


async def main(port):
    chain = Chain(Pool(("127.0.0.1", port)))
    await serve(chain.handle, chain.listens)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store-port", type=int, required=True)
    asyncio.run(main(parser.parse_args().store_port))
